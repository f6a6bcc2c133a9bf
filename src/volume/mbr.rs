//! The master boot record and the chain of extended boot records behind it.
//!
//! Layout of both (UEFI 2.10, section 5.2.1, "Legacy Master Boot Record"): at 440 the disk signature (u32), at
//! 446 four entries of 16 bytes, at 510 the bytes 55 AA. An entry: at 0 the boot indicator (0 or 0x80), at 4 the
//! type, at 8 the first sector (u32), at 12 the number of sectors (u32), little-endian.
//!
//! In an extended boot record a data entry counts from the record itself, and a link to the next record from
//! the beginning of the extended partition.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use std::collections::BTreeSet;

use super::partition::{MAX_PARTITIONS, Partition, Table, TableKind};
use crate::{
    error::Result,
    field::{byte, has, le32},
    image::Image,
};

/// Where the entries stand.
const ENTRIES: [usize; 4] = [446, 462, 478, 494];

/// The type of an entry that protects a GPT.
const PROTECTIVE: u8 = 0xee;

/// The type of an entry that is unused to partitioning tools.
const UNTYPED: u8 = 0;

/// Longer chains of extended boot records are cut; no system makes them.
const MAX_CHAIN: usize = 128;

/// What sector 0 says.
pub(super) struct Mbr {
    /// The disk signature, when it is not 0.
    pub(super) signature: Option<u32>,
    /// Whether an entry protects a GPT.
    pub(super) protective: bool,
    /// The partitions without the protective and extended ones.
    pub(super) table: Table,
}

#[derive(Clone, Copy)]
struct Entry {
    kind: u8,
    start: u64,
    sectors: u64,
}

impl Entry {
    fn parse(sector: &[u8], at: usize) -> Option<Self> {
        let field = |offset: usize| le32(sector, at.checked_add(offset)?);
        let kind = byte(sector, at.checked_add(4)?)?;
        let (start, sectors) = (u64::from(field(8)?), u64::from(field(12)?));
        // One without a type is a partition to Linux, which mounts what is in it.
        (sectors != 0).then_some(Self { kind, start, sectors })
    }

    fn is_extended(self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }
}

/// Whether the boot indicators are such as a table has; boot code and text in their place are not.
fn has_indicators(sector: &[u8]) -> bool {
    has(sector, 510, b"\x55\xaa") && ENTRIES.iter().all(|&at| matches!(byte(sector, at), Some(0 | 0x80)))
}

/// Reads the table in sector 0 and the logical partitions; `Ok(None)` when there is no table. An empty table
/// is one without partitions. `sector_size` is the unit of the table.
///
/// # Errors
/// When sector 0 cannot be read.
pub(super) fn read(image: &dyn Image, sector_size: u64) -> Result<Option<Mbr>> {
    let mut sector = [0; 512];
    if image.len() < 512 {
        return Ok(None);
    }
    image.read_at(0, &mut sector)?;
    if !has_indicators(&sector) {
        return Ok(None);
    }
    let signature = le32(&sector, 440).filter(|&signature| signature != 0);
    let mut reader = Reader { image, sector_size, signature, table: Table::default() };
    let entries: Vec<_> = (1..).zip(&ENTRIES).filter_map(|(n, &at)| Some((n, Entry::parse(&sector, at)?))).collect();
    let protective = entries.iter().any(|(_, entry)| entry.kind == PROTECTIVE);
    let mut extended = Vec::new();
    for (number, entry) in entries {
        // Firmware that boots no disk without an active partition is given one without a type, of the table's own
        // sector; and Linux reads no MBR that protects a GPT.
        if entry.kind == PROTECTIVE || (entry.kind == UNTYPED && (protective || entry.start == 0)) {
            continue;
        }
        match entry.is_extended() {
            true => extended.push(entry),
            false => reader.push(number, entry, entry.start),
        }
    }
    let mut number = 5;
    for entry in extended {
        reader.follow(entry, &mut number);
    }
    reader.table.record_overlaps();
    Ok(Some(Mbr { signature, protective, table: reader.table }))
}

struct Reader<'a> {
    image: &'a dyn Image,
    sector_size: u64,
    signature: Option<u32>,
    table: Table,
}

impl Reader<'_> {
    fn push(&mut self, number: u32, entry: Entry, start: u64) {
        // Both factors stem from 32-bit fields and a sector size of at most 4096: the products fit.
        let start = start.saturating_mul(self.sector_size);
        if self.table.partitions.len() >= MAX_PARTITIONS {
            return self.table.gap(
                start,
                0,
                format!("mbr: more than {MAX_PARTITIONS} partitions; this one is not read"),
            );
        }
        self.table.partitions.push(Partition {
            number,
            table: TableKind::Mbr,
            kind: format!("{:02x}", entry.kind),
            name: None,
            uuid: self.signature.map(|signature| format!("{signature:08x}-{number:02x}")),
            start,
            len: entry.sectors.saturating_mul(self.sector_size),
        });
    }

    /// Follows the chain of extended boot records in `extended`; what does not hold up ends in a gap.
    fn follow(&mut self, extended: Entry, number: &mut u32) {
        let mut seen = BTreeSet::new();
        let mut next = Some(extended.start);
        let rest = |at: u64| extended.start.saturating_add(extended.sectors).saturating_sub(at);
        while let Some(record) = next {
            let (start, len) = (record.saturating_mul(self.sector_size), rest(record).saturating_mul(self.sector_size));
            if !seen.insert(record) {
                return self.table.gap(
                    start,
                    0,
                    format!("mbr: extended boot record at {start:#x}: the chain leads back to it"),
                );
            }
            if seen.len() > MAX_CHAIN {
                return self.table.gap(
                    start,
                    len,
                    format!("mbr: chain of extended boot records longer than {MAX_CHAIN}"),
                );
            }
            let mut sector = [0; 512];
            if let Err(error) = self.image.read_at(start, &mut sector) {
                return self.table.gap(start, len, format!("mbr: extended boot record at {start:#x}: {error}"));
            }
            if !has(&sector, 510, b"\x55\xaa") {
                // A chain that was never begun: the extended partition is empty, and says nothing else.
                if seen.len() == 1 && sector.iter().all(|&byte| byte == 0) {
                    return self.table.notes.push(format!("extended partition at {start:#x}: empty"));
                }
                return self.table.gap(
                    start,
                    len,
                    format!("mbr: extended boot record at {start:#x}: no 55 aa at its end"),
                );
            }
            next = None;
            for (slot, &at) in ENTRIES.iter().enumerate() {
                match Entry::parse(&sector, at) {
                    Some(entry) if entry.is_extended() => {
                        let link = extended.start.saturating_add(entry.start);
                        if *next.get_or_insert(link) != link {
                            let why =
                                format!("mbr: extended boot record at {start:#x}: a second link; it was not followed");
                            self.table.gap(link.saturating_mul(self.sector_size), 0, why);
                        }
                    }
                    // The third and fourth slot are unused; what stands there counts only when it lies inside.
                    Some(entry) if slot < 2 || entry.start.saturating_add(entry.sectors) <= rest(record) => {
                        self.push(*number, entry, record.saturating_add(entry.start));
                        *number = number.saturating_add(1);
                    }
                    _ => {}
                }
            }
        }
    }
}
