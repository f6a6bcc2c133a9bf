//! Parts one after the other: the extents of a disk, the segments of an image.

use std::sync::Arc;

use crate::{
    error::{Error, Result},
    image::mapped::{Layered, Map, Source, Stretch},
};

/// A part; without an image it reads as zeros.
pub(crate) struct Part {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) image: Option<Arc<dyn Layered>>,
}

/// All parts, put together.
pub(crate) struct Joined {
    parts: Vec<Part>,
    size: u64,
}

impl Joined {
    /// The parts in this order; each begins where the one before it ends.
    pub(crate) fn new(layer: &'static str, parts: Vec<Part>) -> Result<Self> {
        let size =
            parts.iter().try_fold(0_u64, |size, part| (part.start == size).then(|| size.checked_add(part.len))?);
        match size {
            Some(size) if !parts.is_empty() => Ok(Self { parts, size }),
            Some(_) => Err(Error::corrupt(layer, "parts of the disk", "there are none")),
            None => Err(Error::corrupt(layer, "parts of the disk", "they are more than 16 EiB together")),
        }
    }

    /// Where the next part begins behind these.
    pub(crate) fn end(parts: &[Part]) -> u64 {
        parts.last().map_or(0, |last| last.start.saturating_add(last.len))
    }
}

impl Map for Joined {
    const LAYER: &'static str = "image";

    fn size(&self) -> u64 {
        self.size
    }

    fn below(&self) -> Option<&Arc<dyn Layered>> {
        None
    }

    fn stretch(&self, offset: u64, _want: u64) -> Result<Stretch<'_>> {
        let behind = self.parts.partition_point(|part| part.start <= offset);
        // An empty part begins where the next one does; the last of them is the one that has bytes.
        let part = behind
            .checked_sub(1)
            .and_then(|n| self.parts.get(n))
            .ok_or_else(|| Error::Bug(format!("no part of the disk at {offset:#x}")))?;
        let at = offset.saturating_sub(part.start);
        let source = match &part.image {
            Some(image) => Source::Stored { file: &**image, at },
            None => Source::Zeros,
        };
        Ok(Stretch { len: part.len.saturating_sub(at), source })
    }
}
