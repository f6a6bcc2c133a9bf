//! Whether the state is whole: every manifest proves itself, nothing that is referred to is missing, nothing is
//! there that does not belong, and nobody else can read it.

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::ControlFlow;

use rustix::fs::FileType;

use super::directory::Directory;
use super::event_file::Line;
use super::history::Histories;
use super::lock::LOCK;
use super::machine::outdated;
use super::scan_record::is_damaged;
use super::state::{
    CARRIED, CHANGES, EVENTS, EXTENTS, LATEST, MACHINES, MANIFEST, MAX_RECORD, RECORD, SCANS, TEMPORARY, read_record,
};
use super::{FileProof, MachineName, Outcome, Problem, ScanId, ScanRef, State};
use crate::error::Result;

/// What a check of the state has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Manifests that are whole.
    pub manifests: u64,
    /// Files of carried records that are whole.
    pub carried: u64,
    /// Scans on record.
    pub scans: u64,
    /// Events that can be read.
    pub events: u64,
    /// What is damaged, missing, or does not belong.
    pub problems: Vec<Problem>,
    /// What is worth knowing: a scan under way, a killed one that the next takes back, a machine that began anew.
    pub notes: Vec<Problem>,
}

/// Reads a manifest, or a file of carried records, to its end, holds it against its footer, and counts its records.
pub type Check<'c> = dyn FnMut(File) -> Result<u64> + 'c;

impl State {
    /// Checks everything in the state; `check` reads manifests.
    ///
    /// # Errors
    /// [`Error::State`](crate::error::Error::State) when the state as a whole cannot be read.
    pub fn verify(&self, check: &mut Check<'_>) -> Result<Verified> {
        let (machines, histories) = (Vec::new(), Histories::default());
        let mut verifier = Verifier { state: self, verified: Verified::default(), machines, histories };
        verifier.root(check)?;
        Ok(verifier.verified)
    }
}

struct Verifier<'s> {
    state: &'s State,
    verified: Verified,
    machines: Vec<Standing>,
    histories: Histories,
}

/// How far a machine's history goes.
struct Standing {
    machine: MachineName,
    /// The newest complete scan.
    latest: Option<ScanId>,
    /// Scans that left files and are newer: one that is under way or was killed. More mean that `latest` is wrong.
    newer: BTreeSet<ScanId>,
    /// `latest` cannot be read, which is a problem of its own.
    unread: bool,
}

