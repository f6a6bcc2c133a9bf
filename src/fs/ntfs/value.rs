//! The value of an attribute: bytes of its record, or clusters of the volume.

use std::ops::ControlFlow;

use crate::{
    error::{Error, Result},
    field::narrow,
};

use super::{
    LAYER,
    attribute::{self, Attribute, Form},
    run_list::{Run, RunMap},
    volume::Volume,
};

/// Clusters of a compression unit, as a power of two; Windows uses 4.
const MAX_UNIT_SHIFT: u8 = 8;
/// The largest compression unit that is decoded; Windows compresses on clusters up to 4 KiB, which gives 64 KiB.
const MAX_UNIT: u64 = 1 << 20;

/// Where a value is.
#[derive(Debug)]
pub(super) enum Value<'f> {
    /// These bytes.
    Resident(&'f [u8]),
    /// Clusters.
    Clusters(Clusters),
}

/// The value of a non-resident attribute.
#[derive(Debug)]
pub(super) struct Clusters {
    runs: RunMap,
    cluster_size: u64,
    /// Length in bytes.
    pub(super) size: u64,
    /// What lies behind this offset was never written and reads as zeros.
    initialized: u64,
    /// Clusters of a compression unit, where the value is compressed.
    unit: Option<u64>,
}

/// A piece of a value, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Offset in the value.
    pub(super) start: u64,
    /// Bytes of the value; at least 1.
    pub(super) len: u64,
    pub(super) stored: Stored,
}

/// How a piece is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    /// As it is, at this byte offset of the volume.
    Plain(u64),
    /// Nowhere.
    Hole,
    /// Allocated, never written.
    Unwritten,
    /// The beginning of a compressed unit: where its bytes lie, offset and length on the volume.
    Unit(Vec<(u64, u64)>),
}

type Each<'a> = &'a mut dyn FnMut(Piece) -> Result<ControlFlow<()>>;

impl Clusters {
    /// An empty map with the sizes that the first part states.
    pub(super) fn new(first: &Attribute, cluster_size: u64) -> Result<Self, String> {
        let Form::NonResident(part) = &first.form else { return Err("the first part is resident".to_owned()) };
        if part.lowest_vcn != 0 {
            return Err(format!("the first part begins at cluster {:#x}, expected 0", part.lowest_vcn));
        }
        let unit = match first.flags & attribute::COMPRESSION_MASK {
            0 => None,
            1 => {
                let unit = 1_u64.checked_shl(u32::from(part.unit_shift)).unwrap_or(0);
                if !(1..=MAX_UNIT_SHIFT).contains(&part.unit_shift) || unit.saturating_mul(cluster_size) > MAX_UNIT {
                    return Err(format!("compression units of 2^{} clusters of {cluster_size} bytes", part.unit_shift));
                }
                Some(unit)
            }
            method => return Err(format!("compression method {method}, expected 1 (LZNT1)")),
        };
        Ok(Self {
            runs: RunMap::default(),
            cluster_size: cluster_size.max(1),
            size: part.size,
            initialized: part.initialized,
            unit,
        })
    }

    /// Appends a part; `record` is the record that holds it.
    pub(super) fn append(&mut self, part: &Attribute, record: &[u8], limit: u64) -> Result<(), String> {
        match &part.form {
            Form::NonResident(form) => {
                let pairs = record.get(form.pairs.clone()).unwrap_or_default();
                // Some writers leave 0 instead of -1 as the last cluster of an attribute that has none.
                let none = form.lowest_vcn == 0
                    && form.end_vcn == 1
                    && form.size == 0
                    && pairs.first().is_none_or(|b| *b == 0);
                self.runs.extend(form.lowest_vcn, if none { 0 } else { form.end_vcn }, pairs, limit)
            }
            Form::Resident(_) => Err("a later part is resident".to_owned()),
        }
    }

    /// A value must not be longer than its clusters, nor have more of them than the `held` ones of the image, whatever
    /// the boot sector says: then it repeats clusters to look long.
    pub(super) fn check(&self, held: u64) -> Result<(), String> {
        if self.runs.stored() > held {
            return Err(format!("runs of more clusters than the image holds ({held:#x})"));
        }
        let mapped = self.runs.end().saturating_mul(self.cluster_size);
        if self.size > mapped || self.size > i64::MAX.unsigned_abs() {
            return Err(format!("{:#x} bytes, the runs hold {mapped:#x}", self.size));
        }
        Ok(())
    }

    /// Fills `buf` from an offset of a value that is not compressed.
    pub(super) fn read_at(&self, volume: &Volume, offset: u64, buf: &mut [u8]) -> Result<()> {
        let written = buf.len().min(narrow(self.initialized.saturating_sub(offset)));
        if let Some((written, rest)) = buf.split_at_mut_checked(written) {
            self.runs.read_at(volume.image.as_ref(), self.cluster_size, offset, written)?;
            rest.fill(0);
        }
        Ok(())
    }

    /// Whether nothing is stored for the `len` bytes at an offset.
    pub(super) fn is_hole(&self, offset: u64, len: u64) -> bool {
        let vcn = offset.checked_div(self.cluster_size).unwrap_or(0);
        let end = offset.saturating_add(len).div_ceil(self.cluster_size);
        self.runs.runs_from(vcn).iter().take_while(|run| run.vcn < end).all(|run| run.lcn.is_none())
    }

