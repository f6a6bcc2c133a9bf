//! What the scan before kept of its records, by what they rest on and by the places of their contents, within a
//! budget of memory.

use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    io::Read,
    thread,
};

use super::{
    Digest, Fingerprint,
    side_file::{End, Reader},
    trace::Trace,
};
use crate::{
    error::{Error, Result},
    threads::Spread,
};

/// Records that are held in memory, of some 90 bytes each. What does not fit is made and read anew.
const MAX_RECORDS: usize = 1_250_000;

/// Bytes of a side file for each record, about: hashes do not shrink.
const BYTES_A_RECORD: u64 = 56;

/// Records on either side of the last one that are looked at before all others are searched.
const NEAR: usize = 12;

/// What the scan before kept.
pub(super) struct Index {
    /// What each record rested on, in the order of the manifest. Apart from the contents: it is asked for each entity,
    /// and close together more of it is in the caches.
    evidence: Vec<Option<Fingerprint>>,
    /// Where each record's content lay, and its hash.
    contents: Vec<Option<(Fingerprint, Digest)>>,
    by_evidence: Table,
    by_places: Table,
    end: End,
}

impl Index {
    /// Reads all of a side file of so many bytes, and believes nothing of it before its end has proved it whole.
    pub(super) fn load(reader: Reader<File>, bytes: u64) -> Result<Self> {
        Self::read(reader, bytes, MAX_RECORDS)
    }

    fn read<R: Read>(reader: Reader<R>, bytes: u64, max: usize) -> Result<Self> {
        let expected = usize::try_from(bytes / BYTES_A_RECORD).unwrap_or(max).min(max);
        let (mut evidence, mut contents) = (Vec::with_capacity(expected), Vec::with_capacity(expected));
        let end = reader.read(|trace| {
            if evidence.len() < max {
                evidence.push(trace.evidence);
                contents.push(trace.content);
            }
        })?;
        let records = evidence.len();
        let spread = Spread::of(2);
        let (by_evidence, by_places) = thread::scope(|scope| {
            let by_places = scope.spawn(|| {
                spread.seat(1).keep();
                let key = |at: usize| contents.get(at)?.map(|(places, _)| places);
                Table::new(records, key, |one, other| contents.get(one) != contents.get(other))
            });
            let by_evidence = Table::new(records, |at| *evidence.get(at)?, |_, _| false);
            let died = |_| Error::Bug("the thread that sorts places died".to_owned());
            by_places.join().map_err(died).map(|by_places| (by_evidence, by_places))
        })?;
        Ok(Self { evidence, contents, by_evidence, by_places, end })
    }

    /// The hash of a content that lay in these places.
    pub(super) fn hash_of(&self, places: &Fingerprint) -> Option<Digest> {
        let mut found = self.by_places.find(places, |at| *self.contents.get(at)?).map(|(_, digest)| digest);
        let first = found.next()?;
        // The same places twice: two names of one file, or files that claim the same blocks. When the image was
        // written to meanwhile their hashes may differ, and then neither is worth anything.
        found.all(|digest| digest == first).then_some(first)
    }

    /// The number of a record that rested on this. It is looked for around `last` first, the one that was found last: in
    /// one directory records are asked for in almost their order, and what lies close together is in the caches.
    pub(super) fn record_of(&self, evidence: &Fingerprint, last: usize) -> Option<usize> {
        let next = last.saturating_add(1);
        let near = |from: usize, to: usize| {
            let records = self.evidence.get(from..to.min(self.len()))?;
            records.iter().position(|near| near.as_ref() == Some(evidence)).map(|at| from + at)
        };
        let found = near(next, next.saturating_add(NEAR)).or_else(|| near(next.saturating_sub(NEAR), next));
        if found.is_some() {
            return found;
        }
        let found = |at: usize| Some(((*self.evidence.get(at)?)?, at));
        self.by_evidence.find(evidence, found).next().map(|(_, at)| at)
    }

    /// What was kept of a record.
    pub(super) fn trace(&self, record: usize) -> Option<Trace> {
        Some(Trace { evidence: *self.evidence.get(record)?, content: *self.contents.get(record)? })
    }

    /// How many records there are in memory.
    pub(super) fn len(&self) -> usize {
        self.evidence.len()
    }

    /// What the side file says of the manifest that it belongs to.
    pub(super) fn end(&self) -> End {
        self.end
    }

    /// Records that did not fit.
    pub(super) fn left_out(&self) -> u64 {
        self.end.records.saturating_sub(self.len() as u64)
    }
}

/// Which record has a fingerprint: an open hash table of their numbers.
struct Table {
    /// A record's number, or [`EMPTY`].
    slots: Vec<u32>,
    /// Kept secret, so that nobody can make fingerprints that share a slot.
    secret: u64,
}

/// What stands in a slot that no record has taken. Not 0: of memory that nobody wrote to yet, a look costs a page fault,
/// and the first word that is written to it another one.
const EMPTY: u32 = u32::MAX;

