//! Files that lie on the volume in runs: their bytes in order, and where they are. What no run covers is a hole; holes
//! and unwritten runs are zeros here, never what the disk held; what lies past the end of the file is cut off.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use std::ops::{ControlFlow, Range};

use super::{Extent, Place, Sink, pieces};
use crate::error::{Error, Result};

/// Pieces in which a file may lie; the most fragmented real files have some hundred thousand.
const MAX_PIECES: usize = 1 << 20;

/// What walking a file's map hands out; a run is in the filesystem's own units.
pub(super) enum Piece<R> {
    /// The next run, in file order, never overlapping; what lies between two runs is a hole.
    Run(R),
    /// A part of the map whose checksum does not match; what was decoded is handed out all the same.
    Mismatch(Error),
    /// A part of the map that cannot be used; the walk goes on behind it.
    Broken(Error),
}

impl<R> Piece<R> {
    /// The same with another run.
    pub(super) fn map<S>(self, run: impl FnOnce(R) -> S) -> Piece<S> {
        match self {
            Self::Run(found) => Piece::Run(run(found)),
            Self::Mismatch(error) => Piece::Mismatch(error),
            Self::Broken(error) => Piece::Broken(error),
        }
    }
}

/// A run in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// Its first byte in the file.
    pub(super) start: u64,
    pub(super) len: u64,
    /// Its first byte on the volume.
    pub(super) offset: u64,
    /// Allocated and never written: reads as zeros.
    pub(super) unwritten: bool,
}

impl Span {
    /// What of `blocks` of the file, each of `block_bytes`, lies inside its `size` bytes.
    pub(super) fn within(size: u64, block_bytes: u64, blocks: Range<u64>, offset: u64, unwritten: bool) -> Self {
        let start = blocks.start.saturating_mul(block_bytes).min(size);
        let end = blocks.end.saturating_mul(block_bytes).min(size);
        Self { start, len: end.saturating_sub(start), offset, unwritten }
    }
}

/// Hands out a file's bytes, span by span.
pub(super) struct Filling<'a> {
    size: u64,
    /// First byte of the file that was not handed out yet.
    at: u64,
    buffer: &'a mut Vec<u8>,
    sink: &'a mut dyn Sink,
    failed: Option<Error>,
    mismatch: Option<Error>,
    stopped: bool,
}

impl<'a> Filling<'a> {
    /// A file of `size` bytes; `buffer` is kept between files for its room.
    pub(super) fn new(size: u64, buffer: &'a mut Vec<u8>, sink: &'a mut dyn Sink) -> Self {
        Self { size, at: 0, buffer, sink, failed: None, mismatch: None, stopped: false }
    }

    /// Takes what the walk hands out; `read` fills a buffer from an offset of the volume.
    pub(super) fn take(&mut self, piece: Piece<Span>, read: impl Fn(u64, &mut [u8]) -> Result<()>) -> ControlFlow<()> {
        let span = match piece {
            Piece::Run(span) if span.len == 0 => return ControlFlow::Continue(()),
            Piece::Run(span) => span,
            Piece::Mismatch(error) => {
                self.mismatch.get_or_insert(error);
                return ControlFlow::Continue(());
            }
            Piece::Broken(error) => {
                self.failed = Some(error);
                return ControlFlow::Break(());
            }
        };
        let gap = span.start.saturating_sub(self.at);
        self.at = span.start.saturating_add(span.len);
        let (gap, stored) = if span.unwritten { (gap.saturating_add(span.len), 0) } else { (gap, span.len) };
        let mut flow = self.zeros(gap);
        if flow.is_continue() {
            flow = pieces::hand_out(read, span.offset, stored, self.buffer, self.sink).unwrap_or_else(|error| {
                self.failed = Some(error);
                ControlFlow::Break(())
            });
        }
        self.stopped = flow.is_break();
        flow
    }

    fn zeros(&mut self, len: u64) -> ControlFlow<()> {
        if len == 0 { ControlFlow::Continue(()) } else { self.sink.hole(len) }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// What broke the walk; else, where all bytes were handed out, the first checksum that did not match.
    pub(super) fn finish(mut self) -> Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.stopped || self.zeros(self.size.saturating_sub(self.at)).is_break() {
            return Ok(());
        }
        self.mismatch.map_or(Ok(()), Err)
    }
}

