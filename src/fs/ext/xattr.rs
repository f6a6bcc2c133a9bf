//! Extended attributes: a list of entries in the inode behind its fields, another in a block of its own; values stand
//! beside the entries or in inodes of their own. See "Extended Attributes" in the kernel's ext4 documentation.

use super::{
    LAYER,
    bytes::{le16, le32, u8_at},
    inode::Inode,
};
use crate::error::{Error, Result};

pub(super) const MAGIC: u32 = 0xEA02_0000;
const ENTRY: usize = 16;
const INDEX_SYSTEM: u8 = 7;

/// One entry of a list.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) index: u8,
    pub(super) name: &'a [u8],
    /// The inode that holds the value, or zero.
    pub(super) value_inode: u32,
    pub(super) value_len: u32,
    value_at: u16,
}

impl Entry<'_> {
    /// Where inline data goes on.
    pub(super) fn is_inline_data(&self) -> bool {
        self.index == INDEX_SYSTEM && self.name == b"data"
    }

    /// The value, when it stands beside the entries; `base` is what offsets count from.
    pub(super) fn value<'b>(&self, base: &'b [u8]) -> Result<&'b [u8], String> {
        let start = usize::from(self.value_at);
        usize::try_from(self.value_len).ok().and_then(|len| base.get(start..start.checked_add(len)?)).ok_or_else(|| {
            format!("value of {} bytes at {start:#x} leaves the {} bytes of the list", self.value_len, base.len())
        })
    }

    /// The full name, for what has one.
    pub(super) fn full_name(&self) -> Option<Vec<u8>> {
        let prefix: &[u8] = match self.index {
            1 => b"user.",
            2 => b"system.posix_acl_access",
            3 => b"system.posix_acl_default",
            4 => b"trusted.",
            6 => b"security.",
            INDEX_SYSTEM => b"system.",
            8 => b"system.richacl",
            10 => b"gnu.",
            _ => return None,
        };
        Some([prefix, self.name].concat())
    }

    pub(super) fn is_acl(&self) -> bool {
        matches!(self.index, 2 | 3)
    }
}

/// The entries of a list, up to its end mark or the first that cannot be decoded.
pub(super) struct Entries<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(list: &'a [u8]) -> Self {
        Self { rest: Some(list) }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        if rest.len() >= 4 && le32(rest, 0) == 0 {
            return None;
        }
        let name_len = usize::from(u8_at(rest, 0));
        let name_end = ENTRY.saturating_add(name_len);
        let Some(name) = rest.get(ENTRY..name_end) else {
            return Some(Err(format!("an entry with a name of {name_len} bytes where {} are left", rest.len())));
        };
        self.rest = Some(rest.get(name_end.next_multiple_of(4)..).unwrap_or_default());
        Some(Ok(Entry {
            index: u8_at(rest, 1),
            name,
            value_inode: le32(rest, 4),
            value_len: le32(rest, 8),
            value_at: le16(rest, 2),
        }))
    }
}

/// The list inside an inode, when it has one.
pub(super) fn list_in_inode<'a>(inode: &Inode, raw: &'a [u8]) -> Option<&'a [u8]> {
    let area = raw.get(inode.attributes_at?..)?;
    if le32(area, 0) == MAGIC { area.get(4..) } else { None }
}

/// The value of `system.data`, when the inode has it.
pub(super) fn inline_value<'a>(inode: &Inode, raw: &'a [u8]) -> Result<Option<&'a [u8]>> {
    let bad = |what: String| Error::corrupt(LAYER, format!("{}, attributes in the inode", inode.at()), what);
    let Some(list) = list_in_inode(inode, raw) else { return Ok(None) };
    for entry in Entries::new(list) {
        let entry = entry.map_err(bad)?;
        if entry.is_inline_data() {
            return entry.value(list).map(Some).map_err(bad);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_an_end_is_one_error() {
        let mut list = [0; 20];
        (list[0], list[1], list[16]) = (1, 1, b'a');
        let entries: Vec<_> = Entries::new(&list).collect();
        assert!(matches!(&entries[..], [Ok(Entry { name: b"a", .. }), Err(_)]));
        assert_eq!(Entries::new(&[0xFF; 15]).count(), 1);
        assert_eq!(Entries::new(&[0; 4]).count(), 0);
    }
}
