//! Where a content's bytes are, in disk coordinates, in a form that can be compared.

use sha2::{Digest as _, Sha256};

use super::{Fingerprint, trace::first};
use crate::{
    fs::{Extent, Place},
    machine::{Behind, DiskPlace},
};

/// More pieces than that are not kept: such a file is read every time.
pub(in crate::scan) const MAX_PIECES: usize = 4096;

const HOLE: u8 = 0;
const UNWRITTEN: u8 = 1;
const STORED: u8 = 2;
const BEHIND: u8 = 3;

/// Bytes of one encoded piece: its kind, its length; for a stored one the disk and the offset there; for one behind a key
/// that, and the offset behind it.
const ZEROS_LEN: usize = 9;
const STORED_LEN: usize = 19;
const BEHIND_LEN: usize = 31;

/// The places of all bytes of a content, in the order of the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scan) struct Footprint {
    encoded: Vec<u8>,
    len: u64,
}

/// The pieces of a content as they come by.
#[derive(Default)]
struct Pieces {
    /// The last one, which may grow.
    pending: Option<Piece>,
    encoded: usize,
}

#[derive(Debug, Clone, Copy)]
enum Piece {
    Zeros { kind: u8, len: u64 },
    Stored { disk: u16, offset: u64, len: u64, behind: Option<Behind> },
}

impl Footprint {
    /// The places of `extents` of a volume. `place` says where the volume's bytes from an offset on lie. `None` where any
    /// byte is not on a disk: inside metadata, served from a journal, compressed; and where there are no bytes, too many
    /// pieces, or pieces that do not fit together.
    pub(in crate::scan) fn new(extents: &[Extent], place: impl Fn(u64) -> Option<DiskPlace>) -> Option<Self> {
        let mut footprint = Self { encoded: Vec::with_capacity(2 * STORED_LEN), len: 0 };
        let mut pieces = Pieces::default();
        for extent in extents {
            if extent.start != footprint.len {
                return None;
            }
            footprint.len = footprint.len.checked_add(extent.len)?;
            let kind = match extent.place {
                Place::Volume(offset) => {
                    on_disks(offset, extent.len, &place, |DiskPlace { disk, offset, len, behind }| {
                        let disk = u16::try_from(disk).ok()?;
                        footprint.take(&mut pieces, Piece::Stored { disk, offset, len, behind })
                    })?;
                    continue;
                }
                Place::Hole => HOLE,
                Place::Unwritten => UNWRITTEN,
                Place::Metadata | Place::Encoded { .. } => return None,
            };
            footprint.take(&mut pieces, Piece::Zeros { kind, len: extent.len })?;
        }
        footprint.encode(pieces.pending?);
        (footprint.len > 0).then_some(footprint)
    }

    /// Takes the next piece, which may go on where the last one ends. `None` when there are too many.
    fn take(&mut self, pieces: &mut Pieces, next: Piece) -> Option<()> {
        let pending = match pieces.pending {
            None => next,
            Some(before) => match joined(before, next) {
                Some(piece) => piece,
                None => {
                    pieces.encoded = pieces.encoded.checked_add(1).filter(|encoded| *encoded < MAX_PIECES)?;
                    self.encode(before);
                    next
                }
            },
        };
        pieces.pending = Some(pending);
        Some(())
    }

    fn encode(&mut self, piece: Piece) {
        let out = &mut self.encoded;
        match piece {
            Piece::Zeros { kind, len } => {
                out.push(kind);
                out.extend_from_slice(&len.to_be_bytes());
            }
            Piece::Stored { disk, offset, len, behind } => {
                out.push(if behind.is_some() { BEHIND } else { STORED });
                out.extend_from_slice(&disk.to_be_bytes());
                out.extend_from_slice(&offset.to_be_bytes());
                out.extend_from_slice(&len.to_be_bytes());
                if let Some(Behind { key, at }) = behind {
                    out.extend_from_slice(&key.to_be_bytes());
                    out.extend_from_slice(&at.to_be_bytes());
                }
            }
        }
    }

    /// Bytes of the content.
    pub(in crate::scan) fn len(&self) -> u64 {
        self.len
    }

    /// What it is found by.
    pub(in crate::scan) fn fingerprint(&self) -> Fingerprint {
        first(&Sha256::digest(&self.encoded).into())
    }

    /// The stretches of disks that it needs.
    pub(super) fn stored(&self) -> impl Iterator<Item = DiskPlace> {
        let mut rest = self.encoded.as_slice();
        std::iter::from_fn(move || {
            while let Some(kind) = rest.first() {
                let len = match *kind {
                    BEHIND => BEHIND_LEN,
                    STORED => STORED_LEN,
                    _ => ZEROS_LEN,
                };
                let (piece, more) = rest.split_at_checked(len)?;
                rest = more;
                if len != ZEROS_LEN {
                    let number = |at: usize| Some(u64::from_be_bytes(piece.get(at..at + 8)?.try_into().ok()?));
                    let disk = u16::from_be_bytes(piece.get(1..3)?.try_into().ok()?);
                    let key = || Some(u32::from_be_bytes(piece.get(19..23)?.try_into().ok()?));
                    let behind = key().and_then(|key| Some(Behind { key, at: number(23)? }));
                    return Some(DiskPlace { disk: usize::from(disk), offset: number(3)?, len: number(11)?, behind });
                }
            }
            None
        })
    }
}

