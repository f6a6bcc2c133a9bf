//! The hashes of the scan before, by the footprint of what they were made of, within a budget of memory.

use std::fs::File;

use super::{
    Digest, Footprint,
    footprint::{Fingerprint, fingerprint},
    side_file::Reader,
};
use crate::error::Result;

/// Memory for all of it, in bytes: some 1.2 million contents. What does not fit is read.
const MEMORY: usize = 64 << 20;

type Entry = (Fingerprint, Digest);

/// The hashes of the scan before.
pub(super) struct Index {
    entries: Vec<Entry>,
    left_out: u64,
}

impl Index {
    /// Reads all of a side file, and believes nothing of it before its end has proved it whole.
    pub(super) fn load(mut reader: Reader<File>) -> Result<Self> {
        let (mut entries, mut left_out): (Vec<Entry>, u64) = (Vec::new(), 0);
        while let Some((encoded, digest)) = reader.next()? {
            if entries.len() < MEMORY / size_of::<Entry>() {
                entries.push((fingerprint(encoded), digest));
            } else {
                left_out = left_out.saturating_add(1);
            }
        }
        entries.sort_unstable();
        Ok(Self { entries, left_out })
    }

    pub(super) fn get(&self, footprint: &Footprint) -> Option<Digest> {
        let wanted = fingerprint(footprint.encoded());
        let at = self.entries.binary_search_by(|(found, _)| found.cmp(&wanted)).ok()?;
        self.entries.get(at).map(|(_, digest)| *digest)
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}
