//! A dry run ends as the scan would, as far as that is known before files are read.

use std::fs;

use crate::support::{Folder, newest_manifest, place, snapfim};

#[test]
fn a_dry_run_fails_where_the_scan_does() {
    let folder = Folder::new();
    let (noise, old, new) = (folder.path("noise.raw"), folder.disk("old.raw", 0), folder.disk("new.raw", 1));
    // Bytes in which there is no signature: a linear congruential sequence.
    let bytes = (0..1 << 20).scan(1_u32, |state, _| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(state.to_le_bytes()[3])
    });
    fs::write(&noise, bytes.collect::<Vec<_>>()).unwrap();
    let (state, foreign) = (folder.path("state"), folder.path("foreign"));
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.txt"), "x").unwrap();
    let [noise, old, new, state, foreign] = [&noise, &old, &new, &state, &foreign].map(|path| path.to_str().unwrap());
    snapfim(["scan", new, "--state", state, "--machine", "web01"]).exits(0);
    for (target, state, more, code, says) in [
        (noise, state, &[][..], 65, "nothing of it can be read"),
        ("absent.raw", state, &[], 66, "absent.raw"),
        (old, state, &[], 65, "is older than the one scanned last"),
        (old, foreign, &[], 74, "neither a state directory nor empty"),
        (new, state, &["--snapshot-time", "2999-01-01"], 2, "after the start of the scan"),
    ] {
        for dry in [&["--dry-run"][..], &[]] {
            let args = ["scan", target, "--state", state, "--machine", "web01"];
            let run = snapfim(args.iter().chain(more).chain(dry)).exits(code).says(says);
            assert_eq!(run.out, "", "{target} {dry:?}");
        }
    }
    snapfim(["scan", old, "--state", state, "--machine", "web01", "--dry-run", "--allow-older"]).exits(0);
}

#[test]
fn a_dry_run_takes_an_empty_folder_for_a_state() {
    let folder = Folder::new();
    fs::create_dir(folder.path("state")).unwrap();
    let image = folder.disk("day0.raw", 0);
    for more in [&["--dry-run"][..], &["--dry-run", "--every", "24h"]] {
        folder.night(&image, 0, more).exits(0).prints("would_scan");
    }
    assert_eq!(fs::read_dir(folder.path("state")).unwrap().count(), 0);
}

#[test]
fn a_dry_run_tells_the_gaps_that_are_known_before_anything_is_read() {
    let folder = Folder::new();
    let (at, len) = place("boot:superblock");
    let broken = folder.disk_with("b0.raw", 0, |bytes: &mut Vec<u8>| bytes[at..at + len].fill(0));
    let volume = "volume:@9a270000-0000-4000-8000-000000000002";
    let policy = folder.path("accept.toml");
    fs::write(&policy, format!("version = 1\nprofiles = ['full']\naccept = ['{volume}', 'path:/boot']\n")).unwrap();
    for (more, code, state) in [(&[][..], 4, "gap"), (&["--policy", policy.to_str().unwrap()], 0, "accepted")] {
        let run = folder.night(&broken, 0, &[more, &["--dry-run"]].concat()).exits(code);
        let row = &run.json()[0];
        assert_eq!((row["machine"].as_str(), row["due"].as_bool()), (Some("web01"), Some(true)), "{row}");
        let gaps = row["coverage"].as_array().unwrap().iter().filter(|row| row["state"] == state);
        let names: Vec<_> = gaps.map(|row| row["name"].as_str().unwrap()).collect();
        // The volume, and the place where the mount table wants it.
        assert_eq!(names, [volume, "path:/boot"], "{row}");
        folder.night(&broken, 0, &[more, &["--exit-zero"]].concat()).exits(code);
    }
    let (broken, state) = (broken.to_str().unwrap(), folder.path("other"));
    let text = snapfim(["scan", broken, "--state", state.to_str().unwrap(), "--profile", "full", "--dry-run"]).exits(4);
    text.prints("would scan / (ext4 on").prints(&format!("gap        {volume}")).prints("gap        path:/boot");
}

#[test]
fn a_dry_run_does_not_say_that_nothing_is_monitored_nor_miss_that_the_last_manifest_is_gone() {
    let folder = Folder::new();
    let disk = folder.disk("day0.raw", 0);
    let run = folder.night(&disk, 0, &["--dry-run"]).exits(0);
    assert!(!run.out.contains("nothing that can be read"), "{run:?}");
    folder.night(&disk, 0, &[]).exits(0);
    fs::remove_file(newest_manifest(&folder.path("state"))).unwrap();
    for dry in [&["--dry-run"][..], &[]] {
        folder.night(&disk, 1, dry).exits(74).says("the newest complete scan, is missing");
    }
}
