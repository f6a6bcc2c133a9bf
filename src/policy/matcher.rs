//! Which rules take an entity. A walk goes down name by name and asks [`Matcher::child`] at each; what asks about
//! single paths uses [`Matcher::verdict`].

use std::borrow::Cow;

use super::{
    compiled::{Compiled, Role},
    effective::EffectivePolicy,
    entity_path::{EntityPath, Root},
    glob::Segment,
    pattern::Roots,
    rule_set::RuleSet,
    trie::{End, NodeId, Step, Trie},
};
use crate::error::Result;
use crate::text::fold::fold;

/// The name under which an unnamed registry value is matched and shown.
pub(super) const UNNAMED: &[u8] = b"(Default)";

/// What the rules say about one entity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The rules that take the entity.
    pub rules: RuleSet,
    /// The rules that take only the existence of this key, since they name single values of it.
    pub existence: RuleSet,
    /// The rules that would take the entity, but for an exclude.
    pub dropped: RuleSet,
    /// The route by which a rule came here, for [`Matcher::spelled`].
    pub route: Option<usize>,
}

impl Verdict {
    /// Whether the entity is recorded at all.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        !self.rules.is_empty() || !self.existence.is_empty()
    }

    /// All rules whose names belong to the entity.
    #[must_use]
    pub fn all(&self) -> RuleSet {
        self.rules.union(self.existence)
    }
}

/// Where a walk stands: small, free of borrows, good for one [`Matcher`].
#[derive(Debug, Clone)]
pub struct State {
    folds: bool,
    nodes: Vec<NodeId>,
    /// Rules that take this and all beneath, excludes not counted.
    covered: RuleSet,
    /// Rules that take the existence and named values of this key, excludes not counted.
    values: RuleSet,
    /// Rules that drop this and all beneath.
    excluded: RuleSet,
    routes: Vec<RouteState>,
    below: RuleSet,
    verdict: Verdict,
}

/// A walk on a path that a rule spells otherwise: the rule's excludes count for its own spelling too.
#[derive(Debug, Clone)]
struct RouteState {
    route: usize,
    rule: usize,
    /// Where the walk stands by the rule's spelling.
    nodes: Vec<NodeId>,
    excluded: bool,
    covered: bool,
    values: bool,
}

impl State {
    /// What the rules say about the entity that the walk stands at.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether anything beneath this container may be taken, a key's values included. When not, the walk need
    /// not go on.
    #[must_use]
    pub fn may_cover_below(&self) -> bool {
        let routed = self.routes.iter().filter(|on| (on.covered || on.values) && !on.excluded).map(|on| on.rule);
        let taken = self.covered.union(self.values).union(self.below).union(routed.collect());
        !taken.minus(self.excluded).is_empty()
    }

    /// Whether no pattern ends beneath: then [`Matcher::child`] is this very state, whatever the name.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.nodes.is_empty() && self.routes.is_empty() && self.values.is_empty()
    }
}

/// A rule's spelling at the point where its route begins.
#[derive(Debug, Clone)]
struct Departure {
    rule: usize,
    folds: bool,
    nodes: Vec<NodeId>,
    excluded: bool,
    /// The same, if a container is there.
    container_excluded: bool,
}

/// An effective policy, ready to match.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub(super) compiled: Compiled,
    /// The tree of Linux machines: by bytes.
    exact: Trie,
    /// Drives, unplaced volumes and the registry, each behind its root's name: in upper case.
    folding: Trie,
    departures: Vec<Departure>,
    /// Whether any pattern takes containers only.
    tells_containers: bool,
}

impl Matcher {
    /// Takes a policy apart.
    ///
    /// # Errors
    /// [`Error::Policy`](crate::error::Error::Policy) for a pattern that does not parse, which a policy from
    /// [`Policy`](super::Policy) does not have.
    pub fn new(policy: &EffectivePolicy) -> Result<Self> {
        let compiled = Compiled::new(policy)?;
        let tells_containers = compiled.lines.iter().any(|line| line.pattern.container);
        let (exact, folding, departures) = (Trie::new(), Trie::new(), Vec::new());
        let mut matcher = Self { compiled, exact, folding, departures, tells_containers };
        for at in 0..matcher.compiled.lines.len() {
            matcher.add_line(at);
        }
        for (place, route) in matcher.compiled.routes.iter().enumerate() {
            let folds = route.canonical.root.folds();
            let root = route.canonical.root.segment().map(Segment::Literal);
            let names = route.canonical.segments.iter().map(|name| Segment::literal(name, folds));
            let trie = if folds { &mut matcher.folding } else { &mut matcher.exact };
            trie.enter(&root.into_iter().chain(names).collect::<Vec<_>>(), place);
        }
        matcher.departures =
            matcher.compiled.routes.iter().map(|route| matcher.departure(route.rule, &route.spelled)).collect();
        Ok(matcher)
    }

