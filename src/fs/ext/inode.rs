//! The inode, 128 bytes and more; see "Index Nodes" and "Inode Timestamps" in the kernel's ext4 documentation.

use super::{
    LAYER,
    bytes::{array, join, le16, le32, low16},
    checksum::crc32c,
    features,
    superblock::Superblock,
};
use crate::{
    error::{Error, Fault, Result},
    fs::{
        Kind, Times, Timestamp,
        unix::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, kind_of_mode},
    },
};

/// Inodes of the first format end here.
pub(super) const OLD_SIZE: u16 = 128;
/// Length of the area that holds the block map, a short link target or inline data.
pub(super) const BLOCK_LEN: usize = 60;
/// `i_extra_isize` that the kernel assumes where the field is zero.
const DEFAULT_EXTRA_SIZE: u16 = 32;

pub(super) const FLAG_ENCRYPT: u32 = 0x800;
pub(super) const FLAG_EXTENTS: u32 = 0x8_0000;
pub(super) const FLAG_EA_INODE: u32 = 0x20_0000;
pub(super) const FLAG_INLINE_DATA: u32 = 0x1000_0000;
/// The flags that `FS_IOC_GETFLAGS` shows.
const FLAGS_VISIBLE: u32 = 0x725B_DFFF;
const FLAG_PROJINHERIT: u32 = 0x2000_0000;

const CHECKSUM_LOW_AT: usize = 0x7C;
const CHECKSUM_HIGH_AT: usize = 0x82;

/// What of an inode says what it is and where the rest of it lies.
pub(super) struct Outline {
    mode: u16,
    pub(super) flags: u32,
    pub(super) links: u16,
    pub(super) size: u64,
    /// Block of extended attributes, or zero.
    pub(super) attribute_block: u64,
    pub(super) block: [u8; BLOCK_LEN],
}

impl Outline {
    pub(super) fn of(superblock: &Superblock, raw: &[u8]) -> Self {
        let features = superblock.features;
        let mode = le16(raw, 0x0);
        let long_size =
            mode & S_IFMT == S_IFREG || (mode & S_IFMT == S_IFDIR && features.incompat(features::INCOMPAT_LARGEDIR));
        let attribute_high = if features.incompat(features::INCOMPAT_64BIT) { le16(raw, 0x76) } else { 0 };
        Self {
            mode,
            flags: le32(raw, 0x20),
            links: le16(raw, 0x1A),
            size: join(if long_size { le32(raw, 0x6C) } else { 0 }, le32(raw, 0x4)),
            attribute_block: join(u32::from(attribute_high), le32(raw, 0x68)),
            block: array(raw, 0x28),
        }
    }

    /// Whether no name should lead here.
    pub(super) fn is_unused(&self) -> bool {
        self.links == 0 || self.mode == 0
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        kind_of_mode(self.mode)
    }

    /// Whether a symbolic link keeps its target where others keep the map.
    pub(super) fn has_short_target(&self, superblock: &Superblock, raw: &[u8]) -> bool {
        if self.mode & S_IFMT != S_IFLNK || self.flags & FLAG_INLINE_DATA != 0 {
            return false;
        }
        if superblock.features.incompat(features::INCOMPAT_EA_INODE) {
            return self.size < super::bytes::wide(BLOCK_LEN);
        }
        let huge = superblock.features.ro_compat(features::RO_HUGE_FILE);
        let high = if huge { u32::from(le16(raw, 0x74)) } else { 0 };
        let attribute_sectors = if self.attribute_block == 0 { 0 } else { superblock.cluster_sectors };
        join(high, le32(raw, 0x1C)) == attribute_sectors
    }
}

