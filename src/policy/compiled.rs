//! An effective policy with its patterns taken apart: the common ground of the matcher and of `explain`.

use super::{
    effective::{EffectivePolicy, Rule},
    entity_path::{EntityPath, Hive, Root},
    glob::Segment,
    issues::one_line,
    pattern::{Pattern, Place, Roots},
    rule_set::MAX_RULES,
    source::{Entry, Source},
};
use crate::{
    error::{Error, Result},
    text::fold::fold,
};

/// What a pattern does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Takes entities for a rule.
    Take(usize),
    /// Drops entities from a rule.
    Drop(usize),
    /// Drops entities from every rule.
    DropAll,
}

/// A pattern of a policy.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) pattern: Pattern,
    pub(super) role: Role,
    /// The place of the route that this pattern came by, when it is one redirected.
    pub(super) route: Option<usize>,
    pub(super) entry: Entry,
}

/// A rule's own spelling of a path, and where it leads.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) rule: usize,
    pub(super) spelled: EntityPath,
    pub(super) canonical: EntityPath,
}

impl Route {
    /// The rule's spelling of a path beneath the canonical one.
    pub(super) fn spell(&self, path: &EntityPath) -> EntityPath {
        let beneath = path.segments.get(self.canonical.segments.len()..).unwrap_or_default();
        let segments = self.spelled.segments.iter().chain(beneath).cloned().collect();
        EntityPath { root: self.spelled.root.clone(), segments }
    }

    /// Whether a path is the canonical one or beneath it.
    pub(super) fn leads_to(&self, path: &EntityPath) -> bool {
        let folds = path.root.folds();
        let same = |(one, other): (&Vec<u8>, &Vec<u8>)| if folds { fold(one) == fold(other) } else { one == other };
        self.canonical.root.segment() == path.root.segment()
            && self.canonical.segments.len() <= path.segments.len()
            && self.canonical.segments.iter().zip(&path.segments).all(same)
    }
}

/// An effective policy, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    pub(super) lines: Vec<Line>,
    /// In the order of the rules, then of their links.
    pub(super) routes: Vec<Route>,
    /// For each rule the names of values that it is limited to; empty for all.
    pub(super) values: Vec<Vec<Segment>>,
    pub(super) names: Vec<String>,
}

impl Compiled {
    /// # Errors
    /// [`Error::Policy`] for a pattern that does not parse: the policy came from elsewhere than a checked file.
    pub(super) fn new(policy: &EffectivePolicy) -> Result<Self> {
        if policy.rules.len() > MAX_RULES {
            let found = policy.rules.len();
            return Err(Error::Policy(format!("policy: expected at most {MAX_RULES} rules, found {found}")));
        }
        let mut compiled = Self { lines: Vec::new(), routes: Vec::new(), values: Vec::new(), names: Vec::new() };
        let control_set = policy.control_set.as_deref().map(control_set_route);
        compiled.excludes(&policy.exclude, Role::DropAll, control_set.as_ref())?;
        for (at, rule) in policy.rules.iter().enumerate() {
            compiled.rule(at, rule, control_set.as_ref())?;
        }
        Ok(compiled)
    }

    /// The names of values that a pattern is limited to. Files have no values: the paths of such a rule are whole.
    pub(super) fn limits(&self, line: &Line) -> Option<&[Segment]> {
        let Role::Take(rule) = line.role else { return None };
        let values = self.values.get(rule).filter(|values| !values.is_empty())?;
        matches!(line.pattern.roots, Roots::Hive(_)).then_some(values)
    }

    fn rule(&mut self, at: usize, rule: &Rule, control_set: Option<&Route>) -> Result<()> {
        self.names.push(rule.name.clone());
        let value =
            |entry: &Entry| Segment::parse(&entry.text, true).map_err(|what| wrong(&entry.source, "values", &what));
        self.values.push(rule.values.iter().map(value).collect::<Result<_>>()?);
        self.excludes(&rule.exclude, Role::Drop(at), control_set)?;
        let first = self.lines.len();
        self.take(&rule.paths, at, "paths", Place::Paths)?;
        self.take(&rule.registry, at, "registry", Place::Registry)?;
        let own = self.lines.get(first..).unwrap_or_default().to_vec();
        let mut routes = control_set.iter().map(|&route| Route { rule: at, ..route.clone() }).collect::<Vec<_>>();
        for link in &rule.resolved {
            let parse =
                |path: &[u8]| EntityPath::parse(path).map_err(|error| Error::Policy(one_line(&error.to_string())));
            let (spelled, canonical) = (parse(&link.spelled.0)?, parse(&link.canonical.0)?);
            routes.push(Route { rule: at, spelled, canonical });
        }
        for route in routes {
            let place = self.routes.len();
            let redirected = own.iter().filter_map(|line| {
                let pattern = line.pattern.redirected(&route.spelled, &route.canonical)?;
                Some(Line { pattern, route: Some(place), ..line.clone() })
            });
            self.lines.extend(redirected.collect::<Vec<_>>());
            if self.lines.last().is_some_and(|line| line.route == Some(place)) {
                self.routes.push(route);
            }
        }
        Ok(())
    }

    fn take(&mut self, entries: &[Entry], rule: usize, field: &str, place: Place) -> Result<()> {
        for entry in entries {
            let pattern = Pattern::parse(&entry.text, place).map_err(|what| wrong(&entry.source, field, &what))?;
            self.lines.push(Line { pattern, role: Role::Take(rule), route: None, entry: entry.clone() });
        }
        Ok(())
    }

    /// Excludes never follow the links of an image: whoever owns the image could make them hide anything.
    /// `CurrentControlSet` is a name that Windows itself resolves, and they follow it.
    fn excludes(&mut self, entries: &[Entry], role: Role, control_set: Option<&Route>) -> Result<()> {
        for entry in entries {
            let pattern =
                Pattern::parse(&entry.text, Place::Either).map_err(|what| wrong(&entry.source, "exclude", &what))?;
            let there = control_set.and_then(|route| pattern.redirected(&route.spelled, &route.canonical));
            for pattern in there.into_iter().chain([pattern]) {
                self.lines.push(Line { pattern, role, route: None, entry: entry.clone() });
            }
        }
        Ok(())
    }
}

fn wrong(source: &Source, field: &str, what: &str) -> Error {
    Error::Policy(one_line(&format!("{source}: {field}: {what}")))
}

/// `HKLM\SYSTEM\CurrentControlSet` is a link that the kernel makes at boot; it is not on disk.
fn control_set_route(control_set: &str) -> Route {
    let at = |name: &str| EntityPath {
        root: Root::Hive(Hive::LocalMachine),
        segments: vec![b"SYSTEM".to_vec(), name.as_bytes().to_vec()],
    };
    Route { rule: 0, spelled: at("CurrentControlSet"), canonical: at(control_set) }
}
