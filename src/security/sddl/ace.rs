//! Access control entries.
//!
//! [MS-DTYP] 2.4.4, little-endian: type and flags (8 bits each), size with this header (16 bits); then the access
//! mask (32 bits); in object ACEs 32 bits that tell which of two GUIDs follow; the SID; and in some types data.

use std::fmt::Write as _;

use super::{claim, condition, hex, rights, sid};
use crate::{
    field::{array, le32},
    guid::guid,
};

pub(super) const HEADER: usize = 4;

/// What lies behind the access mask, and how the mask and the data are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A SID.
    Plain,
    /// Up to two GUIDs, a SID.
    Object,
    /// A SID, a conditional expression.
    Conditional,
    /// Up to two GUIDs, a SID, a conditional expression.
    ConditionalObject,
    /// A SID; the mask forbids.
    Label,
    /// A SID, a claim.
    Claim,
}

/// `AceType`, token, form: [MS-DTYP] 2.4.4.1 and 2.5.1.1. Types that are reserved, or have no token (0x04, 0x0c,
/// 0x0e to 0x10), are printed in hexadecimal.
const TYPES: [(u8, &str, Form); 17] = [
    (0x00, "A", Form::Plain),
    (0x01, "D", Form::Plain),
    (0x02, "AU", Form::Plain),
    (0x03, "AL", Form::Plain),
    (0x05, "OA", Form::Object),
    (0x06, "OD", Form::Object),
    (0x07, "OU", Form::Object),
    (0x08, "OL", Form::Object),
    (0x09, "XA", Form::Conditional),
    (0x0A, "XD", Form::Conditional),
    (0x0B, "ZA", Form::ConditionalObject),
    (0x0D, "XU", Form::Conditional),
    (0x11, "ML", Form::Label),
    (0x12, "RA", Form::Claim),
    (0x13, "SP", Form::Plain),
    (0x14, "TL", Form::Plain),
    (0x15, "FL", Form::Conditional),
];

/// `AceFlags` in the order of their bits. 0x20 marks an entry as critical.
const FLAGS: [(u8, &str); 8] =
    [(0x01, "OI"), (0x02, "CI"), (0x04, "NP"), (0x08, "IO"), (0x10, "ID"), (0x20, "CR"), (0x40, "SA"), (0x80, "FA")];

/// Appends one entry, header included in `ace`.
pub(super) fn print(ace: &[u8], text: &mut String) {
    let (kind, flags) = (ace.first().copied().unwrap_or(0), ace.get(1).copied().unwrap_or(0));
    let body = ace.get(HEADER..).unwrap_or_default();
    let flags: String = FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let Some((_, token, form)) = TYPES.iter().find(|(known, ..)| *known == kind) else {
        let _ = write!(text, "({kind:#04x};{flags};{})", hex(body));
        return;
    };
    let _ = match fields(*form, body) {
        Some(fields) => write!(text, "({token};{flags};{fields})"),
        None => write!(text, "({token};{flags};{})", hex(body)),
    };
}

/// `rights;object;inherited object;SID`, and what follows.
fn fields(form: Form, body: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mask = le32(body, 0)?;
    match form {
        Form::Label => rights::print_label(mask, &mut text),
        _ => rights::print(mask, &mut text),
    }
    let mut at = 4_usize;
    if matches!(form, Form::Object | Form::ConditionalObject) {
        let present = le32(body, at)?;
        at = at.checked_add(4)?;
        for bit in [1, 2] {
            text.push(';');
            if present & bit != 0 {
                text.push_str(&guid(array(body, at)?));
                at = at.checked_add(16)?;
            }
        }
    } else {
        text.push_str(";;");
    }
    let (sid, len) = sid::parse(body.get(at..)?)?;
    let _ = write!(text, ";{}", sid::alias(&sid).unwrap_or(&sid));
    let data = body.get(at.checked_add(len)?..)?;
    match form {
        Form::Conditional | Form::ConditionalObject if !data.is_empty() => {
            let _ = write!(text, ";{}", condition::to_text(data).unwrap_or_else(|| hex(data)));
        }
        Form::Claim => {
            let _ = write!(text, ";{}", claim::to_text(data).unwrap_or_else(|| hex(data)));
        }
        _ => {}
    }
    Some(text)
}
