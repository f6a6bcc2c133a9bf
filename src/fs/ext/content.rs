//! A stream's bytes and their places on the volume.

use super::{
    LAYER,
    bytes::{capped, wide},
    inode::{FLAG_ENCRYPT, FLAG_INLINE_DATA, Inode},
    map::{self, Run},
    reader::Reader,
    volume::Volume,
};
use crate::{
    error::{Error, Result},
    fs::{
        Extent, Kind, Place, Sink,
        runs::{Filling, Places, Span},
    },
};

impl Reader<'_> {
    /// Reads a node's content.
    pub(super) fn read_content(&mut self, number: u32, sink: &mut dyn Sink) -> Result<()> {
        let inode = self.load_used(number)?;
        match form(&inode)? {
            Form::Nothing => Ok(()),
            Form::Mapped => self.read_mapped(&inode, sink),
            Form::Target => {
                let _ = sink.data(&self.target(&inode)?);
                Ok(())
            }
            Form::Inline => {
                let bytes = self.inline_data(&inode)?;
                let stored = bytes.get(..capped(inode.size, bytes.len())).unwrap_or_default();
                let zeros = inode.size.saturating_sub(wide(stored.len()));
                if sink.data(stored).is_continue() && zeros > 0 {
                    let _ = sink.hole(zeros);
                }
                Ok(())
            }
        }
    }

    pub(super) fn read_mapped(&mut self, inode: &Inode, sink: &mut dyn Sink) -> Result<()> {
        let volume = self.volume();
        let mut filling = Filling::new(inode.size, &mut self.buffer, sink);
        map::walk(volume, inode, &mut self.scratch, blocks(volume, inode), &mut |piece| {
            filling.take(piece.map(|run| span(volume, inode, &run)), |offset, buf| volume.read_at(offset, buf))
        });
        filling.finish()
    }

    /// Where a node's content lies.
    pub(super) fn content_extents(&mut self, number: u32) -> Result<Vec<Extent>> {
        let inode = self.load_used(number)?;
        let whole = |place| vec![Extent { start: 0, len: inode.size, place }];
        match form(&inode)? {
            _ if inode.size == 0 => Ok(Vec::new()),
            Form::Nothing => Ok(Vec::new()),
            Form::Target => Ok(whole(Place::Metadata)),
            Form::Inline => {
                let stored = inode.size.min(wide(self.inline_data(&inode)?.len()));
                let mut places = Places::new();
                let _ = places.push(stored, Place::Metadata);
                let _ = places.push(inode.size.saturating_sub(stored), Place::Hole);
                places.finish(inode.size, LAYER, || inode.at())
            }
            Form::Mapped => self.mapped_extents(&inode),
        }
    }

    fn mapped_extents(&mut self, inode: &Inode) -> Result<Vec<Extent>> {
        let volume = self.volume();
        let block_bytes = volume.superblock.block_bytes();
        let mut places = Places::new();
        map::walk(volume, inode, &mut self.scratch, blocks(volume, inode), &mut |piece| {
            places.take(piece.map(|run| span(volume, inode, &run)), |stored| {
                let first = stored.start.checked_div(block_bytes).unwrap_or(0);
                let replayed = volume.overlay().range(first, stored.end.div_ceil(block_bytes)).iter();
                replayed.map(move |replayed| {
                    let start = replayed.block.saturating_mul(block_bytes);
                    start..start.saturating_add(block_bytes)
                })
            })
        });
        places.finish(inode.size, LAYER, || inode.at())
    }
}

/// In which form a node keeps its content.
enum Form {
    /// Devices, pipes and sockets have none.
    Nothing,
    /// In blocks.
    Mapped,
    /// In the inode.
    Inline,
    /// The target of a symbolic link, wherever it is.
    Target,
}

fn form(inode: &Inode) -> Result<Form> {
    let kind = inode.kind()?;
    if i64::try_from(inode.size).is_err() {
        return Err(Error::corrupt(LAYER, inode.at(), format!("size {:#x} is negative", inode.size)));
    }
    if inode.has(FLAG_ENCRYPT) && matches!(kind, Kind::File | Kind::Dir | Kind::Symlink) {
        return Err(encrypted(inode, "its content"));
    }
    Ok(match kind {
        Kind::File | Kind::Dir if inode.has(FLAG_INLINE_DATA) => Form::Inline,
        Kind::File | Kind::Dir => Form::Mapped,
        Kind::Symlink => Form::Target,
        _ => Form::Nothing,
    })
}

pub(super) fn encrypted(inode: &Inode, what: &str) -> Error {
    Error::unsupported(LAYER, format!("{} is encrypted (fscrypt), {what} cannot be read without the key", inode.at()))
}

/// How many blocks a file of that size has.
fn blocks(volume: &Volume, inode: &Inode) -> u64 {
    inode.size.div_ceil(volume.superblock.block_bytes())
}

fn span(volume: &Volume, inode: &Inode, run: &Run) -> Span {
    let block_bytes = volume.superblock.block_bytes();
    let offset = run.physical.saturating_mul(block_bytes);
    Span::within(inode.size, block_bytes, run.logical..run.end(), offset, run.unwritten)
}
