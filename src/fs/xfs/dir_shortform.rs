//! A directory in its inode. See "Short Form Directories" in *XFS Algorithms & Data Structures*: number of entries,
//! number of those that need 8 bytes, the parent; then length, place, name, type and inode number of each.

use super::bytes::{be32, be64, u8_at};

/// One entry.
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    pub(super) inode: u64,
    pub(super) ftype: Option<u8>,
}

/// A directory in an inode.
pub(super) struct ShortForm<'a> {
    pub(super) parent: u64,
    rest: &'a [u8],
    left: u8,
    wide: bool,
    ftype: bool,
}

fn number(bytes: &[u8], wide: bool) -> u64 {
    if wide { be64(bytes, 0) } else { u64::from(be32(bytes, 0)) }
}

fn width(wide: bool) -> usize {
    if wide { 8 } else { 4 }
}

impl<'a> ShortForm<'a> {
    /// `bytes` are the data fork, cut to the directory's size.
    pub(super) fn parse(bytes: &'a [u8], ftype: bool) -> Result<Self, String> {
        let wide = u8_at(bytes, 1) > 0;
        let header = width(wide).saturating_add(2);
        let Some((head, rest)) = bytes.split_at_checked(header) else {
            return Err(format!("{} bytes are too short for a directory", bytes.len()));
        };
        let parent = number(head.get(2..).unwrap_or_default(), wide);
        Ok(Self { parent, rest, left: u8_at(bytes, 0), wide, ftype })
    }

    fn entry(&mut self) -> Option<Entry<'a>> {
        let len = usize::from(u8_at(self.rest, 0));
        // Length and the entry's place in a block.
        let (_, rest) = self.rest.split_at_checked(3)?;
        let (name, rest) = rest.split_at_checked(len).filter(|_| len > 0)?;
        let (ftype, rest) = if self.ftype {
            let (first, rest) = rest.split_first()?;
            (Some(*first), rest)
        } else {
            (None, rest)
        };
        let (inode, rest) = rest.split_at_checked(width(self.wide))?;
        self.rest = rest;
        Some(Entry { name, inode: number(inode, self.wide), ftype })
    }
}

impl<'a> Iterator for ShortForm<'a> {
    type Item = Result<Entry<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(left) = self.left.checked_sub(1) else {
            let behind = std::mem::take(&mut self.rest).len();
            return (behind > 0).then(|| Err(format!("{behind} bytes behind the last entry")));
        };
        self.left = left;
        let entry = self.entry();
        if entry.is_none() {
            (self.left, self.rest) = (0, &[]);
        }
        Some(entry.ok_or_else(|| format!("the entry with {left} behind it leaves the directory, or has no name")))
    }
}
