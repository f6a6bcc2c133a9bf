//! The verbs that read a state: the change log, histories, what is overdue, whether all of it is whole.

use std::fs;

use crate::{
    Nights, nights,
    support::{EVENINGS, Folder, newest_manifest, planted, snapfim},
};

#[test]
fn the_log_is_filtered_and_counted() {
    let Nights { folder, .. } = nights();
    let log = |more: &[&str]| {
        let args: Vec<_> = ["log", "--format", "ndjson"].iter().chain(more).copied().collect();
        folder.read(&args).exits(0)
    };
    assert_eq!(log(&[]).events(), planted());
    assert_eq!(log(&["--type", "Deleted"]).events(), ["Deleted /usr/sbin/auditd"]);
    assert_eq!(log(&["--path", "/boot/**"]).events().len(), 4);
    assert_eq!(log(&["--path", "/etc/cron.d/*"]).events(), ["Created /etc/cron.d/sysstat"]);
    assert_eq!(log(&["--machine", "web01"]).events(), planted());
    assert_eq!(log(&["--computer", "WEB"]).events(), planted());
    assert_eq!(log(&["--computer", "db"]).events().len(), 0);
    assert_eq!(log(&["--entity", "registry"]).events().len(), 0);
    assert_eq!(log(&["--entity", "file"]).events(), planted());
    assert_eq!(log(&["--since", "2025-11-21"]).events(), planted());
    assert_eq!(log(&["--until", "2025-11-20"]).events().len(), 0);
    assert_eq!(log(&["--since", "2025-11-22"]).events().len(), 0);
    let counted = log(&["--count-by", "ChangeType"]);
    let created = counted.json().into_iter().find(|row| row["ChangeType"] == "Created").unwrap();
    assert_eq!(created["Count"], 8);
    let times: Vec<_> = log(&[]).json().iter().map(|event| event["TimeGenerated"].to_string()).collect();
    assert!(times.is_sorted_by(|one, other| one >= other), "newest first: {times:?}");
    for bad in [["--type", "Eaten"], ["--severity", "awful"], ["--count-by", "Colour"], ["--since", "soon"]] {
        folder.read(&["log", bad[0], bad[1]]).exits(2).says(bad[1]);
    }
    folder.read(&["log"]).exits(0).prints("/etc/ld.so.preload");
}

#[test]
fn the_log_as_csv_has_a_row_an_event_and_a_head() {
    let Nights { folder, .. } = nights();
    let csv = folder.read(&["log", "--format", "csv"]).exits(0).out;
    let mut lines = csv.lines();
    let head = lines.next().unwrap();
    assert!(head.starts_with("TimeGenerated,Computer,"), "{head}");
    assert_eq!(lines.count(), planted().len());
}

#[test]
fn a_path_has_a_history() {
    let Nights { folder, .. } = nights();
    folder.read(&["history", "/usr/bin/passwd"]).exits(0).prints("/usr/bin/passwd").prints("timestomp");
    let renamed = folder.read(&["history", "/usr/bin/nc.traditional", "--format", "ndjson"]).exits(0);
    assert_eq!(renamed.events(), ["Renamed /usr/sbin/kworkerd"], "a rename is in the history of both its names");
    assert_eq!(folder.read(&["history", "/no/such"]).exits(0).out, "");
}

#[test]
fn status_is_one_line_a_machine_and_says_what_is_overdue() {
    let Nights { folder, .. } = nights();
    folder.read(&["status"]).exits(0).prints("web01");
    let rows = folder.read(&["status", "--format", "ndjson"]).exits(0).json();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["machine"], "web01");
    assert_eq!(rows[0]["overdue"], false);
    // The snapshot is years older than its scan.
    assert_eq!((&rows[0]["snapshot"], &rows[0]["stale"]), (&EVENINGS[1].into(), &true.into()));
    folder.read(&["status"]).exits(0).prints("ok; snapshot");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    folder.read(&["status", "--every", "1s"]).exits(1);
}

#[test]
fn verify_finds_what_is_damaged_or_missing() {
    let Nights { folder, .. } = nights();
    folder.read(&["verify"]).exits(0).prints("0 problems");
    let manifest = newest_manifest(&folder.path("state"));
    let whole = fs::read(&manifest).unwrap();
    fs::write(&manifest, &whole[..whole.len() - 9]).unwrap();
    folder.read(&["verify"]).exits(74).says("damaged");
    fs::write(&manifest, &whole).unwrap();
    fs::rename(&manifest, folder.path("elsewhere")).unwrap();
    folder.read(&["verify"]).exits(74);
    fs::rename(folder.path("elsewhere"), &manifest).unwrap();
    folder.read(&["verify"]).exits(0);
}

#[test]
fn a_state_that_is_not_there_is_an_error_for_readers() {
    let folder = Folder::new();
    for args in [&["log"][..], &["status"], &["verify"], &["history", "/x"]] {
        folder.read(args).exits(74).says("state");
    }
    fs::write(folder.path("file"), "x").unwrap();
    let image = folder.disk("day0.raw", 0);
    let file = folder.path("file");
    snapfim(["scan", image.to_str().unwrap(), "--state", file.to_str().unwrap()]).exits(74).says("file");
}
