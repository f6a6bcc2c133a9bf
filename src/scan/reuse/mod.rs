//! Taking over from the scan before what still holds, with proof.
//!
//! A content's hash is a function of the bytes it was made of, and they are where they were: same places on the same
//! disks, none of them in a changed range. A record is a function of the metadata that it rests on, of its path, and of
//! what is the same for all records (the policy, the names of accounts): where all of that is byte for byte what it was
//! and the content holds, the line in the manifest before holds too. Metadata itself is never taken over, it is read
//! afresh and compared.
//!
//! What is kept of a scan, in a side file that can be deleted at any time, is for each record a fingerprint of what it
//! rests on, one of the places of its content, and the content's hash. In come a target's [`Layout`] and the side file
//! of the scan before, out comes a [`Previous`] that answers.

mod footprint;
mod index;
mod layout;
mod sample;
mod side_file;
mod trace;

use std::{
    fs::File,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

pub use layout::{DiskLayout, FileState, Layout, MAX_STRETCHES, SnapshotState, VolumeLayout};
pub use sample::Sample;
pub use side_file::SideHeader;

pub(super) use footprint::{Footprint, MAX_PIECES, on_disks};
pub(super) use trace::{Basis, Trace};

use index::Index;

use crate::{
    changed::ChangedRanges,
    error::{Error, Result},
    machine::DiskPlace,
    manifest::{Follow, Holding, Origin},
};

/// A SHA-256.
pub(super) type Digest = [u8; 32];

/// What something is found by: enough of its SHA-256 that nobody makes two of one.
pub(super) type Fingerprint = [u8; 20];

/// Whether a range of a disk holds what it held when the scan before read it, by comparing both.
pub type AreSame = Box<dyn Fn(Range<u64>) -> Result<bool> + Send + Sync>;

/// What a scan is told about the one before, and what it is to keep for the next.
pub struct Reuse {
    /// What may be taken over; nothing on a full scan.
    pub previous: Option<Previous>,
    /// How much of what is taken over is read all the same, to prove it.
    pub verify: Option<Sample>,
}

/// What the scan before has left, and what changed since.
pub struct Previous {
    index: Index,
    changed: Vec<ChangedRanges>,
    /// For each disk, whether a range of it holds what it held; nothing where that cannot be told.
    are_same: Vec<AreSame>,
    context: String,
    /// Whether lines of its manifest may be taken over.
    lines: bool,
    /// Which of its records are taken over, 64 in each.
    taken: Vec<AtomicU64>,
}

impl Previous {
    /// `changed` says what may have changed, for each disk; `lines`, whether lines of the manifest that the side file was
    /// kept with may be taken over, for which that must be at hand.
    #[must_use]
    pub fn new(side: Side, changed: Vec<ChangedRanges>, lines: bool) -> Self {
        let Side { index, context } = side;
        let taken = (0..index.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { index, changed, are_same: Vec::new(), context, lines, taken }
    }

    /// Looks into what may have changed, by asking for each disk.
    #[must_use]
    pub fn looking(self, are_same: Vec<AreSame>) -> Self {
        Self { are_same, ..self }
    }

    /// Records that did not fit into the memory for them, and are made and read anew.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.index.left_out()
    }

    /// Whether lines of the manifest before can hold, for records that are made in this context.
    pub(super) fn has_lines(&self, context: &str) -> bool {
        self.lines && self.context == context
    }

    /// The hash of a content whose bytes are where they were, and did not change.
    pub(super) fn hash_of(&self, footprint: &Footprint) -> Option<Digest> {
        let digest = self.index.hash_of(&footprint.fingerprint())?;
        self.holds(|| footprint.stored()).then_some(digest)
    }

    /// Whether a content did not change that is stored at these places: none of its bytes is said to have, or those
    /// that are were compared with what they were. A list of changes names whole clusters, and in those lie neighbours
    /// of what changed. To compare, both disks are read: it is done where that is less than the content.
    pub(super) fn holds<I: Iterator<Item = DiskPlace>>(&self, stored: impl Fn() -> I) -> bool {
        let (mut bytes, mut touched) = (0_u64, 0_u64);
        for place in stored() {
            let Some(changed) = self.changed.get(place.disk) else { return false };
            bytes = bytes.saturating_add(place.len);
            let ranges = changed.within(place.reach());
            touched = ranges.fold(touched, |sum, range| sum.saturating_add(range.end - range.start));
        }
        let is_same = |place: DiskPlace| {
            let (changed, are_same) = (self.changed.get(place.disk)?, self.are_same.get(place.disk)?);
            changed.within(place.reach()).all(|range| are_same(range).unwrap_or(false)).then_some(())
        };
        touched == 0 || (touched.saturating_mul(2) < bytes && stored().all(|place| is_same(place).is_some()))
    }

    /// The number of the record that rested on this; `last` is the one that was found last.
    pub(super) fn record_of(&self, evidence: &Fingerprint, last: usize) -> Option<usize> {
        self.index.record_of(evidence, last)
    }

    /// What was kept of a record.
    pub(super) fn trace(&self, record: usize) -> Option<Trace> {
        self.index.trace(record)
    }

    /// Takes over the line of a record. `false` when that was done already: a name that stands twice in a directory has
    /// two lines.
    pub(super) fn take(&self, record: usize) -> bool {
        let bit = 1 << (record % 64);
        self.taken.get(record / 64).is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }

    /// Takes no line over, for a walk that begins anew.
    pub(super) fn take_none(&self) {
        self.taken.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Which lines are taken over, where any is, and what is to be kept of them for the next scan.
    #[must_use]
    pub fn into_holding(self) -> (Option<Holding>, Before) {
        let records = self.index.end().records;
        let bits: Vec<_> = self.taken.into_iter().map(AtomicU64::into_inner).collect();
        let any = bits.iter().any(|word| *word != 0);
        (any.then_some(Holding { bits, records }), Before(self.index))
    }
}

/// What the scan before kept of the records whose lines are taken over.
pub struct Before(Index);

impl Before {
    /// The SHA-256 in the footer of the manifest that it was kept with.
    #[must_use]
    pub fn manifest(&self) -> [u8; 32] {
        self.0.end().manifest
    }
}

/// A side file whose header was read.
pub struct SideReader {
    reader: side_file::Reader<File>,
    bytes: u64,
    context: String,
}

impl SideReader {
    /// Loads all of it.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn load(self) -> Result<Side> {
        Ok(Side { index: Index::load(self.reader, self.bytes)?, context: self.context })
    }
}

/// What a side file holds.
pub struct Side {
    index: Index,
    context: String,
}

/// Opens a side file.
///
/// # Errors
/// When it is damaged or of another version.
pub fn open(file: File) -> Result<(SideHeader, SideReader)> {
    // How long it is says only how much memory is asked for at once.
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let (header, reader) = side_file::Reader::new(file)?;
    let context = header.context.clone();
    Ok((header, SideReader { reader, bytes, context }))
}

/// Writes a side file while the manifest is written that it belongs to.
pub struct SideWriter {
    writer: side_file::Writer<File>,
    before: Option<Before>,
}

impl SideWriter {
    /// Begins with the header. Of lines that are taken over, `before` says what was kept.
    ///
    /// # Errors
    /// When `file` cannot be written.
    pub fn new(file: File, header: &SideHeader, before: Option<Before>) -> Result<Self> {
        Ok(Self { writer: side_file::Writer::new(file, header)?, before })
    }

    /// Ends the file of the manifest whose footer holds that SHA-256.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self, manifest: &[u8; 32]) -> Result<File> {
        self.writer.finish(manifest)
    }
}

impl Follow for SideWriter {
    fn take(&mut self, origin: Origin<'_>) -> Result<()> {
        match origin {
            Origin::Scan(trace) => self.writer.push(trace),
            Origin::Before(record) => {
                let before = self.before.as_ref().zip(usize::try_from(record).ok());
                let trace = before.and_then(|(before, record)| before.0.trace(record));
                self.writer
                    .push_trace(&trace.ok_or_else(|| Error::Bug(format!("nothing was kept of record {record}")))?)
            }
        }
    }
}
