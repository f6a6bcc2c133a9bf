//! The state directory: which machines and scans it holds.

use std::fs::File;
use std::path::Path;

use jiff::Timestamp;

use super::directory::Directory;
use super::machine::{RECOVERY, missing};
use super::{EventFile, Machine, MachineName, ScanId, ScanRecord};
use crate::error::{Error, Result};

pub(super) const MACHINES: &str = "machines";
pub(super) const CHANGES: &str = "changes";
pub(super) const SCANS: &str = "scans";
pub(super) const LATEST: &str = "latest";
pub(super) const MANIFEST: &str = ".manifest.zst";
pub(super) const CARRIED: &str = ".carried.zst";
pub(super) const EXTENTS: &str = ".extents.zst";
pub(super) const EVENTS: &str = ".ndjson";
pub(super) const RECORD: &str = ".json";
pub(super) const TEMPORARY: &str = ".tmp";

const MAX_LATEST: u64 = 64;
pub(super) const MAX_RECORD: u64 = 16 * 1024 * 1024;

/// The state directory.
pub struct State {
    root: Directory,
}

/// A scan that the state knows of, by the names of its files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScanRef {
    /// The scan.
    pub scan_id: ScanId,
    /// The machine.
    pub machine: MachineName,
}

impl ScanRef {
    pub(super) fn partition(&self) -> String {
        partition(self.scan_id)
    }

    pub(super) fn file_name(&self, extension: &str) -> String {
        format!("{}_{}{extension}", self.machine, self.scan_id)
    }

    /// Where its events are, below the state directory.
    pub(super) fn events_label(&self) -> String {
        format!("{CHANGES}/{}/{}", self.partition(), self.file_name(EVENTS))
    }

    /// Where its record is, below the state directory.
    pub(super) fn record_label(&self) -> String {
        format!("{SCANS}/{}/{}", self.partition(), self.file_name(RECORD))
    }

    pub(super) fn temporary_name(&self, extension: &str) -> String {
        format!(".{}{TEMPORARY}", self.file_name(extension))
    }

    /// The scan of a file name `<machine>_<scan-id><extension>`.
    pub(super) fn of_file_name(name: &str, extension: &str) -> Option<Self> {
        let (machine, scan_id) = name.strip_suffix(extension)?.rsplit_once('_')?;
        Some(Self { machine: MachineName::of_folder(machine)?, scan_id: scan_id.parse().ok()? })
    }

    /// The scan of a temporary file's name.
    pub(super) fn of_temporary_name(name: &str, extension: &str) -> Option<Self> {
        Self::of_file_name(name.strip_prefix('.')?.strip_suffix(TEMPORARY)?, extension)
    }
}

pub(super) fn partition(scan_id: ScanId) -> String {
    format!("date={}", scan_id.date())
}

impl State {
    /// Opens a state directory that is there.
    ///
    /// # Errors
    /// [`Error::State`] when there is none, or it is not a state directory.
    pub fn open(path: &Path) -> Result<Self> {
        let root = Directory::open(path)?;
        if root.child(MACHINES)?.is_none() {
            return Err(Error::State(format!(
                "{} is not a state directory: it has no folder {MACHINES}",
                path.display()
            )));
        }
        Ok(Self { root })
    }

    /// Opens a state directory, and makes it where there is none.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be made, or is a directory with other things in it.
    pub fn create(path: &Path) -> Result<Self> {
        let root = Directory::open_or_create(path)?;
        if !is_made(&root, path)? {
            root.child_or_create(MACHINES)?;
        }
        Ok(Self { root })
    }

    /// The state directory that [`State::create`] would open; `None` where it would make one.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be opened, or is a directory with other things in it.
    pub fn find(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let root = Directory::open(path)?;
        Ok(is_made(&root, path)?.then_some(Self { root }))
    }

    pub(super) fn root(&self) -> &Directory {
        &self.root
    }

