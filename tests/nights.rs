//! The unhappy nights: what is lost, damaged, healed, renamed, older, empty or busy, and what an administrator is
//! told about it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is the test")]

#[path = "nights/policies.rs"]
mod policies;
#[path = "nights/state.rs"]
mod state;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use support::{EVENINGS, Folder, disk, newest_manifest, place, planted, snapfim};

/// A disk whose bytes at a place of `places.tsv` are zeros.
fn without(what: &str) -> impl FnOnce(&mut Vec<u8>) {
    let (at, len) = place(what);
    move |bytes| bytes[at..at + len].fill(0)
}

/// A disk with one flipped byte at a place of `places.tsv`.
fn flipped(what: &str, offset: usize) -> impl FnOnce(&mut Vec<u8>) {
    let at = place(what).0 + offset;
    move |bytes| bytes[at] ^= 0xff
}

fn baseline(folder: &Folder) {
    folder.night(&folder.disk("day0.raw", 0), 0, &[]).exits(0).says("the baseline is written");
}

fn state_files(folder: &Folder, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path("state/machines/web01")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(end));
    files.sort();
    files
}

#[test]
fn a_volume_that_is_gone_today_is_compared_when_it_is_back() {
    let folder = Folder::new();
    baseline(&folder);
    let run = folder.night(&folder.disk_with("gone.raw", 0, without("boot:superblock")), 1, &[]).exits(5);
    assert_eq!(run.events(), ["CoverageLost"], "one event for the whole volume, and nothing deleted");
    assert_eq!(run.json()[0]["Ext"]["Entities"], 10, "those of /boot but for the ESP");
    run.says("gap");
    let still = folder.night(&folder.disk_with("still.raw", 0, without("boot:superblock")), 2, &[]).exits(4);
    assert_eq!(still.out, "", "it is lost once");
    let back = folder.night(&folder.disk("day1.raw", 1), 3, &[]).exits(1);
    let mut expected = planted();
    expected.insert(0, "CoverageRestored".to_owned());
    expected.sort();
    assert_eq!(back.events(), expected);
    let history = folder.read(&["history", "/boot/grub/grub.cfg", "--format", "ndjson"]).exits(0);
    assert_eq!(history.events(), ["CoverageLost", "CoverageRestored", "Modified /boot/grub/grub.cfg"]);
    folder.read(&["verify"]).exits(0);
}

#[test]
fn a_file_that_was_unreadable_is_compared_with_its_last_good_record() {
    let folder = Folder::new();
    baseline(&folder);
    let broken = folder.disk_with("broken.raw", 0, flipped("root:inode:/usr/bin/passwd", 40));
    let run = folder.night(&broken, 1, &[]).exits(5).says("inode 180");
    assert_eq!(run.events(), ["Unreadable /usr/bin/passwd"]);
    folder.night(&broken, 2, &[]).exits(4);
    let healed = folder.night(&folder.disk("day1.raw", 1), 3, &[]).exits(1);
    assert_eq!(healed.events(), planted());
    let event =
        healed.json().into_iter().find(|event| event["FileName"] == "passwd" && event["FilePath"] == "/usr/bin/");
    let event = event.unwrap();
    assert_eq!(event["Ext"]["FieldsChanged"], serde_json::json!(["sha256"]));
    assert_eq!(event["Ext"]["Findings"], serde_json::json!(["timestomp"]));
}

#[test]
fn a_file_that_heals_unchanged_is_no_change() {
    let folder = Folder::new();
    baseline(&folder);
    let broken = folder.disk_with("broken.raw", 0, flipped("root:inode:/usr/bin/cat", 40));
    assert_eq!(folder.night(&broken, 1, &[]).exits(5).events(), ["Unreadable /usr/bin/cat"]);
    assert_eq!(folder.night(&folder.disk("day0.raw", 0), 2, &[]).exits(0).out, "");
}

