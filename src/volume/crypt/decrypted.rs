//! A volume as it is behind its key: decrypted as it is read, sector by sector, nothing kept.

use std::sync::Arc;

use super::sectors::Sectors;
use crate::{
    error::Result,
    field::wide,
    image::{self, Image},
    volume::segmented::{in_pieces, take},
};

/// The largest sector.
pub(super) const MAX_SECTOR: usize = 4096;

/// Where the bytes of a part of the volume come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Ciphertext that begins at `offset` of the image below, whose first sector has the number `iv`.
    Ciphertext { offset: u64, iv: u64 },
    /// The container's own metadata, which the system shows as zeros.
    Zeros,
}

/// A part of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it ends in the volume.
    pub(super) end: u64,
    pub(super) source: Source,
}

/// The bytes behind the key. All is data: of ciphertext nobody can say what is a hole.
pub(super) struct Decrypted {
    pub(super) inner: Arc<dyn Image>,
    pub(super) sectors: Sectors,
    /// Bytes that are encrypted together: 512 to [`MAX_SECTOR`].
    pub(super) sector: usize,
    /// So many bytes further on, the number of a sector is one more.
    pub(super) iv_step: u64,
    /// Ascending, one behind the other from 0; each is whole sectors.
    pub(super) parts: Vec<Part>,
}

impl Decrypted {
    /// The part that holds `at`, and where it begins.
    fn part(&self, at: u64) -> Result<(u64, Part)> {
        let index = self.parts.partition_point(|part| part.end <= at);
        let start = index.checked_sub(1).and_then(|before| self.parts.get(before)).map_or(0, |before| before.end);
        let part = self.parts.get(index).ok_or_else(|| image::past_end("crypt", at, 1, self.len()))?;
        Ok((start, *part))
    }

    /// Fills `buf` with whole sectors, `skip` bytes behind the ciphertext's beginning at `offset`.
    fn fill(&self, offset: u64, iv: u64, skip: u64, buf: &mut [u8]) -> Result<()> {
        self.inner.read_at(offset.saturating_add(skip), buf)?;
        let mut at = skip;
        for sector in buf.chunks_mut(self.sector) {
            self.sectors.decrypt(iv.wrapping_add(at.checked_div(self.iv_step).unwrap_or_default()), sector);
            at = at.saturating_add(wide(self.sector));
        }
        Ok(())
    }
}

impl Image for Decrypted {
    fn len(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.end)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        in_pieces(self.len(), offset, buf, |at, piece| {
            let (start, part) = self.part(at)?;
            let room = take(part.end.saturating_sub(at), piece);
            let Source::Ciphertext { offset, iv } = part.source else {
                let (now, rest) = piece.split_at_mut(room);
                now.fill(0);
                return Ok(rest);
            };
            let skip = at.saturating_sub(start);
            let inside = skip.checked_rem(wide(self.sector)).unwrap_or_default();
            let whole = room.saturating_sub(room.checked_rem(self.sector).unwrap_or_default());
            if inside == 0 && whole > 0 {
                let (now, rest) = piece.split_at_mut(whole);
                self.fill(offset, iv, skip, now)?;
                return Ok(rest);
            }
            let mut one = [0; MAX_SECTOR];
            let one = one.get_mut(..self.sector).unwrap_or_default();
            self.fill(offset, iv, skip.saturating_sub(inside), one)?;
            let from = one.get(usize::try_from(inside).unwrap_or(MAX_SECTOR)..).unwrap_or_default();
            let (now, rest) = piece.split_at_mut(room.min(from.len()));
            now.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            Ok(rest)
        })
    }
}
