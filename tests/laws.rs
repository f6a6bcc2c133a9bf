//! The laws of the architecture, through the real binary: see `docs/architecture.md`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "what fails here is the test")]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use serde_json::Value as Json;
use support::{Folder, disk, newest_manifest, planted, records, snapfim, table, write_disk};

/// The manifest of a target under the profile `full`, as printed: its header and all its records.
fn manifest_of(target: &Path, more: &[&str]) -> String {
    let folder = Folder::new();
    folder.night(target, 0, more).exits(0);
    let newest = newest_manifest(&folder.path("state"));
    let header = snapfim(["manifest".as_ref(), newest.as_os_str(), "--header".as_ref()]).exits(0).out;
    header + &records(&newest)
}

fn assert_same(one: &str, other: &str) {
    let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    assert_eq!(differs, None);
    assert_eq!(one.lines().count(), other.lines().count());
}

/// Law 1.
#[test]
fn the_same_disk_in_another_container_gives_the_same_manifest() {
    let folder = Folder::new();
    let raw = manifest_of(&folder.disk("day0.raw", 0), &[]);
    assert!(raw.lines().count() > 440);
    for (number, part) in disk(0).chunks(10 << 20).enumerate() {
        write_disk(&folder.path(&format!("split.{:03}", number + 1)), part, 0);
    }
    assert_same(&raw, &manifest_of(&folder.path("split.001"), &[]));
    let packed = zstd::decode_all(fs::read(support::fixture("day0.qcow2.zst")).unwrap().as_slice()).unwrap();
    fs::write(folder.path("day0.qcow2"), packed).unwrap();
    assert_same(&raw, &manifest_of(&folder.path("day0.qcow2"), &[]));
}

/// Law 2.
#[test]
fn one_thread_and_four_give_the_same_manifest() {
    let folder = Folder::new();
    let image = folder.disk("day1.raw", 1);
    let one = manifest_of(&image, &["--threads", "1"]);
    for _ in 0..3 {
        assert_same(&one, &manifest_of(&image, &["--threads", "4"]));
    }
}

/// Law 3, first half.
#[test]
fn a_disk_compared_with_itself_has_no_changes() {
    let folder = Folder::new();
    let image = folder.disk("day1.raw", 1);
    let args = ["diff".as_ref(), image.as_os_str(), image.as_os_str(), "--format".as_ref(), "ndjson".as_ref()];
    assert_eq!(snapfim(args).exits(0).out, "");
    folder.night(&image, 0, &[]).exits(0);
    assert_eq!(folder.night(&image, 1, &[]).exits(0).out, "");
}

#[test]
fn exactly_the_planted_edits_are_found() {
    let folder = Folder::new();
    folder.night(&folder.disk("day0.raw", 0), 0, &[]).exits(0);
    assert_eq!(folder.night(&folder.disk("day1.raw", 1), 1, &[]).exits(1).events(), planted());
}

#[test]
fn a_change_of_the_mtime_alone_is_found_where_a_rule_compares_it() {
    let folder = Folder::new();
    let policy = folder.path("policy.toml");
    let text = "version = 1\n[[monitor]]\nname = \"times\"\npaths = [\"/usr/bin/sort\"]\ncompare = [\"default\", \"+mtime\"]\n";
    fs::write(&policy, text).unwrap();
    let more = ["--policy", policy.to_str().unwrap()];
    folder.night(&folder.disk("day0.raw", 0), 0, &more).exits(0);
    let run = folder.night(&folder.disk("day1.raw", 1), 1, &more).exits(1);
    assert_eq!(run.events(), ["Modified /usr/bin/sort"]);
    assert_eq!(run.json()[0]["Ext"]["FieldsChanged"], serde_json::json!(["mtime"]));
}

