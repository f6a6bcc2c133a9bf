//! Taking over content hashes from the scan before. A hash is a function of the bytes it was made of, and they are
//! where they were: same places on the same disks, none of them in a changed range. So what is kept of a scan, in a
//! side file that can be deleted at any time, is for each content its footprint, the places of its bytes in disk
//! coordinates, and its hash; names do not matter, and a renamed file is not read again. Metadata is never taken
//! over. In come a target's [`Layout`] and the side file of the scan before, out comes a [`Previous`] that answers.

mod footprint;
mod index;
mod layout;
mod sample;
mod side_file;

use std::{fs::File, io::Write};

pub use layout::{DiskLayout, FileState, Layout, MAX_STRETCHES, SnapshotState, Stretch, VolumeLayout};
pub use sample::Sample;
pub use side_file::SideHeader;

pub(super) use footprint::Footprint;

use index::Index;

use crate::{
    changed::ChangedRanges,
    error::Result,
    manifest::{Runs, sorter},
};

/// A SHA-256.
pub(super) type Digest = [u8; 32];

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
}

impl Previous {
    /// Loads a side file whose header was read from `reader`. `changed` says what may have changed, for each disk.
    ///
    /// # Errors
    /// When the side file is damaged.
    pub fn load(reader: SideReader, changed: Vec<ChangedRanges>) -> Result<Self> {
        Ok(Self { index: Index::load(reader.0)?, changed })
    }

    /// Contents that did not fit into the memory for them, and are read.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.index.left_out()
    }

    /// The hash of a content whose bytes are where they were, and did not change.
    pub(super) fn hash_of(&self, footprint: &Footprint) -> Option<Digest> {
        let digest = self.index.get(footprint)?;
        let same = |(disk, start, len): (usize, u64, u64)| {
            self.changed.get(disk).is_some_and(|changed| !changed.touches(start, len))
        };
        footprint.stored().all(same).then_some(digest)
    }
}

/// A side file whose header was read.
pub struct SideReader(side_file::Reader<File>);

/// Opens a side file.
///
/// # Errors
/// When it is damaged or of another version.
pub fn open(file: File) -> Result<(SideHeader, SideReader)> {
    let (header, reader) = side_file::Reader::new(file)?;
    Ok((header, SideReader(reader)))
}

/// Writes a side file of what the workers hand over, sorted by place, through `memory` bytes of buffers.
///
/// # Errors
/// When a temporary file cannot be read or `out` cannot be written.
pub fn write<W: Write>(out: W, header: &SideHeader, runs: Vec<Runs>, memory: usize) -> Result<W> {
    let mut writer = side_file::Writer::new(out, header)?;
    let mut merged = sorter::merge(runs, memory)?;
    // The same place twice: two names of one file, or files that claim the same blocks. When the image was written
    // to meanwhile their hashes may differ, and then neither is worth keeping.
    let mut last: Option<(Vec<u8>, Option<Vec<u8>>)> = None;
    while let Some((footprint, digest)) = merged.next()? {
        match &mut last {
            Some((place, kept)) if place == footprint => {
                if kept.as_deref() != Some(digest) {
                    *kept = None;
                }
            }
            _ => {
                if let Some((place, Some(kept))) = last.replace((footprint.to_vec(), Some(digest.to_vec()))) {
                    writer.push(&place, &kept)?;
                }
            }
        }
    }
    if let Some((place, Some(kept))) = last {
        writer.push(&place, &kept)?;
    }
    writer.finish()
}
