//! A line taken apart without being decoded: which field stands where. Lines are written in one form only, so two
//! fields that differ as bytes differ in value, and the other way round.

use memchr::memmem;

use super::Malformed;
use crate::manifest::{
    attribute::{Attribute, TABLE},
    record::Kind,
};

/// How deep a value may nest: `xattrs` takes two.
const DEPTH_MAX: usize = 4;

/// A field's value as it stands in the line, and that of its `…_hex`, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// The JSON value, with quotation marks.
    pub(crate) json: &'a [u8],
    /// The JSON string of the exact bytes in hexadecimal.
    pub(crate) hex: Option<&'a [u8]>,
}

/// What stands first in every line: what it is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) path: Field<'a>,
    /// The field `stream` or `value`.
    pub(crate) name: Option<(NameField, Field<'a>)>,
    pub(crate) kind: Kind,
    /// Where the attributes begin.
    rest: usize,
}

/// Which field gives the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameField {
    Stream,
    Value,
}

/// A whole line.
#[derive(Debug, Clone)]
pub(crate) struct Raw<'a> {
    pub(crate) head: Head<'a>,
    /// The attributes, in the order of the table.
    pub(crate) attributes: Vec<(Attribute, Field<'a>)>,
}

impl<'a> Head<'a> {
    pub(crate) fn of(line: &'a [u8]) -> Result<Self, Malformed> {
        let mut scan = Scan { line, at: 0 };
        scan.expect(b'{')?;
        let path = scan.named("path")?;
        let mut name = None;
        let kind = loop {
            scan.expect(b',')?;
            match scan.key()? {
                b"stream" if name.is_none() => name = Some((NameField::Stream, scan.field("stream")?)),
                b"value" if name.is_none() => name = Some((NameField::Value, scan.field("value")?)),
                b"kind" => break scan.kind()?,
                other => return Malformed::new(format!("field `{}` is not expected here", other.escape_ascii())),
            }
        };
        let fits = match kind {
            Kind::Fault => true,
            Kind::Stream => matches!(name, Some((NameField::Stream, _))),
            Kind::Value => matches!(name, Some((NameField::Value, _))),
            _ => name.is_none(),
        };
        if !fits {
            return Malformed::new(format!("`stream` or `value` does not fit the kind `{}`", kind.as_str()));
        }
        Ok(Self { path, name, kind, rest: scan.at })
    }
}

impl<'a> Raw<'a> {
    pub(crate) fn of(line: &'a [u8]) -> Result<Self, Malformed> {
        Self::with_head(line, Head::of(line)?)
    }

    /// As [`Raw::of`], for a line whose head is known.
    pub(crate) fn with_head(line: &'a [u8], head: Head<'a>) -> Result<Self, Malformed> {
        let mut scan = Scan { line, at: head.rest };
        let mut attributes: Vec<(Attribute, Field<'a>)> = Vec::with_capacity(24);
        while scan.take(b',') {
            let key = scan.key()?;
            // In the order of the table, as they are written, the search goes on where it last ended.
            let start = attributes.last().map_or(0, |(attribute, _)| *attribute as usize + 1);
            let Some(row) = TABLE[start..].iter().find(|row| row.name.as_bytes() == key) else {
                let key = key.escape_ascii();
                return match Attribute::by_name(&key.to_string()) {
                    Some(_) => Malformed::new(format!("attribute `{key}` is doubled or out of order")),
                    None => Malformed::new(format!("attribute `{key}` is unknown")),
                };
            };
            let field = scan.field(row.name)?;
            attributes.push((row.attribute, field));
        }
        scan.expect(b'}')?;
        if scan.at != line.len() {
            return Malformed::new("the line goes on behind the record");
        }
        Ok(Self { head, attributes })
    }

    /// An attribute's field.
    pub(crate) fn get(&self, attribute: Attribute) -> Option<Field<'a>> {
        let at = self.attributes.binary_search_by_key(&attribute, |(a, _)| *a).ok()?;
        Some(self.attributes[at].1)
    }
}

/// Whether two lines differ in nothing but the text of one attribute, which both have. May say no where it is so: then
/// they are to be taken apart.
pub(crate) fn differ_only_in(attribute: Attribute, one: &[u8], other: &[u8]) -> bool {
    let behind = |line: &[u8]| -> Option<(usize, usize)> {
        // A quotation mark inside a string stands behind a backslash, so this is a field's name.
        let name = TABLE.get(attribute as usize)?.json.as_bytes();
        let start = memmem::find(line, name)? + name.len();
        // Not one inside of another field, whose names are anybody's.
        let nested = [b":{", b":["].iter().any(|begin| memmem::find(&line[..start], *begin).is_some());
        let text = line[start..].strip_prefix(b"\"").filter(|_| !nested)?;
        Some((start, start + 1 + memchr::memchr(b'"', text)?))
    };
    let (Some((start, end)), Some((other_start, other_end))) = (behind(one), behind(other)) else { return false };
    one[..start] == other[..other_start] && one[end..] == other[other_end..]
}

