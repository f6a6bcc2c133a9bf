//! A file of this host, as one of those that an image is made of.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use rustix::fs::fstat;

use crate::{
    error::{Error, Result},
    field::wide,
    image::{
        Image, Raw, Run,
        mapped::{FileId, Layered, Origin},
    },
};

/// A file of the host as a layer: its bytes come from itself.
pub(crate) struct HostFile {
    pub(super) raw: Raw,
    pub(super) id: FileId,
}

impl HostFile {
    /// Takes an opened file.
    pub(crate) fn new(raw: Raw) -> Result<Self> {
        let stat = fstat(raw.file()).map_err(|e| Error::io("raw", raw.path().display().to_string(), e.into()))?;
        Ok(Self { raw, id: FileId { device: stat.st_dev, inode: stat.st_ino } })
    }
}

impl Image for HostFile {
    fn len(&self) -> u64 {
        self.raw.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let wanted = wide(buf.len());
        if offset.checked_add(wanted).is_none_or(|end| end > self.raw.len()) {
            return Err(Error::corrupt(
                "image",
                format!("'{}' at {offset:#x}", self.raw.path().display()),
                format!("{wanted} bytes wanted past the end: the file has {:#x} and may have been cut", self.raw.len()),
            ));
        }
        self.raw.read_at(offset, buf)
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        self.raw.run_at(offset)
    }
}

impl Layered for HostFile {
    fn origin(&self, offset: u64, _want: u64) -> Result<(u64, Origin)> {
        let len = self.raw.len().saturating_sub(offset);
        Ok((len, Origin::Stored { file: self.id, at: offset }))
    }
}
