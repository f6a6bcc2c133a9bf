//! A set of attributes, as rules and comparisons use them.

use super::attribute::{Attribute, TABLE};

/// A set of attributes: one bit for each row of the table. Of those that are compared in part unless a rule says
/// otherwise ([`Row::partly`](super::attribute::Row::partly)), a second bit says that all of it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AttributeSet {
    any: u64,
    wholly: u64,
}

const _: () = assert!(TABLE.len() <= 64, "an AttributeSet has 64 bits");

impl AttributeSet {
    /// No attribute.
    pub const EMPTY: Self = Self { any: 0, wholly: 0 };

    /// What a diff compares unless a rule says otherwise.
    #[must_use]
    pub fn compared() -> Self {
        TABLE.iter().filter(|row| row.compared).map(|row| row.attribute).collect()
    }

    /// What a policy's `compare` means by a name: `default`, an attribute, or a group of them.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "default" {
            return Some(Self::compared());
        }
        let mut set = Self::EMPTY;
        for row in TABLE {
            match row.name == name {
                true => set.insert_wholly(row.attribute),
                false if row.groups.contains(&name) => set.insert(row.attribute),
                false => {}
            }
        }
        (!set.is_empty()).then_some(set)
    }

    /// Adds an attribute; of one that is compared in part by default, that part.
    pub fn insert(&mut self, attribute: Attribute) {
        self.any |= 1 << attribute as u32;
    }

    /// Adds an attribute, and all of it.
    pub fn insert_wholly(&mut self, attribute: Attribute) {
        self.insert(attribute);
        self.wholly |= 1 << attribute as u32;
    }

    /// Takes an attribute out.
    pub fn remove(&mut self, attribute: Attribute) {
        *self = self.minus(Self::from_iter([attribute]));
    }

    /// Whether the attribute is in the set.
    #[must_use]
    pub fn contains(self, attribute: Attribute) -> bool {
        self.any & (1 << attribute as u32) != 0
    }

    /// Whether all of the attribute is in the set.
    #[must_use]
    pub fn contains_wholly(self, attribute: Attribute) -> bool {
        self.wholly & (1 << attribute as u32) != 0
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { any: self.any | other.any, wholly: self.wholly | other.wholly }
    }

    /// The attributes of this set of which the other has nothing.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { any: self.any & !other.any, wholly: self.wholly & !other.any }
    }

    /// Whether it has no attribute.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.any == 0
    }

    /// Which attributes there are, as a number: one bit for each row.
    pub(crate) fn bits(self) -> u64 {
        self.any
    }

    /// The set of that number.
    pub(crate) fn of_bits(bits: u64) -> Self {
        Self { any: bits, wholly: 0 }
    }

    /// Its attributes, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Attribute> {
        TABLE.iter().map(|row| row.attribute).filter(move |attribute| self.contains(*attribute))
    }
}

impl FromIterator<Attribute> for AttributeSet {
    fn from_iter<I: IntoIterator<Item = Attribute>>(attributes: I) -> Self {
        let mut set = Self::EMPTY;
        attributes.into_iter().for_each(|attribute| set.insert(attribute));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_groups_stand_for_attributes() {
        let owner = AttributeSet::named("owner").unwrap();
        assert!(owner.contains(Attribute::Uid) && owner.contains(Attribute::User));
        assert_eq!(AttributeSet::named("mtime").unwrap().iter().collect::<Vec<_>>(), [Attribute::Mtime]);
        assert_eq!(AttributeSet::named("nonsense"), None);
        let default = AttributeSet::named("default").unwrap();
        assert!(default.contains(Attribute::Sha256) && !default.contains(Attribute::Mtime));
        assert!(!default.minus(owner).contains(Attribute::Uid));
    }

    #[test]
    fn a_name_stands_for_all_of_an_attribute_and_the_default_for_a_part() {
        let default = AttributeSet::compared();
        let content = AttributeSet::named("content").unwrap();
        assert!(content.contains(Attribute::Size) && !content.contains_wholly(Attribute::Size));
        for (name, attribute) in [("size", Attribute::Size), ("flags", Attribute::Flags)] {
            let named = AttributeSet::named(name).unwrap();
            assert!(default.contains(attribute) && !default.contains_wholly(attribute));
            assert!(named.contains(attribute) && default.union(named).contains_wholly(attribute), "{name}");
            assert!(!named.minus(default).contains_wholly(attribute), "{name}");
        }
    }
}
