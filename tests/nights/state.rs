//! The state of nights: where it may lie, who may write to it at once, and what is done when it is damaged.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{
    baseline,
    support::{Folder, Run, newest_manifest, planted, snapfim},
};

#[test]
fn a_state_inside_the_target_is_refused() {
    let folder = Folder::new();
    fs::create_dir(folder.path("tree")).unwrap();
    let (tree, state) = (folder.path("tree"), folder.path("tree/state"));
    let args = ["scan".as_ref(), tree.as_os_str(), "--state".as_ref(), state.as_os_str()];
    let run = snapfim(args);
    assert!(run.code == 2 || run.code == 78 || run.code == 74, "{run:?}");
    run.says("inside");
}

#[test]
fn a_busy_state_says_try_again() {
    let folder = Folder::new();
    baseline(&folder);
    let image = folder.disk("day1.raw", 1);
    let locks: Vec<File> = lock_files(&folder.path("state")).iter().map(|path| File::open(path).unwrap()).collect();
    assert!(!locks.is_empty());
    for lock in &locks {
        lock.lock().unwrap();
    }
    folder.night(&image, 1, &[]).exits(75);
    for lock in &locks {
        lock.unlock().unwrap();
    }
    folder.night(&image, 1, &[]).exits(1);
}

fn lock_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(lock_files(&path));
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().contains("lock")) {
            found.push(path);
        }
    }
    found
}

#[test]
fn of_many_runs_at_once_one_scans_and_no_event_is_doubled() {
    let folder = Folder::new();
    baseline(&folder);
    let image = folder.disk("day1.raw", 1);
    let runs: Vec<Run> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| folder.night(&image, 1, &[]))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for run in &runs {
        assert!([0, 1, 75].contains(&run.code), "{run:?}");
    }
    assert_eq!(runs.iter().filter(|run| run.code == 1).count(), 1);
    folder.read(&["verify"]).exits(0);
    assert_eq!(folder.read(&["log", "--format", "ndjson"]).exits(0).events(), planted());
}

#[test]
fn a_damaged_previous_manifest_is_refused_with_what_to_do() {
    for cut in [true, false] {
        let folder = Folder::new();
        baseline(&folder);
        let manifest = newest_manifest(&folder.path("state"));
        let mut bytes = fs::read(&manifest).unwrap();
        if cut {
            bytes.truncate(bytes.len() / 2);
        } else {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
        }
        fs::write(&manifest, bytes).unwrap();
        folder.read(&["verify"]).exits(74).says("manifest");
        let run = folder.night(&folder.disk("day1.raw", 1), 1, &[]).exits(74).says("manifest");
        assert!(run.err.contains("snapfim verify") || run.err.contains("restore"), "no advice in: {}", run.err);
        assert_eq!(run.out, "", "no verdict");
    }
}
