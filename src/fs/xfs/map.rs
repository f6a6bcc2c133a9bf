//! Walking a fork's map in file order: extents in the inode, or a tree of them (`bmbt`).
//! See "Data Extents" and "B+tree Extent List" in *XFS Algorithms & Data Structures*.

use std::ops::ControlFlow;

use super::{
    LAYER,
    bytes::{be16, be32, be64, wide},
    extent::{RECORD, Record},
    inode::{Format, Inode, Which},
    verify::{self, Layout},
    volume::Volume,
};
use crate::{
    error::{Error, Result},
    fs::{Kind, runs},
};

/// `XFS_BTREE_MAXLEVELS`.
const MAX_LEVELS: u16 = 9;
/// Blocks of one tree that are visited: a tree of 4 KiB blocks holds 250 extents in each.
const MAX_TREE_BLOCKS: u32 = 1 << 17;
/// Extents of one fork; the most fragmented real files have some hundred thousand.
const MAX_EXTENTS: u64 = 4 << 20;
/// Errors of one fork that are kept, where all of its runs are wanted at once.
const MAX_ERRORS: usize = 256;
/// Content of a file may stand for the volume's blocks so many times over, where blocks are shared.
const MAX_SHARING: u64 = 64;

const MAGIC_V4: u32 = 0x424D_4150;
const MAGIC_V5: u32 = 0x424D_4133;
const HEADER_V4: usize = 24;
const HEADER_V5: usize = 72;
const LAYOUT: Layout = Layout { crc: 64, place: 24, uuid: 40, owner: 56 };
const ROOT_HEADER: usize = 4;
/// A key or a pointer.
const WORD: usize = 8;

/// A piece of a fork, in blocks of the file, and its byte offset on the volume.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub(super) logical: u64,
    pub(super) len: u64,
    pub(super) offset: u64,
    pub(super) unwritten: bool,
}

impl Run {
    pub(super) fn end(&self) -> u64 {
        self.logical.saturating_add(self.len)
    }
}

/// What a walk hands out.
pub(super) type Piece = runs::Piece<Run>;

type Each<'e> = &'e mut dyn FnMut(Piece) -> ControlFlow<()>;

struct Walk<'a, 'e> {
    volume: &'a Volume,
    inode: &'a Inode,
    name: &'static str,
    each: Each<'e>,
    next: u64,
    records: u64,
    /// Blocks that hold data; what was never written costs nothing to read.
    stored: u64,
    cap: u64,
    blocks: u32,
    broken: bool,
}

/// Hands out a fork's runs in file order; what is between them is a hole.
pub(super) fn walk(volume: &Volume, inode: &Inode, which: Which, each: Each<'_>) {
    let Some(fork) = inode.fork(which) else { return };
    let is_file = which == Which::Data && inode.kind().is_ok_and(|kind| kind == Kind::File);
    let shared = is_file && volume.superblock.features.reflink();
    let mut walk = Walk {
        volume,
        inode,
        name: fork.name,
        each,
        next: 0,
        records: 0,
        stored: 0,
        cap: volume.blocks().saturating_mul(if shared { MAX_SHARING } else { 1 }),
        blocks: 0,
        broken: false,
    };
    let flow = match fork.format {
        Format::Extents => {
            let room = wide(fork.bytes.len()).checked_div(wide(RECORD)).unwrap_or(0);
            let count = usize::try_from(fork.extents.min(room)).unwrap_or(0);
            walk.records(fork.bytes, count)
        }
        Format::Btree => walk.root(fork.bytes),
        Format::Device => walk.broken("a device has no map"),
        Format::Local => walk.broken("what stands in the inode itself has no map"),
        Format::Other(number) => walk.broken(format!("expected the format extents or tree, found number {number}")),
    };
    if flow.is_continue() && !walk.broken && walk.records != fork.extents {
        let what = format!("{} extents instead of {}", walk.records, fork.extents);
        let error = walk.error(&what);
        let _ = (walk.each)(Piece::Broken(error));
    }
}

