//! One block of directory entries; see "Linear (Classic) Directories" and "Hash Tree Directories" in the kernel's
//! ext4 documentation. Index blocks of hash trees look like entries without an inode, so that a linear scan of all
//! blocks finds every name.

use super::{
    bytes::{le16, le32, u8_at},
    checksum::crc32c,
    inode::Inode,
};
use crate::fs::{Kind, unix};

/// Inode number, record length, name length and type.
const HEADER: usize = 8;
/// The shortest record: a header and a name of one to four bytes.
const MIN_RECORD: usize = 12;
/// The fake entry at the end of a block that holds its checksum.
const TAIL: usize = 12;
const TAIL_TYPE: u8 = 0xDE;
/// Bytes in one entry of a hash tree's index, and in the tail behind them.
const INDEX_ENTRY: usize = 8;

/// A used entry.
pub(super) struct Entry<'a> {
    pub(super) inode: u32,
    pub(super) kind: Option<Kind>,
    pub(super) name: &'a [u8],
    /// Offset in the block.
    pub(super) at: usize,
}

/// Where a block stops making sense, and why.
pub(super) struct Damage {
    pub(super) at: usize,
    pub(super) what: String,
}

/// The used entries of a block, or of one part of inline data.
pub(super) struct Entries<'a> {
    bytes: &'a [u8],
    at: usize,
    has_filetype: bool,
}

impl<'a> Entries<'a> {
    pub(super) fn new(bytes: &'a [u8], has_filetype: bool) -> Self {
        Self { bytes, at: 0, has_filetype }
    }

    /// The next record, with its length.
    fn record(&self) -> Result<(Entry<'a>, usize), Damage> {
        let at = self.at;
        let damage = |what: String| Damage { at, what };
        let rest = self.bytes.get(at..).unwrap_or_default();
        if rest.len() < HEADER {
            return Err(damage(format!("{} bytes are left where an entry should begin", rest.len())));
        }
        let len = record_len(le16(rest, 4), self.bytes.len());
        let name_len = usize::from(u8_at(rest, 6));
        let needed = HEADER.saturating_add(name_len).next_multiple_of(4).max(MIN_RECORD);
        if len < needed || !len.is_multiple_of(4) {
            return Err(damage(format!("record length {len} for a name of {name_len} bytes")));
        }
        let left = rest.len().checked_sub(len);
        if left.is_none_or(|left| left > 0 && left < MIN_RECORD) {
            return Err(damage(format!("record length {len} where {} bytes are left", rest.len())));
        }
        let name = rest.get(HEADER..HEADER.saturating_add(name_len)).unwrap_or_default();
        let kind = if self.has_filetype { unix::kind_of_entry(u8_at(rest, 7) & 0xF) } else { None };
        Ok((Entry { inode: le32(rest, 0), kind, name, at }, len))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.bytes.len() {
            match self.record() {
                Ok((entry, len)) => {
                    self.at = self.at.saturating_add(len);
                    if entry.inode != 0 {
                        return Some(Ok(entry));
                    }
                }
                Err(damage) => {
                    self.at = self.bytes.len();
                    return Some(Err(damage));
                }
            }
        }
        None
    }
}

/// A record length; 65536 does not fit into its 16 bits.
fn record_len(stated: u16, block_len: usize) -> usize {
    match stated {
        0 | u16::MAX if block_len == 1 << 16 => block_len,
        _ => usize::from(stated),
    }
}

/// Whether the block's checksum holds: behind the entries, or behind the index of a hash tree. What was a leaf may have
/// become an index and kept its old tail's type, so that only the sums tell the two apart.
pub(super) fn checksum_matches(inode: &Inode, block: &[u8]) -> bool {
    leaf_checksum_matches(inode, block) || index_checksum_matches(inode, block).unwrap_or(false)
}

fn leaf_checksum_matches(inode: &Inode, block: &[u8]) -> bool {
    let (entries, tail) = block.split_at_checked(block.len().saturating_sub(TAIL)).unwrap_or_default();
    le32(tail, 0) == 0
        && le16(tail, 4) == 12
        && u8_at(tail, 6) == 0
        && u8_at(tail, 7) == TAIL_TYPE
        && crc32c(inode.checksum_seed, entries) == le32(tail, 8)
}

fn index_checksum_matches(inode: &Inode, block: &[u8]) -> Option<bool> {
    let first = record_len(le16(block, 4), block.len());
    let second = record_len(le16(block, 16), block.len());
    let table = if first == block.len() {
        HEADER
    } else if first == 12 && second.checked_add(12) == Some(block.len()) {
        // Behind `.`, `..` and the eight bytes that describe the tree.
        32
    } else {
        return None;
    };
    let size = |entries: u16| table.checked_add(usize::from(entries).checked_mul(INDEX_ENTRY)?);
    let (limit, count) = (le16(block, table), le16(block, table.checked_add(2)?));
    let tail_at = size(limit)?;
    let tail = block.get(tail_at..tail_at.checked_add(INDEX_ENTRY)?)?;
    let crc = crc32c(inode.checksum_seed, block.get(..size(count)?)?);
    let crc = crc32c(crc32c(crc, tail.get(..4)?), &[0; 4]);
    Some(crc == le32(tail, 4))
}
