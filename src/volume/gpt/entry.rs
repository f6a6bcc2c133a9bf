//! GPT partition entries (UEFI 2.10, section 5.3.3, table 5.6).
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 16 | GUID of the type; all zeros: unused |
//! | 16 | 16 | GUID of the partition |
//! | 32, 40 | 8 | first and last sector, both inclusive |
//! | 48 | 8 | attributes |
//! | 56 | 72 | name, UTF-16 little-endian, ends at the first NUL |

use super::header::Header;
use crate::{
    checksum::crc32,
    field::{array, le64, units, wide},
    image::Image,
};

/// The smallest entry; larger ones are this times a power of two.
const MIN_ENTRY: u32 = 128;

/// A larger array of entries is not read: Linux and Windows refuse it too. Usual are 16 KiB.
const MAX_ARRAY: u64 = 4 << 20;

/// An entry that is in use.
#[derive(PartialEq, Eq)]
pub(super) struct Entry {
    /// From 1, by slot.
    pub(super) number: u32,
    pub(super) kind: [u8; 16],
    pub(super) unique: [u8; 16],
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) name: Option<String>,
}

/// Reads all entries that are in use; an error says in words why the array does not hold.
pub(super) fn read_all(image: &dyn Image, sector_size: u64, header: &Header) -> Result<Vec<Entry>, String> {
    let size = header.entry_size;
    if size < MIN_ENTRY || !size.is_power_of_two() {
        return Err(format!("entry size {size}, expected {MIN_ENTRY} times a power of two"));
    }
    let bytes = u64::from(header.entry_count).saturating_mul(u64::from(size));
    if bytes > MAX_ARRAY {
        return Err(format!("{} entries of {size} bytes; at most {MAX_ARRAY} bytes are read", header.entry_count));
    }
    let start = header.entries_lba.checked_mul(sector_size);
    let Some(start) = start.filter(|start| start.checked_add(bytes).is_some_and(|end| end <= image.len())) else {
        return Err(format!("entries at sector {:#x} end past the end of the image", header.entries_lba));
    };
    let mut array = vec![0; usize::try_from(bytes).map_err(|error| error.to_string())?];
    debug_assert!(wide(array.len()) == bytes);
    image.read_at(start, &mut array).map_err(|error| error.to_string())?;
    let found = !crc32(!0, &array);
    if found != header.entries_crc {
        return Err(format!(
            "entries at {start:#x}: checksum {:#010x}, the bytes give {found:#010x}",
            header.entries_crc
        ));
    }
    let size = usize::try_from(size).map_err(|error| error.to_string())?;
    Ok((1..).zip(array.chunks_exact(size)).filter_map(|(number, bytes)| parse(number, bytes)).collect())
}

fn parse(number: u32, bytes: &[u8]) -> Option<Entry> {
    let kind = array(bytes, 0)?;
    if kind == [0; 16] {
        return None;
    }
    let units = units(bytes.get(56..128)?);
    let name: String = char::decode_utf16(units.take_while(|&unit| unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    Some(Entry {
        number,
        kind,
        unique: array(bytes, 16)?,
        first: le64(bytes, 32)?,
        last: le64(bytes, 40)?,
        name: (!name.is_empty()).then_some(name),
    })
}
