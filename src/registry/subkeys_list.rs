//! Lists of subkeys.
//!
//! \[regf\] "Index leaf", "Fast leaf", "Hash leaf", "Index root": `li`, `lf`, `lh` or `ri`; number of elements (16
//! bits) at offset 2; then the elements: an offset (32 bits), and in `lf` and `lh` 32 bits that speed up look-ups.
//! An index root's elements lead to leaves, those of the others to keys.

use std::ops::ControlFlow;

use super::cell;
use crate::{
    error::{Fault, Result},
    field::{le16, le32},
};

const ELEMENTS: usize = 4;

/// One list, its signature known.
struct List<'h> {
    at: u32,
    elements: &'h [u8],
    stride: usize,
    count: usize,
    root: bool,
}

impl<'h> List<'h> {
    fn read(bins: &'h [u8], at: u32) -> Result<Self> {
        let record = cell::read(bins, at, "subkeys list")?;
        let (stride, root) = match record.get(..2) {
            Some(b"lf" | b"lh") => (8, false),
            Some(b"li") => (4, false),
            Some(b"ri") => (4, true),
            other => {
                let found = other.unwrap_or_default().escape_ascii();
                return Err(cell::corrupt(
                    at,
                    format!("subkeys list: signature lf, lh, li or ri expected, found {found}"),
                ));
            }
        };
        let count = le16(record, 2).unwrap_or(0).into();
        Ok(Self { at, elements: record.get(ELEMENTS..).unwrap_or_default(), stride, count, root })
    }

    /// The offsets that the elements hold.
    fn offsets(&self) -> impl Iterator<Item = u32> + 'h {
        self.elements.chunks_exact(self.stride).take(self.count).filter_map(|element| le32(element, 0))
    }

    /// Elements that the cell is too short for.
    fn missing(&self) -> Option<Fault> {
        let held = self.elements.len().checked_div(self.stride).unwrap_or(0);
        (held < self.count).then(|| {
            cell::fault(self.at, format!("subkeys list of {} elements leaves its cell, which holds {held}", self.count))
        })
    }
}

/// Hands out the offsets of all keys of the list at `at`, and a fault for each part that does not parse.
///
/// `budget` falls with each element, and the list ends with a fault when it is used up: a hostile index root
/// can lead to one leaf 65,535 times.
pub(super) fn each(
    bins: &[u8],
    at: u32,
    budget: &mut usize,
    out: &mut dyn FnMut(Result<u32, Fault>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let list = match List::read(bins, at) {
        Ok(list) => list,
        Err(error) => return out(Err(error.into())),
    };
    if !list.root {
        return leaf(&list, budget, out);
    }
    for leaf_at in list.offsets() {
        spend(&list, budget, out)?;
        match List::read(bins, leaf_at) {
            Ok(below) if below.root => {
                out(Err(cell::fault(leaf_at, "index root below an index root: a leaf expected")))?
            }
            Ok(below) => leaf(&below, budget, out)?,
            Err(error) => out(Err(error.into()))?,
        }
    }
    list.missing().map_or(ControlFlow::Continue(()), |fault| out(Err(fault)))
}

/// Whether the list at `at` reads and holds no key: \[regf\] has no such list, but hivex leaves it behind with the last
/// subkey that it deletes.
pub(super) fn is_empty(bins: &[u8], at: u32, budget: &mut usize) -> bool {
    each(bins, at, budget, &mut |_| ControlFlow::Break(())).is_continue()
}

fn leaf(
    list: &List<'_>,
    budget: &mut usize,
    out: &mut dyn FnMut(Result<u32, Fault>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for key in list.offsets() {
        spend(list, budget, out)?;
        out(Ok(key))?;
    }
    list.missing().map_or(ControlFlow::Continue(()), |fault| out(Err(fault)))
}

/// Takes one element off the budget; at its end, a fault and the end of the listing.
fn spend(
    list: &List<'_>,
    budget: &mut usize,
    out: &mut dyn FnMut(Result<u32, Fault>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(left) = budget.checked_sub(1) else {
        out(Err(cell::fault(list.at, "more elements in subkeys lists than the hive has room for")))?;
        return ControlFlow::Break(());
    };
    *budget = left;
    ControlFlow::Continue(())
}
