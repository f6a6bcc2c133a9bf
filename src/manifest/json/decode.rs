//! Reading.

use std::collections::BTreeMap;

use super::{
    HEX_NAME, Malformed, UNNAMED,
    raw::{Field, Head, NameField, Raw, Scan},
};
use crate::manifest::{
    attribute::{Form, Value, XattrSummary},
    record::Record,
};

/// The record of a line.
///
/// # Errors
/// When the line is not one that [`encode`](super::encode) writes; an attribute that this version does not know
/// is named.
pub fn decode(line: &[u8]) -> Result<Record, Malformed> {
    Raw::of(line)?.decode()
}

impl Raw<'_> {
    pub(crate) fn decode(&self) -> Result<Record, Malformed> {
        let mut record = Record::new(Vec::new(), self.head.kind);
        self.head.path(&mut record.path)?;
        self.head.name(&mut record.name)?;
        record.attributes.reserve_exact(self.attributes.len());
        for (attribute, field) in &self.attributes {
            let value = field
                .decode(attribute.row().form)
                .map_err(|Malformed(what)| Malformed(format!("`{}`: {what}", attribute.name())))?;
            record.attributes.push((*attribute, value));
        }
        Ok(record)
    }
}

impl Head<'_> {
    /// Appends the path's exact bytes.
    pub(crate) fn path(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.path.bytes(out)
    }

    /// Appends the name's exact bytes.
    pub(crate) fn name(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self.name {
            None => Ok(()),
            Some((field, Field { json, hex: None })) => {
                let start = out.len();
                unescape(json, out)?;
                if field == NameField::Value && out[start..] == *UNNAMED.as_bytes() {
                    out.truncate(start);
                }
                Ok(())
            }
            Some((_, field)) => field.bytes(out),
        }
    }
}

impl Field<'_> {
    /// Appends the exact bytes.
    pub(crate) fn bytes(self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self.hex {
            Some(hex) => decode_hex(&hex[1..hex.len() - 1], out),
            None => unescape(self.json, out),
        }
    }

    /// The value, if it is a string.
    pub(crate) fn text(self) -> Result<String, Malformed> {
        text(self.json)
    }

    /// The value, if it is an array of strings.
    pub(crate) fn list(self) -> Result<Vec<String>, Malformed> {
        let mut scan = Scan::new(self.json);
        let mut list = Vec::new();
        sequence(&mut scan, b"[]", |scan| {
            list.push(text(scan.string()?)?);
            Ok(())
        })?;
        Ok(list)
    }

    fn decode(self, form: Form) -> Result<Value, Malformed> {
        match form {
            Form::Bytes => {
                let mut bytes = Vec::new();
                self.bytes(&mut bytes)?;
                Ok(Value::Bytes(bytes))
            }
            _ if self.hex.is_some() => Malformed::new("has no bytes in hexadecimal"),
            Form::Number => Ok(Value::Number(number(self.json)?)),
            Form::Text => Ok(Value::Text(self.text()?)),
            Form::List => Ok(Value::List(self.list()?.into())),
            Form::Xattrs => {
                let mut scan = Scan::new(self.json);
                let mut xattrs = BTreeMap::new();
                sequence(&mut scan, b"{}", |scan| {
                    let (name, summary) = xattr(scan)?;
                    match xattrs.insert(name, summary) {
                        None => Ok(()),
                        Some(_) => Malformed::new("a name is doubled"),
                    }
                })?;
                Ok(Value::Xattrs(xattrs))
            }
        }
    }
}

fn sequence<'a>(
    scan: &mut Scan<'a>,
    brackets: &[u8; 2],
    mut item: impl FnMut(&mut Scan<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    scan.expect(brackets[0])?;
    if scan.take(brackets[1]) {
        return Ok(());
    }
    loop {
        item(scan)?;
        if !scan.take(b',') {
            return scan.expect(brackets[1]);
        }
    }
}

