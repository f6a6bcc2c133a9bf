//! "Cluster mapping": from an offset of the disk through the L1 and an L2 table to a cluster of the file.
//!
//! An L1 entry holds the offset of an L2 table in bits 9-55. An L2 entry is a "Standard Cluster Descriptor"
//! (offset in bits 9-55; bit 0: reads as zeros), or, with bit 62, a "Compressed Clusters Descriptor". An extended
//! L2 entry has 64 bits more: for each of 32 subclusters, bit n says allocated, bit 32+n says zeros.

use std::sync::Arc;

use super::{LAYER, compressed::Compressed, header::L1};
use crate::{
    error::{Error, Result},
    field::narrow,
    image::{
        mapped::{Layered, Map, Source, Stretch},
        tables::{Entries, Tables},
    },
};

const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;
/// The subclusters of an extended L2 entry.
const SUBCLUSTERS_BITS: u32 = 5;

/// The mapping of one disk or snapshot in one file.
pub(crate) struct Clusters {
    pub(super) bits: u32,
    pub(super) extended: bool,
    pub(super) version: u32,
    pub(super) size: u64,
    pub(super) l1: L1,
    pub(super) tables: Tables,
    pub(super) data: Arc<dyn Layered>,
    pub(super) external: bool,
    pub(super) compressed: Compressed,
    pub(super) below: Option<Arc<dyn Layered>>,
}

/// What a part of one cluster is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Below,
    Zeros,
    Stored(u64),
    Packed { at: u64, len: u64, skip: u64 },
}

impl Part {
    /// Whether `next` goes on where this part, which has `len` bytes, ends.
    fn continues(self, len: u64, next: Self) -> bool {
        match (self, next) {
            (Self::Stored(at), Self::Stored(next)) => at.checked_add(len) == Some(next),
            (Self::Packed { .. }, _) => false,
            _ => self == next,
        }
    }
}

impl Clusters {
    fn cluster(&self) -> u64 {
        1_u64.checked_shl(self.bits).unwrap_or(u64::MAX)
    }

    fn wrong(&self, offset: u64, what: impl Into<String>) -> Error {
        Error::corrupt(LAYER, format!("L2 entry of offset {offset:#x}"), what)
    }

    /// The part of the cluster of `offset` from `inside` on, and its length.
    fn part(&self, offset: u64, entry: u64, bitmap: u64, inside: u64) -> Result<(Part, u64)> {
        let rest = self.cluster().saturating_sub(inside);
        if entry & COMPRESSED != 0 {
            if self.external {
                return Err(self.wrong(offset, "a compressed cluster in an image with an external data file"));
            }
            // x = 62 - (cluster_bits - 8): bits 0 to x-1 are the offset, x to 61 the sectors beyond the first.
            let x = 70_u32.saturating_sub(self.bits);
            let fields = entry & !(COMPRESSED | COPIED);
            let at = fields & 1_u64.checked_shl(x).unwrap_or(0).wrapping_sub(1);
            let sectors = fields.checked_shr(x).unwrap_or(0).saturating_add(1);
            let len = sectors.saturating_mul(512).saturating_sub(at & 511);
            return Ok((Part::Packed { at, len, skip: inside }, rest));
        }
        let at = entry & OFFSET;
        if at & self.cluster().wrapping_sub(1) != 0 {
            return Err(
                self.wrong(offset, format!("the cluster's offset {at:#x} is not a multiple of {:#x}", self.cluster()))
            );
        }
        // An external data file may hold a cluster at offset 0; then only this bit tells.
        let allocated = at != 0 || (self.external && entry & COPIED != 0);
        let stored = Part::Stored(at.saturating_add(inside));
        if !self.extended {
            let part = match (entry & ZERO != 0, allocated) {
                (true, _) if self.version < 3 => return Err(self.wrong(offset, "a zero cluster in a version 2 image")),
                (true, _) => Part::Zeros,
                (false, true) => stored,
                (false, false) => Part::Below,
            };
            return Ok((part, rest));
        }
        let shift = self.bits.saturating_sub(SUBCLUSTERS_BITS);
        let first = u32::try_from(inside.checked_shr(shift).unwrap_or(0)).unwrap_or(31).min(31);
        let state = |n: u32| {
            let bit = |at: u32| bitmap.checked_shr(at).unwrap_or(0) & 1 != 0;
            (bit(n), bit(n.saturating_add(32)))
        };
        let here = state(first);
        let end = (first..32).find(|n| state(*n) != here).unwrap_or(32);
        let len = u64::from(end).checked_shl(shift).unwrap_or(0).saturating_sub(inside);
        match here {
            (true, true) => Err(self.wrong(offset, format!("subcluster {first} is both allocated and zero"))),
            (true, false) if !allocated => {
                Err(self.wrong(offset, format!("subcluster {first} is allocated in no cluster")))
            }
            (true, false) => Ok((stored, len)),
            (false, true) => Ok((Part::Zeros, len)),
            (false, false) => Ok((Part::Below, len)),
        }
    }

