//! The registry as a part of a scan: the hives that the policy can reach, opened, replayed and walked, some at a
//! time. Hives that it cannot reach are not even read.

mod record;
mod recorder;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    budget::Budgets,
    entity,
    faults::MACHINE,
    note::Note,
    progress::Progress,
    walk::{Records, emit, interesting, state_at},
};
use crate::{
    error::{Error, Fault, Result},
    machine::{HiveFile, Machine, hive, join},
    manifest::attribute::Part,
    policy::{EffectivePolicy, EntityPath, Matcher},
    registry::{Hive, LogFormat, Replay},
};

use recorder::Recorder;

/// Hives that are in memory at the same time, each with its logs no longer than [`Budgets::hive_bytes`].
const HIVES_AT_ONCE: usize = 2;

/// What a scan of the registry needs.
pub(super) struct Registry<'m> {
    pub(super) machine: &'m Machine,
    pub(super) policy: &'m EffectivePolicy,
    pub(super) matcher: &'m Matcher,
    pub(super) budgets: Budgets,
    pub(super) progress: &'m Progress,
}

impl Registry<'_> {
    /// Records all keys and values that the policy covers; each worker's records go to its own sink. Beside the
    /// sinks stands what is worth knowing, in the order of the hives.
    pub(super) fn run<R: Records + Send>(&self, mut sinks: Vec<R>) -> Result<(Vec<R>, Vec<Note>)> {
        let next = AtomicUsize::new(0);
        let notes = Mutex::new(BTreeMap::new());
        let work = |sink: &mut R| -> Result<()> {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(file) = self.machine.hives.get(index) else { return Ok(()) };
                let found = self.guarded(file, sink)?;
                notes.lock().unwrap_or_else(PoisonError::into_inner).insert(index, found);
            }
        };
        std::thread::scope(|scope| {
            let workers = HIVES_AT_ONCE.min(self.machine.hives.len());
            let workers: Vec<_> = sinks.iter_mut().take(workers).map(|sink| scope.spawn(|| work(sink))).collect();
            let done = workers.into_iter().map(|worker| {
                worker.join().unwrap_or_else(|_| Err(Error::Bug("a worker of the registry died".to_owned())))
            });
            done.collect::<Result<Vec<()>>>()
        })?;
        let notes = notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((sinks, notes.into_values().flatten().collect()))
    }

    /// Records a hive; a panic in its reader becomes a fault of the hive.
    fn guarded<R: Records>(&self, file: &HiveFile, sink: &mut R) -> Result<Vec<Note>> {
        catch_unwind(AssertUnwindSafe(|| self.hive(file, sink))).unwrap_or_else(|_| {
            let why = "the reader failed on these bytes (a defect, please report it)";
            self.fault(file, sink, Part::Listing, Fault::new("registry", "", why))?;
            Ok(Vec::new())
        })
    }

    fn hive<R: Records>(&self, file: &HiveFile, sink: &mut R) -> Result<Vec<Note>> {
        let mount = EntityPath::parse(&file.mount)?;
        let state = state_at(self.matcher, &mount);
        if !interesting(&state) {
            return Ok(Vec::new());
        }
        self.progress.enter(&file.mount);
        let opened = match file.open(&mut self.machine.sessions(), self.budgets.hive_bytes) {
            Ok(opened) => opened,
            Err(error) => {
                self.fault(file, sink, Part::Entity, error.into())?;
                return Ok(Vec::new());
            }
        };
        // Writes that are lost may have been made anywhere in the hive, beneath keys that are there too. Of a hive that
        // is not dirty its logs tell nothing.
        let replay = opened.hive.replay();
        let part = if replay.dirty { Part::Entity } else { Part::Listing };
        for fault in opened.faults.into_iter().chain(replay.faults.iter().cloned()) {
            self.fault(file, sink, part, fault)?;
        }
        self.control_sets(file, &opened.hive, sink)?;
        let mut recorder = Recorder::new(self, file, &opened.hive, &mount, state, sink);
        opened.hive.walk(opened.hive.root(), &mut recorder);
        recorder.finish()?;
        let shown = String::from_utf8_lossy(&file.mount).into_owned();
        let mut notes: Vec<_> =
            notes(opened.hive.replay()).into_iter().map(|note| Note::Other(format!("{shown}: {note}"))).collect();
        notes.extend(self.absent(file, &opened.hive).into_iter().map(Note::Absent));
        Ok(notes)
    }

    /// While nobody knows which control set is the current one, each may be what `CurrentControlSet` means in a rule,
    /// and what was monitored of it is lost.
    fn control_sets<R: Records>(&self, file: &HiveFile, hive: &Hive, sink: &mut R) -> Result<()> {
        if self.policy.control_set.is_some() {
            return Ok(());
        }
        // A list may name one key as often as it likes.
        let mut lost = BTreeSet::new();
        hive.subkeys(hive.root(), &mut |subkey| {
            if let Ok(key) = subkey.and_then(|id| Ok(hive.key(id)?))
                && let Ok(path) = EntityPath::parse(&join(&file.mount, &key.name, b'\\'))
                && let Some(current) = path.in_current_control_set()
                && interesting(&state_at(self.matcher, &current))
                && !state_at(self.matcher, &path).verdict().is_taken()
            {
                lost.insert(path.to_bytes());
            }
            ControlFlow::Continue(())
        })?;
        let large = |_| "the hive is too large to be asked".to_owned();
        let why = hive::control_set(hive).map_or_else(|error| error.to_string(), large);
        for path in lost {
            let fault = Fault::new(MACHINE, "", format!("whether it is CurrentControlSet is not known: {why}"));
            emit(
                self.progress,
                &self.budgets,
                sink,
                entity::fault(&path, b"", Part::Listing, fault, self.volume(file)),
            )?;
        }
        Ok(())
    }

    fn fault<R: Records>(&self, file: &HiveFile, sink: &mut R, part: Part, fault: Fault) -> Result<()> {
        let record = entity::fault(&file.mount, b"", part, fault, self.volume(file));
        emit(self.progress, &self.budgets, sink, record)
    }

    fn volume(&self, file: &HiveFile) -> &str {
        self.machine.volumes.get(file.volume).map_or("", |volume| volume.id.as_str())
    }

    /// The rules' own keys that are not in this hive.
    fn absent(&self, file: &HiveFile, hive: &Hive) -> Vec<String> {
        let mut notes = Vec::new();
        let Ok(mount) = EntityPath::parse(&file.mount) else { return notes };
        for literal in self.matcher.literal_roots() {
            if !literal.admits(&mount.root) {
                continue;
            }
            let mut path = EntityPath { root: mount.root.clone(), segments: literal.segments.clone() };
            if let [system, current, ..] = path.segments.as_mut_slice()
                && system.eq_ignore_ascii_case(b"SYSTEM")
                && current.eq_ignore_ascii_case(b"CurrentControlSet")
            {
                let Some(set) = &self.policy.control_set else { continue };
                *current = set.clone().into_bytes();
            }
            let path = path.to_bytes();
            let Some(key) = hive::below(&path, &file.mount).and_then(|key| std::str::from_utf8(key).ok()) else {
                continue;
            };
            if matches!(hive.lookup(key), Ok(None)) {
                let shown = String::from_utf8_lossy(&path);
                notes.push(format!("{shown}: monitored by {}, is not there", literal.text));
            }
        }
        notes.sort();
        notes.dedup();
        notes
    }
}

/// What opening a hive brought to light.
fn notes(replay: &Replay) -> Vec<String> {
    let mut notes = Vec::new();
    if !replay.logs.is_empty() {
        let form = match replay.format {
            Some(LogFormat::DirtyVector) => "of the old form",
            Some(LogFormat::LogEntries) | None => "of the new form",
        };
        let (logs, entries, pages) = (replay.logs.len(), replay.entries, replay.pages);
        notes.push(format!("{logs} transaction logs {form} replayed: {entries} entries, {pages} pages"));
    }
    notes.extend(replay.notes.iter().cloned());
    notes
}
