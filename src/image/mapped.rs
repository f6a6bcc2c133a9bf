//! What all sparse containers have in common: an offset of the disk leads to zeros, to a place in a file, to a
//! compressed unit, or to the layer below. A container answers only that (`Map`); reading, holes and
//! provenance are made of the answers here, once.

use std::sync::Arc;

use crate::{
    error::{Error, Result},
    field::{narrow, wide},
    image::{Image, Run, RunKind, past_end},
};

/// Steps that one call of [`Image::run_at`] takes to lengthen a run.
const MAX_RUN_STEPS: usize = 64;

/// A file of the host, by device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The device that holds it.
    pub device: u64,
    /// Its inode there.
    pub inode: u64,
}

/// Where bytes of a disk come from; equal origins are equal bytes by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nothing is stored: they read as zeros.
    Zeros,
    /// They lie in a file.
    Stored {
        /// Which file.
        file: FileId,
        /// At which of its bytes.
        at: u64,
    },
    /// They are unpacked from a file.
    Packed {
        /// Which file.
        file: FileId,
        /// The byte of it where the compressed unit begins.
        at: u64,
        /// Bytes of the unpacked unit that come before.
        skip: u64,
    },
}

impl Origin {
    /// Whether `next`, which begins `len` bytes later, goes on where this origin ends.
    #[must_use]
    pub fn continues(&self, len: u64, next: &Self) -> bool {
        *next == self.after(len)
    }

    /// The origin of what lies `len` bytes further on.
    #[must_use]
    pub fn after(self, len: u64) -> Self {
        match self {
            Self::Zeros => Self::Zeros,
            Self::Stored { file, at } => Self::Stored { file, at: at.saturating_add(len) },
            Self::Packed { file, at, skip } => Self::Packed { file, at, skip: skip.saturating_add(len) },
        }
    }
}

/// An image that can say where its bytes come from.
pub trait Layered: Image {
    /// The origin of the bytes from `offset` on, and for how many it holds: at least 1, at most about `want`.
    ///
    /// # Errors
    /// When `offset` is past the end, or the container's own tables cannot be read.
    fn origin(&self, offset: u64, want: u64) -> Result<(u64, Origin)>;

    /// As [`Image::run_at`], with no more looking than it takes: what layers ask each other, so that the cost of a
    /// run grows with the depth of a chain and not with its power.
    ///
    /// # Errors
    /// As [`Image::run_at`].
    fn run_once(&self, offset: u64) -> Result<Run> {
        self.run_at(offset)
    }
}

/// Something that unpacks compressed units of a file.
pub(crate) trait Pack {
    /// The file that holds the units.
    fn file(&self) -> FileId;
    /// The bytes of the unit whose `len` compressed bytes begin at `at`.
    fn unpack(&self, at: u64, len: u64) -> Result<Arc<[u8]>>;
}

/// What a stretch of a disk is made of.
pub(crate) enum Source<'a> {
    /// Reads as zeros.
    Zeros,
    /// Whatever the layer below holds; zeros where there is none, or past its end.
    Below,
    /// Lies in a file.
    Stored { file: &'a dyn Layered, at: u64 },
    /// Is unpacked from the unit of `len` bytes at `at`, of which `skip` bytes come before.
    Packed { pack: &'a dyn Pack, at: u64, len: u64, skip: u64 },
}

/// A stretch of a disk.
pub(crate) struct Stretch<'a> {
    /// Its length from the asked offset; may reach past what was asked for.
    pub(crate) len: u64,
    pub(crate) source: Source<'a>,
}

/// The mapping of one layer.
pub(crate) trait Map: Send + Sync {
    /// The room's name in errors.
    const LAYER: &'static str;
    /// The size of the disk in bytes.
    fn size(&self) -> u64;
    /// The layer below, if there is one.
    fn below(&self) -> Option<&Arc<dyn Layered>>;
    /// What lies at `offset`, which is inside the disk; `want` says how far it is worth looking.
    fn stretch(&self, offset: u64, want: u64) -> Result<Stretch<'_>>;
}

/// The disk that a [`Map`] describes.
pub(crate) struct Mapped<M>(pub(crate) M);

impl<M: Map> Mapped<M> {
    fn stretch(&self, offset: u64, want: u64) -> Result<Stretch<'_>> {
        let left = self.0.size().saturating_sub(offset);
        if left == 0 {
            return Err(past_end(M::LAYER, offset, want, self.0.size()));
        }
        let stretch = self.0.stretch(offset, want.min(left))?;
        if stretch.len == 0 {
            return Err(Error::Bug(format!("{}: an empty stretch at {offset:#x}", M::LAYER)));
        }
        Ok(Stretch { len: stretch.len.min(left), ..stretch })
    }

    fn run(&self, offset: u64) -> Result<Run> {
        let stretch = self.stretch(offset, u64::MAX)?;
        let (kind, len) = match stretch.source {
            Source::Zeros => (RunKind::Hole, u64::MAX),
            Source::Packed { .. } => (RunKind::Data, u64::MAX),
            Source::Stored { file, at } => {
                let run = file.run_once(at)?;
                (run.kind, run.len)
            }
            Source::Below => match self.0.below().filter(|below| offset < below.len()) {
                Some(below) => {
                    let run = below.run_once(offset)?;
                    (run.kind, run.len)
                }
                None => (RunKind::Hole, u64::MAX),
            },
        };
        Ok(Run { len: stretch.len.min(len), kind })
    }
}

