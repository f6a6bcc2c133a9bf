//! "Header": 72 bytes in version 2, at least 104 in version 3, all numbers big-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `QFI\xfb` |
//! | 4 | 4 | version |
//! | 8 | 8 + 4 | backing file name: offset, length |
//! | 20 | 4 | cluster bits |
//! | 24 | 8 | size of the disk |
//! | 32 | 4 | encryption method |
//! | 36 | 4 + 8 | active L1 table: entries, offset |
//! | 48 | 8 + 4 | refcount table: offset, clusters |
//! | 60 | 4 + 8 | snapshots: number, offset |
//! | 72 | 8 each | incompatible, compatible, autoclear features |
//! | 96 | 4 | refcount order |
//! | 100 | 4 | header length |
//! | 104 | 1 | compression type |

use super::{LAYER, header_extension::Extensions};
use crate::{
    error::{Error, Result},
    field::narrow,
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

const VERSION_2_LENGTH: usize = 72;
const VERSION_3_LENGTH: u64 = 104;
/// A header may grow, but not past the smallest cluster that makes sense of it.
const MAX_HEADER_LENGTH: u64 = 4096;
/// "the maximum is 1023 bytes".
const MAX_BACKING_NAME: u32 = 1023;
/// As QEMU: 32 MiB of L1 entries.
const MAX_L1_ENTRIES: u64 = 4 << 20;

const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
const KNOWN: u64 = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION_TYPE | EXTENDED_L2;

/// How the clusters are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crypt {
    None,
    Aes,
    Luks,
}

/// How compressed clusters are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Zlib,
    Zstd,
}

/// An L1 table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct L1 {
    /// Where it lies in the file.
    pub(crate) at: u64,
    /// Its entries, of 8 bytes each.
    pub(crate) entries: u64,
}

/// The header.
pub(super) struct Header {
    pub(super) version: u32,
    pub(super) cluster_bits: u32,
    pub(super) size: u64,
    pub(super) crypt: Crypt,
    pub(super) l1: L1,
    pub(super) compression: Compression,
    pub(super) snapshots: u32,
    pub(super) snapshots_at: u64,
    /// Where the header extensions begin.
    pub(super) length: u64,
    backing_at: u64,
    backing_length: u32,
    incompatible: u64,
}

impl Header {
    pub(super) fn read(file: &dyn Image) -> Result<Self> {
        let bytes = read_vec(file, 0, narrow(file.len().min(MAX_HEADER_LENGTH)).max(VERSION_2_LENGTH))?;
        let s = Structure::new(LAYER, "header", 0, &bytes);
        if s.slice(0, 4)? != b"QFI\xfb" {
            return Err(s.wrong("the magic is not that of qcow2"));
        }
        let version = s.be32(4)?;
        let (incompatible, length) = match version {
            2 => (0, 72),
            3 => (s.be64(72)?, u64::from(s.be32(100)?)),
            other => return Err(Error::unsupported(LAYER, format!("version {other}; versions 2 and 3 are read"))),
        };
        if version == 3 && !(VERSION_3_LENGTH..=MAX_HEADER_LENGTH).contains(&length) {
            return Err(s.wrong(format!("its length is {length}: expected 104 to {MAX_HEADER_LENGTH}")));
        }
        let cluster_bits = s.be32(20)?;
        if !(9..=21).contains(&cluster_bits) {
            return Err(s.wrong(format!("clusters of 2^{cluster_bits} bytes: expected 2^9 to 2^21")));
        }
        let crypt = match s.be32(32)? {
            0 => Crypt::None,
            1 => Crypt::Aes,
            2 => Crypt::Luks,
            other => return Err(Error::unsupported(LAYER, format!("encryption method {other}"))),
        };
        let named = if incompatible & COMPRESSION_TYPE != 0 { s.slice(104, 1)? } else { &[0] };
        let compression = match named.first().copied().unwrap_or_default() {
            0 => Compression::Zlib,
            1 => Compression::Zstd,
            other => {
                return Err(Error::unsupported(LAYER, format!("compression type {other}; zlib and zstd are read")));
            }
        };
        if incompatible & EXTENDED_L2 != 0 && cluster_bits < 14 {
            return Err(s.wrong(format!("extended L2 entries with clusters of 2^{cluster_bits} bytes: at least 2^14")));
        }
        Ok(Self {
            version,
            cluster_bits,
            size: s.be64(24)?,
            crypt,
            l1: L1 { at: s.be64(40)?, entries: s.be32(36)?.into() },
            compression,
            snapshots: s.be32(60)?,
            snapshots_at: s.be64(64)?,
            length,
            backing_at: s.be64(8)?,
            backing_length: s.be32(16)?,
            incompatible,
        })
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.incompatible & DIRTY != 0
    }

    pub(super) fn is_corrupt(&self) -> bool {
        self.incompatible & CORRUPT != 0
    }

    pub(super) fn has_external_data(&self) -> bool {
        self.incompatible & EXTERNAL_DATA != 0
    }

    pub(super) fn has_extended_l2(&self) -> bool {
        self.incompatible & EXTENDED_L2 != 0
    }

    /// The name, from the image's own feature name table where it has one, of a feature that a reader must know
    /// and this one does not.
    pub(super) fn unknown_features(&self, extensions: &Extensions) -> Option<String> {
        let bit = (0..64_u8)
            .find(|bit| 1_u64.checked_shl((*bit).into()).is_some_and(|b| b & self.incompatible & !KNOWN != 0))?;
        let name = extensions.feature(bit).map(|name| format!(" ('{}')", name.escape_debug())).unwrap_or_default();
        Some(format!("the incompatible feature of bit {bit}{name}, which this reader does not have"))
    }

    /// The name of the backing file, if there is one.
    pub(super) fn backing(&self, file: &dyn Image) -> Result<Option<Vec<u8>>> {
        if self.backing_at == 0 || self.backing_length == 0 {
            return Ok(None);
        }
        if self.backing_length > MAX_BACKING_NAME {
            return Err(Error::corrupt(
                LAYER,
                "header",
                format!("the backing file's name has {} bytes: at most {MAX_BACKING_NAME}", self.backing_length),
            ));
        }
        read_vec(file, self.backing_at, narrow(self.backing_length)).map(Some)
    }

    /// Bytes of disk that one L1 entry maps, as a power of two.
    pub(super) fn l1_bits(&self) -> u32 {
        let entry_bits = if self.has_extended_l2() { 4 } else { 3 };
        self.cluster_bits.saturating_mul(2).saturating_sub(entry_bits)
    }

    /// Whether an L1 table is large enough for a disk of this size, and not larger than is sane.
    pub(super) fn check_l1(&self, l1: L1, size: u64) -> Result<()> {
        let per_entry = 1_u64.checked_shl(self.l1_bits()).unwrap_or(u64::MAX);
        let needed = size.div_ceil(per_entry);
        if needed > MAX_L1_ENTRIES || l1.entries > MAX_L1_ENTRIES {
            return Err(Error::budget(
                LAYER,
                format!(
                    "a disk of {size:#x} bytes in clusters of 2^{} needs an L1 table of {needed} entries, and {} are \
                     there: at most {MAX_L1_ENTRIES} are read",
                    self.cluster_bits, l1.entries
                ),
            ));
        }
        if l1.entries < needed {
            return Err(Error::corrupt(
                LAYER,
                format!("L1 table at {:#x}", l1.at),
                format!("it has {} entries: {needed} are needed for {size:#x} bytes", l1.entries),
            ));
        }
        Ok(())
    }
}
