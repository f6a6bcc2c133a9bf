//! The fixture's disk with bytes changed: whatever a hostile machine says of itself, a scan ends.

use std::{
    io::{Seek, SeekFrom, Write},
    path::Path,
};

use snapfim::{
    manifest::{Attribute, Kind},
    target,
};

use crate::support::{FULL, disk, scan};

const CASES: usize = 250;

/// Offsets of pages that hold anything, without those that are all data of one byte.
fn pages(disk: &[u8]) -> Vec<usize> {
    let used = |page: &&[u8]| page.iter().any(|byte| *byte != page[0]);
    let pages = disk.chunks(4096).enumerate().filter(|(_, page)| used(page));
    pages.map(|(at, _)| at * 4096).collect()
}

#[test]
fn mutated_disks_are_scanned_to_the_end() {
    let (_folder, path) = disk();
    let whole = std::fs::read(&path).unwrap();
    let pages = pages(&whole);
    let mut file = std::fs::File::options().write(true).open(Path::new(&path)).unwrap();
    let mut put = |at: usize, bytes: &[u8]| {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(bytes).unwrap();
    };
    let mut random = 0xD1B5_4A32_D192_ED03_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 16).unwrap() % below
    };
    let mut unusual = 0;
    for _ in 0..CASES {
        let edits: Vec<_> =
            (0..12).map(|_| (pages[next(pages.len())] + next(4096), [0, 1, 0x7f, 0xff, 0x20, 0x5c][next(6)])).collect();
        edits.iter().for_each(|(at, byte)| put(*at, &[*byte]));
        match target::open(path.as_ref(), &target::Options::default()) {
            Ok(target) => {
                let found = scan(&target, FULL);
                let faults = found.of(Kind::Fault);
                unusual += usize::from(!faults.is_empty());
                let defect = |fault: &&&snapfim::manifest::Record| {
                    fault.text(Attribute::Error).is_some_and(|error| error.contains("defect"))
                };
                assert_eq!(faults.values().find(defect), None, "a reader panicked on {edits:?}");
            }
            Err(_) => unusual += 1,
        }
        edits.iter().for_each(|(at, _)| put(*at, &whole[*at..=*at]));
    }
    assert!(unusual > 0, "the mutations do reach something");
    println!("{unusual} of {CASES} disks had faults or could not be opened");
}
