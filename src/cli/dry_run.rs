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
    changelog::{ScanRecord, ScanRef, State as StateDirectory, cadence},
    error::{Error, Result},
    job::{self, Time},
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
    pub(super) time: Time,
    pub(super) now: Timestamp,
}

impl DryRun<'_> {
    /// Prints what would become of a target: for people, or as one line of JSON. The exit code is the scan's, as far as
    /// it is known.
    ///
    /// # Errors
    /// Those with which a scan would fail before it reads files.
    pub(super) fn print(&self, target: &OsStr, output: &mut Output) -> Result<u8> {
        let machine = job::machine_name(self.args.machine.as_deref(), target)?;
        let is_text = matches!(self.args.format, ReportFormat::Text);
        let state = StateDirectory::find(&self.args.state)?;
        let last = state.as_ref().map(|state| state.latest(&machine)).transpose()?.flatten();
        let started =
            |(state, scan_id): (&StateDirectory, _)| state.started(&ScanRef { machine: machine.clone(), scan_id });
        if let (Some(every), Some(last)) = (self.every, last)
            && !cadence::is_due(state.as_ref().zip(Some(last)).map(started), every, self.now)
        {
            let target = target.display().to_string();
            if is_text {
                output.line(&report::escaped(&format!("{target}: not due, {machine} was last scanned {last}")));
            } else {
                let (machine, last) = (machine.as_str(), last.to_string());
                output.json(&json!({"target": target, "machine": machine, "due": false, "last_scan": last}))?;
            }
            return Ok(0);
        }
        let opened = target::open(target, self.open)?;
        let last = match (state, last) {
            (Some(state), Some(scan_id)) => {
                let scan = ScanRef { machine: machine.clone(), scan_id };
                // The scan would compare with it.
                state.latest_manifest(&scan)?;
                Some(state.latest_record(&scan)?)
            }
            _ => None,
        };
        let record = job::foresee(&opened, &machine, self.policy, self.time, last.as_ref(), self.now)?;
        if is_text {
            text(&opened, &record, output)?;
        } else {
            output.json(&as_json(&opened, &record))?;
        }
        Ok(record.exit)
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

fn text(target: &Target, record: &ScanRecord, output: &mut Output) -> Result<()> {
    output.part();
    let mut say = |line: String| output.line(&report::escaped(&line));
    say(format!("{}: {}, machine {}", target.given, inspect::system(target), record.machine));
    for (path, volume) in mounted(target) {
        say(format!("  would scan {path} ({} on {})", volume.content, volume.id));
    }
    for hive in hives(target) {
        say(format!("  would scan {hive}"));
    }
    let style = output.style();
    report::text::write_coverage(output, record, style).map_err(|error| Error::io("report", "write", error))
}

fn as_json(target: &Target, record: &ScanRecord) -> serde_json::Value {
    let mounted =
        mounted(target).map(|(path, volume)| json!({"path": path, "fs": volume.content, "volume": volume.id}));
    let scanned: Vec<_> = mounted.chain(hives(target).map(|hive| json!({"path": hive}))).collect();
    let left_out: Vec<_> = left_out(target).map(|(volume, why)| json!({"volume": volume, "why": why})).collect();
    let coverage = record.coverage.iter();
    let coverage: Vec<_> =
        coverage.map(|row| json!({"state": row.state.as_str(), "name": row.name, "why": row.why})).collect();
    json!({
        "target": target.given, "machine": record.machine.as_str(), "due": true, "os": inspect::os(target),
        "would_scan": scanned, "cannot_scan": left_out, "coverage": coverage,
    })
}
