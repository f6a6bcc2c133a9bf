//! Damaged at random, always in the same way: every case ends in a result, a gap or an error.

use crate::{
    Found, image,
    lvm_text::{text, with_text},
    support::{Patched, Random},
};

/// Goes over every volume that was assembled: its runs, and some of its bytes.
fn look(found: &Found, random: &mut Random) {
    for volume in found.assembled().filter(|volume| !volume.closed) {
        let image = volume.image.as_ref();
        let mut at = 0;
        for _ in 0..200 {
            let Ok(run) = image.run_at(at) else { break };
            assert!(run.len > 0);
            at = at.saturating_add(run.len);
        }
        for _ in 0..6 {
            let at = random.below(image.len());
            let mut bytes = vec![0; (image.len() - at).min(70_000) as usize];
            let _ = image.read_at(at, &mut bytes);
        }
        assert!(image.read_at(image.len(), &mut [0]).is_err());
    }
}

/// A few bytes of `region` changed.
fn damaged(mut image: Patched, region: std::ops::Range<u64>, random: &mut Random) -> Patched {
    for _ in 0..=random.below(4) {
        let at = region.start + random.below(region.end - region.start - 8);
        let old = image.get(at, 1)[0];
        let choices: [&[u8]; 5] = [
            &[old ^ (1 << random.below(8))],
            &[0; 4],
            &[0xff; 8],
            &random.next().to_le_bytes(),
            &[1, 0, 0, 0, 0, 0, 0],
        ];
        image = image.put(at, choices[random.below(5) as usize]);
    }
    image
}

#[test]
fn labels_and_metadata_headers() {
    let (sound, mut random) = (image("odd0"), Random(1));
    for _ in 0..300 {
        let disk = damaged(
            sound.clone(),
            [512..700, 4096..4096 + 80, 4608..12_000][random.below(3) as usize].clone(),
            &mut random,
        );
        let disk = if random.below(5) == 0 { disk.cut(1 + random.below(2 << 20)) } else { disk };
        look(&Found::on([disk]), &mut random);
    }
}

#[test]
fn metadata_text() {
    let (sound, second, mut random) = (image("odd0"), image("odd1"), Random(2));
    let original = text(&sound);
    let words: Vec<Vec<u8>> =
        original.split(|&byte| matches!(byte, b' ' | b'\n' | b'\t' | b',')).map(<[u8]>::to_vec).collect();
    for _ in 0..500 {
        let mut text = original.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len() as u64) as usize;
            let len = random.below(12) as usize;
            let end = (at + len).min(text.len());
            let replacement: Vec<u8> = match random.below(5) {
                0 => Vec::new(),
                1 => words[random.below(words.len() as u64) as usize].clone(),
                2 => b"9223372036854775807".to_vec(),
                3 => b"{".to_vec(),
                _ => vec![random.next() as u8],
            };
            text.splice(at..end, replacement);
        }
        look(&Found::on([with_text(sound.clone(), &text, 512), second.clone()]), &mut random);
    }
}

/// The numbers of the text, each replaced: what a parser accepts and a mapper stumbles over.
#[test]
fn numbers_in_the_text() {
    let (sound, second, mut random) = (image("thin"), image("odd1"), Random(3));
    let original = String::from_utf8(text(&sound)).unwrap();
    let starts: Vec<usize> = original.match_indices(" = ").map(|(at, _)| at + 3).collect();
    for &at in starts.iter().filter(|&&at| original.as_bytes()[at].is_ascii_digit()) {
        let (before, behind) = original.split_at(at);
        let rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        for number in ["0", "1", "7", "4294967295", "36028797018963967", "9223372036854775807"] {
            if random.below(3) == 0 {
                let disk = with_text(sound.clone(), format!("{before}{number}{rest}").as_bytes(), 512);
                look(&Found::on([disk, second.clone()]), &mut random);
            }
        }
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

#[test]
fn thin_metadata() {
    const TMETA: u64 = (1 << 20) + 5 * 65536;
    let (sound, mut random) = (image("thin"), Random(4));
    let kind = |block: u64| if block == 0 { 160_774 } else { 121_107 };
    // Blocks that are nodes: those whose checksum is that of one.
    let blocks: Vec<u64> = (0..512)
        .filter(|&block| {
            let bytes = sound.get(TMETA + block * 4096, 4096);
            u32::from_le_bytes(bytes[..4].try_into().unwrap()) == crc32c(&bytes[4..]) ^ kind(block)
        })
        .collect();
    assert!(blocks.len() > 8, "{blocks:?}");
    for case in 0..300 {
        let block = blocks[random.below(blocks.len() as u64) as usize];
        let at = TMETA + block * 4096;
        let used = if block == 0 { 380 } else { 4096 };
        let mut disk = damaged(sound.clone(), at + 4..at + used, &mut random);
        if case % 4 != 0 {
            let checksum = crc32c(&disk.get(at + 4, 4092)) ^ kind(block);
            disk = disk.put(at, &checksum.to_le_bytes());
        }
        look(&Found::on([disk]), &mut random);
    }
}

#[test]
fn md_superblocks() {
    let mut random = Random(5);
    for (names, at) in [
        (["md-mirror12-0", "md-mirror12-1"], 4096),
        (["md-mirror10-0", "md-mirror10-1"], (1 << 20) - 8192),
        (["md-linear-0", "md-linear-1"], 0),
        (["md-mirror090-0", "md-mirror090-1"], (1 << 20) - 65536),
    ] {
        let sound = names.map(image);
        let ninety = names[0].contains("090");
        for case in 0..100 {
            let used = if ninety { 1100 } else { 260 };
            let mut disk = damaged(sound[0].clone(), at..at + used, &mut random);
            if case % 4 != 0 {
                let (own, len) = if ninety { (152, 4096) } else { (216, 260) };
                let bytes = disk.clone().put(at + own, &[0; 4]).get(at, len);
                let sum: u64 =
                    bytes.chunks(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap()))).sum();
                disk = disk.put(at + own, &(((sum & 0xffff_ffff) + (sum >> 32)) as u32).to_le_bytes());
            }
            look(&Found::on([disk, sound[1].clone()]), &mut random);
        }
    }
}
