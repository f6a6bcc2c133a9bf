//! What the real binary makes of a state directory that is in the wrong place, damaged, or left by a killed scan.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is the test")]

mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use support::{Folder, Run, newest_manifest, planted, snapfim};

fn scan(target: &Path, state: &Path) -> Run {
    let (target, state) = (target.to_str().unwrap(), state.to_str().unwrap());
    snapfim(["scan", target, "--state", state, "--machine", "web01", "--profile", "full"])
}

/// All that lies below a directory, links not followed.
fn below(dir: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path()).collect()
}

#[test]
fn a_state_inside_the_target_is_refused_before_anything_is_made() {
    let folder = Folder::new();
    let tree = folder.path("tree");
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::write(tree.join("etc/passwd"), b"root\n").unwrap();
    symlink(&tree, folder.path("link")).unwrap();
    symlink(tree.join("etc"), folder.path("etc")).unwrap();
    let before = (below(&folder.path("")), fs::metadata(tree.join("etc")).unwrap().modified().unwrap());
    for state in ["tree/etc/st", "tree", "tree/a/b/c", "link/st", "etc/st", "etc/a/b", "absent/../tree/st"] {
        for target in ["tree", "link"] {
            let run = scan(&folder.path(target), &folder.path(state)).exits(2);
            run.says("the state directory lies inside the target");
        }
        let other = folder.path("other.raw");
        let (other, tree, state) = (other.to_str().unwrap(), tree.to_str().unwrap(), folder.path(state));
        snapfim(["scan", other, tree, "--state", state.to_str().unwrap()]).exits(2);
    }
    let after = (below(&folder.path("")), fs::metadata(tree.join("etc")).unwrap().modified().unwrap());
    assert_eq!(before, after);
}

