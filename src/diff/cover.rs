//! What the faults of a side leave unknown. In a manifest a fault stands before everything that it may explain.

use std::collections::BTreeMap;

use super::{ancestors::Ancestors, cursor::JoinKey};
use crate::manifest::{
    Attribute, Class,
    attribute::Part,
    json::{Malformed, Raw},
};

/// How many streams or values of one path have faults of their own; beyond, a fault is taken for one of all.
const NAMES_MAX: usize = 4096;

/// A set of [`Part`]s, without [`Part::Name`], which hides nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Parts(pub(super) u8);

impl Parts {
    pub(super) const NONE: Self = Self(0);
    const ENTITY: Self = Self(1);
    const LISTING: Self = Self(2);
    const CONTENT: Self = Self(4);
    const ATTRIBUTES: Self = Self(8);

    /// What a fault says; the whole entity where it says nothing that is known.
    fn of(fault: &Raw<'_>) -> Result<Self, Malformed> {
        let part = fault.get(Attribute::Part).map(|field| field.text()).transpose()?;
        Ok(match part.as_deref().and_then(Part::by_name) {
            Some(Part::Entity) | None => Self::ENTITY,
            Some(Part::Listing) => Self::LISTING,
            Some(Part::Content) => Self::CONTENT,
            Some(Part::Attributes) => Self::ATTRIBUTES,
            Some(Part::Name) => Self::NONE,
        })
    }

    fn any(self, of: &[Self]) -> bool {
        of.iter().any(|part| self.0 & part.0 != 0)
    }

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether they explain that a record lacks the attribute.
    pub(super) fn explain(self, attribute: Attribute) -> bool {
        let content = attribute.is_content();
        // What a link leads to is its content, and an attribute of its inode too.
        let both = matches!(attribute, Attribute::Target | Attribute::ReparseSha256);
        self.any(&[Self::ENTITY])
            || (content || both) && self.any(&[Self::CONTENT])
            || !content && self.any(&[Self::ATTRIBUTES])
    }
}

/// The faults at one path, the last that was met.
#[derive(Debug, Default)]
pub(super) struct Faults {
    path: Vec<u8>,
    whole: Parts,
    named: BTreeMap<Vec<u8>, Parts>,
    /// The first of them that hides something.
    line: Vec<u8>,
}

impl Faults {
    pub(super) fn add(&mut self, key: &JoinKey, line: &[u8]) -> Result<(), Malformed> {
        let parts = Parts::of(&Raw::of(line)?)?;
        if parts == Parts::NONE {
            return Ok(());
        }
        if self.path != key.path {
            self.path.clone_from(&key.path);
            self.whole = Parts::NONE;
            self.named.clear();
            self.line.clear();
        }
        if self.line.is_empty() {
            self.line.extend_from_slice(line);
        }
        if key.name.is_empty() || (self.named.len() >= NAMES_MAX && !self.named.contains_key(&key.name)) {
            self.whole.add(parts);
        } else {
            self.named.entry(key.name.clone()).or_default().add(parts);
        }
        Ok(())
    }

    /// What is unknown about the entity itself.
    pub(super) fn at(&self, key: &JoinKey) -> Parts {
        if self.path != key.path {
            return Parts::NONE;
        }
        // A fault does not tell an unnamed value from its key.
        let mut parts = if key.name.is_empty() { self.whole } else { Parts::NONE };
        parts.add(self.named.get(&key.name).copied().unwrap_or_default());
        parts
    }

    /// The fault that hides the stream or value, if it is missing.
    fn hides(&self, key: &JoinKey) -> Option<&[u8]> {
        let hidden = self.path == key.path
            && (self.at(key).any(&[Parts::ENTITY])
                || self.whole.any(&[Parts::ENTITY, Parts::LISTING, Parts::ATTRIBUTES]));
        hidden.then_some(&self.line)
    }
}

/// What the faults of the new side hide: entities that were not seen, and may yet be there.
#[derive(Debug, Default)]
pub(super) struct Cover {
    here: Faults,
    /// Entities above: `Some` fault hides what is beneath and was not seen; `None` was read in full, so that what
    /// was not seen beneath it is not there.
    above: Ancestors<Option<Vec<u8>>>,
}

impl Cover {
    /// Whether [`Cover::present`] must be told of entities.
    pub(super) fn active(&self) -> bool {
        !self.above.is_empty()
    }

    /// A fault.
    pub(super) fn fault(&mut self, key: &JoinKey, line: &[u8]) -> Result<(), Malformed> {
        self.here.add(key, line)?;
        let hides = key.name.is_empty() && self.here.at(key).any(&[Parts::ENTITY, Parts::LISTING]);
        if hides && !matches!(self.above.nearest(&key.path), Some((len, Some(_))) if len == key.path.len()) {
            self.above.push(&key.path, Some(self.here.line.clone()));
        }
        Ok(())
    }

    /// An entity that was seen.
    pub(super) fn present(&mut self, key: &JoinKey) {
        if !self.active() || !matches!(key.class, Class::File | Class::Key) {
            return;
        }
        let nearest = self.above.nearest(&key.path).map(|(len, _)| len);
        // A level of its own is a fault, which stays.
        if self.active() && nearest != Some(key.path.len()) {
            self.above.push(&key.path, None);
        }
    }

    /// What is unknown about an entity that was seen.
    pub(super) fn parts(&self, key: &JoinKey) -> Parts {
        self.here.at(key)
    }

    /// The fault that hides an entity that was not seen.
    pub(super) fn hides(&mut self, key: &JoinKey) -> Option<&[u8]> {
        if matches!(key.class, Class::Stream | Class::Value)
            && let Some(fault) = self.here.hides(key)
        {
            return Some(fault);
        }
        self.above.nearest(&key.path)?.1.as_deref()
    }
}