/// All runs of a fork, with what went wrong; with too much of that, those in front of it.
pub(super) fn collect(volume: &Volume, inode: &Inode, which: Which, end: u64) -> (Vec<Run>, Vec<Error>) {
    let (mut runs, mut errors, mut more) = (Vec::new(), Vec::new(), false);
    walk(volume, inode, which, &mut |piece| {
        match piece {
            Piece::Run(run) if run.logical >= end => return ControlFlow::Break(()),
            Piece::Run(run) => runs.push(run),
            Piece::Mismatch(_) | Piece::Broken(_) if errors.len() >= MAX_ERRORS => {
                more = true;
                return ControlFlow::Break(());
            }
            Piece::Mismatch(error) | Piece::Broken(error) => errors.push(error),
        }
        ControlFlow::Continue(())
    });
    if more {
        let name = inode.fork(which).map_or("", |fork| fork.name);
        let what = format!("more than {MAX_ERRORS} errors; the rest was not read");
        errors.push(Error::corrupt(LAYER, format!("{}, {name}", inode.at()), what));
    }
    (runs, errors)
}

impl Walk<'_, '_> {
    fn error(&self, what: &str) -> Error {
        Error::corrupt(LAYER, format!("{}, {}", self.inode.at(), self.name), what)
    }

    fn broken(&mut self, what: impl AsRef<str>) -> ControlFlow<()> {
        self.broken = true;
        let error = self.error(what.as_ref());
        (self.each)(Piece::Broken(error))
    }

    fn records(&mut self, bytes: &[u8], count: usize) -> ControlFlow<()> {
        for bytes in bytes.chunks_exact(RECORD).take(count) {
            let record = Record::parse(bytes);
            self.records = self.records.saturating_add(1);
            self.stored = self.stored.saturating_add(if record.unwritten { 0 } else { record.len });
            let at = format!("the extent of {} blocks at block {:#x} of the file", record.len, record.logical);
            if self.records > MAX_EXTENTS || self.stored > self.cap {
                let what = format!("{} maps more than {MAX_EXTENTS} extents or {} blocks", self.inode.at(), self.cap);
                self.broken = true;
                let _ = (self.each)(Piece::Broken(Error::budget(LAYER, what)));
                return ControlFlow::Break(());
            }
            if record.len == 0 || record.logical < self.next {
                self.broken(format!("{at} is empty or overlaps the one before"))?;
                continue;
            }
            self.next = record.logical.saturating_add(record.len);
            match self.volume.superblock.block_place(record.block, record.len) {
                Some(offset) => {
                    let Record { logical, len, unwritten, .. } = record;
                    (self.each)(Piece::Run(Run { logical, len, offset, unwritten }))?;
                }
                None => self.broken(format!("{at} has no place on the volume at {:#x}", record.block))?,
            }
        }
        ControlFlow::Continue(())
    }

    /// The root, in the inode: level, number of records, then keys and pointers in halves of what is left.
    fn root(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let (level, count) = (be16(bytes, 0), usize::from(be16(bytes, 2)));
        if level == 0 || level > MAX_LEVELS {
            return self.broken(format!("the root of the tree has level {level}"));
        }
        let body = bytes.get(ROOT_HEADER..).unwrap_or_default();
        self.children(body, count, level)
    }

    fn children(&mut self, body: &[u8], count: usize, level: u16) -> ControlFlow<()> {
        let room = body.len().checked_div(WORD.saturating_mul(2)).unwrap_or(0);
        if count == 0 || count > room {
            return self.broken(format!("{count} pointers in a node with room for {room}"));
        }
        let pointers = body.get(room.saturating_mul(WORD)..).unwrap_or_default();
        for pointer in pointers.chunks_exact(WORD).take(count) {
            self.block(be64(pointer, 0), level.saturating_sub(1))?;
        }
        ControlFlow::Continue(())
    }