    /// Takes a machine's lock, takes back what a killed run has left, and hands out the machine. `now` is shown to
    /// whoever finds the lock taken.
    ///
    /// # Errors
    /// [`Error::Busy`] when another run has the lock; [`Error::State`] when the state is damaged.
    pub fn machine(&self, name: &MachineName, now: Timestamp) -> Result<Machine<'_>> {
        Machine::lock(self, name, now)
    }

    /// The machines, sorted by name.
    ///
    /// # Errors
    /// [`Error::State`] when the state cannot be read.
    pub fn machines(&self) -> Result<Vec<MachineName>> {
        let Some(machines) = self.root.child(MACHINES)? else { return Ok(Vec::new()) };
        Ok(machines.names()?.iter().filter_map(|name| MachineName::of_folder(name)).collect())
    }

    /// A machine's newest complete scan.
    ///
    /// # Errors
    /// [`Error::State`] when the file that names it is damaged.
    pub fn latest(&self, machine: &MachineName) -> Result<Option<ScanId>> {
        let Some(machines) = self.root.child(MACHINES)? else { return Ok(None) };
        match machines.child(machine.as_str())? {
            Some(directory) => read_latest(&directory),
            None => Ok(None),
        }
    }

    /// The record of a machine's newest complete scan, which [`State::latest`] names.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be read, or it is missing, or the carried records that it counts are.
    pub fn latest_record(&self, scan: &ScanRef) -> Result<ScanRecord> {
        let record = self.record(scan)?.ok_or_else(|| missing(scan, "record"))?;
        if self.lacks_carried(scan, &record)? {
            return Err(missing(scan, "file of carried records"));
        }
        Ok(record)
    }

    /// Whether a scan carries last good records by its record, and they are not there.
    pub(super) fn lacks_carried(&self, scan: &ScanRef, record: &ScanRecord) -> Result<bool> {
        Ok(record.carried > 0 && self.carried(scan)?.is_none())
    }

    /// The manifest of a machine's newest complete scan, which [`State::latest`] names.
    ///
    /// # Errors
    /// [`Error::State`] when it is missing or cannot be opened.
    pub fn latest_manifest(&self, scan: &ScanRef) -> Result<File> {
        self.manifest(scan)?.ok_or_else(|| missing(scan, "manifest"))
    }

    /// That the next scan has what it compares with: the manifest of the newest complete scan, as long as its record
    /// says, and the carried records that it counts. Bytes are not read: [`State::verify`] does.
    ///
    /// # Errors
    /// [`Error::State`] when anything of it is missing, cannot be opened or has another size.
    pub(super) fn is_comparable(&self, scan: &ScanRef, record: &ScanRecord) -> Result<()> {
        if self.lacks_carried(scan, record)? {
            return Err(missing(scan, "file of carried records"));
        }
        let unread = |error| Error::State(format!("state: the manifest of {} {}: {error}", scan.machine, scan.scan_id));
        let size = self.latest_manifest(scan)?.metadata().map_err(unread)?.len();
        match &record.manifest {
            Some(proof) if proof.size != size => Err(Error::State(format!(
                "state: the manifest of {} {}, the newest complete scan, is damaged: it has {size} bytes, and its scan \
                 record says {}; {RECOVERY}",
                scan.machine, scan.scan_id, proof.size
            ))),
            _ => Ok(()),
        }
    }

    /// The scans that have a record, complete and failed, oldest first: of one machine or of all, and of those
    /// whose day is not before `since`'s.
    ///
    /// # Errors
    /// [`Error::State`] when the state cannot be read.
    pub fn scans(&self, machine: Option<&MachineName>, since: Option<Timestamp>) -> Result<Vec<ScanRef>> {
        let mut scans = self.listed(SCANS, RECORD, since)?;
        scans.retain(|scan| machine.is_none_or(|machine| *machine == scan.machine));
        Ok(scans)
    }

    /// The scans that have a file in a folder that is kept by day, oldest first.
    pub(super) fn listed(&self, folder: &str, extension: &str, since: Option<Timestamp>) -> Result<Vec<ScanRef>> {
        let since = since.map(|since| partition(ScanId::at(since)));
        let mut scans = Vec::new();
        self.each_partition(folder, since.as_deref(), &mut |day| {
            scans.extend(day.names()?.iter().filter_map(|name| ScanRef::of_file_name(name, extension)));
            Ok(())
        })?;
        scans.sort_unstable();
        Ok(scans)
    }

    /// Hands out the days of a folder from one on, oldest first.
    pub(super) fn each_partition(
        &self,
        folder: &str,
        from: Option<&str>,
        each: &mut dyn FnMut(&Directory) -> Result<()>,
    ) -> Result<()> {
        let Some(folder) = self.root.child(folder)? else { return Ok(()) };
        for name in folder.names()?.iter().filter(|name| name.starts_with("date=")) {
            if from.is_some_and(|from| name.as_str() < from) {
                continue;
            }
            if let Some(day) = folder.child(name)? {
                each(&day)?;
            }
        }
        Ok(())
    }

    fn day(&self, folder: &str, scan: &ScanRef) -> Result<Option<Directory>> {
        match self.root.child(folder)? {
            Some(folder) => folder.child(&scan.partition()),
            None => Ok(None),
        }
    }

    /// The record of a scan; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be read or is damaged.
    pub fn record(&self, scan: &ScanRef) -> Result<Option<ScanRecord>> {
        match self.day(SCANS, scan)? {
            Some(day) => read_record(&day, scan),
            None => Ok(None),
        }
    }

    /// When a scan started: by its record, since ids run ahead for ever where a clock once did; by its id where the
    /// record cannot be read.
    #[must_use]
    pub fn started(&self, scan: &ScanRef) -> Timestamp {
        let record = self.record(scan).ok().flatten();
        record.map_or_else(|| scan.scan_id.time(), |record| record.started)
    }

    /// The events of a scan; `None` when there are none.
    ///
    /// # Errors
    /// [`Error::State`] when they cannot be read.
    pub fn events(&self, scan: &ScanRef) -> Result<Option<EventFile>> {
        let Some(day) = self.day(CHANGES, scan)? else { return Ok(None) };
        Ok(day.file(&scan.file_name(EVENTS))?.map(|file| EventFile::new(file, scan.events_label())))
    }

    /// The manifest of a scan; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be opened.
    pub fn manifest(&self, scan: &ScanRef) -> Result<Option<File>> {
        self.machine_file(scan, MANIFEST)
    }

    /// The last good records of what a scan could not read; `None` when there are none.
    ///
    /// # Errors
    /// [`Error::State`] when they cannot be opened.
    pub fn carried(&self, scan: &ScanRef) -> Result<Option<File>> {
        self.machine_file(scan, CARRIED)
    }

    /// Where the contents of a scan are on disk, for the next scan; `None` when that is not kept or was deleted.
    ///
    /// # Errors
    /// [`Error::State`] when it cannot be opened.
    pub fn extents(&self, scan: &ScanRef) -> Result<Option<File>> {
        self.machine_file(scan, EXTENTS)
    }

    fn machine_file(&self, scan: &ScanRef, extension: &str) -> Result<Option<File>> {
        let Some(machines) = self.root.child(MACHINES)? else { return Ok(None) };
        match machines.child(scan.machine.as_str())? {
            Some(directory) => directory.file(&format!("{}{extension}", scan.scan_id)),
            None => Ok(None),
        }
    }
}

