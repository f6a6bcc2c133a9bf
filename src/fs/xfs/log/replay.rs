//! The two passes over what is to be replayed, as the kernel takes them: first which buffers were cancelled, that is
//! freed, so that what is older must not come back; then all items in the order in which they were committed.

use std::collections::BTreeMap;

use super::{
    super::{
        bytes::{array, be64, capped},
        superblock::Superblock,
        verify::BASIC_BLOCK,
        volume::Volume,
    },
    buffer::{self, Buffer},
    inode_create, inode_item,
    intent::Pending,
    overlay::{Overlay, SECTOR},
    record::{self, Bad},
    renewed,
    ring::{Ring, bad},
    transaction::{Open, Transaction},
};
use crate::error::Result;

/// Buffers that were cancelled, each with so many items.
const MAX_CANCELLED: usize = 1 << 20;
/// Chunks of inodes that are made.
const MAX_CHUNKS: u32 = 1 << 16;

/// Groups whose headers are compared with the log.
const MAX_GROUPS: u32 = 1 << 10;
/// A group's first header (`xfs_agf`), its filesystem and its last transaction.
const MAGIC_GROUP: &[u8; 4] = b"XAGF";
const GROUP_UUID_AT: usize = 64;
const GROUP_LSN_AT: usize = 208;

const KIND_INODE: u16 = 0x123B;
const KIND_BUFFER: u16 = 0x123C;
const KIND_DQUOT: u16 = 0x123D;
const KIND_QUOTAOFF: u16 = 0x123E;
const KIND_INODE_CREATE: u16 = 0x123F;

/// What the second pass works on.
pub(super) struct Replay<'a> {
    volume: &'a Volume,
    /// As it is after what was replayed so far: a volume may have grown.
    pub(super) superblock: Superblock,
    /// The first superblock is damaged, and stays what a copy says.
    from_copy: bool,
    pub(super) overlay: Overlay,
    pub(super) pending: Pending,
    pub(super) transactions: u64,
    next: u64,
    /// First sector and number of sectors, and how many items are still to come that cancel it.
    cancelled: BTreeMap<(u64, u64), u32>,
    chunks: u32,
}

/// Replays from `tail` to `head`; `next` is the number that the next record would have. `from_copy` says that the
/// superblock is a copy of the first one.
pub(super) fn run<'a>(ring: &Ring<'a>, tail: u64, head: u64, next: u64, from_copy: bool) -> Result<Replay<'a>> {
    let mut replay = Replay {
        volume: ring.volume,
        superblock: ring.volume.superblock.clone(),
        from_copy,
        overlay: Overlay::default(),
        pending: Pending::default(),
        transactions: 0,
        next,
        cancelled: BTreeMap::new(),
        chunks: 0,
    };
    replay.check_groups().map_err(|what| bad(head, what))?;
    pass(ring, tail, head, &mut |transaction| replay.note_cancelled(transaction))?;
    pass(ring, tail, head, &mut |transaction| replay.transaction(transaction))?;
    Ok(replay)
}

type Each<'e> = &'e mut dyn FnMut(&Transaction) -> Result<(), String>;

/// Hands out each transaction that was committed.
fn pass(ring: &Ring<'_>, tail: u64, head: u64, each: Each<'_>) -> Result<()> {
    let mut open = Open::default();
    let broken = record::walk(ring, tail, head, true, &mut |record| {
        record.check(ring)?;
        open.record(&record, &mut |transaction| each(transaction).map_err(|what| bad(record.at, what)))
    })?;
    match broken {
        Some(Bad { at, what }) => Err(bad(at, what)),
        None => Ok(()),
    }
}

