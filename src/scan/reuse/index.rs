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

/// Entries that share a bucket, about.
const BUCKET: usize = 4;

/// The hashes of the scan before.
pub(super) struct Index {
    /// In the order of fingerprints.
    entries: Vec<Entry>,
    /// Where each bucket begins, and behind the last one its end. Fingerprints are spread evenly, so their first bits
    /// lead to an entry without a search through all of them.
    buckets: Vec<u32>,
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
        Ok(Self::new(entries, left_out))
    }

    fn new(mut entries: Vec<Entry>, left_out: u64) -> Self {
        entries.sort_unstable_by(|a, b| first(&a.0).cmp(&first(&b.0)).then_with(|| a.cmp(b)));
        let count = entries.len() / BUCKET + 1;
        let mut buckets = Vec::with_capacity(count + 1);
        for (at, (fingerprint, _)) in entries.iter().enumerate() {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            buckets.resize(buckets.len().max(bucket(fingerprint, count) + 1), at);
        }
        buckets.resize(count + 1, u32::try_from(entries.len()).unwrap_or(u32::MAX));
        Self { entries, buckets, left_out }
    }

    pub(super) fn get(&self, footprint: &Footprint) -> Option<Digest> {
        self.find(&fingerprint(footprint.encoded()))
    }

    fn find(&self, wanted: &Fingerprint) -> Option<Digest> {
        let at = bucket(wanted, self.buckets.len().checked_sub(1)?);
        let [start, end] = [at, at + 1].map(|at| self.buckets.get(at).and_then(|at| usize::try_from(*at).ok()));
        let bucket = self.entries.get(start?..end?)?;
        bucket.iter().find(|(found, _)| found == wanted).map(|(_, digest)| *digest)
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// The beginning of a fingerprint as a number, in the order of fingerprints.
fn first(fingerprint: &Fingerprint) -> u64 {
    fingerprint.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Which of `count` buckets a fingerprint is in.
fn bucket(fingerprint: &Fingerprint, count: usize) -> usize {
    let at = (u128::from(first(fingerprint)) * count as u128) >> 64;
    usize::try_from(at).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_in_its_bucket_and_no_other() {
        for count in [0_u32, 1, 3, 1000] {
            let entry = |number: u32| (fingerprint(&number.to_be_bytes()), [number.to_be_bytes()[3]; 32]);
            let index = Index::new((0..count).map(entry).collect(), 0);
            for number in 0..count + 100 {
                let (fingerprint, digest) = entry(number);
                assert_eq!(index.find(&fingerprint), (number < count).then_some(digest), "{number} of {count}");
            }
            for edge in [[0; 20], [0xff; 20]] {
                assert_eq!(index.find(&edge), None);
            }
        }
    }
}
