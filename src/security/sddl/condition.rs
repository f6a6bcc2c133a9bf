//! Conditional expressions of callback ACEs.
//!
//! [MS-DTYP] 2.4.4.17: `artx`, then tokens in postfix order. A token is a code (8 bits) and, for operands, its
//! data, little-endian. Printed in infix form, each operator that has operators below it in parentheses.

use std::{char::decode_utf16, fmt::Write as _};

use super::{hex, sid};
use crate::field::{le16, le64, len32};

const SIGNATURE: &[u8] = b"artx";
/// Expressions with more tokens stay hexadecimal: people write a few dozen.
const MAX_TOKENS: usize = 1_024;

/// Operators between two operands: [MS-DTYP] 2.4.4.17.6 and 2.4.4.17.7.
const BINARY: [(u8, &str); 12] = [
    (0x80, "=="),
    (0x81, "!="),
    (0x82, "<"),
    (0x83, "<="),
    (0x84, ">"),
    (0x85, ">="),
    (0x86, "Contains"),
    (0x88, "Any_of"),
    (0x8E, "Not_Contains"),
    (0x8F, "Not_Any_of"),
    (0xA0, "&&"),
    (0xA1, "||"),
];

/// Operators in front of one operand.
const UNARY: [(u8, &str); 11] = [
    (0x87, "Exists"),
    (0x89, "Member_of"),
    (0x8A, "Device_Member_of"),
    (0x8B, "Member_of_Any"),
    (0x8C, "Device_Member_of_Any"),
    (0x8D, "Not_Exists"),
    (0x90, "Not_Member_of"),
    (0x91, "Not_Device_Member_of"),
    (0x92, "Not_Member_of_Any"),
    (0x93, "Not_Device_Member_of_Any"),
    (0xA2, "!"),
];

/// What is on the stack.
struct Operand {
    text: String,
    /// Whether it must stand in parentheses below another operator.
    compound: bool,
}

impl Operand {
    fn simple(text: String) -> Self {
        Self { text, compound: false }
    }

    fn below(&self) -> String {
        if self.compound { format!("({})", self.text) } else { self.text.clone() }
    }
}

/// The expression in parentheses; `None` where it is none, or does not come out even.
pub(super) fn to_text(data: &[u8]) -> Option<String> {
    let mut rest = data.strip_prefix(SIGNATURE)?;
    let mut stack: Vec<Operand> = Vec::new();
    for _ in 0..MAX_TOKENS {
        let Some((&code, behind)) = rest.split_first() else {
            break;
        };
        rest = behind;
        if let Some((_, operator)) = BINARY.iter().find(|(known, _)| *known == code) {
            let (right, left) = (stack.pop()?, stack.pop()?);
            stack.push(Operand { text: format!("{} {operator} {}", left.below(), right.below()), compound: true });
        } else if let Some((_, operator)) = UNARY.iter().find(|(known, _)| *known == code) {
            let operand = stack.pop()?.below();
            stack.push(Operand { text: format!("{operator} {operand}"), compound: true });
        } else if code != 0 {
            stack.push(Operand::simple(operand(code, &mut rest, true)?));
        }
    }
    let whole = stack.pop()?;
    (rest.is_empty() && stack.is_empty()).then(|| format!("({})", whole.text))
}

/// [MS-DTYP] 2.4.4.17.5 (literals) and 2.4.4.17.8 (attribute names).
fn operand(code: u8, rest: &mut &[u8], composite_allowed: bool) -> Option<String> {
    if matches!(code, 0x01..=0x04) {
        return integer(take(rest, 10)?);
    }
    let len = len32(take(rest, 4)?, 0)?;
    let data = take(rest, len)?;
    match code {
        0x10 => Some(format!("\"{}\"", quoted(data, |letter| letter != '"' && !letter.is_control()))),
        0x18 => Some(hex(data).replacen("hex:", "#", 1)),
        0x51 => sid::parse(data).map(|(sid, _)| format!("SID({})", sid::alias(&sid).unwrap_or(&sid))),
        0x50 if composite_allowed => composite(data),
        0xF8 => Some(attribute("", data)),
        0xF9 => Some(attribute("@User.", data)),
        0xFA => Some(attribute("@Resource.", data)),
        0xFB => Some(attribute("@Device.", data)),
        _ => None,
    }
}

/// Operands one after another; they do not nest.
fn composite(mut data: &[u8]) -> Option<String> {
    let mut members = Vec::new();
    while let Some((&code, behind)) = data.split_first() {
        if members.len() >= MAX_TOKENS {
            return None;
        }
        data = behind;
        members.push(operand(code, &mut data, false)?);
    }
    Some(format!("{{{}}}", members.join(", ")))
}

/// 64 bits, then a sign (1 `+`, 2 `-`, 3 none) and a base (1 octal, 2 decimal, 3 hexadecimal).
fn integer(token: &[u8]) -> Option<String> {
    let value = le64(token, 0)?.cast_signed();
    let sign = match token.get(8)? {
        _ if value < 0 => "-",
        1 => "+",
        2 => "-",
        3 => "",
        _ => return None,
    };
    let size = value.unsigned_abs();
    match token.get(9)? {
        1 => Some(format!("{sign}0{size:o}")),
        2 => Some(format!("{sign}{size}")),
        3 => Some(format!("{sign}{size:#x}")),
        _ => None,
    }
}

fn attribute(place: &str, name: &[u8]) -> String {
    format!("{place}{}", quoted(name, |letter| letter.is_alphanumeric() || ":./_".contains(letter)))
}

/// UTF-16LE text, in which what may not stand as itself is `%` and four digits: [MS-DTYP] 2.5.1.1, `attr-char`.
pub(super) fn quoted(utf16: &[u8], plain: impl Fn(char) -> bool) -> String {
    let units = utf16.chunks(2).map(|pair| le16(pair, 0).unwrap_or(0xFFFD));
    let mut text = String::new();
    for letter in decode_utf16(units) {
        match letter {
            Ok(letter) if letter != '%' && plain(letter) => text.push(letter),
            Ok(letter) => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let _ = write!(text, "%{unit:04x}");
                }
            }
            Err(lone) => {
                let _ = write!(text, "%{:04x}", lone.unpaired_surrogate());
            }
        }
    }
    text
}

/// Cuts `len` bytes off the front.
fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}
