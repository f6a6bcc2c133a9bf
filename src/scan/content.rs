//! A worker's way from a stream to its hash: remembered for a file of several names, taken over from the scan before
//! where that is proved to be the same, else read.

use std::sync::{PoisonError, atomic::Ordering};

use super::{
    hash::{self, Hashed, Unhashed},
    reuse::{Digest, Fingerprint, Footprint, Trace},
    walk::{FileTask, Records},
    work::{FREE, Known, Linked, Work},
    worker::Worker,
};
use crate::{
    error::{Error, Result},
    fs::{NodeId, Stream},
    manifest::{Attribute, Record, Value, attribute::Part},
    text,
};

/// Hashes of files with several names that are remembered, so that they are read once.
const LINKED_HASHES: usize = 1 << 16;

/// What hashing a stream came to, for the next scan.
#[derive(Default)]
pub(super) struct Outcome {
    /// The places of its bytes and its hash; absent where they have none.
    pub(super) content: Option<(Fingerprint, Digest)>,
    /// Whether all of it was read, and the next scan can tell whether any of it changed.
    pub(super) holds: bool,
    /// What other names of the file need not find out.
    known: Option<Known>,
}

impl<R: Records> Worker<'_, '_, R> {
    /// Completes a file's record with its hash. A file of several names is read once, as long as it is remembered.
    pub(super) fn hash(&mut self, file: FileTask) -> Result<()> {
        let FileTask { volume, node, links, mut record, evidence, hashed } = file;
        let linked = (links > 1).then(|| (volume, node.clone()));
        if let Some(known) = linked.as_ref().and_then(|linked| self.remembered(linked)) {
            self.walk.works.count_name(known.work);
            record.set(Attribute::Sha256, Value::Text(text::hex(&known.sha256)));
            return self.walk.emit(self.sink, record, Trace::default());
        }
        let outcome = self.content(volume, &node, &Stream::Content, &mut record, hashed, linked.as_ref())?;
        if let (Some(linked), Some(known)) = (linked, outcome.known) {
            let mut linked_hashes = self.walk.linked.lock().unwrap_or_else(PoisonError::into_inner);
            if linked_hashes.len() >= LINKED_HASHES {
                linked_hashes.clear();
            }
            linked_hashes.insert(linked, known);
        }
        let trace = Trace { evidence: evidence.filter(|_| outcome.holds), content: outcome.content };
        self.walk.emit(self.sink, record, trace)
    }

    /// What a file of several names was hashed to.
    fn remembered(&self, linked: &Linked) -> Option<Known> {
        let hashes = self.walk.linked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hashes.get(linked).copied();
        drop(hashes);
        known.or_else(|| self.walk.works.known(linked))
    }

    /// Hashes a stream into its record, unless it was `hashed` already; what cannot be read is a fault beside the record,
    /// which then has no hash. `linked` is the file, where others of its names may be asked for.
    pub(super) fn content(
        &mut self,
        volume: usize,
        node: &NodeId,
        which: &Stream,
        record: &mut Record,
        hashed: Option<Hashed>,
        linked: Option<&Linked>,
    ) -> Result<Outcome> {
        let walk = self.walk;
        let size = record.number(Attribute::Size);
        let (footprint, work) = self.places(volume, node, which, size)?;
        let known = footprint.as_ref().and_then(|footprint| self.known(footprint, work));
        let sampled = known.is_some_and(|_| walk.samples(&record.path, &record.name));
        let hashed = match (hashed, known, &footprint) {
            (Some(hashed), ..) => Ok(hashed),
            (None, Some(sha256), Some(footprint)) if !sampled => {
                walk.progress.taken_over.fetch_add(footprint.len(), Ordering::Relaxed);
                Ok(Hashed { sha256, len: footprint.len() })
            }
            _ => self.read(volume, node, which, size, work)?,
        };
        // What is taken over counts as what is hashed, or a rescan would hash more files than a full scan.
        let work = match &hashed {
            Err(Unhashed { is_refused: true, .. }) => Work::default(),
            _ => work.unwrap_or_else(|| unplaced(size)),
        };
        let linked = linked.zip(hashed.as_ref().ok()).map(|(linked, hashed)| (linked, hashed.sha256));
        walk.works.count(work, linked);
        let hashed = match hashed {
            _ if walk.works.is_lost() => return Ok(Outcome::default()),
            Ok(hashed) => hashed,
            Err(Unhashed { why, .. }) => {
                let (path, name) = (record.path.clone(), record.name.clone());
                self.fault(&path, &name, Part::Content, why.into(), volume)?;
                return Ok(Outcome::default());
            }
        };
        if let Some(known) = known.filter(|known| *known != hashed.sha256) {
            return Err(contradiction(record, &known, &hashed.sha256));
        }
        record.set(Attribute::Sha256, Value::Text(text::hex(&hashed.sha256)));
        record.set(Attribute::Size, Value::Number(hashed.len));
        let footprint = footprint.filter(|footprint| footprint.len() == hashed.len);
        let content = footprint.map(|footprint| (footprint.fingerprint(), hashed.sha256));
        let known = Known { sha256: hashed.sha256, work };
        Ok(Outcome { content, holds: content.is_some() || hashed.len == 0, known: Some(known) })
    }

