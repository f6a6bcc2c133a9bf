//! "ESXi Host Sparse Extents": the header of delta disks on VMFS (`COWD`).
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `COWD` |
//! | 4 | 4 | version, 1 |
//! | 12 | 4 | capacity in sectors |
//! | 16 | 4 | grain size in sectors |
//! | 20 | 4 | sector of the grain directory |

use super::{LAYER, SECTOR};
use crate::{
    error::Result,
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

pub(super) const MAGIC: &[u8] = b"COWD";
/// Entries in a grain table of this format.
pub(super) const TABLE_ENTRIES: u64 = 4096;

/// The header.
pub(super) struct CowdHeader {
    pub(super) capacity: u64,
    pub(super) grain: u64,
    pub(super) directory_at: u64,
}

impl CowdHeader {
    pub(super) fn read(file: &dyn Image) -> Result<Self> {
        let bytes = read_vec(file, 0, 512)?;
        let s = Structure::new(LAYER, "COWD header", 0, &bytes);
        let version = s.le32(4)?;
        if version != 1 {
            return Err(s.wrong(format!("version {version}: expected 1")));
        }
        let sectors = |offset| -> Result<u64> { Ok(u64::from(s.le32(offset)?).saturating_mul(SECTOR)) };
        let grain = sectors(16)?;
        if !grain.is_power_of_two() {
            return Err(s.wrong(format!("grains of {grain:#x} bytes: expected a power of two")));
        }
        Ok(Self { capacity: sectors(12)?, grain, directory_at: sectors(20)? })
    }
}
