//! The proof that a scan ran: what belongs to the run and not to the disk.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ChangeType, FileProof, MachineName, ScanId, Tally, Window, write_json};
use crate::severity::Severity;
use crate::text::hex;

/// The version of [`ScanRecord`].
const VERSION: u32 = 1;

/// How many gaps and notes a record lists; each stands in the manifest too, and the rest is counted.
pub const MAX_COVERAGE: usize = 1000;

/// What notes of monitored paths that are not there are called.
pub const ABSENT: &str = "absent";

/// The name of the note that the policy takes nothing of a target.
pub const UNMONITORED: &str = "policy";

/// The name of the note that a machine with scans on record begins anew.
pub const ANEW: &str = "baseline";

/// How the last field of a record's text begins, and how it ends. It holds the SHA-256 of the text without it.
const SEAL: (&[u8], &[u8]) = (b",\"RecordSha256\":\"", b"\"}\n");

/// Whether a record's text is another one than that which was written. One without a seal, of before there were any,
/// may be right: it ends with a number or an object, and never with a string.
pub(super) fn is_damaged(text: &[u8]) -> bool {
    let is_whole = || {
        let (rest, sum) = text.strip_suffix(SEAL.1)?.split_last_chunk::<64>()?;
        let hash = Sha256::new().chain_update(rest.strip_suffix(SEAL.0)?).chain_update(b"}").finalize();
        Some(hex(&hash).as_bytes() == sum)
    };
    text.trim_ascii_end().ends_with(b"\"}") && is_whole() != Some(true)
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The manifest is written, and `latest` names it.
    Complete,
    /// There is no manifest, and `latest` is as it was.
    Failed,
}

/// A file or device of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TargetFile {
    /// The path on the host.
    pub path: String,
    /// The container's format, as `raw`, `qcow2`.
    pub container: String,
    /// Bytes of the file on the host.
    pub size: u64,
    /// Bytes of the disk inside.
    pub disk_size: u64,
    /// When the file was last modified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}

/// How many bytes a scan dealt with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Bytes {
    /// Read from the target.
    pub read: u64,
    /// Of content that was hashed.
    pub hashed: u64,
    /// Of content whose hash was taken over from the scan before.
    pub taken_over: u64,
}

/// Whether something in the coverage list matters to the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CoverageState {
    /// Something monitored could not be read.
    Gap,
    /// A gap that the policy accepts by name.
    Accepted,
    /// Worth knowing.
    Note,
}

impl CoverageState {
    /// The name in a record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Accepted => "accepted",
            Self::Note => "note",
        }
    }
}

/// A row of the coverage list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Coverage {
    /// Gap or note.
    pub state: CoverageState,
    /// The name by which a policy accepts it: `volume:@8f3c…`, `path:/var/lib/x`.
    pub name: String,
    /// The reason, for people, in one line.
    pub why: String,
}

/// What is kept of every scan, a failed one and one without changes too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScanRecord {
    /// The version of this form, 1.
    pub version: u32,
    /// Name and version of the program.
    pub tool: String,
    /// The machine's name.
    pub machine: MachineName,
    /// The scan.
    pub scan_id: ScanId,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The exit code that the scan gives by itself.
    pub exit: u8,
    /// The target as the person named it.
    pub target: String,
    /// What it consists of.
    #[serde(default)]
    pub files: Vec<TargetFile>,
    /// The host name inside the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computer: Option<String>,
    /// The operating system inside the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The complete scan that this one was compared with; none at the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<ScanId>,
    /// From the snapshot before to this one; none where the scan failed before it was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// When the scan started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Milliseconds that it took.
    pub duration_ms: u64,
    /// How often the machine is to be scanned, in seconds, where the run said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<i64>,
    /// Entities by the kinds of a manifest, without faults.
    #[serde(default)]
    pub entities: BTreeMap<String, u64>,
    /// Records of kind `fault`.
    #[serde(default)]
    pub faults: u64,
    /// Last good records that are carried for what is lost.
    #[serde(default)]
    pub carried: u64,
    /// Events by what happened.
    #[serde(default)]
    pub changes: BTreeMap<ChangeType, u64>,
    /// Events by severity.
    #[serde(default)]
    pub severities: BTreeMap<Severity, u64>,
    /// How many bytes it dealt with.
    #[serde(default)]
    pub bytes: Bytes,
    /// Gaps and notes, at most [`MAX_COVERAGE`] of them.
    #[serde(default)]
    pub coverage: Vec<Coverage>,
    /// Gaps, accepted ones and notes, all of them.
    #[serde(default)]
    pub coverage_counts: BTreeMap<CoverageState, u64>,
    /// The policy's profile or file, for people.
    #[serde(default)]
    pub policy: String,
    /// SHA-256 of the effective policy; empty where the scan failed before it was known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy_sha256: String,
    /// Threads that hashed.
    #[serde(default)]
    pub threads: u64,
    /// The manifest's file; none where the scan failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<FileProof>,
    /// The file of its events; none where there are no events, and in records of before this was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<FileProof>,
}

