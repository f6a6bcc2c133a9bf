//! Items that hold pieces of a buffer, which is metadata at a place of the volume: a bitmap says which 128 bytes of
//! it follow. See "Buffer Log Item" in *XFS Algorithms & Data Structures*.

use super::{
    super::{
        bytes::{array, be16, be32, be64, capped, le16, le32, le64},
        verify::BASIC_BLOCK,
    },
    overlay::SECTOR,
    replay::Replay,
    transaction::Item,
};
use crate::error::Result;

/// Where the bitmap begins.
const MAP_AT: usize = 20;
/// Its words: one of 64 KiB has sixteen, and one is for alignment (`XFS_BLF_DATAMAP_SIZE`).
const MAX_WORDS: usize = 17;
const CHUNK: usize = 128;
const CHUNKS_A_SECTOR: usize = 4;

const FLAG_INODES: u16 = 0x1;
const FLAG_CANCEL: u16 = 0x2;
const FLAGS_QUOTA: u16 = 0x1C;
/// The kind of content, in the upper bits of the flags, that no listing or reading asks for: quota, free space,
/// inodes of a group, the hashes and free space of directories, realtime bitmaps.
const UNUSED_KINDS: [u16; 11] = [1, 2, 3, 5, 6, 7, 12, 13, 14, 19, 20];

const MAGIC_SYMLINK: &[u8; 4] = b"XSLM";
const MAGICS_EXTENTS: [&[u8; 4]; 2] = [b"BMA3", b"BMAP"];
/// Blocks of trees of free space, inodes, owners and shares.
const MAGICS_SHORT: [&[u8; 4]; 10] =
    [b"AB3B", b"AB3C", b"ABTB", b"ABTC", b"IAB3", b"IABT", b"FIB3", b"FIBT", b"RMB3", b"R3FC"];
/// Data of directories: one block, several, their free space.
const MAGICS_DIRECTORY: [&[u8; 4]; 3] = [b"XDB3", b"XDD3", b"XDF3"];
const MAGIC_SUPERBLOCK: &[u8; 4] = b"XFSB";
/// Leaves and nodes of directories and attributes, in their ninth and tenth byte.
const MAGICS_HASHED: [u16; 4] = [0x3DF1, 0x3DFF, 0x3BEE, 0x3EBE];

/// What describes a buffer.
pub(super) struct Buffer<'a> {
    flags: u16,
    /// First sector and number of sectors.
    pub(super) place: (u64, u64),
    map: &'a [u8],
}

impl<'a> Buffer<'a> {
    pub(super) fn parse(format: &'a [u8]) -> Result<Self, String> {
        let words = capped(u64::from(le32(format, 16)), usize::MAX);
        let end = words.saturating_mul(4).saturating_add(MAP_AT);
        let place = (le64(format, 8), u64::from(le16(format, 6)));
        let map = format.get(MAP_AT..end).filter(|_| words <= MAX_WORDS);
        let map = map.ok_or_else(|| format!("a buffer's map of {words} words in {} bytes", format.len()))?;
        if place.1 == 0 || i64::try_from(place.0).is_err() {
            return Err(format!("a buffer of {} sectors at sector {:#x}", place.1, place.0));
        }
        Ok(Self { flags: le16(format, 4), place, map })
    }

    pub(super) fn is_cancel(&self) -> bool {
        self.flags & FLAG_CANCEL != 0
    }

    /// Inodes, of which only the list of those without names is meant: their content is in items of their own.
    pub(super) fn is_inodes(&self) -> bool {
        self.flags & FLAG_INODES != 0
    }

    fn is_unused(&self) -> bool {
        self.is_inodes() || self.flags & FLAGS_QUOTA != 0 || UNUSED_KINDS.contains(&self.flags.wrapping_shr(11))
    }

    fn has_chunk(&self, chunk: usize) -> bool {
        let word = le32(self.map, chunk.wrapping_shr(5).saturating_mul(4));
        word.wrapping_shr(u32::try_from(chunk & 31).unwrap_or(0)) & 1 != 0
    }

