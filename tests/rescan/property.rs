//! Random nights: blocks written, copied and zeroed anywhere in a disk, metadata and journal included.

use std::{fs::File, os::unix::fs::FileExt};

use crate::support::{Given, LIST, Random, differences, fixture, list, put, same, scan, scan_with};

const CASES: usize = 400;

fn edit(disk: &mut [u8], random: &mut Random) {
    let unit = [1, 16, 512, 1024, 4096][random.below(5)];
    let blocks = disk.len() / unit;
    // Most of a disk is empty: most edits go near something that is not.
    let mut at = random.below(blocks) * unit;
    for _ in 0..64 {
        if random.below(16) == 0 || disk[at..at + unit].iter().any(|byte| *byte != 0) {
            break;
        }
        at = random.below(blocks) * unit;
    }
    match random.below(4) {
        0 => disk[at..at + unit].fill(0),
        1 => {
            let from = random.below(blocks) * unit;
            disk.copy_within(from..from + unit, at);
        }
        2 => {
            let bit = 1 << random.below(8);
            disk[at + random.below(unit)] ^= bit;
        }
        _ => disk[at..at + unit].iter_mut().for_each(|byte| *byte = random.next() as u8),
    }
}

fn text(error: snapfim::error::Error) -> String {
    error.to_string()
}

#[test]
fn random_nights_are_as_full_scans() {
    let dir = tempfile::tempdir().unwrap();
    let days: Vec<_> = (0..4).map(|day| fixture(&format!("rescan/day{day}.raw.zst"))).collect();
    let others: Vec<_> = [
        "ext/dirty-data.img.zst",
        "ntfs/small-clusters.raw.zst",
        "disk/fat16.raw.zst",
        "exfat/c4k.raw.zst",
        "rescan/lvm.raw.zst",
    ]
    .map(fixture)
    .into_iter()
    .filter(|disk| disk.len() <= 20 << 20)
    .collect();
    let mut random = Random(20_261_121);
    let (mut compared, mut taken_over, mut kept, mut refused) = (0, 0, 0, 0);
    for case in 0..CASES {
        let (mut old, mut new) = if case % 4 == 3 {
            let disk = &others[random.below(others.len())];
            (disk.clone(), disk.clone())
        } else {
            let old = random.below(days.len());
            (days[old].clone(), days[(old + random.below(2)) % days.len()].clone())
        };
        for _ in 0..random.below(3) {
            edit(&mut old, &mut random);
        }
        if random.below(2) == 0 {
            new.clone_from(&old);
        }
        for _ in 0..random.below(12) {
            edit(&mut new, &mut random);
        }
        let Ok(before) = scan(&put(dir.path(), "disk.raw", &old), None, None) else {
            refused += 1;
            continue;
        };
        // Containers tell of clusters, and of what was in them.
        let unit = [512, 4096, 64 << 10][random.below(3)];
        let given = Given { old: (unit > 512).then_some(&old), ..LIST };
        let list = list(&differences(&old, &new, unit), new.len() as u64, random.below(4));
        let disk = put(dir.path(), "disk.raw", &new);
        match (scan(&disk, None, None), scan_with(&disk, Some((&before, &list)), given)) {
            (Ok(full), Ok(rescan)) => {
                same(&full.manifest, &rescan.manifest, &format!("case {case}"));
                compared += 1;
                // The night behind that one stands on what the rescan kept.
                let mut later = new.clone();
                for _ in 0..random.below(4) {
                    edit(&mut later, &mut random);
                }
                let list = self::list(&differences(&new, &later, 512), new.len() as u64, random.below(4));
                let disk = put(dir.path(), "disk.raw", &later);
                match (scan(&disk, None, None), scan(&disk, Some((&rescan, &list)), None)) {
                    (Ok(full), Ok(again)) => same(&full.manifest, &again.manifest, &format!("case {case}, later")),
                    (full, again) => assert_eq!(full.err().map(text), again.err().map(text), "case {case}, later"),
                }
                taken_over += usize::from(rescan.taken_over > 0);
                kept += usize::from(rescan.kept > 10);
            }
            (Err(full), Err(rescan)) => {
                assert_eq!(text(full), text(rescan), "case {case}");
                refused += 1;
            }
            (full, rescan) => panic!("case {case}: {:?} and {:?}", full.err(), rescan.err()),
        }
    }
    assert!(
        compared > CASES / 2 && taken_over > CASES / 2 && kept > CASES / 2,
        "{compared} compared, {taken_over} reused, {kept} with lines of the night before, {refused} refused"
    );
}

