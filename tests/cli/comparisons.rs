//! Comparisons of sides that have no time, or the wrong one.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::Path,
    time::SystemTime,
};

use snapfim::{
    changelog::State,
    job::{self, Comparison},
    policy::Policy,
    scan::{Budgets, Progress},
    target,
};

use crate::{
    Nights, nights,
    support::{Folder, fixture, newest_manifest, place, snapfim},
};

#[test]
fn a_comparison_without_changes_never_says_that_nothing_was_compared() {
    let Nights { old, new, folder } = nights();
    let manifest = newest_manifest(&folder.path("state"));
    let (older, same) = (folder.disk("older.raw", 0), folder.disk("same.raw", 0));
    File::options().write(true).open(&older).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    // The newer side is the older file, one side has no time, and neither has.
    for [one, other] in [[&same, &older], [&manifest, &new], [&new, &manifest], [&manifest, &manifest], [&old, &same]] {
        let run = snapfim(["diff".as_ref(), one.as_os_str(), other.as_os_str()]).exits(0).prints("no changes");
        assert!(!run.out.contains("first scan"), "{}", run.out);
    }
}

#[test]
fn one_blank_line_stands_before_the_notes_of_a_comparison_without_changes() {
    let folder = Folder::new();
    let dir = folder.path("d");
    fs::create_dir(&dir).unwrap();
    let run = snapfim(["diff".as_ref(), dir.as_os_str(), dir.as_os_str()]).exits(0).prints("no changes");
    assert!(run.out.contains("\n\n  note") && !run.out.contains("\n\n\n"), "{}", run.out);
}

#[test]
fn the_events_of_two_manifests_have_the_same_ids_in_every_run() {
    let folder = Folder::new();
    let [day0, day1] = [0, 1].map(|day| {
        let state = folder.path(&format!("state{day}"));
        let image = folder.disk(&format!("day{day}.raw"), day);
        let args = ["scan", "--machine", "web01", "--profile", "full", "--state"].map(OsStr::new);
        snapfim(args.into_iter().chain([state.as_os_str(), image.as_os_str()])).exits(0);
        newest_manifest(&state)
    });
    let (old, new) = (folder.path("old"), folder.path("new"));
    for (dir, word) in [(&old, "one"), (&new, "two")] {
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("file"), word).unwrap();
    }
    for [one, other] in [[&day0, &day1], [&day1, &day0], [&old, &new]] {
        let ids = || {
            let args = ["diff", "--machine", "m", "--format", "ndjson"].map(OsStr::new);
            let events = snapfim(args.into_iter().chain([one.as_os_str(), other.as_os_str()])).exits(1).json();
            events.iter().map(|event| event["Ext"]["EventId"].to_string()).collect::<Vec<_>>()
        };
        let first = ids();
        assert_eq!(first, ids());
        let mut each = first.clone();
        each.sort();
        each.dedup();
        assert_eq!(each.len(), first.len(), "no two events share one");
    }
}

#[test]
fn what_changes_back_has_another_id() {
    let folder = Folder::new();
    let (one, two) = (folder.path("one"), folder.path("two"));
    for dir in [&one, &two] {
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("file"), dir.as_os_str().as_encoded_bytes()).unwrap();
    }
    let id = |from: &Path, to: &Path| {
        let args = ["diff", "--machine", "m", "--format", "ndjson"].map(OsStr::new);
        let events = snapfim(args.into_iter().chain([from.as_os_str(), to.as_os_str()])).exits(1).json();
        events.iter().find(|event| event["FileName"] == "file").unwrap()["Ext"]["EventId"].to_string()
    };
    assert_ne!(id(&one, &two), id(&two, &one));
}

#[test]
fn a_comparison_under_a_policy_without_a_rule_for_the_machine_fails() {
    let folder = Folder::new();
    let (old, new, policy) = (folder.disk("v0.raw", 0), folder.disk("v1.raw", 1), folder.path("mach.toml"));
    fs::write(&policy, "version = 1\n[[monitor]]\nname = 'a'\npaths = ['/etc']\nmachines = ['web-*']\n").unwrap();
    let [old, new, policy] = [&old, &new, &policy].map(|path| path.to_str().unwrap());
    let run =
        snapfim(["diff", old, new, "--policy", policy]).exits(78).says("no rule of the policy is for the machine");
    run.says("--machine NAME");
    snapfim(["diff", old, new, "--policy", policy, "--machine", "web-1"]).exits(1);
}