#[test]
fn a_latest_that_is_gone_or_old_is_a_problem_of_verify_as_of_scan() {
    let folder = Folder::new();
    for evening in 0..3 {
        folder.night(&folder.disk("day0.raw", 0), evening, &[]).exits(0);
    }
    let latest = folder.path("state/machines/web01/latest");
    let newest = fs::read_to_string(&latest).unwrap();
    let write = |text: &str| {
        fs::write(&latest, text).unwrap();
        fs::set_permissions(&latest, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let mut scans: Vec<_> = below(&folder.path("state/scans"))
        .iter()
        .filter_map(|path| path.file_stem()?.to_str()?.strip_prefix("web01_").map(str::to_owned))
        .collect();
    scans.sort();
    let oldest = format!("{}\n", scans[0]);
    for (text, what) in [(None, "is missing, and the scans"), (Some(oldest), "are newer, so that file is damaged")] {
        match text {
            Some(text) => write(&text),
            None => fs::remove_file(&latest).unwrap(),
        }
        let verified = folder.read(&["verify"]).exits(74);
        verified.says("web01/latest").says(what).says("write the id of the newest complete scan into it");
        folder.night(&folder.path("day0.raw"), 3, &[]).exits(74).says(what);
    }
    write(&newest);
    folder.read(&["verify"]).exits(0);
}

#[test]
fn carried_records_that_are_gone_are_missed_by_the_next_scan_and_by_verify() {
    let folder = Folder::new();
    let disks = [folder.disk("day0.raw", 0), folder.disk("day1.raw", 1)];
    folder.night(&disks[0], 0, &[]).exits(0);
    // Most of the machine is lost for two nights, and its last good records are carried.
    folder.night(&disks[0], 1, &["--max-depth", "1"]).exits(5);
    folder.night(&disks[0], 2, &["--max-depth", "1"]).exits(4);
    let carried: Vec<_> = below(&folder.path("state"))
        .into_iter()
        .filter(|path| path.to_string_lossy().ends_with(".carried.zst"))
        .collect();
    let aside = folder.path("aside");
    for (file, is_newest) in carried.iter().zip([false, true]) {
        fs::rename(file, &aside).unwrap();
        folder.read(&["verify"]).exits(74).says("carried records, which are missing").prints("1 problems");
        if is_newest {
            let what = "the file of carried records of web01";
            let advice = "is missing; restore it from a backup, or move the machine's folder away";
            folder.night(&disks[1], 3, &["--dry-run"]).exits(74).says(what);
            folder.night(&disks[1], 3, &[]).exits(74).says(what).says(advice);
        }
        fs::rename(&aside, file).unwrap();
    }
    // With them, what was changed while it was lost is told.
    let run = folder.night(&disks[1], 3, &[]).exits(1);
    assert_eq!(run.events(), planted());
    folder.read(&["verify"]).exits(0);
}

#[test]
fn what_a_killed_scan_left_is_taken_back_and_named() {
    let folder = Folder::new();
    let disk = folder.disk("day0.raw", 0);
    folder.night(&disk, 0, &[]).exits(0);
    let leave = |name: &str| {
        let path = folder.path("state").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    };
    let says = "web01: took back what the unfinished scan 20991121T190000Z had left";
    leave("machines/web01/.20991121T190000Z.manifest.zst.tmp");
    folder.night(&disk, 1, &["--every", "24h"]).exits(0).says(says).says("not due");
    leave("changes/date=2099-11-21/.web01_20991121T190000Z.ndjson.tmp");
    folder.night(&disk, 2, &[]).exits(0).says(says);
    let quiet = folder.night(&disk, 3, &[]).exits(0);
    assert!(!quiet.err.contains("took back"), "{quiet:?}");
    leave("scans/date=2099-11-21/.web01_20991121T190000Z.json.tmp");
    folder.night(&folder.path("absent.raw"), 4, &[]).exits(66).says(says);
    assert!(!below(&folder.path("state")).iter().any(|path| path.to_string_lossy().ends_with(".tmp")));
}

#[test]
fn a_mistyped_target_makes_no_machine_and_fails_a_known_one() {
    let folder = Folder::new();
    folder.night(&folder.path("absent.raw"), 0, &[]).exits(66).says("absent.raw");
    assert!(!folder.path("state/machines/web01").exists() && !folder.path("state/scans").exists());
    assert_eq!(folder.read(&["status"]).exits(0).out.matches("web01").count(), 0);
    folder.night(&folder.disk("day0.raw", 0), 1, &[]).exits(0);
    folder.night(&folder.path("absent.raw"), 2, &[]).exits(66).says("absent.raw");
    folder.read(&["status"]).prints("absent.raw");
    folder.read(&["verify"]).exits(0);
}

#[test]
fn a_mistyped_option_makes_no_machine_and_fails_none() {
    let folder = Folder::new();
    let disk = folder.disk("day0.raw", 0);
    let (disk, state) = (disk.to_str().unwrap(), folder.path("state"));
    let scan = ["scan", disk, disk, "--state", state.to_str().unwrap()];
    let slips = [
        (["--snapshot-time", "2999-01-01"], "lies after the start of the scan"),
        (["--verify-reuse", "200%"], "expected a percentage from 0 to 100, as 5%"),
    ];
    for (slip, what) in slips {
        let run = snapfim(scan.into_iter().chain(slip)).exits(2).says(what);
        assert_eq!(run.err.lines().count(), 1, "it is said once, and not for each target: {run:?}");
        assert!(!state.exists(), "{slip:?}");
    }
}

#[test]
fn a_failed_scan_records_no_policy_that_is_not_known() {
    let folder = Folder::new();
    fs::write(folder.path("empty.raw"), b"").unwrap();
    folder.night(&folder.path("empty.raw"), 0, &[]).exits(65);
    let records = below(&folder.path("state/scans"));
    let record = records.iter().find(|path| path.extension().is_some_and(|extension| extension == "json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
    assert_eq!((&record["Outcome"], record.get("PolicySha256")), (&"Failed".into(), None));
    let empty = |value: &serde_json::Value| value.as_str().is_some_and(str::is_empty);
    assert!(!record.as_object().unwrap().values().any(empty), "{record}");
    folder.read(&["verify"]).exits(0);
}

#[test]
fn what_is_advised_about_a_damaged_manifest_leads_to_a_new_baseline() {
    for nights in [1, 2, 3] {
        let folder = Folder::new();
        let disks = [folder.disk("day0.raw", 0), folder.disk("day1.raw", 1)];
        for evening in 0..nights {
            folder.night(&disks[0], evening, &[]).exits(0);
        }
        let manifest = newest_manifest(&folder.path("state"));
        let bytes = fs::read(&manifest).unwrap();
        fs::write(&manifest, &bytes[..bytes.len() - 100]).unwrap();
        let advice = "move the machine's folder away to begin with a new baseline";
        folder.night(&disks[0], nights, &[]).exits(74).says(advice);
        folder.read(&["verify"]).exits(74).says("is damaged");
        fs::remove_file(&manifest).unwrap();
        folder.night(&disks[0], nights, &[]).exits(74).says(advice);
        fs::rename(folder.path("state/machines/web01"), folder.path("away")).unwrap();
        let proofs = below(&folder.path("state/scans"));

        // A first try that fails changes nothing of it, and until there is a baseline the manifests are missed.
        fs::write(folder.path("empty.raw"), b"").unwrap();
        folder.night(&folder.path("empty.raw"), nights, &[]).exits(65);
        folder.read(&["verify"]).exits(74).says("names a manifest that is missing");
        // Not even a quiet scan keeps it to itself that nothing was compared.
        let run = folder.night(&disks[0], nights, &["--quiet"]).exits(0);
        assert_eq!(
            run.err,
            "snapfim: web01: the scans before have lost their manifests: this is a new baseline, and nothing was compared\n"
        );
        let run = folder.night(&disks[1], nights + 1, &[]).exits(1);
        assert_eq!(run.events(), planted());
        let after = below(&folder.path("state/scans"));
        assert!(proofs.iter().all(|proof| after.contains(proof)), "the proofs of before are deleted");
        folder.read(&["verify"]).exits(0).says("web01: begins with the baseline").prints("0 problems");
        folder.read(&["status"]).exits(0);
        assert_eq!(folder.read(&["log", "--format", "ndjson"]).exits(0).events(), planted());

        // What is lost after the baseline is no history.
        let manifest = newest_manifest(&folder.path("state"));
        fs::remove_file(manifest).unwrap();
        folder.read(&["verify"]).exits(74).says("names a manifest that is missing");
    }
}

#[test]
fn a_machine_whose_folder_is_moved_away_is_taken_out() {
    let folder = Folder::new();
    folder.night(&folder.disk("day0.raw", 0), 0, &[]).exits(0);
    fs::write(folder.path("empty.raw"), b"").unwrap();
    let state = folder.path("state");
    let args = ["scan", "--state", state.to_str().unwrap(), "--machine", "db01"];
    snapfim(args.into_iter().chain([folder.path("empty.raw").to_str().unwrap()])).exits(65);
    folder.read(&["status"]).exits(1).prints("db01");
    for machine in ["db01", "web01"] {
        folder.read(&["verify"]).exits(0);
        fs::rename(state.join("machines").join(machine), folder.path(machine)).unwrap();
        let status = folder.read(&["status"]).exits(0);
        assert!(!status.out.contains(machine), "{status:?}");
    }
    // What was scanned in full is missed for as long as its records are there.
    folder.read(&["verify"]).exits(74).says("names a manifest that is missing");
    for file in below(&state).into_iter().filter(|file| file.to_string_lossy().contains("/web01_")) {
        fs::rename(&file, folder.path(file.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    let verified = folder.read(&["verify"]).exits(0);
    assert_eq!(verified.err, "");
}

#[test]
fn status_says_that_the_next_scan_would_have_nothing_to_compare_with() {
    let folder = Folder::new();
    let disk = folder.disk("day0.raw", 0);
    folder.night(&disk, 0, &[]).exits(0);
    folder.night(&disk, 1, &["--max-depth", "1"]).exits(5);
    let ends_with = |end: &str| {
        let files = below(&folder.path("state"));
        files.into_iter().rev().find(|path| path.to_string_lossy().ends_with(end)).unwrap()
    };
    folder.read(&["status"]).exits(0).prints("ok");
    for (file, what) in
        [(".manifest.zst", "the manifest of web01"), (".carried.zst", "the file of carried records of web01")]
    {
        let (file, aside) = (ends_with(file), folder.path("aside"));
        fs::rename(&file, &aside).unwrap();
        let status = folder.read(&["status"]).exits(74);
        status.prints(what).prints("is missing; restore it from a backup, or move the machine's folder away");
        fs::rename(&aside, &file).unwrap();
    }
    let manifest = ends_with(".manifest.zst");
    let bytes = fs::read(&manifest).unwrap();
    fs::write(&manifest, &bytes[..bytes.len() - 100]).unwrap();
    folder.read(&["status"]).exits(74).prints("is damaged: it has");
    fs::remove_file(&manifest).unwrap();
    symlink("elsewhere", &manifest).unwrap();
    let status = folder.read(&["status", "--format", "ndjson"]).exits(74);
    assert!(status.json()[0]["problem"].as_str().unwrap().ends_with("is a link"), "{status:?}");
}

#[test]
fn a_file_of_events_that_cannot_be_opened_is_named_with_its_folder() {
    let folder = Folder::new();
    folder.night(&folder.disk("day0.raw", 0), 0, &[]).exits(0);
    folder.night(&folder.disk("day1.raw", 1), 1, &[]).exits(1);
    let events = below(&folder.path("state/changes")).pop().unwrap();
    fs::remove_file(&events).unwrap();
    fs::create_dir(&events).unwrap();
    let name = format!("snapfim: {}: ", events.strip_prefix(folder.path("state")).unwrap().display());
    assert!(name.contains("changes/date="));
    for verb in [&["log"][..], &["log", "--count-by", "Computer"], &["history", "/etc/passwd"]] {
        folder.read(verb).exits(74).says(&name).says("is not a regular file");
    }
}

#[test]
fn verify_finds_a_flipped_bit_in_a_text_of_an_event_or_a_scan_record() {
    let folder = Folder::new();
    folder.night(&folder.disk("day0.raw", 0), 0, &[]).exits(0);
    folder.night(&folder.disk("day1.raw", 1), 1, &[]).exits(1);
    folder.read(&["verify"]).exits(0);
    let newest = |place: &str| below(&folder.path(place)).pop().unwrap();
    let (events, record) = (newest("state/changes"), newest("state/scans"));
    let says_events = "is not the file of events that the scan's record names";
    for (file, text, says) in [(&events, "kworkerd", says_events), (&record, "day1.raw", "is damaged: RecordSha256")] {
        let before = fs::read_to_string(file).unwrap();
        assert!(before.contains(text));
        fs::write(file, before.replacen(text, &text.replace('r', "s"), 1)).unwrap();
        folder.read(&["verify"]).exits(74).says(says).prints("1 problems");
        fs::write(file, before).unwrap();
    }
    // As a program of before wrote it.
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    assert!(old.as_object_mut().unwrap().remove("Events").is_some());
    assert!(old.as_object_mut().unwrap().remove("RecordSha256").is_some());
    fs::write(&record, format!("{old}\n")).unwrap();
    folder.read(&["verify"]).exits(0);
}

/// As after a night on which the host's clock was years ahead: ids stay greater than that one's.
#[test]
fn after_a_clock_that_was_ahead_a_machine_is_not_due_at_every_call() {
    let folder = Folder::new();
    let disk = folder.disk("day0.raw", 0);
    folder.night(&disk, 0, &["--every", "24h"]).exits(0).says("the baseline is written");
    let id = fs::read_to_string(folder.path("state/machines/web01/latest")).unwrap().trim().to_owned();
    let ahead = "20991121T190000Z";
    for file in below(&folder.path("state")).into_iter().filter(|file| file.is_file()) {
        let renamed = PathBuf::from(file.to_str().unwrap().replace(&id, ahead));
        if file.ends_with("latest") || file.extension().is_some_and(|extension| extension == "json") {
            fs::write(&file, fs::read_to_string(&file).unwrap().replace(&id, ahead)).unwrap();
        }
        fs::rename(&file, renamed).unwrap();
    }
    let day =
        below(&folder.path("state/scans")).into_iter().find(|path| path.to_string_lossy().contains("date=")).unwrap();
    fs::rename(&day, day.with_file_name("date=2099-11-21")).unwrap();
    folder.night(&disk, 1, &["--every", "24h", "--dry-run"]).exits(0).prints("\"due\":false");
    folder.night(&disk, 1, &["--every", "24h"]).exits(0).says("not due");
    folder.night(&disk, 1, &[]).exits(0);
    folder.night(&disk, 2, &["--every", "24h"]).exits(0).says("not due, last scanned 20991121T190001Z");
    folder.read(&["status"]).exits(0).prints("ok");
}
