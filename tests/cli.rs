//! The command line of the real binary: verbs, formats and exit codes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is the test")]

#[path = "cli/comparisons.rs"]
mod comparisons;
#[path = "cli/dry_run.rs"]
mod dry_run;
#[path = "cli/explained.rs"]
mod explained;
#[path = "cli/filters.rs"]
mod filters;
#[path = "cli/holes.rs"]
mod holes;
#[path = "cli/input.rs"]
mod input;
#[path = "cli/names.rs"]
mod names;
#[path = "cli/quiet.rs"]
mod quiet;
#[path = "cli/readers.rs"]
mod readers;
mod support;
#[path = "cli/targets.rs"]
mod targets;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::PathBuf,
    process::Stdio,
};

use support::{EVENINGS, Folder, command, newest_manifest, planted, snapfim};

const VERBS: [&str; 12] = [
    "scan",
    "diff",
    "log",
    "status",
    "history",
    "inspect",
    "cat",
    "manifest",
    "policy",
    "verify",
    "completions",
    "man",
];

/// Two nights of the machine, written into the state of a folder.
struct Nights {
    folder: Folder,
    old: PathBuf,
    new: PathBuf,
}

fn nights() -> Nights {
    let folder = Folder::new();
    let (old, new) = (folder.disk("day0.raw", 0), folder.disk("day1.raw", 1));
    folder.night(&old, 0, &[]).exits(0);
    folder.night(&new, 1, &[]).exits(1);
    Nights { folder, old, new }
}

#[test]
fn every_verb_has_help_with_what_it_takes() {
    let all = snapfim(["--help"]).exits(0);
    for verb in VERBS {
        assert!(all.out.contains(verb), "{verb} is not in the help");
        snapfim([verb, "--help"]).exits(0).prints("Usage:").prints(verb);
        snapfim(["help", verb]).exits(0);
    }
    all.prints("Exit codes:");
    snapfim(["--version"]).exits(0).prints(env!("CARGO_PKG_VERSION"));
}

#[test]
fn usage_errors_exit_2() {
    for args in [
        &["nonsense"][..],
        &["scan"],
        &["scan", "x.raw"],
        &["scan", "x.raw", "--state", "s", "--format", "xml"],
        &["scan", "x.raw", "--state", "s", "--every", "often"],
        &["scan", "x.raw", "--state", "s", "--snapshot-time", "yesterdayish"],
        &["scan", "x.raw", "--state", "s", "--threads", "0"],
        &["scan", "x.raw", "y.raw", "--state", "s", "--machine", "m"],
        &["log"],
        &["diff", "one"],
    ] {
        let run = snapfim(args).exits(2);
        assert!(run.out.is_empty() && !run.err.is_empty(), "{args:?}: {run:?}");
    }
    assert!(!PathBuf::from("s").exists(), "a usage error must not make a state");
}

#[test]
fn diff_exits_by_what_it_finds() {
    let Nights { old, new, folder } = nights();
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    snapfim(["diff", old, old]).exits(0).prints("no changes");
    let text = snapfim(["diff", old, new]).exits(1).prints("26 changes").prints("coverage complete");
    text.prints("timestomp").prints("renamed 2");
    assert_eq!(snapfim(["diff", old, new, "--format", "ndjson"]).exits(1).events(), planted());
    snapfim(["diff", old, new, "--exit-zero"]).exits(0).prints("26 changes");
    snapfim(["diff", old, "/nowhere.raw"]).exits(66).says("/nowhere.raw");
    let manifest = newest_manifest(&folder.path("state"));
    // A manifest stands for its target.
    snapfim(["diff", manifest.to_str().unwrap(), new]).exits(0);
    assert_eq!(snapfim(["diff", old, manifest.to_str().unwrap(), "--format", "ndjson"]).exits(1).events(), planted());
}

