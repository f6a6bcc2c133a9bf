//! The entries of one directory on their way through the walk, and what makes a name suspicious.

use std::{cmp::Ordering, collections::HashSet, ops::Range, sync::Arc};

use super::{seen::Seen, walk::Dir};
use crate::{
    error::Fault,
    fs::{Link, NodeId},
    machine::{Machine, join},
    manifest::attribute::Part,
    policy::State,
};

/// An entry that the policy is interested in.
pub(super) struct Entry {
    /// Where its name stands among those of all.
    name: Range<usize>,
    pub(super) node: NodeId,
    pub(super) link: Option<Box<Link>>,
    /// Where it may differ from that of the directory.
    pub(super) state: Option<Box<State>>,
    /// Should it be a directory, it is looked at when the rest is done.
    pub(super) aside: bool,
    /// Whether the entry says that it is one.
    pub(super) says_dir: bool,
}

/// Entries of one directory that are worked on together.
#[derive(Default)]
pub(super) struct Entries {
    names: Vec<u8>,
    entries: Vec<Entry>,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets all, and keeps the memory for others.
    pub(super) fn clear(&mut self) {
        self.names.clear();
        self.entries.clear();
    }

    pub(super) fn push(
        &mut self,
        name: &[u8],
        node: NodeId,
        link: Option<Link>,
        state: Option<Box<State>>,
        [aside, says_dir]: [bool; 2],
    ) {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        let link = link.map(Box::new);
        self.entries.push(Entry { name: start..self.names.len(), node, link, state, aside, says_dir });
    }

    /// Takes them all out with their names, in the order of their nodes.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (&[u8], Entry)> {
        // Nodes are smaller than entries: those are sorted, and entries are moved once.
        self.entries.sort_by_cached_key(|entry| entry.node.clone());
        self.entries.drain(..).map(|entry| (self.names.get(entry.name.clone()).unwrap_or_default(), entry))
    }
}

/// A directory that waits to be walked; what it has in common with its siblings is kept once.
pub(super) struct Waiting {
    pub(super) above: Arc<Dir>,
    pub(super) name: Box<[u8]>,
    pub(super) node: NodeId,
    /// Where it may differ from that of the directory above.
    pub(super) state: Option<Box<State>>,
    /// Why it cannot say where it belongs, once it was asked.
    pub(super) silent: Option<Box<Fault>>,
}

impl Waiting {
    pub(super) fn path(&self) -> Vec<u8> {
        join(&self.above.path, &self.name, Machine::separator(&self.above.path))
    }

    /// Its turn has come.
    pub(super) fn enter(self) -> Dir {
        let path = self.path();
        let Self { above, node, state, .. } = self;
        let state = state.map_or_else(|| above.state.clone(), |state| *state);
        Dir { volume: above.volume, node, path, state, depth: above.depth.saturating_add(1) }
    }
}

/// In the order of paths.
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.path().cmp(&other.path()).then_with(|| self.above.volume.cmp(&other.above.volume))
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

/// Faults of one listing that are recorded one by one.
const FAULTS_MAX: usize = 256;

/// What is wrong with the entries of one directory, as far as nobody minds the memory.
#[derive(Default)]
pub(super) struct ListingFaults {
    first: Vec<(Part, Fault)>,
    more: u64,
}

impl ListingFaults {
    pub(super) fn push(&mut self, part: Part, fault: Fault) {
        if self.first.len() < FAULTS_MAX {
            self.first.push((part, fault));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// All of them, the last for those that were too many: it counts as one of the listing, the worst that they may be.
    pub(super) fn into_all(self) -> impl Iterator<Item = (Part, Fault)> {
        let more = (self.more > 0).then(|| {
            (Part::Listing, Fault::new("scan", "", format!("{} more entries of this directory are damaged", self.more)))
        });
        self.first.into_iter().chain(more)
    }
}

/// Names that are remembered from one directory to the next cost memory that is at hand: for so many, not for more.
const NAMES_KEPT: u64 = 2048;

/// The names of one directory, as they come by.
pub(super) struct Names {
    seen: Seen,
    dirs: HashSet<NodeId>,
    budget: u64,
    count: u64,
}

impl Names {
    pub(super) fn new(budget: u64) -> Self {
        Self { seen: Seen::default(), dirs: HashSet::new(), budget, count: 0 }
    }

    /// For the next directory.
    pub(super) fn again(mut self) -> Self {
        if self.count > NAMES_KEPT {
            return Self::new(self.budget);
        }
        self.seen.clear();
        self.dirs.clear();
        self.count = 0;
        self
    }

    /// Whether no path can hold this name.
    pub(super) fn is_impossible(&self, name: &[u8], separator: u8) -> bool {
        matches!(name, b"" | b"." | b"..") || memchr::memchr3(separator, b'/', 0, name).is_some()
    }

    /// Whether the directory has more entries than the budget allows.
    pub(super) fn is_over(&self) -> bool {
        self.count > self.budget
    }

    /// Whether no other name that may be a directory led to this node before.
    pub(super) fn is_first_of(&mut self, node: &NodeId) -> bool {
        self.dirs.insert(node.clone())
    }

    /// Counts a name in.
    ///
    /// # Errors
    /// A fault for a name that is impossible or was there before, and when there are too many.
    pub(super) fn check(&mut self, name: &[u8], separator: u8) -> Result<(), Fault> {
        self.count += 1;
        let shown = || name.escape_ascii().to_string();
        if self.is_over() {
            let budget = self.budget;
            return Err(Fault::new("scan", "", format!("more than {budget} entries; raise it with --max-entries")));
        }
        if self.is_impossible(name, separator) {
            return Err(Fault::new("scan", format!("entry \"{}\"", shown()), "a name that no path can hold"));
        }
        if !self.seen.insert(name) {
            return Err(Fault::new("scan", format!("entry \"{}\"", shown()), "a second entry of the same name"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_million_damaged_entries_the_first_are_told_and_the_rest_counts_as_one_of_the_listing() {
        let mut faults = ListingFaults::default();
        for at in 0..1_000_000 {
            faults.push(Part::Name, Fault::new("scan", format!("entry {at}"), "a second entry of the same name"));
        }
        let all: Vec<_> = faults.into_all().collect();
        assert_eq!(all.len(), FAULTS_MAX + 1);
        let (part, last) = &all[FAULTS_MAX];
        assert_eq!((*part, last.error.as_str()), (Part::Listing, "999744 more entries of this directory are damaged"));
    }

    #[test]
    fn impossible_and_doubled_names_are_faults() {
        let mut names = Names::new(6);
        assert!(names.check(b"a", b'/').is_ok());
        assert!(names.check(b"a", b'/').is_err());
        for bad in [&b""[..], b"a/b", b"a\0b"] {
            assert!(names.check(bad, b'/').is_err());
        }
        assert!(names.check(b"a\\b", b'/').is_ok() && !names.is_over());
        assert!(names.check(b"c", b'\\').is_err() && names.is_over(), "the seventh is one too many");
        let mut names = names.again();
        assert!(names.check(b"a", b'/').is_ok() && !names.is_over(), "in another directory");
        assert!(names.check(b"a", b'/').is_err());
    }
}