/// Where in a line the reading is.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Self { line, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.take(byte) {
            return Ok(());
        }
        let found = self.peek().map_or("the end".to_owned(), |found| format!("`{}`", found.escape_ascii()));
        Malformed::new(format!("byte {}: expected `{}`, found {found}", self.at, byte.escape_ascii()))
    }

    /// A field's name and the colon behind it.
    pub(super) fn key(&mut self) -> Result<&'a [u8], Malformed> {
        let string = self.string()?;
        self.expect(b':')?;
        Ok(string.get(1..string.len().saturating_sub(1)).unwrap_or_default())
    }

    fn named(&mut self, name: &str) -> Result<Field<'a>, Malformed> {
        if self.key()? != name.as_bytes() {
            return Malformed::new(format!("field `{name}` is missing"));
        }
        self.field(name)
    }

    /// A value, and that of `…_hex` where it follows.
    fn field(&mut self, name: &str) -> Result<Field<'a>, Malformed> {
        let json = self.value()?;
        let behind = self.line.get(self.at..).unwrap_or_default();
        let hex = behind.strip_prefix(b",\"").and_then(|key| key.strip_prefix(name.as_bytes()));
        let Some(value) = hex.and_then(|key| key.strip_prefix(b"_hex\":")) else {
            return Ok(Field { json, hex: None });
        };
        self.at = self.line.len() - value.len();
        Ok(Field { json, hex: Some(self.string()?) })
    }

    fn kind(&mut self) -> Result<Kind, Malformed> {
        let string = self.string()?;
        let name = string.get(1..string.len() - 1).and_then(|name| std::str::from_utf8(name).ok());
        match name.and_then(Kind::by_name) {
            Some(kind) => Ok(kind),
            None => Malformed::new(format!("kind {} is unknown", string.escape_ascii())),
        }
    }

    /// A string with its quotation marks.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            let rest = self.line.get(self.at..).unwrap_or_default();
            let Some(quote) = memchr::memchr(b'"', rest) else {
                return Malformed::new(format!("byte {start}: the string does not end"));
            };
            self.at += quote + 1;
            let escapes = rest[..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
            if escapes % 2 == 0 {
                return Ok(&self.line[start..self.at]);
            }
        }
    }

    pub(super) fn number(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if start == self.at {
            return Malformed::new(format!("byte {start}: expected a value"));
        }
        Ok(&self.line[start..self.at])
    }

    fn value(&mut self) -> Result<&'a [u8], Malformed> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{' | b'[') => self.nested(),
            _ => self.number(),
        }
    }

    /// An object or an array, up to its end; what is inside is looked at when it is decoded.
    fn nested(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        let mut depth = 0;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(b'{' | b'[') if depth < DEPTH_MAX => depth += 1,
                Some(b'}' | b']') => depth -= 1,
                Some(b',' | b':' | b'0'..=b'9') => {}
                _ => return Malformed::new(format!("byte {}: not a value", self.at)),
            }
            self.at += 1;
            if depth == 0 {
                return Ok(&self.line[start..self.at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_only_in_one_attribute_are_told_from_all_others() {
        let line = |path: &str, atime: &str, rest: &str| {
            format!(r#"{{"path":"{path}","kind":"file","size":1{atime}{rest},"rules":["r"]}}"#).into_bytes()
        };
        let (one, other) = (r#","atime":"2026-01-01""#, r#","atime":"2026-01-02T00""#);
        let only = |one: &[u8], other: &[u8]| differ_only_in(Attribute::Atime, one, other);
        assert!(only(&line("/a", one, ""), &line("/a", other, "")));
        assert!(only(
            &line("/a", one, r#","xattrs":{"user.a":"b"}"#),
            &line("/a", other, r#","xattrs":{"user.a":"b"}"#)
        ));
        for (a, b) in [
            (line("/a", one, ""), line("/b", other, "")),
            (line("/a", one, ""), line("/a", other, r#","flags":"x""#)),
            (line("/a", one, r#","flags":"y""#), line("/a", other, r#","flags":"x""#)),
            (line("/a", one, ""), line("/a", "", "")),
            // What looks like a time of access, and is a name that somebody has chosen.
            (line("/a", "", r#","xattrs":{"a":"","atime":"x"}"#), line("/a", "", r#","xattrs":{"a":"","atime":"y"}"#)),
            (line(r#"/,\"atime\":\"x"#, "", ""), line(r#"/,\"atime\":\"y"#, "", "")),
        ] {
            assert!(!only(&a, &b), "{} and {}", a.escape_ascii(), b.escape_ascii());
        }
    }
}