#[test]
fn a_gap_exits_4_and_5_with_changes_and_0_when_it_is_accepted() {
    let damage = |bytes: &mut Vec<u8>| {
        let (at, len) = support::place("boot:superblock");
        bytes[at..at + len].fill(0);
    };
    let folder = Folder::new();
    let (broken, broken_new) = (folder.disk_with("b0.raw", 0, damage), folder.disk_with("b1.raw", 1, damage));
    let (old, new) = (broken.to_str().unwrap(), broken_new.to_str().unwrap());
    snapfim(["diff", old, old]).exits(4);
    snapfim(["diff", old, new]).exits(5);
    snapfim(["diff", old, new, "--exit-zero"]).exits(4);
    let policy = folder.path("accept.toml");
    let text = "version = 1\nprofiles = [\"full\"]\naccept = [\"volume:@9a270000-0000-4000-8000-000000000002\", \"path:/boot\"]\n";
    fs::write(&policy, text).unwrap();
    let policy = policy.to_str().unwrap();
    snapfim(["diff", old, old, "--policy", policy]).exits(0).prints("accepted");
    snapfim(["diff", old, new, "--policy", policy]).exits(1);
}

#[test]
fn a_volume_that_is_accepted_is_accepted_where_it_should_be_mounted() {
    let folder = Folder::new();
    let image = folder.disk_with("u0.raw", 0, |bytes: &mut Vec<u8>| {
        // An incompatible feature that nobody knows: ext4 on-disk format, "The Super Block", offset 0x60.
        bytes[support::place("boot:superblock").0 + 0x63] |= 0x80;
    });
    let image = image.to_str().unwrap();
    snapfim(["diff", image, image]).exits(4).prints("/boot");
    let policy = folder.path("accept.toml");
    let text = "version = 1\nprofiles = [\"full\"]\naccept = [\"volume:@9a270000-0000-4000-8000-000000000002\"]\n";
    fs::write(&policy, text).unwrap();
    snapfim(["diff", image, image, "--policy", policy.to_str().unwrap()]).exits(0).prints("accepted");
}

#[test]
fn a_policy_that_is_no_text_names_its_line() {
    let folder = Folder::new();
    let policy = folder.path("policy.toml");
    fs::write(&policy, b"version = 1\nprofiles = [\"full\"]\n# caf\xe9\n").unwrap();
    let file = policy.to_str().unwrap();
    let line = format!("{file}:3: expected a text in UTF-8, found the byte 0xe9");
    snapfim(["policy", "check", file]).exits(78).says(&line);
    snapfim(["diff", file, file, "--policy", file]).exits(78).says(&line);
}

#[test]
fn what_is_not_due_is_not_scanned() {
    let folder = Folder::new();
    let image = folder.disk("day0.raw", 0);
    folder.night(&image, 0, &["--every", "24h"]).exits(0);
    let run = folder.night(&folder.disk("day1.raw", 1), 1, &["--every", "24h"]).exits(0).says("not due");
    assert_eq!(run.out, "");
    folder.night(&image, 1, &["--every", "0s"]);
    folder.read(&["status", "--every", "24h"]).exits(0);
    folder.read(&["verify"]).exits(0);
}

#[test]
fn a_dry_run_writes_nothing() {
    let folder = Folder::new();
    let run = folder.night(&folder.disk("day0.raw", 0), 0, &["--dry-run"]).exits(0);
    run.prints("/boot/efi").prints("Debian GNU/Linux 12");
    assert!(!folder.path("state").exists());
}

