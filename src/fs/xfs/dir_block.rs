//! A block of directory entries, alone (block form) or one of many (leaf and node form).
//! See "Block Directories" and "Leaf Directories" in *XFS Algorithms & Data Structures*.

use super::{
    bytes::{be16, be32, be64, capped, u8_at},
    dir_shortform::Entry,
    verify::Layout,
};

const BLOCK_V4: u32 = 0x5844_3242;
const DATA_V4: u32 = 0x5844_3244;
const BLOCK_V5: u32 = 0x5844_4233;
const DATA_V5: u32 = 0x5844_4433;
const HEADER_V4: usize = 16;
const HEADER_V5: usize = 64;
pub(super) const LAYOUT: Layout = Layout { crc: 4, place: 8, uuid: 24, owner: 40 };
/// Block form ends in a count of hash entries of 8 bytes, which stand before it, and a count of stale ones.
const TAIL: usize = 8;
const HASH_ENTRY: u64 = 8;
const FREE_TAG: u16 = 0xFFFF;
const ALIGN: usize = 8;

/// The entries of one block, in order, `.` and `..` among them.
pub(super) struct Entries<'a> {
    block: &'a [u8],
    at: usize,
    end: usize,
    ftype: bool,
}

impl<'a> Entries<'a> {
    /// Checks the magic number.
    pub(super) fn new(block: &'a [u8], v5: bool, ftype: bool) -> Result<Self, String> {
        let magic = be32(block, 0);
        let (alone, many, at) = if v5 { (BLOCK_V5, DATA_V5, HEADER_V5) } else { (BLOCK_V4, DATA_V4, HEADER_V4) };
        let end = if magic == alone {
            let tail = block.len().saturating_sub(TAIL);
            let hashes = u64::from(be32(block, tail)).saturating_mul(HASH_ENTRY);
            match tail.checked_sub(capped(hashes, usize::MAX)).filter(|end| *end >= at) {
                Some(end) => end,
                None => return Err(format!("{hashes} bytes of hashes in a block of {}", block.len())),
            }
        } else if magic == many {
            block.len()
        } else {
            return Err(format!("magic {magic:#010x} instead of {alone:#010x} or {many:#010x}"));
        };
        Ok(Self { block, at, end, ftype })
    }

    /// The next entry, or nothing for free space; and its length.
    fn step(&self) -> Result<(Option<Entry<'a>>, usize), String> {
        let at = self.at;
        let bad = |what: String| Err(format!("offset {at:#x}: {what}"));
        let rest = self.block.get(at..self.end).unwrap_or_default();
        if be16(rest, 0) == FREE_TAG {
            let len = usize::from(be16(rest, 2));
            let tag = be16(rest, len.saturating_sub(2));
            if len == 0 || len % ALIGN != 0 || len > rest.len() || usize::from(tag) != at {
                return bad(format!("free space of {len} bytes that ends in {tag:#x}, {} are left", rest.len()));
            }
            return Ok((None, len));
        }
        let name_len = usize::from(u8_at(rest, 8));
        let ftype_len = usize::from(self.ftype);
        // Number, length, name, type, tag.
        let len = 11_usize.saturating_add(name_len).saturating_add(ftype_len).next_multiple_of(ALIGN);
        let (Some(entry), Some(name)) = (rest.get(..len), rest.get(9..name_len.saturating_add(9))) else {
            return bad(format!("an entry of {len} bytes, {} are left", rest.len()));
        };
        let tag = be16(entry, len.saturating_sub(2));
        if usize::from(tag) != at || name_len == 0 {
            return bad(format!("an entry of {len} bytes ends in {tag:#x} instead of its offset"));
        }
        let ftype = self.ftype.then(|| u8_at(entry, name_len.saturating_add(9)));
        Ok((Some(Entry { name, inode: be64(entry, 0), ftype }), len))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut broken = None;
        while self.at < self.end {
            match self.step() {
                Ok(_) if broken.is_some() => return broken,
                Ok((entry, len)) => {
                    self.at = self.at.saturating_add(len);
                    if let Some(entry) = entry {
                        return Some(Ok(entry));
                    }
                }
                Err(what) => {
                    // All entries are aligned, and each ends in its own offset: the next good one is found.
                    broken.get_or_insert(Err(what));
                    self.at = self.at.saturating_add(ALIGN);
                }
            }
        }
        broken
    }
}
