//! The journal as a file of blocks, and the first pass over its log: which transactions are whole.

use std::ops::ControlFlow;

use super::{
    super::{
        LAYER,
        bytes::be32,
        checksum::crc32_be,
        inode::Inode,
        map::{self, Piece, Run, Scratch},
        volume::Volume,
    },
    MAGIC, block,
    superblock::{JournalSuperblock, Protection},
};
use crate::error::{Error, Result};

const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const REVOKE: u32 = 5;
/// A journal is laid out in one go; more pieces than this are an attack on memory.
const MAX_RUNS: usize = 1 << 16;
/// Blocks of a journal; mke2fs makes none of more than ten million.
const MAX_BLOCKS: u64 = 16 << 20;

/// The journal's inode as a file of blocks.
pub(super) struct JournalFile<'a> {
    volume: &'a Volume,
    runs: Vec<Run>,
    /// Blocks in the file.
    pub(super) len: u64,
}

impl<'a> JournalFile<'a> {
    pub(super) fn new(volume: &'a Volume, inode: &Inode) -> Result<Self> {
        let mut runs = Vec::new();
        let mut failed = None;
        let len = inode.size.checked_div(volume.superblock.block_bytes()).unwrap_or(0).min(MAX_BLOCKS);
        map::walk(volume, inode, &mut Scratch::default(), len, &mut |piece| {
            match piece {
                Piece::Run(run) if runs.len() < MAX_RUNS => runs.push(run),
                Piece::Run(_) => failed = Some(Error::budget(LAYER, format!("journal in more than {MAX_RUNS} pieces"))),
                Piece::Mismatch(error) | Piece::Broken(error) => failed = Some(error),
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        failed.map_or(Ok(Self { volume, runs, len }), Err)
    }

    /// The block of the volume that holds a block of the journal.
    pub(super) fn locate(&self, at: u32) -> Result<u64> {
        let at = u64::from(at);
        let after = self.runs.partition_point(|run| run.logical <= at);
        self.runs
            .get(..after)
            .and_then(<[Run]>::last)
            .filter(|run| at < run.end() && !run.unwritten)
            .map(|run| run.physical.saturating_add(at.saturating_sub(run.logical)))
            .ok_or_else(|| Error::corrupt(LAYER, format!("journal block {at}"), "is not mapped"))
    }

    pub(super) fn read(&self, at: u32, buf: &mut Vec<u8>) -> Result<()> {
        self.volume.read_block(self.locate(at)?, buf)
    }
}

/// A block of the log that later passes need, and its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sequence: u32,
    pub(super) at: u32,
}

/// What the first pass found.
#[derive(Default)]
pub(super) struct Scan {
    pub(super) descriptors: Vec<Place>,
    pub(super) revokes: Vec<Place>,
    /// The first transaction that is not whole.
    pub(super) end: u32,
    /// Set when the log does not simply end there.
    pub(super) gap: Option<String>,
}

/// Reads the log from its start to its end.
pub(super) fn scan(file: &JournalFile<'_>, journal: &JournalSuperblock) -> Result<Scan> {
    let mut scan = Scan { end: journal.sequence, ..Scan::default() };
    let (mut sequence, mut at) = (journal.sequence, journal.start);
    let mut left = journal.last.saturating_sub(journal.first);
    // A damaged descriptor or revoke block is either a stale one behind the end of the log, or it is damage: the time
    // of the commit that follows tells.
    let (mut doubtful, mut last_time) = (false, 0);
    let mut crc = !0;
    let (mut buf, mut content) = (Vec::new(), Vec::new());
    while left > 0 {
        file.read(at, &mut buf)?;
        if be32(&buf, 0) != MAGIC || be32(&buf, 8) != sequence {
            scan.gap = broken_off(file, journal, &End { sequence, at, left, last_time }, &mut buf)?;
            break;
        }
        let mut consumed = 1;
        match be32(&buf, 4) {
            DESCRIPTOR => {
                doubtful |= !block::tail_matches(journal, &buf);
                scan.descriptors.push(Place { sequence, at });
                let count = block::count_tags(journal, &buf);
                if journal.protection == Protection::V1 {
                    crc = crc32_be(crc, &buf);
                    for step in 1..=count.min(left) {
                        file.read(journal.advance(at, step), &mut content)?;
                        crc = crc32_be(crc, &content);
                    }
                }
                consumed = count.saturating_add(1);
            }
            REVOKE => {
                doubtful |= !block::tail_matches(journal, &buf);
                scan.revokes.push(Place { sequence, at });
            }
            COMMIT => {
                let commit = block::Commit(&buf);
                let whole = match journal.protection {
                    Protection::V1 => commit.transaction_matches(crc),
                    _ => commit.checksum_matches(journal),
                };
                if doubtful || !whole {
                    // A commit that was written before its blocks may be lost with them: then the log ends here.
                    if commit.time() >= last_time && (doubtful || !journal.async_commit) {
                        scan.gap = Some(format!("transaction {sequence} at block {at} has a wrong checksum"));
                    }
                    break;
                }
                last_time = commit.time();
                crc = !0;
                sequence = sequence.wrapping_add(1);
                scan.end = sequence;
            }
            other => {
                scan.gap = Some(format!("block {at} of transaction {sequence} is of the unknown type {other}"));
                break;
            }
        }
        if left < consumed {
            scan.gap = Some(format!("transaction {sequence} is longer than the log"));
            break;
        }
        left = left.saturating_sub(consumed);
        at = journal.advance(at, consumed);
    }
    let end = scan.end;
    scan.descriptors.retain(|place| precedes(place.sequence, end));
    scan.revokes.retain(|place| precedes(place.sequence, end));
    Ok(scan)
}

/// Where a log ends.
struct End {
    /// The transaction that is expected there.
    sequence: u32,
    at: u32,
    /// Blocks of the log from there on.
    left: u32,
    /// When the last whole transaction was committed, or zero.
    last_time: u64,
}

/// Why a log does not simply end where the block in `buf` is none of the expected transaction's, if so: the block begins
/// like one, but for its magic number, or that transaction or a later one was committed behind it. What is left of
/// earlier rounds of the log, or of an earlier filesystem, was committed before.
fn broken_off(
    file: &JournalFile<'_>,
    journal: &JournalSuperblock,
    end: &End,
    buf: &mut Vec<u8>,
) -> Result<Option<String>> {
    let End { sequence, at, left, last_time } = *end;
    let (magic, kind) = (be32(buf, 0), be32(buf, 4));
    if be32(buf, 8) == sequence && matches!(kind, DESCRIPTOR | COMMIT | REVOKE) {
        return Ok(Some(format!("block {at} of transaction {sequence} has magic {magic:#010x}, not {MAGIC:#010x}")));
    }
    let since = last_time.max(u64::from(file.volume.superblock.mounted));
    // The kernel gives a transaction a third of the log at most.
    let within = left.min(journal.last.saturating_sub(journal.first) / 2);
    for step in 1..within {
        let behind = journal.advance(at, step);
        file.read(behind, buf)?;
        let later = be32(buf, 8);
        let is_next = later == sequence || (precedes(sequence, later) && later.wrapping_sub(sequence) <= within);
        if be32(buf, 0) != MAGIC || be32(buf, 4) != COMMIT || !is_next {
            continue;
        }
        let commit = block::Commit(buf);
        if commit.time() >= since && commit.checksum_matches(journal) {
            let what = format!("block {at} is none of transaction {sequence}, but behind it, in block {behind}");
            return Ok(Some(format!("{what}, transaction {later} is committed")));
        }
    }
    Ok(None)
}

/// Whether a transaction comes before another; their numbers wrap.
pub(super) fn precedes(sequence: u32, other: u32) -> bool {
    let distance = other.wrapping_sub(sequence);
    distance != 0 && distance < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::precedes;

    #[test]
    fn transaction_numbers_wrap() {
        assert!(precedes(1, 2));
        assert!(!precedes(2, 2));
        assert!(!precedes(3, 2));
        assert!(precedes(u32::MAX, 0));
        assert!(!precedes(0, u32::MAX));
    }
}
