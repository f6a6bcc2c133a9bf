//! A volume as it is behind its key: decrypted as it is read, sector by sector, nothing kept.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::sectors::Sectors;
pub(super) use crate::image::MAX_SECTOR;
use crate::{
    error::Result,
    field::wide,
    image::{self, Behind, DiskPlace, Image},
    volume::segmented::{in_pieces, take},
};

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
    /// Where in the image below the volume begins: what is not moved lies so many bytes further on there.
    pub(super) start: u64,
    /// Which of the target's keys this is, counted from 1.
    pub(super) key: u32,
}

impl Decrypted {
    /// The part that holds `at`, and where it begins.
    fn part(&self, at: u64) -> Result<(u64, Part)> {
        let index = self.parts.partition_point(|part| part.end <= at);
        let start = index.checked_sub(1).and_then(|before| self.parts.get(before)).map_or(0, |before| before.end);
        let part = self.parts.get(index).ok_or_else(|| image::past_end("crypt", at, 1, self.len()))?;
        Ok((start, *part))
    }

    /// What the bytes here are a function of besides those below: the cipher, its key, the numbers of the sectors, where
    /// the parts lie. It tells nothing about the key: it is a hash of what the cipher makes of zeros.
    pub(super) fn mark(&self) -> [u8; 32] {
        // Beyond 32 bits: there the forms of the vector differ.
        const NUMBERS: [u64; 3] = [0, 1, (1 << 33) + 5];
        let mut hash = Sha256::new();
        for number in NUMBERS {
            let mut sector = vec![0; self.sector];
            self.sectors.decrypt(number, &mut sector);
            hash.update(sector);
        }
        hash.update(wide(self.sector).to_le_bytes());
        hash.update(self.iv_step.to_le_bytes());
        for Part { end, source } in &self.parts {
            let (kind, offset, iv) = match source {
                Source::Ciphertext { offset, iv } => (1, *offset, *iv),
                Source::Zeros => (0, 0, 0),
            };
            for number in [kind, *end, offset, iv] {
                hash.update(number.to_le_bytes());
            }
        }
        hash.finalize().into()
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

    /// Of whole sectors that lie together, and have not been moved: what was moved to a place may mean something else
    /// there than what belongs there.
    fn disk_place(&self, offset: u64) -> Option<DiskPlace> {
        let (start, part) = self.part(offset).ok()?;
        let Source::Ciphertext { offset: below, .. } = part.source else { return None };
        if below.checked_sub(start) != Some(self.start) {
            return None;
        }
        let sector = wide(self.sector);
        let inside = offset.checked_rem(sector)?;
        let place = self.inner.disk_place(below.checked_add(offset.checked_sub(start)?)?.checked_sub(inside)?)?;
        let len = place.len.min(part.end.checked_sub(offset)?.checked_add(inside)?);
        let whole = len.checked_sub(len.checked_rem(sector)?)?;
        let len = whole.checked_sub(inside).filter(|len| *len > 0 && place.behind.is_none())?;
        let behind = Some(Behind { key: self.key, at: offset });
        Some(DiskPlace { offset: place.offset.checked_add(inside)?, len, behind, ..place })
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::as_conversions, reason = "tests")]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::image::{Memory, Metered};

    const START: u64 = 3 * 512;
    const LEN: u64 = 8 * 4096;

    fn sectors(mode: usize) -> Sectors {
        match mode {
            0 => Sectors::named("aes-xts-plain64", &[7; 32]),
            1 => Sectors::named("aes-cbc-essiv:sha256", &[7; 16]),
            2 => Sectors::bitlocker_cbc(&[7; 16], None),
            _ => Sectors::bitlocker_cbc(&[7; 16], Some(&[9; 16])),
        }
        .unwrap()
    }

    fn behind(disk: Vec<u8>, sectors: Sectors, sector: usize) -> Decrypted {
        let inner = Metered::new(Arc::new(Memory(disk)), 4, Arc::new(AtomicU64::new(0)), None);
        let at = |offset: u64| Source::Ciphertext { offset, iv: offset / 512 };
        // The first sectors were moved to behind the last, and in the middle stand metadata.
        let parts = vec![
            Part { end: 8192, source: at(START + LEN) },
            Part { end: 12288, source: at(START + 8192) },
            Part { end: 16384, source: Source::Zeros },
            Part { end: LEN, source: at(START + 16384) },
        ];
        Decrypted { inner: Arc::new(inner), sectors, sector, iv_step: 512, parts, start: START, key: 2 }
    }

