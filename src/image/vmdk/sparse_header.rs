//! "Hosted Sparse Extents", the header of 512 bytes.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `KDMV` |
//! | 4 | 4 | version, 1 to 3 |
//! | 8 | 4 | flags |
//! | 12 | 8 | capacity in sectors |
//! | 20 | 8 | grain size in sectors |
//! | 28, 36 | 8, 8 | descriptor: sector, sectors |
//! | 44 | 4 | entries in a grain table |
//! | 56 | 8 | sector of the grain directory; all ones: it is in the footer |
//! | 73 | 4 | `\n \r\n`, to show a transfer as text |
//! | 77 | 2 | compression: 1 is deflate |

use super::{LAYER, SECTOR};
use crate::{
    error::{Error, Result},
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

pub(super) const MAGIC: &[u8] = b"KDMV";
const LENGTH: usize = 512;
const GD_AT_END: u64 = u64::MAX;
const NEW_LINES_VALID: u32 = 1;
const ZERO_GRAINS: u32 = 1 << 2;
const COMPRESSED: u32 = 1 << 16;
/// 64 KiB is the default; QEMU's own limit of a grain is the same as this.
const MAX_GRAIN: u64 = 64 << 20;

/// The header.
pub(super) struct SparseHeader {
    /// Bytes of disk.
    pub(super) capacity: u64,
    /// Bytes in a grain.
    pub(super) grain: u64,
    pub(super) table_entries: u32,
    pub(super) directory_at: u64,
    pub(super) descriptor_at: u64,
    pub(super) descriptor_length: u64,
    pub(super) compressed: bool,
    /// Whether the grain table entry 1 means zeros.
    pub(super) zero_grains: bool,
}

impl SparseHeader {
    /// The header at the front; or, where that says so, the footer, which lies before the end-of-stream marker.
    pub(super) fn read(file: &dyn Image) -> Result<Self> {
        let header = Self::parse(file, 0)?;
        if header.directory_at != GD_AT_END {
            return Ok(header);
        }
        let at = file.len().saturating_sub(1024);
        let footer = Self::parse(file, at)?;
        if footer.directory_at == GD_AT_END {
            return Err(Error::corrupt(
                LAYER,
                format!("footer at {at:#x}"),
                "it does not say where the grain directory is",
            ));
        }
        Ok(Self { descriptor_at: header.descriptor_at, descriptor_length: header.descriptor_length, ..footer })
    }

    fn parse(file: &dyn Image, at: u64) -> Result<Self> {
        let bytes = read_vec(file, at, LENGTH)?;
        let s = Structure::new(LAYER, "sparse extent header", at, &bytes);
        if s.slice(0, 4)? != MAGIC {
            return Err(s.wrong("it does not begin with 'KDMV': the file was cut, or is no sparse extent"));
        }
        let (version, flags) = (s.le32(4)?, s.le32(8)?);
        if !(1..=3).contains(&version) {
            return Err(Error::unsupported(LAYER, format!("version {version} of a sparse extent; 1 to 3 are read")));
        }
        if flags & NEW_LINES_VALID != 0 && s.slice(73, 4)? != b"\n \r\n" {
            return Err(s.wrong("its line ends were changed: the file was transferred as text"));
        }
        let compressed = flags & COMPRESSED != 0;
        let method = s.le16(77)?;
        if compressed && method != 1 {
            return Err(Error::unsupported(LAYER, format!("compression method {method}; deflate is read")));
        }
        let sectors = |offset| -> Result<u64> {
            s.le64(offset)?
                .checked_mul(SECTOR)
                .ok_or_else(|| s.wrong(format!("a number of sectors at +{offset} is past 16 EiB")))
        };
        let grain = sectors(20)?;
        if !grain.is_power_of_two() || grain > MAX_GRAIN {
            return Err(s.wrong(format!("grains of {grain:#x} bytes: expected a power of two up to {MAX_GRAIN:#x}")));
        }
        let table_entries = s.le32(44)?;
        if table_entries == 0 {
            return Err(s.wrong("grain tables without entries"));
        }
        let directory_at = match s.le64(56)? {
            GD_AT_END => GD_AT_END,
            _ => sectors(56)?,
        };
        Ok(Self {
            capacity: sectors(12)?,
            grain,
            table_entries,
            directory_at,
            descriptor_at: sectors(28)?,
            descriptor_length: sectors(36)?,
            compressed,
            zero_grains: flags & ZERO_GRAINS != 0,
        })
    }
}
