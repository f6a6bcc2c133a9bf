//! A block of attributes. See "Leaf Attributes" in *XFS Algorithms & Data Structures*: a header, entries of 8 bytes
//! in the order of their hashes, and names with values, or where values are, from the end of the block.

use super::bytes::{be16, be32, u8_at};

pub(super) const MAGIC_V4: u16 = 0xFBEE;
pub(super) const MAGIC_V5: u16 = 0x3BEE;
const HEADER_V4: usize = 32;
const HEADER_V5: usize = 80;
const COUNT_V4: usize = 12;
const COUNT_V5: usize = 56;
const ENTRY: usize = 8;

const LOCAL: u8 = 0x1;
const ROOT: u8 = 0x2;
const SECURE: u8 = 0x4;
const PARENT: u8 = 0x8;
const INCOMPLETE: u8 = 0x80;

/// Where a value is.
pub(super) enum Value<'a> {
    Here(&'a [u8]),
    /// In blocks of the attribute fork from `block` on.
    Remote {
        block: u32,
        len: u32,
    },
}

/// One attribute.
pub(super) struct Entry<'a> {
    pub(super) flags: u8,
    pub(super) name: &'a [u8],
    pub(super) value: Value<'a>,
}

impl Entry<'_> {
    /// Being written or removed, or a pointer to a parent: `listxattr` does not show it.
    pub(super) fn is_hidden(&self) -> bool {
        self.flags & (INCOMPLETE | PARENT) != 0
    }

    /// The name with its namespace.
    pub(super) fn full_name(&self) -> Result<Vec<u8>, String> {
        let space: &[u8] = match (self.flags & (ROOT | SECURE), self.name) {
            (ROOT, b"SGI_ACL_FILE") => return Ok(b"system.posix_acl_access".to_vec()),
            (ROOT, b"SGI_ACL_DEFAULT") => return Ok(b"system.posix_acl_default".to_vec()),
            (0, _) => b"user.",
            (ROOT, _) => b"trusted.",
            (SECURE, _) => b"security.",
            _ => return Err(format!("{}: an attribute with the flags {:#x}", self.name.escape_ascii(), self.flags)),
        };
        Ok([space, self.name].concat())
    }

    /// One of the two that stand for `system.posix_acl_*`.
    pub(super) fn is_acl(&self) -> bool {
        self.flags & (ROOT | SECURE) == ROOT && matches!(self.name, b"SGI_ACL_FILE" | b"SGI_ACL_DEFAULT")
    }
}

/// The entries of a block, whose magic number was checked.
pub(super) fn entries(block: &[u8], v5: bool) -> impl Iterator<Item = Result<Entry<'_>, String>> {
    let (count_at, header) = if v5 { (COUNT_V5, HEADER_V5) } else { (COUNT_V4, HEADER_V4) };
    let count = usize::from(be16(block, count_at));
    let table = block.get(header..).unwrap_or_default();
    let missing = count.saturating_sub(table.len().checked_div(ENTRY).unwrap_or(0));
    let lost = (missing > 0).then(|| Err(format!("{count} attributes, {missing} more than the block has room for")));
    let listed = table.chunks_exact(ENTRY).take(count).map(|entry| {
        let (at, flags) = (usize::from(be16(entry, 4)), u8_at(entry, 6));
        one(block, at, flags).ok_or_else(|| format!("the attribute at {at:#x} leaves the block"))
    });
    listed.chain(lost)
}

fn one(block: &[u8], at: usize, flags: u8) -> Option<Entry<'_>> {
    let bytes = block.get(at..)?;
    if flags & LOCAL == 0 {
        let name = bytes.get(9..usize::from(u8_at(bytes, 8)).checked_add(9)?)?;
        return Some(Entry { flags, name, value: Value::Remote { block: be32(bytes, 0), len: be32(bytes, 4) } });
    }
    let (name, rest) = bytes.get(3..)?.split_at_checked(usize::from(u8_at(bytes, 2)))?;
    Some(Entry { flags, name, value: Value::Here(rest.get(..usize::from(be16(bytes, 0)))?) })
}
