//! The superblock: geometry, identity, features; big-endian, at the start of every allocation group.
//! See "Superblocks" in *XFS Algorithms & Data Structures*.

use super::{
    LAYER,
    bytes::{array, be16, be32, be64, capped, u8_at},
    features::Features,
    verify,
};
use crate::{
    error::{Error, Result},
    image::Image,
};

pub(super) const MAGIC: u32 = 0x5846_5342;
const CRC_AT: usize = 224;
/// The smallest sector, which holds all fields.
pub(super) const MIN_SECTOR: usize = 512;
const MAX_SECTOR: usize = 1 << 15;
/// Numbers of allocation groups and block sizes that `mkfs.xfs` uses by itself: where a copy may be when the first
/// superblock does not say.
const USUAL_GROUPS: [u64; 4] = [4, 2, 16, 32];
const USUAL_BLOCKS: [u64; 3] = [4096, 1024, 512];
const MAX_BLOCK_LOG: u8 = 16;
/// `XFS_MIN_AG_BLOCKS`.
const MIN_AG_BLOCKS: u32 = 64;

/// Geometry and identity of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) block_log: u32,
    pub(super) blocks: u64,
    pub(super) uuid: [u8; 16],
    pub(super) meta_uuid: [u8; 16],
    pub(super) log_start: u64,
    pub(super) log_blocks: u32,
    pub(super) root: u64,
    pub(super) ag_blocks: u32,
    pub(super) ag_count: u32,
    pub(super) ag_block_log: u32,
    pub(super) sector_size: u16,
    pub(super) inode_log: u32,
    pub(super) dir_block_log: u32,
    pub(super) label: [u8; 12],
    pub(super) features: Features,
}

/// A superblock that was found, and what was wrong with the first one.
pub(super) struct Found {
    pub(super) superblock: Superblock,
    pub(super) note: Option<String>,
}

impl Superblock {
    /// Reads and checks a superblock that begins at byte `at` of the image.
    fn read(image: &dyn Image, at: u64) -> Result<Self> {
        let mut sector = vec![0; MIN_SECTOR];
        image.read_at(at, &mut sector)?;
        let superblock = Self::parse(&sector, at)?;
        let size = usize::from(superblock.sector_size);
        if superblock.features.v5 {
            sector.resize(size, 0);
            image.read_at(at, &mut sector)?;
            if let Some(what) = verify::crc(&sector, CRC_AT) {
                return Err(Error::corrupt(LAYER, format!("superblock at {at:#x}"), what));
            }
        }
        Ok(superblock)
    }

    /// Checks the fields of a superblock, whose checksum was checked or is not known yet.
    pub(super) fn parse(sector: &[u8], at: u64) -> Result<Self> {
        let bad = |what: String| Err(Error::corrupt(LAYER, format!("superblock at {at:#x}"), what));
        if be32(sector, 0) != MAGIC {
            return bad(format!("magic {:#010x} instead of {MAGIC:#010x}", be32(sector, 0)));
        }
        let features = Features::parse(sector)?;
        let (block_size, block_log) = (be32(sector, 4), u8_at(sector, 120));
        if !(9..=MAX_BLOCK_LOG).contains(&block_log) || block_size != 1 << block_log {
            return bad(format!("blocks of {block_size} bytes, log {block_log}"));
        }
        let (sector_size, sector_log) = (be16(sector, 102), u8_at(sector, 121));
        if !(9..=15).contains(&sector_log)
            || usize::from(sector_size) != 1 << sector_log
            || usize::from(sector_size) > MAX_SECTOR
            || sector_log > block_log
        {
            return bad(format!("sectors of {sector_size} bytes, log {sector_log}"));
        }
        let (inode_size, inode_log) = (be16(sector, 104), u8_at(sector, 122));
        if !(8..=11).contains(&inode_log) || usize::from(inode_size) != 1 << inode_log || inode_log > block_log {
            return bad(format!("inodes of {inode_size} bytes, log {inode_log}"));
        }
        if u8_at(sector, 123) != block_log.saturating_sub(inode_log) {
            return bad(format!("log {} of inodes in a block", u8_at(sector, 123)));
        }
        let (blocks, ag_blocks, ag_count) = (be64(sector, 8), be32(sector, 84), be32(sector, 88));
        let ag_block_log = u32::from(u8_at(sector, 124));
        let whole = u64::from(ag_blocks).saturating_mul(u64::from(ag_count));
        let last = whole.saturating_sub(u64::from(ag_blocks));
        if ag_blocks < MIN_AG_BLOCKS || blocks > whole || blocks <= last {
            return bad(format!("{blocks} blocks in {ag_count} groups of {ag_blocks}"));
        }
        if ag_blocks.next_power_of_two().trailing_zeros() != ag_block_log {
            return bad(format!("log {ag_block_log} of {ag_blocks} blocks in a group"));
        }
        let dir_log = block_log.saturating_add(u8_at(sector, 192));
        if dir_log > MAX_BLOCK_LOG {
            return bad(format!("directory blocks of 2^{dir_log} bytes"));
        }
        let uuid = array(sector, 32);
        Ok(Self {
            block_log: u32::from(block_log),
            blocks,
            uuid,
            meta_uuid: if features.meta_uuid() { array(sector, 248) } else { uuid },
            log_start: be64(sector, 48),
            log_blocks: be32(sector, 96),
            root: be64(sector, 56),
            ag_blocks,
            ag_count,
            ag_block_log,
            sector_size,
            inode_log: u32::from(inode_log),
            dir_block_log: u32::from(dir_log),
            label: array(sector, 108),
            features,
        })
    }

    pub(super) fn block_bytes(&self) -> u64 {
        1_u64.wrapping_shl(self.block_log)
    }

