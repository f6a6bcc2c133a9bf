//! The state directory: whether it is whole, who is overdue, what damage does.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use snapfim::{
    changelog::{Coverage, CoverageState, Order, Query, ScanRecord, State, Window},
    diff::ChangeKind,
    report,
    report::Style,
};

use crate::support::{FROM, NOW, Scan, TO, at, check, file_change, name, one_of_each, publish};

/// What is to be found, and what is done to a state for it.
type Damage<'d> = (&'d str, &'d dyn Fn(&Path));

#[test]
fn verify_finds_what_is_missing_damaged_stray_or_open() {
    use std::os::unix::fs::PermissionsExt;
    let damage: [Damage<'_>; 9] = [
        ("machines/web01/20261128T190000Z.manifest.zst: manifest: no footer", &|dir| {
            fs::write(dir.join("machines/web01/20261128T190000Z.manifest.zst"), "damaged").unwrap();
        }),
        ("machines/web01/20261127T190000Z.manifest.zst: is not the manifest that the scan's record names", &|dir| {
            fs::write(dir.join("machines/web01/20261127T190000Z.manifest.zst"), "x").unwrap();
        }),
        ("machines/web01/latest: names 20261128T190000Z, whose manifest is missing", &|dir| {
            fs::remove_file(dir.join("machines/web01/20261128T190000Z.manifest.zst")).unwrap();
        }),
        ("scans/date=2026-11-06/web01_20261106T190000Z.json: names 3 events, which are missing", &|dir| {
            fs::remove_file(dir.join("changes/date=2026-11-06/web01_20261106T190000Z.ndjson")).unwrap();
        }),
        ("changes/date=2026-11-06/web01_20261106T190000Z.ndjson: belongs to a scan without a record", &|dir| {
            fs::remove_file(dir.join("scans/date=2026-11-06/web01_20261106T190000Z.json")).unwrap();
        }),
        (
            "changes/date=2026-11-06/web01_20261106T190000Z.ndjson: holds 1 events, and the scan's record names 3",
            &|dir| {
                let file = dir.join("changes/date=2026-11-06/web01_20261106T190000Z.ndjson");
                let text = fs::read_to_string(&file).unwrap();
                fs::write(file, format!("{}\n", text.lines().next().unwrap())).unwrap();
            },
        ),
        ("changes/date=2026-11-06/copy.ndjson: does not belong here", &|dir| {
            fs::write(dir.join("changes/date=2026-11-06/copy.ndjson"), "").unwrap();
        }),
        ("machines/web01/latest: can be reached by others than its owner: mode 0644", &|dir| {
            let mode = fs::Permissions::from_mode(0o644);
            fs::set_permissions(dir.join("machines/web01/latest"), mode).unwrap();
        }),
        ("machines/web01/20261128T190000Z.manifest.zst: is not a regular file", &|dir| {
            let file = dir.join("machines/web01/20261128T190000Z.manifest.zst");
            fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", file).unwrap();
        }),
    ];
    for (expected, damage) in damage {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        for day in ["06", "27", "28"] {
            let start = format!("2026-11-{day}T19:00:00Z");
            let changes = ["/a", "/b", "/c"].map(|path| file_change(ChangeKind::Modified, path, &start, "x")).to_vec();
            publish(&path, &Scan { machine: "web01", computer: "web01", start: &start, changes }, |_| {});
        }
        let state = State::open(&path).unwrap();
        let sound = state.verify(&mut check).unwrap();
        assert_eq!((sound.manifests, sound.scans, sound.events, sound.problems.len()), (3, 3, 9, 0));
        damage(&path);
        let problems: Vec<String> =
            state.verify(&mut check).unwrap().problems.iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem == expected), "{expected}\n{problems:#?}");
    }
}

#[test]
fn status_tells_who_is_overdue_and_what_failed() {
    let dir = tempfile::tempdir().unwrap();
    for (machine, start) in [("web01", "2026-11-27T19:00:00Z"), ("web02", "2026-11-20T19:00:00Z")] {
        publish(dir.path(), &Scan { machine, computer: machine, start, changes: vec![] }, |record| {
            record.every_seconds = Some(86_400);
            record.cover(Coverage { state: CoverageState::Gap, name: "volume:@1".into(), why: "encrypted".into() });
            record.cover(Coverage { state: CoverageState::Note, name: "volume:@2".into(), why: "swap".into() });
        });
    }
    let scan = Scan {
        machine: "web01",
        computer: "web01",
        start: "2026-11-28T18:00:00Z",
        changes: vec![file_change(ChangeKind::Created, "/a", "2026-11-28T01:00:00Z", "x")],
    };
    publish(dir.path(), &scan, |record| record.every_seconds = Some(86_400));
    let state = State::open(dir.path()).unwrap();
    for machine in ["web02", "web03"] {
        let mut locked = state.machine(&name(machine), at(NOW)).unwrap();
        let failing = locked.begin(at("2026-11-21T19:00:00Z")).unwrap();
        let mut record = ScanRecord::new(name(machine), failing.scan_id(), at("2026-11-21T19:00:00Z"), "x.raw");
        record.error = Some("qcow2: bad magic".into());
        failing.fail(record).unwrap();
        assert_eq!(locked.latest().is_some(), machine == "web02");
    }

    let rows = state.status(None, at(NOW)).unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.machine.as_str(), row.changes, row.gaps, row.overdue, row.failed.is_some()))
        .collect();
    assert_eq!(found, [("web01", 1, 0, false, false), ("web02", 0, 1, true, true), ("web03", 0, 0, true, true)]);
    let mut out = Vec::new();
    report::status::machines(&rows).write(&mut out, Style::default()).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "\
MACHINE  LAST SCAN (UTC)     AGE  ENTITIES  CHANGES 7D  GAPS  STATE
web01    2026-11-28 18:00     2h    45,913           1     0  ok
web02    2026-11-20 19:00  8d 1h    45,913           0     1  overdue, wanted every 1d; scan 20261121T190000Z \
failed: qcow2: bad magic
web03    never                                       0     0  never scanned in full; scan 20261121T190000Z \
failed: qcow2: bad magic
"
    );
    // A failed scan does not stand in the way of the next one, and is not taken back.
    publish(dir.path(), &Scan { start: NOW, machine: "web02", computer: "web02", changes: vec![] }, |_| {});
    let scans = state.scans(Some(&name("web02")), None).unwrap();
    assert_eq!(scans.len(), 3);
    assert_eq!(state.status(None, at(NOW)).unwrap()[1].failed, None);
}

