//! Several targets in one command, and which machine each of them is.

use std::{fs, path::PathBuf};

use crate::support::{Folder, snapfim};

#[test]
fn several_targets_are_all_tried_and_the_worst_code_wins() {
    let folder = Folder::new();
    let (one, two) = (folder.disk("one.raw", 0), folder.disk("two.raw", 1));
    fs::write(folder.path("bad.raw"), [0; 4096]).unwrap();
    let (bad, state) = (folder.path("bad.raw"), folder.path("state"));
    let run = |names: [&PathBuf; 3]| {
        let mut args = vec!["scan", "--state", state.to_str().unwrap(), "--profile", "full"];
        args.extend(names.iter().map(|path| path.to_str().unwrap()));
        snapfim(args)
    };
    let first = run([&one, &bad, &two]).exits(65).says("bad.raw");
    assert!(first.out.contains("one") && first.out.contains("two"), "the others are scanned: {}", first.out);
    run([&one, &folder.path("absent.raw"), &two]).exits(66).says("absent.raw");
    for machine in ["one", "two"] {
        folder.read(&["status"]).prints(machine);
    }
}

#[test]
fn the_machine_is_named_after_the_file_without_its_date() {
    let folder = Folder::new();
    let (old, new) = (folder.disk("web7-2025-11-20.raw", 0), folder.disk("web7-2025-11-21.raw", 1));
    let state = folder.path("state");
    for (image, code) in [(&old, 0), (&new, 1)] {
        snapfim(["scan", image.to_str().unwrap(), "--state", state.to_str().unwrap(), "--profile", "full"]).exits(code);
    }
    assert!(folder.path("state/machines/web7").is_dir());
}

#[test]
fn two_machines_whose_disks_are_called_alike_do_not_share_a_history() {
    let folder = Folder::new();
    for name in ["a", "b", "2025-11-20", "2025-11-21"] {
        fs::create_dir(folder.path(name)).unwrap();
    }
    let (one, other, third) = (folder.disk("a/disk.raw", 0), folder.disk("b/disk.raw", 1), folder.disk("web01.raw", 0));
    let state = folder.path("state");
    let scan = |targets: &[&PathBuf], more: &[&str]| {
        let args = ["scan", "--quiet", "--profile", "full", "--state", state.to_str().unwrap()];
        snapfim(args.iter().chain(more).copied().chain(targets.iter().map(|path| path.to_str().unwrap())))
    };
    for more in [&["--every", "1d"][..], &[]] {
        let run = scan(&[&one, &other, &third], more).exits(2);
        for (target, alike) in [(&one, &other), (&other, &one)] {
            let says = format!(
                "{}: it would be the machine disk, and so would {}: scan each by itself with --machine",
                target.display(),
                alike.display()
            );
            assert!(run.err.contains(&says), "{}", run.err);
        }
    }
    assert!(!folder.path("state/machines/disk").exists() && folder.path("state/machines/web01").is_dir());
    // Snapshots of one machine lie on one path but for dates.
    let days = [folder.disk("2025-11-20/db.raw", 0), folder.disk("2025-11-21/db.raw", 1)];
    scan(&[&days[0], &days[1]], &[]).exits(1);
    folder.read(&["status"]).prints("db");
}

#[test]
fn two_disks_that_differ_in_nothing_but_the_extension_do_not_share_a_history() {
    let folder = Folder::new();
    let (raw, qcow2) = (folder.disk("web01.raw", 0), folder.disk("web01.qcow2", 1));
    // A night may change the extension along with the date.
    let nights = [folder.disk("db-2025-11-20.raw", 0), folder.disk("db-2025-11-21.img", 1)];
    let state = folder.path("state");
    for more in [&[][..], &["--every", "1d"], &["--every", "1d", "--dry-run"]] {
        let args = ["scan", "--quiet", "--profile", "full", "--state", state.to_str().unwrap()];
        let targets = [&raw, &qcow2, &nights[0], &nights[1]].map(|path| path.to_str().unwrap());
        let run = snapfim(args.iter().chain(more).copied().chain(targets)).exits(2);
        for (target, alike) in [(&raw, &qcow2), (&qcow2, &raw)] {
            let says =
                format!("{}: it would be the machine web01, and so would {}:", target.display(), alike.display());
            assert!(run.err.contains(&says), "{}", run.err);
        }
    }
    assert!(!folder.path("state/machines/web01").exists() && folder.path("state/machines/db").is_dir());
}

#[test]
fn a_folder_of_images_that_is_taken_for_a_mounted_tree_says_how_to_name_them() {
    let folder = Folder::new();
    let images = folder.path("snapshots");
    std::fs::create_dir(&images).unwrap();
    for name in ["web01-2026-11-21.RAW", "db01.qcow2", "notes.txt"] {
        std::fs::write(images.join(name), b"x").unwrap();
    }
    std::os::unix::fs::symlink("/absent", images.join("a.raw")).unwrap();
    let (images, state) = (images.to_str().unwrap(), folder.path("state"));
    let state = state.to_str().unwrap();
    let hint = format!(
        "db01.qcow2 and 1 more are called like disk images and are recorded as files: to scan the machines in them, \
         name the images as targets, as {images}/db01.qcow2"
    );
    snapfim(["scan", images, "--state", state]).exits(0).prints(&hint);
    snapfim(["inspect", images]).prints(&hint);
    // The tree of a machine may have images anywhere.
    let tree = folder.path("tree");
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    std::fs::write(tree.join("etc/os-release"), "NAME=x\n").unwrap();
    std::fs::write(tree.join("initrd.img"), b"x").unwrap();
    let run = snapfim(["scan", tree.to_str().unwrap(), "--state", state]).exits(0);
    assert!(!run.out.contains("disk images"), "{run:?}");
}
