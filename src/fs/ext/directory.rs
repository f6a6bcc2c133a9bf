//! Listing a directory: all its blocks in order, or its inline data.

use std::ops::ControlFlow;

use super::{
    LAYER,
    bytes::{capped, le32, u8_at, wide},
    content::encrypted,
    dir_block::{self, Damage, Entries, Entry},
    inode::{BLOCK_LEN, FLAG_ENCRYPT, FLAG_INLINE_DATA, Inode},
    map::{self, Piece, Run},
    reader::{Buffered, Reader},
    volume::Volume,
    xattr,
};
use crate::{
    error::{Error, Fault, Result},
    fs::{DirEntry, Kind, Listed, NodeId, unix::DirFaults},
};

/// Bytes of a directory read at once.
const CHUNK: usize = 1 << 18;
/// Inline directories begin with the number of the parent.
const INLINE_PARENT: usize = 4;

type Each<'e> = &'e mut dyn FnMut(Listed<'_>) -> ControlFlow<()>;

impl Reader<'_> {
    /// Hands out the entries of a directory.
    pub(super) fn list_directory(&mut self, number: u32, each: Each<'_>) -> Result<()> {
        let inode = self.load_used(number)?;
        if inode.kind()? != Kind::Dir {
            return Err(Error::corrupt(LAYER, inode.at(), "is not a directory"));
        }
        if inode.has(FLAG_ENCRYPT) {
            return Err(encrypted(&inode, "its names"));
        }
        let volume = self.volume();
        let mut lister = Lister::new(volume, &inode, each);
        // What an inode says that is not itself may be what it says of its names.
        if inode.mismatch.iter().any(|fault| lister.fault(fault.clone()).is_break()) {
            return Ok(());
        }
        if inode.has(FLAG_INLINE_DATA) {
            if lister.inline(&self.raw).is_continue() {
                lister.end();
            }
            return Ok(());
        }
        let mut buffered = std::mem::take(&mut self.directory);
        let end = inode.size.div_ceil(volume.superblock.block_bytes());
        let (mut next, mut stopped, mut broken) = (0, false, false);
        let mut behind = None;
        map::walk(volume, &inode, &mut self.scratch, u64::MAX, &mut |piece| {
            let flow = match piece {
                Piece::Run(run) => {
                    if run.end() > end {
                        behind = Some(run.logical.max(end));
                    }
                    let run = Run { len: run.len.min(end.saturating_sub(run.logical)), ..run };
                    if run.len == 0 {
                        return ControlFlow::Break(());
                    }
                    let hole = if broken { 0 } else { run.logical.saturating_sub(next) };
                    let flow = lister.hole(next, hole);
                    next = run.end();
                    broken = false;
                    if flow.is_break() { flow } else { lister.run(&run, &mut buffered) }
                }
                Piece::Mismatch(error) => lister.fault(error.into()),
                Piece::Broken(error) => {
                    broken = true;
                    lister.fault(error.into())
                }
            };
            stopped = flow.is_break();
            flow
        });
        self.directory = buffered;
        if !stopped && !broken && lister.hole(next, end.saturating_sub(next)).is_break() {
            return Ok(());
        }
        if stopped {
            return Ok(());
        }
        // Directories do not shrink, nothing is allocated for them ahead, and none is empty.
        if let Some(block) = behind.or((end == 0).then_some(0)) {
            let _ = lister.fault_at(block, None, format!("lies behind the directory's end at {:#x}", inode.size));
        }
        lister.end();
        Ok(())
    }
}

