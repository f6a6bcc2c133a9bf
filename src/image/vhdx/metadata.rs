//! 2.6 "Metadata Region": a table of items, each with a GUID, and the items themselves behind it.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | `metadata` |
//! | 10 | 2 | entry count |
//! | 32 | n × 32 | entries: GUID, offset in the region (4), length (4), flags (4; bit 2: required) |

use super::{Guid, LAYER, parent::Locator, region::Region};
use crate::{
    error::{Error, Result},
    field::narrow,
    guid::guid,
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

const TABLE: usize = 64 << 10;
const ENTRIES_AT: usize = 32;
const ENTRY: usize = 32;
const MAX_ENTRIES: u16 = 2047;
/// The largest item, a parent locator, has some kilobytes.
const MAX_ITEM: u32 = 1 << 20;
const REQUIRED: u32 = 1 << 2;
/// 2.6.2.2: "the maximum is 64 TB".
const MAX_SIZE: u64 = 64 << 40;

/// CAA16737-FA36-4D43-B3B6-33F0AA44E76B
const FILE_PARAMETERS: Guid =
    [0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b];
/// 2FA54224-CD1B-4876-B211-5DBED83BF4B8
const DISK_SIZE: Guid =
    [0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8];
/// BECA12AB-B2E6-4523-93EF-C309E000C746
const DISK_ID: Guid = [0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45, 0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46];
/// 8141BF1D-A96F-4709-BA47-F233A8FAAB5F
const LOGICAL_SECTOR: Guid =
    [0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f];
/// CDA348C7-445D-4471-9CC9-E9885251C556
const PHYSICAL_SECTOR: Guid =
    [0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44, 0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56];
/// A8D35F2D-B30B-454D-ABF7-D3D84834AB0C
const PARENT_LOCATOR: Guid =
    [0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c];

/// What the metadata says.
pub(super) struct Metadata {
    /// The size of the disk in bytes.
    pub(super) size: u64,
    /// Bytes of disk in a payload block.
    pub(super) block: u64,
    /// Bytes in a logical sector.
    pub(super) sector: u64,
    pub(super) parent: Option<Locator>,
}

impl Metadata {
    pub(super) fn read(file: &dyn Image, region: Region) -> Result<Self> {
        let table = read_vec(file, region.at, TABLE)?;
        let s = Structure::new(LAYER, "metadata table", region.at, &table);
        if s.slice(0, 8)? != b"metadata" {
            return Err(s.wrong("it does not begin with 'metadata'"));
        }
        let count = s.le16(10)?;
        if count > MAX_ENTRIES {
            return Err(s.wrong(format!("{count} entries: at most {MAX_ENTRIES}")));
        }
        let (mut parameters, mut size, mut sector, mut locator) = (None, None, None, None);
        for entry in s.slice(ENTRIES_AT, usize::from(count).saturating_mul(ENTRY))?.chunks(ENTRY) {
            let e = Structure::new(LAYER, "metadata entry", region.at, entry);
            let item = || read_item(file, region, &e);
            match e.array(0)? {
                FILE_PARAMETERS => parameters = Some(item()?),
                DISK_SIZE => size = Some(item()?),
                LOGICAL_SECTOR => sector = Some(item()?),
                PARENT_LOCATOR => locator = Some(item()?),
                DISK_ID | PHYSICAL_SECTOR => {}
                other if e.le32(24)? & REQUIRED != 0 => {
                    return Err(Error::unsupported(LAYER, format!("the required metadata item {}", guid(other))));
                }
                _ => {}
            }
        }
        let there = |item: Option<Vec<u8>>, what: &str| item.ok_or_else(|| s.wrong(format!("there is no {what}")));
        let parameters = there(parameters, "file parameters")?;
        let p = Structure::new(LAYER, "file parameters", region.at, &parameters);
        let (block, flags) = (p.le32(0)?, p.le32(4)?);
        if !block.is_power_of_two() || !(1 << 20..=256 << 20).contains(&block) {
            return Err(p.wrong(format!("blocks of {block:#x} bytes: expected a power of two from 1 to 256 MiB")));
        }
        let size_item = there(size, "size of the disk")?;
        let size = Structure::new(LAYER, "virtual disk size", region.at, &size_item).le64(0)?;
        if size > MAX_SIZE {
            return Err(s.wrong(format!("a disk of {size:#x} bytes: at most {MAX_SIZE:#x}")));
        }
        let sector_item = there(sector, "logical sector size")?;
        let sector = Structure::new(LAYER, "logical sector size", region.at, &sector_item).le32(0)?;
        if sector != 512 && sector != 4096 {
            return Err(s.wrong(format!("logical sectors of {sector} bytes: expected 512 or 4096")));
        }
        let has_parent = flags & 2 != 0;
        let parent = match (has_parent, locator) {
            (false, _) => None,
            (true, None) => return Err(s.wrong("a differencing disk without a parent locator")),
            (true, Some(locator)) => Some(Locator::parse(region.at, &locator)?),
        };
        Ok(Self { size, block: block.into(), sector: sector.into(), parent })
    }
}

fn read_item(file: &dyn Image, region: Region, entry: &Structure<'_>) -> Result<Vec<u8>> {
    let (at, length) = (entry.le32(16)?, entry.le32(20)?);
    let inside = at.checked_add(length).is_some_and(|end| end <= region.length);
    if !inside || length > MAX_ITEM {
        return Err(
            entry.wrong(format!("an item of {length:#x} bytes at +{at:#x}: the region has {:#x}", region.length))
        );
    }
    read_vec(file, region.at.saturating_add(at.into()), narrow(length))
}
