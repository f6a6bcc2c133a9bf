//! Logs of the new form: a base block, then entries with rising sequence numbers, continued in a second log.

use super::{
    super::{base_block, base_block::BaseBlock},
    LOG_HEADER, Log, LogFormat, Replay, is_before,
    log_entry::{self, LogEntry, Refusal},
};

/// Applies what the logs continue the hive with; whether anything was. \[regf\] "Multiple transaction log files",
/// "New format". `all` are the files, those that are no logs of this form among them.
pub(super) fn apply(
    hive: &mut Vec<u8>,
    base: Option<BaseBlock>,
    mut logs: Vec<Log<'_>>,
    all: &[Vec<u8>],
    capacity: usize,
    touched: &mut Vec<bool>,
    replay: &mut Replay,
) -> bool {
    let Some(first) = logs.first() else {
        return false;
    };
    // Numbers wrap around: the distance from one of them tells which is later.
    let origin = base.map_or(first.base.primary_sequence, |base| base.secondary_sequence);
    let distance = |sequence: u32| sequence.wrapping_sub(origin).cast_signed();
    logs.sort_by_key(|log| distance(log.base.primary_sequence));
    if base.is_none() {
        // Only the latest log knows the base block: so does Windows.
        logs.drain(..logs.len().saturating_sub(1));
    }
    let mut last = None;
    let mut ended_at = (0, 0);
    for log in &logs {
        let begins = log.base.primary_sequence;
        match last {
            None if base.is_some() && distance(begins) < 0 => {
                replay.notes.push(format!("log {}: not used, its entries are older than the hive", log.index));
                continue;
            }
            Some(last) if begins != u32::wrapping_add(last, 1) => {
                replay.notes.push(format!("log {}: not used, it begins at {begins}, not behind {last}", log.index));
                break;
            }
            _ => {}
        }
        if base.is_none() {
            hive.resize(hive.len().max(base_block::LEN), 0);
            base_block::restore(hive, log.bytes);
            replay.logs.push(log.index);
        }
        let (sequence, at) = apply_entries(hive, log, capacity, touched, replay);
        ended_at = (log.index, at);
        match sequence {
            Some(sequence) => last = Some(sequence),
            None => break,
        }
        if base.is_some() {
            replay.logs.push(log.index);
        }
    }
    if let Some(last) = last {
        look_for_later(all, last, ended_at, replay);
    }
    if !replay.logs.is_empty() {
        replay.format = Some(LogFormat::LogEntries);
    }
    !replay.logs.is_empty()
}

/// A later entry than the last that was applied, other than the one that replay stopped at, tells that one between
/// them is lost: Windows begins none before the one before it is on the disk. What is left of older entries behind
/// the newest has lower numbers.
fn look_for_later(all: &[Vec<u8>], last: u32, ended_at: (usize, usize), replay: &mut Replay) {
    for (index, log) in all.iter().enumerate() {
        let refused = |at: usize, sequence: u32| (index, at) == ended_at && sequence == last.wrapping_add(1);
        let mut later =
            log_entry::headers(log).filter(|(at, sequence)| is_before(last, *sequence) && !refused(*at, *sequence));
        if let Some((at, sequence)) = later.next() {
            let what = format!("entry {sequence} at {at:#x} is not applied: what stands between it and {last} is lost");
            replay.fault(format!("log {index}"), what);
        }
    }
}

/// Applies the log's entries up to the first that is not in order; the sequence number of the last, and where in the
/// log replay ended.
fn apply_entries(
    hive: &mut Vec<u8>,
    log: &Log<'_>,
    capacity: usize,
    touched: &mut Vec<bool>,
    replay: &mut Replay,
) -> (Option<u32>, usize) {
    let mut last = None;
    let mut sequence = log.base.primary_sequence;
    let mut at = LOG_HEADER;
    while let Some(entry) = LogEntry::parse(log.bytes, at, sequence) {
        let fits = base_block::LEN.checked_add(entry.bins_size).is_some_and(|end| end <= capacity);
        let Some(pages) = fits.then(|| entry.apply(hive, touched)).flatten() else {
            let why = if fits { "its pages leave it or the hive" } else { "the hive would outgrow its logs" };
            replay.fault(format!("log {}", log.index), format!("entry {sequence} at {at:#x} not applied: {why}"));
            return (last, at);
        };
        base_block::carry_flag(hive, entry.flags);
        base_block::finish(hive, sequence, entry.bins_size);
        replay.pages = replay.pages.saturating_add(pages);
        replay.entries = replay.entries.saturating_add(1);
        last = Some(sequence);
        sequence = sequence.wrapping_add(1);
        at = at.saturating_add(entry.size);
    }
    match LogEntry::refusal(log.bytes, at, sequence) {
        Some(Refusal::Damaged(why)) => {
            replay.fault(format!("log {}", log.index), format!("entry {sequence} at {at:#x} not applied: {why}"));
        }
        Some(Refusal::Torn) => {
            replay.notes.push(format!("log {}: entry {sequence} at {at:#x} was being written: not applied", log.index));
        }
        None => {}
    }
    (last, at)
}