impl Reader<'_> {
    /// The inode that a directory's `..` names.
    ///
    /// # Errors
    /// When there is no sound `..` in its place.
    pub(super) fn directory_parent(&mut self, number: u32) -> Result<u32> {
        let inode = self.load_used(number)?;
        let unsound = || Error::corrupt("ext4", format!("inode {number}"), "it names no parent");
        if inode.kind()? != Kind::Dir {
            return Err(unsound());
        }
        if inode.has(FLAG_INLINE_DATA) {
            return Ok(le32(&inode.block, 0));
        }
        let volume = self.volume();
        let (block_bytes, block_len) = (volume.superblock.block_bytes(), volume.superblock.block_len());
        let end = inode.size.div_ceil(block_bytes);
        let mut first = None;
        map::walk(volume, &inode, &mut self.scratch, end, &mut |piece| {
            let Piece::Run(run) = piece else { return ControlFlow::Continue(()) };
            first = (run.logical == 0 && !run.unwritten).then_some(run);
            ControlFlow::Break(())
        });
        let run = first.ok_or_else(unsound)?;
        // All that the listing will ask for first; one block alone where a neighbour cannot be read.
        let place = run.physical.saturating_mul(block_bytes);
        let piece = piece_of(run.len, block_bytes, block_len);
        let len = if self.directory.read(volume, place, piece).is_ok() { piece } else { block_len };
        let bytes = self.directory.read(volume, place, len)?;
        // Kernel documentation, ext4, "Directory Entries": `..` is the second entry, behind the 12 bytes of `.`.
        let dots = bytes.get(20..22) == Some(b"..".as_slice()) && u8_at(bytes, 18) == 2;
        if dots { Ok(le32(bytes, 12)) } else { Err(unsound()) }
    }
}

/// Bytes of the next piece of a run of `blocks` blocks.
fn piece_of(blocks: u64, block_bytes: u64, block_len: usize) -> usize {
    capped(blocks.saturating_mul(block_bytes), CHUNK.max(block_len))
}

/// The directories among a directory's entries, which its number of links says once more: there is one from its name,
/// one from its `.`, and one from the `..` of each of them.
#[derive(Default)]
struct Subdirectories {
    found: u64,
    unknown: bool,
}

impl Subdirectories {
    /// Counts an entry in, by what it says that it leads to.
    fn add(&mut self, kind: Option<Kind>) {
        self.found = self.found.saturating_add(u64::from(kind == Some(Kind::Dir)));
        self.unknown |= kind.is_none();
    }

    /// What a directory with so many links lacks, or has too much, when every entry said what it leads to.
    fn contradiction(&self, links: u64) -> Option<String> {
        let Self { found, unknown } = *self;
        let expected = found.saturating_add(2);
        // `mke2fs -d` counts past what 16 bits hold, and begins at 0 again.
        (!unknown && links != expected & u64::from(u16::MAX))
            .then(|| format!("{links} links instead of the {expected} of a directory with {found} in it"))
    }
}

struct Lister<'a, 'e> {
    volume: &'a Volume,
    inode: &'a Inode,
    each: Each<'e>,
    faults: DirFaults,
    /// Of `.` and `..`, those that were in their places.
    dots: u8,
    subdirectories: Subdirectories,
}

impl<'a, 'e> Lister<'a, 'e> {
    fn new(volume: &'a Volume, inode: &'a Inode, each: Each<'e>) -> Self {
        Self { volume, inode, each, faults: DirFaults::default(), dots: 0, subdirectories: Subdirectories::default() }
    }

    /// Holds what was listed against what the inode says, unless it is known already that something is missing.
    fn end(&mut self) {
        // Where there is room for no more links than a 16-bit number holds, one stands for any number of them.
        let links = self.inode.links;
        let what = self.subdirectories.contradiction(u64::from(links)).filter(|_| links != 1 && self.faults.is_empty());
        if let Some(what) = what {
            let _ = self.fault(Fault::new(LAYER, self.inode.at(), what));
        }
    }

    fn run(&mut self, run: &Run, buffered: &mut Buffered) -> ControlFlow<()> {
        let superblock = &self.volume.superblock;
        let (block_bytes, block_len) = (superblock.block_bytes(), superblock.block_len());
        if run.unwritten {
            return self.hole(run.logical, run.len);
        }
        let mut done = 0;
        while done < run.len {
            let wanted = piece_of(run.len.saturating_sub(done), block_bytes, block_len);
            if let Err(what) = self.volume.directories.take(wide(wanted)) {
                self.fault(Fault::new(LAYER, self.inode.at(), what))?;
                return ControlFlow::Break(());
            }
            let mut at = run.physical.saturating_add(done).saturating_mul(block_bytes);
            // One block that cannot be read must not take its neighbours with it.
            let step = if buffered.read(self.volume, at, wanted).is_ok() { wanted } else { block_len };
            let mut left = wanted;
            while left > 0 {
                match buffered.read(self.volume, at, step) {
                    Ok(piece) => {
                        for block in piece.chunks_exact(block_len) {
                            self.block(run.logical.saturating_add(done), block)?;
                            done = done.saturating_add(1);
                        }
                    }
                    Err(error) => {
                        self.fault(error.into())?;
                        done = done.saturating_add(1);
                    }
                }
                at = at.saturating_add(wide(step));
                left = left.saturating_sub(step);
            }
        }
        ControlFlow::Continue(())
    }

