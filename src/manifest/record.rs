//! A record is what was seen of one entity: a file, a stream, a registry key, a registry value, or a fault.

use std::borrow::Cow;

use super::attribute::{Attribute, Part, Value};
use crate::error::Fault;

/// What an entity is, as the field `kind` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link or a junction.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Another NTFS reparse point.
    Reparse,
    /// A named data stream of a file.
    Stream,
    /// A registry key.
    Key,
    /// A registry value.
    Value,
    /// Something that could not be read.
    Fault,
}

impl Kind {
    const NAMES: [(Self, &'static str); 12] = [
        (Self::File, "file"),
        (Self::Dir, "dir"),
        (Self::Symlink, "symlink"),
        (Self::Char, "char"),
        (Self::Block, "block"),
        (Self::Fifo, "fifo"),
        (Self::Socket, "socket"),
        (Self::Reparse, "reparse"),
        (Self::Stream, "stream"),
        (Self::Key, "key"),
        (Self::Value, "value"),
        (Self::Fault, "fault"),
    ];

    /// Every kind, in order.
    pub const ALL: [Self; 12] = {
        let mut all = [Self::File; 12];
        let mut at = 0;
        while at < all.len() {
            all[at] = Self::NAMES[at].0;
            at += 1;
        }
        all
    };

    /// The name in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// The kind of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(kind, _)| *kind)
    }

    /// The class that entities of this kind belong to.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Stream => Class::Stream,
            Self::Key => Class::Key,
            Self::Value => Class::Value,
            Self::Fault => Class::Fault,
            _ => Class::File,
        }
    }
}

/// The second part of a record's key, in sorting order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A fault, beside or instead of the entity; it stands before what it may explain.
    Fault,
    /// Everything that has a path of its own in a filesystem.
    File,
    /// A named data stream.
    Stream,
    /// A registry key.
    Key,
    /// A registry value.
    Value,
}

/// What was seen of one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The path's exact bytes: from `/` on Linux, `C:\…` in WTF-8 on Windows, `HKLM\…` in WTF-8 for the registry,
    /// `@volume/…` for a volume that nothing places.
    pub path: Vec<u8>,
    /// Name of the stream or of the registry value in WTF-8 (empty: the unnamed value); empty for all else.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Its attributes, in the order of the table, each at most once.
    pub attributes: Vec<(Attribute, Value)>,
}

/// The order of records: path, class, name, then id (of a fault: its text), which only tells apart what has the
/// same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<'a> {
    /// See [`Record::path`].
    pub path: &'a [u8],
    /// See [`Class`].
    pub class: Class,
    /// See [`Record::name`].
    pub name: &'a [u8],
    /// The id, or a fault's text.
    pub id: Cow<'a, str>,
}

impl Record {
    /// A record without attributes.
    #[must_use]
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self { path: path.into(), name: Vec::new(), kind, attributes: Vec::new() }
    }

    /// The record of a fault at `path`, and of the stream or value `name` there.
    #[must_use]
    pub fn fault(path: impl Into<Vec<u8>>, name: impl Into<Vec<u8>>, part: Part, fault: Fault) -> Self {
        let mut record = Self { name: name.into(), ..Self::new(path, Kind::Fault) };
        record.set(Attribute::Layer, Value::Text(fault.layer));
        if !fault.at.is_empty() {
            record.set(Attribute::At, Value::Text(fault.at));
        }
        record.set(Attribute::Error, Value::Text(fault.error));
        record.set(Attribute::Part, Value::Text(part.as_str().to_owned()));
        record
    }

    /// Sets an attribute, keeping the table's order.
    pub fn set(&mut self, attribute: Attribute, value: Value) {
        // Whoever fills a record goes through the table.
        if self.attributes.last().is_none_or(|(last, _)| *last < attribute) {
            self.attributes.push((attribute, value));
            return;
        }
        match self.attributes.binary_search_by_key(&attribute, |(a, _)| *a) {
            Ok(at) => self.attributes[at].1 = value,
            Err(at) => self.attributes.insert(at, (attribute, value)),
        }
    }

    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, attribute: Attribute) -> Option<&Value> {
        let at = self.attributes.binary_search_by_key(&attribute, |(a, _)| *a).ok()?;
        Some(&self.attributes[at].1)
    }

    /// The value of an attribute that is text.
    #[must_use]
    pub fn text(&self, attribute: Attribute) -> Option<&str> {
        match self.get(attribute) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value of an attribute that is a number.
    #[must_use]
    pub fn number(&self, attribute: Attribute) -> Option<u64> {
        match self.get(attribute) {
            Some(Value::Number(number)) => Some(*number),
            _ => None,
        }
    }

    /// The names of the rules that cover the entity.
    #[must_use]
    pub fn rules(&self) -> &[String] {
        match self.get(Attribute::Rules) {
            Some(Value::List(rules)) => rules,
            _ => &[],
        }
    }

    /// Where the record stands among others.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        let text = |attribute| self.text(attribute).unwrap_or_default();
        let id = match self.kind {
            Kind::Fault => {
                Cow::Owned([Attribute::Part, Attribute::Layer, Attribute::At, Attribute::Error].map(text).join("\n"))
            }
            _ => Cow::Borrowed(text(Attribute::Id)),
        };
        Key { path: &self.path, class: self.kind.class(), name: &self.name, id }
    }
}
