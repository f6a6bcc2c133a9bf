//! Whole disks with damage that nobody planned, through the library: each ends in a manifest or an error, never in a
//! panic, a hang or a heap of memory.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "what fails here is the test")]

mod support;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::mpsc,
    time::Duration,
};

use snapfim::{
    error::Result,
    manifest::{Attribute, Kind, Reader, Record},
    policy::Policy,
    scan::{self, Budgets, Progress},
    target,
};
use support::{Folder, disk, place, table, write_disk};

/// Mutants of each of two workers.
const MUTANTS: u64 = 700;

/// No mutant may take longer, also on a machine that is busy with other things.
const LONGEST: Duration = Duration::from_secs(30);

/// What the process may hold at its peak, in KiB: two workers, their disks of 27 MiB, their images in the page
/// cache not counted.
const MEMORY_KIB: u64 = 400 << 10;

/// A small generator of numbers (xorshift64), so that a run can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 8).unwrap() % end.max(1)
    }
}

/// The records of everything on an image, or the error that it ends in.
fn records(image: &Path, threads: usize) -> Result<Vec<Record>> {
    let target = target::open(image.as_os_str(), &target::Options::default())?;
    target.require_filesystem()?;
    let policy = Policy::built_in("full")?.for_machine("m")?;
    let budgets = Budgets { hole_bytes: 64 << 20, memory: 8 << 20, ..Budgets::default() };
    let temp = image.parent().unwrap();
    let options = scan::Options { threads, budgets, temp, reuse: None };
    let scanned = scan::scan(&target.machine, policy, &options, &Progress::default(), tempfile::tempfile().unwrap())?;
    let mut file = scanned.out;
    file.seek(SeekFrom::Start(0)).unwrap();
    // What was written must be readable, whatever the image made it hold.
    Ok(Reader::new("manifest", file).unwrap().records().map(Result::unwrap).collect())
}

fn faults(records: &[Record]) -> Vec<String> {
    let faults = records.iter().filter(|record| record.kind == Kind::Fault);
    faults.map(|fault| fault.text(Attribute::Error).unwrap_or_default().to_owned()).collect()
}

/// The machine's disk with the checksums of both ext4 volumes turned off, so that damage gets past them
/// (`RO_COMPAT_METADATA_CSUM` in `s_feature_ro_compat` at 0x64).
fn without_checksums() -> Vec<u8> {
    let mut bytes = disk(0).to_vec();
    for volume in ["root", "boot"] {
        let at = place(&format!("{volume}:superblock")).0 + 0x65;
        assert_ne!(bytes[at] & 4, 0);
        bytes[at] &= !4;
    }
    bytes
}

/// What a mutant changes: bytes at offsets.
fn mutation(numbers: &mut Numbers, places: &[(usize, usize)], original: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let (start, len) = places[numbers.below(places.len())];
    let count = 1 + numbers.below(4);
    let mut changes = Vec::new();
    for _ in 0..count {
        let at = start + numbers.below(len);
        let old = original[at];
        let random = u8::try_from(numbers.below(256)).unwrap();
        let bytes = match numbers.below(7) {
            0 => vec![old ^ (1 << numbers.below(8))],
            1 => vec![0xff; 1 + numbers.below(8)],
            2 => vec![0; 1 + numbers.below(64)],
            3 => vec![old.wrapping_add(1)],
            4 => vec![0xff, 0xff, 0xff, 0x7f],
            // A piece from elsewhere in the same place.
            5 => original[start..start + numbers.below(len.min(64)).max(1)].to_vec(),
            _ => vec![random],
        };
        let fits = bytes.len().min(original.len() - at);
        changes.push((at, bytes[..fits].to_vec()));
    }
    changes
}

/// Runs a worker's mutants over an image of its own, which is mended after each.
fn worker(seed: u64, original: Vec<u8>, told: &mpsc::Sender<(u64, u64, bool)>) {
    let folder = Folder::new();
    let image = folder.path("mutant.raw");
    write_disk(&image, &original, 0);
    let rows = table("places.tsv");
    let places: Vec<(usize, usize)> =
        rows.iter().map(|row| (row[1].parse().unwrap(), row[2].parse().unwrap())).collect();
    let file = File::options().write(true).open(&image).unwrap();
    for number in 0..MUTANTS {
        let mut numbers = Numbers((seed << 32) + number * 2_654_435_761 + 1);
        let changes = mutation(&mut numbers, &places, &original);
        for (at, bytes) in &changes {
            file.write_all_at(bytes, *at as u64).unwrap();
        }
        // Some also end early.
        let cut = number % 16 == 0;
        if cut {
            file.set_len(numbers.below(original.len()) as u64).unwrap();
        }
        let threads = 1 + usize::try_from(number % 2).unwrap();
        let ended = records(&image, threads);
        let fine = match &ended {
            Ok(records) => !faults(records).iter().any(|error| error.contains("the reader failed on these bytes")),
            Err(error) => (64..=78).contains(&error.exit_code()) && error.exit_code() != 70,
        };
        assert!(fine, "mutant {seed}/{number} {changes:x?}: {:?}", ended.map(|records| faults(&records)));
        if cut {
            write_disk(&image, &original, 0);
        }
        for (at, bytes) in &changes {
            file.write_all_at(&original[*at..*at + bytes.len()], *at as u64).unwrap();
        }
        if told.send((seed, number, ended.is_ok())).is_err() {
            return;
        }
    }
}

