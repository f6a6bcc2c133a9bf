//! `-` is standard input.

use std::{
    fs::{self, File},
    path::Path,
};

use crate::{
    Nights, nights,
    support::{Folder, Run, command, newest_manifest, snapfim},
};

/// Runs the binary with a file as its standard input.
fn fed(file: &Path, args: &[&str]) -> Run {
    let output = command().args(args).stdin(File::open(file).unwrap()).output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn a_dash_is_standard_input_for_policies() {
    let folder = Folder::new();
    let policy = folder.path("p.toml");
    fs::write(&policy, "version = 1\n[[monitor]]\nname = \"app\"\npaths = [\"/srv\"]\n").unwrap();
    fed(&policy, &["policy", "check", "-"]).exits(0).prints("standard input: 1 rule applies");
    fed(&policy, &["policy", "explain", "/srv/x", "--policy", "-"]).exits(0).prints("app").prints("standard input:4");
    fs::write(&policy, "version = 2\n").unwrap();
    fed(&policy, &["policy", "check", "-"]).exits(78).says("standard input:1");
}

#[test]
fn a_dash_is_standard_input_for_manifests() {
    let Nights { folder, old, new } = nights();
    let manifest = newest_manifest(&folder.path("state"));
    let [old, new] = [&old, &new].map(|path| path.to_str().unwrap());
    assert_eq!(
        fed(&manifest, &["manifest", "-"]).exits(0).out,
        snapfim(["manifest".as_ref(), manifest.as_os_str()]).out
    );
    fed(&manifest, &["diff", "-", new]).exits(0).prints("no changes");
    fed(&manifest, &["diff", old, "-"]).exits(1).prints("26 changes").prints("day0");
    fed(Path::new(old), &["diff", "-", new]).exits(74).says("standard input");
}

#[test]
fn a_dash_is_standard_input_for_keys_and_lists() {
    let folder = Folder::new();
    let image = folder.disk("day0.raw", 0);
    let (image, state) = (image.to_str().unwrap(), folder.path("state"));
    let state = state.to_str().unwrap();
    fed(Path::new("/dev/null"), &["inspect", image, "--key-file", "-"]).exits(2).says("standard input: expected 1 to");
    let list = folder.path("list");
    fs::write(&list, "nonsense").unwrap();
    let scan = ["scan", image, "--state", state, "--changed", "-", "--changed-since"];
    snapfim(["scan", image, "--state", state]).exits(0);
    let name = fs::read_to_string(folder.path("state/machines/day0/latest")).unwrap();
    fed(&list, &[&scan[..], &[name.trim()]].concat()).exits(0).says("full scan").says("standard input:");
}

/// A script whose list was left out scanned in full without a word.
#[test]
fn since_which_scan_without_what_changed_is_a_slip() {
    snapfim(["scan", "x", "--state", "s", "--changed-since", "y"]).exits(2).says("--changed <FILE>");
}

#[test]
fn standard_input_is_read_once() {
    for args in [
        &["diff", "-", "-"][..],
        &["diff", "-", "x", "--policy", "-"],
        &["scan", "x", "--state", "s", "--key-file", "-", "--changed", "-", "--changed-since", "y"],
        &["inspect", "x", "--key-file", "-", "--key-file", "-"],
    ] {
        snapfim(args).exits(2).says("more than once");
    }
}
