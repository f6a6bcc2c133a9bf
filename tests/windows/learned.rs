//! What a machine's registry tells about the machine, damaged: what it leads to is lost, and not deleted.

use std::{fs, path::PathBuf};

use crate::{
    hives,
    regf::put,
    runs::{Folder, Run},
    support::disk,
};

/// The file offset of the value of this name.
fn value(hive: &[u8], name: &str) -> usize {
    let named = |at: &usize| hive[*at..].starts_with(b"vk") && hive[at + 20..].starts_with(name.as_bytes());
    (0..hive.len() - 20 - name.len()).find(named).unwrap()
}

/// How a value comes to lack its name or data, by the offset of its record.
type Damage = fn(&mut [u8], usize);

const DAMAGED: [(&str, Damage); 5] = [
    ("no signature", |hive, at| hive[at] = 0),
    ("the data is outside", |hive, at| put(hive, at + 8, 0x7FFF_FFF8)),
    ("the data leaves its cell", |hive, at| put(hive, at + 4, 0x2000)),
    ("the name leaves its cell", |hive, at| hive[at + 3] = 0x10),
    ("the data is cut", |hive, at| put(hive, at + 4, 2)),
];

/// A folder with a policy of one rule, and what it says of an image on an evening.
struct Nights {
    folder: Folder,
    policy: PathBuf,
}

impl Nights {
    fn new(rule: &str) -> Self {
        let folder = Folder::new();
        let policy = folder.path("policy.toml");
        fs::write(&policy, format!("version = 1\n[[monitor]]\nname = \"rule\"\n{rule}\n")).unwrap();
        Self { folder, policy }
    }

    fn scan(&self, target: &str, evening: usize) -> Run {
        let target = self.folder.path(target);
        self.folder.night(&target, evening, &["--policy", self.policy.to_str().unwrap()])
    }
}

/// Writes the fixture's disk with another hive SYSTEM, which needs no log.
fn write_disk(nights: &Nights, name: &str, system: &[u8]) {
    let (_folder, path) = disk();
    let mut bytes = fs::read(path).unwrap();
    let (_, dirty) = hives::all().into_iter().find(|(name, _)| *name == "SYSTEM").unwrap();
    let at = (0..bytes.len()).step_by(512).find(|at| bytes[*at..].starts_with(&dirty)).unwrap();
    bytes[at..at + system.len()].copy_from_slice(system);
    fs::write(nights.folder.path(name), bytes).unwrap();
}

fn system() -> Vec<u8> {
    hives::all().into_iter().find(|(name, _)| *name == "SYSTEM.replayed").unwrap().1
}

#[test]
fn a_damaged_drive_letter_deletes_nothing() {
    for (what, damage) in DAMAGED {
        let nights = Nights::new(r"paths = ['E:\Data']");
        write_disk(&nights, "sound.raw", &system());
        let mut damaged = system();
        let at = value(&damaged, r"\DosDevices\E:");
        damage(&mut damaged, at);
        write_disk(&nights, "damaged.raw", &damaged);

        assert_eq!(nights.scan("sound.raw", 0).exits(0).out, "");
        let lost = nights.scan("damaged.raw", 1);
        assert_eq!(lost.events(), ["CoverageLost"], "{what}");
        lost.exits(5)
            .says(r"gap: path:E:\Data: entity not read: machine: HKLM\SYSTEM\MountedDevices could not be read");
        let kept = nights.scan("damaged.raw", 2).exits(4);
        assert_eq!(kept.out, "", "{what}");
        assert_eq!(nights.scan("sound.raw", 3).exits(1).events(), ["CoverageRestored"], "{what}");
        let nights = Nights::new(r"paths = ['E:\Data']");
        write_disk(&nights, "damaged.raw", &damaged);
        nights.scan("damaged.raw", 0).exits(4).says(r"gap: path:E:\Data");
    }
}
