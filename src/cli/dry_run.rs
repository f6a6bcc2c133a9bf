//! `snapfim scan --dry-run`: what of a target would be scanned, and what cannot be.

use std::ffi::OsStr;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    args::{ReportFormat, ScanArgs},
    inspect,
    output::Output,
};
use crate::{
    changelog::{MachineName, ScanId, State as StateDirectory, cadence},
    error::Result,
    job,
    machine::{Mount, State, Volume},
    policy::Policy,
    report,
    target::{self, Target},
};

/// What a scan would be told.
pub(super) struct DryRun<'a> {
    pub(super) args: &'a ScanArgs,
    pub(super) open: &'a target::Options,
    pub(super) policy: &'a Policy,
    pub(super) every: Option<SignedDuration>,
    pub(super) now: Timestamp,
}

impl DryRun<'_> {
    /// Prints what would become of a target: for people, or as one line of JSON.
    ///
    /// # Errors
    /// Those with which a scan would fail before it looks at files.
    pub(super) fn print(&self, target: &OsStr, output: &mut Output) -> Result<()> {
        let machine = job::machine_name(self.args.machine.as_deref(), target)?;
        let is_text = matches!(self.args.format, ReportFormat::Text);
        if let Some(last) = self.not_due(&machine)? {
            let target = target.display().to_string();
            output.line(&if is_text {
                report::escaped(&format!("{target}: not due, {machine} was last scanned {last}")).into_owned()
            } else {
                json!({"target": target, "machine": machine.as_str(), "due": false, "last_scan": last.to_string()})
                    .to_string()
            });
            return Ok(());
        }
        let opened = target::open(target, self.open)?;
        job::policy_for(self.policy, &machine)?;
        if is_text {
            text(&opened, output);
        } else {
            output.line(&as_json(&opened).to_string());
        }
        Ok(())
    }

    /// The last scan of a machine that is not due. A state that is not there yet has none.
    fn not_due(&self, machine: &MachineName) -> Result<Option<ScanId>> {
        let Some(every) = self.every.filter(|_| self.args.state.exists()) else { return Ok(None) };
        let last = StateDirectory::open(&self.args.state)?.latest(machine)?;
        Ok(last.filter(|last| !cadence::is_due(Some(last.time()), every, self.now)))
    }
}

/// The volumes that would be scanned, with where they are mounted.
fn mounted(target: &Target) -> impl Iterator<Item = (String, &Volume)> {
    let path = |mount: &Mount| String::from_utf8_lossy(&mount.path).into_owned();
    let machine = &target.machine;
    machine.mounts.iter().filter_map(move |mount| Some((path(mount), machine.volumes.get(mount.volume)?)))
}

/// What would be scanned of a registry.
fn hives(target: &Target) -> impl Iterator<Item = String> {
    target.machine.hives.iter().map(|hive| String::from_utf8_lossy(&hive.mount).into_owned())
}

/// The volumes that would not be scanned, and why.
fn left_out(target: &Target) -> impl Iterator<Item = (&str, &str)> {
    target.machine.volumes.iter().filter_map(|volume| match &volume.state {
        State::Gap(why) | State::Note(why) => Some((volume.id.as_str(), why.as_str())),
        State::Read => None,
    })
}

fn text(target: &Target, output: &mut Output) {
    let mut say = |line: String| output.line(&report::escaped(&line));
    say(format!("{}: {}", target.given, inspect::system(target)));
    for (path, volume) in mounted(target) {
        say(format!("  would scan {path} ({} on {})", volume.content, volume.id));
    }
    for hive in hives(target) {
        say(format!("  would scan {hive}"));
    }
    for (volume, why) in left_out(target) {
        say(format!("  cannot scan {volume}: {why}"));
    }
}

fn as_json(target: &Target) -> serde_json::Value {
    let mounted =
        mounted(target).map(|(path, volume)| json!({"path": path, "fs": volume.content, "volume": volume.id}));
    let scanned: Vec<_> = mounted.chain(hives(target).map(|hive| json!({"path": hive}))).collect();
    let left_out: Vec<_> = left_out(target).map(|(volume, why)| json!({"volume": volume, "why": why})).collect();
    json!({"target": target.given, "os": inspect::os(target), "would_scan": scanned, "cannot_scan": left_out})
}