/// Reads from the layer below, which may be missing, or smaller than the disk: then it reads as zeros.
fn read_below(below: Option<&Arc<dyn Layered>>, offset: u64, buf: &mut [u8]) -> Result<()> {
    let there = below.map_or(0, |below| below.len().saturating_sub(offset));
    let (stored, zeros) = buf.split_at_mut(buf.len().min(narrow(there)));
    zeros.fill(0);
    match below {
        Some(below) if !stored.is_empty() => below.read_at(offset, stored),
        _ => Ok(()),
    }
}

impl<M: Map> Image for Mapped<M> {
    fn len(&self) -> u64 {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let fits = offset.checked_add(wide(buf.len())).is_some_and(|end| end <= self.0.size());
        if !fits {
            return Err(past_end(M::LAYER, offset, wide(buf.len()), self.0.size()));
        }
        let (mut offset, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let stretch = self.stretch(offset, wide(rest.len()))?;
            let (piece, later) = rest.split_at_mut(rest.len().min(narrow(stretch.len)));
            match stretch.source {
                Source::Zeros => piece.fill(0),
                Source::Below => read_below(self.0.below(), offset, piece)?,
                Source::Stored { file, at } => file.read_at(at, piece)?,
                Source::Packed { pack, at, len, skip } => {
                    let unit = pack.unpack(at, len)?;
                    let from = narrow(skip);
                    let bytes = from.checked_add(piece.len()).and_then(|end| unit.get(from..end));
                    piece.copy_from_slice(bytes.ok_or_else(|| {
                        Error::corrupt(
                            M::LAYER,
                            format!("compressed unit at {at:#x}"),
                            format!(
                                "it unpacks to {:#x} bytes, {:#x} wanted",
                                unit.len(),
                                from.saturating_add(piece.len())
                            ),
                        )
                    })?);
                }
            }
            offset = offset.saturating_add(wide(piece.len()));
            rest = later;
        }
        Ok(())
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        let mut run = self.run(offset)?;
        for _ in 0..MAX_RUN_STEPS {
            let next = offset.saturating_add(run.len);
            if next >= self.0.size() {
                break;
            }
            let more = self.run(next)?;
            if more.kind != run.kind {
                break;
            }
            run.len = run.len.saturating_add(more.len);
        }
        Ok(run)
    }
}

impl<M: Map> Layered for Mapped<M> {
    fn run_once(&self, offset: u64) -> Result<Run> {
        self.run(offset)
    }

    fn origin(&self, offset: u64, want: u64) -> Result<(u64, Origin)> {
        let stretch = self.stretch(offset, want)?;
        let (len, origin) = match stretch.source {
            Source::Zeros => (u64::MAX, Origin::Zeros),
            Source::Packed { pack, at, skip, .. } => (u64::MAX, Origin::Packed { file: pack.file(), at, skip }),
            Source::Stored { file, at } => file.origin(at, want.min(stretch.len))?,
            Source::Below => match self.0.below().filter(|below| offset < below.len()) {
                Some(below) => below.origin(offset, want.min(stretch.len))?,
                None => (u64::MAX, Origin::Zeros),
            },
        };
        Ok((stretch.len.min(len), origin))
    }
}

/// A part of another image: a file inside an archive, the payload of a fixed disk.
pub(crate) struct Window {
    inner: Arc<dyn Layered>,
    start: u64,
    len: u64,
}

impl Window {
    /// The `len` bytes of `inner` from `start`.
    pub(crate) fn new(layer: &'static str, inner: Arc<dyn Layered>, start: u64, len: u64) -> Result<Self> {
        match start.checked_add(len) {
            Some(end) if end <= inner.len() => Ok(Self { inner, start, len }),
            _ => Err(past_end(layer, start, len, inner.len())),
        }
    }

    /// All of `inner` from `start`; nothing when `start` is past its end.
    pub(crate) fn tail(inner: Arc<dyn Layered>, start: u64) -> Self {
        let len = inner.len().saturating_sub(start);
        Self { inner, start, len }
    }

    fn translate(&self, offset: u64, wanted: u64) -> Result<u64> {
        match offset.checked_add(wanted) {
            Some(end) if end <= self.len => Ok(self.start.saturating_add(offset)),
            _ => Err(past_end("image", offset, wanted, self.len)),
        }
    }
}

impl Image for Window {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.inner.read_at(self.translate(offset, wide(buf.len()))?, buf)
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        let run = self.inner.run_at(self.translate(offset, 1)?)?;
        Ok(Run { len: run.len.min(self.len.saturating_sub(offset)), ..run })
    }
}

impl Layered for Window {
    fn run_once(&self, offset: u64) -> Result<Run> {
        let run = self.inner.run_once(self.translate(offset, 1)?)?;
        Ok(Run { len: run.len.min(self.len.saturating_sub(offset)), ..run })
    }

    fn origin(&self, offset: u64, want: u64) -> Result<(u64, Origin)> {
        let (len, origin) = self.inner.origin(self.translate(offset, 1)?, want)?;
        Ok((len.min(self.len.saturating_sub(offset)), origin))
    }
}
