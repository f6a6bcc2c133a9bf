//! A byte that hides what is there: it is lost, and not deleted.
#![allow(clippy::unwrap_used, reason = "what fails here is the test")]

mod support;

use std::{fs, path::Path};

use support::{Folder, snapfim};

/// What is written over at an offset of a fixture.
type Damage = (usize, &'static [u8]);

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
        (
            "an entry that says directory leads to a file",
            "ext/metadata.img",
            &[(0x651018, &[0x1a]), (0x651ffc, &[0x7c, 0x1c, 0x8b, 0])],
        ),
        ("a directory has a name that no path can hold", "disk/fat12.raw", &[(0x1ea41, &[0])]),
        ("an inline directory has an entry less, and a wrong checksum", "ext/inline.img", &[(0x2602c, &[0])]),
    ];
    for (what, fixture, damage) in cases {
        let folder = Folder::new();
        let (old, new) = (folder.path("old"), folder.path("new"));
        let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{fixture}.zst"));
        let mut bytes = zstd::decode_all(fs::File::open(packed).unwrap()).unwrap();
        fs::write(&old, &bytes).unwrap();
        for (at, over) in *damage {
            bytes[*at..*at + over.len()].copy_from_slice(over);
        }
        fs::write(&new, &bytes).unwrap();
        let [old, new] = [&old, &new].map(|path| path.to_str().unwrap());
        let run = snapfim(["diff", old, new, "--profile", "full", "--format", "ndjson"]).exits(5);
        let count = |kind: &str| run.json().iter().filter(|event| event["ChangeType"] == kind).count();
        assert_eq!(count("Deleted"), 0, "{what}");
        assert!(count("Unreadable") > 0, "{what}");
    }
}