impl Replay<'_> {
    /// The first pass, in which it also shows whether all items make sense.
    fn note_cancelled(&mut self, transaction: &Transaction) -> Result<(), String> {
        for item in transaction.items() {
            let item = item?;
            if item.kind != KIND_BUFFER {
                continue;
            }
            let buffer = Buffer::parse(item.region(0))?;
            if buffer.is_cancel() {
                let count = self.cancelled.entry(buffer.place).or_default();
                *count = count.saturating_add(1);
            }
            if self.cancelled.len() > MAX_CANCELLED {
                return Err(format!("more than {MAX_CANCELLED} buffers were freed"));
            }
        }
        Ok(())
    }

    /// Inodes are made before they are filled, and what cancels a buffer comes last, since it ends the cancelling.
    fn transaction(&mut self, transaction: &Transaction) -> Result<(), String> {
        let lsn = transaction.lsn;
        self.transactions = self.transactions.saturating_add(1);
        let mut last = Vec::new();
        for item in transaction.items() {
            let item = item?;
            match item.kind {
                KIND_BUFFER => {
                    let buffer = Buffer::parse(item.region(0))?;
                    if buffer.is_cancel() {
                        last.push(buffer.place);
                    } else if !self.is_cancelled(buffer.place) {
                        buffer::replay(self, &buffer, &item, lsn)?;
                        self.follow_superblock(buffer.place)?;
                    }
                }
                KIND_INODE_CREATE => inode_create::replay(self, &item)?,
                KIND_INODE | KIND_DQUOT | KIND_QUOTAOFF => {}
                other if !self.pending.take(&item)? => return Err(format!("an item of unknown kind {other:#06x}")),
                _ => {}
            }
        }
        for item in transaction.items() {
            let item = item?;
            if item.kind == KIND_INODE {
                inode_item::replay(self, &item, lsn)?;
            }
        }
        for place in last {
            self.end_cancelling(place);
        }
        Ok(())
    }

    /// What comes behind a buffer of the first superblock may lie in what that adds to the volume, as the kernel takes it
    /// (`xlog_recover_update_agcount`).
    fn follow_superblock(&mut self, (sector, _): (u64, u64)) -> Result<(), String> {
        if sector == 0 && !self.from_copy {
            let mut first = [0; SECTOR];
            self.read(0, &mut first)?;
            self.superblock = renewed(&self.superblock, &first).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Whether the first groups' headers are no newer than the log, as the kernel finds when it mounts the volume.
    fn check_groups(&self) -> Result<(), String> {
        let superblock = &self.superblock;
        for group in 0..u64::from(superblock.ag_count.min(MAX_GROUPS)) {
            let Some((start, _)) = superblock.group(group).filter(|_| superblock.features.v5) else { break };
            let mut sector = [0; SECTOR];
            let place = start.saturating_add(u64::from(superblock.sector_size));
            self.read(place, &mut sector)?;
            if array::<4>(&sector, 0) == *MAGIC_GROUP && array::<16>(&sector, GROUP_UUID_AT) == superblock.meta_uuid {
                self.check_age(be64(&sector, GROUP_LSN_AT), place)?;
            }
        }
        Ok(())
    }

    /// Refuses metadata at a byte offset that is of a transaction which the log does not know yet: then this is not
    /// the log that it was written by, or records of it were lost that had reached the disk.
    pub(super) fn check_age(&self, lsn: u64, place: u64) -> Result<(), String> {
        if lsn > self.next && lsn != u64::MAX {
            return Err(format!(
                "metadata at {place:#x} is of {lsn:#x}, which is newer than the log, {:#x}",
                self.next
            ));
        }
        Ok(())
    }

    /// Whether a buffer is freed by an item that is still to come.
    pub(super) fn is_cancelled(&self, place: (u64, u64)) -> bool {
        self.cancelled.contains_key(&place)
    }

    /// Whether a buffer that begins in a range of sectors is freed by an item that is still to come.
    pub(super) fn cancels_within(&self, sector: u64, sectors: u64) -> bool {
        self.cancelled.range((sector, 0)..(sector.saturating_add(sectors), 0)).next().is_some()
    }

    fn end_cancelling(&mut self, place: (u64, u64)) {
        if let Some(count) = self.cancelled.get_mut(&place) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.cancelled.remove(&place);
            }
        }
    }

    pub(super) fn count_chunk(&mut self) -> Result<(), String> {
        self.chunks = self.chunks.saturating_add(1);
        if self.chunks > MAX_CHUNKS {
            Err(format!("more than {MAX_CHUNKS} chunks of inodes were made"))
        } else {
            Ok(())
        }
    }

    /// Fills `buf` from a byte offset of the volume, as it is after what was replayed so far.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), String> {
        self.volume.read_at(offset, buf).map_err(|error| error.to_string())?;
        self.overlay.patch(offset, buf);
        Ok(())
    }

    pub(super) fn put(&mut self, sector: u64, bytes: &[u8; SECTOR]) -> Result<(), String> {
        self.overlay.put(sector, bytes).map_err(|error| error.to_string())
    }

    /// Replaces bytes from a byte offset on.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let first = offset.checked_div(BASIC_BLOCK).unwrap_or(0);
        let mut skip = capped(offset.checked_rem(BASIC_BLOCK).unwrap_or(0), SECTOR);
        let mut rest = bytes;
        for sector in first.. {
            let (here, behind) = rest.split_at(rest.len().min(SECTOR.saturating_sub(skip)));
            if here.is_empty() {
                break;
            }
            let mut content = [0; SECTOR];
            if here.len() < SECTOR {
                self.read(sector.saturating_mul(BASIC_BLOCK), &mut content)?;
            }
            for (to, byte) in content.iter_mut().skip(skip).zip(here) {
                *to = *byte;
            }
            self.put(sector, &content)?;
            (rest, skip) = (behind, 0);
        }
        Ok(())
    }
}
