//! POSIX ACLs: on disk entries without an id are short; `getxattr` gives all of them long, as version 2.
//! See `fs/ext4/acl.h` and `include/uapi/linux/posix_acl_xattr.h` of the kernel for the two forms.

use super::bytes::{le16, le32};

const DISK_VERSION: u32 = 1;
const XATTR_VERSION: u32 = 2;
const HEADER: usize = 4;
const SHORT: usize = 4;
const LONG: usize = 8;
const NO_ID: u32 = u32::MAX;

/// Turns the form on disk into that of `getxattr`; an ACL without entries is none.
pub(super) fn to_xattr(disk: &[u8]) -> Result<Option<Vec<u8>>, String> {
    if disk.len() < HEADER || le32(disk, 0) != DISK_VERSION {
        return Err(format!("ACL of version {} in {} bytes", le32(disk, 0), disk.len()));
    }
    let mut rest = disk.get(HEADER..).unwrap_or_default();
    if rest.is_empty() {
        return Ok(None);
    }
    let mut xattr = XATTR_VERSION.to_le_bytes().to_vec();
    while !rest.is_empty() {
        let tag = le16(rest, 0);
        let (len, id) = match tag {
            // user::, group::, mask::, other::
            0x01 | 0x04 | 0x10 | 0x20 => (SHORT, NO_ID),
            // user:id:, group:id:
            0x02 | 0x08 => (LONG, le32(rest, 4)),
            _ => return Err(format!("ACL entry with tag {tag:#06x}")),
        };
        let (entry, after) =
            rest.split_at_checked(len).ok_or_else(|| format!("ACL entry of {len} bytes in {}", rest.len()))?;
        xattr.extend_from_slice(entry.get(..SHORT).unwrap_or_default());
        xattr.extend_from_slice(&id.to_le_bytes());
        rest = after;
    }
    Ok(Some(xattr))
}

#[cfg(test)]
mod tests {
    use super::to_xattr;

    // user::rw-, user:33:r--, group::r--, mask::r--, other::---, as getxattr of a mounted filesystem gave it.
    #[test]
    fn short_entries_become_long() {
        let disk = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 0x21, 0, 0, 0, 4, 0, 4, 0, 16, 0, 4, 0, 32, 0, 0, 0];
        let xattr = [
            2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0x21, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16,
            0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
        ];
        assert_eq!(to_xattr(&disk), Ok(Some(xattr.to_vec())));
        assert_eq!(to_xattr(&disk[..4]), Ok(None));
        assert!(to_xattr(&disk[..10]).is_err());
        assert!(to_xattr(&[2, 0, 0, 0]).is_err());
    }
}
