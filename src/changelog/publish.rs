//! How a scan enters the state: written under temporary names, then put in place one by one, `latest` last. A run
//! that dies anywhere in between has changed nothing that the next run does not take back.

use std::fs::File;

use super::directory::Directory;
use super::file_proof::Proving;
use super::state::{CARRIED, CHANGES, EVENTS, EXTENTS, MANIFEST, RECORD, SCANS, TEMPORARY};
use super::{Event, EventFile, EventWriter, FileProof, Machine, Outcome, ScanId, ScanRecord, ScanRef, Tally};
use crate::error::{Error, Result};

/// A scan that is being written down. Dropped without [`Publish::commit`], it leaves nothing behind.
pub struct Publish<'m, 's> {
    machine: &'m mut Machine<'s>,
    scan_id: ScanId,
    manifest: Option<File>,
    proof: Option<FileProof>,
    carried: Option<File>,
    extents: Option<File>,
    events: Option<EventWriter>,
    tally: Tally,
}

impl<'m, 's> Publish<'m, 's> {
    pub(super) fn new(machine: &'m mut Machine<'s>, scan_id: ScanId) -> Self {
        let (manifest, proof, carried, extents, events) = (None, None, None, None, None);
        Self { machine, scan_id, manifest, proof, carried, extents, events, tally: Tally::default() }
    }

    /// The scan.
    #[must_use]
    pub fn scan_id(&self) -> ScanId {
        self.scan_id
    }

    /// The machine, with what it was at its newest complete scan.
    #[must_use]
    pub fn machine(&self) -> &Machine<'s> {
        self.machine
    }

    /// The file into which the manifest is to be written; its proof is to be given to [`Publish::prove`].
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be made.
    pub fn manifest(&mut self) -> Result<Proving<File>> {
        Self::temporary(self.machine, self.scan_id, &mut self.manifest, MANIFEST).map(Proving::new)
    }

    /// Takes the proof of the manifest that was written.
    pub fn prove(&mut self, proof: FileProof) {
        self.proof = Some(proof);
    }

    /// The file into which the last good records of what is lost are to be written, if there are any.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be made.
    pub fn carried(&mut self) -> Result<File> {
        Self::temporary(self.machine, self.scan_id, &mut self.carried, CARRIED)
    }

    /// The file into which it is to be written where the contents are on disk, for the next scan.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be made.
    pub fn extents(&mut self) -> Result<File> {
        Self::temporary(self.machine, self.scan_id, &mut self.extents, EXTENTS)
    }

    fn temporary(machine: &Machine<'s>, scan_id: ScanId, slot: &mut Option<File>, extension: &str) -> Result<File> {
        let file = match slot {
            Some(file) => file,
            None => slot.insert(machine.directory().create(&temporary_name(scan_id, extension))?),
        };
        file.try_clone().map_err(|error| Error::State(format!("state: {}: {error}", machine.name())))
    }

    /// Writes an event.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be written.
    pub fn event(&mut self, event: Event) -> Result<()> {
        if self.events.is_none() {
            let scan = self.scan();
            let file = self.day(CHANGES)?.create(&scan.temporary_name(EVENTS))?;
            self.events = Some(EventWriter::new(file, scan.events_label()));
        }
        match &mut self.events {
            Some(events) => events.write(event),
            None => Ok(()),
        }
    }

    /// How many events were written.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        self.events.as_ref().map_or(&self.tally, EventWriter::tally)
    }

    /// Puts everything in place: the manifest, the carried records, the extents, the events, the record, and `latest`. The
    /// record's outcome, previous scan, counts of events and proofs of manifest and events are set here. Returns the record as it was written,
    /// and the events, if there are any.
    ///
    /// # Errors
    /// [`Error::State`] when something cannot be written; then the next run takes back what was.
    pub fn commit(mut self, mut record: ScanRecord) -> Result<(ScanRecord, Option<EventFile>)> {
        let proved = self.proof.take().and_then(|proof| Some((self.manifest.take()?, proof)));
        let Some((manifest, proof)) = proved else {
            return Err(Error::Bug("a scan is to be written down without a manifest".into()));
        };
        self.check(&record)?;
        record.outcome = Outcome::Complete;
        record.previous = self.machine.latest();
        record.tally(self.tally());
        record.manifest = Some(proof);

        self.machine.set_unfinished();
        let settle = |file: &File, extension: &str| {
            let (temporary, name) = (temporary_name(self.scan_id, extension), format!("{}{extension}", self.scan_id));
            self.machine.directory().settle(file, &temporary, &name)
        };
        settle(&manifest, MANIFEST)?;
        if let Some(carried) = &self.carried {
            settle(carried, CARRIED)?;
        }
        if let Some(extents) = &self.extents {
            settle(extents, EXTENTS)?;
        }
        let events = match self.events.take() {
            Some(events) => {
                let (events, scan) = (events.finish()?.0, self.scan());
                let (temporary, name) = (scan.temporary_name(EVENTS), scan.file_name(EVENTS));
                self.day(CHANGES)?.settle(events.file(), &temporary, &name)?;
                let unread = |error| Error::State(format!("events: read {}: {error}", events.label()));
                record.events = Some(FileProof::of(events.file()).map_err(unread)?);
                Some(events)
            }
            None => None,
        };
        self.put_record(&record)?;
        self.machine.set_latest(self.scan_id)?;
        // The scan has happened; old extents that cannot be removed are in nobody's way.
        let _ = self.machine.prune_extents();
        Ok((record, events))
    }

    /// Writes down that the scan failed, and nothing else.
    ///
    /// # Errors
    /// [`Error::State`] when that cannot be written.
    pub fn fail(self, mut record: ScanRecord) -> Result<ScanRecord> {
        self.check(&record)?;
        record.outcome = Outcome::Failed;
        record.previous = self.machine.latest();
        (record.manifest, record.events) = (None, None);
        record.tally(&Tally::default());
        self.put_record(&record)?;
        Ok(record)
    }

    fn check(&self, record: &ScanRecord) -> Result<()> {
        if record.scan_id == self.scan_id && record.machine == *self.machine.name() {
            return Ok(());
        }
        Err(Error::Bug(format!("a record of {} is to be written down for {}", record.scan_id, self.scan_id)))
    }

    fn put_record(&self, record: &ScanRecord) -> Result<()> {
        let bytes = record.sealed().map_err(|error| Error::Bug(format!("a scan record: {error}")))?;
        let scan = self.scan();
        self.day(SCANS)?.put(&scan.file_name(RECORD), &scan.temporary_name(RECORD), &bytes)
    }

    fn scan(&self) -> ScanRef {
        self.machine.scan(self.scan_id)
    }

    fn day(&self, folder: &str) -> Result<Directory> {
        self.machine.state().root().child_or_create(folder)?.child_or_create(&self.scan().partition())
    }
}

fn temporary_name(scan_id: ScanId, extension: &str) -> String {
    format!(".{scan_id}{extension}{TEMPORARY}")
}

impl Drop for Publish<'_, '_> {
    /// Temporary files of a scan that was given up are removed at once; what cannot be removed now is taken back
    /// by the next run. After a commit there are none.
    fn drop(&mut self) {
        for (there, extension) in
            [(self.manifest.is_some(), MANIFEST), (self.carried.is_some(), CARRIED), (self.extents.is_some(), EXTENTS)]
        {
            if there {
                let _ = self.machine.directory().remove(&temporary_name(self.scan_id, extension));
            }
        }
        if self.events.is_some()
            && let Ok(day) = self.day(CHANGES)
        {
            let _ = day.remove(&self.scan().temporary_name(EVENTS));
        }
    }
}