/// Hands out the stretches of disks on which `len` bytes of a volume from `offset` on lie; `place` is as in
/// [`Footprint::new`]. `None` where any of them is on none, or `each` wants no more.
pub(in crate::scan) fn on_disks(
    mut offset: u64,
    len: u64,
    place: impl Fn(u64) -> Option<DiskPlace>,
    mut each: impl FnMut(DiskPlace) -> Option<()>,
) -> Option<()> {
    let end = offset.checked_add(len)?;
    while offset < end {
        let found = place(offset).filter(|found| found.len > 0)?;
        let len = found.len.min(end - offset);
        each(DiskPlace { len, ..found })?;
        offset += len;
    }
    Some(())
}

fn joined(before: Piece, next: Piece) -> Option<Piece> {
    match (before, next) {
        (Piece::Zeros { kind, len }, Piece::Zeros { kind: same, len: more }) if kind == same => {
            Some(Piece::Zeros { kind, len: len.checked_add(more)? })
        }
        (
            Piece::Stored { disk, offset, len, behind },
            Piece::Stored { disk: on, offset: next, len: more, behind: with },
        ) if disk == on && offset.checked_add(len) == Some(next) && goes_on(behind, len, with) => {
            Some(Piece::Stored { disk, offset, len: len.checked_add(more)?, behind })
        }
        _ => None,
    }
}

/// Whether what lies `len` bytes further on is behind the same key as the piece before, if any, and follows it there.
fn goes_on(before: Option<Behind>, len: u64, next: Option<Behind>) -> bool {
    before.map(|Behind { key, at }| (key, at.checked_add(len))) == next.map(|Behind { key, at }| (key, Some(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(start: u64, len: u64, place: Place) -> Extent {
        Extent { start, len, place }
    }

    fn at(disk: usize, offset: u64, len: u64) -> DiskPlace {
        DiskPlace { disk, offset, len, behind: None }
    }

    /// A volume of `size` bytes that begins at `start` of a disk.
    fn on((disk, start): (usize, u64), size: u64) -> impl Fn(u64) -> Option<DiskPlace> {
        let place = move |offset, len| at(disk, start + offset, len);
        move |offset| size.checked_sub(offset).filter(|len| *len > 0).map(|len| place(offset, len))
    }

    #[test]
    fn a_content_on_two_parts_of_a_volume_lies_where_they_lie() {
        // The first 4096 bytes of the volume on one disk, the others on another, or right behind them.
        let parts = |behind: (usize, u64)| {
            move |offset: u64| match 4096_u64.checked_sub(offset) {
                Some(len) if len > 0 => Some(at(0, 512 + offset, len)),
                _ => Some(at(behind.0, behind.1 + offset - 4096, 1 << 20)),
            }
        };
        let extents = [extent(0, 8192, Place::Volume(0))];
        let footprint = |behind| Footprint::new(&extents, parts(behind)).unwrap();
        let stored = |behind| footprint(behind).stored().collect::<Vec<_>>();
        assert_eq!(stored((1, 0)), [at(0, 512, 4096), at(1, 0, 4096)]);
        assert_eq!(stored((0, 512 + 4096)), [at(0, 512, 8192)]);
        assert_eq!(footprint((0, 512 + 4096)), Footprint::new(&extents, on((0, 512), 1 << 20)).unwrap());
        // Stripes so small that there are too many of them.
        let striped = |offset: u64| Some(at(usize::from(offset % 2 == 1), offset / 2, 1));
        assert_eq!(Footprint::new(&extents, striped), None);
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
        let footprint = Footprint::new(&whole, on((1, 1 << 20), 1 << 16)).unwrap();
        assert_eq!(Footprint::new(&cut, on((1, 1 << 20), 1 << 16)).unwrap(), footprint);
        assert_eq!(footprint.len(), 8292);
        assert_eq!(footprint.stored().collect::<Vec<_>>(), [at(1, (1 << 20) + 4096, 8192)]);
        let unwritten = [whole[0], extent(8192, 100, Place::Unwritten)];
        for other in [(&unwritten, (1, 1 << 20)), (&whole, (0, 1 << 20)), (&whole, (1, 1 << 21))] {
            assert_ne!(Footprint::new(other.0, on(other.1, 1 << 16)).unwrap(), footprint);
        }
        let behind = |at| Some(Behind { key: 7, at });
        let place =
            |start| move |offset| Some(DiskPlace { behind: behind(start + offset), ..at(1, (1 << 20) + offset, 4096) });
        let (one, other) = (Footprint::new(&whole, place(0)).unwrap(), Footprint::new(&whole, place(512)).unwrap());
        assert!(one != footprint && other != footprint && one != other);
        let stored = DiskPlace { behind: behind(4096), ..at(1, (1 << 20) + 4096, 8192) };
        assert_eq!(one.stored().collect::<Vec<_>>(), [stored]);
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
            assert_eq!(Footprint::new(&extents, on((0, 0), 1024)), None, "{extents:?}");
        }
    }
}
