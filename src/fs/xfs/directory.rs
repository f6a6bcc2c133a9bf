//! Listing a directory: in its inode, or all its data blocks in order. The hash blocks behind them only repeat where
//! each name is, and are not needed.

use std::ops::ControlFlow;

use super::{
    LAYER,
    bytes::{capped, wide},
    dir_block::{self, Entries},
    dir_data::{self, Block},
    dir_shortform::{Entry, ShortForm},
    inode::{Format, Inode},
    reader::Reader,
    verify,
    volume::Volume,
};
use crate::{
    error::{Error, Fault, Result},
    fs::{
        DirEntry, Kind, Listed, NodeId,
        unix::{DirFaults, kind_of_entry},
    },
};

type Each<'e> = &'e mut dyn FnMut(Listed<'_>) -> ControlFlow<()>;

impl Reader<'_> {
    fn load_directory(&mut self, number: u64) -> Result<Inode> {
        let inode = self.load(number)?;
        if inode.kind()? != Kind::Dir {
            return Err(Error::corrupt(LAYER, inode.at(), "is not a directory"));
        }
        Ok(inode)
    }

    /// Hands out the entries of a directory.
    pub(super) fn list_directory(&mut self, number: u64, each: Each<'_>) -> Result<()> {
        let inode = self.load_directory(number)?;
        let volume = self.volume;
        let mut lister = Lister { volume, inode: &inode, each, faults: DirFaults::default() };
        // What an inode says that is not itself may be what it says of its names.
        if inode.mismatch.iter().any(|fault| lister.fault(fault.clone()).is_break()) {
            return Ok(());
        }
        if inode.data().format == Format::Local {
            let list = short_form(volume, &inode)?;
            let _ = lister.short_form(list);
            return Ok(());
        }
        let _ = dir_data::blocks(volume, &inode, &mut |block| match block {
            Block::Whole { number, offset, bytes } => lister.block(number, offset, bytes),
            Block::Lost(fault) => lister.fault(fault),
        });
        Ok(())
    }

    /// What `..` leads to; the root's leads to itself.
    pub(super) fn parent_of(&mut self, number: u64) -> Result<u64> {
        let inode = self.load_directory(number)?;
        let volume = self.volume;
        if number == volume.superblock.root {
            return Ok(number);
        }
        if inode.data().format == Format::Local {
            return Ok(short_form(volume, &inode)?.parent);
        }
        let mut parent = None;
        // It is the second entry of the first block.
        let _ = dir_data::blocks(volume, &inode, &mut |block| {
            if let Block::Whole { bytes, .. } = block
                && let Ok(entries) = entries(volume, bytes)
            {
                parent = entries.take(2).flatten().find(|entry| entry.name == b"..").map(|entry| entry.inode);
            }
            ControlFlow::Break(())
        });
        parent.ok_or_else(|| Error::corrupt("xfs", format!("inode {number}"), "it names no parent"))
    }
}

fn entries<'b>(volume: &Volume, bytes: &'b [u8]) -> Result<Entries<'b>, String> {
    let features = volume.superblock.features;
    Entries::new(bytes, features.v5, features.ftype)
}

fn short_form<'i>(volume: &Volume, inode: &'i Inode) -> Result<ShortForm<'i>> {
    let fork = inode.data().bytes;
    let size = capped(inode.size, usize::MAX);
    let bad = |what: String| Error::corrupt(LAYER, inode.at(), what);
    let list = fork.get(..size).ok_or_else(|| bad(format!("a directory of {size} bytes in {}", fork.len())))?;
    ShortForm::parse(list, volume.superblock.features.ftype).map_err(bad)
}

struct Lister<'a, 'e> {
    volume: &'a Volume,
    inode: &'a Inode,
    each: Each<'e>,
    faults: DirFaults,
}

impl Lister<'_, '_> {
    fn short_form(&mut self, list: ShortForm<'_>) -> ControlFlow<()> {
        for entry in list {
            match entry {
                Ok(entry) if matches!(entry.name, b"." | b"..") => self.misplaced(&entry, "")?,
                Ok(entry) => self.entry(&entry)?,
                Err(what) => self.fault(Fault::new(LAYER, self.inode.at(), what))?,
            }
        }
        ControlFlow::Continue(())
    }

    fn block(&mut self, number: u64, offset: u64, bytes: &[u8]) -> ControlFlow<()> {
        let place = format!(", directory block {number} at {offset:#x}");
        if let Err(what) = self.volume.directories.take(wide(bytes.len())) {
            self.fault_at(&place, what)?;
            return ControlFlow::Break(());
        }
        if let Some(what) = verify::block(self.volume, bytes, &dir_block::LAYOUT, offset, self.inode.number) {
            self.fault_at(&place, what)?;
        }
        let entries = match entries(self.volume, bytes) {
            Ok(entries) => entries,
            Err(what) => return self.fault_at(&place, what),
        };
        for (index, entry) in entries.enumerate() {
            match entry {
                // These begin the directory; anywhere else they would hide what they lead to.
                Ok(entry) if matches!(entry.name, b"." | b"..") => {
                    let own = entry.name == b".";
                    let is_first = number == 0 && index == usize::from(!own);
                    if !is_first || (own && entry.inode != self.inode.number) {
                        self.misplaced(&entry, &place)?;
                    }
                }
                Ok(entry) => self.entry(&entry)?,
                Err(what) => self.fault_at(&place, what)?,
            }
        }
        ControlFlow::Continue(())
    }

    fn entry(&mut self, entry: &Entry<'_>) -> ControlFlow<()> {
        (self.each)(Listed::Entry(DirEntry {
            name: entry.name,
            node: NodeId::Number(entry.inode),
            kind: entry.ftype.and_then(kind_of_entry),
            link: None,
        }))
    }

    fn misplaced(&mut self, entry: &Entry<'_>, place: &str) -> ControlFlow<()> {
        let what = format!("a name \"{}\" that leads to inode {}", entry.name.escape_ascii(), entry.inode);
        self.fault_at(place, what)
    }

    fn fault_at(&mut self, place: &str, what: String) -> ControlFlow<()> {
        self.fault(Fault::new(LAYER, format!("{}{place}", self.inode.at()), what))
    }

    fn fault(&mut self, fault: Fault) -> ControlFlow<()> {
        self.faults.hand_out(fault, LAYER, || self.inode.at(), self.each)
    }
}
