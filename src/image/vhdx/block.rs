//! 2.5 "BAT": entries of 8 bytes, state in bits 0-2, file offset in units of 1 MiB in bits 20-63. After every
//! chunk of payload blocks comes one entry for the chunk's sector bitmap (2.4), which says for partially present
//! blocks which logical sectors are this file's and which are the parent's.

use std::sync::Arc;

use super::{LAYER, metadata::Metadata, region::Region};
use crate::{
    error::{Error, Result},
    field::{narrow, wide},
    image::{
        mapped::{Layered, Map, Source, Stretch},
        tables::{BitOrder, Bits, Tables},
    },
};

/// 2.5.1.1 "Payload BAT Entry States".
const NOT_PRESENT: u64 = 0;
const UNDEFINED: u64 = 1;
const ZERO: u64 = 2;
const UNMAPPED: u64 = 3;
const FULLY_PRESENT: u64 = 6;
const PARTIALLY_PRESENT: u64 = 7;
/// 2.5.1.2: a sector bitmap is there.
const BITMAP_PRESENT: u64 = 6;

const STATE: u64 = 7;
const OFFSET: u64 = !0 << 20;
/// Sectors that one sector bitmap block of 1 MiB describes.
const SECTORS_PER_CHUNK: u64 = 1 << 23;

/// The payload blocks of a disk.
pub(super) struct Blocks {
    size: u64,
    block: u64,
    sector: u64,
    bat_at: u64,
    tables: Tables,
    below: Option<Arc<dyn Layered>>,
}

impl Blocks {
    pub(super) fn new(
        metadata: &Metadata,
        bat: Region,
        tables: Tables,
        below: Option<Arc<dyn Layered>>,
    ) -> Result<Self> {
        let Metadata { size, block, sector, .. } = *metadata;
        let blocks = Self { size, block, sector, bat_at: bat.at, tables, below };
        let last = blocks.index(size.saturating_sub(1).checked_div(block).unwrap_or(0));
        let needed = last.saturating_add(1).saturating_mul(8);
        if size > 0 && needed > bat.length.into() {
            return Err(Error::corrupt(
                LAYER,
                format!("block allocation table at {:#x}", bat.at),
                format!("it has {:#x} bytes: {needed:#x} are needed for a disk of {size:#x}", bat.length),
            ));
        }
        Ok(blocks)
    }

    /// Payload blocks in a chunk.
    fn chunk(&self) -> u64 {
        SECTORS_PER_CHUNK.saturating_mul(self.sector).checked_div(self.block).unwrap_or(1).max(1)
    }

    /// The BAT index of a payload block: one bitmap entry stands after each chunk before it.
    fn index(&self, block: u64) -> u64 {
        block.saturating_add(block.checked_div(self.chunk()).unwrap_or(0))
    }

    fn entry_at(&self, index: u64) -> u64 {
        self.bat_at.saturating_add(index.saturating_mul(8))
    }

    /// Where, of a partially present block, `inside` lies: how many bytes are alike, and whether they are here.
    fn partial(&self, number: u64, inside: u64, want: u64) -> Result<(u64, bool)> {
        let chunk = number.checked_div(self.chunk()).unwrap_or(0);
        let in_chunk = number.checked_rem(self.chunk()).unwrap_or(0);
        let index = chunk.saturating_mul(self.chunk().saturating_add(1)).saturating_add(self.chunk());
        let entry = u64::from_le_bytes(self.tables.entry("sector bitmap entry", self.entry_at(index))?);
        if entry & STATE != BITMAP_PRESENT {
            return Err(Error::corrupt(
                LAYER,
                format!("block {number}"),
                format!(
                    "it is partially present, and the sector bitmap of its chunk is not there: state {}",
                    entry & STATE
                ),
            ));
        }
        let per_block = self.block.checked_div(self.sector).unwrap_or(1);
        let first = in_chunk.saturating_mul(per_block).saturating_add(inside.checked_div(self.sector).unwrap_or(0));
        let end = in_chunk.saturating_add(1).saturating_mul(per_block);
        let bits = Bits { what: "sector bitmap", at: entry & OFFSET, len: end, order: BitOrder::LowFirst };
        let wanted = want.div_ceil(self.sector.max(1)).saturating_add(1);
        let (sectors, here) = self.tables.alike(&bits, first, wanted)?;
        let len = sectors.saturating_mul(self.sector).saturating_sub(inside.checked_rem(self.sector).unwrap_or(0));
        Ok((len, here))
    }
}

impl Map for Blocks {
    const LAYER: &'static str = LAYER;

    fn size(&self) -> u64 {
        self.size
    }

    fn below(&self) -> Option<&Arc<dyn Layered>> {
        self.below.as_ref()
    }

    fn stretch(&self, offset: u64, want: u64) -> Result<Stretch<'_>> {
        let number = offset.checked_div(self.block).unwrap_or(0);
        let inside = offset.checked_rem(self.block).unwrap_or(0);
        let entries = self.tables.entries::<8>("block allocation table", self.entry_at(self.index(number)))?;
        let entry = |n: usize| entries.array(n).map(u64::from_le_bytes);
        let first = entry(0).unwrap_or(0);
        let mut len = self.block.saturating_sub(inside);
        let at = (first & OFFSET).saturating_add(inside);
        let stored = |at| Source::Stored { file: &**self.tables.file(), at };
        let source = match (first & STATE, self.below.is_some()) {
            (FULLY_PRESENT, _) => stored(at),
            (PARTIALLY_PRESENT, true) => {
                let (alike, here) = self.partial(number, inside, want)?;
                len = len.min(alike);
                if here { stored(at) } else { Source::Below }
            }
            (NOT_PRESENT, _) => {
                // Only in its chunk: the entry behind it is a bitmap's.
                let left = self.chunk().saturating_sub(number.checked_rem(self.chunk()).unwrap_or(0));
                let blocks = narrow(left.min(want.checked_div(self.block).unwrap_or(0).saturating_add(1)));
                let same = |n: &usize| entry(*n).is_some_and(|e| e & STATE == NOT_PRESENT);
                let more = (1..blocks).take_while(same).count();
                len = len.saturating_add(self.block.saturating_mul(wide(more)));
                Source::Below
            }
            (UNDEFINED | ZERO | UNMAPPED, _) => Source::Zeros,
            (state, _) => {
                return Err(Error::corrupt(
                    LAYER,
                    format!("block {number}"),
                    format!("its state in the block allocation table is {state}, which is none that it can have"),
                ));
            }
        };
        Ok(Stretch { len, source })
    }
}
