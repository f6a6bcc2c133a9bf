//! The extent tree; see "Extent Tree" in the kernel's ext4 documentation. A node is a header of 12 bytes, entries of
//! 12 bytes, and in blocks with metadata_csum a checksum behind the last possible entry.

use std::ops::ControlFlow;

use super::{
    LAYER,
    bytes::{join, le16, le32},
    checksum::crc32c,
    inode::BLOCK_LEN,
    map::{MAX_DEPTH, Out, Piece, Run, Scratch},
};
use crate::error::Error;

const MAGIC: u16 = 0xF30A;
const ENTRY: usize = 12;
/// Longer lengths mean an unwritten extent, of this much less.
const MAX_WRITTEN: u16 = 0x8000;
/// The kernel leaves no empty leaf behind: a few are tolerated, a tree made of them is not walked.
const MAX_EMPTY_LEAVES: u32 = 4096;

struct Tree<'o, 'a> {
    out: &'o mut Out<'a>,
    scratch: &'o mut Scratch,
    empty_leaves: u32,
}

/// Walks the tree whose root is in the inode.
pub(super) fn walk(out: &mut Out<'_>, scratch: &mut Scratch) -> ControlFlow<()> {
    let root = out.inode.block;
    Tree { out, scratch, empty_leaves: 0 }.node(&root, None)
}

/// The runs of a map that lies in the inode alone, `None` for each that is none; `None` where there is more to the map.
pub(super) fn in_inode(root: &[u8; BLOCK_LEN]) -> Option<impl Iterator<Item = Option<Run>>> {
    let (entries, depth) = (usize::from(le16(root, 2)), le16(root, 6));
    let (table, _) = root.get(ENTRY..)?.as_chunks::<ENTRY>();
    (le16(root, 0) == MAGIC && depth == 0).then_some(())?;
    Some(table.get(..entries)?.iter().map(run))
}

/// The run of a leaf's entry; `None` when it has no length, or reaches past the last logical block.
fn run(entry: &[u8; ENTRY]) -> Option<Run> {
    let stated = le16(entry, 4);
    let (len, unwritten) = match stated.checked_sub(MAX_WRITTEN) {
        Some(len) if len > 0 => (len, true),
        _ => (stated, false),
    };
    let logical = le32(entry, 0);
    logical.checked_add(u32::from(len).checked_sub(1)?)?;
    Some(Run {
        logical: u64::from(logical),
        len: u64::from(len),
        physical: join(u32::from(le16(entry, 6)), le32(entry, 8)),
        unwritten,
    })
}

/// What the parent says about a node.
#[derive(Clone, Copy)]
struct Expected {
    depth: u16,
    first: u32,
    block: u64,
}

impl Tree<'_, '_> {
    fn node(&mut self, bytes: &[u8], expected: Option<Expected>) -> ControlFlow<()> {
        let (entries, max, depth) = (le16(bytes, 2), le16(bytes, 4), le16(bytes, 6));
        let place = expected.map_or(String::new(), |expected| format!("extent node {:#x}: ", expected.block));
        if le16(bytes, 0) != MAGIC {
            return self.out.broken(format!("{place}magic {:#06x} instead of {MAGIC:#06x}", le16(bytes, 0)));
        }
        let wanted = expected.map_or(depth.min(MAX_DEPTH), |expected| expected.depth);
        if depth != wanted {
            return self.out.broken(format!("{place}depth {depth} instead of {wanted}"));
        }
        let capacity = bytes.len().saturating_sub(ENTRY).checked_div(ENTRY).unwrap_or(0);
        if entries > max || usize::from(max) > capacity {
            return self.out.broken(format!("{place}{entries} of {max} entries where {capacity} fit"));
        }
        let used = usize::from(entries).saturating_add(1).saturating_mul(ENTRY);
        let table = bytes.get(ENTRY..used).unwrap_or_default();
        let (table, _) = table.as_chunks::<ENTRY>();
        if let Some(expected) = expected {
            self.check_checksum(bytes, max, expected)?;
            match table.first() {
                Some(first) if le32(first, 0) != expected.first => {
                    let what = format!("{place}begins at {:#x} instead of {:#x}", le32(first, 0), expected.first);
                    return self.out.broken(what);
                }
                Some(_) => {}
                None => {
                    self.empty_leaves = self.empty_leaves.saturating_add(1);
                    if depth > 0 || self.empty_leaves > MAX_EMPTY_LEAVES {
                        return self.out.broken(format!("{place}no entries"));
                    }
                }
            }
        }
        if depth == 0 { self.leaf(table) } else { self.index(table, depth) }
    }

    fn leaf(&mut self, table: &[[u8; ENTRY]]) -> ControlFlow<()> {
        for entry in table {
            match run(entry) {
                Some(run) => self.out.run(run)?,
                None => {
                    let (logical, stated) = (le32(entry, 0), le16(entry, 4));
                    self.out.broken(format!("extent at logical block {logical:#x} has length {stated:#x}"))?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn index(&mut self, table: &[[u8; ENTRY]], depth: u16) -> ControlFlow<()> {
        let below = depth.saturating_sub(1);
        let mut lowest = 0;
        for entry in table {
            let first = le32(entry, 0);
            if u64::from(first) >= self.out.end {
                return ControlFlow::Break(());
            }
            if u64::from(first) < lowest || u64::from(first) < self.out.next() {
                self.out.broken(format!("index at logical block {first:#x} is out of order"))?;
                continue;
            }
            lowest = u64::from(first).saturating_add(1);
            let block = join(u32::from(le16(entry, 8)), le32(entry, 4));
            let Some(level) = self.scratch.levels.get_mut(usize::from(below)) else { continue };
            let mut buf = std::mem::take(level);
            let flow = match self.out.read(block, &mut buf) {
                ControlFlow::Continue(true) => self.node(&buf, Some(Expected { depth: below, first, block })),
                unread => unread.map_continue(drop),
            };
            if let Some(level) = self.scratch.levels.get_mut(usize::from(below)) {
                *level = buf;
            }
            flow?;
        }
        ControlFlow::Continue(())
    }

    fn check_checksum(&mut self, bytes: &[u8], max: u16, expected: Expected) -> ControlFlow<()> {
        if !self.out.volume.superblock.features.metadata_csum() {
            return ControlFlow::Continue(());
        }
        let end = usize::from(max).saturating_add(1).saturating_mul(ENTRY);
        let inode = self.out.inode;
        let computed = crc32c(inode.checksum_seed, bytes.get(..end).unwrap_or(bytes));
        let found = le32(bytes, end);
        if computed == found {
            return ControlFlow::Continue(());
        }
        let at = format!("{}, extent node {:#x}", inode.at(), expected.block);
        let what = format!("checksum {found:#010x} instead of {computed:#010x}");
        self.out.report(Piece::Mismatch(Error::corrupt(LAYER, at, what)))
    }
}
