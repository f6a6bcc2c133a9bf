//! Trees that change at random, the scans of them, and what a reader of the changes would believe.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, sample::Index};
use snapfim::{
    diff::{Change, ChangeKind},
    manifest::{Attribute, AttributeSet, Class, Kind, Record, attribute::Part, json::encode},
};

use crate::support::{compared, dir, fault, file, stream, text, with};

#[derive(Debug, Clone)]
struct Node {
    id: u32,
    /// `None` for a directory.
    content: Option<u8>,
    mode: u8,
    stream: Option<u8>,
}

#[derive(Debug, Clone, Default)]
struct Tree {
    /// By path; the root, `/`, is always there.
    nodes: BTreeMap<String, Node>,
    next_id: u32,
    /// Whether the filesystem has ids at all.
    ids: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Create { at: Index, name: &'static str, content: Option<u8>, stream: Option<u8> },
    Delete { at: Index },
    Rename { at: Index, to: Index, name: &'static str },
    Link { at: Index, to: Index, name: &'static str },
    Write { at: Index, content: u8 },
    Replace { at: Index },
    Mode { at: Index, mode: u8 },
}

/// Names that sort around the separator.
const NAMES: [&str; 5] = ["a", "a-", "a0", "b", "\u{e9}"];

fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(NAMES.to_vec());
    let at = any::<Index>;
    prop_oneof![
        6 => (at(), name(), prop::option::of(0u8..4), prop::option::weighted(0.3, 0u8..3))
            .prop_map(|(at, name, content, stream)| Step::Create { at, name, content, stream }),
        1 => at().prop_map(|at| Step::Delete { at }),
        3 => (at(), at(), name()).prop_map(|(at, to, name)| Step::Rename { at, to, name }),
        1 => (at(), at(), name()).prop_map(|(at, to, name)| Step::Link { at, to, name }),
        1 => (at(), 0u8..9).prop_map(|(at, content)| Step::Write { at, content }),
        1 => at().prop_map(|at| Step::Replace { at }),
        1 => (at(), 0u8..3).prop_map(|(at, mode)| Step::Mode { at, mode }),
    ]
}

fn join(dir: &str, name: &str) -> String {
    if dir == "/" { format!("/{name}") } else { format!("{dir}/{name}") }
}

fn is_beneath(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/') || (dir == "/" && !rest.is_empty()))
}

impl Tree {
    fn paths(&self, dirs: bool) -> Vec<String> {
        let wanted = |node: &Node| !dirs || node.content.is_none();
        self.nodes.iter().filter(|(_, node)| wanted(node)).map(|(path, _)| path.clone()).collect()
    }

    fn any(&self, at: &Index) -> Option<String> {
        let paths: Vec<_> = self.paths(false).into_iter().filter(|path| path != "/").collect();
        (!paths.is_empty()).then(|| at.get(&paths).clone())
    }

    fn place(&self, at: &Index, name: &str) -> Option<String> {
        let path = join(at.get::<String>(&self.paths(true)), name);
        (!self.nodes.contains_key(&path)).then_some(path)
    }

    fn fresh_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Create { at, name, content, stream } => {
                if let Some(path) = self.place(at, name) {
                    let node = Node { id: self.fresh_id(), content: *content, mode: 0, stream: *stream };
                    self.nodes.insert(path, node);
                }
            }
            Step::Delete { at } => {
                if let Some(path) = self.any(at) {
                    self.nodes.retain(|other, _| *other != path && !is_beneath(other, &path));
                }
            }
            Step::Rename { at, to, name } => {
                let (Some(from), Some(to)) = (self.any(at), self.place(to, name)) else { return };
                if is_beneath(&to, &from) {
                    return;
                }
                let nodes = std::mem::take(&mut self.nodes);
                self.nodes = nodes
                    .into_iter()
                    .map(|(path, node)| match path.strip_prefix(&from) {
                        Some(rest) if path == from || is_beneath(&path, &from) => (format!("{to}{rest}"), node),
                        _ => (path, node),
                    })
                    .collect();
            }
            Step::Link { at, to, name } => {
                let (Some(from), Some(to)) = (self.any(at), self.place(to, name)) else { return };
                let node = self.nodes[&from].clone();
                if node.content.is_some() {
                    self.nodes.insert(to, node);
                }
            }
            Step::Write { at, content } => self.change(at, |node| {
                if let Some(old) = &mut node.content {
                    *old = *content;
                }
            }),
            Step::Replace { at } => {
                let id = self.fresh_id();
                self.change(at, |node| node.id = id);
            }
            Step::Mode { at, mode } => self.change(at, |node| node.mode = *mode),
        }
    }

