//! Transaction logs: what had not yet reached the hive file when the machine stopped, brought into it.
//!
//! In come the bytes of a hive and of its logs, out comes the hive as Windows would recover it, and a report.
//! \[regf\] "Format of transaction log files", "Dirty state of a hive", "Multiple transaction log files".
//! To add a log format: a file here with an `apply`, and one call in [`run`].

mod dirty_vector;
mod log_entry;
mod marvin32;
mod new_log;

use super::{LAYER, base_block, base_block::BaseBlock, hive_bin};
use crate::error::Fault;

/// Bytes of log before its first entry or its dirty vector.
const LOG_HEADER: usize = 512;
/// A hive can grow by what its logs hold, and by this, for bins that were added and not yet used.
const GROWTH: usize = 1 << 20;

/// Which form a transaction log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A bitmap of pages, until Windows 8.
    DirtyVector,
    /// Entries with hashes, since Windows 8.1.
    LogEntries,
}

/// What opening a hive found out about its state, and what was replayed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Whether the hive file was left in the middle of a write; a clean hive's logs are not looked at.
    pub dirty: bool,
    /// Whether the hive's base block was damaged.
    pub base_block_damaged: bool,
    /// The form of the logs that were used.
    pub format: Option<LogFormat>,
    /// Which of the logs that were given were used, in the order of use.
    pub logs: Vec<usize>,
    /// Log entries that were applied (1 for a log of the old form).
    pub entries: usize,
    /// Pages that were written: of any size in the new form, of 512 bytes in the old.
    pub pages: usize,
    /// What is worth knowing, in one line each: why logs were not used, bins that were replaced.
    pub notes: Vec<String>,
    /// Why the hive may not be what it was when the machine stopped: damage that cost it writes, anywhere in it. What
    /// Windows itself leaves behind when the power fails is none.
    pub faults: Vec<Fault>,
}

impl Replay {
    fn fault(&mut self, at: String, what: impl Into<String>) {
        self.faults.push(Fault::new(LAYER, at, what));
    }
}

/// A log whose base block is in order.
struct Log<'l> {
    index: usize,
    bytes: &'l [u8],
    base: BaseBlock,
}

/// Brings `hive` up to date in place. What cannot be used leaves it as it was, with a note.
pub(super) fn run(hive: &mut Vec<u8>, logs: &[Vec<u8>]) -> Replay {
    let base = BaseBlock::parse(hive);
    if base.is_some_and(|base| !base.is_dirty()) {
        return Replay::default();
    }
    let base = base.filter(|base| base.intact);
    let mut replay = Replay { dirty: true, base_block_damaged: base.is_none(), ..Replay::default() };
    let (entry_logs, vector_logs) = usable(logs, base, &mut replay);
    let capacity = logs.iter().fold(hive.len(), |sum, log| sum.saturating_add(log.len())).saturating_add(GROWTH);

    let mut touched = Vec::new();
    let done = new_log::apply(hive, base, entry_logs, logs, capacity, &mut touched, &mut replay)
        || dirty_vector::apply(hive, base, &vector_logs, capacity, &mut replay);
    replace_broken_bins(hive, &touched, &mut replay);
    if !done {
        let state = if replay.base_block_damaged { "its base block is damaged" } else { "it was being written" };
        let what = format!("the hive is read as it is: {state}, and no transaction log applies");
        // A hive that was copied without its logs is what was copied.
        match logs.iter().all(Vec::is_empty) {
            true => replay.notes.push(what),
            false => replay.fault(String::new(), what),
        }
    } else if replay.base_block_damaged {
        // A log that is older than the hive would take it back to what it was.
        let what = "damaged: whether the logs that were applied belong to this state of the hive cannot be told";
        replay.fault("base block at 0x0".to_owned(), what);
    }
    replay
}

/// The logs that are in order, by their form: file type 6, or 1 and 2.
fn usable<'l>(logs: &'l [Vec<u8>], hive: Option<BaseBlock>, replay: &mut Replay) -> (Vec<Log<'l>>, Vec<Log<'l>>) {
    let (mut entry_logs, mut vector_logs) = (Vec::new(), Vec::new());
    for (index, bytes) in logs.iter().enumerate().filter(|(_, bytes)| !bytes.is_empty()) {
        let base = BaseBlock::parse(bytes);
        if base.is_none_or(|base| !base.intact) && may_hold_more(bytes, hive) {
            let what = "damaged, and the log holds what may not have reached the hive";
            replay.fault(format!("base block of log {index}"), what);
            continue;
        }
        let Some(base) = base.filter(|base| !base.is_dirty()) else {
            replay.notes.push(format!("log {index}: not used, its base block is damaged or was being written"));
            continue;
        };
        let log = Log { index, bytes, base };
        match base.file_type {
            6 => entry_logs.push(log),
            1 | 2 => vector_logs.push(log),
            other => replay.notes.push(format!("log {index}: not used, file type 1, 2 or 6 expected, found {other}")),
        }
    }
    (entry_logs, vector_logs)
}

/// Whether a log without a base block holds what the hive may lack: a dirty vector, or an entry that is not older
/// than the hive. An empty log or one that was never begun does not.
fn may_hold_more(log: &[u8], hive: Option<BaseBlock>) -> bool {
    let entries = log_entry::headers(log);
    let mut sequences = entries.map(|(_, sequence)| sequence);
    log.get(LOG_HEADER..).is_some_and(|rest| rest.starts_with(dirty_vector::SIGNATURE))
        || sequences.any(|sequence| hive.is_none_or(|hive| !is_before(sequence, hive.secondary_sequence)))
}

/// Whether the number `one` comes before `other`: numbers wrap around.
fn is_before(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
}

/// Windows checks the bins that logs have written, and puts an empty one where there is none.
fn replace_broken_bins(hive: &mut [u8], touched: &[bool], replay: &mut Replay) {
    let bins = hive.get_mut(base_block::LEN..).unwrap_or_default();
    let mut at = 0_usize;
    let mut replaced = None;
    let mut count = 0_usize;
    while at < bins.len() {
        if let Some(size) = hive_bin::size_at(bins, at) {
            at = at.saturating_add(size);
            continue;
        }
        let page = at.checked_div(hive_bin::PAGE).unwrap_or(0);
        if touched.get(page) == Some(&true) {
            hive_bin::write_dummy(bins, at);
            replaced.get_or_insert(at);
            count = count.saturating_add(1);
        }
        at = at.saturating_add(hive_bin::PAGE);
    }
    if let Some(first) = replaced {
        replay
            .notes
            .push(format!("{count} logged pages are no hive bins, the first at {first:#x}: replaced by empty bins"));
    }
}