    fn add_line(&mut self, at: usize) {
        let Some(line) = self.compiled.lines.get(at) else { return };
        let limited = self.compiled.limits(line).is_some();
        let end = match (line.role, line.route) {
            (Role::Take(rule), Some(route)) => End::TakeRoute { route, rule, values: limited },
            (Role::Take(rule), None) if limited => End::TakeValues(rule),
            (Role::Take(rule), None) => End::Take(rule),
            (Role::Drop(rule), _) => End::Drop([rule].into_iter().collect()),
            (Role::DropAll, _) => End::Drop(RuleSet::ALL),
        };
        // A compiled line's segments have been parsed before.
        let segments = |folded| line.pattern.segments(folded).unwrap_or_default();
        let glob = |text| Segment::parse(text, true).unwrap_or_else(|_| Segment::any());
        let (by_bytes, roots) = match &line.pattern.roots {
            Roots::Linux => (true, vec![]),
            Roots::Files => (true, vec![glob("?:"), glob("@*")]),
            Roots::Folding => (false, vec![glob("?:"), glob("@*")]),
            Roots::Drives(root) | Roots::Volumes(root) => (false, vec![root.clone()]),
            Roots::Hive(hive) => (false, vec![Segment::Literal(hive.name().into())]),
        };
        if by_bytes {
            self.exact.insert(&segments(false), line.pattern.container, end);
        }
        for root in roots {
            let path = [root].into_iter().chain(segments(true)).collect::<Vec<_>>();
            self.folding.insert(&path, line.pattern.container, end);
        }
    }

    fn departure(&self, rule: usize, spelled: &EntityPath) -> Departure {
        let walk = |container: bool| {
            let (folds, mut step) = self.start(&spelled.root);
            let mut excluded = step.ends.drop.contains(rule);
            let mut names = spelled.segments.iter().peekable();
            while let Some(name) = names.next() {
                step = self.step(folds, &step.nodes, name, container || names.peek().is_some());
                excluded |= step.ends.drop.contains(rule);
            }
            (step.nodes, excluded)
        };
        let (nodes, container_excluded) = walk(true);
        let (_, excluded) = walk(false);
        Departure { rule, folds: spelled.root.folds(), nodes, excluded, container_excluded }
    }

    fn trie(&self, folds: bool) -> &Trie {
        if folds { &self.folding } else { &self.exact }
    }

    fn step(&self, folds: bool, from: &[NodeId], name: &[u8], container: bool) -> Step {
        let name = if folds && !from.is_empty() { fold(name) } else { Cow::Borrowed(name) };
        self.trie(folds).step(from, &name, container)
    }

    fn start(&self, root: &Root) -> (bool, Step) {
        match root.segment() {
            None => (false, self.exact.start()),
            Some(name) => (true, self.folding.step(&self.folding.start().nodes, &name, true)),
        }
    }

    /// Begins a walk at a root.
    #[must_use]
    pub fn root(&self, root: &Root) -> State {
        let (folds, step) = self.start(root);
        self.arrive(folds, step, None, &[], true)
    }

    /// Goes on to a name in the container where the walk stands. `container` says whether the entity is one; for
    /// links, which may stand for one, say yes.
    #[must_use]
    pub fn child(&self, parent: &State, name: &[u8], container: bool) -> State {
        let step = self.step(parent.folds, &parent.nodes, name, container);
        self.arrive(parent.folds, step, Some(parent), name, container)
    }

    /// Whether it matters for [`Matcher::child`] if an entity is a container: it does where a pattern ends with a
    /// separator.
    #[must_use]
    pub fn tells_containers(&self) -> bool {
        self.tells_containers
    }

