//! What the faults of a side leave unknown. In a manifest a fault stands before everything that it may explain.

use std::collections::BTreeMap;

use super::{ancestors::Ancestors, cursor::JoinKey};
use crate::manifest::{
    Attribute, AttributeSet, Class,
    attribute::Part,
    json::{Malformed, Raw},
};

/// How many streams or values of one path have faults of their own; beyond, a fault is taken for one of all.
const NAMES_MAX: usize = 4096;

/// How many faults of one path are kept to say why something is missing: hostile paths are long.
const KEPT_MAX: usize = 64;

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

/// What the faults of one entity leave unknown.
#[derive(Debug, Default)]
struct Lost {
    parts: Parts,
    /// The first fault for each part, where there was room to keep it.
    faults: Vec<(Parts, Vec<u8>)>,
}

impl Lost {
    /// Adds a fault; whether it is the first for its part.
    fn add(&mut self, parts: Parts) -> bool {
        let first = !self.parts.any(&[parts]);
        self.parts.add(parts);
        first
    }
}

/// The faults at one path, the last that was met.
#[derive(Debug, Default)]
pub(super) struct Faults {
    path: Vec<u8>,
    whole: Lost,
    named: BTreeMap<Vec<u8>, Lost>,
    /// The first of them that hides something.
    line: Vec<u8>,
    /// Faults that are kept in `whole` and `named`.
    kept: usize,
}

impl Faults {
    pub(super) fn add(&mut self, key: &JoinKey, line: &[u8]) -> Result<(), Malformed> {
        let parts = Parts::of(&Raw::of(line)?)?;
        if parts == Parts::NONE {
            return Ok(());
        }
        if self.path != key.path {
            self.path.clone_from(&key.path);
            self.whole = Lost::default();
            self.named.clear();
            self.line.clear();
            self.kept = 0;
        }
        if self.line.is_empty() {
            self.line.extend_from_slice(line);
        }
        let lost = if key.name.is_empty() || (self.named.len() >= NAMES_MAX && !self.named.contains_key(&key.name)) {
            &mut self.whole
        } else {
            self.named.entry(key.name.clone()).or_default()
        };
        if lost.add(parts) && self.kept < KEPT_MAX {
            lost.faults.push((parts, line.to_vec()));
            self.kept += 1;
        }
        Ok(())
    }

    /// The faults that leave something of the entity itself unknown.
    fn of<'f>(&'f self, key: &JoinKey) -> impl Iterator<Item = &'f Lost> {
        let here = self.path == key.path;
        // A fault does not tell an unnamed value from its key.
        let whole = Some(&self.whole).filter(|_| here && key.name.is_empty());
        whole.into_iter().chain(self.named.get(&key.name).filter(|_| here))
    }

    /// What is unknown about the entity itself.
    pub(super) fn at(&self, key: &JoinKey) -> Parts {
        let mut parts = Parts::NONE;
        self.of(key).for_each(|lost| parts.add(lost.parts));
        parts
    }

    /// The fault that explains why any of these attributes is missing; of very many at one path, the first of all.
    fn reason(&self, key: &JoinKey, missing: AttributeSet) -> Option<&[u8]> {
        let explains = |parts: Parts| missing.iter().any(|attribute| parts.explain(attribute));
        let mut faults = self.of(key).flat_map(|lost| &lost.faults);
        let kept = faults.find(|(parts, _)| explains(*parts)).map(|(_, line)| line.as_slice());
        kept.or_else(|| explains(self.at(key)).then_some(self.line.as_slice()))
    }

    /// The fault that hides the entity itself, if it is missing: any of its own, and for a stream or value one of
    /// the file or key that may have cost it its list of them.
    fn hides(&self, key: &JoinKey) -> Option<&[u8]> {
        let part = matches!(key.class, Class::Stream | Class::Value);
        let hidden = self.path == key.path
            && (self.at(key) != Parts::NONE
                || part && self.whole.parts.any(&[Parts::ENTITY, Parts::LISTING, Parts::ATTRIBUTES]));
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
    /// Faults of whole entities, which hide what is beneath those that were seen too.
    whole: Ancestors<Vec<u8>>,
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
            // This one: a fault of the attributes that stands before it does not say why the listing failed.
            self.above.push(&key.path, Some(line.to_vec()));
        }
        if key.name.is_empty() && self.here.at(key).any(&[Parts::ENTITY]) {
            self.whole.push(&key.path, self.here.line.clone());
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

    /// An entity that was seen, and is another than before. Where the directory above could not be read in full, its
    /// name may be that of another, too: what was beneath the former one is not known to be gone.
    pub(super) fn replaced(&mut self, key: &JoinKey) {
        let fault = match self.above.nearest(&key.path) {
            Some((len, Some(fault))) if len < key.path.len() && key.class == Class::File => fault.clone(),
            _ => return self.present(key),
        };
        self.above.push(&key.path, Some(fault));
    }

    /// What is unknown about an entity that was seen.
    pub(super) fn parts(&self, key: &JoinKey) -> Parts {
        self.here.at(key)
    }

    /// The fault that explains why an entity that was seen lacks any of these attributes.
    pub(super) fn reason(&self, key: &JoinKey, missing: AttributeSet) -> Option<&[u8]> {
        self.here.reason(key, missing)
    }

    /// The fault that hides an entity that was not seen. One that was lost before, as `carried` says, may be what stood
    /// at the place of a directory above that is another since, as [`Cover::replaced`] was told then: it stays lost while
    /// any fault above does.
    pub(super) fn hides(&mut self, key: &JoinKey, carried: bool) -> Option<&[u8]> {
        if let Some(fault) = self.here.hides(key) {
            return Some(fault);
        }
        let Self { above, whole, .. } = self;
        let levels = if carried { usize::MAX } else { 1 };
        let above = above.outward(&key.path).take(levels).find_map(|(_, fault)| fault.as_deref());
        above.or_else(|| whole.nearest(&key.path).map(|(_, fault)| fault.as_slice()))
    }
}
