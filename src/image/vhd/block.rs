//! "Block Allocation Table and Data Blocks": a table of sector numbers, one for each block; a block is a bitmap
//! with a bit for each sector, padded to a sector, and then the data. A set bit is data of this file; a clear
//! one is the parent's, or zeros in a dynamic disk.

use std::sync::Arc;

use super::LAYER;
use crate::{
    error::Result,
    field::{narrow, wide},
    image::{
        mapped::{Layered, Map, Source, Stretch},
        tables::{BitOrder, Bits, Tables},
    },
};

const SECTOR: u64 = 512;
const UNUSED: u32 = 0xffff_ffff;

/// The blocks of a dynamic or differencing disk.
pub(super) struct Blocks {
    pub(super) size: u64,
    /// Bytes of disk in a block, a power of two.
    pub(super) block: u64,
    pub(super) table_at: u64,
    pub(super) tables: Tables,
    pub(super) below: Option<Arc<dyn Layered>>,
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
        let at = self.table_at.saturating_add(number.saturating_mul(4));
        let entries = self.tables.entries::<4>("block allocation table", at)?;
        let entry = |n: usize| entries.array(n).map(u32::from_be_bytes);
        let first = entry(0).unwrap_or(UNUSED);
        let mut len = self.block.saturating_sub(inside);
        if first == UNUSED {
            let blocks = narrow(self.size.div_ceil(self.block).saturating_sub(number));
            let more = (1..blocks)
                .take_while(|n| entry(*n) == Some(UNUSED))
                .take(narrow(want.checked_div(self.block).unwrap_or(0)))
                .count();
            len = len.saturating_add(self.block.saturating_mul(wide(more)));
            return Ok(Stretch { len, source: Source::Below });
        }
        let bitmap_at = u64::from(first).saturating_mul(SECTOR);
        let bitmap_len = (self.block / SECTOR).div_ceil(8).next_multiple_of(SECTOR);
        let wanted = want.div_ceil(SECTOR).saturating_add(1);
        let bits = Bits { what: "sector bitmap", at: bitmap_at, len: self.block / SECTOR, order: BitOrder::HighFirst };
        let (sectors, set) = self.tables.alike(&bits, inside / SECTOR, wanted)?;
        let len = sectors.saturating_mul(SECTOR).saturating_sub(inside % SECTOR).min(len);
        let source = match set {
            true => Source::Stored {
                file: &**self.tables.file(),
                at: bitmap_at.saturating_add(bitmap_len).saturating_add(inside),
            },
            false => Source::Below,
        };
        Ok(Stretch { len, source })
    }
}
