//! Block group descriptors: where each group's inode table begins. See "Block Group Descriptors" and "Meta Block
//! Groups" in the kernel's ext4 documentation.

use super::{
    LAYER,
    bytes::{join, le16, le32},
    checksum::{crc16, crc32c},
    features,
    reader::Buffered,
    superblock::Superblock,
    volume::Volume,
};
use crate::error::{Error, Result};

/// More groups than this (128 TiB in blocks of 4 KiB) are refused: their table is kept in memory.
const MAX_GROUPS: u32 = 1 << 20;
/// So many damaged descriptors are named; the others are counted.
const MAX_NAMED: usize = 16;
const CHECKSUM_AT: usize = 0x1E;

/// The first block of every group's inode table.
#[derive(Default)]
pub(super) struct Groups {
    /// Zero where no copy of the descriptor is whole.
    inode_tables: Vec<u64>,
}

impl Groups {
    /// Reads all descriptors; a damaged one is replaced by its copy. What was found goes to `notes` and `gaps`.
    pub(super) fn read(volume: &Volume, notes: &mut Vec<String>, gaps: &mut Vec<String>) -> Result<Self> {
        let superblock = &volume.superblock;
        if superblock.groups > MAX_GROUPS {
            return Err(Error::budget(LAYER, format!("{} block groups, more than {MAX_GROUPS}", superblock.groups)));
        }
        let mut inode_tables = Vec::new();
        let mut buf = Vec::new();
        let (mut from_copies, mut lost) = (0_u32, 0_usize);
        let per_block = per_block(superblock);
        let mut copies = Copies::new(volume);
        let mut loaded = None;
        for group in 0..superblock.groups {
            let (number, slot) = split(group, per_block);
            if loaded != Some(number) {
                loaded = Some(number);
                if volume.read_block(first_location(superblock, number), &mut buf).is_err() {
                    buf.clear();
                }
            }
            let table = match decode(superblock, group, slot, &buf) {
                Ok(table) => copies.confirm(group, table),
                Err(error) => copies.replace(group, error).inspect(|_| from_copies = from_copies.saturating_add(1)),
            };
            inode_tables.push(table.unwrap_or_else(|error| {
                lost = lost.saturating_add(1);
                if lost <= MAX_NAMED {
                    gaps.push(error.to_string());
                }
                0
            }));
        }
        if from_copies > 0 {
            notes.push(format!("{from_copies} damaged group descriptors were read from their copies"));
        }
        if lost > MAX_NAMED {
            gaps.push(format!("{LAYER}: {} more group descriptors are damaged", lost.saturating_sub(MAX_NAMED)));
        }
        Ok(Self { inode_tables })
    }

    /// Only the descriptor of one group: the journal is read before the others can be believed.
    pub(super) fn read_one(volume: &Volume, group: u32) -> Result<u64> {
        let superblock = &volume.superblock;
        let (number, slot) = split(group, per_block(superblock));
        let mut buf = Vec::new();
        volume
            .read_block(first_location(superblock, number), &mut buf)
            .and_then(|()| decode(superblock, group, slot, &buf))
            .or_else(|error| Copies::new(volume).replace(group, error))
    }

    /// First block of a group's inode table.
    pub(super) fn inode_table(&self, group: u32) -> Option<u64> {
        let at = usize::try_from(group).ok()?;
        self.inode_tables.get(at).copied().filter(|table| *table != 0)
    }
}

fn per_block(superblock: &Superblock) -> u32 {
    superblock.block_size.checked_div(u32::from(superblock.descriptor_size)).unwrap_or(1).max(1)
}

/// The descriptor block that holds a group, and the place in it.
fn split(group: u32, per_block: u32) -> (u32, u32) {
    (group.checked_div(per_block).unwrap_or(0), group.checked_rem(per_block).unwrap_or(0))
}

fn in_meta_group(superblock: &Superblock, number: u32) -> bool {
    superblock.features.incompat(features::INCOMPAT_META_BG) && number >= superblock.first_meta_bg
}

/// Block number of the first copy of a descriptor block.
fn first_location(superblock: &Superblock, number: u32) -> u64 {
    if in_meta_group(superblock, number) {
        return meta_location(superblock, number.saturating_mul(per_block(superblock)), number);
    }
    // Behind the superblock, which shares block 0 with the boot sector unless blocks are of 1 KiB.
    u64::from(superblock.block_size == 1024).saturating_add(1).saturating_add(u64::from(number))
}

/// Block number of a descriptor block's copy in `group`, which belongs to its meta block group.
fn meta_location(superblock: &Superblock, group: u32, number: u32) -> u64 {
    let boot = superblock.block_size == 1024 && number == 0 && superblock.first_data_block == 0 && group == 0;
    superblock
        .group_start(group)
        .saturating_add(u64::from(superblock.has_superblock(group)))
        .saturating_add(u64::from(boot))
}

/// The copies of the descriptors, and which blocks of them were read last.
struct Copies<'a> {
    volume: &'a Volume,
    blocks: [Buffered; 2],
}

impl<'a> Copies<'a> {
    fn new(volume: &'a Volume) -> Self {
        Self { volume, blocks: Default::default() }
    }

