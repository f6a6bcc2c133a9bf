//! The GUID partition table: which of its two headers holds, and what its entries say.
//!
//! A header is believed only when its signature, sizes and checksum are right, when it says that it stands where
//! it was found, and when the checksum of its entries is right too. The first one that holds is used: in sector
//! 1, then where sector 1 says its copy is, then in the last sector.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod entry;
mod header;

use self::{entry::Entry, header::Header};
use super::partition::{MAX_PARTITIONS, Partition, Table, TableKind};
use crate::{
    field::has,
    guid::{given, guid},
    image::Image,
};

/// Sector sizes that disks have; most have the first.
const SECTOR_SIZES: [u64; 2] = [512, 4096];

/// A partition table that holds, or the reasons why none does.
pub(super) struct Gpt {
    /// The unit of the table, in bytes.
    pub(super) sector_size: u64,
    /// Whether a header holds.
    pub(super) holds: bool,
    /// Whether the primary header is there, in whatever state.
    pub(super) primary_signed: bool,
    /// Where none holds, and all that is there is one in the last sector: so many bytes further on than it says.
    pub(super) moved: Option<u64>,
    /// The disk's GUID.
    pub(super) disk: Option<String>,
    /// The partitions. Empty, with a gap, when no header holds.
    pub(super) table: Table,
}

/// Reads the table; `None` when nothing on the disk says that there is one.
pub(super) fn read(image: &dyn Image) -> Option<Gpt> {
    let mut found: Vec<Gpt> = SECTOR_SIZES.iter().filter_map(|&size| read_with(image, size)).collect();
    // One that holds goes before one that only left its signature.
    found.sort_by_key(|gpt| !gpt.holds);
    let mut found = found.into_iter();
    let mut first = found.next()?;
    if let Some(other) = found.next() {
        let why = format!(
            "gpt: a second table for sectors of {} bytes; the one for {} bytes was used",
            other.sector_size, first.sector_size
        );
        first.table.gap(other.sector_size, 0, why);
        first.moved = None;
    }
    Some(first)
}

/// A header and its entries, both with the right checksum.
struct Holding {
    header: Header,
    entries: Vec<Entry>,
}

fn holding(image: &dyn Image, sector_size: u64, lba: u64) -> Result<Holding, String> {
    let header = Header::read(image, sector_size, lba)?;
    let entries = entry::read_all(image, sector_size, &header)?;
    Ok(Holding { header, entries })
}

fn signed(image: &dyn Image, offset: u64) -> bool {
    let mut signature = [0; 8];
    image.read_at(offset, &mut signature).is_ok() && has(&signature, 0, header::SIGNATURE)
}

fn read_with(image: &dyn Image, sector_size: u64) -> Option<Gpt> {
    let last = image.len().checked_div(sector_size)?.checked_sub(1)?;
    let primary_signed = signed(image, sector_size);
    let backup_signed = signed(image, last.checked_mul(sector_size)?);
    if !primary_signed && !backup_signed {
        return None;
    }
    let mut table = Table::default();
    let primary = holding(image, sector_size, 1);
    // Where the copy is: a disk that was enlarged has it before its end.
    let named = header::alternate(image, sector_size).filter(|&lba| lba > 1 && lba < last);
    let backup = [named, Some(last)]
        .into_iter()
        .flatten()
        .map(|lba| holding(image, sector_size, lba))
        .reduce(|best, next| if best.is_ok() { best } else { next })
        .unwrap_or_else(|| Err("no room for it".to_owned()));
    let used = match (primary, backup) {
        (Ok(primary), Ok(backup)) => {
            if primary.entries != backup.entries || primary.header.disk != backup.header.disk {
                table.notes.push("gpt: the backup table differs from the primary one, which was used".to_owned());
            }
            Some(primary)
        }
        (Ok(primary), Err(why)) => {
            table.notes.push(format!("gpt: the backup header does not hold: {why}"));
            Some(primary)
        }
        (Err(why), Ok(backup)) => {
            table.notes.push(format!("gpt: the backup header was used: {why}"));
            Some(backup)
        }
        (Err(primary), Err(backup)) => {
            table.gap(0, image.len(), format!("gpt: no header holds: primary: {primary}; backup: {backup}"));
            None
        }
    };
    let alone = used.is_none() && !primary_signed;
    let own = if alone { Header::own_sector(image, sector_size, last) } else { None };
    let moved = own.and_then(|own| last.checked_sub(own)?.checked_mul(sector_size));
    let disk = used.as_ref().and_then(|used| given(used.header.disk)).map(guid);
    if let Some(used) = &used {
        for entry in &used.entries {
            push(&mut table, entry, sector_size);
        }
    }
    table.record_overlaps();
    Some(Gpt { sector_size, holds: used.is_some(), primary_signed, moved, disk, table })
}

fn push(table: &mut Table, entry: &Entry, sector_size: u64) {
    let number = entry.number;
    let extent = entry.last.checked_sub(entry.first).and_then(|more| {
        let len = more.checked_add(1)?.checked_mul(sector_size)?;
        let start = entry.first.checked_mul(sector_size)?;
        start.checked_add(len)?;
        Some((start, len))
    });
    let Some((start, len)) = extent else {
        let why = format!(
            "gpt: entry {number}: last sector {:#x} does not fit with first sector {:#x}",
            entry.last, entry.first
        );
        return table.gap(entry.first.saturating_mul(sector_size), 0, why);
    };
    if table.partitions.len() >= MAX_PARTITIONS {
        return table.gap(
            start,
            len,
            format!("gpt: more than {MAX_PARTITIONS} partitions; number {number} is not read"),
        );
    }
    table.partitions.push(Partition {
        number,
        table: TableKind::Gpt,
        kind: guid(entry.kind),
        name: entry.name.clone(),
        uuid: given(entry.unique).map(guid),
        start,
        len,
    });
}
