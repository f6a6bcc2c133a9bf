//! What a machine's registry tells about the machine, damaged: what it leads to is lost, and not deleted.

use std::{fs, path::PathBuf};

use crate::{
    hives,
    regf::{self, Key, key, put},
    runs::{Folder, Run, newest_manifest, records},
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

/// Writes a directory with the hives of a Windows and of two users.
fn write_tree(nights: &Nights, name: &str, system: &[u8], software: &[u8]) {
    let config = nights.folder.path(name).join("Windows/System32/config");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("SYSTEM"), system).unwrap();
    fs::write(config.join("SOFTWARE"), software).unwrap();
    fs::write(config.join("DEFAULT"), hive([])).unwrap();
    let hives = hives::all();
    for user in ["alice", "bob"] {
        let folder = nights.folder.path(name).join("Users").join(user);
        let classes = folder.join("AppData/Local/Microsoft/Windows");
        fs::create_dir_all(&classes).unwrap();
        let hive = |name: &str| &hives.iter().find(|(hive, _)| *hive == name).unwrap().1;
        fs::write(folder.join("NTUSER.DAT"), hive("alice.NTUSER.DAT")).unwrap();
        fs::write(classes.join("UsrClass.dat"), hive("alice.UsrClass.dat")).unwrap();
    }
}

fn hive(keys: impl IntoIterator<Item = Key>) -> Vec<u8> {
    let root = Key { descriptor: Some(0), ..key("ROOT") };
    regf::write(5, &keys.into_iter().fold(root, Key::subkey), &hives::descriptors())
}

/// The hive SYSTEM with two control sets, and with a service in the second.
fn control_sets(select: Key, start: u32) -> Vec<u8> {
    let service = key("Lab").value("Start", 4, start.to_le_bytes());
    hive([
        select,
        key("ControlSet001").subkey(key("Services").subkey(key("Old"))),
        key("ControlSet002").subkey(key("Services").subkey(service)),
    ])
}

fn select(data: &[u8]) -> Key {
    key("Select").value("Current", 4, data)
}

/// `ChangeType key` of every event.
fn events(run: &Run) -> Vec<String> {
    let of = |event: &serde_json::Value| {
        ["ChangeType", "RegistryKey"].map(|name| event[name].as_str().unwrap_or_default()).join(" ")
    };
    let mut events: Vec<_> = run.json().iter().map(|event| of(event).trim_end().to_owned()).collect();
    events.sort();
    events
}

#[test]
fn a_current_control_set_that_cannot_be_told_is_lost_and_compared_when_it_returns() {
    let current = select(&2_u32.to_le_bytes());
    let mut unknown: Vec<_> = DAMAGED
        .iter()
        .map(|(what, damage)| {
            let mut hive = control_sets(current.clone(), 3);
            let at = value(&hive, "Current");
            // Data of four bytes and less stands in the record.
            put(&mut hive, at + 4, 4);
            damage(&mut hive, at);
            (*what, hive)
        })
        .collect();
    for (what, select) in [
        ("no such value", key("Select")),
        ("no such key", key("Other")),
        ("two bytes", select(&[2, 0])),
        ("a set that is not there", select(&7_u32.to_le_bytes())),
    ] {
        unknown.push((what, control_sets(select, 3)));
    }
    let whether = r"gap: path:HKLM\SYSTEM\ControlSet002: listing not read: machine: whether it is CurrentControlSet";
    let mut unknown: Vec<_> = unknown.into_iter().map(|(what, hive)| (what, hive, whether)).collect();
    unknown.push(("no hive", b"regf".to_vec(), r"gap: path:HKLM\SYSTEM: entity not read"));
    for (what, damaged, gap) in unknown {
        let nights = Nights::new(r"registry = ['HKLM\SYSTEM\CurrentControlSet\Services']");
        write_tree(&nights, "sound", &control_sets(current.clone(), 3), &hive([]));
        write_tree(&nights, "damaged", &damaged, &hive([]));
        write_tree(&nights, "changed", &control_sets(current.clone(), 2), &hive([]));
        let services = r"SYSTEM\ControlSet002\Services";
        assert_eq!(nights.scan("sound", 0).exits(0).out, "");
        let lost = nights.scan("damaged", 1);
        let gone = ["", r"\Lab", r"\Lab"].map(|below| format!("Unreadable {services}{below}"));
        assert_eq!(events(&lost), gone, "{what}");
        lost.exits(5).says(gap);
        assert_eq!(nights.scan("damaged", 2).exits(4).out, "", "{what}");
        // Another policy that says the same of it takes nothing out of scope.
        let rule = "[[monitor]]\nname = \"other\"\npaths = ['C:\\x']\n";
        let policy = fs::read_to_string(&nights.policy).unwrap() + rule;
        fs::write(&nights.policy, policy).unwrap();
        assert_eq!(events(&nights.scan("damaged", 3)), ["PolicyChanged"], "{what}");
        let back = nights.scan("changed", 4).exits(1);
        assert_eq!(events(&back), [format!("RegistryValueSet {services}\\Lab")], "{what}");
    }
}

