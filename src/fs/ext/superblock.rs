//! The superblock, 1024 bytes at byte 1024 of the volume, with copies in some block groups.
//! See "Super Block" in the kernel's ext4 documentation.

use super::{
    LAYER,
    bytes::{array, join, le16, le32, u8_at},
    checksum::crc32c,
    features::{self, Features},
};
use crate::{
    error::{Error, Result},
    image::Image,
};

/// Length of the superblock in bytes.
pub(super) const LEN: usize = 1024;
/// Byte offset of the first superblock on the volume.
const OFFSET: u64 = 1024;
const MAGIC: u16 = 0xEF53;
/// Blocks of 64 KiB are the largest that the format knows.
const MAX_LOG_BLOCK_SIZE: u32 = 6;
const CHECKSUM_AT: usize = 0x3FC;
const CRC32C_TYPE: u8 = 1;
/// Groups that usually hold a copy, whatever their spacing.
const BACKUP_GROUPS: [u64; 5] = [1, 3, 5, 7, 9];

const STATE_ERROR: u16 = 0x2;

/// The superblock's fields that a reader needs.
#[derive(Debug, Clone)]
pub(super) struct Superblock {
    pub(super) inodes_count: u32,
    pub(super) blocks_count: u64,
    pub(super) first_data_block: u32,
    /// Bytes in a block, 1 KiB to 64 KiB.
    pub(super) block_size: u32,
    /// 512-byte sectors in a cluster (a block, without bigalloc).
    pub(super) cluster_sectors: u64,
    pub(super) blocks_per_group: u32,
    pub(super) inodes_per_group: u32,
    pub(super) inode_size: u16,
    pub(super) first_inode: u32,
    pub(super) descriptor_size: u16,
    pub(super) first_meta_bg: u32,
    pub(super) backup_groups: [u32; 2],
    pub(super) groups: u32,
    pub(super) features: Features,
    pub(super) uuid: [u8; 16],
    pub(super) label: [u8; 16],
    /// Seconds since 1970 when it was mounted last, in the 32 bits that everyone writes.
    pub(super) mounted: u32,
    pub(super) journal_inode: u32,
    pub(super) last_orphan: u32,
    pub(super) orphan_file_inode: u32,
    pub(super) has_errors: bool,
    /// Start value of all metadata checksums.
    pub(super) checksum_seed: u32,
}

/// A superblock, and how it was found.
pub(super) struct Found {
    pub(super) superblock: Superblock,
    /// Set when the first superblock could not be used.
    pub(super) note: Option<String>,
    /// Set when nothing better than a damaged superblock was there.
    pub(super) gap: Option<String>,
}

impl Superblock {
    /// Decodes and checks the geometry; the checksum is [`checksum_matches`]'s.
    pub(super) fn parse(raw: &[u8; LEN]) -> Result<Self> {
        let bad = |what: String| Error::corrupt(LAYER, "superblock", what);
        let magic = le16(raw, 0x38);
        if magic != MAGIC {
            return Err(bad(format!("magic {magic:#06x} instead of {MAGIC:#06x}")));
        }
        let features = Features { compat: le32(raw, 0x5C), incompat: le32(raw, 0x60), ro_compat: le32(raw, 0x64) };
        features.check()?;
        let old_revision = le32(raw, 0x4C) == 0;
        let block_size = match le32(raw, 0x18) {
            log @ 0..=MAX_LOG_BLOCK_SIZE => 1024_u32 << log,
            log => return Err(bad(format!("block size of 2^{} bytes", u64::from(log).saturating_add(10)))),
        };
        let cluster_sectors = match le32(raw, 0x1C) {
            log @ 0..=30 if features.ro_compat(features::RO_BIGALLOC) => 2_u64 << log,
            _ => u64::from(block_size) >> 9,
        };
        let inode_size = if old_revision { 128 } else { le16(raw, 0x58) };
        if inode_size < 128 || !inode_size.is_power_of_two() || u32::from(inode_size) > block_size {
            return Err(bad(format!("inode size of {inode_size} bytes")));
        }
        let wide = features.incompat(features::INCOMPAT_64BIT);
        let descriptor_size = if wide { le16(raw, 0xFE) } else { 32 };
        if descriptor_size < 32 || !descriptor_size.is_power_of_two() || u32::from(descriptor_size) > block_size {
            return Err(bad(format!("group descriptor size of {descriptor_size} bytes")));
        }
        let blocks_count = join(if wide { le32(raw, 0x150) } else { 0 }, le32(raw, 0x4));
        let (first_data_block, blocks_per_group) = (le32(raw, 0x14), le32(raw, 0x20));
        let groups = blocks_count
            .checked_sub(u64::from(first_data_block))
            .filter(|blocks| *blocks > 0 && first_data_block <= 1)
            .ok_or_else(|| bad(format!("{blocks_count} blocks, the first data block being {first_data_block}")))?
            .checked_add(u64::from(blocks_per_group).saturating_sub(1))
            .and_then(|blocks| blocks.checked_div(u64::from(blocks_per_group)))
            .and_then(|groups| u32::try_from(groups).ok())
            .ok_or_else(|| bad(format!("{blocks_count} blocks in groups of {blocks_per_group}")))?;
        let bitmap_bits = block_size.saturating_mul(8);
        if features.ro_compat(features::RO_BIGALLOC) {
            let clusters = le32(raw, 0x24);
            let blocks = cluster_sectors.checked_div(u64::from(block_size) >> 9).unwrap_or(0);
            if clusters > bitmap_bits {
                return Err(bad(format!("{clusters} clusters in a group, at most {bitmap_bits}")));
            }
            if u64::from(clusters).saturating_mul(blocks) != u64::from(blocks_per_group) {
                return Err(bad(format!(
                    "{blocks_per_group} blocks in a group of {clusters} clusters of {blocks} blocks"
                )));
            }
        } else if blocks_per_group > bitmap_bits {
            return Err(bad(format!("{blocks_per_group} blocks in a group, at most {bitmap_bits}")));
        }
        let inodes_per_group = le32(raw, 0x28);
        if inodes_per_group == 0 || inodes_per_group > bitmap_bits {
            return Err(bad(format!("{inodes_per_group} inodes in a group")));
        }
        let uuid: [u8; 16] = array(raw, 0x68);
        let checksum_seed =
            if features.incompat(features::INCOMPAT_CSUM_SEED) { le32(raw, 0x270) } else { crc32c(!0, &uuid) };
        Ok(Self {
            inodes_count: le32(raw, 0x0),
            blocks_count,
            first_data_block,
            block_size,
            cluster_sectors,
            blocks_per_group,
            inodes_per_group,
            inode_size,
            first_inode: if old_revision { 11 } else { le32(raw, 0x54) },
            descriptor_size,
            first_meta_bg: le32(raw, 0x104),
            backup_groups: [le32(raw, 0x24C), le32(raw, 0x250)],
            groups,
            features,
            uuid,
            label: array(raw, 0x78),
            mounted: le32(raw, 0x2C),
            journal_inode: le32(raw, 0xE0),
            last_orphan: le32(raw, 0xE8),
            orphan_file_inode: le32(raw, 0x280),
            has_errors: le16(raw, 0x3A) & STATE_ERROR != 0 || le32(raw, 0x194) != 0,
            checksum_seed,
        })
    }

