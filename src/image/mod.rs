//! A disk's bytes. In comes what the user named (a file, a device, a container), out comes an [`Image`]:
//! positional, read-only, shared by all threads. This room knows nothing of partitions or filesystems.
//!
//! To add a container: a room here that implements `mapped::Map`, an arm in `layer`, and its magic in `probe`.

pub(crate) mod beneath;
pub mod changed;
pub mod ewf;
mod host_file;
mod joined;
mod layer;
pub mod mapped;
mod ova;
pub mod probe;
pub mod qcow2;
mod raw;
mod split;
mod structure;
mod tables;
mod vhd;
mod vhdx;
mod vmdk;

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

pub use raw::Raw;
pub use split::Split;

use crate::{
    error::{Error, Result},
    field::wide,
};

/// What lies at an offset of an image, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Bytes from the asked offset to the end of this run; at least 1 inside the image.
    pub len: u64,
    /// Whether the run is data, or a hole that reads as zeros.
    pub kind: RunKind,
}

/// Data that must be read, or a hole that need not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunKind {
    /// Bytes are stored.
    Data,
    /// Nothing is stored: reads as zeros.
    Hole,
}

/// The largest sector of a disk in bytes, and the most that is encrypted together.
pub const MAX_SECTOR: usize = 4096;

/// Where bytes lie on one of the target's disks, one behind the other: as they are, or behind a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPlace {
    /// Which disk, counted from 0.
    pub disk: usize,
    /// The byte there.
    pub offset: u64,
    /// For how many bytes this holds: at least 1.
    pub len: u64,
    /// Of ciphertext, as what it is read; nothing for bytes that lie there as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Behind>,
}

/// As what ciphertext is read: behind another key, or at another place of the volume behind it, the same bytes are
/// something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// Which of the target's keys, counted from 1.
    pub key: u32,
    /// The byte of the volume behind the key.
    pub at: u64,
}

impl DiskPlace {
    /// All of the disk that what is read there depends on: behind a key, the whole of each sector.
    #[must_use]
    pub fn reach(&self) -> Range<u64> {
        let margin = if self.behind.is_some() { wide(MAX_SECTOR) } else { 0 };
        self.offset.saturating_sub(margin)..self.offset.saturating_add(self.len).saturating_add(margin)
    }
}

/// A disk's bytes: positional, read-only, shared by all threads.
pub trait Image: Send + Sync {
    /// The size of the disk in bytes.
    fn len(&self) -> u64;

    /// Whether the disk has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills all of `buf` from `offset`. A hole reads as zeros.
    ///
    /// # Errors
    /// Past the end, or in a truncated container, an error and never zeros.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;

    /// The run of data or of hole that holds `offset`. Without better knowledge all is data.
    ///
    /// # Errors
    /// When `offset` is past the end, or the container's own tables cannot be read.
    fn run_at(&self, offset: u64) -> Result<Run> {
        match self.len().checked_sub(offset) {
            Some(len) if len > 0 => Ok(Run { len, kind: RunKind::Data }),
            _ => Err(past_end("image", offset, 1, self.len())),
        }
    }

    /// Where the bytes from `offset` on lie on a disk. `None` where they lie on none: nothing is stored, metadata stand
    /// for it, past the end; and where nobody knows.
    fn disk_place(&self, offset: u64) -> Option<DiskPlace> {
        let _ = offset;
        None
    }
}

/// The error of a read that leaves the image.
#[must_use]
pub fn past_end(layer: &'static str, offset: u64, wanted: u64, len: u64) -> Error {
    Error::corrupt(
        layer,
        format!("offset {offset:#x}"),
        format!("{wanted} bytes wanted past the end: the image has {len:#x} bytes"),
    )
}

/// A part of another image: a partition, a logical volume's segment.
#[derive(Clone)]
pub struct Slice {
    inner: Arc<dyn Image>,
    start: u64,
    len: u64,
}

impl Slice {
    /// The `len` bytes of `inner` from `start`.
    ///
    /// # Errors
    /// When the part does not lie wholly inside `inner`.
    pub fn new(inner: Arc<dyn Image>, start: u64, len: u64) -> Result<Self> {
        match start.checked_add(len) {
            Some(end) if end <= inner.len() => Ok(Self { inner, start, len }),
            _ => Err(past_end("image", start, len, inner.len())),
        }
    }

    /// Where this part begins in the image below, in bytes.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    fn translate(&self, offset: u64, wanted: u64) -> Result<u64> {
        match offset.checked_add(wanted) {
            Some(end) if end <= self.len => Ok(self.start.saturating_add(offset)),
            _ => Err(past_end("image", offset, wanted, self.len)),
        }
    }
}

impl Image for Slice {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let at = self.translate(offset, buf.len() as u64)?;
        self.inner.read_at(at, buf)
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        let at = self.translate(offset, 1)?;
        let run = self.inner.run_at(at)?;
        Ok(Run { len: run.len.min(self.len.saturating_sub(offset)), ..run })
    }

    fn disk_place(&self, offset: u64) -> Option<DiskPlace> {
        let at = self.translate(offset, 1).ok()?;
        let place = self.inner.disk_place(at)?;
        Some(DiskPlace { len: place.len.min(self.len.saturating_sub(offset)), ..place })
    }
}

/// One of the target's disks, which counts what is read of it, and lets somebody hold reads back.
pub struct Metered {
    inner: Arc<dyn Image>,
    disk: usize,
    read: Arc<AtomicU64>,
    before: Option<Arc<dyn Fn(u64) + Send + Sync>>,
}

impl Metered {
    /// Adds the bytes that are read of `inner`, the disk of this number, to `read`; `before` is called before each read,
    /// with its length.
    #[must_use]
    pub fn new(
        inner: Arc<dyn Image>,
        disk: usize,
        read: Arc<AtomicU64>,
        before: Option<Arc<dyn Fn(u64) + Send + Sync>>,
    ) -> Self {
        Self { inner, disk, read, before }
    }
}

impl Image for Metered {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if let Some(before) = &self.before {
            before(buf.len() as u64);
        }
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.inner.read_at(offset, buf)
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        self.inner.run_at(offset)
    }

    fn disk_place(&self, offset: u64) -> Option<DiskPlace> {
        let len = self.len().checked_sub(offset).filter(|len| *len > 0)?;
        Some(DiskPlace { disk: self.disk, offset, len, behind: None })
    }
}

/// An image in memory, for tests and for what a reader has assembled.
pub struct Memory(pub Vec<u8>);

impl Image for Memory {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let source = usize::try_from(offset)
            .ok()
            .and_then(|at| self.0.get(at..at.checked_add(buf.len())?))
            .ok_or_else(|| past_end("image", offset, buf.len() as u64, self.len()))?;
        buf.copy_from_slice(source);
        Ok(())
    }
}
