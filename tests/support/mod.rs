//! The real binary, and the small machine of `fixtures/machine` on its two evenings.
#![allow(dead_code, unreachable_pub, reason = "each test file takes of it what it needs")]

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use serde_json::Value as Json;

/// When the snapshots of day 0 and day 1 were taken, and the evenings that follow.
pub const EVENINGS: [&str; 5] = [
    "2025-11-20T19:00:00Z",
    "2025-11-21T19:00:00Z",
    "2025-11-22T19:00:00Z",
    "2025-11-23T19:00:00Z",
    "2025-11-24T19:00:00Z",
];

/// The first of them, in seconds since 1970.
const FIRST_EVENING: u64 = 1_763_665_200;

/// The disk of the machine on the evening of `day`.
pub fn disk(day: usize) -> &'static [u8] {
    static DISKS: [OnceLock<Vec<u8>>; 2] = [const { OnceLock::new() }; 2];
    DISKS[day].get_or_init(|| {
        let packed = fs::read(fixture(&format!("day{day}.raw.zst"))).unwrap();
        zstd::decode_all(packed.as_slice()).unwrap()
    })
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/machine").join(name)
}

/// The rows of a table beside the images, without its first line.
pub fn table(name: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(fixture(name)).unwrap();
    // What is Unicode stands as it is in our JSON, also where it is a control character.
    let text = text.replace("\\x1b", "\x1b");
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// Where something lies on the disk of day 0, and how long it is, both in bytes; see `places.tsv`.
pub fn place(what: &str) -> (usize, usize) {
    let row = table("places.tsv").into_iter().find(|row| row[0] == what).unwrap();
    (row[1].parse().unwrap(), row[2].parse().unwrap())
}

/// Writes a disk as a sparse file; with the modification time of its evening.
pub fn write_disk(path: &Path, bytes: &[u8], day: usize) {
    const PIECE: usize = 1 << 16;
    let mut file = File::create(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for (number, piece) in bytes.chunks(PIECE).enumerate() {
        if piece.iter().any(|byte| *byte != 0) {
            file.seek(SeekFrom::Start((number * PIECE) as u64)).unwrap();
            file.write_all(piece).unwrap();
        }
    }
    let evening = FIRST_EVENING + day as u64 * 86_400;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(evening)).unwrap();
}

/// A folder that goes away, for images and a state.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The disk of `day` as a file, after `edit`.
    pub fn disk_with(&self, name: &str, day: usize, edit: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
        let mut bytes = disk(day).to_vec();
        edit(&mut bytes);
        let path = self.path(name);
        write_disk(&path, &bytes, day);
        path
    }

    /// The disk of `day` as a file.
    pub fn disk(&self, name: &str, day: usize) -> PathBuf {
        let path = self.path(name);
        write_disk(&path, disk(day), day);
        path
    }

    /// A scan into the state of this folder as the machine `web01`, on an evening.
    pub fn night(&self, image: &Path, evening: usize, more: &[&str]) -> Run {
        let mut args = vec!["scan".as_ref(), image.as_os_str(), "--format".as_ref(), "ndjson".as_ref()];
        let state = self.path("state");
        args.extend(["--state".as_ref(), state.as_os_str(), "--machine".as_ref(), OsStr::new("web01")]);
        args.extend(["--snapshot-time".as_ref(), OsStr::new(EVENINGS[evening])]);
        if !more.contains(&"--profile") && !more.contains(&"--policy") {
            args.extend(["--profile".as_ref(), OsStr::new("full")]);
        }
        args.extend(more.iter().map(OsStr::new));
        snapfim(args)
    }

    /// Any verb that reads the state of this folder.
    pub fn read(&self, args: &[&str]) -> Run {
        let state = self.path("state");
        let args = args.iter().map(OsStr::new).chain(["--state".as_ref(), state.as_os_str()]);
        snapfim(args)
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// The same run, whose exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// The same run, which says this on standard error.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.err.contains(words), "expected {words:?} in stderr:\n{}", self.err);
        self
    }

    /// The same run, which prints this on standard output.
    #[track_caller]
    pub fn prints(self, words: &str) -> Self {
        assert!(self.out.contains(words), "expected {words:?} in stdout:\n{}", self.out);
        self
    }

    /// Its lines of JSON.
    #[track_caller]
    pub fn json(&self) -> Vec<Json> {
        self.out.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// `ChangeType path` of every event, sorted.
    #[track_caller]
    pub fn events(&self) -> Vec<String> {
        let mut events: Vec<_> = self.json().iter().map(event).collect();
        events.sort();
        events
    }
}

/// `ChangeType path` of an event.
pub fn event(event: &Json) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    format!("{} {}{}", text("ChangeType"), text("FilePath"), text("FileName")).trim_end().to_owned()
}

/// The binary, about to be run.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapfim"));
    command.stdin(Stdio::null()).env_remove("NO_COLOR").env("TZ", "UTC");
    command
}

/// Runs the binary.
pub fn snapfim<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Run {
    let output = command().args(args).output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The records of a manifest, as the binary prints them.
pub fn records(manifest: &Path) -> String {
    snapfim(["manifest".as_ref(), manifest.as_os_str()]).exits(0).out
}

/// The only manifest of the machine `web01`, or the newest.
pub fn newest_manifest(state: &Path) -> PathBuf {
    let entries = fs::read_dir(state.join("machines/web01")).unwrap();
    let names = entries.map(|entry| entry.unwrap().path());
    names.filter(|path| path.to_string_lossy().ends_with(".manifest.zst")).max().unwrap()
}

/// The events that the planted edits of `edits.tsv` must give under the profile `full`, sorted.
pub fn planted() -> Vec<String> {
    let mut events: Vec<_> = table("edits.tsv").into_iter().filter_map(|row| planted_event(&row)).collect();
    events.sort();
    events
}

fn planted_event(row: &[String]) -> Option<String> {
    let mount = match row[1].as_str() {
        "boot" => "/boot",
        "esp" => "/boot/efi",
        _ => "",
    };
    let change = match row[3].as_str() {
        "created" => "Created",
        "modified" => "Modified",
        "deleted" => "Deleted",
        // An event of a rename stands under the new name, which the row's words end with or hold.
        "renamed" => {
            let new = row[4].split_whitespace().find(|word| word.trim_end_matches(',').starts_with('/'))?;
            return Some(format!("Renamed {}", new.trim_end_matches(',')));
        }
        _ => return None,
    };
    Some(format!("{change} {mount}{}", row[2]))
}
