//! Four nights of one volume: files renamed, rewritten, cut, punched; freed blocks used again by others.

use std::collections::BTreeMap;

use snapfim::scan::reuse::Sample;

use crate::support::{Given, LIST, Scan, WRITTEN, differences, fixture, list, put, same, scan, scan_with};

/// What `debugfs` reads of the files of a day: fixtures/rescan/make.sh.
fn truth(day: usize) -> BTreeMap<String, String> {
    let table = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/rescan/truth.tsv")).unwrap();
    let rows = table.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let rows = rows.filter(|row| row[0] == day.to_string() && !row[1].starts_with("/lost+found"));
    rows.map(|row| (row[1].clone(), row[2].clone())).collect()
}

fn hashes(scan: &Scan) -> BTreeMap<String, String> {
    let records = scan.manifest.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let files = records.filter(|record| record["kind"] == "file");
    files
        .map(|record| {
            let path = record["path"].as_str().unwrap();
            let path = path.find('/').map_or(path, |at| &path[at..]);
            (path.to_owned(), record["sha256"].as_str().unwrap().to_owned())
        })
        .collect()
}

#[test]
fn every_night_on_top_of_every_other_is_as_a_full_scan() {
    let dir = tempfile::tempdir().unwrap();
    let days: Vec<_> = (0..4).map(|day| fixture(&format!("rescan/day{day}.raw.zst"))).collect();
    let path = |day: usize| put(dir.path(), "disk.raw", &days[day]);
    let full: Vec<_> = (0..4).map(|day| scan(&path(day), None, None).unwrap()).collect();
    for (day, scan) in full.iter().enumerate() {
        assert_eq!(hashes(scan), truth(day), "day {day}");
        assert_eq!(scan.taken_over, 0);
    }
    for old in 0..4 {
        for new in 0..4 {
            let ranges = differences(&days[old], &days[new], 512);
            for format in 0..4 {
                let list = list(&ranges, days[new].len() as u64, format);
                let lines = format % 2 == 0;
                let given = Given { lines, ..LIST };
                let rescan = scan_with(&path(new), Some((&full[old], &list)), given).unwrap();
                let what = format!("day {new} on top of day {old}, list {format}");
                same(&full[new].manifest, &rescan.manifest, &what);
                assert!(rescan.taken_over > 400_000 && rescan.taken_over + rescan.hashed > 500_000, "{what}");
                assert_eq!(rescan.kept > 20, lines, "{what}: {} lines", rescan.kept);
                if old == new {
                    assert_eq!(rescan.hashed, 0, "{what}");
                    let lines_now = rescan.manifest.lines().count() as u64;
                    assert!(!lines || rescan.kept > lines_now / 2, "{what}: {} of {lines_now} lines", rescan.kept);
                }
            }
        }
    }
}

#[test]
fn a_renamed_file_is_not_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let days = [0, 1].map(|day| fixture(&format!("rescan/day{day}.raw.zst")));
    let before = scan(&put(dir.path(), "disk.raw", &days[0]), None, None).unwrap();
    let list = list(&differences(&days[0], &days[1], 512), days[1].len() as u64, 0);
    let after = scan(&put(dir.path(), "disk.raw", &days[1]), Some((&before, &list)), None).unwrap();
    assert_eq!(after.hashed, WRITTEN);
}

#[test]
fn neighbours_of_what_changed_are_looked_into_where_the_disk_as_it_was_is_at_hand() {
    let dir = tempfile::tempdir().unwrap();
    let days = [0, 1].map(|day| fixture(&format!("rescan/day{day}.raw.zst")));
    let before = scan(&put(dir.path(), "disk.raw", &days[0]), None, None).unwrap();
    let disk = put(dir.path(), "disk.raw", &days[1]);
    let full = scan(&disk, None, None).unwrap();
    // Clusters so large that files far beyond what was written reach into them.
    let list = list(&differences(&days[0], &days[1], 64 << 10), days[1].len() as u64, 0);
    let other: Vec<_> = days[0].iter().map(|byte| byte ^ 1).collect();
    let rescan = |lines, old| {
        let rescan = scan_with(&disk, Some((&before, &list)), Given { lines, old, ..LIST }).unwrap();
        same(&full.manifest, &rescan.manifest, "neighbours");
        rescan.hashed
    };
    for lines in [true, false] {
        let (without, with) = (rescan(lines, None), rescan(lines, Some(days[0].as_slice())));
        assert!(without > 3 * WRITTEN && with < 2 * WRITTEN, "{without} and {with} bytes hashed");
        // What differs from the disk as it was is read, whoever says that it was so.
        assert_eq!(rescan(lines, Some(other.as_slice())), without);
    }
}

#[test]
fn a_list_that_says_less_than_it_must_is_caught_by_reading_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let days = [2, 3].map(|day| fixture(&format!("rescan/day{day}.raw.zst")));
    let before = scan(&put(dir.path(), "disk.raw", &days[0]), None, None).unwrap();
    // A byte of a file is changed behind the list's back: its metadata says nothing.
    let mut secretly = days[0].clone();
    let text = b"\n505000\n";
    let at = secretly.windows(text.len()).position(|window| window == text).unwrap();
    secretly[at + 1] = b'6';
    let disk = put(dir.path(), "disk.raw", &secretly);
    let full = scan(&disk, None, None).unwrap();
    let blind = scan(&disk, Some((&before, "[]")), None).unwrap();
    assert_ne!(full.manifest, blind.manifest, "the list is believed");
    assert_eq!(blind.hashed, 0);
    let all = Sample::parse("100%", "scan").unwrap();
    let Err(error) = scan(&disk, Some((&before, "[]")), Some(all.clone())) else { panic!("not caught") };
    let text = error.to_string();
    let hash = |scan: &crate::support::Scan| hashes(scan)["/etc/punched"].clone();
    assert!(text.contains("/etc/punched") && text.contains(&hash(&before)) && text.contains(&hash(&full)), "{text}");
    // With a true list all of it is read, and nothing is wrong.
    let list = list(&differences(&days[0], &secretly, 512), secretly.len() as u64, 2);
    let proved = scan(&disk, Some((&before, &list)), Some(all)).unwrap();
    same(&full.manifest, &proved.manifest, "proved");
    assert_eq!((proved.taken_over, proved.hashed), (0, full.hashed));
}

#[test]
fn what_a_journal_serves_is_never_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    // Of the first all content is in the journal, of the second that of two files: tests/ext/extents.rs.
    for (name, some_is_not) in [("dirty-data", false), ("revoked-v3", true)] {
        let disk = put(dir.path(), "disk.raw", &fixture(&format!("ext/{name}.img.zst")));
        let full = scan(&disk, None, None).unwrap();
        let again = scan(&disk, Some((&full, "[]")), None).unwrap();
        same(&full.manifest, &again.manifest, name);
        assert!(again.hashed > 0 && (again.taken_over > 0) == some_is_not, "{name}: {}", again.taken_over);
    }
}