    /// Whether its bytes are compressed.
    pub(super) fn is_compressed(&self) -> bool {
        self.unit.is_some()
    }

    /// Bytes of a compression unit.
    pub(super) fn unit_size(&self) -> usize {
        narrow(self.unit.unwrap_or(0).saturating_mul(self.cluster_size))
    }

    /// Hands out the pieces from the beginning to the length, without gaps. The number of pieces is at most about
    /// three times the number of runs.
    pub(super) fn pieces(&self, each: Each<'_>) -> Result<()> {
        match self.unit {
            None => self.plain_pieces(each),
            Some(unit) => self.unit_pieces(unit, each),
        }
    }

    fn plain_pieces(&self, each: Each<'_>) -> Result<()> {
        for run in self.runs.runs() {
            if self.cut(run.vcn, run.len, self.stored(run.lcn), each)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// In a compressed value each unit is plain (all its clusters are there), a hole (none is), or compressed (the
    /// first ones are there). Units of one sort that one run holds are handed out together.
    fn unit_pieces(&self, unit: u64, each: Each<'_>) -> Result<()> {
        let mut vcn = 0_u64;
        let mut runs = self.runs.runs();
        while let Some(run) = runs.first() {
            let skip = vcn.saturating_sub(run.vcn);
            let left = run.len.saturating_sub(skip);
            let whole = left.saturating_sub(left.checked_rem(unit).unwrap_or(0));
            let len = if whole > 0 { whole } else { unit };
            let flow = if whole > 0 {
                self.cut(vcn, whole, self.stored(run.lcn.map(|lcn| lcn.saturating_add(skip))), each)?
            } else {
                self.mixed_unit(vcn, unit, each)?
            };
            if flow.is_break() {
                break;
            }
            vcn = vcn.saturating_add(len);
            while runs.first().is_some_and(|run| run.end() <= vcn) {
                runs = runs.get(1..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// A unit that more than one run makes up.
    fn mixed_unit(&self, vcn: u64, unit: u64, each: Each<'_>) -> Result<ControlFlow<()>> {
        let end = vcn.saturating_add(unit);
        let inside = self.runs.runs_from(vcn).iter().take_while(|run| run.vcn < end).map(|run| {
            let from = run.vcn.max(vcn);
            let lcn = run.lcn.map(|lcn| lcn.saturating_add(from.saturating_sub(run.vcn)));
            Run { vcn: from, len: run.end().min(end).saturating_sub(from), lcn }
        });
        let inside: Vec<Run> = inside.collect();
        let stored = inside.iter().take_while(|run| run.lcn.is_some()).count();
        if stored == inside.len() {
            for run in inside {
                if self.cut(run.vcn, run.len, self.stored(run.lcn), each)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            return Ok(ControlFlow::Continue(()));
        }
        if inside.iter().skip(stored).any(|run| run.lcn.is_some()) {
            let at = format!("compression unit at cluster {vcn:#x}");
            return Err(Error::corrupt(LAYER, at, "clusters behind a hole, expected none"));
        }
        let bytes = |run: &Run| {
            let first = run.lcn?.saturating_mul(self.cluster_size);
            Some((first, run.len.saturating_mul(self.cluster_size)))
        };
        let segments: Vec<_> = inside.iter().filter_map(bytes).collect();
        self.cut(vcn, unit, if segments.is_empty() { Stored::Hole } else { Stored::Unit(segments) }, each)
    }

    fn stored(&self, lcn: Option<u64>) -> Stored {
        lcn.map_or(Stored::Hole, |lcn| Stored::Plain(lcn.saturating_mul(self.cluster_size)))
    }

    /// Hands out clusters as pieces, cut at the valid data length and at the length.
    fn cut(&self, vcn: u64, clusters: u64, stored: Stored, each: Each<'_>) -> Result<ControlFlow<()>> {
        let start = vcn.saturating_mul(self.cluster_size);
        let end = start.saturating_add(clusters.saturating_mul(self.cluster_size)).min(self.size);
        let written = if stored == Stored::Hole { end } else { end.min(self.initialized).max(start) };
        if start < written && each(Piece { start, len: written.saturating_sub(start), stored })?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if written < end {
            return each(Piece { start: written, len: end.saturating_sub(written), stored: Stored::Unwritten });
        }
        Ok(if end < self.size { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::ntfs::attribute::NonResident;

    #[test]
    fn runs_that_repeat_clusters_end_at_what_the_image_holds() {
        // 16 clusters at 0x10, twice, and a hole of 32.
        let pairs = [0x11, 16, 0x10, 0x11, 16, 0, 0x01, 32, 0];
        let part = NonResident {
            lowest_vcn: 0,
            end_vcn: 64,
            pairs: 0..pairs.len(),
            unit_shift: 0,
            size: 64 << 9,
            initialized: 64 << 9,
        };
        let form = Form::NonResident(part);
        let attribute = Attribute { kind: attribute::DATA, id: 0, flags: 0, name: Vec::new(), form };
        let mut clusters = Clusters::new(&attribute, 512).unwrap();
        clusters.append(&attribute, &pairs, 1 << 40).unwrap();
        assert_eq!(clusters.check(32), Ok(()));
        assert_eq!(clusters.check(31).unwrap_err(), "runs of more clusters than the image holds (0x1f)");
    }
}