fn xattr(scan: &mut Scan<'_>) -> Result<(Vec<u8>, XattrSummary), Malformed> {
    let name = text(scan.string()?)?;
    let name = match name.strip_prefix(HEX_NAME) {
        None => name.into_bytes(),
        Some(hex) => {
            let mut name = Vec::new();
            decode_hex(hex.as_bytes(), &mut name)?;
            name
        }
    };
    scan.expect(b':')?;
    scan.expect(b'{')?;
    if scan.key()? != b"size" {
        return Malformed::new("`size` is missing");
    }
    let size = number(scan.number()?)?;
    scan.expect(b',')?;
    if scan.key()? != b"sha256" {
        return Malformed::new("`sha256` is missing");
    }
    let sha256 = text(scan.string()?)?;
    scan.expect(b'}')?;
    Ok((name, XattrSummary { size, sha256 }))
}

fn number(json: &[u8]) -> Result<u64, Malformed> {
    let digits = std::str::from_utf8(json).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|text| text.parse().ok()) {
        Some(number) => Ok(number),
        None => Malformed::new(format!("`{}` is not a number below 2⁶⁴", json.escape_ascii())),
    }
}

fn text(json: &[u8]) -> Result<String, Malformed> {
    let mut bytes = Vec::with_capacity(json.len());
    unescape(json, &mut bytes)?;
    String::from_utf8(bytes).or_else(|_| Malformed::new("the text is not Unicode"))
}

pub(in crate::manifest) fn decode_hex(hex: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = hex.as_chunks::<2>();
    for [high, low] in pairs {
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
            return Malformed::new("the bytes in hexadecimal hold another character");
        };
        out.push(high << 4 | low);
    }
    if rest.is_empty() { Ok(()) } else { Malformed::new("the bytes in hexadecimal are not whole") }
}

