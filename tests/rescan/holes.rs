//! Of more holes than a scan hashes, which files are left out is the same in a rescan, and for any number of threads.

use std::path::PathBuf;

use serde_json::Value as Json;
use snapfim::scan::Budgets;

use crate::support::{Given, LIST, Scan, differences, fixture, list, put, same, scan_with};

const MIB: u64 = 1 << 20;

const FLAG: &str = "--max-total-hole-bytes";

/// What the holes of all files may come to.
const TOTAL: u64 = 20 * MIB;

fn number(bytes: &[u8], at: usize, len: usize) -> usize {
    bytes[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Where an inode stands ("The Linux kernel documentation", ext4, "Block Group Descriptors"): the volume's superblock
/// at 1024, one block of it before the group descriptors. Takes its checksums from the volume.
pub(crate) fn inode_at(disk: &mut [u8], inode: usize) -> usize {
    let sb = 1024;
    // Without checksums of metadata: `RO_COMPAT_METADATA_CSUM` in `s_feature_ro_compat`.
    disk[sb + 0x65] &= !4;
    let block = 1024 << number(disk, sb + 0x18, 4);
    let (per_group, inode_size) = (number(disk, sb + 0x28, 4), number(disk, sb + 0x58, 2));
    let descriptor_size = if number(disk, sb + 0x60, 4) & 0x80 == 0 { 32 } else { number(disk, sb + 0xfe, 2) };
    let (group, index) = ((inode - 1) / per_group, (inode - 1) % per_group);
    let descriptor = (number(disk, sb + 0x14, 4) + 1) * block + group * descriptor_size;
    number(disk, descriptor + 8, 4) * block + index * inode_size
}

/// Gives the file with that inode a hole at its end: `i_size_lo` stands at 4 of an inode (the same, "Index Nodes").
fn add_hole(disk: &mut [u8], inode: usize, bytes: u64) {
    let at = inode_at(disk, inode) + 4;
    let size = number(disk, at, 4) as u64 + bytes;
    disk[at..at + 4].copy_from_slice(&u32::try_from(size).unwrap().to_le_bytes());
}

pub(crate) fn records(scan: &Scan) -> Vec<Json> {
    scan.manifest.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

pub(crate) fn record<'r>(records: &'r [Json], path: &str) -> &'r Json {
    let found = records
        .iter()
        .find(|record| record["kind"] == "file" && record["path"].as_str().is_some_and(|found| found.ends_with(path)));
    found.unwrap_or_else(|| panic!("no {path}"))
}

pub(crate) fn inode_of(record: &Json) -> usize {
    record["id"].as_str().unwrap().split(':').next().unwrap().parse().unwrap()
}

/// A disk whose files `/many/1` to `/many/10` have so many MiB of holes, and a file of two names 3.
struct Disk {
    bytes: Vec<u8>,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Disk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = fixture("rescan/day0.raw.zst");
        let path = put(dir.path(), "disk.raw", &bytes);
        let plain = records(&scan_with(&path, None, LIST).unwrap());
        let inode = |path: &str| inode_of(record(&plain, path));
        for size in 1..=10 {
            add_hole(&mut bytes, inode(&format!("/many/{size}")), size * MIB);
        }
        add_hole(&mut bytes, inode("/srv/second"), 3 * MIB);
        put(dir.path(), "disk.raw", &bytes);
        Self { bytes, path, _dir: dir }
    }

    fn scan(&self, earlier: Option<&Scan>, given: Given<'_>) -> Scan {
        let list = list(&differences(&self.bytes, &self.bytes, 512), self.bytes.len() as u64, 0);
        scan_with(&self.path, earlier.map(|earlier| (earlier, list.as_str())), given).unwrap()
    }
}

fn within(total_hole_bytes: u64) -> Budgets {
    Budgets { total_hole_bytes, ..Budgets::default() }
}