/// Whether a directory is a state already; else it may become one, unless it holds other things.
fn is_made(root: &Directory, path: &Path) -> Result<bool> {
    if root.child(MACHINES)?.is_some() {
        return Ok(true);
    }
    // Another run may make a state of it at this moment: then there are machines now.
    let is_ours = |name: &str| [MACHINES, CHANGES, SCANS, "lost+found"].contains(&name) || name.starts_with('.');
    match root.names()?.into_iter().find(|name| !is_ours(name)) {
        Some(foreign) => Err(Error::State(format!(
            "{} is neither a state directory nor empty: it holds {foreign:?}",
            path.display()
        ))),
        None => Ok(false),
    }
}

/// The scan that `latest` names in a machine's directory.
pub(super) fn read_latest(directory: &Directory) -> Result<Option<ScanId>> {
    let Some(bytes) = directory.read(LATEST, MAX_LATEST)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    match text.strip_suffix('\n').unwrap_or(&text).parse() {
        Ok(id) => Ok(Some(id)),
        Err(error) => Err(Error::State(format!("state: {}: {error}", directory.path().join(LATEST).display()))),
    }
}

/// The record of a scan in the directory of its day.
pub(super) fn read_record(day: &Directory, scan: &ScanRef) -> Result<Option<ScanRecord>> {
    let name = scan.file_name(RECORD);
    let Some(bytes) = day.read(&name, MAX_RECORD)? else { return Ok(None) };
    let damaged = |what: String| Error::State(format!("state: {}: {what}", day.path().join(&name).display()));
    let record: ScanRecord =
        serde_json::from_slice(&bytes).map_err(|error| damaged(format!("not a scan record: {error}")))?;
    if record.scan_id != scan.scan_id || record.machine != scan.machine {
        return Err(damaged(format!("holds the record of {} {}", record.machine, record.scan_id)));
    }
    Ok(Some(record))
}
