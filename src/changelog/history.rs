//! Manifests that are missing though scans on record name them: lost, or left behind by a person's decision.

use std::collections::BTreeMap;

use super::{MachineName, ScanId, ScanRecord, ScanRef};

/// What the records of complete scans say, and which of them have no manifest. Records come oldest first.
#[derive(Debug, Default)]
pub(super) struct Histories(BTreeMap<MachineName, History>);

#[derive(Debug, Default)]
pub(super) struct History {
    /// The newest scan that was compared with none.
    pub(super) baseline: Option<ScanId>,
    /// Scans whose manifests are missing.
    pub(super) missing: Vec<ScanId>,
}

impl Histories {
    /// Takes in the record of a complete scan.
    pub(super) fn see(&mut self, scan: &ScanRef, record: &ScanRecord, has_manifest: bool) {
        let history = self.0.entry(scan.machine.clone()).or_default();
        if record.previous.is_none() {
            history.baseline = Some(scan.scan_id);
        }
        if !has_manifest {
            history.missing.push(scan.scan_id);
        }
    }

    /// Every machine's, by its name.
    pub(super) fn into_each(self) -> impl Iterator<Item = (MachineName, History)> {
        self.0.into_iter()
    }
}

impl History {
    /// The scans whose manifests are missed: none of those before the baseline, with which no scan is compared any more.
    pub(super) fn missed(&self) -> &[ScanId] {
        let from = self.baseline.map_or(0, |baseline| self.missing.partition_point(|scan_id| *scan_id < baseline));
        self.missing.get(from..).unwrap_or_default()
    }
}
