//! Of files that claim the same blocks any number costs its writer nothing. Which of them are left out is the same in a
//! rescan, and for any number of threads.

use snapfim::scan::Budgets;

use crate::{
    holes::{inode_at, inode_of, left_out, record, records},
    support::{Given, LIST, Scan, differences, fixture, list, put, same, scan_with},
};

const FLAG: &str = "--max-total-bytes";

/// What all files may come to.
const TOTAL: u64 = 600_000;

/// Bytes of `/srv/large`.
const LARGE: u64 = 168_894;

/// What the file of that number claims of it.
fn size(number: u64) -> u64 {
    70_000 + 9_000 * number
}

/// The disk whose files `/many/1` to `/many/10` have the blocks of `/srv/large`. In an inode `i_size_lo` stands at 4,
/// `i_blocks_lo` at 28, `i_flags` at 32 and the map at 40, 60 bytes of it ("The Linux kernel documentation", ext4, "Index
/// Nodes").
fn disk(dir: &std::path::Path) -> (Vec<u8>, std::path::PathBuf) {
    let mut bytes = fixture("rescan/day0.raw.zst");
    let path = put(dir, "disk.raw", &bytes);
    let plain = records(&scan_with(&path, None, LIST).unwrap());
    let large = inode_at(&mut bytes, inode_of(record(&plain, "/srv/large")));
    for number in 1..=10 {
        let at = inode_at(&mut bytes, inode_of(record(&plain, &format!("/many/{number}"))));
        bytes.copy_within(large + 28..large + 36, at + 28);
        bytes.copy_within(large + 40..large + 100, at + 40);
        bytes[at + 4..at + 8].copy_from_slice(&u32::try_from(size(number)).unwrap().to_le_bytes());
    }
    put(dir, "disk.raw", &bytes);
    (bytes, path)
}

#[test]
fn many_files_of_the_same_blocks_took_as_many_times_as_long_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, path) = disk(dir.path());
    let unchanged = list(&differences(&bytes, &bytes, 512), bytes.len() as u64, 0);
    let within = |total_bytes| Budgets { total_bytes, ..Budgets::default() };
    let scan = |earlier: Option<&Scan>, given| {
        scan_with(&path, earlier.map(|earlier| (earlier, unchanged.as_str())), given).unwrap()
    };
    let whole = scan(None, LIST);
    assert!(left_out(&records(&whole), FLAG).is_empty());
    let full = scan(None, Given { budgets: within(Some(TOTAL)), threads: 1, ..LIST });
    let found = records(&full);
    // 79, 88, 97, 106 and 115 KB are within it, 124 KB more are not.
    assert_eq!(left_out(&found, FLAG), ["10", "6", "7", "8", "9", "large"]);
    for number in 1..=10 {
        let record = record(&found, &format!("/many/{number}"));
        assert_eq!(record["size"].as_u64(), Some(size(number)));
        assert_eq!(record["sha256"].is_string(), number <= 5, "{record}");
    }
    // Once until it is known that there are too many, by the one that is one too many, and once more. Small files do not
    // count.
    let small = whole.hashed - (1..=10).map(size).sum::<u64>() - LARGE;
    assert!(full.hashed < 2 * (TOTAL + small) + LARGE, "{} bytes", full.hashed);
    for threads in [1, 2, 3, 8] {
        let other = scan(None, Given { budgets: within(Some(TOTAL)), threads, ..LIST });
        same(&full.manifest, &other.manifest, &format!("{threads} threads"));
        for lines in [true, false] {
            for earlier in [&full, &whole] {
                let again = scan(Some(earlier), Given { budgets: within(Some(TOTAL)), threads, lines, ..LIST });
                same(&full.manifest, &again.manifest, &format!("a rescan, {threads} threads, lines {lines}"));
                assert!(again.taken_over > 0);
                let again = scan(Some(earlier), Given { budgets: within(None), threads, lines, ..LIST });
                same(&whole.manifest, &again.manifest, &format!("all again, {threads} threads, lines {lines}"));
            }
        }
    }
}

/// The map of `/many/…` has a hole of 200 blocks, a block, and an extent without a length ("The Linux kernel
/// documentation", ext4, "Extent Tree"): where the file lies is not known, and who reads it meets the hole first.
#[test]
fn holes_before_the_damage_of_a_file_counted_only_where_it_was_read_before_there_was_too_much() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bytes, path) = disk(dir.path());
    let plain = records(&scan_with(&path, None, LIST).unwrap());
    let mut inodes: Vec<_> = (1..=10).map(|number| inode_of(record(&plain, &format!("/many/{number}")))).collect();
    inodes.sort_unstable();
    let budgets = Budgets { total_bytes: Some(TOTAL), total_hole_bytes: 400_000, ..Budgets::default() };
    for inode in [inodes[0], inodes[9]] {
        let at = inode_at(&mut bytes, inode);
        let before = bytes[at..at + 100].to_vec();
        bytes[at + 4..at + 8].copy_from_slice(&300_000_u32.to_le_bytes());
        let block = bytes[at + 60..at + 64].to_vec();
        bytes[at + 42] = 2;
        bytes[at + 52..at + 58].copy_from_slice(&[200, 0, 0, 0, 1, 0]);
        bytes[at + 64..at + 76].copy_from_slice(&[210, 0, 0, 0, 0, 0, 0, 0, block[0], block[1], block[2], block[3]]);
        put(dir.path(), "disk.raw", &bytes);
        let scan = |threads| scan_with(&path, None, Given { budgets, threads, ..LIST }).unwrap();
        let full = scan(1);
        let found = records(&full);
        assert!(!left_out(&found, FLAG).is_empty());
        assert!(record(&found, "/srv/holes")["sha256"].is_string(), "it has less than all may have");
        same(&full.manifest, &scan(3).manifest, "three threads");
        bytes[at..at + 100].copy_from_slice(&before);
    }
}