#[test]
fn what_stands_in_a_damaged_directory_is_not_deleted() {
    for what in ["root:block:/usr/bin", "root:block:/etc", "root:block:/usr", "root:inode:/etc/ssh", "boot:block:/grub"]
    {
        for gone in [true, false] {
            let folder = Folder::new();
            baseline(&folder);
            let broken = match gone {
                true => folder.disk_with("broken.raw", 0, without(what)),
                // The last bytes are the checksum of a block, or padding that the checksum of an inode covers.
                false => folder.disk_with("broken.raw", 0, flipped(what, place(what).1 - 2)),
            };
            let run = folder.night(&broken, 1, &[]);
            assert!(run.code == 5 || run.code == 4 && !gone, "{what}: {run:?}");
            let strange: Vec<_> = run.events().into_iter().filter(|event| is_lost(event)).collect();
            assert_eq!(strange, Vec::<String>::new(), "{what} damaged");
            assert!(!run.out.contains("contradict each other"), "{what}: the cause is what was read: {}", run.out);
            let back = folder.night(&folder.disk("day1.raw", 1), 2, &[]).exits(1);
            let events: Vec<_> = back.events().into_iter().filter(|event| is_lost(event)).collect();
            assert_eq!(events, planted(), "{what} healed");
        }
    }
}

#[test]
fn content_that_rots_without_a_checksum_is_a_change_of_content() {
    let folder = Folder::new();
    baseline(&folder);
    let run = folder.night(&folder.disk_with("rot.raw", 0, flipped("root:block:/etc/passwd", 3)), 1, &[]).exits(1);
    assert_eq!(run.events(), ["Modified /etc/passwd"]);
}

#[test]
fn a_policy_that_changed_is_one_event_with_counts() {
    let folder = Folder::new();
    let image = folder.disk("day0.raw", 0);
    folder.night(&image, 0, &["--profile", "recommended"]).exits(0);
    let run = folder.night(&image, 1, &["--profile", "full"]).exits(1);
    assert_eq!(run.events(), ["PolicyChanged"]);
    let ext = &run.json()[0]["Ext"];
    assert!(ext["Entered"].as_u64().unwrap() > 100, "{ext}");
    assert_eq!(ext["Left"].as_u64().unwrap_or(0), 0, "{ext}");
    let run = folder.night(&image, 2, &["--profile", "recommended"]).exits(1);
    assert_eq!(run.events(), ["PolicyChanged"]);
    assert_eq!(run.json()[0]["Ext"]["Left"], ext["Entered"]);
}

#[test]
fn a_host_that_renamed_itself_keeps_its_history() {
    let folder = Folder::new();
    baseline(&folder);
    let rename = |bytes: &mut Vec<u8>| {
        let old = b"\0\0\0\0deb-web01\n\0";
        let at = bytes.windows(old.len()).position(|window| window == old).unwrap();
        bytes[at + 4..at + 13].copy_from_slice(b"dev-web99");
    };
    let run = folder.night(&folder.disk_with("renamed.raw", 0, rename), 1, &[]).exits(1);
    assert_eq!(run.events(), ["MachineChanged", "Modified /etc/hostname"]);
    assert!(run.json().iter().all(|event| event["Ext"]["Machine"] == "web01" && event["Computer"] == "dev-web99"));
    folder.read(&["history", "/etc/hostname"]).exits(0).prints("web01");
}

#[test]
fn a_snapshot_older_than_the_last_one_is_refused() {
    let folder = Folder::new();
    let image = folder.disk("day0.raw", 0);
    folder.night(&image, 1, &[]).exits(0);
    let refused = folder.night(&image, 0, &[]);
    assert!(refused.code == 2 || refused.code >= 64, "{refused:?}");
    refused.says("--allow-older").says("2025-11-20").says("2025-11-21");
    folder.night(&image, 0, &["--allow-older"]).exits(0);
    folder.read(&["verify"]).exits(0);
}

#[test]
fn a_name_with_an_escape_sequence_never_reaches_a_terminal() {
    let folder = Folder::new();
    let (old, new) = (folder.disk("day0.raw", 0), folder.disk("day1.raw", 1));
    folder.night(&old, 0, &[]).exits(0);
    folder.night(&new, 1, &[]).exits(1);
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let runs = [
        snapfim(["diff", old, new]).exits(1),
        snapfim(["diff", old, new, "--format", "ndjson"]).exits(1),
        snapfim(["inspect", new]).exits(0),
        snapfim(["cat", new, "/usr/local/bin/nothing\x1b[2Jhere"]).exits(65),
        folder.read(&["log"]).exits(0).prints(r"/usr/local/bin/ls\x1b[2K\x1b[1A"),
        folder.read(&["log", "--format", "csv"]).exits(0).prints(r"ls\x1b[2K\x1b[1A"),
        folder.read(&["log", "--format", "ndjson"]).exits(0).prints(r"ls\u001b[2K\u001b[1A"),
        folder.read(&["log", "--count-by", "FileName"]).exits(0).prints(r"ls\x1b[2K\x1b[1A"),
        folder.read(&["history", "/usr/local/bin/ls\x1b[2K\x1b[1A"]).exits(0).prints("  A  "),
        folder.read(&["status"]).exits(0),
    ];
    for run in runs {
        for text in [&run.out, &run.err] {
            assert!(!text.contains('\x1b'), "{text}");
        }
    }
}

