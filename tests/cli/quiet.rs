//! What is printed for a person, and when nothing is.

use std::{ffi::OsStr, fs, path::Path};

use crate::{
    Nights, nights,
    support::{Folder, Run, place, snapfim},
};

fn scan(folder: &Folder, targets: &[&Path], more: &[&str]) -> Run {
    let state = folder.path("state");
    let args = ["scan", "--profile", "full"].iter().chain(more).map(OsStr::new);
    let targets = targets.iter().map(|path| path.as_os_str());
    snapfim(args.chain(["--state".as_ref(), state.as_os_str()]).chain(targets))
}

#[test]
fn quiet_prints_nothing_where_there_is_nothing_to_report() {
    let folder = Folder::new();
    let (day0, day1) = (folder.disk("web01-2025-11-20.raw", 0), folder.disk("web01-2025-11-21.raw", 1));
    for baseline_and_repeated in 0..2 {
        let run = scan(&folder, &[&day0], &["--quiet"]).exits(0);
        assert!(run.out.is_empty() && run.err.is_empty(), "{baseline_and_repeated}: {run:?}");
    }
    scan(&folder, &[&day0], &[]).exits(0).prints("no changes");
    // What --exit-zero takes from the exit code is in the report all the same.
    scan(&folder, &[&day1], &["--quiet", "--exit-zero"]).exits(0).prints("26 changes").prints("timestomp");
    folder.read(&["log", "--quiet"]).exits(0).prints("/usr/bin/passwd");
}

#[test]
fn a_quiet_comparison_prints_changes_alone() {
    let Nights { old, new, folder: _folder } = nights();
    let [old, new] = [&old, &new].map(|path| path.to_str().unwrap());
    let run = snapfim(["diff", "-q", old, old]).exits(0);
    assert!(run.out.is_empty() && run.err.is_empty(), "{run:?}");
    snapfim(["diff", "-q", old, new]).exits(1).prints("26 changes");
}

#[test]
fn quiet_prints_what_is_not_covered_until_it_is_accepted() {
    let folder = Folder::new();
    let (at, len) = place("boot:superblock");
    let broken = folder.disk_with("b0.raw", 0, |bytes: &mut Vec<u8>| bytes[at..at + len].fill(0));
    for _ in 0..2 {
        scan(&folder, &[&broken], &["--quiet"]).exits(4).prints("gap");
    }
    let policy = folder.path("accept.toml");
    let accepted = "accept = ['volume:@9a270000-0000-4000-8000-000000000002', 'path:/boot']";
    fs::write(&policy, format!("version = 1\nprofiles = ['full']\n{accepted}\n")).unwrap();
    let accepting = ["--quiet", "--machine", "other", "--policy", policy.to_str().unwrap()];
    assert_eq!(scan(&folder, &[&broken], &accepting).exits(0).out, "");
}

#[test]
fn an_empty_line_stands_between_the_reports_of_two_targets() {
    let folder = Folder::new();
    let [one, two, three] = ["one", "two", "three"].map(|name| folder.disk(&format!("{name}.raw"), 0));
    let run = scan(&folder, &[&one, &two, &three], &[]).exits(0);
    let lines: Vec<_> = run.out.lines().collect();
    let heads: Vec<_> = (0..lines.len()).filter(|at| lines[*at].contains("first scan, nothing")).collect();
    assert!(heads.len() == 3 && heads[0] == 0, "{}", run.out);
    assert!(heads[1..].iter().all(|at| lines[at - 1].is_empty()), "{}", run.out);
    assert!(!run.out.contains("\n\n\n") && !run.out.ends_with("\n\n"), "{}", run.out);
}