    fn change(&mut self, at: &Index, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.any(at).and_then(|path| self.nodes.get_mut(&path)) {
            change(node);
        }
    }

    fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (path, node) in &self.nodes {
            let id = if self.ids { node.id.to_string() } else { String::new() };
            let record = match node.content {
                None => dir(path, &id),
                // Content 0 is empty.
                Some(content) => file(path, &id, &"x".repeat(usize::from(content))),
            };
            records.push(with(&record, Attribute::Mode, text(&format!("075{}", node.mode))));
            records.extend(node.stream.map(|content| stream(path, "s", &content.to_string())));
        }
        records
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    (any::<bool>(), prop::collection::vec(step(), 0..25)).prop_map(|(ids, steps)| {
        let root = Node { id: 0, content: None, mode: 0, stream: None };
        let mut tree = Tree { nodes: BTreeMap::from([("/".to_owned(), root)]), next_id: 0, ids };
        steps.iter().for_each(|step| tree.step(step));
        tree
    })
}

/// Records that are shown as their lines when a case fails.
#[derive(Clone)]
pub(crate) struct Lines(pub(crate) Vec<Record>);

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|record| {
            let mut line = Vec::new();
            encode(record, &mut line);
            write!(f, "\n    {}", String::from_utf8_lossy(&line))
        })
    }
}

pub(crate) fn scan() -> impl Strategy<Value = Lines> {
    tree().prop_map(|tree| Lines(tree.records()))
}

fn two_trees() -> impl Strategy<Value = (Tree, Tree)> {
    (tree(), prop::collection::vec(step(), 0..10)).prop_map(|(a, steps)| {
        let mut b = a.clone();
        steps.iter().for_each(|step| b.step(step));
        (a, b)
    })
}

pub(crate) fn two_scans() -> impl Strategy<Value = (Lines, Lines)> {
    two_trees().prop_map(|(a, b)| (Lines(a.records()), Lines(b.records())))
}

/// A scan, one of the tree as it is later with some of it unreadable, and one of the same tree in full.
pub(crate) fn damaged_scans() -> impl Strategy<Value = (Lines, Lines, Lines)> {
    let damage =
        (any::<Index>(), prop::sample::select(vec![Part::Entity, Part::Listing, Part::Content, Part::Attributes]));
    (two_trees(), prop::collection::vec((damage, any::<u64>()), 0..4)).prop_map(|((a, b), damages)| {
        let whole = b.records();
        let mut damaged = whole.clone();
        for ((at, part), seed) in damages {
            damage_one(&b, &mut damaged, at.get::<String>(&b.paths(false)), part, seed);
        }
        (Lines(a.records()), Lines(damaged), Lines(whole))
    })
}

fn damage_one(tree: &Tree, records: &mut Vec<Record>, path: &str, part: Part, seed: u64) {
    let here = |record: &Record| record.path == path.as_bytes();
    let beneath = |record: &Record| is_beneath(std::str::from_utf8(&record.path).unwrap(), path);
    let directory = tree.nodes[path].content.is_none();
    match part {
        Part::Entity => records.retain(|record| !here(record) && !beneath(record)),
        Part::Listing if directory => {
            // Some children are not listed, with all that is beneath them.
            let hidden: BTreeSet<String> = NAMES
                .iter()
                .enumerate()
                .filter(|(at, _)| seed >> at & 1 == 1)
                .map(|(_, name)| join(path, name))
                .collect();
            records.retain(|record| {
                let record = std::str::from_utf8(&record.path).unwrap();
                !hidden.iter().any(|child| record == child || is_beneath(record, child))
            });
        }
        Part::Content if !directory => strip(records, here, &[Attribute::Sha256, Attribute::Size]),
        Part::Attributes => strip(records, here, &[Attribute::Mode]),
        _ => return,
    }
    records.push(fault(path, part));
}

fn strip(records: &mut [Record], here: impl Fn(&Record) -> bool, attributes: &[Attribute]) {
    for record in records.iter_mut().filter(|record| here(record) && record.kind != Kind::Stream) {
        record.attributes.retain(|(attribute, _)| !attributes.contains(attribute));
    }
}

pub(crate) type Place = (Vec<u8>, Class, Vec<u8>);

pub(crate) fn place(record: &Record) -> Place {
    (record.path.clone(), record.kind.class(), record.name.clone())
}

