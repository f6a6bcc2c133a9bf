//! `$EA`: extended attributes of OS/2, which WSL uses for owner and mode of its files, and malware for payloads.
//!
//! Reference: ntfs-3g `layout.h` (`EA_ATTR`).

use crate::{
    field::{byte, len16, len32, slice},
    fs::Xattr,
};

/// What the names of these attributes begin with in [`Xattr::name`].
const PREFIX: &[u8] = b"ntfs.ea.";
/// All extended attributes of a file fit in 64 KiB.
pub(super) const MAX_SIZE: usize = 64 << 10;

/// Parses the list (0x00 distance to the next, 0x05 length of the name, 0x06 length of the value, 0x08 name, a NUL,
/// value). The second value says what does not parse; what comes before stands.
pub(super) fn parse(value: &[u8]) -> (Vec<Xattr>, Option<String>) {
    let mut attributes = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        // The last one may have no distance to the next.
        let next = len32(rest, 0).map_or(0, |next| if next == 0 { rest.len() } else { next });
        let parsed = rest.get(..next).filter(|_| next > 8).and_then(|bytes| Some((one(bytes)?, rest.get(next..)?)));
        let Some((attribute, tail)) = parsed else {
            let at = value.len().saturating_sub(rest.len());
            return (attributes, Some(format!("extended attribute at {at:#x} of {next:#x} bytes does not parse")));
        };
        attributes.push(attribute);
        rest = tail;
    }
    (attributes, None)
}

fn one(bytes: &[u8]) -> Option<Xattr> {
    let name_len = usize::from(byte(bytes, 5)?);
    let name = slice(bytes, 8, name_len)?;
    let value = slice(bytes, name_len.checked_add(9)?, len16(bytes, 6)?)?;
    Some(Xattr { name: [PREFIX, name].concat(), value: value.to_vec() })
}
