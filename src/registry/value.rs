//! The text of values: type names, and data by type.

use std::borrow::Cow;

use super::name;
use crate::{
    field::{le32, le64},
    text,
};

/// Of longer data, this many bytes are rendered.
pub const MAX_RENDERED: usize = 4096;

/// Data as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: Text,
    /// Whether the data was longer than [`MAX_RENDERED`] bytes, and the text is of its beginning.
    pub truncated: bool,
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// What all types but one become.
    One(String),
    /// The strings of a `REG_MULTI_SZ`.
    List(Vec<String>),
}

/// `REG_SZ` and so on; `REG_TYPE_0x12` for numbers without a name. \[regf\] "Data types".
#[must_use]
pub fn type_name(kind: u32) -> Cow<'static, str> {
    Cow::Borrowed(match kind {
        0 => "REG_NONE",
        1 => "REG_SZ",
        2 => "REG_EXPAND_SZ",
        3 => "REG_BINARY",
        4 => "REG_DWORD",
        5 => "REG_DWORD_BIG_ENDIAN",
        6 => "REG_LINK",
        7 => "REG_MULTI_SZ",
        8 => "REG_RESOURCE_LIST",
        9 => "REG_FULL_RESOURCE_DESCRIPTOR",
        10 => "REG_RESOURCE_REQUIREMENTS_LIST",
        11 => "REG_QWORD",
        other => return Cow::Owned(format!("REG_TYPE_{other:#x}")),
    })
}

/// The data as people read it: text without its terminator, a list of strings, numbers as `0x00000001 (1)`, all
/// else, and numbers of another length than theirs, in hexadecimal.
///
/// Characters behind an embedded NUL are part of the text, with the NUL; a lone surrogate or an odd last byte is
/// `\xNN` byte by byte. The text is not fit for a terminal before it is escaped.
#[must_use]
pub fn render(kind: u32, data: &[u8]) -> Rendered {
    let truncated = data.len() > MAX_RENDERED;
    let data = data.get(..MAX_RENDERED).unwrap_or(data);
    let text = match (kind, data.len()) {
        (1 | 2 | 6, _) => Text::One(string(trim(data))),
        (7, _) => Text::List(strings(data)),
        (4, 4) => Text::One(number(u64::from(le32(data, 0).unwrap_or(0)), 10)),
        (5, 4) => Text::One(number(u64::from(le32(data, 0).unwrap_or(0).swap_bytes()), 10)),
        (11, 8) => Text::One(number(le64(data, 0).unwrap_or(0), 18)),
        _ => Text::One(text::hex(data)),
    };
    Rendered { text, truncated }
}

fn number(number: u64, width: usize) -> String {
    format!("{number:#0width$x} ({number})")
}

/// Without the terminators at the end.
fn trim(mut data: &[u8]) -> &[u8] {
    while data.len().is_multiple_of(2)
        && let Some(rest) = data.strip_suffix(&[0, 0])
    {
        data = rest;
    }
    data
}

/// Strings end in a terminator each, and the list in one more; empty strings in between count.
fn strings(data: &[u8]) -> Vec<String> {
    let data = trim(data);
    if data.is_empty() {
        return Vec::new();
    }
    let mut strings = vec![Vec::new()];
    for unit in data.chunks(2) {
        match strings.last_mut() {
            Some(last) if unit != [0, 0] => last.extend_from_slice(unit),
            _ => strings.push(Vec::new()),
        }
    }
    strings.iter().map(|units| string(units)).collect()
}

fn string(utf16: &[u8]) -> String {
    let (whole, odd) = utf16.split_at_checked(utf16.len() & !1).unwrap_or((utf16, &[]));
    let mut text = text::readable(&name::from_utf16(whole));
    text::push_escaped(odd, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn one(kind: u32, data: &[u8]) -> String {
        match render(kind, data).text {
            Text::One(text) => text,
            Text::List(list) => panic!("{list:?}"),
        }
    }

    #[test]
    fn text_loses_its_terminator_and_nothing_else() {
        assert_eq!(one(1, &utf16("C:\\x.exe\0")), "C:\\x.exe");
        assert_eq!(one(2, &utf16("%TEMP%")), "%TEMP%");
        assert_eq!(one(1, &utf16("a\0hidden\0")), "a\0hidden");
        assert_eq!(one(1, b"a\0b"), "a\\x62");
        assert_eq!(one(6, &[0x00, 0xD8, 0x41, 0x00]), "\\xed\\xa0\\x80A");
        assert_eq!(one(1, &[]), "");
    }

    #[test]
    fn lists_keep_empty_strings_inside() {
        assert_eq!(render(7, &utf16("one\0two\0\0")).text, Text::List(vec!["one".into(), "two".into()]));
        assert_eq!(render(7, &utf16("a\0\0b")).text, Text::List(vec!["a".into(), String::new(), "b".into()]));
        assert_eq!(render(7, &utf16("\0\0")).text, Text::List(Vec::new()));
    }

    #[test]
    fn numbers_are_hexadecimal_and_decimal() {
        assert_eq!(one(4, &[1, 0, 0, 0]), "0x00000001 (1)");
        assert_eq!(one(5, &[0, 0, 1, 0]), "0x00000100 (256)");
        assert_eq!(one(11, &[0, 0, 0, 0, 2, 0, 0, 0]), "0x0000000200000000 (8589934592)");
        assert_eq!(one(4, &[7, 0]), "0700");
    }

    #[test]
    fn other_types_are_hexadecimal_and_cut() {
        assert_eq!(one(3, &[0xDE, 0xAD]), "dead");
        assert_eq!(one(0x1000, &[1, 2, 3]), "010203");
        let long = render(3, &[0xAB; 5000]);
        assert!(long.truncated);
        assert_eq!(long.text, Text::One("ab".repeat(MAX_RENDERED)));
        assert!(!render(3, &[0; MAX_RENDERED]).truncated);
    }

    #[test]
    fn types_without_a_name_have_a_number() {
        assert_eq!(type_name(1), "REG_SZ");
        assert_eq!(type_name(11), "REG_QWORD");
        assert_eq!(type_name(0x12), "REG_TYPE_0x12");
    }
}
