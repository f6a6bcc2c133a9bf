//! The map from a file's logical blocks to blocks of the volume: what both kinds of map, extent tree and indirect
//! blocks, hand out, and what every consumer of a map sees.

use std::ops::ControlFlow;

use super::{LAYER, extent, indirect, inode::FLAG_EXTENTS, inode::Inode, volume::Volume};
use crate::error::Error;

/// Levels of the deepest extent tree, and more than those of indirect blocks.
pub(super) const MAX_DEPTH: u16 = 5;

/// Consecutive blocks of a file that lie together on the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// First block in the file.
    pub(super) logical: u64,
    /// Blocks.
    pub(super) len: u64,
    /// First block on the volume.
    pub(super) physical: u64,
    /// Allocated and never written: reads as zeros.
    pub(super) unwritten: bool,
}

impl Run {
    pub(super) fn end(&self) -> u64 {
        self.logical.saturating_add(self.len)
    }

    fn meets(&self, next: &Self) -> bool {
        self.end() == next.logical
            && self.unwritten == next.unwritten
            && self.physical.saturating_add(self.len) == next.physical
    }
}

/// What walking a map hands out.
pub(super) enum Piece {
    /// The next run, in file order, never overlapping; what lies between two runs is a hole.
    Run(Run),
    /// A part of the map whose checksum does not match; it is used all the same.
    Mismatch(Error),
    /// A part of the map that cannot be used; the walk goes on behind it.
    Broken(Error),
}

/// One buffer for each level of a map, kept between walks.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) levels: [Vec<u8>; 6],
}

/// Hands out the map of the first `end` blocks of a file.
pub(super) fn walk(
    volume: &Volume,
    inode: &Inode,
    scratch: &mut Scratch,
    end: u64,
    each: &mut dyn FnMut(Piece) -> ControlFlow<()>,
) {
    let mut out = Out { volume, inode, end, next: 0, mapped: 0, pending: None, each };
    let flow =
        if inode.has(FLAG_EXTENTS) { extent::walk(&mut out, scratch) } else { indirect::walk(&mut out, scratch) };
    // A finished map also ends by a break, at the file's end; what is pending then is still due.
    let _ = flow;
    let _ = out.flush();
}

/// Collects runs, joins those that meet, and keeps order and bounds.
pub(super) struct Out<'a> {
    pub(super) volume: &'a Volume,
    pub(super) inode: &'a Inode,
    /// Blocks of the file that are wanted.
    pub(super) end: u64,
    /// First logical block that may come next.
    next: u64,
    mapped: u64,
    pending: Option<Run>,
    each: &'a mut dyn FnMut(Piece) -> ControlFlow<()>,
}

impl Out<'_> {
    /// First logical block that no run has covered yet.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Takes the next run. A break means that the map need not be walked any further.
    pub(super) fn run(&mut self, mut run: Run) -> ControlFlow<()> {
        let superblock = &self.volume.superblock;
        if run.logical >= self.end {
            return ControlFlow::Break(());
        }
        if run.logical < self.next {
            let what = format!("logical block {:#x} is mapped twice or out of order", run.logical);
            return self.broken(what);
        }
        self.next = run.end();
        if !superblock.holds(run.physical, run.len) {
            let what = format!(
                "{} blocks at {:#x} lie outside the filesystem of {:#x}",
                run.len, run.physical, superblock.blocks_count
            );
            return self.broken(what);
        }
        // No file can own more blocks than there are: a map that says so repeats blocks to look long.
        self.mapped = self.mapped.saturating_add(run.len);
        if self.mapped > superblock.blocks_count {
            self.broken(format!("maps more than the {:#x} blocks of the filesystem", superblock.blocks_count))?;
            return ControlFlow::Break(());
        }
        run.len = run.len.min(self.end.saturating_sub(run.logical));
        match &mut self.pending {
            Some(pending) if pending.meets(&run) => {
                pending.len = pending.len.saturating_add(run.len);
                ControlFlow::Continue(())
            }
            _ => {
                self.flush()?;
                self.pending = Some(run);
                ControlFlow::Continue(())
            }
        }
    }

    /// Reports a part of the map that cannot be used.
    pub(super) fn broken(&mut self, what: String) -> ControlFlow<()> {
        let error = Error::corrupt(LAYER, format!("{}, block map", self.inode.at()), what);
        self.report(Piece::Broken(error))
    }

    pub(super) fn report(&mut self, piece: Piece) -> ControlFlow<()> {
        self.flush()?;
        (self.each)(piece)
    }

    fn flush(&mut self) -> ControlFlow<()> {
        match self.pending.take() {
            Some(run) => (self.each)(Piece::Run(run)),
            None => ControlFlow::Continue(()),
        }
    }
}