/// RFC 8259, section 7.
fn unescape(json: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let Some(mut rest) = json.strip_prefix(b"\"").and_then(|json| json.strip_suffix(b"\"")) else {
        return Malformed::new("is not a string");
    };
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escaped = rest.get(at + 1).copied();
        rest = rest.get(at + 2..).unwrap_or_default();
        out.push(match escaped {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'u') => {
                // Only U+0000 to U+001F are written so; all else stands as it is.
                let code = rest.split_off(..4).and_then(|hex| std::str::from_utf8(hex).ok());
                match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|code| *code < 0x20) {
                    Some(code) => code,
                    None => return Malformed::new("a character is escaped that need not be"),
                }
            }
            _ => return Malformed::new("a backslash escapes nothing"),
        });
    }
    out.extend_from_slice(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::{Attribute, Kind, attribute::TABLE, json::encode};

    fn line(record: &Record) -> String {
        let mut line = Vec::new();
        encode(record, &mut line);
        String::from_utf8(line).unwrap()
    }

    fn value(name: &str) -> Record {
        Record { name: name.into(), ..Record::new(*br"HKLM\SOFTWARE\Run", Kind::Value) }
    }

    #[test]
    fn lines_are_those_of_the_format() {
        let mut file = Record::new(*b"/usr/bin/passwd", Kind::File);
        file.set(Attribute::Mode, Value::Text("04755".into()));
        file.set(Attribute::Size, Value::Number(68248));
        file.set(Attribute::Rules, Value::List(["recommended".into()].into()));
        let summary = XattrSummary { size: 3, sha256: "ab".into() };
        file.set(Attribute::Xattrs, Value::Xattrs(BTreeMap::from([(b"user.x".to_vec(), summary)])));
        assert_eq!(
            line(&file),
            r#"{"path":"/usr/bin/passwd","kind":"file","size":68248,"mode":"04755","xattrs":{"user.x":{"size":3,"sha256":"ab"}},"rules":["recommended"]}"#
        );
        assert_eq!(
            line(&Record::new(*b"/tmp/\xff\n\"", Kind::Dir)),
            r#"{"path":"/tmp/\\xff\n\"","path_hex":"2f746d702fff0a22","kind":"dir"}"#
        );
        assert_eq!(line(&value("")), r#"{"path":"HKLM\\SOFTWARE\\Run","value":"(Default)","kind":"value"}"#);
        assert_eq!(
            line(&value("(Default)")),
            r#"{"path":"HKLM\\SOFTWARE\\Run","value":"(Default)","value_hex":"2844656661756c7429","kind":"value"}"#
        );
    }

    #[test]
    fn every_line_is_json_and_an_unknown_attribute_is_named() {
        let json: serde_json::Value = serde_json::from_str(&line(&Record::new(*b"/\x01\x7f\t\\", Kind::File))).unwrap();
        assert_eq!(json["path"], "/\u{1}\u{7f}\t\\");
        let unknown = decode(br#"{"path":"/","kind":"dir","colour":"red"}"#).unwrap_err();
        assert_eq!(unknown.to_string(), "attribute `colour` is unknown");
        let twice = decode(br#"{"path":"/","kind":"dir","size":1,"size":1}"#).unwrap_err();
        assert_eq!(twice.to_string(), "attribute `size` is doubled or out of order");
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let odd =
            prop::sample::select(vec![0, b'"', b'\\', b'\n', b'/', b'x', b'a', 0x7f, 0xc3, 0xa4, 0xed, 0xa0, 0x80]);
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..12),
            prop::collection::vec(odd, 0..12),
            Just(b"(Default)".to_vec()),
            Just(b"hex:61".to_vec()),
        ]
    }

    fn attribute() -> impl Strategy<Value = (Attribute, Value)> {
        (prop::sample::select(TABLE.iter().collect::<Vec<_>>()), any::<u64>(), ".{0,8}", bytes()).prop_map(
            |(row, number, text, bytes)| {
                let value = match row.form {
                    Form::Number => Value::Number(number),
                    Form::Text => Value::Text(text),
                    Form::Bytes => Value::Bytes(bytes),
                    Form::List => Value::List(if number % 3 == 0 { [].into() } else { [text, "b".into()].into() }),
                    Form::Xattrs => {
                        let summary = XattrSummary { size: number, sha256: text };
                        Value::Xattrs(BTreeMap::from([(bytes, summary.clone()), (b"user.b".to_vec(), summary)]))
                    }
                };
                (row.attribute, value)
            },
        )
    }

    pub(crate) fn record() -> impl Strategy<Value = Record> {
        let kinds = (0..Kind::ALL.len()).prop_map(|at| Kind::ALL[at]);
        (bytes(), bytes(), any::<bool>(), kinds, prop::collection::vec(attribute(), 0..8)).prop_map(
            |(path, name, registry, kind, attributes)| {
                let path = if registry { [b"HKLM\\", path.as_slice()].concat() } else { path };
                let named = matches!(kind, Kind::Stream | Kind::Value | Kind::Fault);
                let mut record = Record { name: if named { name } else { vec![] }, ..Record::new(path, kind) };
                attributes.into_iter().for_each(|(attribute, value)| record.set(attribute, value));
                record
            },
        )
    }

    proptest! {
        #[test]
        fn a_record_comes_back_from_its_line(record in record()) {
            let line = line(&record);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{}", line);
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(decode(line.as_bytes()).unwrap(), record);
        }

        #[test]
        fn a_damaged_line_is_an_error_or_another_record(record in record(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut line = line(&record).into_bytes();
            let _ = decode(&line[..at.index(line.len())]).unwrap_err();
            let at = at.index(line.len());
            line[at] = byte;
            if let Ok(record) = decode(&line) {
                let mut again = Vec::new();
                encode(&record, &mut again);
                prop_assert_eq!(decode(&again).unwrap(), record);
            }
        }
    }
}