#[test]
fn a_hive_with_control_sets_that_are_monitored_by_themselves_needs_no_current_one() {
    let nights = Nights::new(r"registry = ['HKLM\**']");
    write_tree(&nights, "tree", &control_sets(key("Other"), 3), &hive([]));
    let run = nights.scan("tree", 0);
    assert!(!run.err.contains("CurrentControlSet"), "{}", run.err);
}

/// The hive SOFTWARE with a list of two profiles.
fn profiles() -> Vec<u8> {
    let profile = |sid: &str, path: &str| key(sid).text("ProfileImagePath", 2, path);
    let list = key("ProfileList")
        .subkey(profile("S-1-5-21-1-2-3-1001", r"C:\Users\alice"))
        .subkey(profile("S-1-5-21-1-2-3-1002", r"%SystemDrive%\Users\bob"));
    hive([key("Microsoft").subkey(key("Windows NT").subkey(key("CurrentVersion").subkey(list)))])
}

/// The file offset of the key of this name.
fn key_at(hive: &[u8], name: &str) -> usize {
    let named = |at: &usize| hive[*at..].starts_with(b"nk") && hive[at + 76..].starts_with(name.as_bytes());
    (0..hive.len() - 76 - name.len()).find(named).unwrap()
}

#[test]
fn a_profile_list_that_is_damaged_deletes_no_user() {
    let mut cases: Vec<_> = DAMAGED[..4]
        .iter()
        .map(|(what, damage)| {
            let mut hive = profiles();
            let at = value(&hive, "ProfileImagePath");
            damage(&mut hive, at);
            (*what, hive, r"gap: path:HKU\S-1-5-21-1-2-3-1001: entity not read: machine: where the profile of")
        })
        .collect();
    let all = "gap: path:HKU: listing not read: machine: the list of profiles cannot be read";
    for (what, at, byte) in [("no key", 0, 0), ("a name that leaves its cell", 73, 0x10)] {
        let mut hive = profiles();
        let key = key_at(&hive, "S-1-5-21-1-2-3-1001");
        hive[key + at] = byte;
        cases.push((what, hive, all));
    }
    let mut list = profiles();
    let key = key_at(&list, "ProfileList");
    put(&mut list, key + 28, 0x7FFF_FFF8);
    cases.push(("no list", list, all));
    cases.push(("no hive", Vec::new(), all));

    for (what, damaged, gap) in cases {
        let nights =
            Nights::new(r"registry = ['HKU\*\Software\Microsoft\Windows\CurrentVersion\Run', 'HKU\*_Classes']");
        write_tree(&nights, "sound", &hive([]), &profiles());
        write_tree(&nights, "damaged", &hive([]), &damaged);
        if damaged.is_empty() {
            fs::remove_file(nights.folder.path("damaged/Windows/System32/config/SOFTWARE")).unwrap();
        }
        let first = nights.scan("sound", 0);
        assert!(!first.err.contains("HKU"), "{}", first.err);
        let lost = nights.scan("damaged", 1).exits(5).says(gap);
        let lost = events(&lost);
        assert!(lost.iter().all(|event| event.starts_with("Unreadable S-1-5-21-1-2-3-100")), "{what}: {lost:?}");
        assert!(lost.iter().any(|event| event.ends_with("1001_Classes")), "{what}: {lost:?}");
        assert!(lost.iter().any(|event| event.ends_with(r"1001\Software\Microsoft\Windows\CurrentVersion\Run")));
        assert_eq!(nights.scan("damaged", 2).exits(4).out, "", "{what}");
        assert_eq!(nights.scan("sound", 3).out, "", "{what}: nothing changed");
    }
}

#[test]
fn users_whose_profiles_are_known_are_read_while_another_is_not() {
    let nights = Nights::new(r"registry = ['HKU\*\Software\Microsoft\Windows\CurrentVersion\Run']");
    let mut damaged = profiles();
    let at = key_at(&damaged, "S-1-5-21-1-2-3-1001");
    damaged[at] = 0;
    write_tree(&nights, "damaged", &hive([]), &damaged);
    nights.scan("damaged", 0).exits(4).says(r"gap: path:HKU\@Users\alice: entity not read");
    let manifest = records(&newest_manifest(&nights.folder.path("state")));
    assert!(manifest.contains(r"HKU\\S-1-5-21-1-2-3-1002\\Software"), "{manifest}");
}
