//! A set of attributes, as rules and comparisons use them.

use super::attribute::{Attribute, TABLE};

/// A set of attributes: one bit for each row of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AttributeSet(u64);

const _: () = assert!(TABLE.len() <= 64, "an AttributeSet has 64 bits");

impl AttributeSet {
    /// No attribute.
    pub const EMPTY: Self = Self(0);

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
        let set: Self = TABLE
            .iter()
            .filter(|row| row.name == name || row.groups.contains(&name))
            .map(|row| row.attribute)
            .collect();
        (!set.is_empty()).then_some(set)
    }

    /// Adds an attribute.
    pub fn insert(&mut self, attribute: Attribute) {
        self.0 |= 1 << attribute as u32;
    }

    /// Takes an attribute out.
    pub fn remove(&mut self, attribute: Attribute) {
        self.0 &= !(1 << attribute as u32);
    }

    /// Whether the attribute is in the set.
    #[must_use]
    pub fn contains(self, attribute: Attribute) -> bool {
        self.0 & (1 << attribute as u32) != 0
    }

    /// What is in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it has no attribute.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As a number, one bit for each row.
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// The set of that number.
    pub(crate) fn of_bits(bits: u64) -> Self {
        Self(bits)
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
}
