//! Logs that were not clean: what they hold is shown as the kernel shows it, or it is said why not.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use snapfim::{
    fs::{FileSystem as _, xfs::Xfs},
    image::Memory,
};

use crate::{
    damage::{Mutant, Random, exercise, factor},
    fixtures,
};

/// Where a record's header keeps its length, its own place and that of the tail, checksum, format and UUID, and the size of its buffers.
const LEN_AT: usize = 12;
const CYCLE_AT: usize = 16;
const BLOCK_AT: usize = 20;
const TAIL_AT: usize = 24;
const CHECKSUM_AT: usize = 32;
const FORMAT_AT: usize = 300;
const UUID_AT: usize = 304;
const SIZE_AT: usize = 320;

/// CRC-32C, bit by bit; the register goes in and out.
fn crc32c(mut crc: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82F6_3B78 } else { crc >> 1 };
        }
    }
    crc
}

fn be32(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Where the records of an image's log begin that belong to its last mount, the newest last, and none of which is
/// split by the end of the log.
fn records(image: &[u8]) -> Vec<usize> {
    let mut records: Vec<(&[u8], usize)> = image
        .chunks(512)
        .enumerate()
        .filter(|(_, sector)| sector.starts_with(&0xFEED_BABE_u32.to_be_bytes()))
        .map(|(number, sector)| (&sector[16..24], number * 512))
        .collect();
    records.sort_unstable();
    let places: Vec<usize> = records.into_iter().map(|(_, at)| at).collect();
    // What an unmount wrote has one operation; behind the last such record the dirty ones follow.
    let clean = places.iter().rposition(|at| be32(image, at + 40) == 1).map_or(0, |index| index + 1);
    places[clean..].to_vec()
}

/// The headers and the body of a record.
fn span(image: &[u8], at: usize) -> (usize, usize) {
    (at + be32(image, at + SIZE_AT).div_ceil(1 << 15).max(1) * 512, be32(image, at + LEN_AT))
}

/// The checksum of a record, by its definition.
fn checksum(record: &[u8], body: usize, len: usize) -> u32 {
    let mut crc = crc32c(crc32c(crc32c(!0, &record[..CHECKSUM_AT]), &[0; 4]), &record[CHECKSUM_AT + 4..328]);
    for header in 1..len.div_ceil(1 << 15).min(body / 512) {
        crc = crc32c(crc, &record[header * 512..header * 512 + 260]);
    }
    !crc32c(crc, &record[body..(body + len).min(record.len())])
}

/// Gives a record the checksum that it must have.
fn seal(image: &mut [u8], at: usize) {
    let (body, len) = span(image, at);
    let checksum = checksum(&image[at..body + len], body - at, len);
    image[at + CHECKSUM_AT..at + CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn checksums_of_this_test_are_those_of_the_kernel() {
    for name in ["dirty", "dirty-1k"] {
        let image = fixtures::image(name);
        let records = records(&image);
        assert!(records.len() > 3, "{name}");
        for at in records {
            let mut sealed = image[at..span(&image, at).0 + span(&image, at).1].to_vec();
            seal(&mut sealed, 0);
            assert_eq!(sealed[CHECKSUM_AT..CHECKSUM_AT + 4], image[at + CHECKSUM_AT..at + CHECKSUM_AT + 4]);
        }
    }
}

#[test]
fn a_dirty_log_is_replayed() {
    for name in ["dirty", "dirty-1k", "dirty-v4", "dirty-v4-512", "dirty-grown"] {
        let (differences, info) = fixtures::compare(name, fixtures::image(name));
        assert!(differences.is_empty(), "{name}: {info:?}\n{}", differences.join("\n"));
        assert!(info.notes.len() == 1 && info.notes[0].starts_with("log replayed: "), "{name}: {info:?}");
        assert_eq!(info.gaps, [""; 0], "{name}");
    }
}

/// The one gap of an image, and whether nothing of its log was applied.
fn gap(name: &str, image: Vec<u8>) -> (String, bool) {
    let (differences, info) = fixtures::compare(name, image);
    assert_eq!(info.gaps.len(), 1, "{info:?}");
    (info.gaps[0].clone(), info.notes.is_empty() && !differences.is_empty())
}

#[test]
fn a_log_of_another_byte_order_is_refused_by_name() {
    let image = fixtures::image("dirty");
    for (format, writer) in [(0, "IRIX"), (2, "a big-endian Linux"), (3, "IRIX"), (9, "unknown format 9")] {
        let mut image = image.clone();
        for at in records(&image) {
            image[at + FORMAT_AT + 3] = format;
            seal(&mut image, at);
        }
        let (gap, untouched) = gap("dirty", image);
        assert!(untouched && gap.contains("the log was not clean and was not replayed"), "{gap}");
        assert!(gap.contains(writer), "{gap}");
    }
}

#[test]
fn a_record_of_another_filesystem_is_refused() {
    let mut image = fixtures::image("dirty");
    let first = records(&image)[0];
    image[first + UUID_AT] ^= 1;
    seal(&mut image, first);
    let (gap, untouched) = gap("dirty", image);
    assert!(untouched && gap.contains("the record is of another filesystem"), "{gap}");
}

#[test]
fn torn_records_at_the_head_count_as_not_written() {
    let image = fixtures::image("dirty");
    let records = records(&image);
    let replayed = |image: Vec<u8>| {
        let info = Xfs::open(Arc::new(Memory(image))).unwrap().info().clone();
        assert_eq!(info.gaps, [""; 0]);
        let note = info.notes.iter().find_map(|note| note.strip_prefix("log replayed: "));
        let count = note.map(|note| note.split(' ').next().unwrap().parse::<usize>().unwrap());
        (count.unwrap_or(0), info.notes)
    };
    let end = records.iter().map(|at| span(&image, *at)).map(|(body, len)| body + len.next_multiple_of(512)).max();
    let whole = replayed(image.clone());
    assert_eq!(whole.1.len(), 1, "{:?}", whole.1);
    let mut last = whole.0;
    for at in records.iter().rev().take(7) {
        let (block, (body, _)) = (be32(&image, at + BLOCK_AT), span(&image, *at));
        let (mut torn, mut halfway) = (image.clone(), image.clone());
        torn[body + 100] ^= 0x10;
        let (count, notes) = replayed(torn);
        assert!(count <= last, "{count} transactions, {last} with one record more");
        last = count;
        let left_out = |bytes: usize| {
            format!(
                "the newest {bytes} bytes of the log, from block {block:#x} on, are torn and were left out, as the kernel does"
            )
        };
        assert!(notes.contains(&left_out(end.unwrap() - at)), "{notes:?}");

        // A block that was not written is of the cycle before: nothing, in a log that was not gone round yet.
        halfway[body..end.unwrap()].fill(0);
        let (count, notes) = replayed(halfway);
        assert_eq!(count, last);
        assert!(notes.contains(&left_out(body - at)), "{notes:?}");
    }
    assert!(last < whole.0);
}

/// The kernel takes torn records off before it asks whether anything is left between tail and head.
#[test]
fn a_torn_record_that_calls_the_head_its_tail_hides_nothing() {
    for name in ["dirty", "dirty-1k"] {
        let mut torn = fixtures::image(name);
        let last = *records(&torn).last().unwrap();
        let (body, len) = span(&torn, last);
        torn[body + 100] ^= 0x10;
        let mut hidden = torn.clone();
        let head = be32(&hidden, last + BLOCK_AT) + (body - last + len.next_multiple_of(512)) / 512;
        hidden[last + TAIL_AT..last + TAIL_AT + 4].copy_from_slice(&torn[last + CYCLE_AT..last + CYCLE_AT + 4]);
        hidden[last + TAIL_AT + 4..last + TAIL_AT + 8].copy_from_slice(&u32::try_from(head).unwrap().to_be_bytes());
        let mut empty = hidden.clone();
        empty[body + 100] ^= 0x10;
        seal(&mut empty, last);
        let [torn, hidden, empty] =
            [torn, hidden, empty].map(|image| Xfs::open(Arc::new(Memory(image))).unwrap().info().clone());
        assert!(torn.notes.len() == 2 && torn.notes[0].starts_with("log replayed: "), "{name}: {torn:?}");
        assert!(torn.notes[1].contains("are torn and were left out"), "{name}: {torn:?}");
        assert_eq!((hidden.notes, hidden.gaps), (torn.notes, torn.gaps), "{name}");
        // A whole record that says so makes no sense: the kernel does not mount it.
        assert_eq!((empty.notes.len(), empty.gaps.len()), (0, 1), "{name}: {:?}", empty.gaps);
        assert!(empty.gaps[0].contains("no whole record is left between tail and head"), "{name}: {:?}", empty.gaps);
    }
}

#[test]
fn damage_that_is_older_than_what_may_be_torn_is_a_gap() {
    let mut image = fixtures::image("dirty");
    let records = records(&image);
    let at = records[records.len() / 2];
    let body = span(&image, at).0;
    image[body + 100] ^= 0x10;
    let (gap, untouched) = gap("dirty", image);
    assert!(untouched && gap.contains("does not match its checksum"), "{gap}");
}

#[test]
fn a_change_of_extents_that_was_not_finished_is_a_gap() {
    let mut image = fixtures::image("dirty");
    let at = records(&image)[0];
    let (body, len) = span(&image, at);
    // Of an inode's core, of two regions, such an intent is made: both have the inode's number at 16.
    let found = image[body..body + len].windows(4).position(|item| item == [0x3B, 0x12, 2, 0]).unwrap();
    image[body + found] = 0x44;
    seal(&mut image, at);
    let inode = u64::from_le_bytes(image[body + found + 16..body + found + 24].try_into().unwrap());
    let (gap, _) = gap("dirty", image);
    let missing =
        format!("1 changes were begun and not finished, and are missing: of the extents of inode {inode} (BUI)");
    assert!(gap.contains(&missing), "{gap}");
}

/// Damages the records that are replayed; most of them so that their checksums hold, and what is in them is met.
fn mutants(name: &str, count: usize) {
    let image = fixtures::image(name);
    let records = records(&image);
    let len = image.len() as u64;
    let image = Arc::new(Memory(image));
    let mut random = Random(0x106_0000 + name.len() as u64);
    for number in 0..count * factor() {
        let mut changes = BTreeMap::new();
        for _ in 0..=random.below(3) {
            let at = records[random.below(records.len())];
            let (body, len) = span(&image.0, at);
            let mut record = image.0[at..body + len].to_vec();
            for _ in 0..=random.below(6) {
                // What describes items stands behind the headers of operations, mostly at the start of a body.
                let place = match random.below(8) {
                    0 => random.below(44),
                    1 => FORMAT_AT + random.below(24),
                    2..5 => body - at + random.below(len.min(400)),
                    _ => random.below(record.len()),
                };
                record[place] = match random.below(5) {
                    0 => 0xFF,
                    1 => 0,
                    2 => record[place] ^ (1 << random.below(8)),
                    3 => record[place].wrapping_add(1),
                    _ => random.below(256) as u8,
                };
            }
            if number % 4 > 0 {
                let sum = checksum(&record, body - at, len);
                record[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
            }
            let changed = record.iter().enumerate().filter(|(place, byte)| image.0[at + place] != **byte);
            changes.extend(changed.map(|(place, byte)| (at + place, *byte)));
        }
        exercise(Mutant { image: Arc::clone(&image), changes, len });
    }
}

#[test]
fn mutants_of_logs_of_version_5() {
    mutants("dirty", 1000);
}

#[test]
fn mutants_of_logs_of_small_blocks() {
    mutants("dirty-1k", 1000);
}

#[test]
fn mutants_of_logs_of_version_4() {
    mutants("dirty-v4", 500);
    mutants("dirty-v4-512", 500);
}

/// Volumes of `fixtures/xfs/logs.sh`, where the environment names them.
#[test]
fn random_logs() {
    let Some(folder) = std::env::var_os("SNAPFIM_XFS_LOGS").map(PathBuf::from) else {
        println!("skipped: SNAPFIM_XFS_LOGS is not set");
        return;
    };
    let (mut volumes, mut replayed) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let image = entry.unwrap().path();
        let Ok(table) = std::fs::read_to_string(image.with_extension("tsv")) else { continue };
        if image.extension().is_none_or(|extension| extension != "img") {
            continue;
        }
        let xfs = Xfs::open(Arc::new(Memory(std::fs::read(&image).unwrap()))).unwrap();
        let info = xfs.info();
        println!("{}: {} lines, {:?}, {:?}", image.display(), table.lines().count(), info.notes, info.gaps);
        volumes += 1;
        replayed += info.notes.len();
        // Where the kernel gives up, nothing may be claimed.
        if table.trim() == "refused" {
            assert_eq!(info.gaps.len(), 1, "{info:?}");
            continue;
        }
        assert_eq!(fixtures::differences(&xfs, &table), [""; 0], "{}", image.display());
        assert_eq!(info.gaps, [""; 0], "{}", image.display());
    }
    println!("{volumes} volumes, {replayed} of them replayed");
}