    /// The inode table that the first descriptor of a group names, unless that has no checksum and its copies say
    /// something else. A table never moves but with all copies; of the counters and flags they know nothing.
    fn confirm(&mut self, group: u32, table: u64) -> Result<u64> {
        if has_checksums(self.volume.superblock.features) || self.are_elsewhere() {
            return Ok(table);
        }
        match self.table(0, group).or_else(|| self.table(1, group)) {
            Some(other) if other != table && self.table(1, group) != Some(table) => Err(Error::corrupt(
                LAYER,
                format!("group descriptor {group}"),
                format!("inode table at block {table:#x}, and at {other:#x} in its copy"),
            )),
            _ => Ok(table),
        }
    }

    /// The inode table that the copies of a damaged descriptor name, unless they differ; what is damaged is `error`.
    fn replace(&mut self, group: u32, error: Error) -> Result<u64> {
        match (self.table(0, group), self.table(1, group)) {
            (Some(one), Some(two)) if one != two => Err(error),
            (one, two) => one.or(two).ok_or(error),
        }
    }

    /// The inode table that a copy names, when it is whole.
    fn table(&mut self, which: usize, group: u32) -> Option<u64> {
        let superblock = &self.volume.superblock;
        let (number, slot) = split(group, per_block(superblock));
        let place = copies_of(superblock, number).get(which).copied().flatten()?;
        if !superblock.holds(place, 1) {
            return None;
        }
        let at = place.saturating_mul(superblock.block_bytes());
        let block = self.blocks.get_mut(which)?.read(self.volume, at, superblock.block_len()).ok()?;
        decode(superblock, group, slot, block).ok()
    }

    /// With clusters of more than one block of 1 KiB, kernels before 6.6 that enlarged the filesystem wrote the copies
    /// one block too far.
    fn are_elsewhere(&self) -> bool {
        let superblock = &self.volume.superblock;
        superblock.block_size == 1024 && superblock.first_data_block == 0
    }
}

/// Block numbers of two copies of a descriptor block; whether the filesystem reaches as far is not looked at.
fn copies_of(superblock: &Superblock, number: u32) -> [Option<u64>; 2] {
    if in_meta_group(superblock, number) {
        let per_block = per_block(superblock);
        let first = number.saturating_mul(per_block);
        let last = first.saturating_add(per_block).saturating_sub(1);
        return [first.saturating_add(1), last].map(|at| Some(meta_location(superblock, at, number)));
    }
    let sparse = superblock.features.compat(features::COMPAT_SPARSE_SUPER2);
    let groups = if sparse { superblock.backup_groups } else { [1, 3] };
    // Zero stands for no copy.
    groups.map(|at| (at != 0).then(|| superblock.group_start(at).saturating_add(1).saturating_add(u64::from(number))))
}

/// The inode table that a descriptor names, when descriptor and table are sane.
fn decode(superblock: &Superblock, group: u32, slot: u32, block: &[u8]) -> Result<u64> {
    let bad = |what: String| Error::corrupt(LAYER, format!("group descriptor {group}"), what);
    let len = usize::from(superblock.descriptor_size);
    let raw = usize::try_from(slot)
        .ok()
        .and_then(|slot| slot.checked_mul(len))
        .and_then(|at| block.get(at..at.checked_add(len)?))
        .ok_or_else(|| bad("cannot be read".to_owned()))?;
    let found = le16(raw, CHECKSUM_AT);
    if let Some(expected) = checksum(superblock, group, raw).filter(|expected| *expected != found) {
        return Err(bad(format!("checksum {found:#06x} instead of {expected:#06x}")));
    }
    let table = join(if len >= 64 { le32(raw, 0x28) } else { 0 }, le32(raw, 0x8));
    let table_bytes = u64::from(superblock.inodes_per_group).saturating_mul(u64::from(superblock.inode_size));
    let blocks = table_bytes.div_ceil(superblock.block_bytes());
    if !superblock.holds(table, blocks) {
        return Err(bad(format!("inode table at block {table:#x} of {:#x}", superblock.blocks_count)));
    }
    // `ext4_check_descriptors` of the kernel.
    let start = superblock.group_start(group);
    let own = start..start.saturating_add(u64::from(superblock.blocks_per_group));
    let is_inside = own.contains(&table) && table.saturating_add(blocks) <= own.end;
    if !is_inside && !superblock.features.incompat(features::INCOMPAT_FLEX_BG) {
        return Err(bad(format!("inode table at block {table:#x}, outside its group at {start:#x}")));
    }
    Ok(table)
}

fn has_checksums(features: features::Features) -> bool {
    features.metadata_csum() || features.ro_compat(features::RO_GDT_CSUM)
}

/// What the descriptor's checksum must be, where the filesystem keeps one.
fn checksum(superblock: &Superblock, group: u32, raw: &[u8]) -> Option<u16> {
    let (head, tail) = raw.split_at_checked(CHECKSUM_AT)?;
    let tail = tail.get(2..)?;
    let number = group.to_le_bytes();
    if superblock.features.metadata_csum() {
        let crc = crc32c(crc32c(superblock.checksum_seed, &number), head);
        return Some(super::bytes::low16(crc32c(crc32c(crc, &[0; 2]), tail)));
    }
    if superblock.features.ro_compat(features::RO_GDT_CSUM) {
        let crc = crc16(crc16(crc16(!0, &superblock.uuid), &number), head);
        return Some(crc16(crc, tail));
    }
    None
}
