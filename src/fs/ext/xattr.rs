//! Extended attributes: a list of entries in the inode behind its fields, another in a block of its own; values stand
//! beside the entries or in inodes of their own. See "Extended Attributes" in the kernel's ext4 documentation.

use super::{
    LAYER,
    bytes::{le16, le32, u8_at},
    inode::{Inode, OLD_SIZE},
};
use crate::error::{Error, Fault, Result};

pub(super) const MAGIC: u32 = 0xEA02_0000;
const ENTRY: usize = 16;
const INDEX_SYSTEM: u8 = 7;
/// How the content of an inode is encrypted.
pub(super) const INDEX_ENCRYPTION: u8 = 9;

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

/// Attributes inside an inode that nothing leads to: their magic number, or where they begin, is damaged. To the kernel
/// there are none then. Whoever removes the last attribute, or makes an inode, leaves zeros.
pub(super) fn strayed(inode: &Inode, raw: &[u8]) -> Option<Fault> {
    let behind = usize::from(OLD_SIZE);
    let extra = raw.get(behind..).filter(|extra| extra.iter().any(|byte| *byte != 0))?;
    if list_in_inode(inode, raw).is_some() {
        return None;
    }
    let (at, magic) = (behind..).zip(extra.windows(4)).step_by(4).skip(1).map(|(at, word)| (at, le32(word, 0))).find(
        |(at, magic)| {
            let list = raw.get(at.saturating_add(4)..).unwrap_or_default();
            (*magic == MAGIC || inode.attributes_at == Some(*at)) && is_list(list)
        },
    )?;
    let what = if magic == MAGIC {
        format!("they stand at {at:#x}, and the extra size of the inode does not end there")
    } else {
        format!("magic {magic:#010x} instead of {MAGIC:#010x} before what looks like attributes")
    };
    Some(Fault::new(LAYER, format!("{}, attributes in the inode", inode.at()), what))
}

/// Whether these are one or more entries as somebody wrote them, and their end mark.
fn is_list(list: &[u8]) -> bool {
    let mut end = 0_usize;
    let count = Entries::new(list).try_fold(0_usize, |count, entry| {
        let entry = entry.ok()?;
        end = end.saturating_add(ENTRY.saturating_add(entry.name.len()).next_multiple_of(4));
        let is_named = (entry.full_name().is_some() || entry.index == INDEX_ENCRYPTION) && !entry.name.contains(&0);
        let is_whole = entry.is_acl() || !entry.name.is_empty();
        let has_value = entry.value_inode != 0 || entry.value(list).is_ok();
        (is_named && is_whole && has_value).then_some(count.saturating_add(1))
    });
    let ends = list.get(end..).and_then(|rest| rest.first_chunk::<4>()) == Some(&[0; 4]);
    ends && count.is_some_and(|count| count > 0)
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
