//! What the rules of a policy mean for a diff: what is compared, how much it matters, what is in scope.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
};

use super::policy_words::{link_words, words};
use crate::{
    diff::PolicyDiff,
    error::{Error, Result},
    manifest::{Attribute, AttributeSet, Class, Header, Kind, Record, attribute},
    policy::{EffectivePolicy, EntityPath, Matcher, Rule, Verdict},
    severity::Severity,
};

/// A policy, ready to answer by the names of rules.
pub(super) struct Rules {
    rules: Vec<Rule>,
    compared: RefCell<HashMap<Vec<String>, AttributeSet>>,
}

impl Rules {
    /// The rules of both sides: a rule that is gone still says what was compared of what it covered.
    pub(super) fn new(new: &EffectivePolicy, old: Option<&EffectivePolicy>) -> Self {
        let mut rules = new.rules.clone();
        let names: BTreeSet<_> = rules.iter().map(|rule| rule.name.clone()).collect();
        rules.extend(old.into_iter().flat_map(|old| &old.rules).filter(|rule| !names.contains(&rule.name)).cloned());
        Self { rules, compared: RefCell::default() }
    }

    fn named<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(|rule| names.contains(&rule.name))
    }

    /// What is compared of an entity that the rules of these names cover: what any of them compares.
    pub(super) fn compared(&self, names: &[String]) -> AttributeSet {
        if let Some(known) = self.compared.borrow().get(names) {
            return *known;
        }
        let mut set = AttributeSet::default();
        let mut any = false;
        for rule in self.named(names) {
            any = true;
            for row in attribute::TABLE {
                if !rule.compare.selects(row.name, row.compared, row.groups) {
                    continue;
                }
                // What the default leaves out of an attribute is asked for by its own name, not by that of a group.
                match row.partly && !rule.compare.selects(row.name, false, &[]) {
                    true => set.insert(row.attribute),
                    false => set.insert_wholly(row.attribute),
                }
            }
        }
        let set = if any { set } else { AttributeSet::compared() };
        self.compared.borrow_mut().insert(names.to_vec(), set);
        set
    }

    /// Whether any rule compares an attribute that is not compared when nobody asks.
    pub(super) fn any_compares(&self, attribute: Attribute) -> bool {
        let names: Vec<_> = self.rules.iter().map(|rule| rule.name.clone()).collect();
        self.compared(&names).contains(attribute)
    }
}

/// How much an entity matters: the highest severity of the rules that cover it in either policy.
pub(super) struct Severities<'a>(Vec<(&'a EffectivePolicy, Matcher)>);

impl<'a> Severities<'a> {
    pub(super) fn new(old: &'a EffectivePolicy, new: &'a EffectivePolicy) -> Result<Self> {
        // On most nights both are the same, and one answer is enough.
        let other = (old != new).then_some(old);
        [new]
            .into_iter()
            .chain(other)
            .map(|policy| Ok((policy, Matcher::new(policy)?)))
            .collect::<Result<_>>()
            .map(Self)
    }

    pub(super) fn of(&self, record: &Record) -> Severity {
        let Ok(path) = EntityPath::parse(&record.path) else { return Severity::default() };
        let by =
            |(policy, matcher): &(&EffectivePolicy, Matcher)| policy.severity(verdict(matcher, &path, record).all());
        self.0.iter().filter_map(by).max().unwrap_or_default()
    }
}

/// What a policy says about the entity of a record, if it stood at `path`.
fn verdict(matcher: &Matcher, path: &EntityPath, record: &Record) -> Verdict {
    let value = (record.kind.class() == Class::Value).then_some(record.name.as_slice());
    let container = matches!(record.kind, Kind::Dir | Kind::Symlink | Kind::Key | Kind::Stream | Kind::Fault);
    matcher.verdict(path, value, container)
}

/// The effective policy that a manifest was made under.
pub(super) fn of_header(header: &Header, name: &str) -> Result<EffectivePolicy> {
    serde_json::from_value(header.policy.clone())
        .map_err(|error| Error::State(format!("{name}: the policy in its header cannot be read: {error}")))
}

/// What a policy covers.
struct Scope {
    matcher: Matcher,
    /// Whether it is not known which control set is the current one: then each may be.
    any_set: bool,
}

impl Scope {
    fn new(policy: &EffectivePolicy) -> Result<Self> {
        Ok(Self { matcher: Matcher::new(policy)?, any_set: policy.control_set.is_none() })
    }

    fn covers(&self, record: &Record) -> bool {
        let Ok(path) = EntityPath::parse(&record.path) else { return false };
        let current = || path.in_current_control_set().filter(|_| self.any_set);
        let takes = |path: &EntityPath| verdict(&self.matcher, path, record).is_taken();
        takes(&path) || current().is_some_and(|path| takes(&path))
    }
}

