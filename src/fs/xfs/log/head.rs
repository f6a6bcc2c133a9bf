//! Finding what of the ring is to be replayed: from the tail, the oldest record that is still needed, to the head,
//! behind the newest whole one. The rules are those of the kernel (`xlog_find_head`, `xlog_find_tail`,
//! `xlog_verify_head` in `fs/xfs/xfs_log_recover.c`): buffers are written at once and may be torn or missing, so the
//! cycles near the head are not believed before they were all looked at, nor its records before their checksums were.

use super::{
    super::bytes::u8_at,
    header::{BYTES_A_HEADER, Header, MAX_RECORD},
    overlay::SECTOR,
    record::{Bad, walk},
    ring::{Ring, bad},
};
use crate::error::Result;

/// Buffers that may be in flight at once.
const BUFFERS: u64 = 8;
const SECTOR_BYTES: u64 = 512;
/// Flags of an operation, behind its transaction, length and client; and what an unmount sets there.
const FLAGS_AT: usize = 9;
const UNMOUNT: u8 = 0x20;

/// What of the ring is to be replayed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing.
    Clean,
    /// From one block to before another; and the number that the next record would have.
    Dirty { tail: u64, head: u64, next: u64 },
}

/// Where the writing stopped.
struct Head {
    /// What is before it holds together, as far as cycles and lengths tell.
    at: u64,
    /// The block before it is the last of the newest cycle, whether or not it holds together with those before.
    written: u64,
}

/// Records of the newest cycle at the head that are not whole, or stand behind such a one or behind a block that was
/// not written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Torn {
    at: u64,
    blocks: u64,
}

/// The newest record before the head.
struct Last {
    at: u64,
    header: Header,
}

/// How the log was left, and what of its newest blocks is torn.
pub(super) fn left(ring: &Ring<'_>) -> Result<(Left, Option<Torn>)> {
    let Some(Head { at: head, written }) = head(ring)? else { return Ok((Left::Clean, None)) };
    let (head, written) = (ring.wrap(head), ring.wrap(written));
    let torn = |head: u64| torn(ring, head, written);
    let last = last_before(ring, head, head)?;
    if is_unmount(ring, head, &last)? {
        return Ok((Left::Clean, torn(head)?));
    }
    // Its tail is not believed either: a torn one that said that nothing is left would hide all before it.
    let (head, last) = trim(ring, head, last)?;
    let tail = last.header.tail();
    if tail >= ring.len {
        return Err(bad(last.at, format!("the tail {tail:#x} lies outside the log")));
    }
    if is_unmount(ring, head, &last)? {
        return Ok((Left::Clean, torn(head)?));
    }
    if tail == head {
        return Err(bad(head, "no whole record is left between tail and head"));
    }
    // The cycle after the last record's, where that one ends with the ring.
    let cycle = last.header.lsn.wrapping_shr(32).saturating_add(u64::from(last.at >= head));
    let next = cycle.wrapping_shl(32) | head;
    Ok((Left::Dirty { tail: first_whole(ring, tail, head)?, head, next }, torn(head)?))
}

impl Torn {
    /// What of the log is left out.
    pub(super) fn note(&self) -> String {
        let (bytes, at) = (self.blocks.saturating_mul(SECTOR_BYTES), self.at);
        format!(
            "the newest {bytes} bytes of the log, from block {at:#x} on, are torn and were left out, as the kernel does"
        )
    }
}

/// What was written of the newest cycle from the head on. Only a record of that cycle shows that it was: other programs
/// than the kernel leave blocks there that are of none.
fn torn(ring: &Ring<'_>, head: u64, written: u64) -> Result<Option<Torn>> {
    if head == written {
        return Ok(None);
    }
    let blocks = ring.distance(head, written);
    let newest = ring.cycle_of(head.saturating_add(blocks).saturating_sub(1))?;
    // What was written before the end of the ring is of the cycle before that of its beginning.
    let before_end = blocks.min(ring.len.saturating_sub(head));
    let around = blocks.saturating_sub(before_end);
    let cycle = newest.saturating_sub(u32::from(around > 0));
    let is_torn = ring.begins_record(head, before_end, cycle)? || ring.begins_record(0, around, newest)?;
    Ok(is_torn.then_some(Torn { at: head, blocks }))
}

/// Blocks that may be in flight, or of one record.
fn window(ring: &Ring<'_>, buffers: u64) -> u64 {
    let record = if ring.volume.superblock.features.log_v2 { MAX_RECORD } else { BYTES_A_HEADER };
    buffers.saturating_mul(record).checked_div(SECTOR_BYTES).unwrap_or(0)
}

