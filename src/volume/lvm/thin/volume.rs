//! A thin volume, or a thin snapshot, which is the same.

use std::sync::Arc;

use super::{LAYER, Pool};
use crate::{
    error::Result,
    image::{self, DiskPlace, Image, Run, RunKind},
    volume::segmented::{in_pieces, take},
};

/// A thin volume.
pub(in super::super) struct Thin {
    pool: Arc<Pool>,
    root: u64,
    len: u64,
    /// Shows where nothing was written; what lies past its end reads as zeros.
    external: Option<Arc<dyn Image>>,
}

/// What is at an offset, for so many bytes.
enum Source<'a> {
    Image(&'a dyn Image, u64),
    Zeros,
}

impl Thin {
    /// Device `device` of a pool, `len` bytes long.
    pub(in super::super) fn open(
        pool: Arc<Pool>,
        device: u64,
        len: u64,
        external: Option<Arc<dyn Image>>,
    ) -> Result<Self> {
        let root = pool.device(device)?;
        Ok(Self { pool, root, len, external })
    }

    fn source(&self, offset: u64) -> Result<(Source<'_>, u64)> {
        let size = self.pool.chunk();
        let (chunk, inside) =
            (offset.checked_div(size).unwrap_or_default(), offset.checked_rem(size).unwrap_or_default());
        let chunks = self.pool.chunks(self.root, chunk)?;
        let left = chunks.count.saturating_mul(size).saturating_sub(inside).min(self.len.saturating_sub(offset));
        if let Some(at) = chunks.at {
            return Ok((Source::Image(self.pool.data.as_ref(), at.saturating_add(inside)), left));
        }
        Ok(match &self.external {
            Some(origin) if offset < origin.len() => {
                (Source::Image(origin.as_ref(), offset), left.min(origin.len().saturating_sub(offset)))
            }
            _ => (Source::Zeros, left),
        })
    }
}

impl Image for Thin {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        in_pieces(self.len, offset, buf, |at, piece| {
            let (source, left) = self.source(at)?;
            let (now, rest) = piece.split_at_mut(take(left, piece));
            match source {
                Source::Image(image, from) => image.read_at(from, now)?,
                Source::Zeros => now.fill(0),
            }
            Ok(rest)
        })
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        if offset >= self.len {
            return Err(image::past_end(LAYER, offset, 1, self.len));
        }
        let (source, left) = self.source(offset)?;
        match source {
            Source::Image(image, from) => {
                let run = image.run_at(from)?;
                Ok(Run { len: run.len.min(left), ..run })
            }
            Source::Zeros => Ok(Run { len: left, kind: RunKind::Hole }),
        }
    }

    fn disk_place(&self, offset: u64) -> Option<DiskPlace> {
        let (Source::Image(image, from), left) = self.source(offset).ok()? else { return None };
        let place = image.disk_place(from)?;
        Some(DiskPlace { len: place.len.min(left), ..place })
    }
}
