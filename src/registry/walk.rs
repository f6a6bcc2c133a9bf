//! Walking a hive: keys depth first, each with its values, guarded against loops and against more than a hive of
//! its size can hold.

use std::ops::ControlFlow;

use super::{
    Hive, Key, KeyId, Value, cell,
    key_node::KeyNode,
    room::{Room, beyond_room},
};
use crate::{
    error::{Fault, Result},
    field::narrow,
};

/// Keys below one another; Windows has this limit too.
pub const MAX_DEPTH: usize = 512;
/// Faults that are handed out one by one for one key; one more tells how many there were besides.
const MAX_FAULTS: usize = 64;

/// What to do about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Hand out its values, then its subkeys.
    Into,
    /// Hand out its values only.
    Values,
    /// Hand out its subkeys only.
    Subkeys,
    /// Hand out neither.
    Over,
    /// End the walk.
    Stop,
}

/// Takes what a walk finds. For each key: [`key`](Visitor::key), its values, then its subkeys in the same way.
pub trait Visitor {
    /// A key; what of it could not be read is in [`Key::faults`].
    fn key(&mut self, path: &KeyPath, key: &Key<'_>) -> Step;
    /// A value of the key at `path`; why it is not whole is in [`Value::fault`].
    fn value(&mut self, path: &KeyPath, value: &Value<'_>);
    /// A subkey, value or list of the key at `path` that could not be read at all, or that is handed out under a name
    /// that is not whole.
    fn fault(&mut self, path: &KeyPath, fault: Fault);
}

/// Where a walk stands: the names from the key that it began at, which itself is not named.
#[derive(Debug, Clone, Default)]
pub struct KeyPath {
    joined: Vec<u8>,
    ends: Vec<usize>,
}

impl KeyPath {
    /// The names joined by backslashes, as WTF-8. A hostile name may hold a backslash itself.
    #[must_use]
    pub fn joined(&self) -> &[u8] {
        &self.joined
    }

    /// The names one by one.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end.saturating_add(1)));
        starts.zip(&self.ends).map(|(start, end)| self.joined.get(start..*end).unwrap_or_default())
    }

    /// The number of names.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.ends.len()
    }

    fn truncate(&mut self, depth: usize) {
        self.ends.truncate(depth);
        self.joined.truncate(self.ends.last().copied().unwrap_or(0));
    }

    fn push(&mut self, name: &[u8]) {
        if !self.ends.is_empty() {
            self.joined.push(b'\\');
        }
        self.joined.extend_from_slice(name);
        self.ends.push(self.joined.len());
    }
}

impl Hive {
    /// Hands the key `start` and all that is beneath it to `visitor`.
    ///
    /// A key that was handed out before is a fault, and so are keys deeper than [`MAX_DEPTH`], and what is beyond
    /// what a hive of this size has room for without using bytes twice: list elements, names, values, data, long paths. A key whose record names
    /// another parent than the key that lists it comes last, with a fault, and not at all a second time, so that no
    /// forged list can take a key from its place.
    pub fn walk(&self, start: KeyId, visitor: &mut dyn Visitor) {
        let size = self.bins().len();
        let mut walk = Walk {
            hive: self,
            visitor,
            path: KeyPath::default(),
            stack: vec![(start, 0)],
            misplaced: Vec::new(),
            aside: self.list_budget(),
            seen: Seen::new(size),
            elements: self.list_budget(),
            room: self.room(),
            faults: 0,
        };
        walk.seen.insert(start.0);
        let _ = walk.run();
    }
}

struct Walk<'w> {
    hive: &'w Hive,
    visitor: &'w mut dyn Visitor,
    path: KeyPath,
    /// Keys still to visit, with their depth; the next is the last.
    stack: Vec<(KeyId, usize)>,
    /// Keys that name another parent than the one that lists them, with its path; they come last.
    misplaced: Vec<(KeyId, KeyPath)>,
    /// Bytes that the paths of misplaced keys may still take.
    aside: usize,
    seen: Seen,
    elements: usize,
    room: Room,
    /// Faults of the key that is being visited.
    faults: usize,
}

