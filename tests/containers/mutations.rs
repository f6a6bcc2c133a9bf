//! Several hundred damaged images of each format: each opens or does not, reads or fails, and never panics, hangs
//! or takes memory. Checksums are made right again, so that the damage is not stopped at the door.

#![allow(clippy::single_range_in_vec_init, reason = "a list of one place is one place")]

use std::time::{Duration, Instant};

use snapfim::image::Image;

use crate::fixture::Fixtures;

const CASES: u64 = 320;
/// Far more than one takes; a hang takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// splitmix64: the same cases on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Bytes of metadata: those that are not zero and do not look like the disk's own content.
fn places(bytes: &[u8], tables: &[std::ops::Range<usize>]) -> Vec<usize> {
    tables
        .iter()
        .flat_map(|range| range.start.min(bytes.len())..range.end.min(bytes.len()))
        .filter(|at| bytes[*at] != 0 || at % 97 == 0)
        .collect()
}

fn mutate(bytes: &mut Vec<u8>, places: &[usize], random: &mut Random) {
    if random.below(8) == 0 {
        bytes.truncate(random.below(bytes.len()));
        return;
    }
    for _ in 0..=random.below(3) {
        let at = places[random.below(places.len())];
        let fill = [0, 0xff, 0x7f, 0x80, random.next() as u8][random.below(5)];
        let len = [1, 1, 4, 8][random.below(4)];
        for byte in bytes.iter_mut().skip(at).take(len) {
            *byte = if random.below(2) == 0 { fill } else { *byte ^ 1 << random.below(8) };
        }
    }
}

/// Looks at all of the disk that can be looked at in reasonable time.
fn read_some(image: &dyn Image) {
    let mut buf = vec![0; 4096];
    let step = (image.len() / 200).max(4096);
    for n in 0..200_u64 {
        let _ = image.read_at(n.saturating_mul(step), &mut buf);
    }
    let _ = image.read_at(image.len().saturating_sub(512), &mut buf[..512]);
    let mut at = 0;
    for _ in 0..500 {
        match image.run_at(at) {
            Ok(run) if at + run.len < image.len() => {
                assert!(run.len > 0);
                at += run.len;
            }
            _ => break,
        }
    }
}

fn drive(name: &str, seed: u64, tables: &[std::ops::Range<usize>], repair: fn(&mut [u8])) {
    let fixtures = Fixtures::of(&[&[name], below(name)].concat());
    let original = fixtures.bytes(name);
    let places = places(&original, tables);
    let mut random = Random(seed);
    let mut opened = 0;
    for case in 0..CASES {
        let mut bytes = original.clone();
        mutate(&mut bytes, &places, &mut random);
        repair(&mut bytes);
        fixtures.put(name, &bytes);
        let start = Instant::now();
        if let Ok(disk) = fixtures.open(name) {
            opened += 1;
            read_some(&*disk.image);
        }
        assert!(start.elapsed() < LIMIT, "{name}: case {case} took {:?}", start.elapsed());
    }
    assert!(opened > CASES / 20, "{name}: only {opened} were damaged behind the door");
}

/// The files that an image stands on.
fn below(name: &str) -> &'static [&'static str] {
    match name {
        "top.qcow2" => &["middle.qcow2", "v3.qcow2"],
        "data.qcow2" => &["data.bin"],
        "child.vhd" => &["dynamic.vhd"],
        "child.vhdx" => &["dynamic.vhdx"],
        "delta.vmdk" => &["sparse.vmdk"],
        "pieces.vmdk" => &["pieces-1.vmdk", "pieces-2.vmdk"],
        "parts.E01" => &["parts.E02", "parts.E03", "parts.E04", "parts.E05", "parts.E06", "parts.E07"],
        _ => &[],
    }
}

fn as_is(_: &mut [u8]) {}

const ALL: std::ops::Range<usize> = 0..usize::MAX;

#[test]
fn qcow2() {
    drive("v3.qcow2", 1, &[0..0x200, 0x1_0000..0x5_0000], as_is);
    drive("snaps.qcow2", 2, &[0..0x200, 0xc_0000..0x14_0000], as_is);
}

#[test]
fn qcow2_compressed() {
    drive("zlib.qcow2", 3, &[ALL], as_is);
    drive("zstd.qcow2", 4, &[ALL], as_is);
}