/// A logical volume in two segments: one change list of its one disk, places on both sides of what lies between.
#[test]
fn a_logical_volume_is_rescanned_by_where_its_bytes_lie() {
    let dir = tempfile::tempdir().unwrap();
    let old = fixture("rescan/lvm.raw.zst");
    let before = scan(&put(dir.path(), "disk.raw", &old), None, None).unwrap();
    let nothing = list(&[], old.len() as u64, 0);
    let again = scan(&dir.path().join("disk.raw"), Some((&before, &nothing)), None).unwrap();
    same(&before.manifest, &again.manifest, "nothing changed");
    assert!(again.taken_over > 0 && again.hashed < before.hashed, "{} of {}", again.hashed, before.hashed);
    // All that is not zero changes, block by block of 64 KiB: what was taken over would be wrong.
    let mut random = Random(7);
    for start in (0..old.len()).step_by(64 << 10).filter(|at| *at > 2 << 20) {
        let mut new = old.clone();
        for byte in &mut new[start..start + (64 << 10)] {
            *byte ^= u8::from(*byte != 0) & random.next() as u8;
        }
        if new == old {
            continue;
        }
        let disk = put(dir.path(), "disk.raw", &new);
        let list = list(&differences(&old, &new, 512), new.len() as u64, 0);
        let (full, rescan) = (scan(&disk, None, None).unwrap(), scan(&disk, Some((&before, &list)), None).unwrap());
        same(&full.manifest, &rescan.manifest, &format!("block at {start:#x}"));
    }
}

/// Where chunks of a pool lie is metadata, read afresh; a snapshot and a night of writing move some of them.
#[test]
fn a_thin_volume_is_rescanned_by_where_its_chunks_lie() {
    let dir = tempfile::tempdir().unwrap();
    let days = [0, 1].map(|day| fixture(&format!("rescan/thin{day}.raw.zst")));
    let path = |disk: &[u8]| put(dir.path(), "disk.raw", disk);
    let before = scan(&path(&days[0]), None, None).unwrap();
    let rescan = |disk: &[u8], what: &str| {
        let list = list(&differences(&days[0], disk, 512), disk.len() as u64, 0);
        let (full, rescan) =
            (scan(&path(disk), None, None).unwrap(), scan(&path(disk), Some((&before, &list)), None).unwrap());
        same(&full.manifest, &rescan.manifest, what);
        rescan
    };
    let again = rescan(&days[0], "nothing changed");
    assert!(again.hashed == 0 && again.taken_over == before.hashed && again.kept > 20, "{} hashed", again.hashed);
    let moved = rescan(&days[1], "a night and a snapshot");
    assert!(moved.taken_over > 100_000 && moved.kept > 10, "{} taken over, {} lines", moved.taken_over, moved.kept);
    let mut random = Random(11);
    for case in 0..60 {
        let mut disk = days[case % 2].clone();
        for _ in 0..=random.below(6) {
            edit(&mut disk, &mut random);
        }
        rescan(&disk, &format!("case {case}"));
    }
}