/// Lists where a file's bytes are, one behind the other.
pub(super) struct Places {
    extents: Vec<Extent>,
    /// First byte of the file that is not covered yet.
    at: u64,
    failed: Option<Error>,
    is_full: bool,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { extents: Vec::new(), at: 0, failed: None, is_full: false }
    }

    /// Takes what the walk hands out. `elsewhere` are the bytes of the volume, in order, that a journal or log serves.
    pub(super) fn take<I: Iterator<Item = Range<u64>>>(
        &mut self,
        piece: Piece<Span>,
        elsewhere: impl FnOnce(Range<u64>) -> I,
    ) -> ControlFlow<()> {
        let span = match piece {
            Piece::Run(span) if span.len == 0 => return ControlFlow::Continue(()),
            Piece::Run(span) => span,
            Piece::Mismatch(error) | Piece::Broken(error) => {
                self.failed = Some(error);
                return ControlFlow::Break(());
            }
        };
        self.push(span.start.saturating_sub(self.at), Place::Hole)?;
        if span.unwritten {
            return self.push(span.len, Place::Unwritten);
        }
        let end = span.offset.saturating_add(span.len);
        let mut at = span.offset;
        for served in elsewhere(at..end) {
            let (start, behind) = (served.start.max(at), served.end.min(end));
            self.push(start.saturating_sub(at), Place::Volume(at))?;
            self.push(behind.saturating_sub(start), Place::Metadata)?;
            at = at.max(behind);
        }
        self.push(end.saturating_sub(at), Place::Volume(at))
    }

    /// The next bytes lie there.
    pub(super) fn push(&mut self, len: u64, place: Place) -> ControlFlow<()> {
        if len == 0 {
            return ControlFlow::Continue(());
        }
        let start = self.at;
        self.at = start.saturating_add(len);
        let is_full = self.extents.len() >= MAX_PIECES;
        match self.extents.last_mut() {
            Some(last) if last.place == place && !matches!(place, Place::Volume(_)) => {
                last.len = last.len.saturating_add(len);
            }
            _ if is_full => {
                self.is_full = true;
                return ControlFlow::Break(());
            }
            _ => self.extents.push(Extent { start, len, place }),
        }
        ControlFlow::Continue(())
    }

    /// The list of a file of `size` bytes.
    ///
    /// # Errors
    /// What is wrong with its map, and `layer`'s that it lies in too many pieces; `of` names the file.
    pub(super) fn finish(mut self, size: u64, layer: &'static str, of: impl FnOnce() -> String) -> Result<Vec<Extent>> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.push(size.saturating_sub(self.at), Place::Hole).is_break() || self.is_full {
            return Err(Error::budget(layer, format!("{} lies in more than {MAX_PIECES} pieces", of())));
        }
        Ok(self.extents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_serves_is_told_apart_from_what_lies_on_the_volume() {
        // Sectors of 512 bytes, as the log has them.
        let served = |range: Range<u64>| {
            let all = [1024..1536, 1536..2048, 4608..5120].into_iter();
            all.filter(move |served: &Range<u64>| served.start < range.end && range.start < served.end)
        };
        let mut places = Places::new();
        let span = Span { start: 0, len: 4096 + 100, offset: 512, unwritten: false };
        assert!(places.take(Piece::Run(span), served).is_continue());
        let listed = places.finish(4096 + 100, "test", String::new).unwrap();
        let listed: Vec<_> = listed.iter().map(|extent| (extent.start, extent.len, extent.place)).collect();
        let expected = [
            (0, 512, Place::Volume(512)),
            (512, 1024, Place::Metadata),
            (1536, 2560, Place::Volume(2048)),
            (4096, 100, Place::Metadata),
        ];
        assert_eq!(listed, expected);
    }

    #[test]
    fn what_no_run_covers_is_a_hole_up_to_the_end_of_the_file() {
        let mut places = Places::new();
        for (blocks, unwritten) in [(1..2, false), (3..4, true), (9..10, false)] {
            let span = Span::within(20_000, 4096, blocks, 8192, unwritten);
            assert!(places.take(Piece::Run(span), |_| std::iter::empty()).is_continue());
        }
        let listed = places.finish(20_000, "test", String::new).unwrap();
        let listed: Vec<_> = listed.iter().map(|extent| (extent.start, extent.len, extent.place)).collect();
        let expected = [
            (0, 4096, Place::Hole),
            (4096, 4096, Place::Volume(8192)),
            (8192, 4096, Place::Hole),
            (12_288, 4096, Place::Unwritten),
            (16_384, 3616, Place::Hole),
        ];
        assert_eq!(listed, expected);
    }
}
