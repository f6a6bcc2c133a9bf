//! A file's bytes and their places on the volume. Holes and unwritten extents are zeros, never what the disk held;
//! what was allocated past the end of the file is cut off.

use std::ops::ControlFlow;

use super::{
    LAYER,
    bytes::len64,
    inode::{Inode, Which},
    log::Overlay,
    map::{self, MAX_EXTENTS, Piece, Run},
    reader::Reader,
    verify::BASIC_BLOCK,
};
use crate::{
    error::{Error, Result},
    fs::{Extent, Kind, Place, Sink, pieces},
};

/// Pieces of a file that are listed.
const MAX_PIECES: u64 = MAX_EXTENTS * 2;

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
        let block_bytes = volume.superblock.block_bytes();
        let mut buffer = std::mem::take(&mut self.buffer);
        let (mut at, mut failed, mut mismatch, mut stopped) = (0, None, None, false);
        map::walk(volume, inode, Which::Data, &mut |piece| {
            let run = match piece {
                Piece::Run(run) => run,
                Piece::Mismatch(error) => {
                    mismatch.get_or_insert(error);
                    return ControlFlow::Continue(());
                }
                Piece::Broken(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            };
            let (start, len) = span(&run, block_bytes, inode.size);
            if len == 0 {
                return ControlFlow::Continue(());
            }
            let gap = start.saturating_sub(at);
            at = start.saturating_add(len);
            let (gap, stored) = if run.unwritten { (gap.saturating_add(len), 0) } else { (gap, len) };
            let mut flow = zeros(sink, gap);
            if flow.is_continue() {
                let read = |offset, buf: &mut [u8]| volume.read_at(offset, buf);
                let handed = pieces::hand_out(read, run.offset, stored, &mut buffer, sink);
                flow = handed.unwrap_or_else(|error| {
                    failed = Some(error);
                    ControlFlow::Break(())
                });
            }
            stopped = flow.is_break();
            flow
        });
        self.buffer = buffer;
        if let Some(error) = failed {
            return Err(error);
        }
        if stopped || zeros(sink, inode.size.saturating_sub(at)).is_break() {
            return Ok(());
        }
        mismatch.map_or(Ok(()), Err)
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
        let block_bytes = self.volume.superblock.block_bytes();
        let mut list = List { extents: Vec::new(), at: 0, full: false };
        let mut failed = None;
        map::walk(self.volume, inode, Which::Data, &mut |piece| {
            let run = match piece {
                Piece::Run(run) => run,
                Piece::Mismatch(error) | Piece::Broken(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            };
            let (start, len) = span(&run, block_bytes, inode.size);
            if len > 0 {
                list.push(start.saturating_sub(list.at), Place::Hole);
                if run.unwritten {
                    list.push(len, Place::Unwritten);
                } else {
                    list.push_mapped(&self.volume.overlay, run.offset, len);
                }
            }
            ControlFlow::Continue(())
        });
        if let Some(error) = failed {
            return Err(error);
        }
        list.push(inode.size.saturating_sub(list.at), Place::Hole);
        if list.full {
            return Err(Error::budget(LAYER, format!("{} lies in more than {MAX_PIECES} pieces", inode.at())));
        }
        Ok(list.extents)
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

/// First byte and length of a run inside a file of `size` bytes.
fn span(run: &Run, block_bytes: u64, size: u64) -> (u64, u64) {
    let start = run.logical.saturating_mul(block_bytes).min(size);
    let end = run.end().saturating_mul(block_bytes).min(size);
    (start, end.saturating_sub(start))
}

fn zeros(sink: &mut dyn Sink, len: u64) -> ControlFlow<()> {
    if len == 0 { ControlFlow::Continue(()) } else { sink.hole(len) }
}

/// At most [`MAX_PIECES`]: each run of the map, the hole before it, and what of it the log has.
struct List {
    extents: Vec<Extent>,
    /// First byte of the file that is not covered yet.
    at: u64,
    full: bool,
}

impl List {
    /// What lies on the volume, but for what is served from the log.
    fn push_mapped(&mut self, overlay: &Overlay, offset: u64, len: u64) {
        let end = offset.saturating_add(len);
        let mut at = offset;
        for sector in overlay.within(offset, end) {
            self.push(sector.saturating_sub(at), Place::Volume(at));
            let behind = sector.saturating_add(BASIC_BLOCK).min(end);
            self.push(behind.saturating_sub(sector.max(at)), Place::Metadata);
            at = behind;
        }
        self.push(end.saturating_sub(at), Place::Volume(at));
    }

    fn push(&mut self, len: u64, place: Place) {
        self.full |= len64(self.extents.len()) > MAX_PIECES;
        if len == 0 || self.full {
            return;
        }
        let start = self.at;
        self.at = start.saturating_add(len);
        match self.extents.last_mut() {
            Some(last) if last.place == place && !matches!(place, Place::Volume(_)) => {
                last.len = last.len.saturating_add(len);
            }
            _ => self.extents.push(Extent { start, len, place }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_log_holds_is_told_apart() {
        let mut overlay = Overlay::default();
        for sector in [2, 3, 9] {
            overlay.put(sector, &[0; 512]).unwrap();
        }
        let mut list = List { extents: Vec::new(), at: 0, full: false };
        list.push_mapped(&overlay, 512, 4096 + 100);
        let places: Vec<_> = list.extents.iter().map(|extent| (extent.start, extent.len, extent.place)).collect();
        let expected = [
            (0, 512, Place::Volume(512)),
            (512, 1024, Place::Metadata),
            (1536, 2560, Place::Volume(2048)),
            (4096, 100, Place::Metadata),
        ];
        assert_eq!(places, expected);
    }
}