#[test]
fn a_dry_run_says_what_the_policy_and_the_last_scan_say() {
    let folder = Folder::new();
    let (image, policy) = (folder.disk("day0.raw", 0), folder.path("p.toml"));
    fs::write(&policy, "version = 1\n[[monitor]]\nname = 'x'\npaths = ['/etc']\nmachines = ['db*']\n").unwrap();
    for dry in [&["--dry-run"][..], &[]] {
        let args = [&["--policy", policy.to_str().unwrap()], dry].concat();
        let run = folder.night(&image, 0, &args).exits(78).says("no rule of the policy is for the machine web01");
        assert_eq!(run.out, "");
    }
    folder.night(&image, 0, &["--dry-run", "--every", "24h"]).exits(0).prints("would_scan");
    folder.night(&image, 0, &[]).exits(0);
    let run = folder.night(&image, 1, &["--dry-run", "--every", "24h"]).exits(0).prints(r#""due":false"#);
    assert!(!run.out.contains("would_scan"), "{}", run.out);
    let (image, state) = (image.to_str().unwrap(), folder.path("state"));
    let args = ["scan", image, "--machine", "web01", "--every", "24h", "--dry-run", "--state", state.to_str().unwrap()];
    snapfim(args).exits(0).prints("day0.raw: not due, web01 was last scanned 2");
}

#[test]
fn a_manifest_is_printed_as_ndjson() {
    let Nights { folder, .. } = nights();
    let manifest = newest_manifest(&folder.path("state"));
    let manifest = manifest.to_str().unwrap();
    let header = snapfim(["manifest", manifest, "--header"]).exits(0);
    assert_eq!(header.json()[0]["os"]["host"], "deb-web01");
    assert_eq!(header.json().len(), 1);
    let lines = String::from_utf8(zstd::decode_all(File::open(manifest).unwrap()).unwrap()).unwrap();
    assert_eq!(header.out.lines().next(), lines.lines().next(), "as it stands in the file, kind and version too");
    let records = snapfim(["manifest", manifest]).exits(0).json();
    let passwd = records.iter().find(|record| record["path"] == "/usr/bin/passwd").unwrap();
    assert_eq!((passwd["mode"].as_str(), passwd["user"].as_str()), (Some("04755"), Some("root")));
    let odd = records.iter().find(|record| record["path"] == r"/usr/local/bin/up\xffdate").unwrap();
    assert_eq!(odd["path_hex"], "2f7573722f6c6f63616c2f62696e2f7570ff64617465");
    snapfim(["manifest", "/nowhere"]).says("/nowhere");
}

#[test]
fn policies_are_shown_checked_and_explained() {
    let folder = Folder::new();
    snapfim(["policy", "show"]).exits(0).prints("/usr/local/sbin");
    let good = folder.path("good.toml");
    fs::write(&good, "version = 1\n[[monitor]]\nname = \"app\"\npaths = [\"/srv/**\"]\nexclude = [\"**/*.log\"]\n")
        .unwrap();
    let good = good.to_str().unwrap();
    snapfim(["policy", "check", good]).exits(0);
    snapfim(["policy", "explain", "/srv/www/a.html", "--policy", good]).prints("app");
    snapfim(["policy", "explain", "/srv/www/a.log", "--policy", good]).prints("*.log");
    let bad = folder.path("bad.toml");
    fs::write(&bad, "version = 1\n\n[[monitor]]\npaths = [\"/a\"]\ncolour = 1\n").unwrap();
    snapfim(["policy", "check", bad.to_str().unwrap()]).exits(78).says("bad.toml").says("colour");
    snapfim(["policy", "show", "--profile", "none-such"]).exits(78).says("none-such");
}

#[test]
fn files_come_out_of_an_image() {
    let folder = Folder::new();
    let image = folder.disk("day1.raw", 1);
    let image = image.to_str().unwrap();
    assert_eq!(snapfim(["cat", image, "/etc/hostname"]).exits(0).out, "deb-web01\n");
    assert_eq!(
        snapfim(["cat", image, "/boot/efi/EFI/debian/grub.cfg"]).exits(0).out,
        "configfile /boot/grub/grub.cfg\n"
    );
    // Through links, inside the image.
    snapfim(["cat", image, "/etc/os-release"]).exits(0).prints("bookworm");
    snapfim(["cat", image, "/etc"]).exits(65).says("/etc: expected a file, found a directory");
    snapfim(["cat", image, "/etc/absent"]).exits(65).says("/etc/absent");
}

#[test]
fn an_image_is_inspected() {
    let folder = Folder::new();
    let image = folder.disk("day1.raw", 1);
    let image = image.to_str().unwrap();
    let text = snapfim(["inspect", image]).exits(0);
    for word in ["gpt", "ext4", "vfat", "/boot/efi", "deb-web01", "Debian GNU/Linux 12", "E5F0-0001"] {
        assert!(text.out.to_lowercase().contains(&word.to_lowercase()), "{word} in {}", text.out);
    }
    assert!(!snapfim(["inspect", image, "--format", "ndjson"]).exits(0).json().is_empty());
    // A directory has neither a size nor a place on a disk.
    let text = snapfim(["inspect", folder.path("").to_str().unwrap()]).exits(0).prints("directory, @directory");
    assert!(!text.out.contains("0 B"), "{}", text.out);
}

#[test]
fn completions_and_the_man_page_are_printed() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        snapfim(["completions", shell]).exits(0).prints("snapfim");
    }
    snapfim(["man"]).exits(0).prints(".TH snapfim ");
    snapfim(["man", "policy", "show"]).exits(0).prints(".TH snapfim-policy-show ");
    snapfim(["man", "absent"]).exits(2).says("absent: no such verb");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let Nights { folder, old, new } = nights();
    let (state, manifest) = (folder.path("state"), newest_manifest(&folder.path("state")));
    let [old, new, state, manifest] = [&old, &new, &state, &manifest].map(|path| path.to_str().unwrap());
    for args in [
        &["manifest", manifest][..],
        &["log", "--state", state, "--format", "ndjson"],
        &["diff", old, new],
        &["policy", "show"],
        &["completions", "bash"],
        &["cat", new, "/boot/initrd.img-6.1.0-18-amd64"],
        &["--help"],
    ] {
        let mut child = command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = Vec::new();
        BufReader::with_capacity(1, child.stdout.take().unwrap()).read_until(b'\n', &mut line).unwrap();
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.is_empty(), "{args:?} says {err}");
        assert!(output.status.code().is_some_and(|code| code < 64), "{args:?}: {:?}", output.status);
    }
}

