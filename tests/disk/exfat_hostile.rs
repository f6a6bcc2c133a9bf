//! exFAT volumes that are damaged on purpose: what is wrong is said, the rest is read, and nothing runs for ever.
//! Fields and sums are those of Microsoft's "exFAT file system specification".

use snapfim::{
    fs::{ExFat, FileSystem, NodeId, Stream, probe},
    image::Image,
};

use crate::{
    exfat::{find, open, sound},
    exfat_volume::{Volume, le32},
    mutations::damaged,
    support::{Random, walk},
};

/// The one fault of a walk; all entries of the sound volume must be there but for those that begin with `lost`.
fn one_fault(volume: &Volume, lost: Option<&str>) -> String {
    let (before, seen) = (Volume::new().walk(), volume.walk());
    for path in before.paths() {
        let excused = lost.is_some_and(|lost| path.starts_with(lost));
        assert!(excused || seen.entries.contains_key(path), "{path} is missing: {:?}", seen.all_faults());
    }
    let faults = seen.all_faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

#[test]
fn a_damaged_boot_region_is_replaced_by_its_backup() {
    let whole = Volume::new().walk();
    // Code, the name, the checksum, all of the first sector.
    for (at, bytes) in [(200, vec![1]), (3, b"NTFS    ".to_vec()), (11 * 512, vec![9; 512]), (0, vec![0; 512])] {
        let volume = Volume::new().put(at, &bytes);
        assert!(ExFat::claims(&volume.image));
        let exfat = open(&volume.image);
        assert_eq!(exfat.info().notes, ["the main boot region is damaged; its backup was read"]);
        assert!(exfat.info().gaps.is_empty());
        assert_eq!(walk(&exfat).paths(), whole.paths());
    }
}

#[test]
fn both_boot_regions_damaged() {
    let volume = Volume::new().put(200, &[1]).put(12 * 512 + 200, &[1]);
    let exfat = open(&volume.image);
    assert!(exfat.info().gaps[0].contains("neither boot region"), "{:?}", exfat.info().gaps);
    assert_eq!(walk(&exfat).paths(), Volume::new().walk().paths());
}

#[test]
fn a_backup_outlives_its_volume() {
    // Something else was made here: the sectors behind the first are no longer those of the backup.
    let volume = Volume::new().put(0, &[0; 512]).put(4086, b"SWAPSPACE2");
    assert!(!ExFat::claims(&volume.image));
    let shared = volume.image.shared();
    assert!(probe(&shared).filesystem.is_none());
}

#[test]
fn boot_sectors_that_cannot_be() {
    let cases: [(u64, &[u8], &str); 8] = [
        (11, &[0, 2], "expected zeros"),
        (108, &[13], "sectors of 2^13"),
        (109, &[17], "clusters of 2^17"),
        (110, &[3], "3 FATs"),
        (92, &[0xff; 4], "clusters; the FAT has"),
        (96, &[1, 0, 0, 0], "root directory"),
        (80, &[1, 0, 0, 0], "FATs at"),
        (105, &[2], "revision 2"),
    ];
    for (at, bytes, expected) in cases {
        let volume = Volume::new().put(at, bytes).put(12 * 512, &[0; 512]);
        assert!(ExFat::claims(&volume.image));
        let error = ExFat::open(volume.image.shared()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_second_fat_is_read_when_it_is_the_active_one() {
    let volume = Volume::new();
    let fat = volume.image.get(volume.fat, volume.fat_len as usize);
    let second = volume.fat + volume.fat_len;
    assert!(second + volume.fat_len <= volume.heap);
    let cluster = volume.first_cluster("fragmented.bin");
    // The first bitmap becomes the second one's (7.1.2), and the first FAT breaks a file.
    let root = volume.offset(le32(&volume.image, 96));
    let bitmap = (0..16).map(|n| root + 32 * n).find(|&at| volume.image.get(at, 1) == [0x81]).unwrap();
    let volume = volume.put(second, &fat).put(110, &[2]).put(106, &[1]).put(bitmap + 1, &[1]).link(cluster, 0);
    let volume = volume.seal(0);
    let exfat = open(&volume.image);
    assert_eq!((exfat.info().notes.len(), exfat.info().gaps.len()), (0, 0), "{:?}", exfat.info());
    assert_eq!(walk(&exfat).all_faults(), [] as [String; 0]);
    // And the other way round.
    let volume = volume.put(106, &[0]);
    assert!(one_fault(&volume, None).starts_with("/fragmented.bin: "));
    assert_eq!(open(&volume.image).info().notes, ["it has no allocation bitmap"]);
}

#[test]
fn chains_that_are_too_short() {
    for (next, expected) in [
        (0xffff_ffff, "the chain ends here"),
        (0, "a free cluster"),
        (0xffff_fff7, "a bad cluster"),
        (0x00ff_0000, "clusters 2 to"),
    ] {
        let volume = Volume::new();
        let second = volume.next(volume.first_cluster("fragmented.bin"));
        let fault = one_fault(&volume.link(second, next), None);
        assert!(fault.starts_with("/fragmented.bin: ") && fault.contains(expected), "{fault}");
        assert!(fault.contains("3588 bytes are missing"), "{fault}");
    }
}

#[test]
fn loops() {
    let volume = Volume::new();
    let first = volume.first_cluster("fragmented.bin");
    let second = volume.next(first);
    let fault = one_fault(&volume.link(second, first), None);
    assert!(fault.starts_with("/fragmented.bin: ") && fault.contains("leads back to it"), "{fault}");

    // The root directory is always a chain.
    let volume = Volume::new();
    let root = le32(&volume.image, 96);
    let second = volume.next(root);
    let faults = volume.link(second, root).walk().all_faults();
    assert!(faults.iter().any(|fault| fault.contains("the directory's chain leads back to it")), "{faults:?}");
}

#[test]
fn files_that_leave_the_volume() {
    // A file whose clusters follow one another, and that is longer than what is behind its first one.
    let volume = Volume::new().set("exactly-128k", 32 + 24, &(1_u64 << 40).to_le_bytes());
    let fault = one_fault(&volume, None);
    assert!(fault.starts_with("/exactly-128k: ") && fault.contains("bytes begin here; the volume has"), "{fault}");
    for cluster in [0_u32, 1, 0x00ff_0000, 0xffff_ffff] {
        let volume = Volume::new().set("readme.txt", 32 + 20, &cluster.to_le_bytes());
        assert_eq!(volume.told("readme.txt"), "");
        let fault = one_fault(&volume, None);
        assert!(fault.starts_with("/readme.txt: ") && fault.contains("clusters 2 to"), "{fault}");
    }
}

#[test]
fn directories_that_share_clusters() {
    // A directory within itself, and two that are one.
    let volume = Volume::new();
    let deep = volume.first_cluster("deep").to_le_bytes();
    let volume = volume.set("deep/level 0", 32 + 20, &deep);
    let fault = one_fault(&volume, Some("/deep/level 0/"));
    assert!(fault.starts_with("/deep/level 0: ") && fault.contains("belongs to another directory"), "{fault}");

    let volume = Volume::new();
    let many = volume.first_cluster("many").to_le_bytes();
    let volume = volume.set("deep", 32 + 20, &many);
    let seen = volume.walk();
    assert!(seen.all_faults().iter().all(|fault| fault.contains("belongs to another directory")));
    assert!(!seen.all_faults().is_empty() && seen.entries.len() < 2200);
}

#[test]
fn directories_without_an_end() {
    let len = u64::MAX.to_le_bytes();
    let volume = Volume::new().set("patched", 32 + 24, &len);
    assert!(volume.told("patched").contains("are said to have been written"), "{}", volume.told("patched"));
    let volume = volume.set("patched", 32 + 8, &len);
    assert!(volume.told("patched").contains("a directory of 18446744073709551615 bytes"));
    // The mark that ends it does so all the same; what it says of its length is followed.
    let fault = one_fault(&volume, None);
    assert!(fault.starts_with("/patched: ") && fault.contains("cluster "), "{fault}");
}

/// Asserts that a listing which lost entries is faulted itself, or lies beneath one that is.
fn nothing_is_lost_in_silence(volume: &Volume, dir: &str, expected: &str) {
    let (before, seen) = (Volume::new().walk(), volume.walk());
    let missing = before.paths().into_iter().filter(|path| !seen.entries.contains_key(*path));
    let missing: Vec<_> = missing.collect();
    assert!(!missing.is_empty() && missing.iter().all(|path| path.starts_with(dir)), "{missing:?}");
    let told = |fault: &String| fault.starts_with(&format!("{dir}: ")) && fault.contains(expected);
    assert!(seen.faults.iter().any(told), "{} entries are gone, and {:?} is all", missing.len(), seen.faults);
}

#[test]
fn entries_behind_a_mark_that_ends_the_directory() {
    const BEHIND: &str = "behind the mark that ends the directory";
    // One byte, and a sector.
    let volume = Volume::new();
    let entry = volume.entry("fragmented.bin");
    nothing_is_lost_in_silence(&volume.put(entry, &[0]), "", BEHIND);
    let volume = Volume::new();
    let first = volume.first_cluster("many");
    let start = volume.offset(first);
    let volume = volume.put(start, &[0; 512]);
    nothing_is_lost_in_silence(&volume, "/many", BEHIND);
    // Deleted entries there hide nothing.
    let volume = Volume::new();
    let empty = volume.offset(volume.first_cluster("nothing in it"));
    assert_eq!(volume.image.get(empty, 512), [0; 512]);
    assert_eq!(volume.put(empty + 32, &[0x05]).walk().all_faults(), [""; 0]);
}

#[test]
fn a_directory_whose_chain_leads_elsewhere() {
    let volume = Volume::new();
    let first = volume.first_cluster("many");
    assert_ne!(volume.next(first), 0);
    // A cluster of zeros that belongs to nothing: the mark that it begins with is not the directory's.
    let zeros =
        |cluster: &u32| volume.next(*cluster) == 0 && volume.image.get(volume.offset(*cluster), 512) == [0; 512];
    let free = (first..first + 4000).find(zeros).unwrap();
    let volume = volume.link(first, free);
    nothing_is_lost_in_silence(&volume, "/many", "cluster");
}

#[test]
fn entry_sets_that_contradict_themselves() {
    let cases: [(u64, &[u8], &str); 5] = [
        (2, &[1, 2], "expected the checksum 0x0201"),
        (32 + 8, &[0xff; 8], "are said to have been written"),
        (32 + 1, &[0], "no clusters can belong to it"),
        (64 + 30, b"x\0", "its name does not end after the 10 units"),
        (64 + 2, b"\0", "its name does not end"),
    ];
    for (at, bytes, expected) in cases {
        let volume = Volume::new();
        let entry = volume.entry("readme.txt");
        let changed = volume.put(entry + at, bytes);
        let exfat = open(&changed.image);
        let mut session = exfat.session().unwrap();
        let faults = session.metadata(&NodeId::Number(entry)).unwrap().faults;
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?}");
        // It is listed all the same.
        assert_eq!(changed.walk().entries.len(), Volume::new().walk().entries.len());
    }
    assert_eq!(Volume::new().told("readme.txt"), "");
}

#[test]
fn a_name_that_its_checksum_contradicts() {
    let volume = Volume::new();
    let entry = volume.entry("patched/vendor.txt");
    let place = volume.place(entry, 64 + 2);
    let volume = volume.put(place, b"X");
    nothing_is_lost_in_silence(&volume, "/patched", "expected the checksum");
    // What is there now is listed, and is a fault, too.
    assert!(volume.walk().entries.contains_key("/patched/Xendor.txt"), "{:?}", volume.walk().paths());
    assert!(volume.told("patched/Xendor.txt").contains("expected the checksum"));
}

#[test]
fn entry_sets_that_are_none() {
    let cases: [(u64, &[u8], &str); 6] = [
        (1, &[1], "an entry of type 0xc1 that belongs to no other"),
        (1, &[0], "expected"),
        (32, &[0xc1], "expected a stream extension, found type 0xc1"),
        (32 + 3, &[0], "its name has 0 units"),
        (32 + 3, &[200], "its name has 200 units"),
        (64, &[0x41], "entries are to follow the file's, found 1"),
    ];
    for (at, bytes, expected) in cases {
        let volume = Volume::new();
        let entry = volume.entry("readme.txt");
        let seen = volume.put(entry + at, bytes).walk();
        let faults = seen.all_faults();
        if expected != "expected" {
            assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected}: {faults:?}");
        }
        assert!(!faults.is_empty());
        assert_eq!(seen.entries.len() + 1, Volume::new().walk().entries.len());
    }
}

#[test]
fn names_that_are_none() {
    for name in [&b".\0"[..], b".\0.\0"] {
        let units = [(name.len() / 2) as u8];
        let volume = Volume::new();
        let entry = volume.entry("readme.txt");
        let volume = volume.put(entry + 64 + 2, &[0; 30]).put(entry + 64 + 2, name).put(entry + 32 + 3, &units);
        let fault = one_fault(&volume, Some("/readme.txt"));
        assert!(fault.contains("its name is `.` or `..`"), "{fault}");
    }
}

#[test]
fn entries_that_nobody_knows() {
    // 0xa5 may be ignored with what follows it, 0x9f must not.
    let volume = Volume::new();
    let gone = volume.entry("readme.txt");
    let seen = volume.put(gone, &[0xa5]).walk();
    assert_eq!((seen.all_faults().len(), seen.entries.len() + 1), (0, Volume::new().walk().entries.len()));
    let volume = Volume::new();
    let faults = volume.put(gone, &[0x9f]).walk().all_faults();
    assert!(faults[0].contains("unknown type 0x9f"), "{faults:?}");
    // An entry of the volume in a directory.
    let volume = Volume::new();
    let inner = volume.entry("patched/vendor.txt");
    let faults = volume.put(inner, &[0x83]).walk().all_faults();
    assert!(faults[0].contains("belongs into the root directory"), "{faults:?}");
}

#[test]
fn an_up_case_table_that_is_damaged() {
    let volume = Volume::new();
    let root = volume.offset(le32(&volume.image, 96));
    let entry = (0..16).map(|n| root + 32 * n).find(|&at| volume.image.get(at, 1) == [0x82]).unwrap();
    for (at, bytes) in [(4, vec![0; 4]), (24, vec![0xff; 8]), (20, vec![0; 4]), (0, vec![2])] {
        let volume = Volume::new().put(entry + at, &bytes);
        let exfat = open(&volume.image);
        assert!(exfat.info().gaps[0].contains("up-case table"), "{:?}", exfat.info().gaps);
        let mut session = exfat.session().unwrap();
        assert!(find(session.as_mut(), "README.TXT").is_some());
    }
}

#[test]
fn a_name_that_nobody_can_rule_out() {
    // In a directory that cannot be read in full, a name that was not found may be there.
    let volume = Volume::new();
    let first = le32(&volume.image, 96);
    let volume = volume.link(first, 0);
    let exfat = open(&volume.image);
    let mut session = exfat.session().unwrap();
    let root = session.root();
    assert!(session.lookup(&root, b"absent").is_err());
}

#[test]
fn a_cut_volume() {
    let volume = Volume::new();
    let offset = volume.offset(volume.first_cluster("many"));
    let exfat = open(&volume.image.clone().cut(offset + 100));
    assert!(exfat.info().gaps[0].contains("and the image"), "{:?}", exfat.info().gaps);
    assert!(!walk(&exfat).all_faults().is_empty());
}

#[test]
fn mutants() {
    for (name, cases) in [("c512", 60), ("c4k", 600)] {
        let sound = sound(name);
        let (len, heap, fat) = (sound.len(), u64::from(le32(&sound, 88)) * 512, u64::from(le32(&sound, 80)) * 512);
        let regions = [0..12 * 512_u64, fat..fat + 3000, heap..heap + 200_000, heap..len];
        let mut random = Random(5);
        for _ in 0..cases {
            let image = damaged(&sound, &regions, &mut random);
            let Some(filesystem) = probe(&image.shared()).filesystem else { continue };
            let seen = walk(filesystem.as_ref());
            let mut session = filesystem.session().unwrap();
            for file in seen.entries.values().step_by(37) {
                let _ = session.extents(&file.node, &Stream::Content);
            }
        }
    }
}