    pub(super) fn block_len(&self) -> usize {
        capped(self.block_bytes(), usize::MAX)
    }

    pub(super) fn inode_bytes(&self) -> u64 {
        1_u64.wrapping_shl(self.inode_log)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.blocks.saturating_mul(self.block_bytes())
    }

    /// The first byte and the number of blocks of an allocation group.
    pub(super) fn group(&self, number: u64) -> Option<(u64, u64)> {
        let first = number.checked_mul(u64::from(self.ag_blocks))?;
        let left = self.blocks.checked_sub(first).filter(|left| *left > 0)?;
        Some((first.checked_mul(self.block_bytes())?, left.min(u64::from(self.ag_blocks))))
    }

    /// The byte offset of `len` blocks from `block`, which is a group in its upper bits and a block in it in its
    /// lower ones; they must lie in one group.
    pub(super) fn block_place(&self, block: u64, len: u64) -> Option<u64> {
        let (start, blocks) = self.group(block.checked_shr(self.ag_block_log)?)?;
        let in_group = block & low_bits(self.ag_block_log);
        if in_group.checked_add(len)? > blocks {
            return None;
        }
        start.checked_add(in_group.checked_mul(self.block_bytes())?)
    }

    /// The byte offset of an inode, with the first byte of its group and the one behind it. An inode number is its
    /// group, its block in it and its index in the block.
    pub(super) fn inode_place(&self, number: u64) -> Option<(u64, u64, u64)> {
        let per_block = self.block_log.checked_sub(self.inode_log)?;
        let (start, blocks) = self.group(number.checked_shr(self.ag_block_log.checked_add(per_block)?)?)?;
        let block = number.checked_shr(per_block)? & low_bits(self.ag_block_log);
        if block >= blocks {
            return None;
        }
        let in_block = (number & low_bits(per_block)).checked_mul(self.inode_bytes())?;
        let end = start.checked_add(blocks.checked_mul(self.block_bytes())?)?;
        let at = start.checked_add(block.checked_mul(self.block_bytes())?)?.checked_add(in_block)?;
        Some((at, start, end))
    }
}

fn low_bits(bits: u32) -> u64 {
    1_u64.checked_shl(bits).unwrap_or(0).wrapping_sub(1)
}

/// Whether the image begins with the magic number, or has a sane copy of the superblock where one usually is.
pub(super) fn probe(image: &dyn Image) -> Result<bool> {
    let mut magic = [0; 4];
    if image.len() < 1 << 16 {
        return Ok(false);
    }
    image.read_at(0, &mut magic)?;
    Ok(be32(&magic, 0) == MAGIC || copy(image, &[]).is_some())
}

/// The first superblock, or a copy where that one is damaged.
pub(super) fn find(image: &dyn Image) -> Result<Found> {
    let error = match Superblock::read(image, 0) {
        Ok(superblock) => return Ok(Found { superblock, note: None }),
        Err(error) => error,
    };
    let mut sector = vec![0; MIN_SECTOR];
    let read = image.read_at(0, &mut sector).is_ok();
    let geometry = if read { sector.as_slice() } else { &[] };
    let Some((superblock, at)) = copy(image, geometry) else { return Err(error) };
    Ok(Found { superblock, note: Some(format!("{error}; the copy at {at:#x} was used")) })
}

/// A sane copy at the start of another group, where the damaged first superblock or usual sizes put it.
fn copy(image: &dyn Image, first: &[u8]) -> Option<(Superblock, u64)> {
    let stated = u64::from(be32(first, 84)).saturating_mul(u64::from(be32(first, 4)));
    let usual = USUAL_GROUPS.iter().flat_map(|groups| {
        USUAL_BLOCKS.iter().filter_map(move |block| {
            let blocks = image.len().checked_div(*block)?;
            blocks.div_ceil(*groups).checked_mul(*block)
        })
    });
    let places = std::iter::once(stated).chain(usual);
    places.filter(|at| *at > 0 && *at < image.len()).find_map(|at| {
        let superblock = Superblock::read(image, at).ok()?;
        let (start, _) = superblock.group(1)?;
        (start == at).then_some((superblock, at))
    })
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "this is a test")]
pub(super) mod tests {
    use super::*;

    /// Of version 4: three groups of 1000 blocks of 4 KiB.
    pub(in super::super) fn superblock() -> Superblock {
        let mut sector = vec![0; 512];
        let mut put = |at: usize, bytes: &[u8]| sector[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"XFSB");
        put(4, &4096_u32.to_be_bytes());
        put(8, &3000_u64.to_be_bytes());
        put(84, &1000_u32.to_be_bytes());
        put(88, &3_u32.to_be_bytes());
        put(100, &0xB4A4_u16.to_be_bytes());
        put(102, &512_u16.to_be_bytes());
        put(104, &256_u16.to_be_bytes());
        put(120, &[12, 9, 8, 4, 10]);
        Superblock::parse(&sector, 0).unwrap()
    }

    // The arithmetic of "Inode Numbers" in the documentation: group | block | index.
    #[test]
    fn numbers_become_places() {
        let superblock = superblock();
        let number = (1 << 14) | (8 << 4) | 3;
        assert_eq!(superblock.inode_place(number), Some((1008 * 4096 + 3 * 256, 1000 * 4096, 2000 * 4096)));
        assert_eq!(superblock.inode_place(3 << 14), None);
        assert_eq!(superblock.inode_place(1000 << 4), None);
        assert_eq!(superblock.inode_place(u64::MAX), None);
        assert_eq!(superblock.block_place((2 << 10) | 990, 10), Some(2990 * 4096));
        assert_eq!(superblock.block_place((2 << 10) | 990, 11), None);
        assert_eq!(superblock.block_place(u64::MAX, u64::MAX), None);
    }
}