/// Spreads a number over its upper bits: 2^64 by the golden ratio (D. E. Knuth, "The Art of Computer Programming",
/// volume 3, 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Table {
    /// Takes all records that have a key. Of those with the same, the first is taken, and one more that is `another`.
    fn new(records: usize, key: impl Fn(usize) -> Option<Fingerprint>, another: impl Fn(usize, usize) -> bool) -> Self {
        let slots = vec![EMPTY; (records + records / 2 + 1).next_power_of_two()];
        let mut table = Self { slots, secret: RandomState::new().hash_one(GOLDEN) };
        for record in 0..records {
            let Some(wanted) = key(record) else { continue };
            let (mut at, mut taken, mut is_new) = (table.start(&wanted), 0, true);
            while let Some(other) = table.record_in(at) {
                if key(other) == Some(wanted) {
                    taken += 1;
                    is_new = taken == 1 && another(other, record);
                }
                at = (at + 1) % table.slots.len();
            }
            if is_new {
                table.slots[at] = u32::try_from(record).unwrap_or(EMPTY);
            }
        }
        table
    }

    /// What `of` says of the records that were taken with that key.
    fn find<'t, T>(
        &'t self,
        wanted: &'t Fingerprint,
        of: impl Fn(usize) -> Option<(Fingerprint, T)> + 't,
    ) -> impl Iterator<Item = (Fingerprint, T)> + 't {
        let start = self.start(wanted);
        let slots = (start..self.slots.len()).chain(0..start);
        slots.map_while(|slot| self.record_in(slot)).filter_map(of).filter(move |(key, _)| key == wanted)
    }

    /// Where the search for a key begins.
    fn start(&self, key: &Fingerprint) -> usize {
        // The length was made a power of two; a fingerprint's first bytes are as good as all of them.
        let first: u64 = key.first_chunk().map_or(0, |first| u64::from_le_bytes(*first));
        let spread = (first ^ self.secret).wrapping_mul(GOLDEN) >> 32;
        usize::try_from(spread).unwrap_or(0) & (self.slots.len() - 1)
    }

    fn record_in(&self, slot: usize) -> Option<usize> {
        let record = self.slots[slot];
        usize::try_from(record).ok().filter(|_| record != EMPTY)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            layout::Layout,
            side_file::{SideHeader, Writer},
        },
        *,
    };

    fn index(traces: &[Trace], max: usize) -> Index {
        let header = SideHeader::new("scan", Layout { disks: Vec::new(), volumes: Vec::new() });
        let mut writer = Writer::new(Vec::new(), &header).unwrap();
        traces.iter().for_each(|trace| writer.push_trace(trace).unwrap());
        let file = writer.finish(&[0; 32]).unwrap();
        Index::read(Reader::new(file.as_slice()).unwrap().1, 100, max).unwrap()
    }

    fn key(number: u32, what: u8) -> Fingerprint {
        let mut key = [what; 20];
        key[..4].copy_from_slice(&number.to_le_bytes());
        key
    }

    #[test]
    fn every_record_is_found_by_both_keys_and_no_other() {
        for count in [0_u32, 1, 3, 1000] {
            let trace = |number: u32| Trace {
                evidence: (!number.is_multiple_of(3)).then_some(key(number, 1)),
                content: (!number.is_multiple_of(2)).then_some((key(number, 2), [number.to_le_bytes()[0]; 32])),
            };
            let index = index(&(0..count).map(trace).collect::<Vec<_>>(), usize::MAX);
            for number in 0..count + 100 {
                let there = number < count;
                let expected = (there && !number.is_multiple_of(3)).then_some(number as usize);
                for last in [0, number.saturating_sub(1) as usize, number as usize, usize::MAX] {
                    assert_eq!(index.record_of(&key(number, 1), last), expected, "after {last}");
                }
                let digest = [number.to_le_bytes()[0]; 32];
                assert_eq!(index.hash_of(&key(number, 2)), (there && !number.is_multiple_of(2)).then_some(digest));
                assert_eq!(index.record_of(&key(number, 2), 0), None);
            }
        }
    }

    #[test]
    fn places_that_two_hashes_were_made_of_prove_nothing() {
        let content = |places: u32, digest: u8| Trace { evidence: None, content: Some((key(places, 2), [digest; 32])) };
        let index = index(&[content(1, 1), content(2, 2), content(1, 1), content(2, 3), content(3, 3)], usize::MAX);
        assert_eq!([1, 2, 3].map(|places| index.hash_of(&key(places, 2))), [Some([1; 32]), None, Some([3; 32])]);
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_counted() {
        let trace = |number: u32| Trace { evidence: Some(key(number, 1)), content: None };
        let index = index(&(0..10).map(trace).collect::<Vec<_>>(), 4);
        assert_eq!((index.left_out(), index.len()), (6, 4));
        assert_eq!([3, 4].map(|number| index.record_of(&key(number, 1), 0)), [Some(3), None]);
    }
}