/// Where the writing stopped; none where nothing was written ever.
fn head(ring: &Ring<'_>) -> Result<Option<Head>> {
    let end = ring.len.saturating_sub(1);
    let (first, last) = (ring.cycle_of(0)?, ring.cycle_of(end)?);
    let flight = window(ring, BUFFERS).min(ring.len);
    if first == 0 {
        return Ok(None);
    }
    if last == 0 {
        if first != 1 {
            return Err(bad(0, format!("cycle {first}, and none at the end: not a log")));
        }
        let guess = cycle_start(ring, end, 0)?;
        let start = guess.saturating_sub(flight);
        let head = ring.find_cycle(start, guess.saturating_sub(start), 0)?.unwrap_or(guess);
        let at = whole(ring, start, head, 0)?.ok_or_else(|| bad(head, "no record before it"))?;
        return Ok(Some(Head { at, written: guess }));
    }
    let (guess, stop) = if first == last {
        // All of one cycle, or a hole of the cycle before near the end.
        (ring.len, last.wrapping_sub(1))
    } else {
        (cycle_start(ring, end, last)?, last)
    };
    let head = if guess >= flight {
        ring.find_cycle(guess.saturating_sub(flight), flight, stop)?.unwrap_or(guess)
    } else {
        let behind = flight.saturating_sub(guess);
        match ring.find_cycle(ring.len.saturating_sub(behind), behind, stop.wrapping_sub(1))? {
            Some(hole) => hole,
            None => ring.find_cycle(0, guess, stop)?.unwrap_or(guess),
        }
    };
    // It must not stand within a record.
    let record = window(ring, 1).min(ring.len);
    if let Some(at) = whole(ring, head.saturating_sub(record), head, 0)? {
        return Ok(Some(Head { at, written: guess }));
    }
    let start = ring.len.saturating_sub(record.saturating_sub(head));
    let around = whole(ring, start, ring.len, head)?.ok_or_else(|| bad(head, "no record before it"))?;
    Ok(Some(Head { at: if around == ring.len { head } else { around }, written: guess }))
}

/// A first block of `cycle` before `last`, which has it, by halving.
fn cycle_start(ring: &Ring<'_>, last: u64, cycle: u32) -> Result<u64> {
    let (mut first, mut last) = (0, last);
    loop {
        let middle = u64::midpoint(first, last);
        if middle == first || middle == last {
            return Ok(last);
        }
        if ring.cycle_of(middle)? == cycle {
            last = middle;
        } else {
            first = middle;
        }
    }
}

/// `end`, or the start of the last record before it where that one does not end there. None where the start of the
/// ring was met; then `extra` of the record's blocks are looked for there.
fn whole(ring: &Ring<'_>, start: u64, end: u64, extra: u64) -> Result<Option<u64>> {
    let count = end.saturating_sub(start);
    let Some((at, header)) = ring.header_before(end, count)? else {
        return if start == 0 { Ok(None) } else { Err(bad(end, format!("no record in the {count} blocks before it"))) };
    };
    let uuid = ring.volume.superblock.uuid;
    if header.uuid != uuid && header.uuid != [0; 16] {
        return Err(bad(at, "the record is of another filesystem"));
    }
    let found = end.saturating_sub(at).saturating_add(extra);
    let whole = found == header.blocks(ring).saturating_add(header.body_blocks());
    Ok(Some(if whole { end } else { at }))
}

/// The last record before `head`, not before `tail`.
fn last_before(ring: &Ring<'_>, head: u64, tail: u64) -> Result<Last> {
    let found = ring.header_before(head.saturating_add(ring.len), ring.distance(tail, head))?;
    let (at, header) = found.ok_or_else(|| bad(head, "no record before it"))?;
    Ok(Last { at: ring.wrap(at), header })
}

/// Whether the newest record says that the filesystem was unmounted.
fn is_unmount(ring: &Ring<'_>, head: u64, last: &Last) -> Result<bool> {
    let body = last.at.saturating_add(last.header.blocks(ring));
    let end = body.saturating_add(last.header.body_blocks());
    if ring.wrap(end) != head || last.header.operations != 1 {
        return Ok(false);
    }
    let mut operation = [0; SECTOR];
    ring.read(body, &mut operation)?;
    Ok(u8_at(&operation, FLAGS_AT) & UNMOUNT != 0)
}

/// Takes torn records off the head: of those that may have been in flight, the first that does not match its
/// checksum and all behind it.
fn trim(ring: &Ring<'_>, head: u64, last: Last) -> Result<(u64, Last)> {
    let tail = last.header.tail();
    if tail >= ring.len {
        return Err(bad(last.at, format!("the tail {tail:#x} lies outside the log")));
    }
    let (mut start, mut left) = (last.at, BUFFERS);
    while left > 1 && start != tail {
        let before = ring.header_before(start.saturating_add(ring.len), ring.distance(tail, start))?;
        let Some((at, _)) = before else { break };
        start = ring.wrap(at);
        left = left.saturating_sub(1);
    }
    match walk(ring, start, head, false, &mut |_| Ok(()))? {
        None => Ok((head, last)),
        Some(Bad { at, .. }) => Ok((at, last_before(ring, at, tail)?)),
    }
}

/// The first record from the tail on from which on all are whole. The newest records may have been written over
/// the oldest, which then were not needed any more.
fn first_whole(ring: &Ring<'_>, tail: u64, head: u64) -> Result<u64> {
    let nothing = || bad(tail, "no record between tail and head");
    let (mut tail, header) = ring.header_from(tail, ring.distance(tail, head))?.ok_or_else(nothing)?;
    let reach = header.size(ring).min(MAX_RECORD).saturating_mul(BUFFERS).checked_div(SECTOR_BYTES).unwrap_or(0);
    while let Some(Bad { at, what }) = walk(ring, tail, head, false, &mut |_| Ok(()))? {
        if ring.distance(head, at) > reach || at == head {
            return Err(bad(at, what));
        }
        let next = ring.wrap(at.saturating_add(1));
        if next == head {
            return Err(nothing());
        }
        tail = ring.header_from(next, ring.distance(next, head))?.ok_or_else(nothing)?.0;
    }
    Ok(tail)
}
