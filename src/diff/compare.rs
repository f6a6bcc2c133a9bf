//! Which of the compared attributes differ between two records of an entity.

use std::{cmp::Ordering, collections::HashMap, iter::Peekable};

use super::cover::Parts;
use crate::manifest::{
    Attribute, AttributeSet, Kind, Record,
    json::{Field, Malformed, Raw},
};

/// How many lists of rules are remembered with what they compare.
const MEMO_MAX: usize = 4096;

/// Inode flags that say how a file lies on disk, by `lsattr`'s long names: not compared where nobody asks.
const MASKED_FLAGS: [&str; 4] = ["extents", "indexed_directory", "inline_data", "huge_file"];

/// What rules compare.
pub(super) struct Compared<'a> {
    of: &'a dyn Fn(&[String]) -> AttributeSet,
    memo: HashMap<Vec<u8>, AttributeSet>,
}

impl<'a> Compared<'a> {
    pub(super) fn new(of: &'a dyn Fn(&[String]) -> AttributeSet) -> Self {
        Self { of, memo: HashMap::new() }
    }

    /// What is compared of an entity: what any rule of either side compares.
    pub(super) fn of(&mut self, old: &Raw<'_>, new: &Raw<'_>) -> Result<AttributeSet, Malformed> {
        let [old, new] = [old, new].map(|side| side.get(Attribute::Rules));
        let set = self.of_rules(old)?;
        if old == new { Ok(set) } else { Ok(set.union(self.of_rules(new)?)) }
    }

    fn of_rules(&mut self, rules: Option<Field<'_>>) -> Result<AttributeSet, Malformed> {
        let json = rules.map(|field| field.json).unwrap_or_default();
        if let Some(set) = self.memo.get(json) {
            return Ok(*set);
        }
        let set = (self.of)(&rules.map(Field::list).transpose()?.unwrap_or_default());
        if self.memo.len() >= MEMO_MAX {
            self.memo.clear();
        }
        self.memo.insert(json.to_vec(), set);
        Ok(set)
    }
}

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    /// Compared attributes that differ.
    pub(super) fields: AttributeSet,
    /// Compared attributes that the old record has and the new one cannot have because of a fault.
    pub(super) missing: AttributeSet,
    /// Whether the kind differs.
    pub(super) kind: bool,
}

impl Comparison {
    pub(super) fn is_change(&self) -> bool {
        self.kind || !self.fields.is_empty()
    }
}

/// Compares two records of an entity, of which each side's faults leave parts unknown.
pub(super) fn compare(old: (&Raw<'_>, Parts), new: (&Raw<'_>, Parts), set: AttributeSet) -> Comparison {
    let mut comparison = Comparison { kind: old.0.head.kind != new.0.head.kind, ..Comparison::default() };
    // What another kind of entity lacks is no fault's doing.
    let explain = |parts: Parts, attribute| !comparison.kind && parts.explain(attribute);
    let directory = [old.0, new.0].iter().any(|side| side.head.kind == Kind::Dir);
    let [old_hash, new_hash] = [old.0, new.0].map(|side| side.get(Attribute::SdSha256));
    let same_descriptor = old_hash.is_some() && old_hash == new_hash;
    let (mut fields, mut missing) = (AttributeSet::EMPTY, AttributeSet::EMPTY);
    for (attribute, old_field, new_field) in both(&old.0.attributes, &new.0.attributes) {
        let in_part = !set.contains_wholly(attribute);
        if !set.contains(attribute) || (in_part && directory && attribute == Attribute::Size) {
            continue;
        }
        let masked = in_part && attribute == Attribute::Flags;
        match (old_field, new_field) {
            (Some(old), Some(new)) if old == new => {}
            (None, Some(_)) if explain(old.1, attribute) => {}
            (Some(_), None) if explain(new.1, attribute) => missing.insert(attribute),
            (old, new) if masked && equal_flags(old, new) => {}
            // A text that is too long is not kept: whether it differs, the hash says.
            (None, Some(_)) | (Some(_), None) if attribute == Attribute::Sddl && same_descriptor => {}
            _ => fields.insert(attribute),
        }
    }
    let is_kept = [old.0, new.0].iter().any(|side| side.get(Attribute::Sddl).is_some());
    if set.contains(Attribute::Sddl) && !is_kept && old_hash.is_some() && new_hash.is_some() && !same_descriptor {
        fields.insert(Attribute::SdSha256);
    }
    (comparison.fields, comparison.missing) = (fields, missing);
    comparison
}

/// The last good record of an entity that can be read in part: what was read, and of the rest what was known.
pub(super) fn overlay(old: &Raw<'_>, new: &Raw<'_>, parts: Parts) -> Result<Record, Malformed> {
    let mut record = new.decode()?;
    for (attribute, value) in old.decode()?.attributes {
        if record.get(attribute).is_none() && parts.explain(attribute) {
            record.set(attribute, value);
        }
    }
    Ok(record)
}

fn equal_flags(old: Option<Field<'_>>, new: Option<Field<'_>>) -> bool {
    let shown = |flags: Option<Field<'_>>| -> Vec<String> {
        let text = flags.and_then(|field| field.text().ok()).unwrap_or_default().to_ascii_lowercase();
        text.split(',').filter(|flag| !flag.is_empty() && !MASKED_FLAGS.contains(flag)).map(str::to_owned).collect()
    };
    shown(old) == shown(new)
}

type Attributes<'a> = Vec<(Attribute, Field<'a>)>;

/// The attributes of both sides, in the order of the table.
fn both<'a, 'l: 'a>(
    old: &'a Attributes<'l>,
    new: &'a Attributes<'l>,
) -> impl Iterator<Item = (Attribute, Option<Field<'l>>, Option<Field<'l>>)> + 'a {
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let old = take(&mut old, order != Ordering::Greater);
        let new = take(&mut new, order != Ordering::Less);
        let attribute = old.or(new)?.0;
        Some((attribute, old.map(|(_, field)| field), new.map(|(_, field)| field)))
    })
}

fn take<'a, 'l: 'a>(
    side: &mut Peekable<impl Iterator<Item = &'a (Attribute, Field<'l>)>>,
    wanted: bool,
) -> Option<(Attribute, Field<'l>)> {
    if wanted { side.next().copied() } else { None }
}
