//! Where a content's bytes are, in disk coordinates, in a form that can be compared.

use sha2::{Digest as _, Sha256};

use crate::fs::{Extent, Place};

/// More pieces than that are not kept: such a file is read every time.
const MAX_PIECES: usize = 4096;

const HOLE: u8 = 0;
const UNWRITTEN: u8 = 1;
const STORED: u8 = 2;

/// Bytes of one encoded piece: its kind, its length; for a stored one the disk and the offset there.
const ZEROS_LEN: usize = 9;
const STORED_LEN: usize = 19;

/// The longest encoded footprint, in bytes.
pub(super) const MAX_ENCODED: usize = MAX_PIECES * STORED_LEN;

/// What an encoded footprint is found by: enough of its SHA-256 that nobody makes two of one.
pub(super) type Fingerprint = [u8; 20];

/// The places of all bytes of a content, in the order of the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scan) struct Footprint {
    encoded: Vec<u8>,
    len: u64,
    zeros: u64,
}

#[derive(Debug, Clone, Copy)]
enum Piece {
    Zeros { kind: u8, len: u64 },
    Stored { offset: u64, len: u64 },
}

impl Footprint {
    /// The places of `extents` of a volume of `size` bytes that begins at `start` of the `disk`th disk. `None` where
    /// any byte is not on the disk as it is: inside metadata, served from a journal, compressed; and where there are
    /// no bytes, too many pieces, or pieces that do not fit together.
    pub(in crate::scan) fn new(extents: &[Extent], (disk, start): (usize, u64), size: u64) -> Option<Self> {
        let disk = u16::try_from(disk).ok()?;
        let mut footprint = Self { encoded: Vec::new(), len: 0, zeros: 0 };
        let mut pending: Option<Piece> = None;
        let mut pieces = 0_usize;
        for extent in extents {
            if extent.start != footprint.len {
                return None;
            }
            footprint.len = footprint.len.checked_add(extent.len)?;
            let next = match extent.place {
                Place::Volume(offset) => {
                    offset.checked_add(extent.len).filter(|end| *end <= size)?;
                    Piece::Stored { offset: start.checked_add(offset)?, len: extent.len }
                }
                Place::Hole => Piece::Zeros { kind: HOLE, len: extent.len },
                Place::Unwritten => Piece::Zeros { kind: UNWRITTEN, len: extent.len },
                Place::Metadata | Place::Encoded { .. } => return None,
            };
            if let Piece::Zeros { len, .. } = next {
                footprint.zeros = footprint.zeros.checked_add(len)?;
            }
            pending = Some(match pending {
                None => next,
                Some(before) => match joined(before, next) {
                    Some(piece) => piece,
                    None => {
                        pieces = pieces.checked_add(1).filter(|pieces| *pieces < MAX_PIECES)?;
                        footprint.encode(disk, before);
                        next
                    }
                },
            });
        }
        footprint.encode(disk, pending?);
        (footprint.len > 0).then_some(footprint)
    }

    fn encode(&mut self, disk: u16, piece: Piece) {
        let out = &mut self.encoded;
        match piece {
            Piece::Zeros { kind, len } => {
                out.push(kind);
                out.extend_from_slice(&len.to_be_bytes());
            }
            Piece::Stored { offset, len } => {
                out.push(STORED);
                out.extend_from_slice(&disk.to_be_bytes());
                out.extend_from_slice(&offset.to_be_bytes());
                out.extend_from_slice(&len.to_be_bytes());
            }
        }
    }

    /// Bytes of the content.
    pub(in crate::scan) fn len(&self) -> u64 {
        self.len
    }

    /// How many of them are stored nowhere.
    pub(in crate::scan) fn zeros(&self) -> u64 {
        self.zeros
    }

    /// As it is kept; in the order of disks and offsets.
    pub(in crate::scan) fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The stretches of disks that it needs: disk, offset, length.
    pub(super) fn stored(&self) -> impl Iterator<Item = (usize, u64, u64)> {
        let mut rest = self.encoded.as_slice();
        std::iter::from_fn(move || {
            while let Some(kind) = rest.first() {
                let (piece, behind) = rest.split_at_checked(if *kind == STORED { STORED_LEN } else { ZEROS_LEN })?;
                rest = behind;
                if *kind == STORED {
                    let number = |at: usize| Some(u64::from_be_bytes(piece.get(at..at + 8)?.try_into().ok()?));
                    let disk = u16::from_be_bytes(piece.get(1..3)?.try_into().ok()?);
                    return Some((usize::from(disk), number(3)?, number(11)?));
                }
            }
            None
        })
    }
}

fn joined(before: Piece, next: Piece) -> Option<Piece> {
    match (before, next) {
        (Piece::Zeros { kind, len }, Piece::Zeros { kind: same, len: more }) if kind == same => {
            Some(Piece::Zeros { kind, len: len.checked_add(more)? })
        }
        (Piece::Stored { offset, len }, Piece::Stored { offset: behind, len: more })
            if offset.checked_add(len) == Some(behind) =>
        {
            Some(Piece::Stored { offset, len: len.checked_add(more)? })
        }
        _ => None,
    }
}

/// What an encoded footprint is found by.
pub(super) fn fingerprint(encoded: &[u8]) -> Fingerprint {
    let digest = Sha256::digest(encoded);
    std::array::from_fn(|at| digest[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(start: u64, len: u64, place: Place) -> Extent {
        Extent { start, len, place }
    }

    #[test]
    fn places_are_those_of_the_disk_however_they_are_cut() {
        let whole = [extent(0, 8192, Place::Volume(4096)), extent(8192, 100, Place::Hole)];
        let cut = [
            extent(0, 4096, Place::Volume(4096)),
            extent(4096, 4096, Place::Volume(8192)),
            extent(8192, 40, Place::Hole),
            extent(8232, 60, Place::Hole),
        ];
        let footprint = Footprint::new(&whole, (1, 1 << 20), 1 << 16).unwrap();
        assert_eq!(Footprint::new(&cut, (1, 1 << 20), 1 << 16).unwrap(), footprint);
        assert_eq!((footprint.len(), footprint.zeros()), (8292, 100));
        assert_eq!(footprint.stored().collect::<Vec<_>>(), [(1, (1 << 20) + 4096, 8192)]);
        let unwritten = [whole[0], extent(8192, 100, Place::Unwritten)];
        for other in [(&unwritten, (1, 1 << 20)), (&whole, (0, 1 << 20)), (&whole, (1, 1 << 21))] {
            assert_ne!(Footprint::new(other.0, other.1, 1 << 16).unwrap(), footprint);
        }
    }

    #[test]
    fn what_is_not_on_the_disk_as_it_is_has_none() {
        let stored = extent(0, 512, Place::Volume(0));
        for extents in [
            vec![],
            vec![extent(0, 10, Place::Metadata)],
            vec![stored, extent(512, 512, Place::Metadata)],
            vec![extent(0, 10, Place::Encoded { offset: 0, len: 10 })],
            vec![stored, extent(1024, 512, Place::Hole)],
            vec![extent(0, 512, Place::Volume(u64::MAX))],
            vec![extent(0, 1025, Place::Volume(0))],
            (0..5000).map(|n| extent(n * 2, 2, Place::Volume((5000 - n) % 7 * 8))).collect(),
        ] {
            assert_eq!(Footprint::new(&extents, (0, 0), 1024), None, "{extents:?}");
        }
    }
}
