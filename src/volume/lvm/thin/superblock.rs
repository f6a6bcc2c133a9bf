//! The superblock of a pool: block 0 of its metadata.
//!
//! `dm-thin-metadata.c`, `struct thin_disk_superblock`: checksum at 0, flags at 4, block number at 8, magic at 32,
//! version at 40, roots of the mapping and of the devices' details at 320 and 328, sectors in a chunk and in a
//! metadata block at 336 and 340, incompatible features at 360.

use super::{BLOCK, LAYER, checksum};
use crate::{
    error::{Error, Result},
    field::{le32, le64},
    image::Image,
};

const MAGIC: u64 = 27_022_010;

/// `SUPERBLOCK_CSUM_XOR`.
const KIND: u32 = 160_774;

/// `THIN_METADATA_NEEDS_CHECK_FLAG`.
const NEEDS_CHECK: u32 = 1;

/// What is used of it.
pub(super) struct Superblock {
    /// The block in which the tree of all mappings begins.
    pub(super) mappings: u64,
    /// The block in which the tree of devices begins.
    pub(super) devices: u64,
    /// The size of a chunk in bytes.
    pub(super) chunk: u64,
    /// The kernel met an error and wants the metadata repaired.
    pub(super) needs_check: bool,
}

impl Superblock {
    pub(super) fn read(image: &dyn Image) -> Result<Self> {
        let wrong = |what: String| Error::corrupt(LAYER, "superblock", what);
        let mut block = [0; BLOCK];
        image.read_at(0, &mut block)?;
        let word = |at| le32(&block, at).unwrap_or_default();
        let long = |at| le64(&block, at).unwrap_or_default();
        if long(32) != MAGIC {
            return Err(wrong(format!("magic {:#x}, expected {MAGIC:#x}", long(32))));
        }
        let found = checksum(&block, KIND);
        if word(0) != found {
            return Err(wrong(format!("checksum {found:#010x}, expected {:#010x}", word(0))));
        }
        if !matches!(word(40), 1 | 2) || word(360) != 0 {
            let what = format!("metadata of version {} with features {:#x}", word(40), word(360));
            return Err(Error::unsupported(LAYER, what));
        }
        if word(340) != 8 {
            return Err(wrong(format!("metadata blocks of {} sectors, expected 8", word(340))));
        }
        // From 64 KiB to 1 GiB in steps of 64 KiB ("Thin provisioning" in the kernel's documentation).
        let sectors = word(336);
        if sectors % 128 != 0 || !(128..=1 << 21).contains(&sectors) {
            return Err(wrong(format!("chunks of {sectors} sectors")));
        }
        Ok(Self {
            mappings: long(320),
            devices: long(328),
            chunk: u64::from(sectors).saturating_mul(512),
            needs_check: word(4) & NEEDS_CHECK != 0,
        })
    }
}
