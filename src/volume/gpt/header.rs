//! The GPT header (UEFI 2.10, section 5.3.2, table 5.5).
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | signature `EFI PART` |
//! | 8 | 4 | revision |
//! | 12 | 4 | size of the header, 92 up to the sector size |
//! | 16 | 4 | CRC-32 of the header, counted with this field as 0 |
//! | 24 | 8 | sector of this header |
//! | 32 | 8 | sector of the other header |
//! | 40, 48 | 8 | first and last usable sector |
//! | 56 | 16 | GUID of the disk |
//! | 72 | 8 | first sector of the entries |
//! | 80 | 4 | number of entries |
//! | 84 | 4 | size of an entry: 128 times a power of two |
//! | 88 | 4 | CRC-32 of all entries |

pub(super) use crate::image::probe::GPT as SIGNATURE;
use crate::{
    checksum::crc32,
    field::{array, has, le32, le64, len32},
    image::Image,
};

/// The smallest header.
const MIN_SIZE: usize = 92;

/// Where the header's own checksum stands, and where it ends.
const CHECKSUM: std::ops::Range<usize> = 16..20;

/// A header whose checksum is right.
pub(super) struct Header {
    pub(super) disk: [u8; 16],
    pub(super) entries_lba: u64,
    pub(super) entry_count: u32,
    pub(super) entry_size: u32,
    pub(super) entries_crc: u32,
}

fn read_sector(image: &dyn Image, sector_size: u64, lba: u64) -> Result<Vec<u8>, String> {
    let mut sector = vec![0; usize::try_from(sector_size).map_err(|error| error.to_string())?];
    let offset = lba.checked_mul(sector_size).ok_or_else(|| format!("sector {lba:#x} is past every disk"))?;
    image.read_at(offset, &mut sector).map_err(|error| error.to_string())?;
    Ok(sector)
}

/// Where sector 1 says that the other header is, whether or not the rest of sector 1 holds.
pub(super) fn alternate(image: &dyn Image, sector_size: u64) -> Option<u64> {
    let sector = read_sector(image, sector_size, 1).ok()?;
    has(&sector, 0, SIGNATURE).then(|| le64(&sector, 32)).flatten()
}

impl Header {
    /// Reads the header in sector `lba`; an error says in words why it does not hold.
    pub(super) fn read(image: &dyn Image, sector_size: u64, lba: u64) -> Result<Self, String> {
        let wrong = |what: String| format!("header in sector {lba:#x}: {what}");
        let (own, header) = Self::parse(&read_sector(image, sector_size, lba)?).map_err(wrong)?;
        if own != lba {
            return Err(wrong(format!("it says that it stands in sector {own:#x}")));
        }
        Ok(header)
    }

    /// Where the header in sector `lba` says that it stands, if all else in it holds.
    pub(super) fn own_sector(image: &dyn Image, sector_size: u64, lba: u64) -> Option<u64> {
        let sector = read_sector(image, sector_size, lba).ok()?;
        Self::parse(&sector).ok().map(|(own, _)| own)
    }

    /// The header, and the sector of which it says that it stands there.
    fn parse(sector: &[u8]) -> Result<(u64, Self), String> {
        Self::fields(sector).unwrap_or_else(|| Err(format!("shorter than {MIN_SIZE} bytes")))
    }

    fn fields(sector: &[u8]) -> Option<Result<(u64, Self), String>> {
        let wrong = |what: String| Some(Err(what));
        if !has(sector, 0, SIGNATURE) {
            return wrong("no signature".to_owned());
        }
        let size = len32(sector, 12)?;
        let Some(bytes) = sector.get(..size).filter(|bytes| bytes.len() >= MIN_SIZE) else {
            return wrong(format!("size {size}, expected {MIN_SIZE} to {}", sector.len()));
        };
        let mut counted = bytes.to_vec();
        counted.get_mut(CHECKSUM)?.fill(0);
        let (stored, found) = (le32(sector, CHECKSUM.start)?, !crc32(!0, &counted));
        if stored != found {
            return wrong(format!("checksum {stored:#010x}, the bytes give {found:#010x}"));
        }
        let header = Self {
            disk: array(sector, 56)?,
            entries_lba: le64(sector, 72)?,
            entry_count: le32(sector, 80)?,
            entry_size: le32(sector, 84)?,
            entries_crc: le32(sector, 88)?,
        };
        Some(Ok((le64(sector, 24)?, header)))
    }
}