#[test]
fn qcow2_extended_and_chained() {
    drive("extended.qcow2", 5, &[0..0x200, 0x1_0000..0x5_0000], as_is);
    drive("top.qcow2", 6, &[ALL], as_is);
    drive("data.qcow2", 7, &[ALL], as_is);
}

#[test]
fn vhd() {
    drive("dynamic.vhd", 8, &[0..0x1000], vhd_checksums);
    drive("child.vhd", 9, &[0..0x1400], vhd_checksums);
    drive("fixed.vhd", 10, &[6 << 20..usize::MAX], vhd_checksums);
}

#[test]
fn vhdx() {
    let tables = [0x1_0000..0x1_1000, 0x2_0000..0x2_1000, 0x3_0000..0x3_1000, 0x10_0000..0x40_0000];
    drive("dynamic.vhdx", 11, &tables, vhdx_checksums);
    drive("dirty.vhdx", 12, &tables, vhdx_checksums);
    drive("child.vhdx", 13, &tables, vhdx_checksums);
}

#[test]
fn vmdk_sparse() {
    drive("sparse.vmdk", 14, &[0..0x800, 0x2000..0x1_0000], as_is);
    drive("stream.vmdk", 15, &[ALL], as_is);
    drive("delta.vmdk", 16, &[0..0x800, 0x2000..0x1_0000], as_is);
}

#[test]
fn vmdk_of_esxi_and_descriptors() {
    drive("cowd-delta.vmdk", 17, &[0..0x5000], as_is);
    drive("se-sesparse.vmdk", 18, &[0..0x1_0000], as_is);
    drive("pieces.vmdk", 19, &[ALL], as_is);
}

#[test]
fn ewf() {
    drive("best.E01", 20, &[ALL], ewf_checksums);
    drive("none.E01", 21, &[0..0x1000, 6 << 20..usize::MAX], ewf_checksums);
    drive("parts.E01", 22, &[0..0x1000, 0xf_0000..usize::MAX], ewf_checksums);
}

#[test]
fn ova() {
    drive("machine.ova", 23, &[ALL], as_is);
}

/// "Hard Disk Footer Format", "Dynamic Disk Header Format": the one's complement of the sum of all other bytes.
fn vhd_checksums(bytes: &mut [u8]) {
    let end = bytes.len().saturating_sub(512);
    for (at, len, field) in [(0, 512, 64), (512, 1024, 36), (end, 512, 64)] {
        let Some(structure) = bytes.get_mut(at..at + len) else { continue };
        structure[field..field + 4].fill(0);
        let sum = !structure.iter().fold(0_u32, |sum, b| sum.wrapping_add((*b).into()));
        structure[field..field + 4].copy_from_slice(&sum.to_be_bytes());
    }
}

/// [MS-VHDX] 2.2.2, 2.2.3, 2.3.1.1: CRC-32C over the structure with zeros in its place.
fn vhdx_checksums(bytes: &mut [u8]) {
    let mut structures = vec![(0x1_0000, 4096), (0x2_0000, 4096), (0x3_0000, 0x1_0000), (0x4_0000, 0x1_0000)];
    for at in (0x10_0000..0x20_0000).step_by(4096) {
        if bytes.get(at..at + 4) == Some(b"loge") {
            let length = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
            structures.push((at, length.min(0x1_0000)));
        }
    }
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    let table: Vec<u32> = (0..256).map(|byte| (0..8).fold(byte, step)).collect();
    for (at, len) in structures {
        let Some(structure) = bytes.get_mut(at..at + len).filter(|s| s.len() > 8) else { continue };
        structure[4..8].fill(0);
        let crc = !structure.iter().fold(u32::MAX, |crc, byte| crc >> 8 ^ table[usize::from(crc as u8 ^ byte)]);
        structure[4..8].copy_from_slice(&crc.to_le_bytes());
    }
}

/// "Section descriptor": Adler-32 of the 72 bytes before it.
fn ewf_checksums(bytes: &mut [u8]) {
    let mut at = 13;
    for _ in 0..1000 {
        let Some(descriptor) = bytes.get_mut(at..at + 76) else { return };
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in &descriptor[..72] {
            a = (a + u32::from(*byte)) % 65521;
            b = (b + a) % 65521;
        }
        descriptor[72..76].copy_from_slice(&(b << 16 | a).to_le_bytes());
        let next = u64::from_le_bytes(descriptor[16..24].try_into().unwrap()) as usize;
        if next <= at {
            return;
        }
        at = next;
    }
}
