//! A byte that hides what is there: it is lost, and not deleted.
#![allow(clippy::unwrap_used, reason = "what fails here is the test")]

mod support;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use support::{Folder, Run, newest_manifest, snapfim};

/// What is written over at an offset of a fixture.
type Damage = (usize, &'static [u8]);

/// A fixture as it is, and damaged.
fn pair(folder: &Folder, fixture: &str, damage: &[Damage]) -> [PathBuf; 2] {
    let [sound, damaged] = ["sound", "damaged"].map(|name| folder.path(name));
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{fixture}.zst"));
    let mut bytes = zstd::decode_all(fs::File::open(packed).unwrap()).unwrap();
    fs::write(&sound, &bytes).unwrap();
    for (at, over) in damage {
        bytes[*at..*at + over.len()].copy_from_slice(over);
    }
    fs::write(&damaged, &bytes).unwrap();
    [sound, damaged]
}

/// Journals and logs that cannot be replayed.
const UNREPLAYED: &[(&str, &str, Damage)] = &[
    ("the superblock of a journal has no magic", "ext/dirty-ext3.img", (0x2a000, &[0])),
    ("a superblock says that nothing is to be replayed", "ext/dirty-ext3.img", (0x460, &[2])),
    ("a superblock says that there is no journal", "ext/dirty-ext3.img", (0x45c, &[0x38])),
    ("a commit has a wrong checksum, and others follow", "ext/dirty-csum-v3.img", (0x828810, &[0, 1, 2, 3])),
    ("a record has a wrong checksum, and many follow", "xfs/dirty.img", (0x1866464, &[0xff])),
];

#[test]
fn what_only_an_unreplayed_journal_knows_is_lost_and_is_compared_when_it_returns() {
    for (what, fixture, damage) in UNREPLAYED {
        let folder = Folder::new();
        let [sound, damaged] = pair(&folder, fixture, &[*damage]);
        // One of them has a file of holes that is longer than that, and so a gap on every night.
        let night = |image: &Path, evening| folder.night(image, evening, &["--max-hole-bytes", "1048576"]);
        let paths = |run: &Run, kind: &str| -> BTreeSet<String> {
            let events = run.events().into_iter();
            events.filter_map(|event| Some(event.strip_prefix(kind)?.trim().to_owned())).collect()
        };
        let state = folder.path("state");
        assert_eq!(night(&sound, 0).out, "");
        let before = newest_manifest(&state);
        let lost = night(&damaged, 1).exits(5).says("replayed");
        let manifests = [before, newest_manifest(&state)];
        let [gone, deleted, renamed] = ["Unreadable", "Deleted", "Renamed"].map(|kind| paths(&lost, kind));
        assert_eq!((deleted.len(), renamed.len()), (0, 0), "{what}");
        assert!(lost.json().iter().any(|event| {
            event["ChangeType"] == "Unreadable" && event["Ext"]["Why"].as_str().unwrap().contains("replayed")
        }));
        assert_eq!(night(&damaged, 2).exits(4).out, "", "{what}: it is lost once");
        let [before, after] = manifests.each_ref().map(|path| path.to_str().unwrap());
        let run = snapfim(["diff", before, after, "--format", "ndjson"]).exits(5).says("gap: volume:@");
        assert_eq!(run.events(), lost.events(), "{what}: the manifests say the same");

        // What was lost is there again, as it was: only what was read meanwhile is another.
        let back = night(&sound, 3);
        assert_eq!(gone.intersection(&paths(&back, "Created")).collect::<Vec<_>>(), [""; 0], "{what}");
        assert_eq!(paths(&lost, "Created"), paths(&back, "Deleted"), "{what}");
        assert_eq!(paths(&lost, "Modified"), paths(&back, "Modified"), "{what}");
        assert_eq!(night(&sound, 4).out, "", "{what}");
        folder.read(&["verify"]).exits(0);
    }
}

#[test]
fn an_unreplayed_journal_that_is_accepted_deletes_nothing_of_the_part_that_is_monitored() {
    let folder = Folder::new();
    let (_, fixture, damage) = UNREPLAYED[0];
    let [sound, damaged] = pair(&folder, fixture, &[damage]);
    let policy = folder.path("policy.toml");
    let rule = "[[monitor]]\nname = \"part\"\npaths = [\"@*/file-1\", \"@*/lost+found\"]";
    fs::write(&policy, format!("version = 1\naccept = [\"volume:@*\"]\n{rule}\n")).unwrap();
    let night = |image: &Path, evening| folder.night(image, evening, &["--policy", policy.to_str().unwrap()]);
    night(&sound, 0).exits(0);
    let lost = night(&damaged, 1).exits(1).events();
    assert!(lost.len() == 1 && lost[0].starts_with("Unreadable @") && lost[0].ends_with("/file-1"), "{lost:?}");
    assert_eq!(night(&damaged, 2).exits(0).out, "");
    assert_eq!(night(&sound, 3).exits(0).out, "", "it is compared with its last good record");
}

#[test]
fn what_a_damaged_byte_hides_is_lost_and_not_deleted() {
    let cases: &[(&str, &str, &[Damage])] = &[
        ("the extent of the root directory begins at block 1", "xfs/v4.img", &[(0x8064, &[1])]),
        ("a directory's last extent lies behind its entries", "xfs/v4.img", &[(0x140b07b, &[0x10])]),
        ("a directory is a socket by its inode", "xfs/v4.img", &[(0x135f602, &[0xc1])]),
        ("a short directory has an entry less", "xfs/v4.img", &[(0x8f64, &[2])]),
        ("an entry leads to a directory of another parent", "xfs/v4.img", &[(0x9364, &[1])]),
        ("a short directory has an entry less, and a wrong checksum", "xfs/v5.img", &[(0x1c108b0, &[2])]),
        ("the root directory is a block shorter", "ext/ext2.img", &[(0x19085, &[4])]),
        ("the root directory is empty", "ext/ext3.img", &[(0x5105, &[0])]),
        ("the root directory begins with an empty block of another", "ext/ext3.img", &[(0x5128, &[15])]),
        (
            "an entry leads to a directory beside it, and its block has a wrong checksum",
            "ext/directories.img",
            &[(0x2_582c, &[33])],
        ),
        ("the entry of a directory is not in use", "ext/ext3.img", &[(0xd0b4, &[0])]),
        (
            "an entry that says directory leads to a file",
            "ext/metadata.img",
            &[(0x651018, &[0x1a]), (0x651ffc, &[0x7c, 0x1c, 0x8b, 0])],
        ),
        ("a directory has a name that no path can hold", "disk/fat12.raw", &[(0x1ea41, &[0])]),
        ("a directory is a file by its attributes", "disk/fat12.raw", &[(0x278b, &[0x20])]),
        ("a directory that is not empty is marked as deleted", "disk/fat12.raw", &[(0x2780, &[0xe5])]),
        ("the first FAT ends the chain of a directory", "disk/fat16.raw", &[(0x528, &[0xff, 0xff])]),
        ("a FAT12 has a reserved sector more", "disk/fat12.raw", &[(14, &[2])]),
        ("a FAT16 has a root directory of 16 entries", "disk/fat16.raw", &[(17, &[0x10, 0])]),
        ("an inline directory has an entry less, and a wrong checksum", "ext/inline.img", &[(0x2602c, &[0])]),
    ];
    for (what, fixture, damage) in cases {
        let folder = Folder::new();
        let [old, new] = pair(&folder, fixture, damage);
        let [old, new] = [&old, &new].map(|path| path.to_str().unwrap());
        let run = snapfim(["diff", old, new, "--profile", "full", "--format", "ndjson"]).exits(5);
        let count = |kind: &str| run.json().iter().filter(|event| event["ChangeType"] == kind).count();
        assert_eq!(count("Deleted"), 0, "{what}");
        assert!(count("Unreadable") > 0, "{what}");
    }
}

#[test]
fn flags_of_what_may_not_be_opened_are_lost_and_not_cleared() {
    let folder = Folder::new();
    let (tree, state) = (folder.path("tree"), folder.path("state"));
    fs::create_dir_all(tree.join("etc/closed")).unwrap();
    fs::write(tree.join("etc/os-release"), "ID=debian\n").unwrap();
    fs::write(tree.join("etc/secret"), "x").unwrap();
    let allow = |mode: [u32; 2]| {
        for (name, mode) in ["etc/secret", "etc/closed"].iter().zip(mode) {
            fs::set_permissions(tree.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    allow([0, 0]);
    if fs::read(tree.join("etc/secret")).is_ok() {
        eprintln!("skipped: whoever runs this may open everything");
        return;
    }
    let [target, state_path] = [&tree, &state].map(|path| path.to_str().unwrap());
    snapfim(["scan", target, "--state", state_path, "--machine", "web01", "--profile", "full"]).exits(4);
    let records = snapfim([OsStr::new("manifest"), newest_manifest(&state).as_os_str()]).exits(0).json();
    let parts = |path: &str| -> Vec<_> {
        let faults = records.iter().filter(|record| record["kind"] == "fault" && record["path"] == path);
        faults.map(|fault| fault["part"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(parts("/etc/secret"), ["attributes", "content"]);
    assert_eq!(parts("/etc/closed"), ["attributes", "listing"]);
    allow([0o644, 0o755]);
}
