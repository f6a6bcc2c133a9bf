//! `kill -9` at random points of a scan: the state stays whole, the next run is right, no event is lost or doubled.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is the test")]

mod support;

use std::{
    collections::BTreeSet,
    process::Stdio,
    time::{Duration, Instant},
};

use support::{Folder, command, planted};

/// How often a scan is killed.
const KILLS: u32 = 100;

/// After so many of them a scan is let to its end.
const KILLS_A_NIGHT: u32 = 4;

/// A small generator of numbers (xorshift64), so that a run can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

#[test]
fn a_hundred_killed_scans_lose_and_double_nothing() {
    let folder = Folder::new();
    let images = [folder.disk("day0.raw", 0), folder.disk("day1.raw", 1)];
    let more = ["--allow-older"];
    folder.night(&images[0], 0, &more).exits(0);
    let begin = Instant::now();
    folder.night(&images[1], 1, &more).exits(1);
    let mut whole = u64::try_from(begin.elapsed().as_micros()).unwrap() * 5 / 4;
    let there = planted();
    let mut numbers = Numbers(0x5eed);
    let (mut nights, mut killed, mut day) = (1, 0, 1);
    for kill in 0..KILLS {
        // The disk goes back and forth between its two days, so that each night has as many changes as the first.
        if kill % KILLS_A_NIGHT == 0 {
            day = 1 - day;
        }
        let state = folder.path("state");
        let mut scan = command();
        scan.args(["scan".as_ref(), images[day].as_os_str(), "--state".as_ref(), state.as_os_str()]);
        scan.args([
            "--machine",
            "web01",
            "--profile",
            "full",
            "--snapshot-time",
            support::EVENINGS[1],
            "--allow-older",
        ]);
        let mut child = scan.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(numbers.below(whole)));
        let finished = child.try_wait().unwrap();
        child.kill().unwrap();
        let status = finished.unwrap_or(child.wait().unwrap());
        killed += u32::from(status.code().is_none());
        // The first run may have been slow, or the machine is now: the range of delays follows what is seen.
        whole = if status.code().is_none() { whole * 21 / 20 } else { (whole * 9 / 10).max(2_000) };
        let verified = folder.read(&["verify"]);
        assert_eq!(verified.code, 0, "after kill {kill}: {verified:?}");
        if kill % KILLS_A_NIGHT == KILLS_A_NIGHT - 1 {
            // Where the killed scan came to its end in spite of it, this one finds nothing.
            let run = folder.night(&images[day], 1, &more);
            assert!([0, 1].contains(&run.code), "{run:?}");
            nights += 1;
        }
    }
    assert!(killed > KILLS / 5, "only {killed} were killed in time");
    folder.read(&["verify"]).exits(0);
    let log = folder.read(&["log", "--format", "ndjson"]).exits(0);
    assert_eq!(log.events().len(), nights * there.len(), "every night's changes are in the log once");
    let ids: BTreeSet<_> = log
        .json()
        .iter()
        .map(|event| (event["Ext"]["ScanId"].to_string(), event["Ext"]["EventId"].to_string()))
        .collect();
    assert_eq!(ids.len(), nights * there.len());
    let last: Vec<_> = log.events();
    let forth = there.iter().filter(|event| event.starts_with("Modified")).all(|event| last.contains(event));
    assert!(forth);
}