impl ScanRecord {
    /// The record of a scan that has just started, and has failed until it is complete.
    #[must_use]
    pub fn new(machine: MachineName, scan_id: ScanId, started: Timestamp, target: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            tool: concat!("snapfim ", env!("CARGO_PKG_VERSION")).to_owned(),
            machine,
            scan_id,
            outcome: Outcome::Failed,
            error: None,
            exit: 0,
            target: target.into(),
            files: Vec::new(),
            computer: None,
            os: None,
            previous: None,
            window: None,
            started,
            ended: started,
            duration_ms: 0,
            every_seconds: None,
            entities: BTreeMap::new(),
            faults: 0,
            carried: 0,
            changes: BTreeMap::new(),
            severities: BTreeMap::new(),
            bytes: Bytes::default(),
            coverage: Vec::new(),
            coverage_counts: BTreeMap::new(),
            policy: String::new(),
            policy_sha256: String::new(),
            threads: 0,
            manifest: None,
            events: None,
        }
    }

    /// The text of its file: one line, sealed.
    pub(super) fn sealed(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        write_json(&mut text, self)?;
        let sum = hex(&Sha256::digest(&text));
        text.pop();
        text.write_all(&[SEAL.0, sum.as_bytes(), SEAL.1].concat())?;
        Ok(text)
    }

    /// Notes when the scan ended.
    pub fn end(&mut self, now: Timestamp) {
        self.ended = now;
        self.duration_ms = u64::try_from(now.duration_since(self.started).as_millis()).unwrap_or(0);
    }

    /// Counts a gap or a note, and lists it while there is room; gaps take the room of notes.
    ///
    /// What both sides of a comparison lack, or two parts of a target say alike, counts once.
    pub fn cover(&mut self, row: Coverage) {
        if self.coverage.contains(&row) {
            return;
        }
        let count = self.coverage_counts.entry(row.state).or_default();
        *count = count.saturating_add(1);
        if self.coverage.len() >= MAX_COVERAGE {
            let least = self.coverage.iter().rposition(|listed| listed.state > row.state);
            let Some(least) = least else { return };
            self.coverage.remove(least);
        }
        self.coverage.push(row);
    }

    /// Counts so many more gaps or notes, of which nothing is listed.
    pub fn cover_unlisted(&mut self, state: CoverageState, more: u64) {
        if more > 0 {
            let count = self.coverage_counts.entry(state).or_default();
            *count = count.saturating_add(more);
        }
    }

    /// Sets how many events there are.
    pub fn tally(&mut self, tally: &Tally) {
        self.changes.clone_from(&tally.types);
        self.severities.clone_from(&tally.severities);
    }

    /// Whether this scan is the first of its machine, with which the next is compared. A comparison of two targets
    /// leaves no manifest, and is none.
    #[must_use]
    pub fn is_baseline(&self) -> bool {
        self.previous.is_none() && self.manifest.is_some()
    }

    /// Whether the machine begins anew with it, though there were scans before.
    #[must_use]
    pub fn is_anew(&self) -> bool {
        self.is_baseline() && self.coverage.iter().any(|row| row.name == ANEW)
    }

    /// How many entities were seen.
    #[must_use]
    pub fn entities_total(&self) -> u64 {
        self.entities.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// How many records the manifest has.
    #[must_use]
    pub fn records_total(&self) -> u64 {
        self.entities_total().saturating_add(self.faults)
    }

    /// How many events there are.
    #[must_use]
    pub fn changes_total(&self) -> u64 {
        self.changes.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// How many gaps, accepted gaps or notes there are, listed or not.
    #[must_use]
    pub fn coverage_count(&self, state: CoverageState) -> u64 {
        self.coverage_counts.get(&state).copied().unwrap_or(0)
    }

    /// How many rows of the coverage list are counted and not listed.
    #[must_use]
    pub fn coverage_unlisted(&self) -> u64 {
        let all = self.coverage_counts.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        all.saturating_sub(self.coverage.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_of_a_text_shows() {
        let start = "2026-11-20T19:00:00Z".parse().unwrap();
        let record = ScanRecord::new(MachineName::given("web01").unwrap(), ScanId::at(start), start, "web01.raw");
        let text = record.sealed().unwrap();
        assert!(!is_damaged(&text));
        assert_eq!(serde_json::from_slice::<ScanRecord>(&text).unwrap(), record);
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut changed = text.clone();
                changed[at] ^= 1 << bit;
                let is_none = serde_json::from_slice::<ScanRecord>(&changed).is_err();
                assert!(is_none || is_damaged(&changed), "bit {bit} of byte {at}");
            }
        }
        assert!(is_damaged(text.trim_ascii_end()), "without its newline");
        assert!(is_damaged(&[text.as_slice(), b"\n"].concat()), "with one more");
        // As it was written before.
        let mut unsealed = Vec::new();
        write_json(&mut unsealed, &record).unwrap();
        assert!(!is_damaged(&[unsealed.as_slice(), b"\n"].concat()));
    }
}
