//! An image out of parts, one after the other or striped over several: the segments of a logical volume, the
//! members of a linear array.

use std::sync::Arc;

use crate::{
    error::{Error, Result},
    field::{narrow, wide},
    image::{self, DiskPlace, Image, Run, RunKind},
};

const LAYER: &str = "volume";

/// Parts one after the other, each as long as its image.
pub(super) struct Segmented {
    /// Where each part begins, ascending from 0, and its bytes. No part is empty.
    parts: Vec<(u64, Arc<dyn Image>)>,
    len: u64,
}

impl Segmented {
    /// The parts in this order. A single part is handed back as it is.
    pub(super) fn join(images: Vec<Arc<dyn Image>>) -> Result<Arc<dyn Image>> {
        let (mut parts, mut len) = (Vec::with_capacity(images.len()), 0_u64);
        for image in images.into_iter().filter(|image| !image.is_empty()) {
            let end = len.checked_add(image.len());
            parts.push((len, image));
            len = end.ok_or_else(|| Error::corrupt(LAYER, "its parts", "they are more than 16 EiB together"))?;
        }
        match parts.as_slice() {
            [] => Err(Error::corrupt(LAYER, "its parts", "they have no bytes")),
            [(_, only)] => Ok(Arc::clone(only)),
            _ => Ok(Arc::new(Self { parts, len })),
        }
    }

    /// The part that holds `offset`, and the offset in it.
    fn part(&self, offset: u64) -> Result<(&Arc<dyn Image>, u64)> {
        let behind = self.parts.partition_point(|(start, _)| *start <= offset);
        let part = behind.checked_sub(1).and_then(|at| self.parts.get(at));
        part.filter(|_| offset < self.len)
            .and_then(|(start, image)| Some((image, offset.checked_sub(*start)?)))
            .ok_or_else(|| image::past_end(LAYER, offset, 1, self.len))
    }
}

impl Image for Segmented {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        in_pieces(self.len, offset, buf, |at, piece| {
            let (image, inside) = self.part(at)?;
            let len = take(image.len().saturating_sub(inside), piece);
            let (now, rest) = piece.split_at_mut(len);
            image.read_at(inside, now)?;
            Ok(rest)
        })
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        let (image, inside) = self.part(offset)?;
        image.run_at(inside)
    }

    fn disk_place(&self, offset: u64) -> Option<DiskPlace> {
        let (image, inside) = self.part(offset).ok()?;
        image.disk_place(inside)
    }
}

/// Stripes dealt out to several legs in turn.
pub(super) struct Striped {
    legs: Vec<Arc<dyn Image>>,
    stripe: u64,
    len: u64,
}

impl Striped {
    /// Legs of equal length, which is a multiple of `stripe` bytes.
    pub(super) fn new(legs: Vec<Arc<dyn Image>>, stripe: u64) -> Result<Self> {
        let wrong = |what: String| Error::corrupt(LAYER, "its stripes", what);
        let each = legs.first().map_or(0, |leg| leg.len());
        if legs.iter().any(|leg| leg.len() != each) {
            return Err(wrong("the legs are not of one length".to_owned()));
        }
        if stripe == 0 || !stripe.is_multiple_of(512) || !each.is_multiple_of(stripe) {
            return Err(wrong(format!("stripes of {stripe} bytes do not divide legs of {each} bytes")));
        }
        let len =
            each.checked_mul(wide(legs.len())).ok_or_else(|| wrong("they are more than 16 EiB together".to_owned()))?;
        Ok(Self { legs, stripe, len })
    }

    /// The leg that holds `offset`, the offset in it, and the bytes to the end of the stripe.
    fn stripe(&self, offset: u64) -> Option<(&Arc<dyn Image>, u64, u64)> {
        let legs = wide(self.legs.len());
        let (number, inside) = (offset.checked_div(self.stripe)?, offset.checked_rem(self.stripe)?);
        let leg = self.legs.get(usize::try_from(number.checked_rem(legs)?).ok()?)?;
        let at = number.checked_div(legs)?.checked_mul(self.stripe)?.checked_add(inside)?;
        (offset < self.len).then(|| (leg, at, self.stripe.saturating_sub(inside)))
    }
}

