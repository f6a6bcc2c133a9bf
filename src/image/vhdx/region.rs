//! 2.2.3 "Region Table": two copies of 64 KiB, at 192 and 256 KiB: where the block allocation table and the
//! metadata lie.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `regi` |
//! | 4 | 4 | checksum |
//! | 8 | 4 | entry count |
//! | 16 | n × 32 | entries: GUID, file offset (8), length (4), required (bit 0 of 4) |

use super::{Guid, LAYER, crc32c::crc32c};
use crate::{
    error::{Error, Result},
    field::narrow,
    guid::guid,
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

const PLACES: [u64; 2] = [192 << 10, 256 << 10];
const LENGTH: usize = 64 << 10;
const ENTRIES_AT: usize = 16;
const ENTRY: usize = 32;
/// "This field MUST be less than or equal to 2,047."
const MAX_ENTRIES: u32 = 2047;

/// 2DC27766-F623-4200-9D64-115E9BFD4A08
const BAT: Guid = [0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08];
/// 8B7CA206-4790-4B9A-B8FE-575F050F886E
const METADATA: Guid = [0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e];

/// A region of the file.
#[derive(Clone, Copy)]
pub(super) struct Region {
    pub(super) at: u64,
    pub(super) length: u32,
}

/// The regions that every disk has.
pub(super) struct Regions {
    pub(super) bat: Region,
    pub(super) metadata: Region,
}

/// The first copy of the table that is whole.
pub(super) fn read(file: &dyn Image) -> Result<Regions> {
    let [first, second] = PLACES.map(|at| read_vec(file, at, LENGTH).and_then(|bytes| parse(at, &bytes)));
    match (first, second) {
        (Ok(regions), _) | (Err(Error::Corrupt { .. }), Ok(regions)) => Ok(regions),
        (Err(error), _) => Err(error),
    }
}

fn parse(at: u64, bytes: &[u8]) -> Result<Regions> {
    let s = Structure::new(LAYER, "region table", at, bytes);
    if s.slice(0, 4)? != b"regi" {
        return Err(s.wrong("it does not begin with 'regi'"));
    }
    let (found, expected) = (s.le32(4)?, crc32c(bytes, 4));
    if found != expected {
        return Err(s.wrong(format!("its checksum is {found:#010x}: expected {expected:#010x}")));
    }
    let count = s.le32(8)?;
    if count > MAX_ENTRIES {
        return Err(s.wrong(format!("{count} entries: at most {MAX_ENTRIES}")));
    }
    let (mut bat, mut metadata) = (None, None);
    let entries = s.slice(ENTRIES_AT, narrow(count).saturating_mul(ENTRY))?;
    for entry in entries.chunks(ENTRY) {
        let e = Structure::new(LAYER, "region table entry", at, entry);
        let region = Region { at: e.le64(16)?, length: e.le32(24)? };
        match e.array(0)? {
            BAT => bat = Some(region),
            METADATA => metadata = Some(region),
            other if e.le32(28)? & 1 != 0 => {
                return Err(Error::unsupported(LAYER, format!("the required region {}", guid(other))));
            }
            _ => {}
        }
    }
    match (bat, metadata) {
        (Some(bat), Some(metadata)) => Ok(Regions { bat, metadata }),
        _ => Err(s.wrong("it names no block allocation table, or no metadata")),
    }
}
