//! One scan: the plan, the parallel walk, the hashing. In come a [`Machine`] and an effective policy, out comes a
//! manifest: the only room that joins filesystems, machine, registry and policy. What is a change is decided
//! elsewhere.

mod budget;
mod content;
mod descriptor;
mod directory;
mod entity;
mod faults;
mod hash;
mod kept;
mod label;
mod listing;
mod note;
mod plan;
mod progress;
mod queue;
mod registry;
pub mod reuse;
mod seen;
mod unmounted;
mod walk;
mod work;
mod worker;

use std::io::Write;

use crate::{
    error::{Error, Result},
    machine::{Machine, State},
    manifest::{
        self, Collector, Counts, Header, Kind, Os, Record, Runs, Sorter, VolumeEntry, VolumeState, header::is_root,
    },
    policy::EffectivePolicy,
};

pub use budget::Budgets;
pub use faults::{FAULTS_LISTED, Faults, SeenFault};
pub use note::Note;
pub use progress::Progress;
use reuse::Trace;
use walk::Walked;
use work::{Limits, Works};

/// How a scan is done; none of it changes what the manifest says.
pub struct Options<'a> {
    /// Worker threads, at least 1.
    pub threads: usize,
    /// What a target may ask for at most.
    pub budgets: Budgets,
    /// For temporary files; they have no names.
    pub temp: &'a std::path::Path,
    /// What is taken over from the scan before; with it, what the next one needs is kept.
    pub reuse: Option<&'a reuse::Reuse>,
}

/// What a scan came to, with its manifest.
pub struct Scanned<W> {
    /// What the manifest was written to.
    pub out: W,
    /// How many records there are, by kind.
    pub counts: Counts,
    /// Everything else.
    pub seen: Seen,
}

/// What a scan came to.
pub struct Seen {
    /// The manifest's first line.
    pub header: Header,
    /// Its records, to be merged.
    pub records: Vec<Runs>,
    /// Everything that could not be read, or not in full.
    pub faults: Faults,
    /// What is worth knowing: absent monitored paths, links that lead nowhere, replayed journals.
    pub notes: Vec<Note>,
    /// How many lines of the manifest before are taken over, of each kind.
    pub kept: Counts,
    /// What all records were made of but for the metadata of each: only in the same context can their lines be taken
    /// over.
    pub context: String,
}

/// One worker's records, and its faults.
struct Sink<'p> {
    policy: &'p EffectivePolicy,
    records: Collector,
    kept: Counts,
    faults: Faults,
    trace: Vec<u8>,
}

impl walk::Records for Sink<'_> {
    fn push(&mut self, record: Record, trace: Trace) -> Result<()> {
        self.faults.add(&record, self.policy);
        self.trace.clear();
        trace.encode(&mut self.trace);
        for fault in self.records.push_traced(&record, &self.trace)? {
            self.faults.add(&fault, self.policy);
        }
        Ok(())
    }

    fn kept(&mut self, kind: Kind) {
        self.kept.add(kind);
    }
}

impl Seen {
    /// How many records there are of each kind, with those whose lines are taken over.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::sum(&self.records);
        counts.add_all(&self.kept);
        counts
    }
}

/// Scans a machine under a policy and writes the manifest to `out`.
///
/// # Errors
/// As [`see`], and when the manifest cannot be written.
pub fn scan<W: Write>(
    machine: &Machine,
    policy: EffectivePolicy,
    options: &Options<'_>,
    progress: &Progress,
    out: W,
) -> Result<Scanned<W>> {
    let mut seen = see(machine, policy, options, progress)?;
    let records = std::mem::take(&mut seen.records);
    let (out, counts) = manifest::write::write(out, &seen.header, records, options.budgets.memory)?;
    Ok(Scanned { out, counts, seen })
}

/// What a scan knows before it walks: what it cannot read, and what is worth knowing.
///
/// # Errors
/// As [`see`].
pub fn foresee(machine: &Machine, policy: EffectivePolicy) -> Result<(Faults, Vec<Note>)> {
    let plan = plan::plan(machine, policy)?;
    let mut faults = Faults::default();
    plan.faults.iter().for_each(|fault| faults.add(fault, &plan.policy));
    Ok((faults, noted(plan.notes, machine)))
}

/// Notes, and those of how the machine is put together.
fn noted(mut notes: Vec<Note>, machine: &Machine) -> Vec<Note> {
    notes.extend(machine.notes.iter().cloned().map(Note::Other));
    notes
}