#[test]
fn an_image_of_nothing_is_no_verdict_and_says_what_was_found() {
    let folder = Folder::new();
    let cases: [(&str, &[u8]); 4] =
        [("zeros.raw", &[0; 1 << 20]), ("empty.raw", b""), ("text.raw", b"not a disk\n"), ("odd.raw", &[0xf6; 1000])];
    for (name, bytes) in cases {
        let path = folder.path(name);
        fs::write(&path, bytes).unwrap();
        folder.night(&path, 0, &[]).exits(65).says(name);
        let run = snapfim(["inspect".as_ref(), path.as_os_str()]);
        assert!((run.out + &run.err).contains(name));
    }
    folder.night(&folder.path("absent.raw"), 0, &[]).exits(66).says("absent.raw");
    // That they failed is in the log, and the first good scan is the baseline.
    folder.read(&["status"]).says("").prints("web01");
    baseline(&folder);
}

#[test]
fn after_a_baseline_an_image_of_nothing_deletes_nothing() {
    let folder = Folder::new();
    baseline(&folder);
    let path = folder.path("zeros.raw");
    fs::write(&path, vec![0; 27 << 20]).unwrap();
    folder.night(&path, 1, &[]).exits(65);
    let run = folder.night(&folder.disk("day1.raw", 1), 2, &[]).exits(1);
    assert_eq!(run.events(), planted());
}

#[test]
fn a_truncated_image_loses_coverage_and_deletes_nothing() {
    for (mib, profile) in [4, 9, 12, 15, 20].into_iter().flat_map(|mib| [(mib, "full"), (mib, "recommended")]) {
        let folder = Folder::new();
        let profile = ["--profile", profile];
        folder.night(&folder.disk("day0.raw", 0), 0, &profile).exits(0);
        let cut = folder.disk_with("cut.raw", 0, |bytes| bytes.truncate(mib << 20));
        let mut lost = false;
        for night in [1, 2] {
            let run = folder.night(&cut, night, &profile);
            assert!([4, 5].contains(&run.code), "cut at {mib} MiB: {run:?}");
            let strange: Vec<_> = run.events().into_iter().filter(|event| is_lost(event)).collect();
            assert_eq!(strange, Vec::<String>::new(), "cut at {mib} MiB, night {night}, {profile:?}");
            lost |= run.events().contains(&"CoverageLost".to_owned());
        }
        let back = folder.night(&folder.disk("day0.raw", 0), 3, &profile);
        assert!([0, 1].contains(&back.code), "{back:?}");
        let strange: Vec<_> = back.events().into_iter().filter(|event| is_lost(event)).collect();
        assert_eq!(strange, Vec::<String>::new(), "cut at {mib} MiB, then whole, {profile:?}");
        assert_eq!(back.events().contains(&"CoverageRestored".to_owned()), lost, "{back:?}");
        folder.night(&folder.disk("day0.raw", 0), 4, &profile).exits(0);
    }
}

/// Whether an event says that an entity came, went or changed.
fn is_lost(event: &str) -> bool {
    ["Created", "Deleted", "Modified", "Renamed"].iter().any(|change| event.starts_with(change))
}

#[test]
fn a_policy_that_is_wrong_names_file_line_and_pattern() {
    let folder = Folder::new();
    let policy = folder.path("bad.toml");
    fs::write(&policy, "version = 1\n[[monitor]]\nname = \"x\"\npaths = [\"/etc/[a-\"]\n").unwrap();
    let image = folder.disk("day0.raw", 0);
    let run = folder.night(&image, 0, &["--policy", policy.to_str().unwrap()]).exits(78);
    run.says("bad.toml").says("4").says("/etc/[a-");
    assert!(!folder.path("state/machines/web01/latest").exists());
}

