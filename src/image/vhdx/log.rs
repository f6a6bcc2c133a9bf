//! 2.3 "Log": a ring of entries, each a header, descriptors, and data sectors of 4 KiB. The active sequence is the
//! one that ends in the valid entry with the highest sequence number; it is replayed from the tail that this
//! entry names (2.3.3 "Log Replay").
//!
//! | offset | bytes | field of the entry header |
//! |---|---|---|
//! | 0 | 4 | `loge` |
//! | 4 | 4 | checksum, over the whole entry |
//! | 8 | 4 | entry length |
//! | 12 | 4 | tail: where in the log the sequence begins |
//! | 16 | 8 | sequence number |
//! | 24 | 4 | descriptor count |
//! | 32 | 16 | log GUID |
//! | 48, 56 | 8, 8 | flushed, last file offset |

use std::collections::BTreeMap;

use super::{LAYER, crc32c::crc32c, header::Header, replayed::Replay};
use crate::{
    error::{Error, Result},
    field::{narrow, slice, wide},
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

const SECTOR: usize = 4096;
const HEADER: usize = 64;
const DESCRIPTOR: usize = 32;
/// Hyper-V makes logs of 1 MiB.
const MAX_LOG: u32 = 64 << 20;
/// Bytes of which checksums are computed in search of entries, in multiples of the log's length: entries do not
/// overlap, so that twice would do for an honest one.
const MAX_PASSES: u64 = 8;

/// An entry whose checksum is right.
struct Entry {
    bytes: Vec<u8>,
    at: u32,
    tail: u32,
    sequence: u64,
}

/// What the log has yet to write; `None` where the header names one of which no entry was begun.
pub(super) fn read(file: &dyn Image, header: &Header) -> Result<Option<Replay>> {
    if header.log == [0; 16] {
        return Ok(Some(Replay::default()));
    }
    if header.log_length > MAX_LOG {
        return Err(Error::budget(LAYER, format!("a log of {:#x} bytes: at most {MAX_LOG:#x}", header.log_length)));
    }
    let log = read_vec(file, header.log_at, narrow(header.log_length))?;
    let entries = find_entries(&log, header)?;
    let active = active(&entries, header.log_length);
    if active.is_empty() {
        // qemu names a log before it writes to it, and nothing else before that.
        if !(0..log.len()).step_by(SECTOR).any(|at| is_entry(&log, at, header)) {
            return Ok(None);
        }
        // "The file is corrupt, and the implementation MUST fail to open it": without these writes it is another disk.
        return Err(Error::corrupt(
            LAYER,
            format!("log at {:#x}", header.log_at),
            "the header says that it is to be replayed, and it holds no whole sequence of entries; copy the image once \
             more, or let the machine that it belongs to repair it",
        ));
    }
    let mut replay = Replay::default();
    for entry in active {
        apply(entry, file.len(), &mut replay)?;
    }
    Ok(Some(replay))
}

/// All valid entries, by their place in the log.
fn find_entries(log: &[u8], header: &Header) -> Result<BTreeMap<u32, Entry>> {
    let mut entries = BTreeMap::new();
    let mut budget = wide(log.len()).saturating_mul(MAX_PASSES);
    let mut at = 0;
    while at < log.len() {
        let mut step = SECTOR;
        if let Some(length) = entry_length(log, at, header) {
            budget = budget.checked_sub(wide(length)).ok_or_else(|| {
                Error::budget(
                    LAYER,
                    format!("the log's entries overlap: more than {MAX_PASSES} times its length to check"),
                )
            })?;
            // The log is a ring.
            let (front, back) = log.split_at(at);
            let bytes: Vec<u8> = back.iter().chain(front).take(length).copied().collect();
            let s = Structure::new(LAYER, "log entry", wide(at), &bytes);
            if s.le32(4)? == crc32c(&bytes, 4) {
                let (tail, sequence) = (s.le32(12)?, s.le64(16)?);
                let place = u32::try_from(at).unwrap_or(u32::MAX);
                entries.insert(place, Entry { bytes, at: place, tail, sequence });
                step = length;
            }
        }
        at = at.saturating_add(step);
    }
    Ok(entries)
}

/// Whether an entry of this log begins at `at`, whole or not.
fn is_entry(log: &[u8], at: usize, header: &Header) -> bool {
    slice(log, at, HEADER).is_some_and(|s| s.starts_with(b"loge") && slice(s, 32, 16) == Some(&header.log))
}

/// The length of the entry at `at`, if its header looks like one of this log.
fn entry_length(log: &[u8], at: usize, header: &Header) -> Option<usize> {
    let length = narrow(Structure::new(LAYER, "log entry", 0, slice(log, at, HEADER)?).le32(8).ok()?);
    let right = length > 0 && length.is_multiple_of(SECTOR) && length <= log.len();
    (right && is_entry(log, at, header)).then_some(length)
}

/// The entries of the active sequence, in the order in which they are to be written.
fn active(entries: &BTreeMap<u32, Entry>, log_length: u32) -> Vec<&Entry> {
    let mut by_age: Vec<&Entry> = entries.values().collect();
    by_age.sort_by_key(|entry| std::cmp::Reverse(entry.sequence));
    by_age.into_iter().find_map(|head| sequence_to(head, entries, log_length)).unwrap_or_default()
}

/// The sequence from the tail that `head` names up to `head`, if it is whole.
fn sequence_to<'a>(head: &'a Entry, entries: &'a BTreeMap<u32, Entry>, log_length: u32) -> Option<Vec<&'a Entry>> {
    let mut sequence = Vec::new();
    let mut at = head.tail;
    let mut before: Option<u64> = None;
    loop {
        let entry = entries.get(&at)?;
        if before.is_some_and(|n| n.checked_add(1) != Some(entry.sequence)) || sequence.len() >= entries.len() {
            return None;
        }
        sequence.push(entry);
        if entry.at == head.at {
            return Some(sequence);
        }
        before = Some(entry.sequence);
        at = at.checked_add(u32::try_from(entry.bytes.len()).ok()?)?.checked_rem(log_length)?;
    }
}

/// 2.3.1.2, 2.3.1.3 "Zero Descriptor", "Data Descriptor", 2.3.1.4 "Data Sector".
fn apply(entry: &Entry, file_length: u64, replay: &mut Replay) -> Result<()> {
    let s = Structure::new(LAYER, "log entry", entry.at.into(), &entry.bytes);
    let flushed = s.le64(48)?;
    if flushed > file_length {
        return Err(s.wrong(format!(
            "the file had {flushed:#x} bytes when it was written: it has {file_length:#x} and was cut"
        )));
    }
    let count = narrow(s.le32(24)?);
    let descriptors = s.slice(HEADER, count.saturating_mul(DESCRIPTOR))?;
    let mut data_at = HEADER.saturating_add(descriptors.len()).next_multiple_of(SECTOR);
    for descriptor in descriptors.chunks(DESCRIPTOR) {
        let d = Structure::new(LAYER, "log descriptor", entry.at.into(), descriptor);
        let at = d.le64(16)?;
        if d.le64(24)? != entry.sequence || !at.is_multiple_of(wide(SECTOR)) {
            return Err(d.wrong(format!("it belongs to another entry than {}, or writes at {at:#x}", entry.sequence)));
        }
        match &d.array::<4>(0)? {
            b"zero" => replay.zero(at, d.le64(8)?),
            b"desc" => {
                let sector = Structure::new(LAYER, "log data sector", wide(data_at), s.slice(data_at, SECTOR)?);
                let sequence = u64::from(sector.le32(4)?) << 32 | u64::from(sector.le32(4092)?);
                if sector.slice(0, 4)? != b"data" || sequence != entry.sequence {
                    return Err(sector.wrong(format!("it is of entry {sequence}: expected {}", entry.sequence)));
                }
                let whole = [d.slice(8, 8)?, sector.slice(8, 4084)?, d.slice(4, 4)?].concat();
                replay.write(at, whole);
                data_at = data_at.saturating_add(SECTOR);
            }
            other => return Err(d.wrong(format!("its kind is '{}'", other.escape_ascii()))),
        }
    }
    replay.grow(s.le64(56)?);
    replay.count();
    Ok(())
}