    /// Reads and hashes a stream of a file that is said to have `size` bytes; `work` where its places are known.
    fn read(
        &mut self,
        volume: usize,
        node: &NodeId,
        which: &Stream,
        size: Option<u64>,
        work: Option<Work>,
    ) -> Result<Result<Hashed, Unhashed>> {
        let works = &self.walk.works;
        let limits = works.limits();
        if let Err(why) = limits.check(work.unwrap_or_else(|| unplaced(size))) {
            return Ok(Err(Unhashed::refused(why)));
        }
        if works.is_lost() {
            return Ok(Ok(Hashed { sha256: [0; 32], len: 0 }));
        }
        let session = self.sessions.of(volume)?;
        // Holes that lie apart would be hashed up to the limit in each of any number of files, and in vain.
        if work.is_none()
            && (works.is_lowered() || size.is_none_or(|size| !limits.allow_any(size)))
            && let Err(why) = hash::check(session, node, which, limits)
        {
            return Ok(Err(Unhashed::refused(why)));
        }
        Ok(hash::stream(session, node, which, limits, &self.walk.progress.bytes))
    }

    /// Where a content's bytes are, when that is asked for and known: what has none is read, now and the next time. And
    /// how many they are, unless nobody can tell.
    fn places(
        &mut self,
        volume: usize,
        node: &NodeId,
        which: &Stream,
        size: Option<u64>,
    ) -> Result<(Option<Footprint>, Option<Work>)> {
        let place = self.walk.reuse.and_then(|_| self.walk.places(volume));
        if place.is_none() && size.is_some_and(|size| size <= FREE) {
            return Ok((None, Some(Work::default())));
        }
        let Ok(extents) = self.sessions.of(volume)?.extents(node, which) else { return Ok((None, None)) };
        let footprint = place.and_then(|place| Footprint::new(&extents, |offset| place.disk_place(offset)));
        Ok((footprint, Some(Work::of(&extents))))
    }

    /// The hash that the scan before made of the same bytes. What a scan would not hash is left to it.
    fn known(&self, footprint: &Footprint, work: Option<Work>) -> Option<Digest> {
        let previous = self.walk.reuse.and_then(|reuse| reuse.previous.as_ref())?;
        work.is_some_and(|work| self.walk.works.limits().allow(work)).then(|| previous.hash_of(footprint))?
    }
}

/// What counts of a content of `size` bytes whose places are unknown, whether any of it is read or not: holes that a
/// reader meets are part of that.
fn unplaced(size: Option<u64>) -> Work {
    Work { holes: 0, stored: size.unwrap_or_default() }
}

/// What was taken over is not what is there: the list of changes is wrong, and nothing that rests on it holds.
fn contradiction(record: &Record, known: &Digest, found: &Digest) -> Error {
    let path = String::from_utf8_lossy(&record.path);
    let stream = if record.name.is_empty() { String::new() } else { format!(":{}", record.name.escape_ascii()) };
    Error::State(format!(
        "rescan: {path}{stream}: the scan before has SHA-256 {} and its blocks are said not to have changed, read {}: \
         the changed ranges are wrong; scan with --no-reuse",
        text::hex(known),
        text::hex(found)
    ))
}