#[test]
fn two_manifests_are_not_compared_under_a_policy_that_they_were_not_made_under() {
    let Nights { new, folder, .. } = nights();
    let manifest = newest_manifest(&folder.path("state"));
    let policy = folder.path("other.toml");
    fs::write(&policy, "version = 1\n[[monitor]]\nname = 'a'\npaths = ['/srv']\n").unwrap();
    let [manifest, new, policy] = [&manifest, &new, &policy].map(|path| path.to_str().unwrap());
    for other in [["--policy", policy], ["--profile", "recommended"]] {
        let run = snapfim(["diff", manifest, manifest].iter().chain(&other)).exits(78).says(manifest);
        run.says("made under another policy").says("compare without --policy and --profile");
        // A target beside it is scanned under the policy, and the change is said.
        snapfim(["diff", manifest, new].iter().chain(&other)).exits(1).prints("policy");
    }
    snapfim(["diff", manifest, manifest, "--profile", "full"]).exits(0).prints("no changes");
    snapfim(["diff", manifest, manifest]).exits(0).prints("no changes");
}

#[test]
fn gaps_of_manifests_are_accepted_by_a_policy_that_is_else_the_one_they_were_made_under() {
    let folder = Folder::new();
    let broken = folder.disk_with("b0.raw", 0, |bytes| {
        let (at, len) = place("boot:superblock");
        bytes[at..at + len].fill(0);
    });
    folder.night(&broken, 0, &[]).exits(4);
    let (manifest, policy) = (newest_manifest(&folder.path("state")), folder.path("accept.toml"));
    let accept = ["volume:@9a270000-0000-4000-8000-000000000002", "path:/boot"];
    fs::write(&policy, format!("version = 1\nprofiles = ['full']\naccept = {accept:?}\n")).unwrap();
    let [manifest, broken, policy] = [&manifest, &broken, &policy].map(|path| path.to_str().unwrap());
    snapfim(["diff", manifest, manifest]).exits(4);
    snapfim(["diff", manifest, manifest, "--policy", policy]).exits(0).prints("accepted");
    snapfim(["diff", manifest, broken, "--policy", policy]).exits(0).prints("accepted");
}

#[test]
fn a_compressed_image_is_not_called_a_damaged_manifest() {
    let folder = Folder::new();
    let packed = folder.path("day0.raw.zst");
    fs::copy(fixture("day0.raw.zst"), &packed).unwrap();
    let (packed, state) = (packed.to_str().unwrap(), folder.path("state"));
    let unpack = "unpack it first, unzstd IMAGE: a compressed image cannot be read at any place";
    snapfim(["scan", packed, "--state", state.to_str().unwrap()]).exits(65).says(unpack);
    let is_neither =
        format!("{packed}: neither a manifest nor an image that can be read at any place: unpack it first");
    for args in [&["diff", packed, packed][..], &["manifest", packed]] {
        let run = snapfim(args).exits(65).says(&is_neither).says("unzstd");
        assert!(!run.err.contains("damaged"), "{}", run.err);
    }
    // What cannot even be unpacked may be what is left of a manifest.
    let torn = folder.path("torn.manifest.zst");
    fs::write(&torn, &fs::read(packed).unwrap()[..7]).unwrap();
    snapfim(["diff".as_ref(), torn.as_os_str(), torn.as_os_str()]).exits(74).says("damaged");
}

/// The file that a policy came from is not in a manifest; the names of its rules are.
#[test]
fn a_comparison_of_manifests_is_on_record_under_their_policy() {
    let folder = Folder::new();
    let (image, policy) = (folder.disk("day0.raw", 0), folder.path("mine.toml"));
    fs::write(&policy, "version = 1\nprofiles = ['recommended']\n[[monitor]]\nname = 'web'\npaths = ['/srv']\n")
        .unwrap();
    folder.night(&image, 0, &["--policy", policy.to_str().unwrap()]).exits(0);
    let manifest = newest_manifest(&folder.path("state"));
    let state = State::open(&folder.path("state")).unwrap();
    let night = state.record(&state.scans(None, None).unwrap()[0]).unwrap().unwrap();
    let compared = |new: &Path| {
        let comparison = Comparison {
            old: manifest.as_os_str(),
            new: new.as_os_str(),
            open: target::Options::default(),
            machine: Some("web01"),
            policy: &Policy::built_in("full").unwrap(),
            policy_is_named: false,
            policy_name: "full",
            threads: 1,
            budgets: Budgets::default(),
            temp: &std::env::temp_dir(),
            now: &jiff::Timestamp::now,
        };
        job::compare(&comparison, &Progress::default()).unwrap().record
    };
    let record = compared(&manifest);
    assert_eq!((record.policy.as_str(), record.policy_sha256), ("recommended, web", night.policy_sha256));
    assert_eq!(compared(&image).policy, "full");
}