/// A decoded inode.
#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) number: u32,
    pub(super) generation: u32,
    mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u16,
    pub(super) size: u64,
    pub(super) flags: u32,
    pub(super) times: Times,
    /// Low word of the access time: in an attribute's inode, the checksum of its value.
    pub(super) access_word: u32,
    /// Deletion time, or the next inode of the orphan list.
    pub(super) deleted: u32,
    /// Block of extended attributes, or zero.
    pub(super) attribute_block: u64,
    pub(super) block: [u8; BLOCK_LEN],
    /// Where attributes inside the inode begin, when there is room for any.
    pub(super) attributes_at: Option<usize>,
    /// Whether a symbolic link's target is in `block`.
    pub(super) short_target: bool,
    /// Start value of the checksums of this inode's own blocks.
    pub(super) checksum_seed: u32,
    /// Set when the inode's checksum does not match.
    pub(super) mismatch: Option<Fault>,
}

impl Inode {
    /// Decodes `raw`, which is as long as the superblock says.
    pub(super) fn parse(superblock: &Superblock, number: u32, raw: &[u8]) -> Result<Self> {
        let features = superblock.features;
        let outline = Outline::of(superblock, raw);
        let generation = le32(raw, 0x64);
        let large = superblock.inode_size > OLD_SIZE;
        let stated_extra = if large { le16(raw, 0x80) } else { 0 };
        let end = OLD_SIZE.saturating_add(stated_extra);
        if end > superblock.inode_size || stated_extra & 3 != 0 {
            let what = format!("extra size {stated_extra} in an inode of {} bytes", superblock.inode_size);
            return Err(Error::corrupt(LAYER, format!("inode {number}"), what));
        }
        let end = if large && stated_extra == 0 { OLD_SIZE.saturating_add(DEFAULT_EXTRA_SIZE) } else { end };
        let short_target = outline.has_short_target(superblock, raw);
        let Outline { mode, flags, links, size, attribute_block, block } = outline;
        let seed = crc32c(superblock.checksum_seed, &number.to_le_bytes());
        let checksum_seed = crc32c(seed, &generation.to_le_bytes());
        let mut inode = Self {
            number,
            generation,
            mode,
            uid: u32::from(le16(raw, 0x2)) | (u32::from(le16(raw, 0x78)) << 16),
            gid: u32::from(le16(raw, 0x18)) | (u32::from(le16(raw, 0x7A)) << 16),
            links,
            size,
            flags,
            times: Times {
                mtime: Some(time(raw, 0x10, fits(0x88, end))),
                ctime: Some(time(raw, 0xC, fits(0x84, end))),
                crtime: fits(0x90, end).map(|at| time(raw, at, fits(0x94, end))),
                atime: Some(time(raw, 0x8, fits(0x8C, end))),
            },
            access_word: le32(raw, 0x8),
            deleted: le32(raw, 0x14),
            attribute_block,
            block,
            attributes_at: (stated_extra > 0).then_some(usize::from(end)),
            short_target,
            checksum_seed,
            mismatch: None,
        };
        if features.metadata_csum() {
            inode.mismatch = mismatch(&inode, raw, fits(CHECKSUM_HIGH_AT, OLD_SIZE.saturating_add(stated_extra)));
        }
        Ok(inode)
    }

    /// Whether no name should lead here.
    pub(super) fn is_unused(&self) -> bool {
        self.links == 0 || self.mode == 0
    }

    pub(super) fn kind(&self) -> Result<Kind> {
        kind_of_mode(self.mode)
            .ok_or_else(|| Error::corrupt(LAYER, self.at(), format!("mode {:#o} is of no known kind", self.mode)))
    }

    /// Permission bits.
    pub(super) fn permissions(&self) -> u32 {
        u32::from(self.mode & 0o7777)
    }

    /// The flags that `FS_IOC_GETFLAGS` shows.
    pub(super) fn visible_flags(&self) -> u32 {
        let hidden = if self.mode & S_IFMT == S_IFREG { FLAG_PROJINHERIT } else { 0 };
        self.flags & FLAGS_VISIBLE & !hidden
    }

    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Major and minor number: the old encoding in the first word, else the new one in the second.
    pub(super) fn device(&self) -> (u32, u32) {
        match (le32(&self.block, 0), le32(&self.block, 4)) {
            (0, new) => ((new & 0xF_FF00) >> 8, (new & 0xFF) | ((new >> 12) & 0xF_FF00)),
            (old, _) => ((old >> 8) & 0xFF, old & 0xFF),
        }
    }

