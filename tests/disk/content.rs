//! What is in a volume, against `blkid -p`.

use std::{collections::BTreeMap, io::Read};

use snapfim::{
    image::{Image, Raw},
    volume::content::{State, classify},
};

use crate::support::{Patched, bytes, text};

/// The members of the tar file of images (POSIX.1 ustar: name at 0, size in octal digits at 124).
fn images() -> BTreeMap<String, Patched> {
    let tar = bytes("kinds.tar");
    let mut images = BTreeMap::new();
    let mut rest = tar.as_slice();
    while rest.first().is_some_and(|&byte| byte != 0) {
        let mut header = [0; 512];
        rest.read_exact(&mut header).unwrap();
        let field = |range: std::ops::Range<usize>| {
            String::from_utf8(header[range].to_vec()).unwrap().trim_end_matches(['\0', ' ']).to_owned()
        };
        let size = usize::from_str_radix(&field(124..136), 8).unwrap();
        images.insert(field(0..100), Patched::new(rest[..size].to_vec()));
        rest = &rest[size.next_multiple_of(512)..];
    }
    images
}

#[test]
fn kinds_are_those_of_blkid() {
    // No id is kept for these, or not one that names the volume.
    let without_id = ["iso9660", "udf"];
    let images = images();
    let table = text("kinds.tsv");
    let mut seen = 0;
    for line in table.lines() {
        let [name, kind, id, label] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let content = classify(&images[name], None);
        assert_eq!(content.kind, kind, "{name}");
        if !without_id.contains(&name) {
            assert_eq!(content.id.as_deref().unwrap_or_default(), id, "{name}");
            assert_eq!(content.label.as_deref().unwrap_or_default(), label, "{name}");
        }
        assert_eq!(content.claims.len(), 1, "{name}: {:?}", content.claims);
        assert_eq!(content.ambiguous, None, "{name}");
        seen += 1;
    }
    assert_eq!(seen, images.len());
    assert!(seen > 25);
}

#[test]
fn states_follow_from_kinds() {
    let images = images();
    let state = |name: &str| classify(&images[name], None).state;
    for name in ["ext2", "xfs", "ntfs", "btrfs", "squashfs"] {
        assert_eq!(state(name), State::Filesystem, "{name}");
    }
    for (name, why) in
        [("luks1", "encrypted: LUKS1"), ("luks2", "encrypted: LUKS2"), ("bitlocker", "encrypted: BitLocker")]
    {
        assert_eq!(state(name), State::Gap(why.to_owned()));
    }
    assert_eq!(state("lvm"), State::Gap("LVM2 physical volume".to_owned()));
    assert_eq!(state("md-1.2"), State::Gap("member of a Linux RAID, superblock 1.2".to_owned()));
    for name in ["swap4", "swap64", "suspend", "jbd", "verity"] {
        assert!(matches!(state(name), State::Note(_)), "{name}");
    }
}

#[test]
fn a_second_signature_cannot_hide_a_filesystem() {
    let images = images();
    let lvm = images["lvm"].get(512, 512);
    // ext leaves its first KiB to others: a label there must not turn it into a mere part of something.
    let content = classify(&images["ext2"].clone().put(512, &lvm), None);
    assert_eq!((content.kind, &content.state), ("ext2", &State::Filesystem));
    assert_eq!(content.claims, ["ext2", "LVM2_member"]);
    assert_eq!(content.ambiguous.as_deref(), Some("it has the signatures of ext2 and of LVM2_member"));

    let swap = images["swap4"].get(4086, 10);
    let content = classify(&images["ext2"].clone().put(4086, &swap), None);
    assert_eq!((content.kind, content.ambiguous), ("ext2", None));

    // A mirror whose superblock stands at its end holds the filesystem as it is.
    let (raid, len) = (&images["md-1.0"], images["md-1.0"].len());
    let end = raid.get(len - 65536, 65536);
    let mirror = images["ext2"].clone().grown(len).put(len - 65536, &end);
    let content = classify(&mirror, None);
    assert_eq!(content.claims, ["ext2", "linux_raid_member"]);
    assert_eq!(content.ambiguous, None);
}

#[test]
fn zeros_are_a_note_only_where_they_were_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    let file = std::fs::File::create(&path).unwrap();
    let state = |len: u64| {
        file.set_len(len).unwrap();
        classify(&Raw::open(&path).unwrap(), None).state
    };
    let empty = State::Note("empty: all zeros".to_owned());
    assert_eq!(state(1 << 30), empty);
    // Whether the zeros are holes or data must not matter: the container would show in the manifest.
    let State::Gap(why) = state((1 << 30) + 512) else { panic!() };
    assert!(why.contains("zeros in its first 1073741824 bytes, and not looked at further"), "{why}");
    assert_eq!(classify(&Patched::new(Vec::new()).grown(20 << 20), None).state, empty);
}

#[test]
fn a_zeroed_partition_of_more_than_a_gib_was_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let state = |entries: &[(u32, u32)]| {
        let mut sector = [0; 512];
        for (entry, &(start, len)) in sector[446..510].chunks_mut(16).zip(entries) {
            entry[4] = 0x83;
            entry[8..12].copy_from_slice(&start.to_le_bytes());
            entry[12..].copy_from_slice(&len.to_le_bytes());
        }
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(&path, sector).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(4 << 30).unwrap();
        let image: std::sync::Arc<dyn Image> = std::sync::Arc::new(Raw::open(&path).unwrap());
        snapfim::volume::discover(&image).unwrap().volumes.remove(0).content.state
    };
    assert_eq!(state(&[(2048, 6 << 20)]), State::Note("empty: all zeros".to_owned()));
    // Partitions over each other would have the same zeros read again and again.
    assert!(matches!(state(&[(2048, 6 << 20), (4096, 6 << 20)]), State::Gap(_)));
}

#[test]
fn small_volumes_are_not_too_small() {
    for len in [1, 100, 511, 512, 1024, 4096, 65535] {
        let content = classify(&Patched::new(vec![0xa5; len]), None);
        assert!(matches!(content.state, State::Gap(_)), "{len}");
    }
}
