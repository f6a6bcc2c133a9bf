//! The superblock of format 0.90: 4 KiB, 64 KiB before the end rounded down to 64 KiB.
//!
//! `md_p.h`, `mdp_superblock_s`: 32-bit words in the byte order of the machine, here by their numbers. 0 magic, 1 to 2
//! version, 5 and 13 to 15 the array's id, 7 level, 8 size in KiB, 10 members, 11 minor number, 38 checksum, 39 and 40
//! events (the low word first on a little-endian machine), 44 and 45 where a reshape has come, 65 bytes in a chunk;
//! from 128 on 27 descriptors of 32 words (3 number in the array, 4 state), and behind them that of this member.

use super::{
    LAYER,
    superblock::{Role, Superblock},
};
use crate::{
    error::{Error, Result},
    field::{be32, le32, narrow},
    image::Image,
};

const SIZE: usize = 4096;
const ALIGN: u64 = 65536;
const MAGIC: u32 = 0xa92b_4efc;
const DESCRIPTORS: usize = 27;
const FAULTY: u32 = 1;
const IN_SYNC: u32 = 1 << 2;

pub(super) fn read(image: &dyn Image) -> Result<Option<Superblock>> {
    let at = image
        .len()
        .checked_div(ALIGN)
        .and_then(|blocks| blocks.checked_sub(1))
        .map(|block| block.saturating_mul(ALIGN));
    let Some(at) = at else { return Ok(None) };
    let mut block = [0; SIZE];
    image.read_at(at, &mut block)?;
    let little = le32(&block, 0) == Some(MAGIC);
    if !little && be32(&block, 0) != Some(MAGIC) {
        return Ok(None);
    }
    let field = if little { le32 } else { be32 };
    let word = |number: usize| number.checked_mul(4).and_then(|at| field(&block, at)).unwrap_or_default();
    if word(1) != 0 {
        return Ok(None);
    }
    // The sum of all words, the checksum's own taken as zero; the upper half is added to the lower.
    let sum: u64 = (0..SIZE / 4).filter(|&number| number != 38).map(|number| u64::from(word(number))).sum();
    let folded = (sum & 0xffff_ffff).saturating_add(sum >> 32) & 0xffff_ffff;
    if u64::from(word(38)) != folded {
        let what = format!("checksum {folded:#010x}, expected {:#010x}", word(38));
        return Err(Error::corrupt(LAYER, format!("superblock 0.90 at {at:#x}"), what));
    }
    let (high, low) = if little { (word(40), word(39)) } else { (word(39), word(40)) };
    let role = |number: usize| {
        let first = number.saturating_mul(32).saturating_add(128);
        let (place, state) = (word(first.saturating_add(3)), word(first.saturating_add(4)));
        match u16::try_from(place) {
            Ok(place) if state & IN_SYNC != 0 && state & FAULTY == 0 => Role::Active(place),
            _ => Role::Idle,
        }
    };
    let [a, b, c, d] = [5, 13, 14, 15].map(|number| u128::from(word(number)));
    Ok(Some(Superblock {
        array: (a << 96 | b << 64 | c << 32 | d).to_be_bytes(),
        at,
        version: "0.90",
        name: String::new(),
        minor: Some(word(11)),
        // Level numbers of arrays without redundancy are negative.
        level: i32::from_ne_bytes(word(7).to_ne_bytes()),
        members: word(10),
        size: u64::from(word(8)).saturating_mul(1024),
        data_offset: 0,
        data_size: at,
        chunk: u64::from(word(65)),
        events: u64::from(high) << 32 | u64::from(low),
        number: narrow(word(992)),
        roles: (0..DESCRIPTORS).map(role).collect(),
        unsound: None,
        reshaping: word(2) > 90,
    }))
}