#[test]
fn an_output_that_is_full_is_an_error() {
    let Nights { old, new, folder: _folder } = nights();
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let output = command().args([&"diff".into(), &old, &new]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"));
}

#[test]
fn colour_is_only_for_those_who_want_it() {
    let Nights { old, new, folder: _folder } = nights();
    let args = ["diff", old.to_str().unwrap(), new.to_str().unwrap()];
    assert!(!snapfim(args).out.contains('\x1b'), "not into a pipe");
    assert!(snapfim([args[0], args[1], args[2], "--color", "always"]).out.contains("\x1b["));
    let plain = command().args(args).env("NO_COLOR", "1").output().unwrap();
    assert!(!plain.stdout.contains(&0x1b));
}

#[test]
fn quiet_says_nothing_but_errors_and_verbose_says_more() {
    let folder = Folder::new();
    let image = folder.disk("day0.raw", 0);
    assert_eq!(folder.night(&image, 0, &["-q"]).exits(0).err, "");
    folder.night(&image, 1, &["-v"]).exits(0).says("hashed");
    folder.night(&folder.path("absent"), 2, &["-q"]).exits(66).says("absent");
}

#[test]
fn the_window_ends_when_the_snapshot_was_taken() {
    let Nights { folder, .. } = nights();
    let log = folder.read(&["log", "--format", "ndjson"]).exits(0).json();
    for event in log {
        let window = &event["Ext"]["Window"];
        assert_eq!((window["From"].as_str(), window["To"].as_str()), (Some(EVENINGS[0]), Some(EVENINGS[1])));
    }
}
