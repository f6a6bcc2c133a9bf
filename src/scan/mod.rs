//! One scan: the plan, the parallel walk, the hashing. In come a [`Machine`] and an effective policy, out comes a
//! manifest: the only room that joins filesystems, machine, registry and policy. What is a change is decided
//! elsewhere.

mod budget;
mod directory;
mod entity;
mod hash;
mod plan;
mod progress;
mod queue;
mod walk;

use std::io::Write;

use crate::{
    error::Result,
    machine::{Machine, State},
    manifest::{self, Collector, Counts, Header, Os, Record, Sorter, VolumeEntry, VolumeState},
    policy::EffectivePolicy,
};

pub use budget::Budgets;
pub use progress::Progress;

/// How a scan is done; none of it changes what the manifest says.
pub struct Options<'a> {
    /// Worker threads, at least 1.
    pub threads: usize,
    /// What a target may ask for at most.
    pub budgets: Budgets,
    /// For temporary files; they have no names.
    pub temp: &'a std::path::Path,
}

/// What a scan came to.
pub struct Scanned<W> {
    /// What the manifest was written to.
    pub out: W,
    /// Its first line.
    pub header: Header,
    /// How many records there are, by kind.
    pub counts: Counts,
    /// What is worth knowing: absent monitored paths, links that lead nowhere, replayed journals.
    pub notes: Vec<String>,
}

struct Sink(Collector);

impl walk::Records for Sink {
    fn push(&mut self, record: Record) -> Result<()> {
        self.0.push(&record)
    }
}

/// Scans a machine under a policy and writes the manifest to `out`.
///
/// # Errors
/// When the manifest cannot be written, or a budget for the whole scan is reached. What of the target cannot be
/// read is in the manifest instead.
pub fn scan<W: Write>(
    machine: &Machine,
    policy: EffectivePolicy,
    options: &Options<'_>,
    progress: &Progress,
    out: W,
) -> Result<Scanned<W>> {
    let plan = plan::plan(machine, policy)?;
    let threads = options.threads.max(1);
    let sorter = Sorter::new(options.temp, options.budgets.memory);
    let share = sorter.share(threads);
    let mut sinks: Vec<_> = (0..threads).map(|_| Sink(Collector::new(&share))).collect();
    if let Some(first) = sinks.first_mut() {
        for fault in &plan.faults {
            first.0.push(fault)?;
        }
    }
    let walk = walk::Walk::new(machine, &plan.policy, &plan.matcher, options.budgets, threads, progress);
    let sinks = walk.run(sinks)?;
    let header = header(machine, &plan.policy)?;
    let runs = sinks.into_iter().map(|sink| sink.0.finish()).collect();
    let (out, counts) = manifest::write::write(out, &header, runs, options.budgets.memory)?;
    let mut notes = plan.notes;
    notes.extend(machine.notes.iter().cloned());
    Ok(Scanned { out, header, counts, notes })
}

fn header(machine: &Machine, policy: &EffectivePolicy) -> Result<Header> {
    let policy = serde_json::to_value(policy)
        .map_err(|error| crate::error::Error::Bug(format!("the policy does not serialise: {error}")))?;
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
        VolumeEntry {
            volume: volume.id.clone(),
            fs: volume.content.clone(),
            id: volume.uuid.clone(),
            label: volume.label.clone(),
            mount: mount.map(|mount| String::from_utf8_lossy(&mount.path).into_owned()),
            state,
            why,
        }
    });
    Ok(Header { policy, os, volumes: volumes.collect() })
}
