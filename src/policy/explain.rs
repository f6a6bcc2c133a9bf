//! Why a path is taken or dropped: every pattern that reaches it, one at a time, with the line it stands on.

use super::{
    compiled::{Compiled, Line, Role},
    entity_path::EntityPath,
    matcher::Matcher,
    pattern::Reach,
    source::Source,
};
use crate::text::fold::fold;

/// What a pattern does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Takes it.
    Takes,
    /// Takes the existence of a key, since the rule names single values of it.
    TakesExistence,
    /// Drops it, whatever takes it.
    Drops,
}

/// One pattern that reaches a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What it does.
    pub effect: Effect,
    /// The place of its rule in the effective policy; `None` for an exclude of every rule.
    pub rule: Option<usize>,
    /// The rule's name.
    pub name: Option<String>,
    /// The pattern as written.
    pub pattern: String,
    /// The line on which it is written.
    pub source: Source,
    /// Whether the pattern names the path or one of the containers above it.
    pub reach: Reach,
    /// The rule's own spelling, when it came here by a link. A reason to drop that has one holds only for
    /// entities that were taken by the same spelling.
    pub spelled: Option<Vec<u8>>,
}

impl Matcher {
    /// Every pattern that reaches a path, in the order of the policy; for a registry value, the key's path and
    /// the value's name. Where one of them drops, excludes win.
    #[must_use]
    pub fn explain(&self, path: &EntityPath, value: Option<&[u8]>, container: bool) -> Vec<Reason> {
        let compiled = &self.compiled;
        let asked = Asked { path, value, container };
        let mut reasons = Vec::new();
        for line in &compiled.lines {
            let Some((effect, reach)) = asked.effect(compiled, line) else { continue };
            let route = line.route.and_then(|route| compiled.routes.get(route));
            reasons.push(Reason::new(compiled, line, effect, reach, route.map(|route| route.spell(path))));
        }
        // By its own spelling of the same path, a rule's route is subject to its excludes too.
        for route in compiled.routes.iter().filter(|route| route.leads_to(path)) {
            let spelled = route.spell(path);
            // A root is a container, whatever leads to it.
            let asked = Asked { path: &spelled, container: container || path.segments.is_empty(), value };
            let drops = |line: &&Line| line.role == Role::DropAll || line.role == Role::Drop(route.rule);
            for line in compiled.lines.iter().filter(drops) {
                let Some((effect, reach)) = asked.effect(compiled, line) else { continue };
                reasons.push(Reason::new(compiled, line, effect, reach, Some(spelled.clone())));
            }
        }
        reasons
    }
}

impl Reason {
    fn new(compiled: &Compiled, line: &Line, effect: Effect, reach: Reach, spelled: Option<EntityPath>) -> Self {
        let rule = match line.role {
            Role::Take(rule) | Role::Drop(rule) => Some(rule),
            Role::DropAll => None,
        };
        Self {
            effect,
            rule,
            name: rule.and_then(|rule| compiled.names.get(rule).cloned()),
            pattern: line.entry.text.clone(),
            source: line.entry.source.clone(),
            reach,
            spelled: spelled.map(|path| path.to_bytes()),
        }
    }
}

/// What is asked about.
#[derive(Clone, Copy)]
struct Asked<'a> {
    path: &'a EntityPath,
    value: Option<&'a [u8]>,
    container: bool,
}

impl Asked<'_> {
    /// What a pattern does, and how it reaches what is asked about.
    fn effect(self, compiled: &Compiled, line: &Line) -> Option<(Effect, Reach)> {
        let key = line.pattern.reach(self.path, self.container || self.value.is_some());
        let entry = self.value.map(|value| {
            let name = if value.is_empty() { super::matcher::UNNAMED } else { value };
            let mut path = self.path.clone();
            path.segments.push(name.to_vec());
            (line.pattern.reach(&path, false), fold(name).into_owned())
        });
        if !matches!(line.role, Role::Take(_)) {
            let reach = entry.map_or(key, |(reach, _)| reach)?;
            return Some((Effect::Drops, reach));
        }
        let wanted = compiled.limits(line);
        match (wanted, entry) {
            (None, None) => Some((Effect::Takes, key?)),
            (None, Some((reach, _))) => Some((Effect::Takes, reach?)),
            (Some(_), None) => Some((Effect::TakesExistence, key.filter(|reach| *reach == Reach::Names)?)),
            (Some(values), Some((reach, name))) => {
                let exact = [key, reach].contains(&Some(Reach::Names));
                (exact && values.iter().any(|value| value.matches(&name))).then_some((Effect::Takes, Reach::Names))
            }
        }
    }
}
