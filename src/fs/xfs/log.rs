//! Whether the log holds changes that the volume lacks. The log is a ring of records; a clean unmount writes one last
//! record that says so. See "Journaling Log" in *XFS Algorithms & Data Structures*.

use super::{
    LAYER,
    bytes::{be32, capped, len64, u8_at},
    verify::BASIC_BLOCK,
    volume::Volume,
};
use crate::error::Result;

/// First word of a record's header; of any other block, the first word is the cycle in which it was written.
const RECORD: u32 = 0xFEED_BABE;
/// What may be in flight at once, and so may be torn: eight buffers of 256 KiB.
const WINDOW: u64 = 4096;
/// Offsets in a record's header: cycle, length of what follows in bytes, number of operations, size of the buffers.
const CYCLE_AT: usize = 4;
const VERSION_AT: usize = 8;
const LEN_AT: usize = 12;
const OPERATIONS_AT: usize = 40;
const SIZE_AT: usize = 320;
/// A header has room for the cycles of so many bytes; larger records of version 2 have more headers.
const BYTES_A_HEADER: u64 = 1 << 15;
/// Flags of an operation, behind its transaction, length and client; and what an unmount sets there.
const FLAGS_AT: usize = 9;
const UNMOUNT: u8 = 0x20;

/// How the log was left.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    Clean,
    Dirty,
    /// Not a log, or not one that can be followed.
    Unclear(String),
}

/// What to tell about the log, if anything.
pub(super) fn gap(volume: &Volume) -> Option<String> {
    let superblock = &volume.superblock;
    let blocks = u64::from(superblock.log_blocks);
    if superblock.log_start == 0 {
        return Some(format!("{LAYER}: the log is on another device; whether it is clean cannot be told"));
    }
    let Some(start) = superblock.block_place(superblock.log_start, blocks) else {
        return Some(format!("{LAYER}: the log of {blocks} blocks at {:#x} has no place", superblock.log_start));
    };
    let len = blocks.saturating_mul(superblock.block_bytes()).checked_div(BASIC_BLOCK).unwrap_or(0);
    match (Log { volume, start, len }).left() {
        Ok(Left::Clean) => None,
        Ok(Left::Dirty) => Some(format!(
            "{LAYER}: the log was not clean and was not replayed: the latest changes to names and metadata may be missing"
        )),
        Ok(Left::Unclear(what)) => Some(format!("{LAYER}: log at {start:#x}: {what}; it was not replayed")),
        Err(error) => Some(format!("the log cannot be read: {error}")),
    }
}

struct Log<'a> {
    volume: &'a Volume,
    start: u64,
    /// In blocks of 512 bytes, as all numbers here.
    len: u64,
}

/// The cycle of a block, by its first bytes.
fn cycle(block: &[u8]) -> u32 {
    let first = be32(block, 0);
    if first == RECORD { be32(block, CYCLE_AT) } else { first }
}

impl Log<'_> {
    fn read(&self, block: u64, buf: &mut [u8]) -> Result<()> {
        self.volume.read_at(self.start.saturating_add(block.saturating_mul(BASIC_BLOCK)), buf)
    }

    fn cycle_of(&self, block: u64) -> Result<u32> {
        let mut first = [0; 8];
        self.read(block, &mut first)?;
        Ok(cycle(&first))
    }

    /// The first block of which `after` holds; all behind it do.
    fn boundary(&self, after: impl Fn(u32) -> bool) -> Result<u64> {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low.midpoint(high);
            if after(self.cycle_of(middle)?) {
                high = middle;
            } else {
                low = middle.saturating_add(1);
            }
        }
        Ok(low)
    }

    fn left(&self) -> Result<Left> {
        if self.len < 2 {
            return Ok(Left::Unclear(format!("{} sectors are too few", self.len)));
        }
        let (first, last) = (self.cycle_of(0)?, self.cycle_of(self.len.saturating_sub(1))?);
        // Where the writing stopped: behind it are zeros, or the cycle before.
        let head = match (first, last) {
            (0, 0) => return Ok(Left::Clean),
            (first, last) if first == last => self.len,
            (_, last) => self.boundary(|cycle| cycle == last)?,
        };
        if head == 0 {
            return Ok(Left::Unclear(format!("cycle {first} at its start, {last} at its end")));
        }
        self.last_record(head)
    }

    /// Looks back from `head` for the last record.
    fn last_record(&self, head: u64) -> Result<Left> {
        let window = WINDOW.min(self.len);
        let first = head.saturating_sub(window);
        let mut bytes = vec![0; capped(head.saturating_sub(first).saturating_mul(BASIC_BLOCK), usize::MAX)];
        self.read(first, &mut bytes)?;
        let sectors = bytes.chunks_exact(capped(BASIC_BLOCK, usize::MAX));
        for (index, header) in sectors.clone().enumerate().rev() {
            if be32(header, 0) != RECORD {
                continue;
            }
            let at = first.saturating_add(len64(index));
            let len = u64::from(be32(header, LEN_AT));
            let size = if be32(header, VERSION_AT) & 2 != 0 { u64::from(be32(header, SIZE_AT)) } else { 0 };
            let headers = size.div_ceil(BYTES_A_HEADER).max(1);
            let body = at.saturating_add(headers);
            let end = body.saturating_add(len.div_ceil(BASIC_BLOCK));
            if be32(header, OPERATIONS_AT) != 1 || end != head {
                return Ok(Left::Dirty);
            }
            let offset = capped(body.saturating_sub(first), usize::MAX);
            let unmount = sectors.clone().nth(offset).is_some_and(|body| u8_at(body, FLAGS_AT) & UNMOUNT != 0);
            return Ok(if unmount { Left::Clean } else { Left::Dirty });
        }
        // A record may begin at the end of the ring and go on at its start; an unmount's never does when it is last
        // and nothing follows its header.
        Ok(if first == 0 && head < window {
            self.wrapped(head)?
        } else {
            Left::Unclear(format!("no record in the {window} sectors before {head:#x}"))
        })
    }

    /// The last record begins before the ring's end: only its body is at the start.
    fn wrapped(&self, head: u64) -> Result<Left> {
        let mut sector = [0; 512];
        let last = self.len.saturating_sub(1);
        self.read(last, &mut sector)?;
        let is_lone = be32(&sector, 0) == RECORD && be32(&sector, OPERATIONS_AT) == 1 && head == 1;
        self.read(0, &mut sector)?;
        Ok(if is_lone && u8_at(&sector, FLAGS_AT) & UNMOUNT != 0 { Left::Clean } else { Left::Dirty })
    }
}
