//! While the journal of a volume cannot be replayed, what is missing on that volume is lost and not deleted.

use snapfim::{
    diff::{Collected, ScanChange},
    manifest::{Attribute, Header, Record, VolumeEntry, VolumeState, attribute::Part},
};

use crate::support::{Scan, diff, dir, fault, file, header, lines, on, text, volume, with};

fn read(id: &str, mount: &str) -> VolumeEntry {
    volume(id, (!mount.is_empty()).then_some(mount), VolumeState::Read)
}

fn unreplayed(id: &str, mount: &str) -> VolumeEntry {
    VolumeEntry { unreplayed: Some("the journal was not replayed".into()), ..read(id, mount) }
}

fn scan(header: Header, records: &[Record]) -> Scan {
    Scan { header, ..Scan::of(records) }
}

/// A system on `@1` with `/boot` on `@2`.
fn machine() -> [Record; 6] {
    [
        dir("/", "0"),
        file("/a", "1", "x"),
        file("/b", "2", "y"),
        on("@2", dir("/boot", "1")),
        on("@2", file("/boot/k", "2", "z")),
        dir("/d", "3"),
    ]
}

#[test]
fn what_is_missing_on_that_volume_is_lost_and_all_else_is_compared() {
    let sound = header(&[read("@1", "/"), read("@2", "/boot")]);
    let [root, a, b, boot, _, d] = machine();
    let changed = with(&b, Attribute::Mode, text("0777"));
    let records = [root, changed.clone(), boot, file("/c", "9", "new"), d];

    let damaged = scan(header(&[unreplayed("@1", "/"), read("@2", "/boot")]), &records);
    let out = diff(&scan(sound.clone(), &machine()), &damaged);
    assert_eq!(lines(&out), ["Unreadable /a /", "Modified /b /b mode", "Deleted /boot/k -", "Created - /c"]);
    assert_eq!(out.carried, [a.clone()]);
    assert_eq!(out.scan_changes, []);
    let why = out.changes[0].new.as_ref().unwrap();
    assert_eq!(why.text(Attribute::Error), Some("the journal was not replayed"));
    assert_eq!(why.text(Attribute::Volume), Some("@1"));

    // It is lost on a later night of the same gap, too.
    assert_eq!(lines(&diff(&scan(damaged.header.clone(), &machine()), &damaged)), lines(&out));

    // It is said once; and what returns is compared with its last good record.
    let damaged = damaged.carrying(&out);
    assert_eq!(diff(&damaged, &damaged), Collected { carried: vec![a.clone()], ..Collected::default() });
    let back = |more: &[Record]| {
        let mut all = records.to_vec();
        all.extend_from_slice(more);
        lines(&diff(&damaged, &scan(sound.clone(), &all)))
    };
    assert_eq!(back(&[a]), [""; 0]);
    assert_eq!(back(&[file("/a", "1", "X")]), ["Modified /a /a sha256"]);
    assert_eq!(back(&[]), ["Deleted /a -"]);

    let damaged = scan(header(&[read("@1", "/"), unreplayed("@2", "/boot")]), &records);
    let out = diff(&scan(sound, &machine()), &damaged);
    let expected = ["Deleted /a -", "Modified /b /b mode", "Unreadable /boot/k /boot", "Created - /c"];
    assert_eq!(lines(&out), expected);
}

#[test]
fn a_fault_that_is_nearer_says_why() {
    let sound = header(&[read("@1", "/")]);
    let old = [dir("/", "0"), dir("/d", "1"), file("/d/a", "2", "x"), file("/e", "3", "y")];
    let new = scan(header(&[unreplayed("@1", "/")]), &[dir("/", "0"), dir("/d", "1"), fault("/d", Part::Listing)]);
    assert_eq!(lines(&diff(&scan(sound, &old), &new)), ["Unreadable /d/a /d", "Unreadable /e /"]);
}

#[test]
fn a_volume_that_nothing_places_and_one_whose_id_was_in_the_journal_count_too() {
    let place = |records: &[Record]| scan(header(&[read("@1", "/"), read("@2", "")]), records);
    let old = place(&[on("@2", file("@2/a", "1", "x")), file("/b", "2", "y")]);
    let new = scan(header(&[read("@1", "/"), unreplayed("@2", "")]), &[]);
    assert_eq!(lines(&diff(&old, &new)), ["Deleted /b -", "Unreadable @2/a @2/"]);

    let old =
        scan(header(&[read("@1", "/"), read("@2", "/data")]), &[file("/a", "1", "x"), on("@2", dir("/data", "1"))]);
    let new = scan(header(&[unreplayed("@9", "/"), read("@2", "/data")]), &[]);
    assert_eq!(lines(&diff(&old, &new)), ["Unreadable /a /", "Deleted /data -"]);
}

#[test]
fn a_table_of_mounts_that_only_the_journal_knows_deletes_nothing() {
    let sound = scan(header(&[read("@1", "/"), read("@2", "/boot")]), &machine());
    let [root, a, b, boot, kernel, d] = machine();
    let mine = [root, a, b, d];
    let moved = |to: &str, records: &[Record]| -> Vec<Record> {
        let path = |record: &Record| String::from_utf8_lossy(&record.path).replacen("/boot", to, 1).into_bytes();
        records.iter().map(|record| Record { path: path(record), ..record.clone() }).collect()
    };
    // Nothing places the other volume any more: it is lost, until the table is back.
    let records = [mine.to_vec(), moved("@2/", &[boot.clone()]), moved("@2", &[kernel.clone()])].concat();
    let damaged = scan(header(&[unreplayed("@1", "/"), read("@2", "")]), &records);
    let out = diff(&sound, &damaged);
    assert_eq!((lines(&out), out.carried.len()), (vec![], 2));
    assert!(matches!(&out.scan_changes[..], [ScanChange::CoverageLost { entities: 2, .. }]), "{:?}", out.scan_changes);
    let out = diff(&damaged.carrying(&out), &sound);
    assert_eq!((lines(&out), out.carried), (vec![], vec![]));
    assert!(matches!(&out.scan_changes[..], [ScanChange::CoverageRestored { .. }]), "{:?}", out.scan_changes);

    // It stands where an older table had it.
    let records = [mine.to_vec(), moved("/old", &[boot, kernel])].concat();
    let damaged = scan(header(&[unreplayed("@1", "/"), read("@2", "/old")]), &records);
    let lost = lines(&diff(&sound, &damaged));
    assert_eq!(lost, ["Unreadable /boot /", "Unreadable /boot/k /", "Created - /old", "Created - /old/k"]);
}