/// How two policies differ in what they cover.
pub(super) struct ScopeChange {
    what: Vec<String>,
    /// SHA-256 of what the old policy asks for, and the new one.
    sha256: [String; 2],
    old: Scope,
    new: Scope,
    /// What is new in scope is listed, not only counted: nobody decided that it should be.
    by_links_alone: bool,
}

impl ScopeChange {
    /// `None` when both cover the same.
    pub(super) fn between(old: &EffectivePolicy, new: &EffectivePolicy) -> Result<Option<Self>> {
        let sha256 = [old.fingerprint(), new.fingerprint()];
        let by_links_alone = sha256[0] == sha256[1];
        let new = &if by_links_alone { with_lost_links(old, new) } else { new.clone() };
        let links =
            |policy: &EffectivePolicy| -> Vec<_> { policy.rules.iter().map(|rule| rule.resolved.clone()).collect() };
        // Where it cannot be told what `CurrentControlSet` means, it means what it did, or will.
        let same_set = old.control_set == new.control_set || old.control_set.is_none() || new.control_set.is_none();
        if by_links_alone && links(old) == links(new) && same_set {
            return Ok(None);
        }
        let what = if by_links_alone { link_words(old, new) } else { words(old, new) };
        Ok(Some(Self { what, sha256, old: Scope::new(old)?, new: Scope::new(new)?, by_links_alone }))
    }

    /// Whether the old policy covers an entity.
    pub(super) fn in_old(&self, record: &Record) -> bool {
        self.by_links_alone || self.old.covers(record)
    }

    /// Whether the new policy covers an entity.
    pub(super) fn in_new(&self, record: &Record) -> bool {
        self.new.covers(record)
    }

    /// For the diff.
    pub(super) fn policy_diff<'a>(
        &self,
        old_scope: &'a dyn Fn(&Record) -> bool,
        new_scope: &'a dyn Fn(&Record) -> bool,
    ) -> PolicyDiff<'a> {
        PolicyDiff { what: self.what.clone(), sha256: self.sha256.clone(), old_scope, new_scope }
    }
}

/// The new policy, with those of the old one's links that lead nowhere now. A path that cannot be followed any
/// more, since what is on it is damaged or gone, takes nothing out of scope: what it led to is unreadable or
/// deleted, and that is said.
fn with_lost_links(old: &EffectivePolicy, new: &EffectivePolicy) -> EffectivePolicy {
    let mut widened = new.clone();
    for (at, (before, now)) in old.rules.iter().zip(&new.rules).enumerate() {
        let known: BTreeSet<_> = now.resolved.iter().map(|link| &link.spelled.0).collect();
        let lost = before.resolved.iter().filter(|link| !known.contains(&link.spelled.0));
        lost.for_each(|link| widened.add_link(at, link.clone()));
    }
    widened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_directories_and_all_flags_are_compared_by_a_rule_that_names_them_or_asks_for_all() {
        // Of the size and of the flags: whether anything is compared, and whether all of it.
        for (tokens, size, flags) in [
            (r#"["default"]"#, [true, false], [true, false]),
            (r#"["-owner", "+mtime"]"#, [true, false], [true, false]),
            (r#"["default", "+size"]"#, [true, true], [true, false]),
            (r#"["content"]"#, [true, false], [false, false]),
            (r#"["all", "-content"]"#, [false, false], [true, true]),
            (r#"["default", "+flags"]"#, [true, false], [true, true]),
            (r#"["size"]"#, [true, true], [false, false]),
            (r#"["flags"]"#, [false, false], [true, true]),
            (r#"["all"]"#, [true, true], [true, true]),
            (r#"["all", "-size"]"#, [false, false], [true, true]),
            (r#"["all", "default"]"#, [true, false], [true, false]),
        ] {
            let rule = |name: &str, compare: &str| Rule {
                name: name.to_owned(),
                compare: serde_json::from_str(compare).unwrap(),
                ..Rule::default()
            };
            let rules = vec![rule("one", tokens), rule("plain", r#"["default"]"#)];
            let rules = Rules::new(&EffectivePolicy { rules, ..EffectivePolicy::default() }, None);
            let of = |names: &[&str], attribute| {
                let set = rules.compared(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
                [set.contains(attribute), set.contains_wholly(attribute)]
            };
            assert_eq!((of(&["one"], Attribute::Size), of(&["one"], Attribute::Flags)), (size, flags), "{tokens}");
            // Where rules overlap, the union.
            assert_eq!(of(&["plain", "one"], Attribute::Size), [true, size[1]], "{tokens}");
        }
    }
}
