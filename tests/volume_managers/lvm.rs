//! Logical volumes of every segment type, whole and with parts missing.

use std::collections::BTreeSet;

use snapfim::{fs::probe, volume::content::State};

use crate::{
    Found, gap, image, reversed,
    support::{Patched, walk},
    table,
};

const THREE: [&str; 3] = ["pv0", "pv1", "pv2"];

/// The names that lvm lists without brackets.
fn listed(name: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(crate::file(&format!("{name}.segments"))).unwrap();
    let names = text.lines().filter(|line| !line.starts_with('[') && !line.contains("|thin-pool|"));
    names.map(|line| line.split('|').next().unwrap().to_owned()).collect()
}

fn shown(found: &Found) -> BTreeSet<String> {
    found.assembled().map(|volume| volume.names[0].split_once('/').unwrap().1.to_owned()).collect()
}

#[test]
fn linear_striped_and_raid0_over_three_disks() {
    let found = Found::of(&THREE);
    assert_eq!(shown(&found), listed("three"));
    found.compare(&table("three"), &[]);
    reversed(&THREE).compare(&table("three"), &[]);
    assert!(found.notes.is_empty(), "{:?}", found.notes);
    for volume in found.volumes.iter().filter(|volume| volume.start.is_some()) {
        assert_eq!(
            volume.content.state,
            State::Note("LVM2 physical volume, part of volume group two-words".to_owned())
        );
        assert!(volume.closed && volume.content.kind == "LVM2_member");
    }
    let names = &found.get("many-parts").names;
    assert_eq!(*names, ["two-words/many-parts", "mapper/two--words-many--parts"]);
}

#[test]
fn what_needs_a_missing_disk_is_a_gap_that_names_it() {
    let id = Found::of(&["pv2"]).volumes[0].content.id.clone().unwrap();
    let found = Found::of(&["pv0", "pv1"]);
    found.compare(&table("three"), &["striped", "raid0"]);
    for name in ["striped", "raid0"] {
        assert!(found.gap(name).contains(&format!("physical volume {id} is missing")), "{}", found.gap(name));
        assert!(found.gap(name).contains(&format!("two-words/{name}")));
    }
    assert!(found.has_note(&format!("physical volume {id} is missing")));
}

#[test]
fn the_newest_copy_of_the_metadata_counts() {
    for names in [["pv0-later", "pv1-later", "pv2"], ["pv2", "pv1", "pv0-later"]] {
        let found = Found::of(&names);
        assert!(shown(&found).contains("renamed") && !shown(&found).contains("first"), "{names:?}");
        assert!(found.has_note("older"), "{:?}", found.notes);
        let expected = table("three")["first"].clone();
        assert_eq!(crate::digest(found.get("renamed").image.as_ref()).unwrap(), expected);
        found.compare(&table("three"), &["first"]);
    }
}

#[test]
fn a_damaged_copy_is_noted_and_another_is_taken() {
    let found = Found::on([image("pv0").put(4096 + 8, b"X"), image("pv1"), image("pv2")]);
    found.compare(&table("three"), &[]);
    assert!(found.has_note("metadata area at 0x1000: checksum of its header"), "{:?}", found.notes);
    let found = Found::on([image("odd0").put(4096 + 8, b"X")]);
    assert!(gap(&found.volumes[0]).contains("checksum of its header"));
    let found = Found::on([image("odd0").put(512 + 40, b"X")]);
    assert!(gap(&found.volumes[0]).contains("label at 0x200: checksum"));
}

#[test]
fn every_segment_type_is_read_or_refused_by_name() {
    let found = Found::of(&["odd0", "odd1"]);
    found.compare(&table("odd"), &[]);
    assert_eq!(shown(&found), listed("odd"));
    for (name, kind) in [("five", "raid5_ls"), ("snap", "snapshot"), ("holes", "error")] {
        let expected = format!("lvm2: logical volume odd/{name}: segment type {kind} is not read");
        assert!(found.gap(name).starts_with(&expected), "{}", found.gap(name));
    }
    assert_eq!(found.get("zeros").content.state, State::Note("empty: all zeros".to_owned()));
}

