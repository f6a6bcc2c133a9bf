//! Direct and indirect blocks, the map of ext2 and ext3: twelve pointers in the inode, then one block of pointers, one
//! block of those, and one of those. See "Direct/Indirect Block Addressing" in the kernel's ext4 documentation.

use std::ops::ControlFlow;

use super::{
    bytes::le32,
    map::{Out, Run, Scratch},
};

const DIRECT: usize = 12;

struct Pointers<'o, 'a> {
    out: &'o mut Out<'a>,
    scratch: &'o mut Scratch,
    /// First logical block that the next pointer covers.
    logical: u64,
    /// Indirect blocks read so far.
    nodes: u64,
}

/// Walks the pointers that begin in the inode.
pub(super) fn walk(out: &mut Out<'_>, scratch: &mut Scratch) -> ControlFlow<()> {
    let root = out.inode.block;
    let (pointers, _) = root.as_chunks::<4>();
    let (direct, indirect) = pointers.split_at_checked(DIRECT).unwrap_or_default();
    let mut walk = Pointers { out, scratch, logical: 0, nodes: 0 };
    for pointer in direct {
        walk.pointer(pointer, 0)?;
    }
    for (pointer, level) in indirect.iter().zip(1..) {
        walk.pointer(pointer, level)?;
    }
    ControlFlow::Continue(())
}

impl Pointers<'_, '_> {
    /// Follows a pointer with `level` blocks of pointers between it and the data.
    fn pointer(&mut self, pointer: &[u8; 4], level: usize) -> ControlFlow<()> {
        if self.logical >= self.out.end {
            return ControlFlow::Break(());
        }
        let first = self.logical;
        let span = self.span(level);
        self.logical = first.saturating_add(span);
        match (u64::from(le32(pointer, 0)), level.checked_sub(1)) {
            (0, _) => ControlFlow::Continue(()),
            (physical, None) => self.out.run(Run { logical: first, len: 1, physical, unwritten: false }),
            (block, Some(below)) => self.block(block, below, first),
        }
    }

    fn block(&mut self, block: u64, below: usize, first: u64) -> ControlFlow<()> {
        // More than there are blocks: the same ones come again and again.
        self.nodes = self.nodes.saturating_add(1);
        let blocks = self.out.volume.blocks();
        if self.nodes > blocks {
            self.out.broken(format!("more indirect blocks than the image holds ({blocks:#x})"))?;
            return ControlFlow::Break(());
        }
        let after = std::mem::replace(&mut self.logical, first);
        let Some(level) = self.scratch.levels.get_mut(below) else { return ControlFlow::Break(()) };
        let mut buf = std::mem::take(level);
        let flow = match self.out.read(block, &mut buf) {
            ControlFlow::Continue(true) => buf.as_chunks::<4>().0.iter().try_for_each(|at| self.pointer(at, below)),
            unread => unread.map_continue(drop),
        };
        if let Some(level) = self.scratch.levels.get_mut(below) {
            *level = buf;
        }
        self.logical = after;
        flow
    }

    /// Data blocks behind a pointer of this level.
    fn span(&self, level: usize) -> u64 {
        let per_block = u64::from(self.out.volume.superblock.block_size >> 2);
        (0..level).fold(1, |span: u64, _| span.saturating_mul(per_block))
    }
}
