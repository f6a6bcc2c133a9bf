//! The boot sector with the BIOS parameter block (section "Boot Sector and BPB").
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 11 | 2 | bytes per sector |
//! | 13 | 1 | sectors per cluster |
//! | 14 | 2 | reserved sectors: where the first FAT begins |
//! | 16 | 1 | number of FATs |
//! | 17 | 2 | entries of the root directory; 0 on FAT32 |
//! | 19, 32 | 2, 4 | sectors of the volume |
//! | 21 | 1 | media |
//! | 22, 36 | 2, 4 | sectors of a FAT; FAT32 has only the second |
//! | 40 | 2 | FAT32: bit 7: only the FAT in bits 0 to 3 is in use |
//! | 44 | 4 | FAT32: first cluster of the root directory |
//! | 38, 66 | 1 | 0x28 or 0x29: a serial number follows (FAT12 and FAT16; FAT32) |

use super::{LAYER, MAX_DIRECTORY, corrupt, dir_entry::DirEntry};
use crate::{
    error::Result,
    field::{byte, le16, le32},
    fs::clusters::{Dir, Heap, SLOT, Source, Table, Width},
    image::Image,
};

pub(super) const SECTOR_SIZES: [u64; 4] = [512, 1024, 2048, 4096];

/// FAT12 has at most this many clusters (section "FAT Type Determination").
const MAX_CLUSTERS_12: u64 = 4084;

/// FAT16 has at most this many clusters.
const MAX_CLUSTERS_16: u64 = 65524;

/// FAT32 has at most this many clusters: the numbers above are marks.
const MAX_CLUSTERS_32: u64 = 0x0fff_fff5;

/// The layout of a volume; offsets and lengths in bytes.
#[derive(Debug, Clone)]
pub(super) struct BootSector {
    pub(super) width: Width,
    pub(super) heap: Heap,
    /// The FAT that is in use.
    fat_start: u64,
    /// One that is kept like it.
    mirror: Option<u64>,
    /// All FATs in order.
    fats: Vec<u64>,
    media: u8,
    pub(super) root: Dir,
    pub(super) serial: Option<u32>,
    pub(super) size: u64,
}

impl BootSector {
    pub(super) fn read(image: &dyn Image) -> Result<Self> {
        let mut sector = [0; 512];
        image.read_at(0, &mut sector)?;
        Self::parse(&sector).ok_or_else(|| corrupt("boot sector", "its fields are not those of FAT"))?
    }

