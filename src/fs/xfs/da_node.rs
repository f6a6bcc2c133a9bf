//! Blocks of the tree by hash that larger attribute forks are. See "Node Attributes" and "Directory Nodes" in *XFS
//! Algorithms & Data Structures*: siblings and magic number, then number of entries and level, then hash and block
//! of each.

use super::{
    bytes::{be16, be32},
    verify::Layout,
};

pub(super) const MAGIC_V4: u16 = 0xFEBE;
pub(super) const MAGIC_V5: u16 = 0x3EBE;
const MAGIC_AT: usize = 8;
const COUNT_V4: usize = 12;
const COUNT_V5: usize = 56;
const HEADER_V4: usize = 16;
const HEADER_V5: usize = 64;
const ENTRY: usize = 8;
/// `XFS_DA_NODE_MAXDEPTH`.
pub(super) const MAX_DEPTH: u16 = 5;
/// What nodes and leaves of version 5 say about themselves.
pub(super) const LAYOUT: Layout = Layout { crc: 12, place: 16, uuid: 32, owner: 48 };

/// The magic number, of a node or a leaf.
pub(super) fn magic(block: &[u8]) -> u16 {
    be16(block, MAGIC_AT)
}

/// How far a node is above the leaves.
pub(super) fn level(block: &[u8], v5: bool) -> u16 {
    be16(block, if v5 { COUNT_V5 } else { COUNT_V4 }.saturating_add(2))
}

/// The blocks below a node, in the order of their hashes.
pub(super) fn children(block: &[u8], v5: bool) -> impl Iterator<Item = u32> {
    let (count_at, header) = if v5 { (COUNT_V5, HEADER_V5) } else { (COUNT_V4, HEADER_V4) };
    let table = block.get(header..).unwrap_or_default().chunks_exact(ENTRY);
    table.take(usize::from(be16(block, count_at))).map(|entry| be32(entry, 4))
}