impl Verifier<'_> {
    fn root(&mut self, check: &mut Check<'_>) -> Result<()> {
        let root = self.state.root();
        self.private_directory(root);
        for name in root.names()? {
            if ![MACHINES, CHANGES, SCANS].contains(&name.as_str()) && name != "lost+found" {
                self.problem(root, &name, "does not belong here");
            }
        }
        if let Some(machines) = self.directory(root, MACHINES) {
            for name in machines.names()? {
                match MachineName::of_folder(&name) {
                    Some(machine) => self.machine(&machines, machine, check)?,
                    None => self.problem(&machines, &name, "is not a machine's name"),
                }
            }
        }
        for (folder, extension) in [(SCANS, RECORD), (CHANGES, EVENTS)] {
            let Some(days) = self.directory(root, folder) else { continue };
            for name in days.names()? {
                if name.starts_with("date=") {
                    self.day(&days, &name, extension)?;
                } else {
                    self.problem(&days, &name, "does not belong here");
                }
            }
        }
        self.missing_manifests();
        self.latest(root)
    }

    /// Whether manifests that are missing are missed, now that all scans were seen.
    fn missing_manifests(&mut self) {
        for (machine, history) in std::mem::take(&mut self.histories).into_each() {
            let missed = history.missed();
            for scan_id in missed {
                let file = ScanRef { machine: machine.clone(), scan_id: *scan_id }.record_label();
                let what = "names a manifest that is missing".to_owned();
                self.verified.problems.push(Problem { file, line: 0, what });
            }
            let left = history.missing.len().saturating_sub(missed.len());
            if let Some(baseline) = history.baseline.filter(|_| left > 0) {
                let what =
                    format!("begins with the baseline {baseline}; manifests of before that are not there: {left}");
                self.verified.notes.push(Problem { file: format!("{MACHINES}/{machine}"), line: 0, what });
            }
        }
    }

    /// Whether each machine's `latest` can be the newest complete scan, now that all scans were seen.
    fn latest(&mut self, root: &Directory) -> Result<()> {
        let Some(machines) = root.child(MACHINES)? else { return Ok(()) };
        for Standing { machine, latest, newer, unread } in std::mem::take(&mut self.machines) {
            if let (false, Some(what)) = (unread, outdated(latest, &newer))
                && let Some(directory) = machines.child(machine.as_str())?
            {
                self.problem(&directory, LATEST, what);
            }
        }
        Ok(())
    }

    fn machine(&mut self, machines: &Directory, machine: MachineName, check: &mut Check<'_>) -> Result<()> {
        let Some(directory) = self.directory(machines, machine.as_str()) else { return Ok(()) };
        let latest = self.state.latest(&machine);
        let unread = latest.is_err();
        let latest = latest.unwrap_or_else(|error| {
            self.problem(&directory, LATEST, error.to_string());
            None
        });
        self.machines.push(Standing { machine: machine.clone(), latest, newer: BTreeSet::new(), unread });
        for name in directory.names()? {
            let scan_of = |extension: &str| name.strip_suffix(extension)?.parse::<ScanId>().ok();
            let scan = |scan_id| ScanRef { machine: machine.clone(), scan_id };
            if name == LOCK || name == LATEST {
                self.private_file(&directory, &name);
            } else if name.starts_with('.') && name.ends_with(TEMPORARY) {
                self.note(&directory, &name, "belongs to a scan under way or a killed one, which the next takes back");
            } else if let Some(scan_id) = scan_of(MANIFEST) {
                self.private_file(&directory, &name);
                self.manifest(&directory, &name, &scan(scan_id), check);
            } else if let Some(scan_id) = scan_of(CARRIED) {
                self.private_file(&directory, &name);
                self.carried(&directory, &name, &scan(scan_id), check);
            } else if let Some(scan_id) = scan_of(EXTENTS) {
                // May be deleted at any time, and proves itself when it is read.
                self.private_file(&directory, &name);
                self.is_unfinished(&scan(scan_id));
            } else {
                self.problem(&directory, &name, "does not belong here");
            }
        }
        if let Some(latest) = latest
            && directory.stat(&format!("{latest}{MANIFEST}"))?.is_none()
        {
            self.problem(&directory, LATEST, format!("names {latest}, whose manifest is missing"));
        }
        Ok(())
    }

    fn manifest(&mut self, directory: &Directory, name: &str, scan: &ScanRef, check: &mut Check<'_>) {
        let unfinished = self.is_unfinished(scan);
        let Some(records) = self.records(directory, name, check) else { return };
        self.verified.manifests = self.verified.manifests.saturating_add(1);
        if unfinished {
            self.note(directory, name, "is newer than the newest complete scan: under way, or killed");
            return;
        }
        let proof = match directory.file(name) {
            Ok(Some(file)) => FileProof::of(&file).ok(),
            _ => None,
        };
        match self.state.record(scan) {
            Ok(Some(record)) if record.manifest != proof => {
                self.problem(directory, name, "is not the manifest that the scan's record names");
            }
            Ok(Some(record)) => self.same_count(directory, name, records, record.records_total()),
            Ok(None) => self.problem(directory, name, "belongs to a scan without a record"),
            // Reported with the record itself.
            Err(_) => {}
        }
    }

    fn carried(&mut self, directory: &Directory, name: &str, scan: &ScanRef, check: &mut Check<'_>) {
        self.is_unfinished(scan);
        if matches!(self.state.manifest(scan), Ok(None)) {
            self.problem(directory, name, "has no manifest beside it");
        }
        let Some(records) = self.records(directory, name, check) else { return };
        self.verified.carried = self.verified.carried.saturating_add(1);
        if let Ok(Some(record)) = self.state.record(scan) {
            self.same_count(directory, name, records, record.carried);
        }
    }

    fn same_count(&mut self, directory: &Directory, name: &str, found: u64, named: u64) {
        if found != named {
            self.problem(directory, name, format!("holds {found} records, and the scan's record names {named}"));
        }
    }

    fn records(&mut self, directory: &Directory, name: &str, check: &mut Check<'_>) -> Option<u64> {
        let records = match directory.file(name) {
            Ok(Some(file)) => check(file),
            Ok(None) => return None,
            Err(error) => Err(error),
        };
        records.map_err(|error| self.problem(directory, name, error.to_string())).ok()
    }

    fn day(&mut self, days: &Directory, date: &str, extension: &str) -> Result<()> {
        let Some(day) = self.directory(days, date) else { return Ok(()) };
        for name in day.names()? {
            if ScanRef::of_temporary_name(&name, extension).is_some() {
                self.note(&day, &name, "belongs to a scan under way or a killed one, which the next takes back");
                continue;
            }
            let Some(scan) = ScanRef::of_file_name(&name, extension).filter(|scan| scan.partition() == date) else {
                self.problem(&day, &name, "does not belong here");
                continue;
            };
            self.private_file(&day, &name);
            if extension == RECORD { self.record(&day, &name, &scan)? } else { self.events(&day, &name, &scan) }
        }
        Ok(())
    }

    fn record(&mut self, day: &Directory, name: &str, scan: &ScanRef) -> Result<()> {
        let record = match read_record(day, scan) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.problem(day, name, error.to_string());
                return Ok(());
            }
        };
        if matches!(day.read(name, MAX_RECORD), Ok(Some(text)) if is_damaged(&text)) {
            self.problem(day, name, "is damaged: RecordSha256 is not that of the rest of it");
        }
        self.verified.scans = self.verified.scans.saturating_add(1);
        if record.outcome == Outcome::Failed {
            return Ok(());
        }
        if self.is_unfinished(scan) {
            self.note(day, name, "is newer than the newest complete scan: under way, or killed");
            return Ok(());
        }
        let has_manifest = matches!(self.state.manifest(scan), Ok(Some(_)));
        self.histories.see(scan, &record, has_manifest);
        if has_manifest && matches!(self.state.lacks_carried(scan, &record), Ok(true)) {
            self.problem(day, name, format!("names {} carried records, which are missing", record.carried));
        }
        if record.changes_total() > 0 && !matches!(self.state.events(scan), Ok(Some(_))) {
            self.problem(day, name, format!("names {} events, which are missing", record.changes_total()));
        }
        if let Some(previous) = record.previous
            && !matches!(self.state.record(&ScanRef { scan_id: previous, ..scan.clone() }), Ok(Some(_)))
        {
            self.problem(day, name, format!("names the scan before it, {previous}, whose record is missing"));
        }
        Ok(())
    }

    fn events(&mut self, day: &Directory, name: &str, scan: &ScanRef) {
        if self.is_unfinished(scan) {
            self.note(day, name, "is newer than the newest complete scan: under way, or killed");
            return;
        }
        let file = match self.state.events(scan) {
            Ok(Some(file)) => file,
            Ok(None) => return,
            Err(error) => return self.problem(day, name, error.to_string()),
        };
        let (mut events, mut problems) = (0_u64, BTreeSet::new());
        let read = file.read(&mut |_, line| {
            let problem = match line {
                Line::Event(event) => {
                    events = events.saturating_add(1);
                    (event.ext.scan_id != scan.scan_id || event.ext.machine != scan.machine.as_str())
                        .then(|| "holds events of another scan".to_owned())
                }
                Line::Problem(problem) => Some(format!("line {}: {}", problem.line, problem.what)),
            };
            // One line of each kind is enough to know that the file is damaged.
            if problems.len() < 10 {
                problems.extend(problem);
            }
            Ok(ControlFlow::Continue(()))
        });
        self.verified.events = self.verified.events.saturating_add(events);
        problems.extend(read.err().map(|error| error.to_string()));
        match self.state.record(scan) {
            Ok(Some(record)) if record.changes_total() != events => {
                problems
                    .insert(format!("holds {events} events, and the scan's record names {}", record.changes_total()));
            }
            // Also what is changed in a text, and is an event all the same.
            Ok(Some(record)) => {
                if problems.is_empty()
                    && record.events.is_some_and(|named| FileProof::of(file.file()).ok() != Some(named))
                {
                    problems.insert("is not the file of events that the scan's record names".to_owned());
                }
            }
            Ok(None) => {
                problems.insert("belongs to a scan without a record".to_owned());
            }
            Err(_) => {}
        }
        for what in problems {
            self.problem(day, name, what);
        }
    }

    /// Whether a scan that left files is newer than the newest complete one; it is remembered. Without a manifest,
    /// which is put in place first, it is none that is under way or was killed.
    fn is_unfinished(&mut self, scan: &ScanRef) -> bool {
        let Some(standing) = self.machines.iter_mut().find(|standing| standing.machine == scan.machine) else {
            return false;
        };
        let unfinished = standing.latest.is_none_or(|latest| scan.scan_id > latest)
            && !matches!(self.state.manifest(scan), Ok(None));
        if unfinished {
            standing.newer.insert(scan.scan_id);
        }
        unfinished
    }

    fn directory(&mut self, parent: &Directory, name: &str) -> Option<Directory> {
        match parent.child(name) {
            Ok(child) => {
                if let Some(child) = &child {
                    self.private_directory(child);
                }
                child
            }
            Err(error) => {
                self.problem(parent, name, error.to_string());
                None
            }
        }
    }

    fn private_directory(&mut self, directory: &Directory) {
        match directory.own_stat() {
            Ok(stat) if stat.st_mode & 0o077 == 0 => {}
            Ok(stat) => self.problem(directory, "", open_to_others(stat.st_mode)),
            Err(error) => self.problem(directory, "", error.to_string()),
        }
    }

    fn private_file(&mut self, directory: &Directory, name: &str) {
        match directory.stat(name) {
            Ok(Some(stat)) if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile => {
                self.problem(directory, name, "is not a regular file");
            }
            Ok(Some(stat)) if stat.st_mode & 0o077 != 0 => self.problem(directory, name, open_to_others(stat.st_mode)),
            Ok(_) => {}
            Err(error) => self.problem(directory, name, error.to_string()),
        }
    }

    fn problem(&mut self, directory: &Directory, name: &str, what: impl Into<String>) {
        let problem = self.at(directory, name, what.into());
        self.verified.problems.push(problem);
    }

    fn note(&mut self, directory: &Directory, name: &str, what: &str) {
        let note = self.at(directory, name, what.to_owned());
        self.verified.notes.push(note);
    }

    fn at(&self, directory: &Directory, name: &str, what: String) -> Problem {
        let path = if name.is_empty() { directory.path().to_owned() } else { directory.path().join(name) };
        let below = path.strip_prefix(self.state.root().path()).unwrap_or(&path);
        let file = if below.as_os_str().is_empty() { ".".into() } else { below.to_string_lossy().into_owned() };
        Problem { file, line: 0, what }
    }
}

fn open_to_others(mode: u32) -> String {
    format!("can be reached by others than its owner: mode {:04o}", mode & 0o7777)
}
