//! A policy as a user writes it, with the built-in profiles that it names.

use super::{
    document::{Author, Document, Monitor, Reader},
    effective::EffectivePolicy,
    glob::Segment,
    issues::{Issues, one_line},
    nearest::or_nearest,
    pattern::{Pattern, Place},
    profile,
    rule_set::MAX_RULES,
    source::{Entry, Source},
};
use crate::error::{Error, Result};

/// What is monitored on all machines.
#[derive(Debug, Clone)]
pub struct Policy {
    /// What the user wrote.
    own: Document,
    /// The names of the profiles, also of those that others include; each once.
    profiles: Vec<String>,
    /// The profiles' rules without what is disabled.
    built_in: Vec<Monitor>,
}

impl Policy {
    /// Reads a policy. `name` is what messages call it; `known` are the names of the attributes that a rule can
    /// compare, and of their groups.
    ///
    /// # Errors
    /// [`Error::Policy`] with everything that is wrong, one a line: `policy.toml:12: paths: expected …, found …`.
    pub fn parse(text: &str, name: &str, known: &[&str]) -> Result<Self> {
        let mut reader = Reader { issues: Issues::new(name, text), known, author: Author::User };
        let own = reader.read(text);
        Self::assemble(own, reader.issues)
    }

    /// A built-in profile and nothing else.
    ///
    /// # Errors
    /// [`Error::Policy`] when there is no such profile.
    pub fn built_in(name: &str) -> Result<Self> {
        let profiles = vec![Entry { text: name.to_owned(), source: Source { name: "policy".into(), line: 0 } }];
        Self::assemble(Document { profiles, ..Document::default() }, Issues::new("policy", ""))
    }

    /// The same policy with more built-in profiles beside its own.
    ///
    /// # Errors
    /// [`Error::Policy`] when there is no such profile.
    pub fn with_profiles(self, names: &[&str]) -> Result<Self> {
        let source = Source { name: "policy".into(), line: 0 };
        let mut own = self.own;
        own.profiles.extend(names.iter().map(|&name| Entry { text: name.to_owned(), source: source.clone() }));
        Self::assemble(own, Issues::new("policy", ""))
    }

    /// Joins what the user wrote with the profiles that it names.
    fn assemble(own: Document, mut issues: Issues) -> Result<Self> {
        let mut policy = Self { own, profiles: Vec::new(), built_in: Vec::new() };
        let mut known = true;
        for entry in policy.own.profiles.clone() {
            if !policy.include(&entry.text)? {
                let what = format!(
                    "expected one of {}, found \"{}\"{}",
                    profile::NAMES.join(", "),
                    entry.text,
                    or_nearest(&entry.text, profile::NAMES.into_iter())
                );
                issues.add(&entry.source, "profiles", &what);
                known = false;
            }
        }
        if known {
            policy.disable(&mut issues);
        }
        if policy.built_in.is_empty() && policy.own.monitors.is_empty() && issues.is_empty() {
            // Where all that profiles take is disabled, it is that which is wrong.
            let source =
                policy.own.disable.first().map_or_else(|| issues.source(&(0..0)), |entry| entry.source.clone());
            issues.add(&source, "monitor", "expected profiles or a [[monitor]], found nothing to monitor");
        }
        issues.into_result()?;
        Ok(policy)
    }

    /// Adds a profile and those that it includes; whether there is one of that name.
    fn include(&mut self, name: &str) -> Result<bool> {
        if self.profiles.iter().any(|known| known == name) {
            return Ok(true);
        }
        let Some(document) = profile::load(name)? else { return Ok(false) };
        // Noted first: a profile that included itself would otherwise never end.
        self.profiles.push(name.to_owned());
        for included in &document.profiles {
            self.include(&included.text)?;
        }
        self.built_in.extend(document.monitors);
        Ok(true)
    }

    /// Takes out what the user does not want of the profiles.
    fn disable(&mut self, issues: &mut Issues) {
        for unwanted in &self.own.disable {
            let Ok(pattern) = Pattern::parse(&unwanted.text, Place::Either) else { continue };
            let keep = |entry: &Entry| {
                Pattern::parse(&entry.text, Place::Either).is_ok_and(|other| !other.same_place(&pattern))
            };
            let mut found = false;
            for Monitor { rule, .. } in &mut self.built_in {
                let before = rule.paths.len() + rule.registry.len();
                rule.paths.retain(keep);
                rule.registry.retain(keep);
                found |= rule.paths.len() + rule.registry.len() < before;
            }
            if !found {
                let entries = self.built_in.iter().flat_map(|m| m.rule.paths.iter().chain(&m.rule.registry));
                let near = or_nearest(&unwanted.text, entries.map(|entry| entry.text.as_str()));
                let of = if self.profiles.is_empty() { "a profile".into() } else { self.profiles.join(", ") };
                issues.add(
                    &unwanted.source,
                    "disable",
                    &format!("expected an entry of {of}, found \"{}\"{near}", unwanted.text),
                );
            }
        }
        self.built_in.retain(|monitor| !monitor.rule.paths.is_empty() || !monitor.rule.registry.is_empty());
    }

    /// The names of the rules that are not for a machine, in order; for the empty name, of those that are for some
    /// machines only.
    pub fn names_not_for(&self, machine: &str) -> impl Iterator<Item = &str> {
        let monitors = self.own.monitors.iter().filter(move |monitor| !is_for(monitor, machine));
        monitors.map(|monitor| monitor.rule.name.as_str())
    }

    /// What holds for one machine, by its name; for the empty name, what holds for every machine.
    ///
    /// # Errors
    /// [`Error::Policy`] when more than [`MAX_RULES`] rules apply to it.
    pub fn for_machine(&self, machine: &str) -> Result<EffectivePolicy> {
        let monitors = self.built_in.iter().chain(&self.own.monitors).filter(|monitor| is_for(monitor, machine));
        let rules = monitors.map(|monitor| monitor.rule.clone()).collect::<Vec<_>>();
        if let Some(first) = rules.get(MAX_RULES) {
            let source = first.paths.iter().chain(&first.registry).map(|entry| &entry.source).next();
            let source = source.cloned().unwrap_or_default();
            let on = if machine.is_empty() { String::new() } else { format!(" for the machine {machine}") };
            let found = rules.len();
            return Err(Error::Policy(one_line(&format!(
                "{source}: monitor: expected at most {MAX_RULES} rules{on}, those of profiles included, found {found}"
            ))));
        }
        Ok(EffectivePolicy {
            profiles: self.profiles.clone(),
            rules,
            exclude: self.own.exclude.clone(),
            accept: self.own.accept.clone(),
            control_set: None,
        })
    }
}

/// Whether a rule is for a machine.
fn is_for(monitor: &Monitor, machine: &str) -> bool {
    let is = |glob: &Entry| Segment::parse(&glob.text, false).is_ok_and(|glob| glob.matches(machine.as_bytes()));
    monitor.machines.is_empty() || monitor.machines.iter().any(is)
}