impl Walk<'_> {
    fn run(&mut self) -> ControlFlow<()> {
        loop {
            while let Some((id, depth)) = self.stack.pop() {
                self.path.truncate(depth.saturating_sub(1));
                if self.room.is_spent() {
                    // One fault for all that the same key lists.
                    while self.stack.pop_if(|(_, next)| *next == depth).is_some() {}
                    self.visitor.fault(&self.path, beyond_room(id));
                } else {
                    self.visit(id, depth, None)?;
                }
            }
            let Some((id, path)) = self.misplaced.pop() else {
                return ControlFlow::Continue(());
            };
            self.path = path;
            let parent = KeyNode::read(self.hive.bins(), id.0).map_or(0, |node| node.parent());
            let fault = cell::fault(
                id.0,
                format!("a key that names cell {parent:#x} as its parent, not the key that lists it"),
            );
            if self.room.is_spent() {
                self.visitor.fault(&self.path, beyond_room(id));
            } else if self.seen.insert(id.0) {
                self.visit(id, self.path.depth().saturating_add(1), Some(fault))?;
            } else {
                self.visitor.fault(&self.path, fault);
            }
        }
    }

    fn visit(&mut self, id: KeyId, depth: usize, misplaced: Option<Fault>) -> ControlFlow<()> {
        let bins = self.hive.bins();
        let key = match KeyNode::read(bins, id.0) {
            Ok(node) => {
                // Under its own name the key is not there: that is a fault of the key above, which lists it.
                if let Some(fault) = node.name_fault().filter(|_| depth > 0) {
                    self.visitor.fault(&self.path, fault);
                    if node.name().is_empty() {
                        return ControlFlow::Continue(());
                    }
                }
                let mut key = node.key(bins);
                key.faults.extend(misplaced);
                key
            }
            Err(error) => {
                self.visitor.fault(&self.path, error.into());
                return ControlFlow::Continue(());
            }
        };
        let own = key.name.len().saturating_add(key.class.as_ref().map_or(0, Vec::len));
        if !self.room.take(own, self.path.joined.len().saturating_add(key.name.len())) {
            self.visitor.fault(&self.path, beyond_room(id));
            return ControlFlow::Continue(());
        }
        if depth > 0 {
            self.path.push(&key.name);
        }
        self.faults = 0;
        let step = self.visitor.key(&self.path, &key);
        if step == Step::Stop {
            return ControlFlow::Break(());
        }
        if matches!(step, Step::Into | Step::Values) {
            self.visit_values(&key);
        }
        if matches!(step, Step::Into | Step::Subkeys) {
            self.push_subkeys(&key, depth);
        }
        if let Some(more) = self.faults.checked_sub(MAX_FAULTS).filter(|more| *more > 0) {
            self.visitor.fault(&self.path, cell::fault(id.0, format!("{more} further faults at this key")));
        }
        ControlFlow::Continue(())
    }

    fn visit_values(&mut self, key: &Key<'_>) {
        let (hive, mut room) = (self.hive, self.room.clone());
        let result = hive.values_within(key.id, (&mut room, self.path.joined.len()), &mut |value| {
            match value {
                Ok(value) => {
                    // Under its own name the value is not there: that is a fault of the key.
                    if let Some(fault) = value.fault.clone().filter(|_| value.name_is_cut) {
                        self.fault(fault);
                    }
                    self.visitor.value(&self.path, &value);
                }
                Err(fault) => self.fault(fault),
            }
            ControlFlow::Continue(())
        });
        self.room = room;
        self.report(result);
    }

    fn push_subkeys(&mut self, key: &Key<'_>, depth: usize) {
        if depth >= MAX_DEPTH && key.subkeys > 0 {
            self.fault(cell::fault(key.id.0, format!("subkeys below {MAX_DEPTH} levels are not read")));
            return;
        }
        let hive = self.hive;
        let mut elements = self.elements;
        let first = self.stack.len();
        let below = depth.saturating_add(1);
        let result = hive.subkeys_within(key.id, &mut elements, &mut |subkey| {
            match subkey {
                Ok(id) if KeyNode::read(hive.bins(), id.0).is_ok_and(|node| node.parent() != key.id.0) => {
                    self.defer(id)
                }
                Ok(id) if self.seen.insert(id.0) => self.stack.push((id, below)),
                Ok(id) => self.fault(cell::fault(id.0, "a key that was reached before, in a loop or a second list")),
                Err(fault) => self.fault(fault),
            }
            ControlFlow::Continue(())
        });
        self.elements = elements;
        self.report(result);
        if let Some(added) = self.stack.get_mut(first..) {
            added.reverse();
        }
    }

    /// Keeps a key that names another parent for the end.
    fn defer(&mut self, id: KeyId) {
        match self.aside.checked_sub(self.path.joined.len().saturating_add(64)) {
            Some(aside) => {
                self.aside = aside;
                self.misplaced.push((id, self.path.clone()));
            }
            None => self.fault(cell::fault(id.0, "a key that names another parent: too many to read them")),
        }
    }

    fn report(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.fault(error.into());
        }
    }

    fn fault(&mut self, fault: Fault) {
        if self.faults < MAX_FAULTS {
            self.visitor.fault(&self.path, fault);
        }
        self.faults = self.faults.saturating_add(1);
    }
}

/// Offsets that were seen: one bit for each byte of the bins. Offsets past their end are always new, since no key
/// stands there, and few, since list elements are counted.
struct Seen(Vec<u64>);

impl Seen {
    fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    /// Whether it is new.
    fn insert(&mut self, at: u32) -> bool {
        let bit = 1_u64.checked_shl(at & 63).unwrap_or(0);
        let Some(word) = self.0.get_mut(narrow(at >> 6)) else {
            return true;
        };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}
