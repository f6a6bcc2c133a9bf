//! Logs of the new form: a base block, then entries with rising sequence numbers, continued in a second log.

use super::{
    super::{base_block, base_block::BaseBlock},
    LOG_HEADER, Log, LogFormat, Replay,
    log_entry::LogEntry,
};

/// Applies what the logs continue the hive with; whether anything was. \[regf\] "Multiple transaction log files",
/// "New format".
pub(super) fn apply(
    hive: &mut Vec<u8>,
    base: Option<BaseBlock>,
    mut logs: Vec<Log<'_>>,
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
        match apply_entries(hive, log, capacity, touched, replay) {
            Some(sequence) => last = Some(sequence),
            None => break,
        }
        if base.is_some() {
            replay.logs.push(log.index);
        }
    }
    if !replay.logs.is_empty() {
        replay.format = Some(LogFormat::LogEntries);
    }
    !replay.logs.is_empty()
}

/// Applies the log's entries up to the first that is not in order; the sequence number of the last.
fn apply_entries(
    hive: &mut Vec<u8>,
    log: &Log<'_>,
    capacity: usize,
    touched: &mut Vec<bool>,
    replay: &mut Replay,
) -> Option<u32> {
    let mut last = None;
    let mut sequence = log.base.primary_sequence;
    let mut at = LOG_HEADER;
    while let Some(entry) = LogEntry::parse(log.bytes, at, sequence) {
        let fits = base_block::LEN.checked_add(entry.bins_size).is_some_and(|end| end <= capacity);
        let Some(pages) = fits.then(|| entry.apply(hive, touched)).flatten() else {
            let why = if fits { "its pages leave it or the hive" } else { "the hive would outgrow its logs" };
            replay.notes.push(format!("log {}: entry {sequence} at {at:#x} not applied: {why}", log.index));
            break;
        };
        base_block::carry_flag(hive, entry.flags);
        base_block::finish(hive, sequence, entry.bins_size);
        replay.pages = replay.pages.saturating_add(pages);
        replay.entries = replay.entries.saturating_add(1);
        last = Some(sequence);
        sequence = sequence.wrapping_add(1);
        at = at.saturating_add(entry.size);
    }
    last
}
