//! A run is killed before every single change that it makes on disk; whatever it leaves, the next run ends as if
//! the killed one had never been, or had been in full.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::directory::fuse;
use super::from_change::Context;
use super::*;
use crate::diff::{Change, ChangeKind};
use crate::error::Result;
use crate::manifest::{Kind, Record};
use crate::severity::Severity;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A whole run: lock, take back, write a manifest, carried records and two events, put all in place.
fn run(path: &Path, start: Timestamp, label: &str) -> Result<ScanId> {
    let state = State::create(path)?;
    let name = MachineName::given("web01")?;
    let mut machine = state.machine(&name, start)?;
    let mut publish = machine.begin(start)?;
    let from = publish.machine().latest_record()?.and_then(|record| record.window).map(|window| window.to);
    let window = Window { from, to: start };
    let scan_id = publish.scan_id();
    let written = |result: std::io::Result<()>| result.map_err(|e| crate::error::Error::State(e.to_string()));
    let mut manifest = publish.manifest()?;
    written(manifest.write_all(label.as_bytes()))?;
    publish.prove(manifest.proof());
    written(publish.carried()?.write_all(b"carried"))?;
    written(publish.extents()?.write_all(b"extents"))?;
    for file in ["/etc/passwd", "/etc/shadow"] {
        let change = Change {
            kind: ChangeKind::Created,
            old: None,
            new: Some(Record::new(format!("{file}-{label}"), Kind::File)),
            fields: Vec::new(),
            findings: Vec::new(),
            fault: None,
            owner_changed: None,
            moved_along: 0,
        };
        let context = Context {
            machine: &name,
            computer: "web01",
            scan_id,
            window,
            clock: None,
            previous: None,
            severity: &|_| Severity::Medium,
        };
        publish.event(Event::from_change(&change, &context)?)?;
    }
    let mut record = ScanRecord::new(name, scan_id, start, "web01.raw");
    record.window = Some(window);
    record.faults = label.len() as u64;
    record.carried = 7;
    publish.commit(record)?;
    Ok(scan_id)
}