#[test]
fn a_mirror_is_read_by_the_leg_that_is_there() {
    for (disk, gone) in [("odd0", ["origin", "dealt"]), ("odd1", ["plain", "dealt"])] {
        let found = Found::of(&[disk]);
        let only: Vec<_> =
            ["mirrored", "old"].into_iter().chain(["origin", "plain"]).filter(|n| !gone.contains(n)).collect();
        let mut expected = table("odd");
        expected.retain(|name, _| only.contains(&name.as_str()));
        assert_eq!(expected.len(), 3);
        found.compare(&expected, &[]);
        assert!(found.has_note("1 of 2 legs are sound"), "{:?}", found.notes);
        gone.iter().for_each(|name| assert!(found.gap(name).contains("is missing")));
    }
}

/// What dm-raid writes on a leg's metadata volume.
fn dm_raid(events: u64, failed: u64) -> Vec<u8> {
    let mut bytes = b"DmRd".to_vec();
    bytes.extend([0; 12]);
    [events, failed, u64::MAX].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    bytes
}

#[test]
fn a_leg_that_dm_raid_knows_to_be_stale_is_not_read() {
    // In `odd.segments`, mirrored_rmeta_0 is extent 3 of pv0 and mirrored_rimage_0 extent 4; mirrored_rmeta_1 is
    // extent 0 of pv1.
    let extent = |n: u64| (1 << 20) + n * (64 << 10);
    let stale = |image: Patched| image.put(extent(4), &[0xee; 512]);
    for (first, second) in [((5, 0), (9, 0)), ((9, 0), (9, 0)), ((8, 0), (9, 1))] {
        let found = Found::on([
            stale(image("odd0")).put(extent(3), &dm_raid(first.0, first.1)),
            image("odd1").put(extent(0), &dm_raid(second.0, second.1)),
        ]);
        let both_sound = first == second;
        let right = crate::digest(found.get("mirrored").image.as_ref()).unwrap() == table("odd")["mirrored"];
        assert_eq!(right, !both_sound, "{first:?} {second:?}");
        assert_eq!(found.has_note("mirrored_rimage_0 is not up to date"), !both_sound);
    }
}

#[test]
fn a_physical_volume_without_group_is_a_note() {
    let found = Found::of(&["orphan"]);
    let expected = State::Note("LVM2 physical volume without volume group".to_owned());
    assert_eq!(found.volumes[0].content.state, expected);
}

#[test]
fn a_second_disk_with_the_same_id_is_a_gap() {
    let found = Found::of(&["pv0", "pv1", "pv2", "pv2"]);
    found.compare(&table("three"), &[]);
    assert!(gap(&found.volumes[3]).contains("another physical volume with the id of this one"));
}

#[test]
fn a_disk_that_is_cut_is_never_zeros() {
    let sound = table("three");
    for len in [1 << 20, (1 << 20) + (5 << 16), (1 << 20) + (11 << 16)] {
        let found = Found::on([image("pv0").cut(len), image("pv1"), image("pv2")]);
        for (name, expected) in &sound {
            let volume = found.get(name);
            if volume.closed {
                assert!(gap(volume).contains("pv0"), "{}", gap(volume));
            } else {
                assert_eq!(&crate::digest(volume.image.as_ref()).unwrap(), expected, "{name}");
            }
        }
    }
}

#[test]
fn of_the_public_test_set() {
    let Some(data) = std::env::var_os("SNAPFIM_DATA").map(std::path::PathBuf::from) else {
        println!("skipped: SNAPFIM_DATA is not set");
        return;
    };
    let packed = std::fs::File::open(data.join("images/dfvfs-lvm.raw.zst")).unwrap();
    let found = Found::on([Patched::new(zstd::decode_all(packed).unwrap())]);
    let filesystem = probe(&found.get("test_logical_volume1").image).filesystem.unwrap();
    let seen = walk(filesystem.as_ref());
    let truth = std::fs::read_to_string(data.join("truth/dfvfs-lvm.raw.tsv")).unwrap();
    let mut compared = 0;
    for line in truth.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        if fields[2] == "file" {
            assert_eq!(seen.entries[fields[1]].content.as_deref(), Ok(fields[5]), "{}", fields[1]);
            compared += 1;
        }
    }
    assert!(compared > 0 && seen.all_faults().is_empty());
}
