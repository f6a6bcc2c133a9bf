//! seSparse, the delta disks of vSphere 6.5 and later; VMware has not published it. Fields as in QEMU,
//! block/vmdk.c, `VMDKSESparseConstHeader`: all are 8 bytes, offsets and lengths count sectors.
//!
//! | offset | field |
//! |---|---|
//! | 0 | magic 0xcafebabe |
//! | 8 | version 0x2_0000_0001 |
//! | 16, 24 | capacity, grain size |
//! | 32 | grain table size |
//! | 128 | grain directory |
//! | 144 | grain tables |
//! | 192 | grains |

use super::{LAYER, SECTOR};
use crate::{
    error::{Error, Result},
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

pub(super) const MAGIC: &[u8] = &[0xbe, 0xba, 0xfe, 0xca, 0, 0, 0, 0];
const VERSION: u64 = 0x2_0000_0001;
/// Sectors in a grain table, and its entries of 8 bytes.
const TABLE_SECTORS: u64 = 64;
pub(super) const TABLE_ENTRIES: u64 = TABLE_SECTORS * SECTOR / 8;
/// Which sector the volatile header is; in it, at 24, whether the journal must be replayed.
const VOLATILE_AT: usize = 80;

/// The header that does not change.
pub(super) struct SeSparseHeader {
    pub(super) capacity: u64,
    pub(super) grain: u64,
    pub(super) directory_at: u64,
    pub(super) tables_at: u64,
    pub(super) grains_at: u64,
}

impl SeSparseHeader {
    pub(super) fn read(file: &dyn Image) -> Result<Self> {
        let bytes = read_vec(file, 0, 512)?;
        let s = Structure::new(LAYER, "seSparse header", 0, &bytes);
        let version = s.le64(8)?;
        if version != VERSION || s.le64(32)? != TABLE_SECTORS {
            return Err(Error::unsupported(
                LAYER,
                format!("seSparse version {version:#x} with grain tables of {} sectors", s.le64(32)?),
            ));
        }
        let sectors = |offset| -> Result<u64> {
            s.le64(offset)?
                .checked_mul(SECTOR)
                .ok_or_else(|| s.wrong(format!("a number of sectors at +{offset} is past 16 EiB")))
        };
        let grain = sectors(24)?;
        if grain == 0 || !grain.is_power_of_two() {
            return Err(s.wrong(format!("grains of {grain:#x} bytes: expected a power of two")));
        }
        let volatile_at = sectors(VOLATILE_AT)?;
        let volatile = read_vec(file, volatile_at, 512)?;
        let v = Structure::new(LAYER, "seSparse volatile header", volatile_at, &volatile);
        if v.le64(0)? != 0xcafe_cafe || v.array::<1>(24)? != [0] {
            return Err(Error::unsupported(
                LAYER,
                "a seSparse extent whose journal is to be replayed; consolidate the snapshot first",
            ));
        }
        Ok(Self {
            capacity: sectors(16)?,
            grain,
            directory_at: sectors(128)?,
            tables_at: sectors(144)?,
            grains_at: sectors(192)?,
        })
    }

    /// The byte where the grain table of a directory entry lies; `None` when it is not there.
    pub(super) fn table(&self, entry: u64) -> Result<Option<u64>> {
        match entry >> 32 {
            0 if entry == 0 => Ok(None),
            0x1000_0000 => {
                let index = entry & 0xffff_ffff;
                Ok(Some(index.saturating_mul(TABLE_SECTORS.saturating_mul(SECTOR)).saturating_add(self.tables_at)))
            }
            _ => Err(Error::corrupt(
                LAYER,
                "seSparse grain directory",
                format!("the entry {entry:#018x} is of no known kind"),
            )),
        }
    }

    /// The byte where an allocated grain lies: the index's low 48 bits are rotated to its front.
    pub(super) fn grain_at(&self, entry: u64) -> u64 {
        let index = (entry & 0x0fff_0000_0000_0000) >> 48 | (entry & 0x0000_ffff_ffff_ffff) << 12;
        index.saturating_mul(self.grain).saturating_add(self.grains_at)
    }
}
