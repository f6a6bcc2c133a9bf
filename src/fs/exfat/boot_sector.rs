//! The boot sector (3.1).
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 3 | 8 | `EXFAT   ` |
//! | 11 | 53 | zeros, where FAT has its parameter block |
//! | 72 | 8 | sectors of the volume |
//! | 80, 84 | 4, 4 | FAT: first sector, sectors |
//! | 88, 92 | 4, 4 | cluster heap: first sector, clusters |
//! | 96 | 4 | first cluster of the root directory |
//! | 100 | 4 | serial number |
//! | 104 | 2 | revision; the major one in the upper byte |
//! | 106 | 2 | flags |
//! | 108, 109 | 1, 1 | sector size, sectors of a cluster: as powers of two |
//! | 110 | 1 | number of FATs, 1 or 2 |
//! | 510 | 2 | AA55 |

use super::{LAYER, MAX_DIRECTORY, corrupt};
use crate::{
    error::{Error, Result},
    field::{byte, has, le16, le32, le64},
    fs::{
        VolumeInfo,
        clusters::{Dir, Heap, Source, Table, Width},
    },
    image::Image,
};

pub(super) const NAME: &[u8] = b"EXFAT   ";

/// The second FAT and the second bitmap are in use (3.1.13.1).
const ACTIVE_FAT: u16 = 1;
const DIRTY: u16 = 2;
const MEDIA_FAILURE: u16 = 4;

/// The numbers above are marks (3.1.9).
const MAX_CLUSTERS: u32 = 0xffff_fff5;

/// The layout of a volume; offsets and lengths in bytes.
#[derive(Debug, Clone)]
pub(super) struct BootSector {
    pub(super) sector_size: u64,
    pub(super) heap: Heap,
    /// Which FAT and which bitmap are in use: 0 or 1.
    pub(super) active: u8,
    pub(super) serial: u32,
    pub(super) size: u64,
    fat_start: u64,
    root: u32,
    flags: u16,
}

impl BootSector {
    /// Reads the boot sector at `offset`.
    pub(super) fn read(image: &dyn Image, offset: u64) -> Result<Self> {
        let mut sector = [0; 512];
        image.read_at(offset, &mut sector)?;
        let too_short = || Err(corrupt("boot sector", "its fields leave the range of 64 bits"));
        Self::parse(&sector, &format!("boot sector at {offset:#x}")).unwrap_or_else(too_short)
    }

    fn parse(sector: &[u8; 512], at: &str) -> Option<Result<Self>> {
        let wrong = |what: String| Some(Err(corrupt(at, what)));
        if !has(sector, 3, NAME) {
            return wrong("its name is not that of exFAT".to_owned());
        }
        if sector.get(11..64)?.iter().any(|&byte| byte != 0) {
            return wrong("expected zeros at 11 to 63, found a parameter block".to_owned());
        }
        if le16(sector, 510)? != 0xaa55 {
            return wrong(format!("expected the signature 0xaa55, found {:#x}", le16(sector, 510)?));
        }
        let revision = le16(sector, 104)?;
        if revision >> 8 != 1 {
            let what = format!("revision {}.{} of exFAT; 1.x is read", revision >> 8, revision & 0xff);
            return Some(Err(Error::unsupported(LAYER, what)));
        }
        let (sector_shift, cluster_shift) = (byte(sector, 108)?, byte(sector, 109)?);
        let clusters_shift = u32::from(sector_shift).checked_add(u32::from(cluster_shift))?;
        if !(9..=12).contains(&sector_shift) || clusters_shift > 25 {
            return wrong(format!("sectors of 2^{sector_shift} bytes, clusters of 2^{cluster_shift} sectors"));
        }
        let fats = byte(sector, 110)?;
        if !matches!(fats, 1 | 2) {
            return wrong(format!("{fats} FATs; expected 1 or 2"));
        }
        let bytes = |sectors: u64| sectors.checked_mul(1_u64.checked_shl(sector_shift.into())?);
        let (fat_sectors, clusters) = (le32(sector, 84)?, le32(sector, 92)?);
        let fat_len = bytes(fat_sectors.into())?;
        if clusters > MAX_CLUSTERS || u64::from(clusters).checked_add(2)?.checked_mul(4)? > fat_len {
            return wrong(format!("{clusters} clusters; the FAT has {fat_len} bytes"));
        }
        let first_fat = bytes(le32(sector, 80)?.into())?;
        let heap_start = bytes(le32(sector, 88)?.into())?;
        let fats_end = first_fat.checked_add(fat_len.checked_mul(fats.into())?)?;
        if first_fat < bytes(24)? || heap_start < fats_end {
            return wrong(format!("FATs at {first_fat:#x} to {fats_end:#x}, clusters from {heap_start:#x} on"));
        }
        let flags = le16(sector, 106)?;
        let active = u8::from(fats == 2 && flags & ACTIVE_FAT != 0);
        let heap = Heap::new(LAYER, heap_start, 1_u64.checked_shl(clusters_shift)?, clusters);
        let root = le32(sector, 96)?;
        if let Err(error) = heap.offset(root) {
            return wrong(format!("root directory: {error}"));
        }
        Some(Ok(Self {
            sector_size: bytes(1)?,
            heap,
            active,
            serial: le32(sector, 100)?,
            size: bytes(le64(sector, 72)?)?,
            fat_start: first_fat.checked_add(fat_len.checked_mul(active.into())?)?,
            root,
            flags,
        }))
    }

    /// The table that is in use.
    pub(super) fn table<'a>(&'a self, image: &'a dyn Image) -> Table<'a> {
        Table::new(image, &self.heap, Width::Bits32, self.fat_start)
    }

    pub(super) fn root(&self) -> Source {
        Source { dir: Dir::Chain { first: self.root, len: None }, max: MAX_DIRECTORY }
    }

    /// Says what the boot sector tells of the volume's state, on an image of `len` bytes.
    pub(super) fn judge(&self, len: u64, info: &mut VolumeInfo) {
        let heap_len = u64::from(self.heap.clusters).saturating_mul(self.heap.cluster_size);
        let end = self.heap.start.saturating_add(heap_len).max(self.size);
        if end > len {
            info.gaps.push(format!("{LAYER}: the volume has {end} bytes, and the image {len} of them"));
        }
        if self.flags & DIRTY != 0 {
            info.notes.push("it was not unmounted cleanly".to_owned());
        }
        if self.flags & MEDIA_FAILURE != 0 {
            info.notes.push("it says that its medium has failed".to_owned());
        }
    }
}
