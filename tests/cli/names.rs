//! Names that are not Unicode, that would steer a terminal, and that look as if they were escaped.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path};

use crate::{
    Nights, nights,
    support::{Folder, newest_manifest, snapfim},
};

#[test]
fn hostile_names_are_found_as_the_log_spells_them_and_as_they_are() {
    let Nights { folder, new, .. } = nights();
    let state = folder.path("state");
    let log = folder.read(&["log"]).exits(0).out;
    for (raw, spelled) in [
        (&b"/usr/local/bin/up\xffdate"[..], r"/usr/local/bin/up\xffdate"),
        (b"/usr/local/bin/ls\x1b[2K\x1b[1A", r"/usr/local/bin/ls\x1b[2K\x1b[1A"),
    ] {
        assert!(log.contains(spelled), "{spelled} in {log}");
        for path in [OsStr::from_bytes(raw), spelled.as_ref()] {
            let found = snapfim(["history".as_ref(), path, "--state".as_ref(), state.as_os_str()]).exits(0);
            assert_eq!(found.out.lines().count(), 1, "{}: {}", path.display(), found.out);
            assert!(!snapfim(["cat".as_ref(), new.as_os_str(), path]).exits(0).out.is_empty());
        }
    }
    snapfim(["cat".as_ref(), new.as_os_str(), OsStr::from_bytes(b"/no\x1b\xff")])
        .exits(65)
        .says(r"/no\x1b\xff: no such");
}

#[test]
fn a_name_that_looks_escaped_wins_over_what_it_spells() {
    let folder = Folder::new();
    let (old, new) = (folder.path("old"), folder.path("new"));
    fs::create_dir_all(&old).unwrap();
    fs::create_dir_all(&new).unwrap();
    let (literal, byte) = (r"bad\xffname", OsStr::from_bytes(b"bad\xffname"));
    fs::write(new.join(byte), "byte").unwrap();
    let [old, new] = [&old, &new].map(|path| path.to_str().unwrap());
    let cat =
        |name: &OsStr| snapfim(["cat".as_ref(), new.as_ref(), Path::new("/").join(name).as_os_str()]).exits(0).out;
    assert_eq!((cat(literal.as_ref()), cat(byte)), ("byte".to_owned(), "byte".to_owned()));
    fs::write(Path::new(new).join(literal), "literal").unwrap();
    assert_eq!((cat(literal.as_ref()), cat(byte)), ("literal".to_owned(), "byte".to_owned()));

    let state = folder.path("state");
    for (target, code) in [(old, 0), (new, 1)] {
        let args = ["scan", target, "--machine", "m", "--profile", "full", "--state"];
        snapfim(args.map(OsStr::new).into_iter().chain([state.as_os_str()])).exits(code);
    }
    let history = |name: &OsStr| {
        let path = Path::new("@directory/").join(name);
        let args = ["--format".as_ref(), "ndjson".as_ref(), "--state".as_ref(), state.as_os_str()];
        let events = snapfim(["history".as_ref(), path.as_os_str()].into_iter().chain(args)).exits(0).json();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0]["Ext"]["PathHex"].is_string()
    };
    assert_eq!((history(literal.as_ref()), history(byte)), (false, true));
}

#[test]
fn a_target_may_have_any_name() {
    let folder = Folder::new();
    let dir = folder.path("d");
    fs::create_dir(&dir).unwrap();
    let target = dir.join(OsStr::from_bytes(b"bad\xff.raw"));
    fs::rename(folder.disk("day0.raw", 0), &target).unwrap();
    let state = folder.path("state");
    let scan = ["scan".as_ref(), target.as_os_str(), "--state".as_ref(), state.as_os_str()];
    snapfim(scan).exits(0).prints("first scan");
    assert!(state.join("machines/bad%FF").is_dir());
    snapfim(["inspect".as_ref(), target.as_os_str()]).exits(0).prints("ext4");
    snapfim(["diff".as_ref(), target.as_os_str(), target.as_os_str()]).exits(0).prints("no changes");
}

#[test]
fn a_link_that_leads_nowhere_is_not_called_missing() {
    let folder = Folder::new();
    let dir = folder.path("d");
    fs::create_dir(&dir).unwrap();
    std::os::unix::fs::symlink("/run/mo\x1btd", dir.join("motd")).unwrap();
    let dir = dir.to_str().unwrap();
    snapfim(["cat", dir, "/motd"]).exits(65).says(r"/motd: it is a link to /run/mo\x1btd, which does not exist");
    snapfim(["cat", dir, "/motd/x"]).exits(65).says("/motd/x: no such file in the target");
}

#[test]
fn names_reach_no_terminal_as_they_are_in_json_either() {
    let folder = Folder::new();
    let tree = folder.path("tree");
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    // U+202E turns what follows round, U+009B begins an escape sequence for some terminals.
    let evil = "e\u{202e}vil\u{9b}2J\u{7f}ä";
    for (file, text) in [("hostname", evil.to_owned()), ("os-release", format!("NAME={evil}\n")), (evil, String::new())]
    {
        std::fs::write(tree.join("etc").join(file), text).unwrap();
    }
    let state = folder.path("state");
    let (tree, state) = (tree.to_str().unwrap(), state.to_str().unwrap());
    let scan = ["scan", tree, "--state", state, "--machine", "web01", "--profile", "full"];
    snapfim(scan).exits(0);
    let manifest = newest_manifest(&folder.path("state"));
    let manifest = manifest.to_str().unwrap();
    let dry = [&scan[..], &["--dry-run", "--format", "ndjson"]].concat();
    for (args, path) in [
        (&["inspect", tree, "--format", "ndjson"][..], "/os/host"),
        (&dry, "/os/host"),
        (&["manifest", manifest, "--header"], "/os/host"),
        (&["manifest", manifest], "/path"),
    ] {
        let run = snapfim(args.iter().copied()).exits(0);
        assert!(!run.out.contains(['\u{202e}', '\u{9b}', '\u{7f}']), "{args:?}: {run:?}");
        let is_there = |line: &serde_json::Value| line.pointer(path).unwrap().as_str().unwrap().ends_with(evil);
        assert!(run.json().iter().any(is_there), "{args:?}: {run:?}");
    }
}
