//! Transaction logs, cut from states of one hive, in both forms.

use super::{get, put, seal};

const PAGE: usize = 4096;

/// Marvin32 with the registry's seed.
pub(crate) fn marvin32(bytes: &[u8]) -> u64 {
    let (mut low, mut high) = (0x7A4E_55C5_u32, 0x82EF_4D88_u32);
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(4), 0);
    padded.extend([0; 4]);
    for word in padded.chunks(4) {
        low = low.wrapping_add(u32::from_le_bytes(word.try_into().unwrap()));
        high ^= low;
        low = low.rotate_left(20).wrapping_add(high);
        high = high.rotate_left(9) ^ low;
        low = low.rotate_left(27).wrapping_add(high);
        high = high.rotate_left(19);
    }
    u64::from(high) << 32 | u64::from(low)
}

/// A hive as it stands in the middle of a write.
pub(crate) fn dirty(hive: &[u8], sequence: u32) -> Vec<u8> {
    let mut hive = hive.to_vec();
    put(&mut hive, 4, sequence);
    put(&mut hive, 8, sequence - 1);
    seal(&mut hive);
    hive
}

/// The base block of a log.
pub(crate) fn base(hive: &[u8], sequence: u32, file_type: u32) -> Vec<u8> {
    let mut base = hive[..512].to_vec();
    put(&mut base, 4, sequence);
    put(&mut base, 8, sequence);
    put(&mut base, 28, file_type);
    seal(&mut base);
    base
}

/// Offsets in the bins and contents of the pages that differ.
fn changed(old: &[u8], new: &[u8]) -> Vec<(usize, Vec<u8>)> {
    (0..get(new, 40) as usize)
        .step_by(PAGE)
        .filter(|at| old.get(PAGE + at..2 * PAGE + at) != Some(&new[PAGE + at..2 * PAGE + at]))
        .map(|at| (at, new[PAGE + at..2 * PAGE + at].to_vec()))
        .collect()
}

/// A log entry of any pages.
pub(crate) fn entry(sequence: u32, flags: u32, bins_size: u32, pages: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut entry = b"HvLE".to_vec();
    for number in [0, flags, sequence, bins_size, u32::try_from(pages.len()).unwrap(), 0, 0, 0, 0] {
        entry.extend(number.to_le_bytes());
    }
    for (at, page) in pages {
        entry.extend(u32::try_from(*at).unwrap().to_le_bytes());
        entry.extend(u32::try_from(page.len()).unwrap().to_le_bytes());
    }
    entry.extend(pages.iter().flat_map(|(_, page)| page));
    entry.resize(entry.len().next_multiple_of(512), 0);
    let size = u32::try_from(entry.len()).unwrap();
    put(&mut entry, 4, size);
    rehash(&mut entry);
    entry
}

/// Makes the hashes of an entry right.
pub(crate) fn rehash(entry: &mut [u8]) {
    let body = marvin32(&entry[40..]);
    entry[24..32].copy_from_slice(&body.to_le_bytes());
    let header = marvin32(&entry[..32]);
    entry[32..40].copy_from_slice(&header.to_le_bytes());
}

/// The entry that turns one state into the next.
pub(crate) fn step(sequence: u32, old: &[u8], new: &[u8]) -> Vec<u8> {
    entry(sequence, 0, get(new, 40), &changed(old, new))
}

/// A log of the new form: its base block and entries.
pub(crate) fn log(hive: &[u8], sequence: u32, entries: &[Vec<u8>]) -> Vec<u8> {
    let mut log = base(hive, sequence, 6);
    entries.iter().for_each(|entry| log.extend(entry));
    log
}

/// A log of the old form that turns one state into another.
pub(crate) fn dirty_vector(old: &[u8], new: &[u8], sequence: u32) -> Vec<u8> {
    let mut log = base(new, sequence, 1);
    let mut vector = b"DIRT".to_vec();
    vector.resize(4 + get(new, 40) as usize / PAGE, 0);
    let mut pages = Vec::new();
    for (at, page) in changed(old, new) {
        vector[4 + at / PAGE] = 0xFF;
        pages.extend(page);
    }
    vector.resize(vector.len().next_multiple_of(512), 0);
    log.extend(vector);
    log.extend(pages);
    log
}