/// Every event by its id, as often as it is in the log.
fn events(path: &Path) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    let reading = State::open(path)
        .unwrap()
        .log(&Query::default(), Order::NewestFirst, &mut |event| {
            *seen.entry(event.path()).or_default() += 1;
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(reading.problems, []);
    seen
}

fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = walkdir::WalkDir::new(path)
        .into_iter()
        .map(|entry| entry.unwrap().path().strip_prefix(path).unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn expected(labels: &[&str]) -> BTreeMap<String, u32> {
    labels.iter().flat_map(|l| [format!("/etc/passwd-{l}"), format!("/etc/shadow-{l}")]).map(|p| (p, 1)).collect()
}

/// Here a manifest has as many records as bytes.
fn check(file: fs::File) -> Result<u64> {
    Ok(file.metadata().unwrap().len())
}

#[test]
fn a_run_killed_anywhere_doubles_and_loses_nothing() {
    let (first, second, third) = (at("2026-11-20T19:00:00Z"), at("2026-11-21T23:59:59Z"), at("2026-11-22T19:00:00Z"));
    for with_baseline in [false, true] {
        let (mut steps, mut finished) = (0, false);
        while !finished {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("state");
            if with_baseline {
                run(&path, first, "one").unwrap();
            }
            fuse::set(Some(steps));
            let killed = run(&path, second, "two");
            fuse::set(None);
            finished = killed.is_ok();

            let baseline = if with_baseline { vec!["one"] } else { vec![] };
            let before = if path.join("machines").is_dir() { events(&path) } else { BTreeMap::new() };
            // `latest` is in place one step before the run ends: its directory is still to be synced.
            let happened = fs::read_to_string(path.join("machines/web01/latest"))
                .is_ok_and(|latest| latest == "20261121T235959Z\n");
            let with = |labels: &[&'static str]| [&baseline[..], labels].concat();
            if happened {
                assert_eq!(before, expected(&with(&["two"])), "step {steps}");
            } else if with_baseline {
                assert_eq!(before, expected(&baseline), "step {steps}: a killed run's events are not shown");
            }

            run(&path, third, "three").unwrap();
            let labels = if happened { with(&["two", "three"]) } else { with(&["three"]) };
            assert_eq!(events(&path), expected(&labels), "step {steps}");
            let verified = State::open(&path).unwrap().verify(&mut check).unwrap();
            assert_eq!((verified.problems, verified.notes), (vec![], vec![]), "step {steps}");
            assert_eq!(verified.events, 2 * labels.len() as u64);
            assert!(!names(&path).iter().any(|name| name.ends_with(".tmp")), "step {steps}: {:?}", names(&path));
            steps += 1;
        }
        assert!(steps > 25, "only {steps} steps are guarded");
    }
}

#[test]
fn a_recovery_killed_anywhere_is_recovered_from() {
    let (first, second, third) = (at("2026-11-20T19:00:00Z"), at("2026-11-21T19:00:00Z"), at("2026-11-22T19:00:00Z"));
    let (mut steps, mut finished) = (0, false);
    while !finished {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        run(&path, first, "one").unwrap();
        run(&path, second, "two").unwrap();
        // As if killed just before `latest`.
        fs::write(path.join("machines/web01/latest"), "20261120T190000Z\n").unwrap();
        fs::write(path.join("machines/web01/.20261121T190000Z.manifest.zst.tmp"), "x").unwrap();
        fuse::set(Some(steps));
        let state = State::open(&path).unwrap();
        finished = state.machine(&MachineName::given("web01").unwrap(), third).is_ok();
        fuse::set(None);
        run(&path, third, "three").unwrap();
        assert_eq!(events(&path), expected(&["one", "three"]), "step {steps}");
        let verified = State::open(&path).unwrap().verify(&mut check).unwrap();
        assert_eq!((verified.problems, verified.notes), (vec![], vec![]), "step {steps}");
        steps += 1;
    }
    assert!(steps > 8, "only {steps} steps are guarded");
}

#[test]
fn a_failed_commit_is_taken_back_before_the_same_process_tries_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    run(&path, at("2026-11-20T19:00:00Z"), "one").unwrap();
    let state = State::open(&path).unwrap();
    let name = MachineName::given("web01").unwrap();
    let start = at("2026-11-21T19:00:00Z");
    let mut machine = state.machine(&name, start).unwrap();
    for allowed in [Some(3), None] {
        let mut publish = machine.begin(start).unwrap();
        let mut manifest = publish.manifest().unwrap();
        manifest.write_all(b"two").unwrap();
        publish.prove(manifest.proof());
        let mut record = ScanRecord::new(name.clone(), publish.scan_id(), start, "web01.raw");
        record.faults = 3;
        fuse::set(allowed);
        let committed = publish.commit(record);
        fuse::set(None);
        assert_eq!(committed.is_ok(), allowed.is_none());
    }
    drop(machine);
    let verified = state.verify(&mut check).unwrap();
    assert_eq!((verified.problems, verified.manifests, verified.scans), (vec![], 2, 2));
}

#[test]
fn a_latest_from_an_old_copy_costs_no_history() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    for (day, label) in [("20", "one"), ("21", "two"), ("22", "three")] {
        run(&path, at(&format!("2026-11-{day}T19:00:00Z")), label).unwrap();
    }
    let before = names(&path);
    for damage in [Some("20261120T190000Z\n"), Some("nonsense"), None] {
        match damage {
            Some(text) => fs::write(path.join("machines/web01/latest"), text).unwrap(),
            None => fs::remove_file(path.join("machines/web01/latest")).unwrap(),
        }
        let error = run(&path, at("2026-11-23T19:00:00Z"), "four").unwrap_err();
        assert_eq!(error.exit_code(), 74, "{error}");
        if damage.is_some() {
            assert_eq!(names(&path), before);
        }
    }
    fs::write(path.join("machines/web01/latest"), "20261122T190000Z\n").unwrap();
    run(&path, at("2026-11-23T19:00:00Z"), "four").unwrap();
    assert_eq!(events(&path), expected(&["one", "two", "three", "four"]));
}

#[test]
fn a_machine_whose_folder_was_moved_away_begins_anew_wherever_that_is_killed() {
    let days = ["2026-11-20T19:00:00Z", "2026-11-21T19:00:00Z", "2026-11-22T19:00:00Z", "2026-11-23T19:00:00Z"].map(at);
    // With one complete scan its record looks like what a killed first run leaves, but for the manifest.
    for before in [1, 2] {
        let (mut steps, mut finished) = (0, false);
        while !finished {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("state");
            for (day, label) in days.iter().zip(["one", "two"]).take(before) {
                run(&path, *day, label).unwrap();
            }
            let [folder, away] = [path.join("machines/web01"), dir.path().join("away")];
            fs::rename(folder, away).unwrap();
            let history = names(&path);
            fuse::set(Some(steps));
            // A clock that went back gives no id of before.
            finished = run(&path, days[0], "three").is_ok();
            fuse::set(None);
            run(&path, days[3], "four").unwrap();
            let after = names(&path);
            assert!(history.iter().all(|name| after.contains(name)), "step {steps}: nothing of before is deleted");
            let state = State::open(&path).unwrap();
            let name = MachineName::given("web01").unwrap();
            let scans = state.scans(Some(&name), None).unwrap();
            let baseline = state.record(&scans[before]).unwrap().unwrap();
            assert_eq!((baseline.previous, baseline.window.unwrap().from), (None, None), "step {steps}");
            let verified = state.verify(&mut check).unwrap();
            let notes: Vec<_> = verified.notes.iter().map(ToString::to_string).collect();
            assert_eq!((verified.problems, notes.len()), (vec![], 1), "step {steps}: {notes:?}");
            steps += 1;
        }
        assert!(steps > 25, "only {steps} steps are guarded");
    }
}

#[test]
fn a_folder_of_a_machine_from_an_old_copy_costs_no_history() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    run(&path, at("2026-11-20T19:00:00Z"), "one").unwrap();
    let [folder, copy] = [path.join("machines/web01"), dir.path().join("copy")];
    fs::create_dir(&copy).unwrap();
    for file in ["latest", "20261120T190000Z.manifest.zst", "20261120T190000Z.carried.zst"] {
        fs::copy(folder.join(file), copy.join(file)).unwrap();
    }
    run(&path, at("2026-11-21T19:00:00Z"), "two").unwrap();
    fs::remove_dir_all(&folder).unwrap();
    fs::rename(copy, &folder).unwrap();
    let before = events(&path);
    let error = run(&path, at("2026-11-22T19:00:00Z"), "three").unwrap_err().to_string();
    assert!(error.contains("20261121T190000Z") && error.contains("move the machine's folder away"), "{error}");
    assert_eq!(events(&path), before);
    let verified = State::open(&path).unwrap().verify(&mut check).unwrap();
    assert!(verified.problems.iter().any(|problem| problem.what == "names a manifest that is missing"));
    fs::rename(folder, dir.path().join("away")).unwrap();
    run(&path, at("2026-11-22T19:00:00Z"), "three").unwrap();
    assert_eq!(events(&path), expected(&["one", "two", "three"]));
}

