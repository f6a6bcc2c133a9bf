//! All patterns of one kind of path in one tree of segments, walked by one name at a time. A walk stands at a set
//! of nodes; a literal costs one look-up, so the number of patterns hardly matters.

use std::collections::HashMap;

use super::{
    glob::{Glob, Segment},
    rule_set::RuleSet,
};

pub(super) type NodeId = usize;

/// What a pattern does at the node where it ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// Takes the entity and all beneath it.
    Take(usize),
    /// Takes the key's existence and named values.
    TakeValues(usize),
    /// As the two above, by a route.
    TakeRoute { route: usize, rule: usize, values: bool },
    /// Drops the entity and all beneath it from these rules.
    Drop(RuleSet),
}

impl End {
    /// The rule for which something is taken.
    fn takes(self) -> Option<usize> {
        match self {
            Self::Take(rule) | Self::TakeValues(rule) | Self::TakeRoute { rule, .. } => Some(rule),
            Self::Drop(_) => None,
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Node {
    literal: HashMap<Box<[u8]>, NodeId>,
    globs: Vec<(Glob, NodeId)>,
    /// Where `**` leads.
    globstar: Option<NodeId>,
    /// This node stands behind `**`: it stays, whatever the name.
    stays: bool,
    ends: Ends,
    /// Rules for which something beneath this node is taken.
    below: RuleSet,
}

/// What happens at one name.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends {
    pub(super) take: RuleSet,
    pub(super) take_values: RuleSet,
    pub(super) drop: RuleSet,
    /// Patterns that came by a route: route, and whether only values are taken.
    pub(super) routed: Vec<(usize, bool)>,
    /// Routes that lead to this very path.
    pub(super) enters: Vec<usize>,
    /// Patterns with a trailing separator: only where the entity is a container.
    container: Option<Box<Ends>>,
}

impl Ends {
    fn add(&mut self, end: End) {
        match end {
            End::Take(rule) => self.take.insert(rule),
            End::TakeValues(rule) => self.take_values.insert(rule),
            End::TakeRoute { route, values, .. } => self.routed.push((route, values)),
            End::Drop(rules) => self.drop = self.drop.union(rules),
        }
    }

    fn join(&mut self, other: &Self, container: bool) {
        self.take = self.take.union(other.take);
        self.take_values = self.take_values.union(other.take_values);
        self.drop = self.drop.union(other.drop);
        self.routed.extend_from_slice(&other.routed);
        self.enters.extend_from_slice(&other.enters);
        if let Some(more) = other.container.as_deref().filter(|_| container) {
            self.join(more, container);
        }
    }
}

/// The tree. Node 0 is its root.
#[derive(Debug, Clone)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

/// Where a walk stands, and what happened at the name that led there.
#[derive(Debug, Clone, Default)]
pub(super) struct Step {
    pub(super) nodes: Vec<NodeId>,
    pub(super) ends: Ends,
}

impl Trie {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    /// Adds a pattern; case is the caller's matter.
    pub(super) fn insert(&mut self, segments: &[Segment], container: bool, end: End) {
        let mut at = 0;
        for segment in segments {
            if let (Some(rule), Some(node)) = (end.takes(), self.nodes.get_mut(at)) {
                node.below.insert(rule);
            }
            at = self.next(at, segment);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            let ends = &mut node.ends;
            if container { ends.container.get_or_insert_default().add(end) } else { ends.add(end) }
        }
    }

    /// Marks the path to which a route leads.
    pub(super) fn enter(&mut self, segments: &[Segment], route: usize) {
        let at = segments.iter().fold(0, |at, segment| self.next(at, segment));
        if let Some(node) = self.nodes.get_mut(at) {
            node.ends.enters.push(route);
        }
    }

    /// The node behind a segment, made when it is not there yet.
    fn next(&mut self, at: NodeId, segment: &Segment) -> NodeId {
        let fresh = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        let found = match segment {
            Segment::Literal(name) => *node.literal.entry(name.as_slice().into()).or_insert(fresh),
            Segment::Globstar => *node.globstar.get_or_insert(fresh),
            Segment::Glob(glob) => match node.globs.iter().find(|(own, _)| own == glob) {
                Some((_, next)) => *next,
                None => {
                    node.globs.push((glob.clone(), fresh));
                    fresh
                }
            },
        };
        if found == fresh {
            self.nodes.push(Node { stays: *segment == Segment::Globstar, ..Node::default() });
        }
        found
    }

    /// Where every walk begins.
    pub(super) fn start(&self) -> Step {
        let mut step = Step::default();
        self.arrive(0, &mut step, true);
        step
    }

    /// One name further; `name` in upper case where case does not count.
    pub(super) fn step(&self, from: &[NodeId], name: &[u8], container: bool) -> Step {
        let mut step = Step::default();
        for (id, node) in from.iter().filter_map(|&id| Some((id, self.nodes.get(id)?))) {
            if node.stays {
                add(id, &mut step.nodes);
            }
            if let Some(&next) = node.literal.get(name) {
                self.arrive(next, &mut step, container);
            }
            for (_, next) in node.globs.iter().filter(|(glob, _)| glob.matches(name)) {
                self.arrive(*next, &mut step, container);
            }
        }
        step
    }

    fn arrive(&self, id: NodeId, step: &mut Step, container: bool) {
        let Some(node) = self.nodes.get(id) else { return };
        // What no pattern goes on from need not be carried along.
        if node.stays || !node.literal.is_empty() || !node.globs.is_empty() {
            add(id, &mut step.nodes);
        }
        if let Some(next) = node.globstar {
            add(next, &mut step.nodes);
        }
        step.ends.join(&node.ends, container);
    }

    /// Rules for which something may be taken beneath.
    pub(super) fn below(&self, nodes: &[NodeId]) -> RuleSet {
        let below = nodes.iter().filter_map(|&id| self.nodes.get(id)).map(|node| node.below);
        below.fold(RuleSet::EMPTY, RuleSet::union)
    }
}

/// Sets of nodes are small: a list without doubles.
fn add(id: NodeId, nodes: &mut Vec<NodeId>) {
    if !nodes.contains(&id) {
        nodes.push(id);
    }
}
