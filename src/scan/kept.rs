//! A worker's short way: an entity of which nothing changed keeps its line of the manifest before, and no record is
//! made of it. All metadata is read for that as for a record; it is compared instead of decoded.

use std::{
    collections::btree_map::Entry::{Occupied, Vacant},
    sync::atomic::Ordering,
};

use super::{
    entity, hash,
    reuse::{Basis, Fingerprint, MAX_PIECES, Previous, on_disks},
    walk::Records,
    work::Work,
    worker::{BIG_FILE, Found, Worker},
};
use crate::{
    error::Result,
    fs::{self, NodeId, Stream},
    machine::Volume,
};

/// What the entries of a directory have in common that evidence is gathered of.
pub(super) struct Within<'m> {
    volume: usize,
    on: &'m Volume,
    basis: Basis,
}

impl<'m, R: Records> Worker<'_, 'm, R> {
    /// For the entries of a directory. `None` where nothing is kept for a next scan, or nothing can be. `dir` ends with a
    /// separator.
    pub(super) fn within(&mut self, volume: usize, dir: &[u8]) -> Result<Option<Within<'m>>> {
        let (Some(_), Some(on)) = (self.walk.reuse, self.walk.places(volume)) else { return Ok(None) };
        let basis = match self.bases.entry(volume) {
            Occupied(basis) => basis.into_mut(),
            Vacant(room) => {
                let geometry = self.sessions.of(volume)?.geometry();
                room.insert(Basis::new(self.walk.volume_id(volume), &geometry))
            }
        };
        Ok(Some(Within { volume, on, basis: basis.within(dir) }))
    }

    /// What stands for all that the entity's record rests on, and its kind; the evidence itself stays at hand. `None`
    /// where there is no evidence.
    pub(super) fn evidence(
        &mut self,
        within: &Within<'m>,
        node: &NodeId,
        name: &[u8],
    ) -> Result<Option<(Fingerprint, fs::Kind)>> {
        let Within { volume, on, basis } = within;
        let Some(kind) = self.sessions.of(*volume)?.evidence(node, &mut self.evidence) else { return Ok(None) };
        let places = &mut self.places;
        places.clear();
        let mut stored = self.evidence.stored.iter().map(|range| (range.start, range.end.saturating_sub(range.start)));
        let found = stored.try_for_each(|(start, len)| {
            on_disks(
                start,
                len,
                |offset| on.disk_place(offset),
                |place| {
                    places.push(place);
                    (places.len() <= MAX_PIECES).then_some(())
                },
            )
        });
        Ok(found.map(|()| (basis.fingerprint(name, &self.evidence.bytes, places), kind)))
    }

    /// Takes over the line of the entity whose evidence is at hand, where that holds.
    pub(super) fn keep(&mut self, found: &Found<'_>) -> Result<bool> {
        let walk = self.walk;
        self.hashed = None;
        let (Some(previous), Some((evidence, kind))) = (walk.lines, found.evidence) else { return Ok(false) };
        let Some(record) = previous.record_of(&evidence, self.last_record) else { return Ok(false) };
        self.last_record = record;
        if walk.samples(found.path, b"") {
            return Ok(false);
        }
        // What a scan would not hash is left to it, and nothing is hashed of what is only counted.
        let holes = self.evidence.zeros();
        let work = Work { holes, stored: self.evidence.size.saturating_sub(holes) };
        if !walk.works.limits().allow(work) {
            return Ok(false);
        }
        let holds = previous.holds(|| self.places.iter().copied());
        if !holds && walk.works.is_lost() {
            return Ok(false);
        }
        if !(holds || self.is_same(previous, record, found)?) || !previous.take(record) {
            return Ok(false);
        }
        walk.works.count(work, None);
        self.kept.0 += 1;
        if holds {
            self.kept.1 = self.kept.1.saturating_add(self.evidence.size);
        }
        self.sink.kept(entity::kind(kind));
        Ok(true)
    }

    /// Counts what was taken over: all workers count in one place, so they do it once for many.
    pub(super) fn count_kept(&mut self) -> Result<()> {
        let (lines, bytes) = std::mem::take(&mut self.kept);
        self.walk.progress.taken_over.fetch_add(bytes, Ordering::Relaxed);
        self.walk.count(lines)
    }

    /// Whether a content that may have changed is what it was: a list of changes names whole blocks, and neighbours lie
    /// in them. What was read is at hand for the record that is made otherwise.
    fn is_same(&mut self, previous: &Previous, record: usize, found: &Found<'_>) -> Result<bool> {
        let walk = self.walk;
        let known = previous.trace(record).and_then(|trace| trace.content);
        let Some((_, digest)) = known.filter(|_| self.evidence.size <= BIG_FILE) else { return Ok(false) };
        let session = self.sessions.of(found.volume)?;
        let (limits, bytes) = (walk.works.limits(), &walk.progress.bytes);
        self.hashed = hash::stream(session, found.node, &Stream::Content, limits, bytes).ok();
        Ok(self.hashed.as_ref().is_some_and(|hashed| (hashed.sha256, hashed.len) == (digest, self.evidence.size)))
    }
}