#[test]
fn status_tells_whose_snapshot_is_the_same_every_night() {
    let dir = tempfile::tempdir().unwrap();
    for day in ["26", "27", "28"] {
        for (machine, taken) in [("web01", "19"), ("web02", day)] {
            let start = format!("2026-11-{day}T18:00:00Z");
            publish(dir.path(), &Scan { machine, computer: machine, start: &start, changes: vec![] }, |record| {
                record.every_seconds = Some(86_400);
                let to = at(&format!("2026-11-{taken}T17:00:00Z"));
                record.window = Some(Window { from: Some(to), to });
            });
        }
    }
    let rows = State::open(dir.path()).unwrap().status(None, at(NOW)).unwrap();
    let ages = rows.iter().map(|row| (row.overdue, row.stale, row.snapshot_age.unwrap().as_hours()));
    assert_eq!(ages.collect::<Vec<_>>(), [(false, true, 9 * 24 + 3), (false, false, 3)]);
    let mut out = Vec::new();
    report::status::machines(&rows).write(&mut out, Style::default()).unwrap();
    let lines = String::from_utf8(out).unwrap();
    let ends: Vec<_> = lines.lines().skip(1).map(|line| line.rsplit_once("  ").unwrap().1).collect();
    assert_eq!(ends, ["ok; snapshot 9d 3h old", "ok"]);
}

#[test]
fn a_directory_with_other_things_in_it_is_no_state() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(State::open(dir.path()).err().unwrap().exit_code(), 74);
    fs::write(dir.path().join("thesis.txt"), "x").unwrap();
    assert!(State::create(dir.path()).err().unwrap().to_string().contains("thesis.txt"));
    assert!(State::open(&dir.path().join("none")).is_err());
}

/// A seeded generator of numbers, for damage that is the same in every run.
struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn damage_anywhere_in_the_state_ends_in_an_answer_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    publish(&path, &Scan { machine: "web01", computer: "web01", start: FROM, changes: vec![] }, |_| {});
    publish(&path, &Scan { machine: "web01", computer: "web01", start: TO, changes: one_of_each() }, |_| {});
    let state = State::open(&path).unwrap();
    let mut random = Xorshift(0x5eed);
    for file in [
        "changes/date=2026-11-21/web01_20261121T190000Z.ndjson",
        "scans/date=2026-11-21/web01_20261121T190000Z.json",
        "machines/web01/latest",
    ] {
        let file = path.join(file);
        let sound = fs::read(&file).unwrap();
        for _ in 0..300 {
            let mut damaged = sound.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(damaged.len());
                damaged[at] = damaged[at].wrapping_add(1 + random.below(255) as u8);
            }
            if random.below(4) == 0 {
                damaged.truncate(random.below(damaged.len()));
            }
            fs::write(&file, &damaged).unwrap();
            let mut events = 0;
            let logged = state.log(&Query::default(), Order::NewestFirst, &mut |_| {
                events += 1;
                Ok(ControlFlow::Continue(()))
            });
            let reading = logged.unwrap();
            if file.extension().is_some_and(|extension| extension == "ndjson") {
                let lines = damaged.split_inclusive(|byte| *byte == b'\n').count();
                assert_eq!(events + reading.problems.len(), lines, "every line is an event or a problem");
            }
            state.status(None, at(NOW)).unwrap();
            let verified = state.verify(&mut check).unwrap();
            assert!(verified.problems.len() < 100);
            if let Ok(Some(record)) = state.record(&state.scans(None, None).unwrap()[1]) {
                let events = state.events(&state.scans(None, None).unwrap()[1]).unwrap();
                report::text::write(&mut Vec::new(), &record, events.as_ref(), Style::default()).unwrap();
            }
        }
        fs::write(&file, sound).unwrap();
    }
    assert_eq!(state.verify(&mut check).unwrap().problems, []);
}

#[test]
fn many_runs_that_make_one_state_at_once_all_have_it() {
    for _ in 0..100 {
        let dir = tempfile::tempdir().unwrap();
        let (path, start) = (dir.path().join("state"), std::sync::Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    if let Err(error) = State::create(&path) {
                        panic!("{error}");
                    }
                });
            }
        });
    }
    // What is beside the folders of a state all the same, is foreign.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("changes")).unwrap();
    fs::write(dir.path().join("photo.jpg"), "x").unwrap();
    assert!(State::create(dir.path()).err().unwrap().to_string().contains("it holds \"photo.jpg\""));
}