    /// Where a fault of this inode is.
    pub(super) fn at(&self) -> String {
        format!("inode {}", self.number)
    }
}

/// The offset of a 32-bit field (or of the 16-bit checksum) when it lies before the inode's own end.
fn fits(at: usize, end: u16) -> Option<usize> {
    let width = if at == CHECKSUM_HIGH_AT { 2 } else { 4 };
    (at.checked_add(width)? <= usize::from(end)).then_some(at)
}

/// Seconds at `at`; the extra word holds two more bits of them below 30 bits of nanoseconds.
fn time(raw: &[u8], at: usize, extra_at: Option<usize>) -> Timestamp {
    let extra = extra_at.map_or(0, |at| le32(raw, at));
    let base = i64::from(i32::from_le_bytes(array(raw, at)));
    let epoch = i64::from(extra & 3) << 32;
    let nanos = extra >> 2;
    // Thirty bits can hold a little more than a second.
    let (carry, nanos) = match nanos.checked_sub(1_000_000_000) {
        Some(rest) => (1, rest),
        None => (0, nanos),
    };
    Timestamp { seconds: base.saturating_add(epoch).saturating_add(carry), nanos }
}

/// Compares the inode's checksum, whose own two halves count as zeros.
fn mismatch(inode: &Inode, raw: &[u8], high_at: Option<usize>) -> Option<Fault> {
    let covered = |crc, from: usize, to: usize| crc32c(crc, raw.get(from..to).unwrap_or_default());
    let mut crc = covered(inode.checksum_seed, 0, CHECKSUM_LOW_AT);
    crc = crc32c(crc, &[0; 2]);
    let (expected, found) = match high_at {
        Some(at) => {
            crc = covered(crc, CHECKSUM_LOW_AT.saturating_add(2), at);
            crc = crc32c(crc, &[0; 2]);
            crc = covered(crc, at.saturating_add(2), raw.len());
            (crc, u32::from(le16(raw, CHECKSUM_LOW_AT)) | (u32::from(le16(raw, at)) << 16))
        }
        None => {
            crc = covered(crc, CHECKSUM_LOW_AT.saturating_add(2), raw.len());
            (u32::from(low16(crc)), u32::from(le16(raw, CHECKSUM_LOW_AT)))
        }
    };
    (expected != found)
        .then(|| Fault::new(LAYER, inode.at(), format!("checksum {found:#010x} instead of {expected:#010x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: i32, extra: u32) -> (i64, u32) {
        let mut raw = base.to_le_bytes().to_vec();
        raw.extend(extra.to_le_bytes());
        let time = time(&raw, 0, Some(4));
        (time.seconds, time.nanos)
    }

    // The table of "Inode Timestamps" in the kernel's ext4 documentation.
    #[test]
    fn epoch_bits() {
        assert_eq!(at(-1, 0), (-1, 0));
        assert_eq!(at(i32::MIN, 0), (-0x8000_0000, 0));
        assert_eq!(at(i32::MAX, 0), (0x7FFF_FFFF, 0));
        assert_eq!(at(i32::MIN, 1), (0x8000_0000, 0));
        assert_eq!(at(-1, 1), (0xFFFF_FFFF, 0));
        assert_eq!(at(0, 1), (0x1_0000_0000, 0));
        assert_eq!(at(i32::MAX, 3), (0x3_7FFF_FFFF, 0));
        assert_eq!(at(5, 999_999_999 << 2), (5, 999_999_999));
        assert_eq!(at(5, 1_000_000_001 << 2), (6, 1));
    }
}
