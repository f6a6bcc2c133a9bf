//! Self-relative security descriptors as SDDL, the text of `icacls /save`, `Get-Acl` and `sc sdshow`.
//!
//! What is printed is what Windows prints, with these choices where Windows would ask a directory service or has
//! no text: SIDs below a domain are written out in full (no `LA`, `DA`…); an access mask is `FA FR FW FX KA KR KW`
//! where it is exactly that, else two-letter rights where these cover it, else `0x` and hexadecimal; an ACE whose
//! type has no token is `(0x0c;FLAGS;hex:…)` and one whose body does not parse `(A;FLAGS;hex:…)`, both with the
//! bytes behind the ACE's header; application data that is no conditional expression is `hex:…` in its place.
//!
//! Source: [MS-DTYP] 2.4.4 to 2.4.6 (structures) and 2.5.1 (SDDL).

mod ace;
mod acl;
mod claim;
mod condition;
mod rights;

use std::fmt::Write as _;

use super::sid;
use crate::{
    error::{Error, Result},
    field::{le16, len32},
};

const LAYER: &str = "security descriptor";
const HEADER: usize = 20;
/// Two SIDs and two ACLs of 65,535 bytes each fit, with room between them.
const MAX_DESCRIPTOR: usize = 1 << 18;

/// `Control` bits of a descriptor.
const DACL_PRESENT: u16 = 0x0004;
const SACL_PRESENT: u16 = 0x0010;
const SELF_RELATIVE: u16 = 0x8000;

/// The descriptor as SDDL: owner, group, DACL, SACL, each only where there is one.
///
/// A present DACL without an ACL, which lets everyone in, is `D:NO_ACCESS_CONTROL`.
///
/// # Errors
/// [`Error::Corrupt`] where header, owner, group or an ACL's frame does not parse; [`Error::Budget`] for a
/// descriptor of more than 256 KiB.
pub fn to_sddl(descriptor: &[u8]) -> Result<String> {
    Ok(to_sddl_within(descriptor, usize::MAX)?.unwrap_or_default())
}

/// The same; `None` where it would be longer than so many bytes. A list ends with the entry that makes it too long.
///
/// # Errors
/// As [`to_sddl`].
pub fn to_sddl_within(descriptor: &[u8], longest: usize) -> Result<Option<String>> {
    if descriptor.len() > MAX_DESCRIPTOR {
        return Err(Error::budget(LAYER, format!("{} bytes: more than {MAX_DESCRIPTOR}", descriptor.len())));
    }
    let header = Header::parse(descriptor)?;
    let mut text = String::new();
    for (letter, at) in [('O', header.owner), ('G', header.group)] {
        if at != 0 {
            let bytes = descriptor.get(at..).unwrap_or_default();
            let (sid, _) = sid::parse(bytes).ok_or_else(|| {
                corrupt(at, format!("a SID expected as {}", if letter == 'O' { "owner" } else { "group" }))
            })?;
            let _ = write!(text, "{letter}:{}", sid::alias(&sid).unwrap_or(&sid));
        }
    }
    for (kind, present, at) in
        [(acl::Kind::Discretionary, DACL_PRESENT, header.dacl), (acl::Kind::System, SACL_PRESENT, header.sacl)]
    {
        if header.control & present != 0 {
            acl::print(kind, header.control, descriptor, at, longest, &mut text)?;
        }
        if text.len() > longest {
            return Ok(None);
        }
    }
    Ok(Some(text))
}

/// `SECURITY_DESCRIPTOR`, [MS-DTYP] 2.4.6: revision and a reserved byte, control (16 bits), then the offsets of
/// owner, group, SACL and DACL (32 bits each, little-endian; 0 where there is none).
struct Header {
    control: u16,
    owner: usize,
    group: usize,
    sacl: usize,
    dacl: usize,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let cut = || corrupt(0, format!("{HEADER} bytes of header expected, found {}", bytes.len()));
        let control = le16(bytes, 2).ok_or_else(cut)?;
        let offset = |at| len32(bytes, at).ok_or_else(cut);
        let header = Self { control, owner: offset(4)?, group: offset(8)?, sacl: offset(12)?, dacl: offset(16)? };
        if bytes.first() != Some(&1) {
            return Err(corrupt(0, format!("revision 1 expected, found {}", bytes.first().unwrap_or(&0))));
        }
        if control & SELF_RELATIVE == 0 {
            return Err(corrupt(2, format!("the self-relative bit 0x8000 expected, found {control:#06x}")));
        }
        Ok(header)
    }
}

fn corrupt(at: usize, what: impl Into<String>) -> Error {
    Error::corrupt(LAYER, format!("offset {at:#x}"), what)
}

/// `hex:` and two digits a byte.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("hex:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
