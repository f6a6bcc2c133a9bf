//! The map from a file's logical blocks to blocks of the volume: what both kinds of map, extent tree and indirect
//! blocks, hand out, and what every consumer of a map sees.

use std::ops::ControlFlow;

use super::{LAYER, extent, indirect, inode::FLAG_EXTENTS, inode::Inode, volume::Volume};
use crate::{error::Error, fs::runs};

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
pub(super) type Piece = runs::Piece<Run>;

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
    let mut out = Out { volume, inode, end, next: 0, stored: 0, pending: None, each };
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
    /// Blocks that hold data; what was never written costs nothing to read.
    stored: u64,
    pending: Option<Run>,
    each: &'a mut dyn FnMut(Piece) -> ControlFlow<()>,
}

impl Out<'_> {
    /// First logical block that no run has covered yet.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Reads a block of the map; whether it could be read.
    pub(super) fn read(&mut self, block: u64, buf: &mut Vec<u8>) -> ControlFlow<(), bool> {
        if let Err(what) = self.volume.maps.take(self.volume.superblock.block_bytes()) {
            self.broken(what)?;
            return ControlFlow::Break(());
        }
        if let Err(error) = self.volume.read_block(block, buf) {
            self.report(Piece::Broken(error))?;
            return ControlFlow::Continue(false);
        }
        ControlFlow::Continue(true)
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
        self.stored = self.stored.saturating_add(if run.unwritten { 0 } else { run.len });
        let blocks = self.volume.blocks();
        if self.stored > blocks {
            self.broken(format!("maps more blocks than the image holds ({blocks:#x})"))?;
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

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "this is a test")]
mod tests {
    use std::sync::Arc;

    use super::{super::superblock, *};
    use crate::{fs::claims::Claims, image::Memory};

    /// Blocks that the image holds; the superblock of [`superblock::tests::raw`] claims a million.
    const HELD: u64 = 40;
    const BLOCK: usize = 4096;

    /// What the map that begins with `root` gives: its runs, and its faults.
    fn walked(image: Vec<u8>, flags: u32, root: &[u8]) -> (Vec<Run>, Vec<String>) {
        let (volume, inode) = opened(image, flags, root);
        collected(&volume, &inode)
    }

    fn opened(image: Vec<u8>, flags: u32, root: &[u8]) -> (Volume, Inode) {
        let superblock = superblock::Superblock::parse(&superblock::tests::raw(1 << 20)).unwrap();
        let mut raw = [0; 128];
        raw[..2].copy_from_slice(&0o100_644_u16.to_le_bytes());
        raw[0x20..0x24].copy_from_slice(&flags.to_le_bytes());
        raw[0x28..0x28 + root.len()].copy_from_slice(root);
        let inode = Inode::parse(&superblock, 12, &raw).unwrap();
        (Volume::new(Arc::new(Memory(image)), superblock), inode)
    }

    fn collected(volume: &Volume, inode: &Inode) -> (Vec<Run>, Vec<String>) {
        let (mut runs, mut faults) = (Vec::new(), Vec::new());
        walk(volume, inode, &mut Scratch::default(), u64::MAX, &mut |piece| {
            match piece {
                Piece::Run(run) => runs.push(run),
                Piece::Mismatch(error) | Piece::Broken(error) => faults.push(error.to_string()),
            }
            ControlFlow::Continue(())
        });
        (runs, faults)
    }

    fn image() -> Vec<u8> {
        vec![0; usize::try_from(HELD).unwrap() * BLOCK]
    }

    /// A root with these extents: first logical block, length, first physical block.
    fn extents(extents: &[(u32, u16, u32)]) -> Vec<u8> {
        let count = u8::try_from(extents.len()).unwrap();
        let mut root = vec![0x0A, 0xF3, count, 0, 4, 0, 0, 0, 0, 0, 0, 0];
        for (logical, len, physical) in extents {
            root.extend([&logical.to_le_bytes()[..], &len.to_le_bytes(), &[0; 2], &physical.to_le_bytes()].concat());
        }
        root
    }

    #[test]
    fn extents_that_repeat_blocks_end_at_what_the_image_holds() {
        let repeated: Vec<_> = (0..4).map(|number| (number * 16, 16, 8)).collect();
        let (runs, faults) = walked(image(), FLAG_EXTENTS, &extents(&repeated));
        assert_eq!(runs.len(), 2);
        assert_eq!(faults, ["ext4: inode 12, block map: maps more blocks than the image holds (0x28)"]);
    }

    #[test]
    fn what_is_stored_nowhere_does_not_count_as_mapped() {
        // Holes of 2^30 blocks, and 2^15 - 1 that were never written.
        let sparse = [(0, 16, 8), (1 << 30, 16, 24), (2 << 30, 0xFFFF, 100)];
        let (runs, faults) = walked(image(), FLAG_EXTENTS, &extents(&sparse));
        assert_eq!((runs.len(), runs[2].len, runs[2].unwritten), (3, 0x7FFF, true));
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn a_file_that_an_image_holds_is_read_where_the_image_was_cut_off() {
        let (runs, faults) = walked(image(), FLAG_EXTENTS, &extents(&[(0, 39, 1)]));
        assert_eq!((runs.len(), faults), (1, Vec::new()));
    }

    #[test]
    fn pointers_that_repeat_blocks_end_at_what_the_image_holds() {
        let mut image = image();
        // All pointers of block 8 lead to block 9, and those of block 9 to block 10.
        for (block, to) in [(8, 9_u32), (9, 10)] {
            image[block * BLOCK..(block + 1) * BLOCK].copy_from_slice(&to.to_le_bytes().repeat(BLOCK / 4));
        }
        let mut root = vec![0; 60];
        root[52..56].copy_from_slice(&8_u32.to_le_bytes());
        let (_, faults) = walked(image.clone(), 0, &root);
        assert_eq!(faults, ["ext4: inode 12, block map: maps more blocks than the image holds (0x28)"]);
        // Without data, the blocks of pointers are what repeats.
        image[9 * BLOCK..10 * BLOCK].fill(0);
        let (_, faults) = walked(image, 0, &root);
        assert_eq!(faults, ["ext4: inode 12, block map: more indirect blocks than the image holds (0x28)"]);
    }

    /// Any number of inodes may lead to the same blocks of a map, which need not lead to data.
    #[test]
    fn maps_that_many_inodes_claim_are_not_read_for_ever() {
        let mut image = image();
        // Block 8 is a block of pointers, whose one leads to block 9; block 10 a leaf of an extent, at block 9 too.
        image[8 * BLOCK] = 9;
        image[10 * BLOCK..10 * BLOCK + 24].copy_from_slice(&extents(&[(0, 1, 9)])[..24]);
        let mut pointers = vec![0; 60];
        pointers[48] = 8;
        let mut tree = vec![0; 24];
        tree[..12].copy_from_slice(&[0x0A, 0xF3, 1, 0, 4, 0, 1, 0, 0, 0, 0, 0]);
        tree[16] = 10;
        for (flags, root) in [(0, pointers), (FLAG_EXTENTS, tree)] {
            let (mut volume, inode) = opened(image.clone(), flags, &root);
            volume.maps = Claims::of_maps(0).within(8192);
            for _ in 0..2 {
                let (runs, faults) = collected(&volume, &inode);
                assert_eq!((runs.len(), faults), (1, Vec::new()));
            }
            let said = "ext4: inode 12, block map: the block maps of this volume hold more than 8192 bytes: the rest is not read";
            assert_eq!(collected(&volume, &inode), (Vec::new(), vec![said.to_owned()]));
        }
    }
}