    #[test]
    fn what_is_read_at_a_place_depends_on_nothing_beyond_its_reach() {
        let disk: Vec<u8> = (0..START + LEN + 8192).map(|at| (at * 31 % 251) as u8).collect();
        for (mode, sector) in [(0, 512), (0, 4096), (1, 512), (1, 4096), (2, 512), (3, 512), (3, 4096)] {
            let volume = behind(disk.clone(), sectors(mode), sector);
            for (offset, len) in [(8192, 100), (9000, 1), (12287, 1), (16384, 4096), (20000, 5000), (LEN - 33, 33)] {
                let place = volume.disk_place(offset).unwrap();
                assert_eq!((place.disk, place.offset), (4, START + offset));
                assert_eq!(place.behind, Some(Behind { key: 2, at: offset }));
                let place = DiskPlace { len: place.len.min(len), ..place };
                let reach = place.reach();
                let read = |disk: Vec<u8>| {
                    let mut bytes = vec![0; place.len as usize];
                    behind(disk, sectors(mode), sector).read_at(offset, &mut bytes).unwrap();
                    bytes
                };
                let turned = |inside: bool| {
                    let turn = |(at, byte): (u64, &u8)| if reach.contains(&at) == inside { !byte } else { *byte };
                    read((0..).zip(&disk).map(turn).collect())
                };
                let (whole, without) = (read(disk.clone()), turned(false));
                assert_eq!(whole, without, "mode {mode}, sectors of {sector}, {len} bytes at {offset}");
                assert_ne!(whole, turned(true));
            }
            for nowhere in [0, 8191, 12288, 16383, LEN] {
                assert_eq!(volume.disk_place(nowhere), None, "{nowhere}");
            }
        }
    }

    #[test]
    fn another_key_cipher_or_place_has_another_mark() {
        let marks = |volume: Decrypted| volume.mark();
        let mut seen = std::collections::BTreeSet::new();
        for mode in 0..4 {
            assert!(seen.insert(marks(behind(Vec::new(), sectors(mode), 512))));
            assert!(!seen.insert(marks(behind(vec![1], sectors(mode), 512))));
        }
        for spec in ["aes-xts-plain", "aes-xts-plain64be", "serpent-xts-plain64", "aes-cbc-plain64"] {
            assert!(seen.insert(marks(behind(Vec::new(), Sectors::named(spec, &[7; 32]).unwrap(), 512))), "{spec}");
        }
        assert!(seen.insert(marks(behind(Vec::new(), Sectors::named("aes-xts-plain64", &[8; 32]).unwrap(), 512))));
        assert!(seen.insert(marks(behind(Vec::new(), sectors(0), 1024))));
        let other = behind(Vec::new(), sectors(0), 512);
        assert!(seen.insert(marks(Decrypted { iv_step: 1, ..other })));
        let mut other = behind(Vec::new(), sectors(0), 512);
        other.parts.pop();
        assert!(seen.insert(marks(other)));
    }

    /// What remaps a volume's bytes, as a pool does, gives ciphertext another sector's number, and so another content.
    #[test]
    fn ciphertext_that_is_read_at_another_place_of_the_volume_is_something_else() {
        let disk = || -> Arc<dyn Image> {
            let bytes = (0..16384).map(|at| (at * 31 % 251) as u8).collect();
            Arc::new(Metered::new(Arc::new(Memory(bytes)), 0, Arc::new(AtomicU64::new(0)), None))
        };
        let part = |start| -> Arc<dyn Image> { Arc::new(crate::image::Slice::new(disk(), start, 8192).unwrap()) };
        let volume = |inner| {
            let parts = vec![Part { end: 16384, source: Source::Ciphertext { offset: 0, iv: 0 } }];
            Decrypted { inner, sectors: sectors(0), sector: 512, iv_step: 512, parts, start: 0, key: 1 }
        };
        let swapped = crate::volume::segmented::Segmented::join(vec![part(8192), part(0)]).unwrap();
        let (one, other) = (volume(disk()), volume(swapped));
        let read = |volume: &Decrypted, at| {
            let mut bytes = [0; 512];
            volume.read_at(at, &mut bytes).unwrap();
            bytes
        };
        let (here, there) = (one.disk_place(0).unwrap(), other.disk_place(8192).unwrap());
        assert_eq!((here.disk, here.offset), (there.disk, there.offset));
        assert_ne!(read(&one, 0), read(&other, 8192));
        assert_ne!(here.behind, there.behind);
    }

    #[test]
    fn sectors_that_do_not_lie_together_have_no_place() {
        // A stripe of 512 bytes, and sectors of 4096 across it.
        let leg = || -> Arc<dyn Image> {
            Arc::new(Metered::new(Arc::new(Memory(vec![0; 16384])), 0, Arc::new(AtomicU64::new(0)), None))
        };
        let striped: Arc<dyn Image> =
            Arc::new(crate::volume::segmented::Striped::new(vec![leg(), leg()], 512).unwrap());
        for (sector, has) in [(512, true), (4096, false)] {
            let parts = vec![Part { end: 16384, source: Source::Ciphertext { offset: 0, iv: 0 } }];
            let inner = Arc::clone(&striped);
            let volume = Decrypted { inner, sectors: sectors(0), sector, iv_step: 512, parts, start: 0, key: 1 };
            assert_eq!(volume.disk_place(700).is_some(), has);
        }
    }
}
