//! The program itself: lists given by hand, what containers tell by themselves, and what is refused aloud.

use std::{path::Path, process::Command};

use snapfim::changelog::{MachineName, ScanId, ScanRecord, ScanRef, State};

use crate::support::{WRITTEN, differences, fixture, list, put, same};

struct Bench {
    dir: tempfile::TempDir,
}

/// What a scan ended with.
struct Ended {
    code: i32,
    stderr: String,
}

impl Bench {
    fn of(files: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in files {
            put(dir.path(), name, &fixture(&format!("rescan/{name}.zst")));
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn scan(&self, state: &str, target: &str, more: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapfim"));
        command.args(["scan", "--profile", "full", "--machine", "m", "--allow-older", "--exit-zero", "-v", "--state"]);
        let output = command.arg(self.path(state)).arg(self.path(target)).args(more).output().unwrap();
        Ended { code: output.status.code().unwrap(), stderr: String::from_utf8(output.stderr).unwrap() }
    }

    fn latest(&self, state: &str) -> (State, ScanRef) {
        let state = State::open(Path::new(&self.path(state))).unwrap();
        let machine = MachineName::given("m").unwrap();
        let scan_id: ScanId = state.latest(&machine).unwrap().unwrap();
        (state, ScanRef { machine, scan_id })
    }

    fn record(&self, state: &str) -> ScanRecord {
        let (state, scan) = self.latest(state);
        state.record(&scan).unwrap().unwrap()
    }

    fn manifest(&self, state: &str) -> String {
        let (state, scan) = self.latest(state);
        let file = state.manifest(&scan).unwrap().unwrap();
        String::from_utf8(zstd::decode_all(file).unwrap()).unwrap()
    }

    /// The manifest of a full scan of a target, in a state of its own.
    fn full(&self, target: &str) -> String {
        let state = format!("full-{target}");
        let ended = self.scan(&state, target, &["--no-reuse"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        self.manifest(&state)
    }
}

fn list_of_days(bench: &Bench) -> String {
    let [old, new] = ["day0.raw", "day1.raw"].map(|day| std::fs::read(bench.path(day)).unwrap());
    let text = list(&differences(&old, &new, 4096), new.len() as u64, 0);
    put(bench.dir.path(), "dirty.json", text.as_bytes());
    bench.path("dirty.json")
}

#[test]
fn a_list_given_by_hand_is_used_and_written_down() {
    let bench = Bench::of(&["day0.raw", "day1.raw"]);
    let list = list_of_days(&bench);
    assert_eq!(bench.scan("state", "day0.raw", &[]).code, 0);
    let since = bench.record("state").scan_id.to_string();
    let ended = bench.scan("state", "day1.raw", &["--changed", &list, "--changed-since", &since]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    same(&bench.full("day1.raw"), &bench.manifest("state"), "day 1");
    let record = bench.record("state");
    assert!(record.bytes.taken_over > 100_000 && record.bytes.hashed > 0, "{:?}", record.bytes);
    let note = record.coverage.iter().find(|row| row.name == "rescan").unwrap();
    assert!(note.why.starts_with(&format!("since {since} by nbdinfo dirty bitmap")), "{}", note.why);

    // One file of extents is kept, and the state is whole with it and without it.
    let machine = bench.dir.path().join("state/machines/m");
    let extents = || {
        let names = std::fs::read_dir(&machine).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.to_str().unwrap().ends_with(".extents.zst")).collect::<Vec<_>>()
    };
    let verify = || {
        let state = bench.path("state");
        let status = Command::new(env!("CARGO_BIN_EXE_snapfim")).args(["verify", "--state", &state]).status().unwrap();
        assert!(status.success());
    };
    assert_eq!(extents().len(), 1);
    verify();
    std::fs::remove_file(&extents()[0]).unwrap();
    verify();
    let since = record.scan_id.to_string();
    let ended = bench.scan("state", "day1.raw", &["--changed", &list, "--changed-since", &since]);
    assert!(ended.code == 0 && ended.stderr.contains("full scan: it is not kept where"), "{}", ended.stderr);
    assert_eq!(bench.record("state").bytes.taken_over, 0);
}

#[test]
fn every_doubt_is_a_full_scan_said_aloud() {
    let bench = Bench::of(&["day0.raw", "day1.raw"]);
    let list = list_of_days(&bench);
    let full = bench.full("day1.raw");
    let text = std::fs::read_to_string(&list).unwrap();
    let cut = put(bench.dir.path(), "cut.json", &text.as_bytes()[..text.len() - 10]);
    let short = put(bench.dir.path(), "short.json", br#"[{"offset":0,"length":4096,"type":1,"description":"dirty"}]"#);
    let far = put(bench.dir.path(), "far.json", br#"[{"offset":1099511627776,"length":4096,"exists":"true"}]"#);
    let names = |path: &Path| path.to_str().unwrap().to_owned();
    let gone = bench.path("gone.json");
    for (list, since, expected) in [
        (list.clone(), None, "--changed-since"),
        (list, Some("20200101T000000Z"), "is not the scan before this one"),
        (names(&cut), Some(""), "EOF"),
        (names(&short), Some(""), "covers 0x1000 bytes"),
        (names(&far), Some(""), "reaches to"),
        (gone, Some(""), "No such file"),
    ] {
        assert_eq!(bench.scan("state", "day0.raw", &["--no-reuse"]).code, 0);
        let latest = bench.record("state").scan_id.to_string();
        let mut more = vec!["--changed", &list];
        if let Some(since) = since {
            more.extend(["--changed-since", if since.is_empty() { &latest } else { since }]);
        }
        let ended = bench.scan("state", "day1.raw", &more);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("full scan: ") && ended.stderr.contains(expected),
            "{expected}: {}",
            ended.stderr
        );
        assert_eq!(bench.record("state").bytes.taken_over, 0);
        same(&full, &bench.manifest("state"), expected);
    }
}

#[test]
fn a_wrong_list_fails_loudly_when_it_is_verified() {
    let bench = Bench::of(&["day0.raw"]);
    assert_eq!(bench.scan("state", "day0.raw", &[]).code, 0);
    let before = bench.record("state").scan_id;
    let mut disk = std::fs::read(bench.path("day0.raw")).unwrap();
    let at = disk.windows(8).position(|window| window == b"\n505000\n").unwrap();
    disk[at + 1] = b'6';
    put(bench.dir.path(), "day0.raw", &disk);
    let nothing = put(bench.dir.path(), "nothing.json", b"[]");
    let (nothing, since) = (nothing.to_str().unwrap(), before.to_string());
    let more = ["--changed", nothing, "--changed-since", &since, "--verify-reuse", "100%"];
    let ended = bench.scan("state", "day0.raw", &more);
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("/etc/punched") && ended.stderr.contains("changed ranges are wrong"),
        "{}",
        ended.stderr
    );
    let (state, scan) = bench.latest("state");
    assert_eq!(scan.scan_id, before, "the failed scan is not the newest complete one");
    assert_eq!(state.scans(None, None).unwrap().len(), 2);
}

#[test]
fn containers_tell_by_themselves_what_changed() {
    let bench =
        Bench::of(&["base.qcow2", "overlay.qcow2", "snaps.qcow2", "base.vmdk", "delta.vmdk", "day0.raw", "day1.raw"]);
    let (day0, day1) = (bench.full("day0.raw"), bench.full("day1.raw"));
    for (older, newer) in
        [("base.qcow2", "overlay.qcow2"), ("snaps.qcow2@first", "snaps.qcow2@second"), ("base.vmdk", "delta.vmdk")]
    {
        let state = format!("state-{newer}");
        let ended = bench.scan(&state, older, &[]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        same(&day0, &bench.manifest(&state), older);
        let ended = bench.scan(&state, newer, &[]);
        assert!(ended.code == 0 && ended.stderr.contains("by layers of the image"), "{newer}: {}", ended.stderr);
        same(&day1, &bench.manifest(&state), newer);
        let bytes = bench.record(&state).bytes;
        // Two files were written; large neighbours in their clusters are compared with what lies beneath.
        assert!(bytes.taken_over > bytes.hashed && bytes.hashed < 2 * WRITTEN, "{newer}: {bytes:?}");
    }
}

#[test]
fn an_image_that_was_written_to_since_tells_nothing() {
    let bench = Bench::of(&["base.qcow2", "overlay.qcow2", "day0.raw"]);
    assert_eq!(bench.scan("state", "base.qcow2", &[]).code, 0);
    let bytes = std::fs::read(bench.path("base.qcow2")).unwrap();
    put(bench.dir.path(), "base.qcow2", &bytes);
    let ended = bench.scan("state", "overlay.qcow2", &[]);
    assert!(ended.code == 0 && ended.stderr.contains("full scan: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("base.qcow2 was modified since"), "{}", ended.stderr);
    assert_eq!(bench.record("state").bytes.taken_over, 0);
    // The same file again: what was written in place leaves no trace, so nothing is taken over, and nothing is said.
    assert_eq!(bench.scan("again", "day0.raw", &[]).code, 0);
    let ended = bench.scan("again", "day0.raw", &[]);
    assert!(ended.code == 0 && !ended.stderr.contains("full scan"), "{}", ended.stderr);
    assert_eq!(bench.record("again").bytes.taken_over, 0);
}

/// `overlay.map.json` is what qemu-img printed: fixtures/rescan/make.sh.
#[test]
fn the_map_of_an_overlay_is_a_list_of_what_changed() {
    let bench = Bench::of(&["day0.raw", "day1.raw"]);
    assert_eq!(bench.scan("state", "day0.raw", &[]).code, 0);
    let since = bench.record("state").scan_id.to_string();
    let map = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/rescan/overlay.map.json");
    let ended = bench.scan("state", "day1.raw", &["--changed", map, "--changed-since", &since]);
    assert!(ended.code == 0 && ended.stderr.contains("by qemu-img map"), "{}", ended.stderr);
    same(&bench.full("day1.raw"), &bench.manifest("state"), "qemu-img map");
    assert!(bench.record("state").bytes.taken_over > 100_000);
}

#[test]
fn a_list_that_knows_less_than_the_layers_of_the_target_does_not_hide_what_they_tell() {
    let bench = Bench::of(&["base.qcow2", "overlay.qcow2", "day0.raw", "day1.raw"]);
    assert_eq!(bench.scan("state", "base.qcow2", &[]).code, 0);
    let size = std::fs::metadata(bench.path("day0.raw")).unwrap().len();
    put(bench.dir.path(), "nothing.json", list(&[], size, 0).as_bytes());
    let since = bench.record("state").scan_id.to_string();
    let more = ["--changed", &bench.path("nothing.json"), "--changed-since", &since];
    let ended = bench.scan("state", "overlay.qcow2", &more);
    assert!(ended.code == 0 && ended.stderr.contains("by nbdinfo"), "{}", ended.stderr);
    same(&bench.full("day1.raw"), &bench.manifest("state"), "an empty list beside an overlay");
    assert!(bench.record("state").bytes.taken_over > 100_000);
}

#[test]
fn another_file_at_the_path_of_the_base_is_another_one_whatever_its_time() {
    let bench = Bench::of(&["base.qcow2", "overlay.qcow2"]);
    assert_eq!(bench.scan("state", "base.qcow2", &[]).code, 0);
    let (base, other) = (bench.path("base.qcow2"), bench.path("other.qcow2"));
    std::fs::copy(&base, &other).unwrap();
    let time = std::fs::metadata(&base).unwrap().modified().unwrap();
    std::fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
    std::fs::rename(&other, &base).unwrap();
    let ended = bench.scan("state", "overlay.qcow2", &[]);
    assert!(ended.stderr.contains("base.qcow2 was modified since, or may have been"), "{}", ended.stderr);
    assert_eq!(bench.record("state").bytes.taken_over, 0);
}

#[test]
fn a_snapshot_that_was_taken_anew_in_the_same_second_is_another_one() {
    let bench = Bench::of(&["snaps.qcow2"]);
    assert_eq!(bench.scan("state", "snaps.qcow2@first", &[]).code, 0);
    let path = bench.path("snaps.qcow2");
    let mut bytes = std::fs::read(&path).unwrap();
    // The table's place stands at 64 in the header; nanoseconds at 20 in its first entry (qcow2, "Snapshots").
    let table = usize::try_from(u64::from_be_bytes(bytes[64..72].try_into().unwrap())).unwrap();
    bytes[table + 23] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ended = bench.scan("state", "snaps.qcow2@second", &[]);
    assert!(ended.stderr.contains("the snapshot that was scanned is gone"), "{}", ended.stderr);
    assert_eq!(bench.record("state").bytes.taken_over, 0);
}

#[test]
fn an_overlay_of_which_no_places_are_kept_is_a_full_scan_said_aloud() {
    let bench = Bench::of(&["base.qcow2", "overlay.qcow2"]);
    assert_eq!(bench.scan("state", "base.qcow2", &[]).code, 0);
    for entry in std::fs::read_dir(bench.dir.path().join("state/machines/m")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().ends_with(".extents.zst") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let ended = bench.scan("state", "overlay.qcow2", &[]);
    assert!(ended.code == 0 && ended.stderr.contains("full scan: it is not kept where"), "{}", ended.stderr);
}

/// Two machines that one command scans have scans of the same id, and clones of one image have the same layout.
#[test]
fn extents_of_another_machine_give_no_hash_of_its_contents() {
    let bench = Bench::of(&[]);
    let disk = fixture("disk/fat16.raw.zst");
    let mut other = disk.clone();
    // In BOOTX64.EFI; of FAT no lines are taken over, contents alone.
    other[0x2a064] ^= 1;
    put(bench.dir.path(), "a.raw", &disk);
    put(bench.dir.path(), "b.raw", &other);
    put(bench.dir.path(), "nothing.json", list(&[], disk.len() as u64, 0).as_bytes());
    let extents = |state: &str, id: ScanId| bench.path(&format!("{state}/machines/m/{id}.extents.zst"));
    let (state, states_other, id) = (0..50)
        .find_map(|n| {
            let [one, another] = [format!("a{n}"), format!("b{n}")];
            assert_eq!(bench.scan(&one, "a.raw", &[]).code + bench.scan(&another, "b.raw", &[]).code, 0);
            let [id, same] = [&one, &another].map(|state| bench.record(state).scan_id);
            (id == same).then_some((one, another, id))
        })
        .expect("two scans in one second");
    std::fs::copy(extents(&states_other, id), extents(&state, id)).unwrap();
    let list = bench.path("nothing.json");
    let ended = bench.scan(&state, "a.raw", &["--changed", &list, "--changed-since", &id.to_string()]);
    assert!(ended.code == 74 && ended.stderr.contains("the extents beside it were kept with"), "{}", ended.stderr);
    std::fs::remove_file(extents(&state, id)).unwrap();
    assert_eq!(bench.scan(&state, "a.raw", &["--changed", &list, "--changed-since", &id.to_string()]).code, 0);
    assert_eq!(bench.record(&state).changes_total(), 0);
}
