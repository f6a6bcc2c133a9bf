//! POSIX ACLs: on disk a count and entries of 12 bytes, big-endian; `getxattr` gives version 2, little-endian.
//! See `fs/xfs/libxfs/xfs_format.h` (`struct xfs_acl`) and `include/uapi/linux/posix_acl_xattr.h` of the kernel.

use super::bytes::{be16, be32, wide};

const HEADER: usize = 4;
const ENTRY: usize = 12;
const XATTR_VERSION: u32 = 2;
const NO_ID: u32 = u32::MAX;

/// Turns the form on disk into that of `getxattr`; an ACL without entries is none.
pub(super) fn to_xattr(disk: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let count = be32(disk, 0);
    let entries = disk.get(HEADER..).unwrap_or_default().chunks_exact(ENTRY);
    if disk.len() < HEADER || u64::from(count) > wide(entries.len()) {
        return Err(format!("ACL of {count} entries in {} bytes", disk.len()));
    }
    if count == 0 {
        return Ok(None);
    }
    let mut xattr = XATTR_VERSION.to_le_bytes().to_vec();
    for entry in entries.take(usize::try_from(count).unwrap_or(0)) {
        let tag = be32(entry, 0);
        let (short, id) = match (u16::try_from(tag), tag) {
            // user::, group::, mask::, other::
            (Ok(short), 0x01 | 0x04 | 0x10 | 0x20) => (short, NO_ID),
            // user:id:, group:id:
            (Ok(short), 0x02 | 0x08) => (short, be32(entry, 4)),
            _ => return Err(format!("ACL entry with tag {tag:#06x}")),
        };
        xattr.extend_from_slice(&short.to_le_bytes());
        xattr.extend_from_slice(&be16(entry, 8).to_le_bytes());
        xattr.extend_from_slice(&id.to_le_bytes());
    }
    Ok(Some(xattr))
}
