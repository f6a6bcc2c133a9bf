//! How a machine stands: one row each.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::cadence::{is_overdue, is_stale};
use super::{CoverageState, MachineName, Outcome, ScanId, ScanRecord, ScanRef, State};
use crate::error::Result;

/// The days over which changes are summed.
pub const DAYS: i64 = 7;

/// A machine's row.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineStatus {
    /// Its name.
    pub machine: MachineName,
    /// Its newest complete scan.
    pub last: Option<ScanRecord>,
    /// Time since that scan started; below zero where a clock was wrong.
    pub age: Option<SignedDuration>,
    /// Time since the snapshot that it saw was taken, where that is known.
    pub snapshot_age: Option<SignedDuration>,
    /// Whether that snapshot was too old at the scan to be a new one: nobody takes them any more.
    pub stale: bool,
    /// Events that the scans of the last [`DAYS`] days found, whenever they happened.
    pub changes: u64,
    /// Gaps in the coverage of the newest complete scan that the policy does not accept.
    pub gaps: u64,
    /// How often it is to be scanned: as asked now, else as its newest scan said.
    pub every: Option<SignedDuration>,
    /// Whether it has missed its time, or was never scanned in full.
    pub overdue: bool,
    /// The newest scan, where it failed after the newest complete one, and why.
    pub failed: Option<(ScanId, String)>,
    /// What of its state cannot be read, in one line.
    pub problem: Option<String>,
}

impl State {
    /// Every machine's row, sorted by name. `every` stands in for what the scans said.
    ///
    /// # Errors
    /// [`Error::State`](crate::error::Error::State) when the state as a whole cannot be read.
    pub fn status(&self, every: Option<SignedDuration>, now: Timestamp) -> Result<Vec<MachineStatus>> {
        let week = now.checked_sub(SignedDuration::from_hours(DAYS.saturating_mul(24))).unwrap_or(Timestamp::MIN);
        let machines: Vec<_> = self.machines()?.into_iter().map(|m| (self.latest(&m), m)).collect();
        // Failures since a machine's newest complete scan count, however long ago that is.
        let oldest = machines.iter().map(|(latest, _)| match latest {
            Ok(Some(latest)) => latest.time(),
            _ => Timestamp::MIN,
        });
        let since = oldest.min().unwrap_or(week).min(week);
        let mut scans: BTreeMap<MachineName, Vec<ScanRef>> = BTreeMap::new();
        for scan in self.scans(None, Some(since))? {
            scans.entry(scan.machine.clone()).or_default().push(scan);
        }
        let none = Vec::new();
        Ok(machines
            .into_iter()
            .map(|(latest, machine)| {
                let scans = scans.get(&machine).unwrap_or(&none);
                self.machine_status(machine, latest, scans, every, week, now)
            })
            .collect())
    }

    fn machine_status(
        &self,
        machine: MachineName,
        latest: Result<Option<ScanId>>,
        scans: &[ScanRef],
        every: Option<SignedDuration>,
        week: Timestamp,
        now: Timestamp,
    ) -> MachineStatus {
        let mut problem = None;
        let latest = latest.unwrap_or_else(|error| {
            problem = Some(error.to_string());
            None
        });
        let mut row = MachineStatus {
            machine,
            last: None,
            age: None,
            snapshot_age: None,
            stale: false,
            changes: 0,
            gaps: 0,
            every,
            overdue: false,
            failed: None,
            problem,
        };
        let newest_first = scans.iter().rev();
        for scan in newest_first.filter(|scan| scan.scan_id.time() >= week || Some(scan.scan_id) >= latest) {
            match self.record(scan) {
                Ok(Some(record)) => row.take(record, latest, week),
                Ok(None) => {}
                Err(error) => row.problem = Some(error.to_string()),
            }
        }
        if let (None, Some(latest)) = (&row.last, latest) {
            row.problem.get_or_insert_with(|| format!("the record of the newest complete scan, {latest}, is missing"));
        }
        if let (Some(last), None) = (&row.last, &row.problem) {
            let scan = ScanRef { machine: row.machine.clone(), scan_id: last.scan_id };
            row.problem = self.is_comparable(&scan, last).err().map(|error| error.to_string());
        }
        row.age = row.last.as_ref().map(|last| now.duration_since(last.started));
        row.every =
            row.every.or_else(|| row.last.as_ref().and_then(|last| last.every_seconds).map(SignedDuration::from_secs));
        let started = row.last.as_ref().map(|last| last.started);
        if let Some((started, window)) = row.last.as_ref().and_then(|last| Some((last.started, last.window?))) {
            row.snapshot_age = Some(now.duration_since(window.to));
            row.stale = is_stale(window.to, started, row.every);
        }
        row.overdue = started.is_none() || row.every.is_some_and(|every| is_overdue(started, every, now));
        row
    }
}

impl MachineStatus {
    /// Takes in a scan's record; newer ones come first.
    fn take(&mut self, record: ScanRecord, latest: Option<ScanId>, week: Timestamp) {
        match record.outcome {
            Outcome::Failed if self.failed.is_none() && Some(record.scan_id) > latest => {
                self.failed = Some((record.scan_id, record.error.unwrap_or_default()));
            }
            // What is newer than `latest` was killed, and has not happened.
            Outcome::Complete if Some(record.scan_id) <= latest => {
                if record.scan_id.time() > week {
                    self.changes = self.changes.saturating_add(record.changes_total());
                }
                if Some(record.scan_id) == latest {
                    self.gaps = record.coverage_count(CoverageState::Gap);
                    self.last = Some(record);
                }
            }
            _ => {}
        }
    }
}
