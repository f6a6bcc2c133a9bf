//! One side of the merge: the current line, and what it is about once that is asked for.

use crate::{
    error::Result,
    manifest::{Class, Kind, Reader, json::Head},
};

/// What two records are joined by; the order is that of manifests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JoinKey {
    pub(super) path: Vec<u8>,
    pub(super) class: Class,
    pub(super) name: Vec<u8>,
}

impl JoinKey {
    /// A key that stands before all others.
    pub(super) fn first() -> Self {
        Self { path: Vec::new(), class: Class::Fault, name: Vec::new() }
    }

    /// Becomes another key, keeping its memory.
    pub(super) fn assign(&mut self, other: &Self) {
        self.path.clone_from(&other.path);
        self.class = other.class;
        self.name.clone_from(&other.name);
    }
}

/// A reader and its current line.
#[derive(Debug)]
pub(super) struct Cursor {
    reader: Reader,
    live: bool,
    key: JoinKey,
    keyed: bool,
}

impl Cursor {
    /// Stands at the first line.
    pub(super) fn new(reader: Reader) -> Result<Self> {
        let mut cursor = Self { reader, live: false, key: JoinKey::first(), keyed: false };
        cursor.advance()?;
        Ok(cursor)
    }

    pub(super) fn advance(&mut self) -> Result<()> {
        self.live = self.reader.advance()?;
        self.keyed = false;
        Ok(())
    }

    /// Whether there is a current line.
    pub(super) fn live(&self) -> bool {
        self.live
    }

    pub(super) fn line(&self) -> &[u8] {
        self.reader.line()
    }

    pub(super) fn kind(&self) -> Result<Kind> {
        Ok(Head::of(self.line()).map_err(|malformed| self.reader.malformed(malformed))?.kind)
    }

    /// What the current line is about; `None` behind the last.
    pub(super) fn key(&mut self) -> Result<Option<&JoinKey>> {
        if !self.live {
            return Ok(None);
        }
        if !self.keyed {
            let (reader, key) = (&self.reader, &mut self.key);
            key.path.clear();
            key.name.clear();
            Head::of(reader.line())
                .and_then(|head| {
                    key.class = head.kind.class();
                    head.path(&mut key.path)?;
                    head.name(&mut key.name)
                })
                .map_err(|malformed| reader.malformed(malformed))?;
            self.keyed = true;
        }
        Ok(Some(&self.key))
    }

    /// Whether the current line is about that key.
    pub(super) fn is_at(&mut self, key: &JoinKey) -> Result<bool> {
        Ok(self.key()? == Some(key))
    }
}
