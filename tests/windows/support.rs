//! The fixture's disk, and manifests in memory.

use std::{
    collections::BTreeMap,
    io::{Seek, SeekFrom},
    path::{Path, PathBuf},
};

use snapfim::{
    machine::Machine,
    manifest::{Kind, Reader, Record},
    policy::Policy,
    scan::{self, Budgets, Options, Progress},
    target::{self, Target},
};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/windows")
}

/// The rows of a table, by column.
pub(crate) fn table(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(fixtures().join(name)).unwrap();
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// The fixture's disk as a file of its own.
pub(crate) fn disk() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.raw");
    let packed = std::fs::File::open(fixtures().join("disk.raw.zst")).unwrap();
    std::fs::write(&path, zstd::decode_all(packed).unwrap()).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

pub(crate) fn open(path: &str) -> Target {
    target::open(path.as_ref(), &target::Options::default()).unwrap()
}

/// What a scan found.
pub(crate) struct Found {
    pub(crate) records: Vec<Record>,
    pub(crate) notes: Vec<String>,
}

impl Found {
    /// The records of a kind, by path and name.
    pub(crate) fn of(&self, kind: Kind) -> BTreeMap<(String, String), &Record> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let wanted = self.records.iter().filter(|record| record.kind == kind);
        wanted.map(|record| ((text(&record.path), text(&record.name)), record)).collect()
    }

    pub(crate) fn has_note(&self, words: &str) -> bool {
        self.notes.iter().any(|note| note.contains(words))
    }
}

/// Scans under a policy document, with two threads.
pub(crate) fn scan(target: &Target, policy: &str) -> Found {
    scan_machine(&target.machine, policy)
}

/// The same of a machine.
pub(crate) fn scan_machine(machine: &Machine, policy: &str) -> Found {
    let policy = Policy::parse(policy, "test.toml", &[]).unwrap().for_machine("test").unwrap();
    let temp = tempfile::tempdir().unwrap();
    let options = Options { threads: 2, budgets: Budgets::default(), temp: temp.path(), reuse: None };
    let file = tempfile::tempfile().unwrap();
    let scanned = scan::scan(machine, policy, &options, &Progress::default(), file).unwrap();
    let mut file = scanned.out;
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut reader = Reader::new("test", file).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        records.push(record);
    }
    Found { records, notes: scanned.seen.notes.iter().map(|note| note.text().to_owned()).collect() }
}

pub(crate) const FULL: &str = "version = 1\nprofiles = [\"full\"]\n";