/// Law 4: what debugfs and mtools list is in the manifest, with what they see of it, and nothing else is.
#[test]
fn what_other_tools_list_is_in_the_manifest() {
    for day in [0, 1] {
        let folder = Folder::new();
        folder.night(&folder.disk("m.raw", day), 0, &[]).exits(0);
        let text = records(&newest_manifest(&folder.path("state")));
        let mut seen: BTreeMap<String, Json> = BTreeMap::new();
        for line in text.lines() {
            let record: Json = serde_json::from_str(line).unwrap();
            assert_ne!(record["kind"], "fault", "{line}");
            seen.insert(record["path"].as_str().unwrap().to_owned(), record);
        }
        let rows = table(&format!("truth-day{day}.tsv"));
        for row in &rows {
            let mount = match row[0].as_str() {
                "boot" => "/boot",
                "esp" => "/boot/efi",
                _ => "",
            };
            let path = format!("{mount}{}", row[1]);
            // A directory that a volume is mounted on shows the volume's root.
            let Some(record) = seen.remove(&path) else { panic!("{path} of the oracle is not in the manifest") };
            if ["/boot", "/boot/efi", "/tmp"].contains(&path.as_str()) {
                continue;
            }
            let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            assert_eq!(text("kind"), row[2], "{path}");
            assert_eq!(text("sha256"), row[12], "{path}");
            assert_eq!(text("target"), row[13], "{path}");
            assert_eq!(text("rdev"), row[14], "{path}");
            if row[0] != "esp" {
                let mode = |text: &str| u32::from_str_radix(text, 8).unwrap();
                assert_eq!(mode(&text("mode")), mode(&row[3]), "{path}");
                assert_eq!(record["uid"].to_string(), row[4], "{path}");
                assert_eq!(record["gid"].to_string(), row[5], "{path}");
                assert_eq!(record["nlink"].to_string(), row[6], "{path}");
                assert_eq!(text("id").split(':').next().unwrap(), row[7], "{path}");
                for (name, column) in [("mtime", 9), ("ctime", 10), ("crtime", 11)] {
                    let time: jiff::Timestamp = text(name).parse().unwrap();
                    assert_eq!(time.as_nanosecond().to_string(), row[column], "{path} {name}");
                }
            }
            if row[2] == "file" {
                assert_eq!(record["size"].to_string(), row[8], "{path}");
            }
            let named = ["acl", "caps"].iter().filter(|name| record.get(**name).is_some()).count();
            let other = record["xattrs"].as_object().map_or(0, |map| map.len());
            assert_eq!(named + other, row[15].split(';').filter(|name| !name.is_empty()).count(), "{path}");
        }
        let left: Vec<_> = seen.into_keys().collect();
        assert_eq!(left, ["/"], "only the root has no entry of its own");
    }
}

/// Law 5, as long as nothing is taken over from an earlier scan.
#[test]
fn a_rescan_gives_the_same_manifest() {
    let folder = Folder::new();
    let image = folder.disk("day1.raw", 1);
    folder.night(&folder.disk("day0.raw", 0), 0, &[]).exits(0);
    folder.night(&image, 1, &[]).exits(1);
    let after_another = records(&newest_manifest(&folder.path("state")));
    folder.night(&image, 2, &[]).exits(0);
    let again = records(&newest_manifest(&folder.path("state")));
    assert_same(&after_another, &again);
    let fresh = manifest_of(&image, &[]);
    assert_same(&after_another, fresh.split_once('\n').unwrap().1);
}

/// Law 8.
#[test]
fn nothing_is_ever_written_to_a_target() {
    let folder = Folder::new();
    let image = folder.disk("day1.raw", 1);
    fs::set_permissions(&image, fs::Permissions::from_mode(0o444)).unwrap();
    let stat = || {
        let meta = fs::metadata(&image).unwrap();
        (meta.mode(), meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec(), meta.blocks())
    };
    let before = stat();
    let path = image.to_str().unwrap();
    folder.night(&image, 1, &[]).exits(0);
    folder.night(&image, 2, &["--dry-run"]).exits(0);
    snapfim(["diff", path, path]).exits(0);
    snapfim(["inspect", path]).exits(0);
    snapfim(["cat", path, "/etc/passwd"]).exits(0).prints("toor:x:0:0");
    assert_eq!(stat(), before);
    assert!(fs::read(&image).unwrap() == disk(1), "bytes of the target changed");
}
