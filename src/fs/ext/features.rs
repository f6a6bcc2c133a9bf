//! The feature bits of the superblock; see "Super Block", `s_feature_*`, in the kernel's ext4 documentation.

use super::LAYER;
use crate::error::{Error, Result};

/// The three feature words.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Features {
    /// A reader that does not know a bit may go on.
    pub(super) compat: u32,
    /// A reader that does not know a bit must stop.
    pub(super) incompat: u32,
    /// A reader that does not know a bit may read.
    pub(super) ro_compat: u32,
}

pub(super) const COMPAT_HAS_JOURNAL: u32 = 0x4;
pub(super) const COMPAT_SPARSE_SUPER2: u32 = 0x200;
pub(super) const COMPAT_ORPHAN_FILE: u32 = 0x1000;

const INCOMPAT_FILETYPE: u32 = 0x2;
pub(super) const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_JOURNAL_DEV: u32 = 0x8;
pub(super) const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_EXTENTS: u32 = 0x40;
pub(super) const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_MMP: u32 = 0x100;
pub(super) const INCOMPAT_FLEX_BG: u32 = 0x200;
pub(super) const INCOMPAT_EA_INODE: u32 = 0x400;
pub(super) const INCOMPAT_CSUM_SEED: u32 = 0x2000;
pub(super) const INCOMPAT_LARGEDIR: u32 = 0x4000;
const INCOMPAT_INLINE_DATA: u32 = 0x8000;
const INCOMPAT_ENCRYPT: u32 = 0x1_0000;
const INCOMPAT_CASEFOLD: u32 = 0x2_0000;

const INCOMPAT_READ: u32 = INCOMPAT_FILETYPE
    | INCOMPAT_RECOVER
    | INCOMPAT_META_BG
    | INCOMPAT_EXTENTS
    | INCOMPAT_64BIT
    | INCOMPAT_MMP
    | INCOMPAT_FLEX_BG
    | INCOMPAT_EA_INODE
    | INCOMPAT_CSUM_SEED
    | INCOMPAT_LARGEDIR
    | INCOMPAT_INLINE_DATA
    | INCOMPAT_ENCRYPT
    | INCOMPAT_CASEFOLD;

pub(super) const RO_SPARSE_SUPER: u32 = 0x1;
const RO_LARGE_FILE: u32 = 0x2;
const RO_BTREE_DIR: u32 = 0x4;
pub(super) const RO_HUGE_FILE: u32 = 0x8;
pub(super) const RO_GDT_CSUM: u32 = 0x10;
pub(super) const RO_BIGALLOC: u32 = 0x200;
pub(super) const RO_METADATA_CSUM: u32 = 0x400;
pub(super) const RO_ORPHAN_PRESENT: u32 = 0x1_0000;

/// What ext2 and ext3 knew; anything besides makes it ext4, as `blkid` decides.
const EXT3_INCOMPAT: u32 = INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_META_BG;
const EXT3_RO_COMPAT: u32 = RO_SPARSE_SUPER | RO_LARGE_FILE | RO_BTREE_DIR;

impl Features {
    pub(super) fn compat(self, bits: u32) -> bool {
        self.compat & bits != 0
    }

    pub(super) fn incompat(self, bits: u32) -> bool {
        self.incompat & bits != 0
    }

    pub(super) fn ro_compat(self, bits: u32) -> bool {
        self.ro_compat & bits != 0
    }

    pub(super) fn has_filetype(self) -> bool {
        self.incompat(INCOMPAT_FILETYPE)
    }

    pub(super) fn metadata_csum(self) -> bool {
        self.ro_compat(RO_METADATA_CSUM)
    }

    /// `ext2`, `ext3` or `ext4`.
    pub(super) fn generation(self) -> &'static str {
        if self.incompat & !EXT3_INCOMPAT != 0 || self.ro_compat & !EXT3_RO_COMPAT != 0 {
            "ext4"
        } else if self.compat(COMPAT_HAS_JOURNAL) {
            "ext3"
        } else {
            "ext2"
        }
    }

    /// Stops at what would be misread.
    pub(super) fn check(self) -> Result<()> {
        if self.incompat(INCOMPAT_JOURNAL_DEV) {
            return Err(Error::unsupported(LAYER, "this volume is an external journal and holds no files"));
        }
        match self.incompat & !INCOMPAT_READ {
            0 => Ok(()),
            bits => Err(Error::unsupported(LAYER, format!("unknown incompatible features {bits:#x}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bits_are_named() {
        let features = Features { incompat: INCOMPAT_EXTENTS | 0x1000, ..Features::default() };
        assert_eq!(features.check().unwrap_err().to_string(), "ext4: unknown incompatible features 0x1000");
        assert!(Features { incompat: INCOMPAT_JOURNAL_DEV, ..features }.check().is_err());
    }

    #[test]
    fn generations_as_blkid_has_them() {
        let ext2 = Features { incompat: INCOMPAT_FILETYPE, ro_compat: RO_LARGE_FILE, ..Features::default() };
        assert_eq!(ext2.generation(), "ext2");
        assert_eq!(Features { compat: COMPAT_HAS_JOURNAL, ..ext2 }.generation(), "ext3");
        assert_eq!(Features { ro_compat: RO_METADATA_CSUM, ..ext2 }.generation(), "ext4");
    }
}
