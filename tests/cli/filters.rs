//! What the filters of the log take.

use crate::{
    Nights, nights,
    support::{Folder, planted, snapfim},
};

#[test]
fn a_date_in_a_filter_means_all_of_its_day() {
    let folder = Folder::new();
    let state = folder.path("state");
    let scan = |image: &str, day: usize, time: &str, code: i32| {
        let (image, state) = (folder.disk(image, day), state.to_str().unwrap());
        let args = ["scan", image.to_str().unwrap(), "--state", state, "--machine", "web01", "--profile", "full"];
        snapfim(args.iter().chain(&["--snapshot-time", time])).exits(code);
    };
    // The planted changes claim times before this window: all of them are shown at its end, a midnight.
    scan("day0.raw", 0, "2026-01-20", 0);
    scan("day1.raw", 1, "2026-01-21", 1);
    let log = |more: &[&str]| {
        let args: Vec<_> = ["log", "--format", "ndjson"].iter().chain(more).copied().collect();
        folder.read(&args).exits(0).events()
    };
    assert_eq!(log(&["--since", "2026-01-21"]), planted());
    assert_eq!(log(&["--since", "2026-01-21", "--until", "2026-01-21"]), planted());
    assert_eq!(log(&["--until", "2026-01-21T00:00:00Z"]), planted());
    assert!(log(&["--since", "2026-01-22"]).is_empty() && log(&["--until", "2026-01-20"]).is_empty());
}

#[test]
fn a_filter_that_nothing_can_pass_is_refused_with_what_there_is() {
    let Nights { folder, .. } = nights();
    for (filter, known) in [
        (["--type", "foo"], "there are Created, Modified"),
        (["--severity", "foo"], "there are info, low, medium, high"),
        (["--entity", "foo"], "there are File, Registry, Scan"),
        (["--machine", "web02"], "--machine web02: the state has no such machine; it has web01"),
    ] {
        assert_eq!(folder.read(&["log", filter[0], filter[1]]).exits(2).says(known).out, "");
    }
    for (since, until) in [("1h", "2h"), ("2026-01-21", "2026-01-20")] {
        let run = folder.read(&["log", "--since", since, "--until", until]).exits(2).says("is later than --until");
        assert_eq!(run.out, "");
    }
    folder.read(&["log", "--since", "2h", "--until", "1h"]).exits(0);
    folder.read(&["history", "/etc", "--machine", "web02"]).exits(2).says("it has web01");
}

#[test]
fn lists_are_taken_with_blanks_after_their_commas() {
    let Nights { folder, .. } = nights();
    let counted = |columns: &str| folder.read(&["log", "--count-by", columns]).exits(0).out;
    assert_eq!(counted("FilePath, ChangeType "), counted("FilePath,ChangeType"));
    let listed =
        |types: &str, entities: &str| folder.read(&["log", "--type", types, "--entity", entities]).exits(0).out;
    assert_eq!(listed("Created, Deleted", "File, Scan"), listed("Created,Deleted", "File,Scan"));
}

#[test]
fn how_often_and_how_many_moved_along_do_not_share_a_name() {
    let Nights { folder, .. } = nights();
    for format in ["text", "ndjson", "csv"] {
        let run = folder.read(&["log", "--count-by", "Computer,count", "--format", format]).exits(2);
        assert_eq!(run.says("--count-by count: how often something happened is called so").out, "");
    }
}

#[test]
fn a_time_that_is_none_names_its_option() {
    let Nights { folder, old, .. } = nights();
    let (old, state) = (old.to_str().unwrap(), folder.path("state"));
    let scan = ["scan", old, "--state", state.to_str().unwrap()];
    for (verb, option) in [
        (&["log"][..], "--since"),
        (&["log"], "--until"),
        (&["status"], "--every"),
        (&scan, "--every"),
        (&scan, "--snapshot-time"),
    ] {
        let args = [verb, &[option, "soon"]].concat();
        let run = if verb[0] == "scan" { snapfim(args) } else { folder.read(&args) };
        run.exits(2).says(&format!("snapfim: {option}: not a ")).says(r#""soon""#);
    }
}