#[test]
fn a_busy_machine_says_who_and_others_are_free() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::create(dir.path()).unwrap();
    let now = at("2026-11-20T19:00:00Z");
    let held = state.machine(&MachineName::given("web01").unwrap(), now).unwrap();
    let error = state.machine(&MachineName::given("web01").unwrap(), now).err().unwrap();
    assert_eq!(error.exit_code(), 75);
    let holder = format!("by process {}, since 2026-11-20T19:00:00Z", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    assert!(state.machine(&MachineName::given("web02").unwrap(), now).is_ok());
    drop(held);
    assert!(state.machine(&MachineName::given("web01").unwrap(), now).is_ok());
}

#[test]
fn scans_in_one_second_and_clocks_that_go_back_get_ids_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let start = at("2026-11-20T19:00:00Z");
    let ids = [start, start, start.checked_sub(SignedDuration::from_hours(9)).unwrap()]
        .map(|start| run(dir.path(), start, "x").unwrap().to_string());
    assert_eq!(ids, ["20261120T190000Z", "20261120T190001Z", "20261120T190002Z"]);
}

#[test]
fn everything_is_for_the_owner_alone_whatever_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/state");
    run(&path, at("2026-11-20T19:00:00Z"), "one").unwrap();
    for entry in walkdir::WalkDir::new(&path) {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, if entry.file_type().is_dir() { 0o700 } else { 0o600 }, "{}", entry.path().display());
    }
}

#[test]
fn links_inside_the_state_are_not_followed() {
    let start = at("2026-11-20T19:00:00Z");
    for place in ["machines", "machines/web01", "changes", "changes/date=2026-11-20", "scans", "machines/web01/.lock"] {
        let dir = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (dir.path().join("state"), dir.path().join("elsewhere"));
        fs::create_dir(&elsewhere).unwrap();
        fs::create_dir_all(path.join(place).parent().unwrap()).unwrap();
        fs::create_dir_all(path.join("machines")).ok();
        fs::remove_dir(path.join(place)).ok();
        std::os::unix::fs::symlink(&elsewhere, path.join(place)).unwrap();
        let error = run(&path, start, "one").unwrap_err();
        assert_eq!(error.exit_code(), 74, "{place}: {error}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "{place}");
    }
}