/// The files that have more than a limit which that flag raises.
pub(crate) fn left_out(records: &[Json], flag: &str) -> Vec<String> {
    let faults = records.iter().filter(|record| record["kind"] == "fault" && record["part"] == "content");
    let faults = faults.filter(|fault| fault["error"].as_str().unwrap().ends_with(&format!("with {flag}")));
    faults.map(|fault| fault["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn many_files_of_holes_took_as_many_times_as_long_as_one() {
    let disk = Disk::new();
    let full = disk.scan(None, Given { budgets: within(TOTAL), threads: 1, ..LIST });
    let records = records(&full);
    // 1, 2, 3, 3 with two names, 4 and 5 MiB are within it, and what `/srv/holes` has.
    assert_eq!(left_out(&records, FLAG), ["10", "6", "7", "8", "9"]);
    for size in 1..=10 {
        let record = record(&records, &format!("/many/{size}"));
        assert!(record["size"].as_u64().unwrap() > size * MIB);
        assert_eq!(record["sha256"].is_string(), size <= 5, "{record}");
    }
    for name in ["/srv/second", "/srv/linked", "/srv/holes"] {
        assert!(record(&records, name)["sha256"].is_string());
    }
    // Once until it is known that there are too many, and once more.
    assert!(full.hashed < 3 * TOTAL, "{}", full.hashed);
    for threads in [1, 2, 3, 4, 8] {
        let other = disk.scan(None, Given { budgets: within(TOTAL), threads, ..LIST });
        same(&full.manifest, &other.manifest, &format!("{threads} threads"));
    }
}

#[test]
fn what_a_rescan_takes_over_counts_as_what_a_full_scan_hashes() {
    let disk = Disk::new();
    let [full, whole] = [TOTAL, 1 << 40].map(|total| disk.scan(None, Given { budgets: within(total), ..LIST }));
    assert!(left_out(&records(&whole), FLAG).is_empty());
    for lines in [true, false] {
        for threads in [1, 4] {
            let rescan = |earlier, total| {
                let given = Given { budgets: within(total), threads, lines, ..LIST };
                disk.scan(Some(earlier), given)
            };
            let what = format!("lines {lines}, {threads} threads");
            for earlier in [&full, &whole] {
                let again = rescan(earlier, TOTAL);
                same(&full.manifest, &again.manifest, &what);
                assert!(again.taken_over > 10 * MIB, "{what}: {}", again.taken_over);
                assert_eq!(again.kept > 20, lines, "{what}: {} lines", again.kept);
                same(&whole.manifest, &rescan(earlier, 1 << 40).manifest, &what);
            }
            assert_eq!(rescan(&whole, TOTAL).hashed, 0, "{what}");
            // The holes of all come to a few hundred KiB more than this.
            for total in [0, MIB, 10 * MIB, 57 * MIB, 58 * MIB, 59 * MIB] {
                let full = disk.scan(None, Given { budgets: within(total), ..LIST });
                assert_eq!(left_out(&records(&full), FLAG).is_empty(), total >= 59 * MIB);
                same(&full.manifest, &rescan(&whole, total).manifest, &format!("{what}, {total}"));
            }
        }
    }
}

#[test]
fn what_may_have_changed_was_hashed_although_it_has_too_many_holes() {
    let disk = Disk::new();
    let whole = disk.scan(None, LIST);
    let len = disk.bytes.len() as u64;
    let whole_disk = 0..len;
    let all = list(std::slice::from_ref(&whole_disk), len, 0);
    let given = || Given { budgets: within(3 * MIB), threads: 1, ..LIST };
    let full = disk.scan(None, given());
    let rescan = scan_with(&disk.path, Some((&whole, &all)), given()).unwrap();
    same(&full.manifest, &rescan.manifest, "all may have changed");
    assert!(rescan.hashed <= full.hashed, "{} bytes hashed, {} in a full scan", rescan.hashed, full.hashed);
}