    pub(super) fn block_bytes(&self) -> u64 {
        u64::from(self.block_size)
    }

    pub(super) fn block_len(&self) -> usize {
        usize::try_from(self.block_size).unwrap_or(0)
    }

    /// Size of the filesystem in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.blocks_count.saturating_mul(self.block_bytes())
    }

    /// Whether `len` blocks from `block` lie where files and metadata can be.
    pub(super) fn holds(&self, block: u64, len: u64) -> bool {
        block >= u64::from(self.first_data_block)
            && block != 0
            && block.checked_add(len).is_some_and(|end| end <= self.blocks_count)
    }

    /// First block of a group.
    pub(super) fn group_start(&self, group: u32) -> u64 {
        u64::from(group)
            .saturating_mul(u64::from(self.blocks_per_group))
            .saturating_add(u64::from(self.first_data_block))
    }

    /// Whether a group begins with a copy of the superblock.
    pub(super) fn has_superblock(&self, group: u32) -> bool {
        if group == 0 {
            return true;
        }
        if self.features.compat(features::COMPAT_SPARSE_SUPER2) {
            return self.backup_groups.contains(&group);
        }
        group == 1
            || !self.features.ro_compat(features::RO_SPARSE_SUPER)
            || [3, 5, 7].into_iter().any(|base| is_power(group, base))
    }
}

fn is_power(mut number: u32, base: u32) -> bool {
    while number.checked_rem(base) == Some(0) && number > base {
        number = number.checked_div(base).unwrap_or(0);
    }
    number == base
}

/// Whether the superblock's own checksum holds, or there is none.
fn checksum_matches(raw: &[u8; LEN], features: Features) -> bool {
    if !features.metadata_csum() {
        return true;
    }
    let covered = raw.get(..CHECKSUM_AT).unwrap_or(raw);
    u8_at(raw, 0x175) == CRC32C_TYPE && crc32c(!0, covered) == le32(raw, CHECKSUM_AT)
}

fn read_at(image: &dyn Image, offset: u64) -> Result<[u8; LEN]> {
    let mut raw = [0; LEN];
    image.read_at(offset, &mut raw)?;
    Ok(raw)
}

/// Whether the first superblock is there and sane, or has features that are refused.
pub(super) fn probe(image: &dyn Image) -> Result<bool> {
    let end = OFFSET.saturating_add(super::bytes::wide(LEN));
    if image.len() < end {
        return Ok(false);
    }
    // What must be refused by name is recognised all the same.
    Ok(matches!(Superblock::parse(&read_at(image, OFFSET)?), Ok(_) | Err(Error::Unsupported { .. })))
}

