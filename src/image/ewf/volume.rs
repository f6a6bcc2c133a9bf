//! "Volume section", in the form of EnCase (1052 bytes) and of SMART (94 bytes): the geometry.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 4 | 4 | number of chunks |
//! | 8 | 4 | sectors in a chunk |
//! | 12 | 4 | bytes in a sector |
//! | 16 | 8 (SMART: 4) | number of sectors |

use super::LAYER;
use crate::{
    error::Result,
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

/// 32 KiB is the default; the tools offer up to 32768 sectors.
const MAX_CHUNK: u64 = 16 << 20;

/// The geometry of the disk.
#[derive(Clone, Copy)]
pub(super) struct Volume {
    /// Bytes in a chunk.
    pub(super) chunk: u64,
    /// Bytes of disk.
    pub(super) size: u64,
}

impl Volume {
    pub(super) fn read(file: &dyn Image, at: u64) -> Result<Self> {
        let bytes = read_vec(file, at, 24)?;
        let s = Structure::new(LAYER, "volume section", at, &bytes);
        let (sectors, sector) = (u64::from(s.le32(8)?), u64::from(s.le32(12)?));
        let chunk = sectors.saturating_mul(sector);
        if chunk == 0 || chunk > MAX_CHUNK || sector % 512 != 0 {
            return Err(s.wrong(format!("chunks of {sectors} sectors of {sector} bytes: at most {MAX_CHUNK:#x} bytes")));
        }
        // EnCase gives the number of sectors 8 bytes of which old versions used 4 and left zeros behind them.
        let size = s.le64(16)?.checked_mul(sector).ok_or_else(|| s.wrong("the number of sectors is past 16 EiB"))?;
        Ok(Self { chunk, size })
    }
}
