//! "Volume section", in the form of EnCase (1052 bytes) and of SMART (94 bytes): the geometry.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 4 | 4 | number of chunks |
//! | 8 | 4 | sectors in a chunk |
//! | 12 | 4 | bytes in a sector |
//! | 16 | 8 (SMART: 4) | number of sectors |
//! | the last 4 | 4 | checksum of what is before |

use super::{LAYER, adler32, wrong_checksum};
use crate::{
    error::Result,
    field::narrow,
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

/// 32 KiB is the default; the tools offer up to 32768 sectors.
const MAX_CHUNK: u64 = 16 << 20;

/// Bytes of the section's data as EnCase writes it, and as SMART does.
const ENCASE: u64 = 1052;
const SMART: u64 = 94;

/// The geometry of the disk.
#[derive(Clone, Copy)]
pub(super) struct Volume {
    /// Bytes in a chunk.
    pub(super) chunk: u64,
    /// Bytes of disk.
    pub(super) size: u64,
    /// Whether it is EnCase's form: then a checksum stands behind the entries of a table.
    pub(super) is_encase: bool,
}

impl Volume {
    /// The section that has its data at `at..end`.
    pub(super) fn read(file: &dyn Image, at: u64, end: u64) -> Result<Self> {
        let len = end.saturating_sub(at);
        let is_known = len == ENCASE || len == SMART;
        let bytes = read_vec(file, at, if is_known { narrow(len) } else { 24 })?;
        let s = Structure::new(LAYER, "volume section", at, &bytes);
        if is_known {
            let summed = bytes.len().saturating_sub(4);
            let (found, expected) = (s.le32(summed)?, adler32(s.slice(0, summed)?));
            if found != expected {
                return Err(wrong_checksum(&s, found, expected));
            }
        }
        let (sectors, sector) = (u64::from(s.le32(8)?), u64::from(s.le32(12)?));
        let chunk = sectors.saturating_mul(sector);
        if chunk == 0 || chunk > MAX_CHUNK || sector % 512 != 0 {
            return Err(s.wrong(format!("chunks of {sectors} sectors of {sector} bytes: at most {MAX_CHUNK:#x} bytes")));
        }
        // EnCase gives the number of sectors 8 bytes of which old versions used 4 and left zeros behind them.
        let size = s.le64(16)?.checked_mul(sector).ok_or_else(|| s.wrong("the number of sectors is past 16 EiB"))?;
        Ok(Self { chunk, size, is_encase: len == ENCASE })
    }
}
