//! Random nights: blocks written, copied and zeroed anywhere in a disk, metadata and journal included.

use crate::support::{Random, differences, fixture, list, put, same, scan};

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
    let (mut compared, mut taken_over, mut refused) = (0, 0, 0);
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
        let list = list(&differences(&old, &new, 512), new.len() as u64, random.below(4));
        let disk = put(dir.path(), "disk.raw", &new);
        match (scan(&disk, None, None), scan(&disk, Some((&before, &list)), None)) {
            (Ok(full), Ok(rescan)) => {
                same(&full.manifest, &rescan.manifest, &format!("case {case}"));
                compared += 1;
                taken_over += usize::from(rescan.taken_over > 0);
            }
            (Err(full), Err(rescan)) => {
                assert_eq!(full.to_string(), rescan.to_string(), "case {case}");
                refused += 1;
            }
            (full, rescan) => panic!("case {case}: {:?} and {:?}", full.err(), rescan.err()),
        }
    }
    assert!(
        compared > CASES / 2 && taken_over > CASES / 2,
        "{compared} compared, {taken_over} reused, {refused} refused"
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
