//! Attributes in the inode. See "Short Form Attributes" in *XFS Algorithms & Data Structures*: total size and count,
//! then length of name and value, flags, name and value of each.

use super::{
    attr_leaf::{Entry, Value},
    bytes::{be16, u8_at},
};

const HEADER: usize = 4;
const ENTRY: usize = 3;

/// The entries of a list.
pub(super) struct ShortForm<'a> {
    rest: &'a [u8],
    left: u8,
}

impl<'a> ShortForm<'a> {
    /// `bytes` are the attribute fork.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let total = usize::from(be16(bytes, 0));
        let list = bytes.get(HEADER..total);
        let rest = list.ok_or_else(|| format!("attributes of {total} bytes in {}", bytes.len()))?;
        Ok(Self { rest, left: u8_at(bytes, 2) })
    }

    fn entry(&mut self) -> Option<Entry<'a>> {
        let (head, rest) = self.rest.split_at_checked(ENTRY)?;
        let (name, rest) = rest.split_at_checked(usize::from(u8_at(head, 0)))?;
        let (value, rest) = rest.split_at_checked(usize::from(u8_at(head, 1)))?;
        self.rest = rest;
        Some(Entry { flags: u8_at(head, 2), name, value: Value::Here(value) })
    }
}

impl<'a> Iterator for ShortForm<'a> {
    type Item = Result<Entry<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.left.checked_sub(1)?;
        self.left = left;
        let entry = self.entry();
        if entry.is_none() {
            self.left = 0;
        }
        Some(entry.ok_or_else(|| format!("the attribute with {left} behind it leaves the list")))
    }
}
