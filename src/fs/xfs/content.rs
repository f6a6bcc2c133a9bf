//! A file's bytes and their places on the volume.

use super::{
    LAYER,
    inode::{Inode, Which},
    map::{self, Run},
    reader::Reader,
    verify::BASIC_BLOCK,
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
    pub(super) fn read_content(&mut self, number: u64, sink: &mut dyn Sink) -> Result<()> {
        let inode = self.load(number)?;
        match form(&inode)? {
            Form::Nothing => Ok(()),
            Form::Target => {
                let (target, _) = self.target(&inode)?;
                let _ = sink.data(&target);
                Ok(())
            }
            Form::Mapped => self.read_mapped(&inode, sink),
        }
    }

    fn read_mapped(&mut self, inode: &Inode, sink: &mut dyn Sink) -> Result<()> {
        let volume = self.volume;
        let mut filling = Filling::new(inode.size, &mut self.buffer, sink);
        map::walk(volume, inode, Which::Data, &mut |piece| {
            filling.take(piece.map(|run| span(volume, inode, &run)), |offset, buf| volume.read_at(offset, buf))
        });
        filling.finish()
    }

    /// Where a node's content lies.
    pub(super) fn content_extents(&mut self, number: u64) -> Result<Vec<Extent>> {
        let inode = self.load(number)?;
        match form(&inode)? {
            _ if inode.size == 0 => Ok(Vec::new()),
            Form::Nothing => Ok(Vec::new()),
            Form::Target => Ok(vec![Extent { start: 0, len: inode.size, place: Place::Metadata }]),
            Form::Mapped => self.mapped_extents(&inode),
        }
    }

    fn mapped_extents(&mut self, inode: &Inode) -> Result<Vec<Extent>> {
        let volume = self.volume;
        let mut places = Places::new();
        map::walk(volume, inode, Which::Data, &mut |piece| {
            places.take(piece.map(|run| span(volume, inode, &run)), |stored| {
                let sectors = volume.overlay.within(stored.start, stored.end);
                sectors.map(|sector| sector..sector.saturating_add(BASIC_BLOCK))
            })
        });
        places.finish(inode.size, LAYER, || inode.at())
    }
}

/// In which form a node keeps its content.
enum Form {
    /// Devices, pipes and sockets have none; the blocks of a directory are its names.
    Nothing,
    /// In blocks.
    Mapped,
    /// The target of a symbolic link, wherever it is.
    Target,
}

fn form(inode: &Inode) -> Result<Form> {
    let kind = inode.kind()?;
    if i64::try_from(inode.size).is_err() {
        return Err(Error::corrupt(LAYER, inode.at(), format!("size {:#x} is negative", inode.size)));
    }
    match kind {
        Kind::File if inode.is_realtime() && inode.size > 0 => {
            let what = format!("{} lies on a realtime device, which is not read", inode.at());
            Err(Error::unsupported(LAYER, what))
        }
        Kind::File => Ok(Form::Mapped),
        Kind::Symlink => Ok(Form::Target),
        _ => Ok(Form::Nothing),
    }
}

fn span(volume: &Volume, inode: &Inode, run: &Run) -> Span {
    Span::within(inode.size, volume.superblock.block_bytes(), run.logical..run.end(), run.offset, run.unwritten)
}
