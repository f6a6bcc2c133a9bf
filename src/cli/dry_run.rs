//! `snapfim scan --dry-run`: what of a target would be scanned, and what cannot be.

use serde_json::json;

use super::{args::ReportFormat, inspect, output::Output};
use crate::{
    machine::{Mount, State, Volume},
    report,
    target::Target,
};

/// Prints it: for people, or as one line of JSON.
pub(super) fn print(target: &Target, format: ReportFormat, output: &mut Output) {
    match format {
        ReportFormat::Text => text(target, output),
        ReportFormat::Ndjson => output.line(&as_json(target).to_string()),
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