/// What lies behind a key depends on whole sectors of what lies on the disk, which here are larger than blocks.
#[test]
fn a_volume_behind_a_key_is_rescanned_by_where_its_ciphertext_lies() {
    let dir = tempfile::tempdir().unwrap();
    let path = |disk: &[u8]| put(dir.path(), "disk.raw", disk);
    let mut random = Random(12);
    for (name, key, header) in [
        ("luks1", b"the passphrase".as_slice(), 69_632),
        ("argon2id", b"the passphrase", 640 * 512),
        ("slots", b"second\nline\n", 384 * 512),
    ] {
        let old = fixture(&format!("crypt/{name}.zst"));
        let given = Given { key: Some(key), ..LIST };
        let before = scan_with(&path(&old), None, given.clone()).unwrap();
        let rescan = |disk: &[u8], unit: usize, what: &str| {
            let list = list(&differences(&old, disk, unit), disk.len() as u64, 0);
            let given = Given { old: (unit == 16).then_some(&old), ..given.clone() };
            let full = scan_with(&path(disk), None, given.clone()).unwrap();
            let rescan = scan_with(&path(disk), Some((&before, &list)), given).unwrap();
            same(&full.manifest, &rescan.manifest, &format!("{name}: {what}"));
            (full, rescan)
        };
        let (full, again) = rescan(&old, 512, "nothing changed");
        assert!(full.hashed > 0 && again.hashed == 0 && again.taken_over == full.hashed, "{name}: {}", again.hashed);
        let mut taken_over = 0;
        for case in 0..40 {
            let mut disk = old.clone();
            for _ in 0..=random.below(3) {
                edit(&mut disk[header..], &mut random);
            }
            let unit = [1, 16, 512][random.below(3)];
            taken_over += rescan(&disk, unit, &format!("case {case}")).1.taken_over;
        }
        assert!(taken_over > 0, "{name}");
    }
}

/// The ea-inode fixture without the feature that its attributes need: e2fsprogs' `debugfs -w -R "feature -ea_inode"`
/// writes the same two words.
fn without_the_feature(disk: &mut [u8]) {
    const SUPERBLOCK: usize = 1024;
    let word = |disk: &[u8], at: usize| u32::from_le_bytes(disk[SUPERBLOCK + at..][..4].try_into().unwrap());
    let incompat = word(disk, 0x60) & !0x400;
    disk[SUPERBLOCK + 0x60..][..4].copy_from_slice(&incompat.to_le_bytes());
    let mut crc = u32::MAX;
    for byte in &disk[SUPERBLOCK..SUPERBLOCK + 0x3FC] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    disk[SUPERBLOCK + 0x3FC..][..4].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_change_in_any_block_is_seen() {
    const BLOCK: usize = 1024;
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(26_11);
    let fixtures = [
        ("ea-inode", 20),
        ("ea-inode", 400),
        ("metadata", 60),
        ("directories", 8),
        ("inline", 60),
        ("dirty-csum-v3", 60),
    ];
    for (number, (name, times)) in fixtures.into_iter().enumerate() {
        let mut old = fixture(&format!("ext/{name}.img.zst"));
        if number == 1 {
            without_the_feature(&mut old);
        }
        let disk = put(dir.path(), "disk.raw", &old);
        let file = File::options().write(true).open(&disk).unwrap();
        let before = scan(&disk, None, None).unwrap();
        let blocks = old.chunks(BLOCK).enumerate();
        let used: Vec<_> = blocks.filter(|(_, block)| block.iter().any(|byte| *byte != 0)).collect();
        let mut kept = 0;
        for (block, bytes) in &used {
            if random.below(used.len()) >= times {
                continue;
            }
            let start = (block * BLOCK) as u64;
            let candidates: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
            let at = candidates[random.below(candidates.len())];
            file.write_all_at(&[bytes[at] ^ 1 << random.below(8)], start + at as u64).unwrap();
            let changed = start..start + BLOCK as u64;
            let list = list(std::slice::from_ref(&changed), old.len() as u64, 0);
            match (scan(&disk, None, None), scan(&disk, Some((&before, &list)), None)) {
                (Ok(full), Ok(rescan)) => {
                    same(&full.manifest, &rescan.manifest, &format!("{name} ({number}), block {block}"));
                    kept += rescan.kept;
                }
                (full, rescan) => assert_eq!(full.err().map(text), rescan.err().map(text), "{name}, block {block}"),
            }
            file.write_all_at(bytes, start).unwrap();
        }
        // Where values lie in other inodes nothing can be kept.
        assert_eq!(kept == 0, number == 0, "{name} ({number})");
    }
}