    /// What the rules say about a value of the key where the walk stands; an unnamed value's name is empty.
    /// Values are a key's entries, as files are a directory's.
    #[must_use]
    pub fn value(&self, key: &State, name: &[u8]) -> Verdict {
        let name = if name.is_empty() { UNNAMED } else { name };
        let state = self.child(key, name, false);
        let folded = fold(name);
        let named = |rule: usize| {
            self.compiled.values.get(rule).is_some_and(|values| values.iter().any(|value| value.matches(&folded)))
        };
        let covered = key.values.union(state.values).iter().filter(|&rule| named(rule)).collect();
        let mut value = State { covered: state.covered.union(covered), values: RuleSet::EMPTY, ..state };
        for on in &mut value.routes {
            let above = key.routes.iter().any(|above| above.route == on.route && above.values);
            on.covered |= (on.values || above) && named(on.rule);
            on.values = false;
        }
        judge(&value)
    }

    fn arrive(&self, folds: bool, step: Step, parent: Option<&State>, name: &[u8], container: bool) -> State {
        let Step { nodes, mut ends } = step;
        let above = parent.map_or([RuleSet::EMPTY; 2], |parent| [parent.covered, parent.excluded]);
        let mut routes = Vec::new();
        for on in parent.iter().flat_map(|parent| &parent.routes) {
            let departed = self.departures.get(on.route).is_some_and(|departure| departure.folds);
            let step = self.step(departed, &on.nodes, name, container);
            let excluded = on.excluded || step.ends.drop.contains(on.rule);
            routes.push(RouteState { nodes: step.nodes, excluded, values: false, ..*on });
        }
        ends.enters.sort_unstable();
        ends.enters.dedup();
        for route in ends.enters {
            let Some(from) = self.departures.get(route) else { continue };
            let excluded = if container { from.container_excluded } else { from.excluded };
            let (rule, nodes) = (from.rule, from.nodes.clone());
            routes.push(RouteState { route, rule, nodes, excluded, covered: false, values: false });
        }
        for (route, values) in ends.routed {
            for on in routes.iter_mut().filter(|on| on.route == route) {
                if values { on.values = true } else { on.covered = true }
            }
        }
        let [covered, excluded] = above;
        let mut state = State {
            folds,
            below: self.trie(folds).below(&nodes),
            nodes,
            covered: covered.union(ends.take),
            values: ends.take_values,
            excluded: excluded.union(ends.drop),
            routes,
            verdict: Verdict::default(),
        };
        state.verdict = judge(&state);
        state
    }

    /// What the rules say about one path; for a registry value, the key's path and the value's name.
    #[must_use]
    pub fn verdict(&self, path: &EntityPath, value: Option<&[u8]>, container: bool) -> Verdict {
        let mut state = self.root(&path.root);
        let mut names = path.segments.iter().peekable();
        while let Some(name) = names.next() {
            state = self.child(&state, name, container || names.peek().is_some() || value.is_some());
        }
        value.map_or(state.verdict, |name| self.value(&state, name))
    }

    /// A rule's own spelling of a path that it came to by a link, for [`Verdict::route`].
    #[must_use]
    pub fn spelled(&self, verdict: &Verdict, path: &EntityPath) -> Option<Vec<u8>> {
        let route = self.compiled.routes.get(verdict.route?)?;
        Some(route.spell(path).to_bytes())
    }
}

/// Takes, less drops.
fn judge(state: &State) -> Verdict {
    let (mut taken, mut existence) = (state.covered, state.values);
    let mut dropped = taken.union(existence).minus(RuleSet::ALL.minus(state.excluded));
    let mut route = None;
    for on in state.routes.iter().filter(|on| on.covered || on.values) {
        if on.excluded || state.excluded.contains(on.rule) {
            dropped.insert(on.rule);
            continue;
        }
        if on.covered {
            taken.insert(on.rule)
        } else {
            existence.insert(on.rule)
        }
        route = Some(route.map_or(on.route, |first: usize| first.min(on.route)));
    }
    let rules = taken.minus(state.excluded);
    let existence = existence.minus(state.excluded).minus(rules);
    Verdict { rules, existence, dropped: dropped.minus(rules).minus(existence), route }
}
