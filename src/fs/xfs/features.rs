//! Feature bits of the superblock, and which of them would make this reader misread the volume.
//! See "Superblocks" in *XFS Algorithms & Data Structures*.

use super::{
    LAYER,
    bytes::{be16, be32},
};
use crate::error::{Error, Result};

/// `sb_versionnum`: the low four bits are the version, the others features of version 4.
const VERSION_MASK: u16 = 0x000F;
const VERSION_LOG_V2: u16 = 0x0400;
const VERSION_DIR2: u16 = 0x2000;
const VERSION_ASCII_CI: u16 = 0x4000;
const VERSION_MORE: u16 = 0x8000;
/// `sb_features2` of version 4.
const FEATURES2_FTYPE: u32 = 0x200;

const INCOMPAT_FTYPE: u32 = 0x1;
const INCOMPAT_SPARSE_INODES: u32 = 0x2;
const INCOMPAT_META_UUID: u32 = 0x4;
const INCOMPAT_BIGTIME: u32 = 0x8;
const INCOMPAT_NEEDS_REPAIR: u32 = 0x10;
const INCOMPAT_NREXT64: u32 = 0x20;
const INCOMPAT_EXCHRANGE: u32 = 0x40;
const INCOMPAT_PARENT: u32 = 0x80;
const INCOMPAT_KNOWN: u32 = INCOMPAT_FTYPE
    | INCOMPAT_SPARSE_INODES
    | INCOMPAT_META_UUID
    | INCOMPAT_BIGTIME
    | INCOMPAT_NEEDS_REPAIR
    | INCOMPAT_NREXT64
    | INCOMPAT_EXCHRANGE
    | INCOMPAT_PARENT;
/// Incompatible features that are not read, with their names.
const INCOMPAT_NAMED: [(u32, &str); 3] = [(0x100, "metadir"), (0x200, "zoned"), (0x400, "zone_gaps")];

const RO_COMPAT_REFLINK: u32 = 0x4;
/// Attributes that are changed by items of their own.
const LOG_INCOMPAT_KNOWN: u32 = 0x1;

/// What a volume has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Features {
    /// Version 5: checksums, owners and places in all metadata.
    pub(super) v5: bool,
    /// Directory entries state the kind of what they lead to.
    pub(super) ftype: bool,
    /// Names match without case, for ASCII letters.
    pub(super) ascii_ci: bool,
    /// Records of the log may be large, and lie in stripes.
    pub(super) log_v2: bool,
    ro_compat: u32,
    incompat: u32,
    log_incompat: u32,
}

impl Features {
    /// Reads the bits: `sb_versionnum` at 100, `sb_features2` at 200, from 208 to 224 those of version 5.
    pub(super) fn parse(sector: &[u8]) -> Result<Self> {
        let version = be16(sector, 100);
        let unsupported = |what: String| Err(Error::unsupported(LAYER, what));
        let v5 = match version & VERSION_MASK {
            4 => false,
            5 => true,
            other => return unsupported(format!("version {other} is not supported, only 4 and 5 are")),
        };
        if !v5 && version & VERSION_DIR2 == 0 {
            return unsupported("directories of version 1 are not supported".to_owned());
        }
        let more = |at: usize| if v5 { be32(sector, at) } else { 0 };
        let (ro_compat, incompat, log_incompat) = (more(212), more(216), more(220));
        let ftype = if v5 {
            incompat & INCOMPAT_FTYPE != 0
        } else {
            version & VERSION_MORE != 0 && be32(sector, 200) & FEATURES2_FTYPE != 0
        };
        let unknown = incompat & !INCOMPAT_KNOWN;
        if unknown != 0 {
            let mut names: Vec<String> = Vec::new();
            let mut rest = unknown;
            for (bit, name) in INCOMPAT_NAMED {
                if unknown & bit != 0 {
                    names.push(name.to_owned());
                    rest &= !bit;
                }
            }
            if rest != 0 {
                names.push(format!("incompatible bits {rest:#x}"));
            }
            return unsupported(format!("a feature that is not supported: {}", names.join(", ")));
        }
        let (ascii_ci, log_v2) = (version & VERSION_ASCII_CI != 0, v5 || version & VERSION_LOG_V2 != 0);
        Ok(Self { v5, ftype, ascii_ci, log_v2, ro_compat, incompat, log_incompat })
    }

    /// Extents may be shared between files.
    pub(super) fn reflink(self) -> bool {
        self.ro_compat & RO_COMPAT_REFLINK != 0
    }

    /// Bits of what the log may hold that are not known; the kernel mounts such a volume only when the log is clean.
    pub(super) fn log_incompat_unknown(self) -> u32 {
        self.log_incompat & !LOG_INCOMPAT_KNOWN
    }

    /// Metadata carries `sb_meta_uuid`, not `sb_uuid`.
    pub(super) fn meta_uuid(self) -> bool {
        self.incompat & INCOMPAT_META_UUID != 0
    }

    /// The kernel refuses to mount it before `xfs_repair` ran.
    pub(super) fn needs_repair(self) -> bool {
        self.incompat & INCOMPAT_NEEDS_REPAIR != 0
    }
}
