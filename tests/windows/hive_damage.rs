//! Two states of a hive file, the second damaged and otherwise the same: what cannot be read of it is never taken for
//! deleted.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    hives::descriptors,
    regf::{self, Key, key, log, put},
};

/// The file offset of the first hive bin.
const BASE: usize = 4096;

/// What `diff` says between two states of the hive `SOFTWARE`, each with its log: `(change, key, value)`.
fn diff(old: (&[u8], &[u8]), new: (&[u8], &[u8])) -> Vec<(String, String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, (hive, log): (&[u8], &[u8])| {
        let path = folder.path().join(name);
        fs::write(&path, hive).unwrap();
        fs::write(Path::new(&format!("{}.LOG1", path.display())), log).unwrap();
        path
    };
    let (old, new) = (write("SOFTWARE.old", old), write("SOFTWARE.new", new));
    let output = Command::new(env!("CARGO_BIN_EXE_snapfim"))
        .args(["diff", "--profile", "full", "--format", "ndjson"])
        .args([old, new])
        .output()
        .unwrap();
    let events = String::from_utf8(output.stdout).unwrap();
    let column = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let events = events.lines().map(|event| serde_json::from_str(event).unwrap());
    let mut events: Vec<_> = events
        .map(|event: Value| {
            (column(&event, "ChangeType"), column(&event, "RegistryKey"), column(&event, "RegistryValueName"))
        })
        .collect();
    events.sort();
    events
}

/// The changes and how many there are of each.
fn kinds(events: &[(String, String, String)]) -> Vec<(&str, usize)> {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for (change, ..) in events {
        match kinds.last_mut() {
            Some((last, count)) if last == change => *count += 1,
            _ => kinds.push((change, 1)),
        }
    }
    kinds
}

/// A hive with keys below keys, and values.
fn sound() -> Vec<u8> {
    let policy = key("Policy").text("", 1, "unnamed").text("Secret", 1, "x").subkey(key("Accounts").subkey(key("S-1")));
    let run = key("Run").text("Agent", 1, "C:\\agent.exe").text("Other", 1, "C:\\other.exe");
    let root = Key { descriptor: Some(0), ..key("ROOT") };
    regf::write(5, &root.subkey(policy).subkey(run), &descriptors())
}

/// The file offset of the record that holds this name, `before` bytes from its start.
fn record(hive: &[u8], signature: &[u8; 2], before: usize, name: &str) -> usize {
    (BASE..hive.len() - before - name.len())
        .find(|at| hive[*at..].starts_with(signature) && hive[at + before..].starts_with(name.as_bytes()))
        .unwrap()
}

#[test]
fn a_count_of_0_beside_a_list_deletes_nothing() {
    for (name, at, lost) in [("Policy", 20, 2), ("Run", 36, 2)] {
        let mut damaged = sound();
        let key = record(&damaged, b"nk", 76, name);
        put(&mut damaged, key + at, 0);
        let events = diff((&sound(), b""), (&damaged, b""));
        assert_eq!(kinds(&events), [("Unreadable", lost)], "{events:?}");
    }
}

/// As hivex leaves it behind when it deletes the last subkey: `lh`, and no elements.
#[test]
fn a_count_of_0_beside_a_list_of_none_is_a_key_without_subkeys() {
    let mut deleted = sound();
    let key = record(&deleted, b"nk", 76, "Policy");
    let list = BASE + usize::try_from(regf::get(&deleted, key + 28)).unwrap() + 4;
    assert_eq!(&deleted[list..list + 4], b"lh\x01\0");
    deleted[list + 2] = 0;
    put(&mut deleted, key + 20, 0);
    let events = diff((&sound(), b""), (&deleted, b""));
    assert_eq!(kinds(&events), [("RegistryKeyDeleted", 2)], "{events:?}");
}

#[test]
fn a_class_name_that_leaves_its_cell_is_unreadable_and_not_another() {
    let root = Key { descriptor: Some(0), ..key("ROOT") };
    let hive = regf::write(5, &root.subkey(Key { class: Some("Shell".to_owned()), ..key("Run") }), &descriptors());
    let mut damaged = hive.clone();
    let key = record(&damaged, b"nk", 76, "Run");
    damaged[key + 75] = 0x10;
    let events = diff((&hive, b""), (&damaged, b""));
    assert_eq!(events, [("Unreadable".to_owned(), r"SOFTWARE\Run".to_owned(), String::new())]);
}

/// What there is of such a name is another key's or value's, which is new; the true one is not gone.
#[test]
fn a_name_that_leaves_its_cell_deletes_nothing() {
    for (signature, before, at, name, created, lost) in
        [(b"nk", 76, 73, "Policy", "RegistryKeyCreated", 5), (b"vk", 20, 3, "Agent", "RegistryValueSet", 1)]
    {
        let mut damaged = sound();
        let record = record(&damaged, signature, before, name);
        damaged[record + at] = 0x10;
        let events = diff((&sound(), b""), (&damaged, b""));
        let of = |kind: &str| events.iter().filter(|(change, ..)| change == kind).count();
        assert_eq!(of("Unreadable"), lost, "{events:#?}");
        assert_eq!((of("RegistryKeyDeleted"), of("RegistryValueDeleted")), (0, 0), "{events:#?}");
        assert!(of(created) > 0, "{events:#?}");
    }
}

#[test]
fn a_key_without_a_name_deletes_nothing() {
    // Also not where it says that it is the root, which may be without one.
    for flags in [0, 4] {
        let mut damaged = sound();
        let key = record(&damaged, b"nk", 76, "Policy");
        damaged[key + 2] |= flags;
        damaged[key + 72] = 0;
        let events = diff((&sound(), b""), (&damaged, b""));
        assert_eq!(kinds(&events), [("Unreadable", 5)], "{events:#?}");
    }
}

/// A hive in the middle of a write, and the entries of its log, which add to keys that are there and to one that is
/// not.
fn dirty() -> (Vec<u8>, [Vec<u8>; 2]) {
    let first = || key("Run").text("Agent", 1, "C:\\agent.exe");
    let second = || first().text("Other", 1, "C:\\other.exe").subkey(key("Once"));
    let third = || second().subkey(key("Services"));
    let [first, second, third] = [first(), second(), third()].map(|run| {
        let root = Key { descriptor: Some(0), ..key("ROOT") };
        regf::write(5, &root.subkey(run), &descriptors())
    });
    let entries = [log::step(100, &first, &second), log::step(101, &second, &third)];
    (log::dirty(&first, 100), entries)
}

#[test]
fn a_log_that_is_damaged_deletes_nothing() {
    let (hive, [one, two]) = dirty();
    let sound = log::log(&hive, 100, &[one.clone(), two.clone()]);
    assert_eq!(diff((&hive, &sound), (&hive, &sound)), []);
    let mut base = sound.clone();
    base[0x24] ^= 1;
    let mut entry = sound.clone();
    entry[512 + 10] ^= 1;
    let mut last = sound.clone();
    last[512 + one.len() + 10] ^= 1;
    let cut = sound[..sound.len() - 512].to_vec();
    for (log, lost) in [(base, 3), (entry, 3), (last, 1), (cut, 1)] {
        let events = diff((&hive, &sound), (&hive, &log));
        assert_eq!(kinds(&events), [("Unreadable", lost)], "{events:#?}");
    }
}