    /// The chunks that follow: each with its content.
    fn chunks<'i>(&self, item: &'i Item<'_>) -> Result<Vec<(usize, &'i [u8])>, String> {
        let mut chunks = Vec::new();
        let (mut region, mut rest) = (0, [].as_slice());
        for chunk in (0..self.map.len().saturating_mul(8)).filter(|chunk| self.has_chunk(*chunk)) {
            let follows = chunk.checked_sub(1).is_some_and(|before| self.has_chunk(before));
            if rest.is_empty() {
                region = usize::saturating_add(region, 1);
                rest = item.region(region);
            } else if !follows {
                return Err(format!("region {region} of a buffer is longer than its map says"));
            }
            let Some((content, behind)) = rest.split_at_checked(CHUNK) else {
                return Err(format!("region {region} of a buffer lacks chunk {chunk} of its map"));
            };
            rest = behind;
            chunks.push((chunk, content));
        }
        Ok(chunks)
    }
}

fn is_short(block: &[u8]) -> bool {
    MAGICS_SHORT.contains(&&array(block, 0))
}

/// Replays a buffer where it is older than the transaction `lsn`.
pub(super) fn replay(replay: &mut Replay<'_>, buffer: &Buffer<'_>, item: &Item<'_>, lsn: u64) -> Result<(), String> {
    if buffer.is_unused() {
        return Ok(());
    }
    let (sector, sectors) = buffer.place;
    let mut first = [0; SECTOR];
    replay.read(sector.saturating_mul(BASIC_BLOCK), &mut first)?;
    let superblock = &replay.superblock;
    if let Some(newest) = newest(&first, &superblock.meta_uuid).filter(|_| superblock.features.v5) {
        replay.check_age(newest, sector.saturating_mul(BASIC_BLOCK))?;
        if newest >= lsn {
            return Ok(());
        }
    }
    let mut chunks = buffer.chunks(item)?.into_iter().peekable();
    if chunks.peek().is_some_and(|(chunk, _)| *chunk > 0) && is_short(&first) {
        return Ok(());
    }
    while let Some((number, _)) = chunks.peek() {
        let number = number.checked_div(CHUNKS_A_SECTOR).unwrap_or(0);
        let in_buffer = u64::try_from(number).unwrap_or(u64::MAX);
        if in_buffer >= sectors {
            return Err(format!("a buffer of {sectors} sectors at {sector:#x} has content in sector {number}"));
        }
        let place = sector.saturating_add(in_buffer);
        let mut content = [0; SECTOR];
        replay.read(place.saturating_mul(BASIC_BLOCK), &mut content)?;
        let same = |chunk: &(usize, &[u8])| chunk.0.checked_div(CHUNKS_A_SECTOR) == Some(number);
        while let Some((chunk, bytes)) = chunks.next_if(same) {
            let at = chunk.checked_rem(CHUNKS_A_SECTOR).unwrap_or(0).saturating_mul(CHUNK);
            if let Some(target) = content.get_mut(at..at.saturating_add(CHUNK)) {
                target.copy_from_slice(bytes);
            }
        }
        if in_buffer == 0 && is_short(&content) {
            return Ok(());
        }
        replay.put(place, &content)?;
    }
    Ok(())
}

/// The last transaction that is in a block of version 5, where it can be told; the place depends on the magic number
/// that is on the disk, whatever the log takes the block for (`xlog_recover_get_buf_lsn`).
fn newest(block: &[u8], uuid: &[u8; 16]) -> Option<u64> {
    let magic = &array(block, 0);
    let (lsn, uuid_at) = match magic {
        _ if is_short(block) => (24, 32),
        _ if MAGICS_EXTENTS.contains(&magic) => (32, 40),
        _ if MAGICS_DIRECTORY.contains(&magic) => (16, 24),
        MAGIC_SYMLINK => (48, 16),
        // The first superblock says which UUID metadata has; so it is its own.
        MAGIC_SUPERBLOCK => (240, if be32(block, 216) & 4 != 0 { 248 } else { 32 }),
        _ if MAGICS_HASHED.contains(&be16(block, 8)) => (24, 32),
        _ => return None,
    };
    let newest = be64(block, lsn);
    (array::<16>(block, uuid_at) == *uuid && newest != 0 && newest != u64::MAX).then_some(newest)
}
