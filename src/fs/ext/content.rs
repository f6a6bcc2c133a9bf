//! A stream's bytes and their places on the volume. Holes and unwritten extents are zeros here, never what the disk
//! held; blocks past the end of the file are cut off.

use std::ops::ControlFlow;

use super::{
    LAYER,
    bytes::{capped, len64},
    inode::{FLAG_ENCRYPT, FLAG_INLINE_DATA, Inode},
    map::{self, Piece, Run},
    reader::Reader,
};
use crate::{
    error::{Error, Result},
    fs::{Extent, Kind, Place, Sink, pieces},
};

/// Pieces of a file that are listed; the most fragmented real files have some hundred thousand.
const MAX_EXTENTS: usize = 4 << 20;

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
                if sink.data(stored).is_continue() {
                    let _ = zeros(sink, inode.size.saturating_sub(len64(stored.len())));
                }
                Ok(())
            }
        }
    }

    pub(super) fn read_mapped(&mut self, inode: &Inode, sink: &mut dyn Sink) -> Result<()> {
        let volume = self.volume();
        let block_bytes = volume.superblock.block_bytes();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut at = 0;
        let (mut failed, mut mismatch, mut stopped) = (None, None, false);
        map::walk(volume, inode, &mut self.scratch, inode.size.div_ceil(block_bytes), &mut |piece| {
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
            let gap = start.saturating_sub(at);
            at = start.saturating_add(len);
            let (gap, stored) = if run.unwritten { (gap.saturating_add(len), 0) } else { (gap, len) };
            let mut flow = zeros(sink, gap);
            if flow.is_continue() {
                let read = |offset, buf: &mut [u8]| volume.read_at(offset, buf);
                let handed =
                    pieces::hand_out(read, run.physical.saturating_mul(block_bytes), stored, &mut buffer, sink);
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
    pub(super) fn content_extents(&mut self, number: u32) -> Result<Vec<Extent>> {
        let inode = self.load_used(number)?;
        let whole = |place| vec![Extent { start: 0, len: inode.size, place }];
        match form(&inode)? {
            _ if inode.size == 0 => Ok(Vec::new()),
            Form::Nothing => Ok(Vec::new()),
            Form::Target | Form::Inline => Ok(whole(Place::Metadata)),
            Form::Mapped => self.mapped_extents(&inode),
        }
    }

    fn mapped_extents(&mut self, inode: &Inode) -> Result<Vec<Extent>> {
        let volume = self.volume();
        let block_bytes = volume.superblock.block_bytes();
        let mut list = List { extents: Vec::new(), at: 0, full: false };
        let mut failed = None;
        map::walk(volume, inode, &mut self.scratch, inode.size.div_ceil(block_bytes), &mut |piece| {
            let run = match piece {
                Piece::Run(run) => run,
                Piece::Mismatch(error) | Piece::Broken(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            };
            let (start, len) = span(&run, block_bytes, inode.size);
            list.push(start.saturating_sub(list.at), Place::Hole)?;
            if run.unwritten {
                return list.push(len, Place::Unwritten);
            }
            let end = start.saturating_add(len);
            let shift =
                |block: u64| start.saturating_add(block.saturating_sub(run.physical).saturating_mul(block_bytes));
            let place = |at: u64| {
                let offset = run.physical.saturating_mul(block_bytes);
                Place::Volume(offset.saturating_add(at.saturating_sub(start)))
            };
            for replayed in volume.overlay().range(run.physical, run.physical.saturating_add(run.len)) {
                let begin = shift(replayed.block).min(end);
                let here = place(list.at);
                list.push(begin.saturating_sub(list.at), here)?;
                list.push(block_bytes.min(end.saturating_sub(begin)), Place::Metadata)?;
            }
            let here = place(list.at);
            list.push(end.saturating_sub(list.at), here)
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if list.push(inode.size.saturating_sub(list.at), Place::Hole).is_break() || list.full {
            return Err(Error::budget(LAYER, format!("{} lies in more than {MAX_EXTENTS} pieces", inode.at())));
        }
        Ok(list.extents)
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

/// First byte and length of a run inside a file of `size` bytes.
fn span(run: &Run, block_bytes: u64, size: u64) -> (u64, u64) {
    let start = run.logical.saturating_mul(block_bytes).min(size);
    let end = run.end().saturating_mul(block_bytes).min(size);
    (start, end.saturating_sub(start))
}

fn zeros(sink: &mut dyn Sink, len: u64) -> ControlFlow<()> {
    if len == 0 { ControlFlow::Continue(()) } else { sink.hole(len) }
}

struct List {
    extents: Vec<Extent>,
    /// First byte of the file that is not covered yet.
    at: u64,
    full: bool,
}

impl List {
    fn push(&mut self, len: u64, place: Place) -> ControlFlow<()> {
        if len == 0 {
            return ControlFlow::Continue(());
        }
        let start = self.at;
        self.at = start.saturating_add(len);
        let full = self.extents.len() >= MAX_EXTENTS;
        match self.extents.last_mut() {
            Some(last) if last.place == place && !matches!(place, Place::Volume(_)) => {
                last.len = last.len.saturating_add(len);
            }
            _ if full => {
                self.full = true;
                return ControlFlow::Break(());
            }
            _ => self.extents.push(Extent { start, len, place }),
        }
        ControlFlow::Continue(())
    }
}