/// What a reader of the changes believes to be there.
#[derive(Debug, Clone)]
pub(crate) struct State(BTreeMap<Place, Record>);

impl State {
    pub(crate) fn of(records: &[Record]) -> Self {
        Self(records.iter().map(|record| (place(record), record.clone())).collect())
    }

    pub(crate) fn apply(&mut self, changes: &[Change]) {
        let mut renames: Vec<&Change> = Vec::new();
        // What is lost where it should stand now was beneath a renamed directory, and is believed to have moved along.
        let unreadable = changes.iter().filter(|change| change.kind == ChangeKind::Unreadable);
        let lost: BTreeSet<Place> = unreadable
            .filter_map(|change| Some(place(change.old.as_ref()?)))
            .filter(|place| !self.0.contains_key(place))
            .collect();
        for change in changes {
            let old = change.old.as_ref().map(place);
            match change.kind {
                ChangeKind::Unreadable => continue,
                ChangeKind::Created => assert_eq!(old, None),
                _ => assert!(self.0.remove(&old.unwrap()).is_some(), "{change:?} of something unknown"),
            }
            if change.kind == ChangeKind::Renamed {
                renames.push(change);
            }
        }
        // What moved along goes with the nearest renamed entity above it.
        let mut moved = Vec::new();
        renames.sort_by_key(|change| std::cmp::Reverse(change.old.as_ref().unwrap().path.len()));
        for change in renames {
            let old = change.old.as_ref().unwrap().path.clone();
            let new = change.new.as_ref().unwrap().path.clone();
            let beneath = |path: &[u8]| {
                let rest = path.strip_prefix(old.as_slice()).filter(|rest| matches!(rest.first(), None | Some(b'/')));
                rest.map(|rest| [&new, rest].concat())
            };
            let along = self.0.keys().filter_map(|place| Some((place.clone(), beneath(&place.0)?)));
            let is_lost = |(from, to): &(Place, Vec<u8>)| lost.contains(&(to.clone(), from.1, from.2.clone()));
            let (hidden, along): (Vec<_>, Vec<_>) = along.partition(is_lost);
            let along = if change.moved_along > 0 { along } else { Vec::new() };
            assert_eq!(along.len() as u64, change.moved_along, "{change:?}");
            for (from, path) in along.into_iter().chain(hidden) {
                let record = self.0.remove(&from).unwrap();
                moved.push(Record { path, ..record });
            }
        }
        let arrived =
            changes.iter().filter(|change| !matches!(change.kind, ChangeKind::Unreadable | ChangeKind::Deleted));
        for record in moved.into_iter().chain(arrived.filter_map(|change| change.new.clone())) {
            let twice = self.0.insert(place(&record), record);
            assert_eq!(twice, None);
        }
        // What an unreadable record lacks, the reader still believes; that is put back where it is compared.
        for change in changes.iter().filter(|change| change.kind == ChangeKind::Unreadable) {
            let (Some(old), Some(new)) = (&change.old, &change.new) else { continue };
            if let Some(record) = self.0.get_mut(&place(new)) {
                for attribute in &change.fields {
                    if let Some(value) = old.get(*attribute) {
                        record.set(*attribute, value.clone());
                    }
                }
            }
        }
    }

    /// Takes over attributes that it lacks because a scan lacked them.
    pub(crate) fn learn(&mut self, lacking: &[Record], whole: &[Record]) {
        let lacking = Self::of(lacking);
        for record in whole {
            let (place, lacks) = (place(record), |of: &Record, attribute| of.get(attribute).is_none());
            let (Some(state), Some(lacking)) = (self.0.get_mut(&place), lacking.0.get(&place)) else { continue };
            for (attribute, value) in &record.attributes {
                if lacks(state, *attribute) && lacks(lacking, *attribute) {
                    state.set(*attribute, value.clone());
                }
            }
        }
    }

    /// What of it is compared.
    pub(crate) fn compared(&self) -> BTreeMap<Place, (Kind, Vec<(Attribute, String)>)> {
        let set: AttributeSet = compared(&[]);
        self.0
            .iter()
            .map(|(place, record)| {
                let attributes = record
                    .attributes
                    .iter()
                    .filter(|(attribute, _)| set.contains(*attribute))
                    .map(|(attribute, value)| (*attribute, format!("{value:?}")))
                    .collect();
                (place.clone(), (record.kind, attributes))
            })
            .collect()
    }
}