/// Scans a machine under a policy; what it saw is still to be merged into a manifest.
///
/// # Errors
/// When a temporary file cannot be written, or a budget for the whole scan is reached. What of the target cannot be
/// read is in the manifest instead.
pub fn see(machine: &Machine, policy: EffectivePolicy, options: &Options<'_>, progress: &Progress) -> Result<Seen> {
    let plan = plan::plan(machine, policy)?;
    let threads = options.threads.max(1);
    let sorter = Sorter::new(options.temp, options.budgets.memory);
    let share = sorter.share(threads);
    let header = header(machine, &plan.policy)?;
    let context = context(&header, machine)?;
    let previous = options.reuse.and_then(|reuse| reuse.previous.as_ref());
    let lines = previous.filter(|previous| previous.has_lines(&context));
    let sink = || Sink {
        policy: &plan.policy,
        records: Collector::new(&share),
        kept: Counts::default(),
        faults: Faults::default(),
        trace: Vec::new(),
    };
    let mut works = Works::new(Limits::new(&options.budgets));
    let (sinks, walk_notes) = loop {
        let mut sinks: Vec<_> = (0..threads).map(|_| sink()).collect();
        if let Some(first) = sinks.first_mut() {
            for fault in &plan.faults {
                walk::Records::push(first, fault.clone(), Trace::default())?;
            }
        }
        match walk::Walk::new(machine, &plan, options, threads, progress, lines, works).run(sinks)? {
            Walked::Done(sinks, notes) => break (sinks, notes),
            Walked::InVain(lowered) => works = lowered,
        }
        progress.restart();
        if let Some(previous) = previous {
            previous.take_none();
        }
    };
    let registry = registry::Registry {
        machine,
        policy: &plan.policy,
        matcher: &plan.matcher,
        budgets: options.budgets,
        progress,
    };
    let (mut sinks, hive_notes) = registry.run(sinks)?;
    let mut faults = Faults::default();
    let mut kept = Counts::default();
    for sink in &mut sinks {
        kept.add_all(&sink.kept);
        faults.append(std::mem::take(&mut sink.faults));
    }
    let records = sorted(sinks)?;
    let mut notes = plan.notes;
    notes.extend(walk_notes);
    notes.extend(hive_notes);
    let notes = noted(notes, machine);
    Ok(Seen { header, records, faults, notes, kept, context })
}

/// What all workers saw, sorted at the same time.
fn sorted(sinks: Vec<Sink<'_>>) -> Result<Vec<Runs>> {
    std::thread::scope(|scope| {
        let mut sinks = sinks.into_iter();
        let first = sinks.next();
        let threads: Vec<_> = sinks.map(|sink| scope.spawn(move || sink.records.finish())).collect();
        let first = first.map(|sink| Ok(sink.records.finish()));
        let died = |_| Error::Bug("a thread that sorts records died".to_owned());
        first.into_iter().chain(threads.into_iter().map(|thread| thread.join().map_err(died))).collect()
    })
}

/// What stands for all that records are made of but for the metadata of each: what the header says, and how accounts
/// are called.
fn context(header: &Header, machine: &Machine) -> Result<String> {
    let line = header.line().map_err(|malformed| Error::Bug(malformed.to_string()))?;
    let mut bytes = (line.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(&line);
    machine.accounts.write(&mut bytes);
    Ok(hash::bytes(&bytes))
}

fn header(machine: &Machine, policy: &EffectivePolicy) -> Result<Header> {
    let policy =
        serde_json::to_value(policy).map_err(|error| Error::Bug(format!("the policy does not serialise: {error}")))?;
    let os = Os {
        family: machine.os.family.as_str().to_owned(),
        name: machine.os.name.clone(),
        host: machine.os.host.clone(),
    };
    let volumes = machine.volumes.iter().enumerate().map(|(index, volume)| {
        let (state, why) = match &volume.state {
            State::Read => (VolumeState::Read, None),
            State::Note(why) => (VolumeState::Note, Some(why.clone())),
            State::Gap(why) => (VolumeState::Gap, Some(why.clone())),
        };
        let mount = machine.mounts.iter().find(|mount| mount.volume == index && !mount.path.starts_with(b"@"));
        let mount = mount.map(|mount| String::from_utf8_lossy(&mount.path).into_owned());
        let is_root = mount.as_deref().is_some_and(is_root);
        let why = why.or_else(|| machine.unplaced.clone().filter(|_| is_root));
        VolumeEntry {
            volume: volume.id.clone(),
            fs: volume.content.clone(),
            id: volume.uuid.clone(),
            label: volume.label.clone(),
            mount,
            state,
            why,
            unreplayed: volume.fs.as_ref().and_then(|fs| fs.info().unreplayed.clone()),
        }
    });
    Ok(Header { policy, os, volumes: volumes.collect() })
}

#[cfg(test)]
mod tests;