#[test]
fn mutants_of_whole_disks_end_in_a_manifest_or_an_error() {
    let (told, hear) = mpsc::channel();
    for (seed, original) in [(1, disk(0).to_vec()), (2, without_checksums())] {
        let told = told.clone();
        std::thread::spawn(move || worker(seed, original, &told));
    }
    drop(told);
    let (mut last, mut manifests, mut errors) = (BTreeMap::new(), 0, 0);
    loop {
        match hear.recv_timeout(LONGEST) {
            Ok((seed, number, is_manifest)) => {
                last.insert(seed, number);
                *(if is_manifest { &mut manifests } else { &mut errors }) += 1;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("a mutant hangs; the last that ended: {last:?}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    println!("{manifests} manifests, {errors} errors");
    assert_eq!(manifests + errors, 2 * MUTANTS, "a worker stopped, see above; the last that ended: {last:?}");
    assert!(manifests > errors, "most damage is to single entities: {manifests} manifests, {errors} errors");
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < MEMORY_KIB, "{peak} KiB at the peak");
    }
}

/// Points the entry `name` of the directory block at `what` to another inode.
fn relink(bytes: &mut [u8], what: &str, name: &str, inode: u32) {
    let (start, len) = place(what);
    let mut at = start;
    while at + 8 < start + len {
        let record = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
        let length = usize::from(bytes[at + 6]);
        if &bytes[at + 8..at + 8 + length] == name.as_bytes() {
            bytes[at..at + 4].copy_from_slice(&inode.to_le_bytes());
            return;
        }
        at += record;
    }
    panic!("{name} is not in {what}");
}

fn inode_of(path: &str) -> u32 {
    let row = table("truth-day0.tsv").into_iter().find(|row| row[0] == "root" && row[1] == path).unwrap();
    row[7].parse().unwrap()
}

#[test]
fn loops_and_folders_with_two_names_end_the_same_in_any_order_and_are_seen() {
    type Edit = fn(&mut Vec<u8>);
    let cases: [(&str, Edit); 5] = [
        ("a loop to the root", |bytes| relink(bytes, "root:block:/usr", "lib", 2)),
        ("a loop to itself", |bytes| relink(bytes, "root:block:/usr", "lib", inode_of("/usr"))),
        ("two names for a folder", |bytes| relink(bytes, "root:block:/usr", "sbin", inode_of("/usr/bin"))),
        ("a folder beneath another", |bytes| relink(bytes, "root:block:/etc", "pam.d", inode_of("/usr/bin"))),
        ("a root that is a file", |bytes| relink(bytes, "root:block:/", "usr", inode_of("/etc/passwd"))),
    ];
    for (name, edit) in cases {
        let folder = Folder::new();
        let mut bytes = without_checksums();
        edit(&mut bytes);
        let image = folder.path("loop.raw");
        write_disk(&image, &bytes, 0);
        let one = records(&image, 1).unwrap();
        for threads in [2, 4, 4] {
            assert!(one == records(&image, threads).unwrap(), "{name}: {threads} threads give another manifest");
        }
        if name != "a root that is a file" {
            assert!(!faults(&one).is_empty(), "{name}: nothing is said of it");
        }
    }
}

/// An entry of `/folder` of the NTFS volume that leads to `/packed`, with and without a sequence number. `/folder` comes
/// first, so that one worker alone would enter it there.
#[test]
fn an_ntfs_folder_with_entries_in_two_parents_is_entered_through_its_own() {
    const ENTRY: u64 = 1 << 48 | 68;
    const FOLDER: u64 = 1 << 48 | 84;
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ntfs/basic.raw.zst");
    let original = zstd::decode_all(File::open(packed).unwrap()).unwrap();
    let name: Vec<u8> = "in it".encode_utf16().flat_map(u16::to_le_bytes).collect();
    // The key of an index entry, $FILE_NAME, begins at 0x10, its flags lie at 0x38 of it and the name at 0x42.
    let is_entry =
        |at: &usize| original[*at..].starts_with(&ENTRY.to_le_bytes()) && original[*at + 0x52..].starts_with(&name);
    let entry = (0..original.len() - 0x60).step_by(8).find(is_entry).unwrap();
    for reference in [FOLDER, FOLDER & 0xFFFF] {
        let folder = Folder::new();
        let mut bytes = original.clone();
        bytes[entry..entry + 8].copy_from_slice(&reference.to_le_bytes());
        bytes[entry + 0x4B] |= 0x10;
        let image = folder.path("two parents.raw");
        write_disk(&image, &bytes, 0);
        let one = records(&image, 1).unwrap();
        for threads in [2, 4, 4] {
            assert!(one == records(&image, threads).unwrap(), "{threads} threads give another manifest");
        }
        let paths: Vec<_> = one.iter().map(|record| String::from_utf8_lossy(&record.path).replace('\\', "/")).collect();
        assert!(paths.iter().any(|path| path.ends_with("/packed/text")), "{paths:?}");
        assert!(!paths.iter().any(|path| path.contains("/in it/")), "{paths:?}");
        assert!(faults(&one).iter().any(|fault| fault.contains("entered under another name already")));
    }
}

#[test]
fn a_disk_cut_anywhere_ends_in_a_manifest_or_an_error() {
    let folder = Folder::new();
    let image = folder.path("cut.raw");
    write_disk(&image, disk(0), 0);
    let mut file = File::options().write(true).open(&image).unwrap();
    file.flush().unwrap();
    for kib in (0..27 << 10).step_by(311).collect::<Vec<_>>().into_iter().rev() {
        file.set_len(kib << 10).unwrap();
        if let Ok(records) = records(&image, 2) {
            let faults = faults(&records);
            assert!(!faults.iter().any(|error| error.contains("the reader failed")), "{kib} KiB: {faults:?}");
        }
    }
}
