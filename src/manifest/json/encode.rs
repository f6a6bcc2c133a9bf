//! Writing.

use std::str;

use super::{HEX_NAME, UNNAMED};
use crate::{
    manifest::{
        attribute::{Value, XattrSummary},
        record::{Kind, Record},
    },
    text::push_hex,
};

/// Appends the record's line, without a newline.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"path\":");
    encode_bytes("path", &record.path, out);
    match record.kind {
        Kind::Stream => encode_name("stream", &record.name, out),
        Kind::Value if record.name.is_empty() => {
            out.extend_from_slice(b",\"value\":");
            encode_text(UNNAMED, out);
        }
        Kind::Value => encode_name("value", &record.name, out),
        _ if record.name.is_empty() => {}
        _ if record.path.starts_with(b"HK") => encode_name("value", &record.name, out),
        _ => encode_name("stream", &record.name, out),
    }
    out.extend_from_slice(b",\"kind\":\"");
    out.extend_from_slice(record.kind.as_str().as_bytes());
    out.push(b'"');
    for (attribute, value) in &record.attributes {
        let row = attribute.row();
        out.extend_from_slice(row.json.as_bytes());
        encode_value(row.name, value, out);
    }
    out.push(b'}');
}

/// Appends the value of the attribute of that name, and its `…_hex` where it needs one.
pub(crate) fn encode_value(name: &str, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Number(number) => encode_number(*number, out),
        Value::Text(text) => encode_text(text, out),
        Value::Bytes(bytes) => encode_bytes(name, bytes, out),
        Value::Xattrs(xattrs) => {
            encode_sequence(xattrs, b"{}", out, |(name, summary), out| encode_xattr(name, summary, out));
        }
        Value::List(list) => encode_sequence(list.iter(), b"[]", out, |text, out| encode_text(text, out)),
    }
}

fn encode_name(field: &str, name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(field.as_bytes());
    out.extend_from_slice(b"\":");
    encode_bytes(field, name, out);
    if field == "value" && name == UNNAMED.as_bytes() {
        encode_hex_field(field, name, out);
    }
}

/// Bytes as readable text, and the field `…_hex` behind it where they are not Unicode.
fn encode_bytes(field: &str, bytes: &[u8], out: &mut Vec<u8>) {
    if let Ok(text) = str::from_utf8(bytes) {
        return encode_text(text, out);
    }
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        escape(chunk.valid(), out);
        for byte in chunk.invalid() {
            out.extend_from_slice(b"\\\\x");
            push_hex(&[*byte], out);
        }
    }
    out.push(b'"');
    encode_hex_field(field, bytes, out);
}

fn encode_hex_field(field: &str, bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(field.as_bytes());
    out.extend_from_slice(b"_hex\":\"");
    push_hex(bytes, out);
    out.push(b'"');
}

fn encode_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

fn encode_sequence<I: IntoIterator>(
    items: I,
    brackets: &[u8; 2],
    out: &mut Vec<u8>,
    mut encode: impl FnMut(I::Item, &mut Vec<u8>),
) {
    out.push(brackets[0]);
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        encode(item, out);
    }
    out.push(brackets[1]);
}

fn encode_xattr(name: &[u8], summary: &XattrSummary, out: &mut Vec<u8>) {
    match str::from_utf8(name) {
        Ok(name) if !name.starts_with(HEX_NAME) => encode_text(name, out),
        _ => {
            out.push(b'"');
            out.extend_from_slice(HEX_NAME.as_bytes());
            push_hex(name, out);
            out.push(b'"');
        }
    }
    out.extend_from_slice(b":{\"size\":");
    encode_number(summary.size, out);
    out.extend_from_slice(b",\"sha256\":");
    encode_text(&summary.sha256, out);
    out.push(b'}');
}

/// Appends a JSON string.
fn encode_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

/// Where the first byte is that must be escaped. Nearly all text has none, so eight are looked at together: `hit` has
/// a bit set in every byte that is below 0x20, or is one of the two others.
fn first_escaped(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & HIGH;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let must = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    let (words, _) = text.as_chunks::<8>();
    let clean = words.iter().take_while(|word| {
        let word = u64::from_ne_bytes(**word);
        below(word, 0x20) | equal(word, b'"') | equal(word, b'\\') == 0
    });
    let start = clean.count() * 8;
    text[start..].iter().position(must).map(|at| start + at)
}

/// RFC 8259, section 7: only the quotation mark, the backslash and U+0000 to U+001F must be escaped.
fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = first_escaped(rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control @ 0..0x20 => {
                out.extend_from_slice(b"\\u00");
                push_hex(&[control], out);
            }
            byte => out.extend_from_slice(&[b'\\', byte]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
