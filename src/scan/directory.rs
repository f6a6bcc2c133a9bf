//! The entries of one directory on their way through the walk, and what makes a name suspicious.

use std::collections::HashSet;

use super::seen::Seen;
use crate::{
    error::Fault,
    fs::{NodeId, Times},
    policy::State,
};

/// An entry that the policy is interested in.
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) node: NodeId,
    pub(super) link_times: Option<Box<Times>>,
    /// Where it may differ from that of the directory.
    pub(super) state: Option<Box<State>>,
    /// Should it be a directory, it is looked at when the rest is done.
    pub(super) aside: bool,
}

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

    /// Whether no path can hold this name.
    pub(super) fn is_impossible(&self, name: &[u8], separator: u8) -> bool {
        name.is_empty()
            || name == b"."
            || name == b".."
            || name.contains(&separator)
            || name.contains(&b'/')
            || name.contains(&0)
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
    fn impossible_and_doubled_names_are_faults() {
        let mut names = Names::new(6);
        assert!(names.check(b"a", b'/').is_ok());
        assert!(names.check(b"a", b'/').is_err());
        for bad in [&b""[..], b"a/b", b"a\0b"] {
            assert!(names.check(bad, b'/').is_err());
        }
        assert!(names.check(b"a\\b", b'/').is_ok() && !names.is_over());
        assert!(names.check(b"c", b'\\').is_err() && names.is_over(), "the seventh is one too many");
    }
}