    fn block(&mut self, logical: u64, block: &[u8]) -> ControlFlow<()> {
        let features = self.volume.superblock.features;
        if features.metadata_csum() && !dir_block::checksum_matches(self.inode, block) {
            self.fault_at(logical, None, "checksum mismatch".to_owned())?;
        }
        self.entries(logical, 0, block)?;
        // Another block may stand in place of the first.
        if logical == 0 && self.dots < 2 && self.faults.is_empty() {
            self.fault_at(logical, None, "it does not begin with \".\" and \"..\"".to_owned())?;
        }
        ControlFlow::Continue(())
    }

    fn entries(&mut self, logical: u64, base: usize, bytes: &[u8]) -> ControlFlow<()> {
        for entry in Entries::new(bytes, self.volume.superblock.features.has_filetype()) {
            match entry {
                Ok(entry) if matches!(entry.name, b"." | b"..") => self.check_dots(logical, &entry)?,
                Ok(entry) => {
                    self.subdirectories.add(entry.kind);
                    (self.each)(Listed::Entry(DirEntry {
                        name: entry.name,
                        node: NodeId::Number(u64::from(entry.inode)),
                        kind: entry.kind,
                        link: None,
                    }))?;
                }
                Err(Damage { at, what }) => self.fault_at(logical, Some(base.saturating_add(at)), what)?,
            }
        }
        ControlFlow::Continue(())
    }

    /// `.` and `..` belong at the beginning; anywhere else they hide what they lead to.
    fn check_dots(&mut self, logical: u64, entry: &Entry<'_>) -> ControlFlow<()> {
        let own = entry.name == b".";
        let expected_at = if own { 0 } else { 12 };
        if logical == 0 && entry.at == expected_at && (!own || entry.inode == self.inode.number) {
            self.dots = self.dots.saturating_add(1);
            return ControlFlow::Continue(());
        }
        let name = if own { "." } else { ".." };
        self.fault_at(logical, Some(entry.at), format!("a name {name:?} that leads to inode {}", entry.inode))
    }

    fn inline(&mut self, raw: &[u8]) -> ControlFlow<()> {
        if let Some(first) = self.inode.block.get(INLINE_PARENT..) {
            self.entries(0, INLINE_PARENT, first)?;
        }
        match xattr::inline_value(self.inode, raw) {
            Ok(Some(rest)) => self.entries(0, BLOCK_LEN, rest),
            Ok(None) if self.inode.size > wide(BLOCK_LEN) => {
                self.fault_at(0, Some(BLOCK_LEN), "the attribute system.data is missing".to_owned())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(error) => self.fault(error.into()),
        }
    }

    fn hole(&mut self, logical: u64, len: u64) -> ControlFlow<()> {
        if len == 0 {
            return ControlFlow::Continue(());
        }
        self.fault_at(logical, None, format!("{len} blocks of the directory are not mapped"))
    }

    fn fault_at(&mut self, logical: u64, offset: Option<usize>, what: String) -> ControlFlow<()> {
        let offset = offset.map_or(String::new(), |offset| format!(", offset {offset:#x}"));
        self.fault(Fault::new(LAYER, format!("{}, directory block {logical}{offset}", self.inode.at()), what))
    }

    fn fault(&mut self, fault: Fault) -> ControlFlow<()> {
        self.faults.hand_out(fault, LAYER, || self.inode.at(), self.each)
    }
}

#[cfg(test)]
mod tests {
    use super::Subdirectories;

    /// `stat` of debugfs says 466 of a directory in which `mke2fs -d` put 66,000.
    #[test]
    fn links_that_16_bits_do_not_hold_were_a_contradiction() {
        let with = |found| Subdirectories { found, unknown: false };
        assert_eq!(with(66_000).contradiction(466), None);
        for (found, links) in [(65_999, 466), (3, 4), (0, 1)] {
            assert!(with(found).contradiction(links).is_some(), "{found} with {links} links");
        }
        assert_eq!(Subdirectories { found: 3, unknown: true }.contradiction(9), None);
    }
}