    /// `None` when the sector is none of FAT; an error when it is and cannot be.
    fn parse(sector: &[u8; 512]) -> Option<Result<Self>> {
        let sector_size = u64::from(le16(sector, 11)?);
        let per_cluster = byte(sector, 13)?;
        let reserved = u64::from(le16(sector, 14)?);
        let fats = byte(sector, 16)?;
        let root_entries = u64::from(le16(sector, 17)?);
        let total = either(le16(sector, 19)?, le32(sector, 32)?);
        let is_fat32 = le16(sector, 22)? == 0;
        let fat_sectors = either(le16(sector, 22)?, le32(sector, 36)?);
        let fits = SECTOR_SIZES.contains(&sector_size)
            && per_cluster.is_power_of_two()
            && reserved != 0
            && fats != 0
            && matches!(byte(sector, 21)?, 0xf0 | 0xf8..)
            && total != 0
            && fat_sectors != 0;
        if !fits {
            return None;
        }
        let wrong = |what: String| Some(Err(corrupt("boot sector", what)));
        // Only FAT32 keeps its root directory in clusters (`BPB_RootEntCnt`).
        if !is_fat32 && root_entries == 0 {
            return wrong("a root directory of no entries, which only FAT32 has".to_owned());
        }
        let cluster_size = sector_size.checked_mul(u64::from(per_cluster))?;
        let fat_len = fat_sectors.checked_mul(sector_size)?;
        let first_fat = reserved.checked_mul(sector_size)?;
        let after_fats = first_fat.checked_add(fat_len.checked_mul(u64::from(fats))?)?;
        let root_len = root_entries.checked_mul(SLOT)?.next_multiple_of(sector_size);
        let data_start = after_fats.checked_add(root_len)?;
        let size = total.checked_mul(sector_size)?;
        let Some(data_len) = size.checked_sub(data_start) else {
            return wrong(format!("the volume has {size:#x} bytes, and its data would begin at {data_start:#x}"));
        };
        let clusters = data_len.checked_div(cluster_size)?;
        let width = match (is_fat32, clusters) {
            (true, _) => Width::Bits28,
            (false, ..=MAX_CLUSTERS_12) => Width::Bits12,
            (false, ..=MAX_CLUSTERS_16) => Width::Bits16,
            (false, _) => return wrong(format!("{clusters} clusters; FAT16 has at most {MAX_CLUSTERS_16}")),
        };
        // Linux and Windows use no more clusters than the FAT has room for.
        let room = match width {
            Width::Bits12 => fat_len.checked_mul(2)?.checked_div(3)?,
            Width::Bits16 => fat_len.checked_div(2)?,
            _ => fat_len.checked_div(4)?,
        };
        let clusters = clusters.min(room.saturating_sub(2)).min(MAX_CLUSTERS_32);
        let (root, only) = match width {
            Width::Bits28 => (Dir::Chain { first: le32(sector, 44)?, len: None }, only_fat(le16(sector, 40)?, fats)),
            _ => (Dir::Area { start: after_fats, len: root_len }, None),
        };
        let fat = |number: u8| first_fat.checked_add(fat_len.checked_mul(number.into())?);
        let fats = (0..fats).map(fat).collect::<Option<Vec<_>>>()?;
        let extended: usize = if is_fat32 { 64 } else { 36 };
        let serial = match byte(sector, extended.checked_add(2)?)? {
            0x28 | 0x29 => le32(sector, extended.checked_add(3)?).filter(|&serial| serial != 0),
            _ => None,
        };
        Some(Ok(Self {
            width,
            heap: Heap::new(LAYER, data_start, cluster_size, u32::try_from(clusters).ok()?),
            fat_start: *fats.get(only.unwrap_or(0))?,
            mirror: fats.get(1).copied().filter(|_| only.is_none()),
            fats,
            media: byte(sector, 21)?,
            root,
            serial,
            size,
        }))
    }
}

impl BootSector {
    /// The table that is in use, with one that is kept like it.
    pub(super) fn table<'a>(&'a self, image: &'a dyn Image) -> Table<'a> {
        let table = Table::new(image, &self.heap, self.width, self.fat_start);
        match self.mirror {
            Some(start) => table.mirrored(start),
            None => table,
        }
    }

    /// All tables in order, and what the first entry of each is (`BPB_Media`).
    pub(super) fn tables<'a>(&'a self, image: &'a dyn Image) -> (impl Iterator<Item = Table<'a>>, u32) {
        let tables = self.fats.iter().map(move |&start| Table::new(image, &self.heap, self.width, start));
        (tables, self.width.largest() & 0xffff_ff00 | u32::from(self.media))
    }

    pub(super) fn root(&self) -> Source {
        Source { dir: self.root, max: MAX_DIRECTORY }
    }

    /// The directory behind an entry.
    pub(super) fn source(&self, entry: &DirEntry<'_>) -> Source {
        Source { dir: Dir::Chain { first: entry.first_cluster(self.width), len: None }, max: MAX_DIRECTORY }
    }
}

fn either(short: u16, long: u32) -> u64 {
    if short == 0 { u64::from(long) } else { u64::from(short) }
}

/// The FAT that is in use, where they are not kept alike (`BPB_ExtFlags`).
fn only_fat(flags: u16, fats: u8) -> Option<usize> {
    const NOT_MIRRORED: u16 = 0x80;
    let active = flags & 0xf;
    (flags & NOT_MIRRORED != 0).then(|| if active < u16::from(fats) { usize::from(active) } else { 0 })
}