/// The first superblock as a read function sees it (the replayed journal may hold a newer one).
pub(super) fn read_first(mut read: impl FnMut(u64, &mut [u8]) -> Result<()>) -> Result<Superblock> {
    let mut raw = [0; LEN];
    read(OFFSET, &mut raw)?;
    Superblock::parse(&raw)
}

/// The first superblock, else a copy that is whole, else the first one although its checksum does not match.
pub(super) fn find(image: &dyn Image) -> Result<Found> {
    let (first, unreadable) = match read_at(image, OFFSET) {
        Ok(raw) => (raw, None),
        Err(error) => ([0; LEN], Some(error)),
    };
    let (why, damaged) = match Superblock::parse(&first) {
        Ok(superblock) if checksum_matches(&first, superblock.features) => {
            return Ok(Found { superblock, note: None, gap: None });
        }
        Ok(superblock) => (Error::corrupt(LAYER, "superblock", "checksum mismatch"), Some(superblock)),
        Err(error @ Error::Unsupported { .. }) => return Err(error),
        Err(error) => (unreadable.unwrap_or(error), None),
    };
    if let Some((superblock, offset)) = find_copy(image, le32(&first, 0x20)) {
        let note = format!("{why}; the copy at {offset:#x} is used");
        return Ok(Found { superblock, note: Some(note), gap: None });
    }
    match damaged {
        Some(superblock) => Ok(Found { superblock, note: None, gap: Some(format!("{why}, and no copy is whole")) }),
        None => Err(why),
    }
}

/// Looks where copies lie with the group sizes that mke2fs chooses by itself, and with that which the damaged
/// superblock states.
fn find_copy(image: &dyn Image, stated_group: u32) -> Option<(Superblock, u64)> {
    (0..=MAX_LOG_BLOCK_SIZE)
        .map(|log| 1024_u64 << log)
        .flat_map(|block_size| {
            [block_size.saturating_mul(8), u64::from(stated_group)].map(|blocks| (block_size, blocks))
        })
        .flat_map(|(block_size, blocks)| BACKUP_GROUPS.map(|group| (block_size, blocks, group)))
        .find_map(|(block_size, blocks, group)| {
            let first = u64::from(block_size == 1024);
            let offset = blocks.saturating_mul(group).saturating_add(first).saturating_mul(block_size);
            let raw = read_at(image, offset).ok()?;
            let superblock = Superblock::parse(&raw).ok()?;
            let whole = u64::from(le16(&raw, 0x5A)) == group
                && superblock.block_bytes() == block_size
                && checksum_matches(&raw, superblock.features);
            whole.then_some((superblock, offset))
        })
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "this is a test")]
pub(super) mod tests {
    use super::*;

    /// Of `blocks` blocks of 4 KiB, without checksums.
    pub(in super::super) fn raw(blocks: u32) -> [u8; LEN] {
        let mut raw = [0; LEN];
        let fields: [(usize, u32); 8] = [
            (0x0, 16),
            (0x4, blocks),
            (0x18, 2),
            (0x1C, 2),
            (0x20, 32_768),
            (0x24, 32_768),
            (0x28, 16),
            (0x38, 0xEF53),
        ];
        for (at, value) in fields {
            raw[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        raw
    }

    // `ext4_handle_clustersize` of the kernel: a bitmap of one block says which blocks, or clusters, of a group are
    // used.
    #[test]
    fn groups_that_their_bitmaps_cannot_hold_are_refused() {
        let with = |group: u32, clusters: u32, log_cluster: Option<u32>| {
            let mut raw = raw(1 << 20);
            raw[0x20..0x24].copy_from_slice(&group.to_le_bytes());
            raw[0x24..0x28].copy_from_slice(&clusters.to_le_bytes());
            if let Some(log) = log_cluster {
                raw[0x1C..0x20].copy_from_slice(&log.to_le_bytes());
                raw[0x64..0x68].copy_from_slice(&features::RO_BIGALLOC.to_le_bytes());
            }
            Superblock::parse(&raw).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(with(32_768, 32_768, None), Ok(()));
        let refused = |what: &str| Err(format!("ext4: superblock: {what}"));
        assert_eq!(with(32_769, 32_769, None), refused("32769 blocks in a group, at most 32768"));
        assert_eq!(with(32_768 << 4, 32_768, Some(6)), Ok(()));
        assert_eq!(with(32_768 << 5, 32_768 << 1, Some(6)), refused("65536 clusters in a group, at most 32768"));
        assert_eq!(
            with(32_768 << 5, 32_768, Some(6)),
            refused("1048576 blocks in a group of 32768 clusters of 16 blocks")
        );
        assert!(with(32_768, 32_768, Some(1)).is_err());
    }

    #[test]
    fn sparse_groups() {
        let powers: Vec<u32> = (1..130).filter(|g| [3, 5, 7].into_iter().any(|b| is_power(*g, b))).collect();
        assert_eq!(powers, [3, 5, 7, 9, 25, 27, 49, 81, 125]);
    }
}
