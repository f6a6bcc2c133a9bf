//! What a scan could not read, for the coverage list: the first of it by name, all of it by number.

use std::collections::BTreeSet;

use super::hash;
use crate::{
    manifest::{Attribute, Kind, Record},
    policy::EffectivePolicy,
    text::{cut, readable},
};

/// The layer of faults of how a machine is put together; one of a mount point stands at the volume that cannot be read.
pub(super) const MACHINE: &str = "machine";

/// Faults that are listed beside a manifest; it holds all of them.
pub const FAULTS_LISTED: usize = 2000;

/// The longest path, and the longest reason, that is listed, in bytes; of longer ones, which the manifest has, the
/// beginning is, of a path with the hash of all of it.
const MAX_TEXT: usize = 4096;

/// A fault of the manifest, for the coverage list: those that the policy accepts stand behind all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenFault {
    /// Whether the policy accepts that nothing is known here.
    pub accepted: bool,
    /// Where.
    pub path: Vec<u8>,
    /// What could not be read and why, in one line.
    pub why: String,
}

impl SeenFault {
    fn of(record: &Record, policy: &EffectivePolicy) -> Self {
        let text = |attribute| record.text(attribute).filter(|text| !text.is_empty());
        let parts = [Attribute::Layer, Attribute::At, Attribute::Error].into_iter().filter_map(text);
        let why = parts.collect::<Vec<_>>().join(": ");
        let part = text(Attribute::Part).unwrap_or("entity");
        let mut fault = Self { accepted: false, path: record.path.clone(), why: format!("{part} not read: {why}") };
        // A pattern may spell what is no Unicode as the name does, or stand for its bytes. Where all of a volume is
        // accepted, so is the place where it should be mounted.
        let volume = text(Attribute::At).filter(|_| text(Attribute::Layer) == Some(MACHINE));
        let whole = volume.map(|volume| format!("volume:{volume}").into_bytes());
        let name = fault.name().into_bytes();
        let exact = Some([b"path:", fault.path.as_slice()].concat()).filter(|exact| *exact != name);
        fault.accepted = [Some(name), exact, whole].iter().flatten().any(|name| policy.accepts_gap(name));
        cut(&mut fault.why, MAX_TEXT);
        if fault.path.len() > MAX_TEXT {
            let whole = hash::bytes(&fault.path);
            fault.path.truncate(MAX_TEXT);
            fault.path.extend_from_slice(format!("…{whole}").as_bytes());
        }
        fault
    }

    /// What the gap is called: two paths that are no Unicode have two names.
    #[must_use]
    pub fn name(&self) -> String {
        format!("path:{}", readable(&self.path))
    }
}

/// The faults of a scan. Which are listed does not depend on the order in which they come.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    listed: BTreeSet<SeenFault>,
    /// Those that are not listed: not accepted, accepted.
    unlisted: [u64; 2],
}

impl Faults {
    /// Takes in a record, if it is that of a fault.
    pub fn add(&mut self, record: &Record, policy: &EffectivePolicy) {
        if record.kind == Kind::Fault {
            self.insert(SeenFault::of(record, policy));
        }
    }

    /// Takes in those of another worker.
    pub fn append(&mut self, other: Self) {
        other.listed.into_iter().for_each(|fault| self.insert(fault));
        for (sum, more) in self.unlisted.iter_mut().zip(other.unlisted) {
            *sum = sum.saturating_add(more);
        }
    }

    fn insert(&mut self, fault: SeenFault) {
        if self.listed.insert(fault)
            && self.listed.len() > FAULTS_LISTED
            && let Some(last) = self.listed.pop_last()
        {
            let count = &mut self.unlisted[usize::from(last.accepted)];
            *count = count.saturating_add(1);
        }
    }

    /// The first [`FAULTS_LISTED`], those that are not accepted first, in the order of paths.
    pub fn listed(&self) -> impl Iterator<Item = &SeenFault> {
        self.listed.iter()
    }

    /// How many there are besides that the policy accepts, or does not.
    #[must_use]
    pub fn unlisted(&self, accepted: bool) -> u64 {
        self.unlisted[usize::from(accepted)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::Fault, manifest::attribute::Part};

    #[test]
    fn gaps_of_paths_that_are_no_unicode_have_names_of_their_own_and_are_accepted_by_them() {
        let seen = |path: &[u8], accept: &str| {
            let accept = vec![accept.to_owned().into()];
            let policy = EffectivePolicy { accept, ..EffectivePolicy::default() };
            let fault = Record::fault(path, b"", Part::Content, Fault::new("ext4", "", "damaged"));
            let mut faults = Faults::default();
            faults.add(&fault, &policy);
            faults.listed().map(|fault| (fault.name(), fault.accepted)).next().unwrap()
        };
        assert_eq!(seen(b"/q/f\xff", r"path:/q/f\xff"), (r"path:/q/f\xff".to_owned(), true));
        assert_eq!(seen(b"/q/f\xfe", r"path:/q/f\xff"), (r"path:/q/f\xfe".to_owned(), false));
        assert_eq!(seen(b"/q/f\xfe", "path:/q/f?"), (r"path:/q/f\xfe".to_owned(), true));
        let surrogate = r"path:C:\q\\xed\xa0\x80";
        assert_eq!(seen(b"C:\\q\\\xed\xa0\x80", surrogate), (surrogate.to_owned(), true));
    }

    #[test]
    fn paths_and_reasons_of_any_length_are_listed_in_short_and_are_not_taken_for_each_other() {
        let accept = vec!["path:/q/**/end".to_owned().into()];
        let policy = EffectivePolicy { accept, ..EffectivePolicy::default() };
        let mut faults = Faults::default();
        for end in ["a", "b", "end"] {
            let path = format!("/q/{}/{end}", "a".repeat(100_000));
            faults.add(&Record::fault(path.clone(), b"", Part::Content, Fault::new("ext4", "", path)), &policy);
        }
        let listed: Vec<_> = faults.listed().collect();
        assert_eq!(listed.iter().map(|fault| fault.accepted).collect::<Vec<_>>(), [false, false, true]);
        assert!(listed.iter().all(|fault| fault.path.len() + fault.why.len() < 10_000 && fault.why.ends_with('…')));
    }

    #[test]
    fn a_fault_behind_thousands_that_are_accepted_is_listed_and_all_are_counted() {
        let accept = vec!["path:/a/**".to_owned().into()];
        let policy = EffectivePolicy { accept, ..EffectivePolicy::default() };
        let fault = |path: String| Record::fault(path, b"", Part::Content, Fault::new("ext4", "", "damaged"));
        let mut workers = [Faults::default(), Faults::default()];
        for at in 0..3000 {
            workers[at % 2].add(&fault(format!("/a/{at:04}")), &policy);
        }
        workers[1].add(&fault("/z".to_owned()), &policy);
        let [mut all, other] = workers;
        all.append(other);
        assert_eq!(all.listed().count(), FAULTS_LISTED);
        assert_eq!(all.listed().next().map(|fault| fault.path.as_slice()), Some(&b"/z"[..]));
        assert_eq!((all.unlisted(false), all.unlisted(true)), (0, 1001));
    }
}