impl Image for Striped {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        in_pieces(self.len, offset, buf, |at, piece| {
            let (leg, inside, left) = self.stripe(at).ok_or_else(|| image::past_end(LAYER, at, 1, self.len))?;
            let (now, rest) = piece.split_at_mut(take(left, piece));
            leg.read_at(inside, now)?;
            Ok(rest)
        })
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        let (leg, inside, left) = self.stripe(offset).ok_or_else(|| image::past_end(LAYER, offset, 1, self.len))?;
        let run = leg.run_at(inside)?;
        Ok(Run { len: run.len.min(left), ..run })
    }

    fn disk_place(&self, offset: u64) -> Option<DiskPlace> {
        let (leg, inside, left) = self.stripe(offset)?;
        let place = leg.disk_place(inside)?;
        Some(DiskPlace { len: place.len.min(left), ..place })
    }
}

/// Bytes of which nothing is stored: they read as zeros.
pub(super) struct Zeros(pub(super) u64);

impl Image for Zeros {
    fn len(&self) -> u64 {
        self.0
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        in_pieces(self.0, offset, buf, |_, piece| {
            piece.fill(0);
            Ok(&mut [])
        })
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        match self.0.checked_sub(offset) {
            Some(len) if len > 0 => Ok(Run { len, kind: RunKind::Hole }),
            _ => Err(image::past_end(LAYER, offset, 1, self.0)),
        }
    }
}

/// How much of `piece` can be filled out of `left` bytes.
pub(super) fn take(left: u64, piece: &[u8]) -> usize {
    narrow(left).min(piece.len())
}

/// Fills `buf` from `offset` of something `len` bytes long: `read` fills the beginning of what it is given and
/// hands back the rest.
pub(super) fn in_pieces<R>(len: u64, offset: u64, buf: &mut [u8], read: R) -> Result<()>
where
    R: for<'b> Fn(u64, &'b mut [u8]) -> Result<&'b mut [u8]>,
{
    let wanted = wide(buf.len());
    let end = offset.checked_add(wanted).filter(|&end| end <= len);
    let end = end.ok_or_else(|| image::past_end(LAYER, offset, wanted, len))?;
    let mut rest = buf;
    while !rest.is_empty() {
        let (at, before) = (end.saturating_sub(wide(rest.len())), rest.len());
        rest = read(at, rest)?;
        if rest.len() >= before {
            return Err(Error::Bug(format!("a read at {at:#x} of an assembled volume gave nothing")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Memory;

    fn leg(byte: u8, len: usize) -> Arc<dyn Image> {
        Arc::new(Memory(vec![byte; len]))
    }

    #[test]
    fn parts_follow_one_another_and_end() {
        let image = Segmented::join(vec![leg(1, 3), Arc::new(Zeros(2)), leg(2, 3)]).unwrap();
        let mut all = vec![9; 8];
        image.read_at(0, &mut all).unwrap();
        assert_eq!(all, [1, 1, 1, 0, 0, 2, 2, 2]);
        assert_eq!(image.run_at(3).unwrap(), Run { len: 2, kind: RunKind::Hole });
        assert!(image.read_at(1, &mut all).is_err() && image.run_at(8).is_err());
    }

    #[test]
    fn stripes_are_dealt_in_turn() {
        let image = Striped::new(vec![leg(1, 1024), leg(2, 1024)], 512).unwrap();
        let mut bytes = vec![0; 1024];
        image.read_at(256, &mut bytes).unwrap();
        assert_eq!(bytes, [vec![1; 256], vec![2; 512], vec![1; 256]].concat());
        assert!(image.read_at(2048, &mut [0]).is_err());
        assert!(Striped::new(vec![leg(1, 1024), leg(2, 512)], 512).is_err());
        assert!(Striped::new(vec![leg(1, 1024), leg(2, 1024)], 0).is_err());
    }
}