    /// How far the L2 tables from `l1_index` on are absent: in bytes from `inside` the first of them.
    fn absent(&self, l1: &Entries, l1_index: u64, inside: u64, l2_bytes: u64, want: u64) -> u64 {
        let mut len = l2_bytes.saturating_sub(inside);
        let left = self.l1.entries.saturating_sub(l1_index);
        for index in 1..narrow(left) {
            match l1.array(index).map(u64::from_be_bytes) {
                Some(entry) if entry & OFFSET == 0 && len < want => len = len.saturating_add(l2_bytes),
                _ => break,
            }
        }
        len
    }
}

impl Map for Clusters {
    const LAYER: &'static str = LAYER;

    fn size(&self) -> u64 {
        self.size
    }

    fn below(&self) -> Option<&Arc<dyn Layered>> {
        self.below.as_ref()
    }

    fn stretch(&self, offset: u64, want: u64) -> Result<Stretch<'_>> {
        let entry_bits = if self.extended { 4 } else { 3 };
        let l2_bits = self.bits.saturating_sub(entry_bits);
        let l2_bytes = 1_u64.checked_shl(self.bits.saturating_add(l2_bits)).unwrap_or(u64::MAX);
        let number = offset.checked_shr(self.bits).unwrap_or(0);
        let l1_index = number.checked_shr(l2_bits).unwrap_or(0);
        if l1_index >= self.l1.entries {
            return Err(Error::corrupt(LAYER, format!("offset {offset:#x}"), "it lies past the end of the L1 table"));
        }
        let l1 = self.tables.entries::<8>("L1 table", self.l1.at.saturating_add(l1_index.saturating_mul(8)))?;
        let table = l1.array(0).map(u64::from_be_bytes).unwrap_or(0) & OFFSET;
        if table == 0 {
            let len = self.absent(&l1, l1_index, offset & l2_bytes.wrapping_sub(1), l2_bytes, want);
            return Ok(Stretch { len, source: Source::Below });
        }
        if table & self.cluster().wrapping_sub(1) != 0 {
            return Err(Error::corrupt(
                LAYER,
                format!("L1 entry {l1_index}"),
                format!("the L2 table's offset {table:#x} is not a multiple of {:#x}", self.cluster()),
            ));
        }
        let l2_entries = 1_u64.checked_shl(l2_bits).unwrap_or(1);
        let l2_index = number & l2_entries.wrapping_sub(1);
        let at = table.saturating_add(l2_index.checked_shl(entry_bits).unwrap_or(0));
        let (part, len) = self.run_of_parts(offset, at, l2_entries.saturating_sub(l2_index), want)?;
        let source = match part {
            Part::Below => Source::Below,
            Part::Zeros => Source::Zeros,
            Part::Stored(at) => Source::Stored { file: &*self.data, at },
            Part::Packed { at, len, skip } => Source::Packed { pack: &self.compressed, at, len, skip },
        };
        Ok(Stretch { len, source })
    }
}

impl Clusters {
    /// The part at `offset`, whose L2 entry is the first of `left` ones at `at`, and its length with what goes on
    /// behind it.
    fn run_of_parts(&self, offset: u64, at: u64, left: u64, want: u64) -> Result<(Part, u64)> {
        let entries = match self.extended {
            false => self.tables.entries::<8>("L2 table", at)?,
            true => self.tables.entries::<16>("L2 table", at)?,
        };
        let mut inside = offset & self.cluster().wrapping_sub(1);
        let mut run: Option<(Part, u64)> = None;
        for index in 0..narrow(left) {
            let next = if self.extended {
                entries.array(index).map(u128::from_be_bytes).map(|e| {
                    let [high, low] = [e >> 64, e & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or(0));
                    (high, low)
                })
            } else {
                entries.array(index).map(|e| (u64::from_be_bytes(e), 0))
            };
            let Some((entry, bitmap)) = next else { break };
            let so_far = run.map_or(0, |(_, len)| len);
            let part = self.part(offset.saturating_add(so_far), entry, bitmap, inside);
            let (part, len) = match (part, run) {
                (Ok((part, len)), _) => (part, len),
                // What is wrong later does not keep from reading what comes before it.
                (Err(_), Some(_)) => break,
                (Err(error), None) => return Err(error),
            };
            match &mut run {
                None => run = Some((part, len)),
                Some((first, total)) if first.continues(*total, part) => *total = total.saturating_add(len),
                Some(_) => break,
            }
            if inside.saturating_add(len) < self.cluster() || run.is_some_and(|(_, total)| total >= want) {
                break;
            }
            inside = 0;
        }
        run.ok_or_else(|| Error::Bug(format!("qcow2: no L2 entry at {at:#x}")))
    }
}