    fn block(&mut self, number: u64, level: u16) -> ControlFlow<()> {
        self.blocks = self.blocks.saturating_add(1);
        if self.blocks > MAX_TREE_BLOCKS {
            let _ = self.broken(format!("the tree has more than {MAX_TREE_BLOCKS} blocks"));
            return ControlFlow::Break(());
        }
        if let Err(what) = self.volume.maps.take(wide(self.volume.superblock.block_len())) {
            let _ = self.broken(what);
            return ControlFlow::Break(());
        }
        let (bytes, offset) = match self.read(number) {
            Ok(read) => read,
            Err(error) => {
                self.broken = true;
                return (self.each)(Piece::Broken(error));
            }
        };
        let (magic, header) =
            if self.volume.superblock.features.v5 { (MAGIC_V5, HEADER_V5) } else { (MAGIC_V4, HEADER_V4) };
        let (found, found_level) = (be32(&bytes, 0), be16(&bytes, 4));
        if found != magic || found_level != level {
            let what = format!("magic {found:#010x}, level {found_level} instead of {magic:#010x}, {level}");
            return self.broken(format!("tree block {number:#x} at {offset:#x}: {what}"));
        }
        if let Some(what) = verify::block(self.volume, &bytes, &LAYOUT, offset, self.inode.number) {
            let error = self.error(&format!("tree block {number:#x} at {offset:#x}: {what}"));
            (self.each)(Piece::Mismatch(error))?;
        }
        let count = usize::from(be16(&bytes, 6));
        let body = bytes.get(header..).unwrap_or_default();
        if level > 0 {
            return self.children(body, count, level);
        }
        if count > body.len().checked_div(RECORD).unwrap_or(0) {
            return self.broken(format!("tree block {number:#x} at {offset:#x}: {count} extents"));
        }
        self.records(body, count)
    }

    fn read(&self, number: u64) -> Result<(Vec<u8>, u64)> {
        let superblock = &self.volume.superblock;
        let offset = superblock
            .block_place(number, 1)
            .ok_or_else(|| self.error(&format!("tree block {number:#x} lies outside the filesystem")))?;
        let mut bytes = vec![0; superblock.block_len()];
        self.volume.read_at(offset, &mut bytes)?;
        Ok((bytes, offset))
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "this is a test")]
mod tests {
    use std::sync::Arc;

    use super::{super::superblock, *};
    use crate::{fs::claims::Claims, image::Memory};

    #[test]
    fn a_tree_that_repeats_a_broken_leaf_gives_some_errors_and_says_that_there_are_more() {
        const LEAF: u8 = 20;
        let leaf = usize::from(LEAF) << 12;
        let superblock = superblock::tests::superblock();
        let mut image = vec![0; 32 << 12];
        image[leaf..][..4].copy_from_slice(b"BMAP");
        // Of 254 empty extents.
        image[leaf + 7] = 254;
        let mut raw = vec![0; 256];
        raw[..6].copy_from_slice(&[b'I', b'N', 0x41, 0xED, 2, 3]);
        // A tree of one level, whose nine pointers all lead to that leaf.
        raw[100..104].copy_from_slice(&[0, 1, 0, 9]);
        for pointer in raw[176..248].chunks_exact_mut(8) {
            pointer[7] = LEAF;
        }
        let inode = Inode::parse(&superblock, 3, &raw).unwrap();
        let volume = Volume::new(Arc::new(Memory(image)), superblock);
        let (runs, errors) = collect(&volume, &inode, Which::Data, u64::MAX);
        assert_eq!((runs.len(), errors.len()), (0, 257));
        assert_eq!(errors[256].to_string(), "xfs: inode 3, data fork: more than 256 errors; the rest was not read");
    }

    /// Any number of inodes may lead to the same tree.
    #[test]
    fn trees_that_many_inodes_claim_are_not_read_for_ever() {
        let superblock = superblock::tests::superblock();
        let mut image = vec![0; 32 << 12];
        // An empty leaf.
        image[20 << 12..][..4].copy_from_slice(b"BMAP");
        let mut raw = vec![0; 256];
        raw[..6].copy_from_slice(&[b'I', b'N', 0x81, 0xA4, 2, 3]);
        raw[100..104].copy_from_slice(&[0, 1, 0, 1]);
        raw[183] = 20;
        let inode = Inode::parse(&superblock, 3, &raw).unwrap();
        let mut volume = Volume::new(Arc::new(Memory(image)), superblock);
        volume.maps = Claims::of_maps(0).within(2 << 12);
        let errors = || collect(&volume, &inode, Which::Data, u64::MAX).1;
        assert_eq!((errors().len(), errors().len()), (0, 0));
        let said =
            "xfs: inode 3, data fork: the block maps of this volume hold more than 8192 bytes: the rest is not read";
        assert_eq!(errors()[0].to_string(), said);
    }
}