#[test]
fn two_systems_on_one_target_are_named_and_root_decides() {
    let folder = Folder::new();
    let both = format!("{}+{}", folder.disk("a.raw", 0).display(), folder.disk("b.raw", 1).display());
    let (one, other) = ("@9a270000-0000-4000-8000-000000000003", "@9a270000-0000-4000-8000-000000000003#2");
    folder.night(Path::new(&both), 1, &[]).exits(78).says("--root").says(other);
    folder.night(Path::new(&both), 1, &["--root", one]).exits(0);
    let run = folder.night(Path::new(&both), 2, &["--root", other]);
    assert!(run.out.contains("sysupd"), "the other system is the machine now: {run:?}");
}

#[test]
fn a_directory_is_a_target() {
    let folder = Folder::new();
    let tree = folder.path("tree");
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::write(tree.join("etc/app.conf"), "a=1\n").unwrap();
    fs::write(tree.join("gone"), "old\n").unwrap();
    folder.night(&tree, 0, &[]).exits(0);
    fs::write(tree.join("etc/app.conf"), "a=2\n").unwrap();
    fs::write(tree.join("new"), "other\n").unwrap();
    fs::remove_file(tree.join("gone")).unwrap();
    let run = folder.night(&tree, 1, &[]).exits(1);
    assert_eq!(run.events(), ["Created @directory/new", "Deleted @directory/gone", "Modified @directory/etc/app.conf"]);
}

#[test]
fn a_failed_night_is_written_down_and_shown() {
    let folder = Folder::new();
    baseline(&folder);
    fs::write(folder.path("junk.raw"), vec![7; 4096]).unwrap();
    folder.night(&folder.path("junk.raw"), 1, &[]).exits(65);
    assert_eq!(state_files(&folder, ".manifest.zst").len(), 1, "no manifest of a failed scan");
    folder.read(&["status"]).prints("failed");
    let run = folder.night(&folder.disk("day1.raw", 1), 2, &[]).exits(1);
    let window = &run.json()[0]["Ext"]["Window"];
    assert_eq!(window["From"], EVENINGS[0], "the window reaches back to the last complete scan");
    assert!(disk(0) != disk(1));
}

/// A tree with a system in it, and nothing that is the same on two hosts but what is written here.
fn system(folder: &Folder) -> PathBuf {
    let root = folder.path("tree");
    for dir in ["etc", "usr/bin", "usr/sbin", "bin"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::write(root.join("etc/fstab"), "").unwrap();
    fs::write(root.join("usr/bin/passwd"), "x").unwrap();
    root
}

#[test]
fn a_system_whose_etc_is_a_link_is_still_one() {
    let folder = Folder::new();
    let root = system(&folder);
    folder.night(&root, 0, &["--profile", "extended"]).exits(0);
    fs::rename(root.join("etc"), root.join(".etc")).unwrap();
    std::os::unix::fs::symlink(".etc", root.join("etc")).unwrap();
    fs::write(root.join("usr/bin/passwd"), "y").unwrap();
    let run = folder.night(&root, 1, &["--profile", "extended"]);
    assert_eq!(run.events(), ["Modified /usr/bin/passwd", "PolicyChanged", "Renamed /.etc/fstab"]);
}

#[test]
fn a_machine_that_went_dark_does_not_turn_green_the_night_after() {
    let folder = Folder::new();
    let root = system(&folder);
    folder.night(&root, 0, &[]).exits(0);
    fs::rename(&root, folder.path("elsewhere")).unwrap();
    fs::create_dir(&root).unwrap();
    let run = folder.night(&root, 1, &[]).exits(5);
    assert_eq!(run.events(), ["CoverageLost"]);
    let still = folder.night(&root, 2, &[]).exits(4).says("of earlier scans were on it and cannot be compared");
    assert_eq!(still.out, "", "it is lost once");
}

#[test]
fn a_comparison_of_manifests_says_what_their_scans_could_not_read() {
    let folder = Folder::new();
    folder.night(&folder.disk_with("gone.raw", 0, without("boot:superblock")), 0, &[]).exits(4);
    let manifest = newest_manifest(&folder.path("state"));
    let twice = ["diff".as_ref(), manifest.as_os_str(), manifest.as_os_str()];
    snapfim(twice).exits(4).prints("gap");
    let damaged = Folder::new();
    damaged.night(&damaged.disk_with("broken.raw", 0, flipped("root:inode:/usr/bin/passwd", 40)), 0, &[]).exits(4);
    let manifest = newest_manifest(&damaged.path("state"));
    snapfim(["diff".as_ref(), manifest.as_os_str(), manifest.as_os_str()]).exits(4).prints("path:/usr/bin/passwd");
}
