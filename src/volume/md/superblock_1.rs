//! The superblock of format 1: near the end (1.0), at the beginning (1.1), at 4 KiB (1.2).
//!
//! `md_p.h`, `struct mdp_superblock_1`, little-endian: magic at 0, version at 4, features at 8, the array's id at 16,
//! its name at 32, level at 72, sectors that each member gives at 80, sectors in a chunk at 88, members at 92, sector
//! of the data at 128 and their number at 136, sector of the superblock at 144, number of this member at 160, list of
//! bad blocks at 185 to 191 (shift, sectors, offset in sectors), events at 200, checksum at 216, number of roles at
//! 220, roles of 16 bit from 256 on.

use super::{
    LAYER,
    superblock::{Role, Superblock},
};
use crate::{
    error::{Error, Result},
    field::{array, le16, le32, le64, narrow},
    image::Image,
};

const MAGIC: u32 = 0xa92b_4efc;
const SECTOR: u64 = 512;
/// The room of a superblock with its roles.
const SIZE: usize = 4096;
/// Roles that fit behind the superblock.
const MAX_ROLES: u32 = 1920;
/// Roles above these are no members' (`MD_DISK_ROLE_MAX`).
const MAX_ROLE: u16 = 0xff00;

const RECOVERY_OFFSET: u32 = 1 << 1;
const RESHAPE_ACTIVE: u32 = 1 << 2;
const BAD_BLOCKS: u32 = 1 << 3;
const REPLACEMENT: u32 = 1 << 4;

/// More of a list of bad blocks is not read.
const MAX_BAD_SECTORS: u16 = 128;

pub(super) fn read(image: &dyn Image) -> Result<Option<Superblock>> {
    let at_end = image.len().checked_sub(8192).map(|at| at & !4095);
    let places = [("1.1", Some(0)), ("1.2", Some(4096)), ("1.0", at_end)];
    let mut wrong = None;
    for (version, at) in places {
        let Some(at) = at.filter(|at| at.saturating_add(4096) <= image.len()) else { continue };
        let mut block = [0; SIZE];
        image.read_at(at, &mut block)?;
        if le32(&block, 0) != Some(MAGIC) || le32(&block, 4) != Some(1) || le64(&block, 144) != Some(at / SECTOR) {
            continue;
        }
        match parse(image, version, at, &block) {
            Ok(superblock) => return Ok(Some(superblock)),
            Err(what) => {
                wrong = Some(Error::corrupt(LAYER, format!("superblock {version} at {at:#x}"), what));
            }
        }
    }
    wrong.map_or(Ok(None), Err)
}

fn parse(image: &dyn Image, version: &'static str, at: u64, block: &[u8]) -> Result<Superblock, String> {
    let word = |at| le32(block, at).unwrap_or_default();
    let sectors = |at| le64(block, at).and_then(|sectors| sectors.checked_mul(SECTOR));
    let (roles, features) = (word(220), word(8));
    if roles > MAX_ROLES {
        return Err(format!("{roles} roles, expected at most {MAX_ROLES}"));
    }
    let roles = usize::try_from(roles).unwrap_or_default();
    let len = roles.saturating_mul(2).saturating_add(256);
    let (stored, found) = (word(216), checksum(block.get(..len).unwrap_or_default()));
    if stored != found {
        return Err(format!("checksum {found:#010x}, expected {stored:#010x}"));
    }
    let role = |role: &[u8; 2]| match u16::from_le_bytes(*role) {
        role if role < MAX_ROLE => Role::Active(role),
        _ => Role::Idle,
    };
    let unsound = if features & RECOVERY_OFFSET != 0 {
        Some("it is not wholly rebuilt")
    } else if features & REPLACEMENT != 0 {
        Some("it is a replacement that was not finished")
    } else if features & BAD_BLOCKS != 0 && has_bad_blocks(image, at, block) {
        Some("it has bad blocks")
    } else {
        None
    };
    let name = block.get(32..64).unwrap_or_default().split(|&byte| byte == 0).next().unwrap_or_default();
    let too_large = || "a size of more than 16 EiB".to_owned();
    Ok(Superblock {
        array: array(block, 16).unwrap_or_default(),
        at,
        version,
        name: String::from_utf8_lossy(name).into_owned(),
        minor: None,
        level: word(72).cast_signed(),
        members: word(92),
        size: sectors(80).ok_or_else(too_large)?,
        data_offset: sectors(128).ok_or_else(too_large)?,
        data_size: sectors(136).ok_or_else(too_large)?,
        chunk: u64::from(word(88)).saturating_mul(SECTOR),
        events: le64(block, 200).unwrap_or_default(),
        number: narrow(word(160)),
        roles: block.get(256..len).unwrap_or_default().as_chunks().0.iter().map(role).collect(),
        unsound,
        reshaping: features & RESHAPE_ACTIVE != 0,
    })
}

/// The sum of all words, the checksum's own taken as zero; the upper half is added to the lower.
fn checksum(bytes: &[u8]) -> u32 {
    const OWN: usize = 216 / 4;
    let (words, rest) = bytes.as_chunks();
    let words = words.iter().enumerate().filter(|(number, _)| *number != OWN);
    let sum = words.fold(0_u64, |sum, (_, word)| sum.saturating_add(u64::from(u32::from_le_bytes(*word))));
    let sum = sum.saturating_add(le16(rest, 0).map_or(0, u64::from));
    let folded = (sum & 0xffff_ffff).saturating_add(sum >> 32);
    u32::try_from(folded & 0xffff_ffff).unwrap_or_default()
}

/// Whether the list has an entry: 64 bit each, all ones behind the last. One that cannot be read counts as one.
fn has_bad_blocks(image: &dyn Image, at: u64, block: &[u8]) -> bool {
    let sectors = le16(block, 186).unwrap_or_default().min(MAX_BAD_SECTORS);
    let offset = i64::from(le32(block, 188).unwrap_or_default().cast_signed());
    let offset = offset.checked_mul(512).and_then(|offset| at.checked_add_signed(offset));
    let mut list = vec![0; usize::from(sectors).saturating_mul(512)];
    let Some(offset) = offset else { return true };
    if list.is_empty() || offset == at {
        return false;
    }
    image.read_at(offset, &mut list).is_err() || le64(&list, 0).is_some_and(|first| first != u64::MAX && first != 0)
}
