//! POSIX ACLs in the form of the extended attributes `system.posix_acl_access` and `system.posix_acl_default`.
//!
//! On disk (Linux, `include/uapi/linux/posix_acl_xattr.h`), little-endian: a version, 2, in 32 bits; then per
//! entry tag (16 bits), permissions (16 bits) and id (32 bits, all ones where the tag needs none).

use std::fmt::Write as _;

use crate::{
    error::{Error, Result},
    field::{le16, le32},
};

const LAYER: &str = "posix acl";
const VERSION: u32 = 2;
const HEADER: usize = 4;
const ENTRY: usize = 8;
/// An extended attribute has at most 65,536 bytes.
const MAX_ENTRIES: usize = 8_192;

/// The entries as `getfacl -n` prints them, joined by commas, in the order in which they are stored:
/// `user::rw-,user:1000:r--,group::r--,mask::r--,other::---`. Ids are always numbers, because names belong to
/// the image's own passwd and are not compared.
///
/// # Errors
/// [`Error::Corrupt`] for another version, a cut entry, an unknown tag, and permission bits beyond `rwx`.
pub fn to_text(value: &[u8]) -> Result<String> {
    let version = le32(value, 0);
    if version != Some(VERSION) {
        let found = version.map_or_else(|| format!("{} bytes", value.len()), |version| version.to_string());
        return Err(Error::corrupt(LAYER, "header at 0x0", format!("version {VERSION} expected, found {found}")));
    }
    let entries = value.get(HEADER..).unwrap_or_default().chunks(ENTRY);
    if entries.len() > MAX_ENTRIES {
        return Err(Error::corrupt(LAYER, "header at 0x0", format!("more than {MAX_ENTRIES} entries")));
    }
    let mut text = String::new();
    for (number, entry) in entries.enumerate() {
        if number > 0 {
            text.push(',');
        }
        print(entry, &mut text).map_err(|what| Error::corrupt(LAYER, format!("entry {number}"), what))?;
    }
    Ok(text)
}

fn print(entry: &[u8], text: &mut String) -> Result<(), String> {
    let (Some(tag), Some(permissions), Some(id)) = (le16(entry, 0), le16(entry, 2), le32(entry, 4)) else {
        return Err(format!("{ENTRY} bytes expected, found {}", entry.len()));
    };
    let (name, named) = match tag {
        0x01 => ("user", false),
        0x02 => ("user", true),
        0x04 => ("group", false),
        0x08 => ("group", true),
        0x10 => ("mask", false),
        0x20 => ("other", false),
        other => return Err(format!("unknown tag {other:#06x}")),
    };
    if permissions > 7 {
        return Err(format!("permissions up to 0x7 expected, found {permissions:#06x}"));
    }
    let bit = |mask: u16, letter: char| if permissions & mask != 0 { letter } else { '-' };
    let id = if named { id.to_string() } else { String::new() };
    let _ = write!(text, "{name}:{id}:{}{}{}", bit(4, 'r'), bit(2, 'w'), bit(1, 'x'));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::tests::{mutants, table};

    #[test]
    fn entries_are_those_of_getfacl() {
        let rows = table(include_str!("../../fixtures/security/posix_acl.tsv"));
        assert_eq!(rows.len(), 40);
        for (value, text) in rows {
            assert_eq!(to_text(&value).unwrap(), text);
        }
    }

    #[test]
    fn damage_is_an_error_that_names_the_entry() {
        let message = |value: &[u8]| to_text(value).unwrap_err().to_string();
        assert_eq!(message(&[]), "posix acl: header at 0x0: version 2 expected, found 0 bytes");
        assert_eq!(message(&[1, 0, 0, 0]), "posix acl: header at 0x0: version 2 expected, found 1");
        assert_eq!(message(&[2, 0, 0, 0, 1, 0, 7]), "posix acl: entry 0: 8 bytes expected, found 3");
        assert_eq!(message(&[2, 0, 0, 0, 3, 0, 7, 0, 0, 0, 0, 0]), "posix acl: entry 0: unknown tag 0x0003");
        let (value, _) = table(include_str!("../../fixtures/security/posix_acl.tsv")).swap_remove(3);
        mutants(&value, |bytes| drop(to_text(bytes)));
    }
}
