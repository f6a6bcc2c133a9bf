//! A machine's part of the state, locked: what is known of it, and what a killed run has left.

use std::collections::BTreeSet;
use std::fs::File;

use jiff::Timestamp;

use super::directory::Directory;
use super::lock::Lock;
use super::state::{CARRIED, CHANGES, EVENTS, EXTENTS, LATEST, MACHINES, MANIFEST, RECORD, SCANS, TEMPORARY};
use super::state::{partition, read_latest, read_record};
use super::{MachineName, Outcome, Publish, ScanId, ScanRecord, ScanRef, State};
use crate::error::{Error, Result};

/// What to do about a machine's newest complete scan when it is damaged: a new baseline is a person's decision.
pub const RECOVERY: &str = "restore it from a backup, or move the machine's folder away to begin with a new baseline";

/// A machine whose lock is held until this is dropped.
pub struct Machine<'s> {
    state: &'s State,
    name: MachineName,
    directory: Directory,
    latest: Option<ScanId>,
    /// The newest scan on record, where the machine begins anew: its folder was moved away.
    before: Option<ScanId>,
    taken_back: Option<ScanId>,
    /// A scan was begun to be put in place, and that is not done.
    unfinished: bool,
    _lock: Lock,
}

impl<'s> Machine<'s> {
    pub(super) fn lock(state: &'s State, name: &MachineName, now: Timestamp) -> Result<Self> {
        let directory = state.root().child_or_create(MACHINES)?.child_or_create(name.as_str())?;
        let lock = Lock::take(&directory, name, now)?;
        let latest = read_latest(&directory)?;
        let (name, before, taken_back) = (name.clone(), None, None);
        let mut machine = Self { state, name, directory, latest, before, taken_back, unfinished: false, _lock: lock };
        machine.taken_back = machine.take_back()?;
        Ok(machine)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &MachineName {
        &self.name
    }

    /// Its newest complete scan.
    #[must_use]
    pub fn latest(&self) -> Option<ScanId> {
        self.latest
    }

    /// When that started.
    #[must_use]
    pub fn latest_started(&self) -> Option<Timestamp> {
        self.latest.map(|scan_id| self.state.started(&self.scan(scan_id)))
    }

    /// The unfinished scan of a killed run of which anything was taken back when the lock was taken; worth a note.
    #[must_use]
    pub fn taken_back(&self) -> Option<ScanId> {
        self.taken_back
    }

    /// The newest complete scan on record, where its manifest and all before are gone: the next scan is a new baseline.
    #[must_use]
    pub fn begins_anew_after(&self) -> Option<ScanId> {
        self.before
    }

    /// The record of its newest complete scan.
    ///
    /// # Errors
    /// [`Error::State`] when there should be one, and it is missing or damaged, or the carried records that it counts
    /// are missing.
    pub fn latest_record(&self) -> Result<Option<ScanRecord>> {
        self.latest.map(|scan_id| self.state.latest_record(&self.scan(scan_id))).transpose()
    }

    /// The manifest of its newest complete scan.
    ///
    /// # Errors
    /// [`Error::State`] when there should be one, and it is missing.
    pub fn latest_manifest(&self) -> Result<Option<File>> {
        self.latest.map(|scan_id| self.state.latest_manifest(&self.scan(scan_id))).transpose()
    }

    /// The last good records that its newest complete scan carries, if any.
    ///
    /// # Errors
    /// [`Error::State`] when they cannot be opened.
    pub fn latest_carried(&self) -> Result<Option<File>> {
        match self.latest {
            Some(scan_id) => self.state.carried(&self.scan(scan_id)),
            None => Ok(None),
        }
    }

    /// Where the contents of its newest complete scan are on disk, if that is kept.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be opened.
    pub fn latest_extents(&self) -> Result<Option<File>> {
        match self.latest {
            Some(scan_id) => self.state.extents(&self.scan(scan_id)),
            None => Ok(None),
        }
    }

    /// Begins to write down a scan that started at `start`. Its id is that second, or the first one after it that
    /// is greater than those of all complete scans and has no scan yet.
    ///
    /// # Errors
    /// [`Error::State`] when the state cannot be read.
    pub fn begin(&mut self, start: Timestamp) -> Result<Publish<'_, 's>> {
        if self.unfinished {
            self.taken_back = self.take_back()?;
            self.unfinished = false;
        }
        let mut scan_id = ScanId::at(start);
        if let Some(newest) = self.latest.max(self.before) {
            scan_id = scan_id.max(newest.next());
        }
        while self.state.record(&self.scan(scan_id))?.is_some() {
            scan_id = scan_id.next();
        }
        Ok(Publish::new(self, scan_id))
    }

    pub(super) fn state(&self) -> &'s State {
        self.state
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(super) fn scan(&self, scan_id: ScanId) -> ScanRef {
        ScanRef { machine: self.name.clone(), scan_id }
    }

    /// Notes that from here on there may be files that are newer than `latest`.
    pub(super) fn set_unfinished(&mut self) {
        self.unfinished = true;
    }

    /// Names a scan as the newest complete one. From here on the scan has happened.
    pub(super) fn set_latest(&mut self, scan_id: ScanId) -> Result<()> {
        self.directory.put(LATEST, &format!(".{LATEST}{TEMPORARY}"), format!("{scan_id}\n").as_bytes())?;
        self.latest = Some(scan_id);
        self.unfinished = false;
        Ok(())
    }

    /// Removes the extents of all scans but the newest: nothing asks for them any more.
    pub(super) fn prune_extents(&self) -> Result<()> {
        for name in self.directory.names()? {
            let scan_id = name.strip_suffix(EXTENTS).and_then(|id| id.parse::<ScanId>().ok());
            if scan_id.is_some_and(|scan_id| Some(scan_id) != self.latest) {
                self.directory.remove(&name)?;
            }
        }
        Ok(())
    }

    fn wrong_latest(&self, what: &str) -> Error {
        Error::State(format!("state: {} {what}", self.directory.path().join(LATEST).display()))
    }

    /// Removes what a killed run has left: temporary files, and the scan that is newer than `latest`. A run can leave
    /// no more than one scan behind, since each begins with this; two mean that `latest` itself is [`outdated`],
    /// and then nothing is removed. The manifest is put in place first and removed last: events and records without
    /// it are no run's leavings, but history of a machine whose folder was moved away.
    fn take_back(&mut self) -> Result<Option<ScanId>> {
        let is_newer = |scan_id: ScanId| self.latest.is_none_or(|latest| scan_id > latest);
        let own = |name: &str| {
            [MANIFEST, CARRIED, EXTENTS].iter().find_map(|ext| name.strip_suffix(ext)?.parse::<ScanId>().ok())
        };
        let names = self.directory.names()?;
        let has_manifest = |scan_id: ScanId| names.binary_search(&format!("{scan_id}{MANIFEST}")).is_ok();
        let mut leavings = Leavings::default();
        for name in names.iter().cloned() {
            if let Some(temporary) = name.strip_prefix('.').and_then(|name| name.strip_suffix(TEMPORARY)) {
                leavings.unwritten = leavings.unwritten.max(own(temporary));
                leavings.temporary.push((String::new(), name));
            } else if let Some(scan_id) = own(&name).filter(|scan_id| is_newer(*scan_id)) {
                leavings.scans.insert(scan_id);
                leavings.files.push((String::new(), name));
            }
        }
        for (folder, extension) in [(CHANGES, EVENTS), (SCANS, RECORD)] {
            let from = self.latest.map(partition);
            self.state.each_partition(folder, from.as_deref(), &mut |day| {
                let place = day.path().strip_prefix(self.state.root().path()).unwrap_or(day.path());
                let place = place.to_string_lossy().into_owned();
                for name in day.names()? {
                    if let Some(scan) = ScanRef::of_temporary_name(&name, extension) {
                        if scan.machine == self.name {
                            leavings.unwritten = leavings.unwritten.max(Some(scan.scan_id));
                            leavings.temporary.push((place.clone(), name));
                        }
                    } else if let Some(scan) = ScanRef::of_file_name(&name, extension)
                        && scan.machine == self.name
                        && is_newer(scan.scan_id)
                    {
                        if has_manifest(scan.scan_id) {
                            leavings.scans.insert(scan.scan_id);
                            leavings.files.push((place.clone(), name));
                        } else if folder == CHANGES || is_complete(day, &scan) {
                            leavings.history.insert(scan.scan_id);
                        }
                    }
                }
                Ok(())
            })?;
        }
        if let Some(what) = outdated(self.latest, &leavings.scans) {
            return Err(self.wrong_latest(&what));
        }
        if let (Some(latest), false) = (self.latest, leavings.history.is_empty()) {
            let ids = listed(&leavings.history);
            return Err(self.wrong_latest(&format!(
                "names {latest}, and {ids} on record are newer and have no manifest: the folder is from an old copy; \
                 restore a newer one, or move the machine's folder away to begin with a new baseline"
            )));
        }
        self.before = leavings.history.last().copied();
        // The record goes first: it is what says that the rest is there.
        for (place, name) in leavings.temporary.iter().chain(leavings.files.iter().rev()) {
            self.remove(place, name)?;
        }
        Ok(leavings.scans.first().copied().or(leavings.unwritten))
    }

    fn remove(&self, place: &str, name: &str) -> Result<()> {
        if place.is_empty() {
            self.directory.remove(name)?;
            return self.directory.sync();
        }
        let Some((folder, day)) = place.split_once('/') else { return Ok(()) };
        if let Some(folder) = self.state.root().child(folder)?
            && let Some(day) = folder.child(day)?
        {
            day.remove(name)?;
            day.sync()?;
        }
        Ok(())
    }
}

/// What is wrong with `latest` when these scans are newer than the one that it names: a run can leave no more than one
/// scan behind.
pub(super) fn outdated(latest: Option<ScanId>, newer: &BTreeSet<ScanId>) -> Option<String> {
    if newer.len() < 2 {
        return None;
    }
    let ids = listed(newer);
    let advice = "write the id of the newest complete scan into it";
    Some(match latest {
        Some(latest) => {
            format!("names {latest}, and {ids} are newer, so that file is damaged or from an old copy; {advice}")
        }
        None => format!("is missing, and the scans {ids} are there; {advice}"),
    })
}

fn listed(scans: &BTreeSet<ScanId>) -> String {
    let mut ids = scans.iter().take(4).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if scans.len() > 4 {
        ids.push_str(", …");
    }
    ids
}

/// What a killed run has left: the place below the state (empty: the machine's own directory) and the name.
#[derive(Default)]
struct Leavings {
    temporary: Vec<(String, String)>,
    files: Vec<(String, String)>,
    /// Scans of which anything was put in place.
    scans: BTreeSet<ScanId>,
    /// Scans that are no leavings, though newer than `latest`.
    history: BTreeSet<ScanId>,
    /// The newest scan that left a temporary file.
    unwritten: Option<ScanId>,
}

/// Whether a scan's record says that it ran to its end; of a damaged one, which `verify` lists, nobody knows.
fn is_complete(day: &Directory, scan: &ScanRef) -> bool {
    matches!(read_record(day, scan), Ok(Some(record)) if record.outcome == Outcome::Complete)
}

/// The error of a newest complete scan of which something is not there.
pub(super) fn missing(scan: &ScanRef, what: &str) -> Error {
    let ScanRef { machine, scan_id } = scan;
    Error::State(format!("state: the {what} of {machine} {scan_id}, the newest complete scan, is missing; {RECOVERY}"))
}
