//! Damaged at random, always in the same way: every case ends in a result, a fault or an error.

use std::sync::Arc;

use snapfim::{
    fs::probe,
    image::Image,
    volume::{Disk, discover},
};

use crate::support::{Patched, Random, image, walk};

const CASES: u64 = 1000;

/// A few bytes in one of `regions` changed: flipped, or set to values that decoders trip over; or cut.
pub(crate) fn damaged(image: &Patched, regions: &[std::ops::Range<u64>], random: &mut Random) -> Patched {
    let mut image = image.clone();
    for _ in 0..=random.below(6) {
        let region = &regions[random.below(regions.len() as u64) as usize];
        let at = region.start + random.below(region.end - region.start);
        let old = image.get(at, 1)[0];
        let choices: [&[u8]; 6] = [
            &[old ^ (1 << random.below(8))],
            &[0; 4],
            &[0xff; 4],
            &[0xff; 8],
            &random.next().to_le_bytes(),
            &[0, 0, 0, 0x80],
        ];
        let bytes = choices[random.below(6) as usize];
        let room = (image.len() - at).min(bytes.len() as u64) as usize;
        image = image.put(at, &bytes[..room]);
    }
    if random.below(10) == 0 {
        let len = 1 + random.below(image.len());
        image = image.cut(len);
    }
    image
}

fn read_all(disk: &Disk) {
    for volume in &disk.volumes {
        assert!(!volume.image.is_empty());
        if let Some(filesystem) = probe(&volume.image).filesystem {
            walk(filesystem.as_ref());
        }
    }
}

#[test]
fn tables() {
    for (name, regions) in [
        ("gpt512.raw", vec![0..1024, 1024..3072, (16 << 20) - 512..16 << 20]),
        ("gpt4096.raw", vec![440..512, 4096..4096 + 92, 8192..8704]),
        ("mbr.raw", vec![440..512, 10_240 * 512 + 440..10_241 * 512, 16_384 * 512 + 440..16_385 * 512]),
        ("mbr4096.raw", vec![440..512, 2048 * 4096 + 440..2048 * 4096 + 512]),
    ] {
        let sound = image(name);
        let mut random = Random(1);
        for _ in 0..CASES / 4 {
            let image: Arc<dyn Image> = damaged(&sound, &regions, &mut random).shared();
            if let Ok(disk) = discover(&image) {
                read_all(&disk);
            }
        }
    }
}

#[test]
fn fat() {
    for (name, fat, root, data) in [
        ("fat12.raw", 512..4096, 5120..12_288, 12_288..100_000),
        ("fat16.raw", 2048..8192, 34_000..51_000, 51_000..150_000),
        ("fat32.raw", 16_384..24_000, 500_000..560_000, 560_000..700_000),
    ] {
        let sound = image(name);
        let mut random = Random(2);
        for _ in 0..CASES / 3 {
            let image: Arc<dyn Image> =
                damaged(&sound, &[0..96, fat.clone(), root.clone(), data.clone()], &mut random).shared();
            if let Some(filesystem) = probe(&image).filesystem {
                walk(filesystem.as_ref());
            }
        }
    }
}
