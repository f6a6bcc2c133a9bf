//! Who may import whom, as `docs/architecture.md` draws it: an arrow that points the wrong way fails here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each room, and the rooms that it may use.
const ALLOWED: [(&str, &[&str]); 24] = [
    ("error", &[]),
    ("checksum", &[]),
    ("field", &[]),
    ("guid", &[]),
    ("severity", &[]),
    ("text", &[]),
    ("threads", &[]),
    ("image", &["error", "checksum", "field", "guid"]),
    ("volume", &["error", "checksum", "field", "guid", "image"]),
    ("fs", &["error", "checksum", "field", "guid", "threads", "image"]),
    ("security", &["error", "field", "guid"]),
    ("registry", &["error", "field", "text"]),
    ("machine", &["error", "guid", "text", "image", "volume", "fs", "registry", "security"]),
    ("target", &["error", "image", "volume", "fs", "machine"]),
    ("policy", &["error", "severity", "text"]),
    ("changed", &["error"]),
    ("manifest", &["error", "text", "threads"]),
    (
        "scan",
        &[
            "error", "field", "text", "threads", "fs", "machine", "registry", "security", "policy", "manifest",
            "changed",
        ],
    ),
    ("diff", &["error", "text", "manifest"]),
    ("changelog", &["error", "severity", "text", "manifest", "diff"]),
    ("report", &["error", "severity", "changelog"]),
    (
        "job",
        &[
            "error",
            "severity",
            "text",
            "threads",
            "changed",
            "image",
            "volume",
            "fs",
            "registry",
            "security",
            "machine",
            "target",
            "policy",
            "scan",
            "manifest",
            "diff",
            "changelog",
        ],
    ),
    (
        "cli",
        &[
            "error",
            "severity",
            "image",
            "volume",
            "fs",
            "registry",
            "security",
            "machine",
            "target",
            "policy",
            "scan",
            "manifest",
            "diff",
            "changelog",
            "report",
            "job",
        ],
    ),
    ("main", &["cli"]),
];

/// What prints, reads the environment or the clock, which only `cli` may.
const WORLD: [&str; 11] = [
    "println!",
    "eprintln!",
    "print!(",
    "dbg!",
    "env::var",
    "env::args",
    "Timestamp::now",
    "SystemTime::now",
    "Instant::now",
    "Zoned::now",
    "process::exit",
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                // Unit tests stand at the foot, and may use what they like; comments are no code.
                let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
                let code: Vec<_> = code.lines().map(|line| line.split("//").next().unwrap()).collect();
                into.push((path, code.join("\n")));
            }
        }
    }
    let mut all = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    // Files that hold nothing but tests.
    all.retain(|(path, _)| !path.ends_with("tests.rs") && !path.ends_with("crash.rs"));
    assert!(all.len() > 150, "only {} files", all.len());
    all
}

fn room(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The rooms that a file names behind `crate::`, alone or in braces.
fn uses(code: &str, start: &str) -> BTreeSet<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(start) {
        let rest = &code[at + start.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(name(rest));
            continue;
        };
        let (mut depth, mut first) = (1, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => first = true,
                c if depth == 1 && first && c.is_alphabetic() => {
                    found.insert(name(&group[at..]));
                    first = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    found
}

#[test]
fn no_arrow_points_the_wrong_way() {
    let rooms: BTreeSet<_> = ALLOWED.iter().map(|(room, _)| *room).collect();
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let room = room(&path);
        if room == "lib" {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == room) else {
            panic!("the room {room} is not in the table")
        };
        let start = if room == "main" { "snapfim::" } else { "crate::" };
        for used in uses(&code, start) {
            // A macro or a name of the crate's root is no room.
            if rooms.contains(used.as_str()) && used != room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: {room} must not use {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    // Each room uses only rooms that can be put before it.
    let mut placed: Vec<&str> = Vec::new();
    while placed.len() < ALLOWED.len() {
        let free =
            |(name, uses): &&(&str, &[&str])| !placed.contains(name) && uses.iter().all(|used| placed.contains(used));
        match ALLOWED.iter().find(free) {
            Some((name, _)) => placed.push(name),
            None => panic!("a circle among the rooms that are not {placed:?}"),
        }
    }
}

#[test]
fn only_the_command_line_prints_or_reads_clock_and_environment() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        if ["cli", "main"].contains(&room(&path).as_str()) {
            continue;
        }
        for word in WORLD {
            if code.contains(word) {
                wrong.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_use_lines_reads_them() {
    let code = "use crate::{\n    a::{b, c},\n    d,\n};\nuse crate::e::f;\nfn g() { crate::h::i() }";
    let expected: BTreeSet<_> = ["a", "d", "e", "h"].map(str::to_owned).into();
    assert_eq!(uses(code, "crate::"), expected);
}
