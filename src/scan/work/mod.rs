//! Bytes that all files of a scan may have to be hashed. Neither kind need cost its writer anything: a hole is stored
//! nowhere, and any number of files may claim the same blocks. An image of a few megabytes may ask for years of it, in
//! files of which none has too many.
//!
//! Which files are too many depends on nothing but the disk: not on who comes by first, and not on what is taken over
//! from the scan before. The walk counts what each file has of either by the number. Where all come to more than the
//! budget, it is done once more with a lower limit for each file: the highest with which the files that keep to it are
//! within the budget together. So small files are hashed, and those with the most are faults.

mod tally;

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use self::tally::{EACH_FILE, EACH_NAME, Tally};
use super::{budget::Budgets, reuse::Digest};
use crate::{
    error::{Error, Result},
    fs::{Extent, NodeId, Place},
};

/// So many bytes of a kind in a file are hashed in less time than its record takes to be made, about: they do not count.
pub(super) const FREE: u64 = 64 << 10;

/// Files of several names and much work that are known by their node. Where there are more, each name counts.
const LINKED: usize = 1 << 16;

/// A file of several names.
pub(super) type Linked = (usize, NodeId);

/// What the content of a file of several names was hashed to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) sha256: Digest,
    pub(super) work: Work,
}

/// Bytes that are hashed of a content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// That are stored nowhere.
    pub(super) holes: u64,
    /// That are read.
    pub(super) stored: u64,
}

impl Work {
    /// Of a content that lies there.
    pub(super) fn of(extents: &[Extent]) -> Self {
        let mut work = Self::default();
        for extent in extents {
            let kind = match extent.place {
                Place::Hole | Place::Unwritten => &mut work.holes,
                Place::Volume(_) | Place::Encoded { .. } | Place::Metadata => &mut work.stored,
            };
            *kind = kind.saturating_add(extent.len);
        }
        work
    }

    fn is_free(self) -> bool {
        self.holes <= FREE && self.stored <= FREE
    }

    /// In the order of the kinds.
    fn kinds(self) -> [u64; KINDS] {
        [self.holes, self.stored]
    }
}

const KINDS: usize = 2;
const HOLES: usize = 0;
const STORED: usize = 1;

/// How much of each kind a file may have to be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of holes in one file.
    file: u64,
    /// In all files.
    total: [u64; KINDS],
    /// What is left for each file where all have too much.
    fair: [u64; KINDS],
}

impl Limits {
    pub(super) fn new(budgets: &Budgets) -> Self {
        let total = [budgets.total_hole_bytes, budgets.total_bytes.unwrap_or(u64::MAX)];
        Self { file: budgets.hole_bytes, total, fair: [u64::MAX; KINDS] }
    }

    /// The least for either kind.
    pub(super) fn least(&self) -> [u64; KINDS] {
        let [holes, stored] = std::array::from_fn(|kind| self.total[kind].min(self.fair[kind]));
        [holes.min(self.file), stored]
    }

    /// Whether a content of so many bytes, of whatever kind, is within them.
    pub(super) fn allow_any(&self, size: u64) -> bool {
        self.least().iter().all(|least| size <= *least)
    }

    /// Whether a content is within them.
    pub(super) fn allow(&self, work: Work) -> bool {
        work.kinds().iter().zip(self.least()).all(|(bytes, least)| *bytes <= least)
    }

    /// That a content is within them.
    ///
    /// # Errors
    /// [`Error::Budget`] with the flag that raises the limit.
    pub(super) fn check(&self, work: Work) -> Result<()> {
        let Self { file, total, .. } = *self;
        let least = self.least();
        let what = if work.holes > file {
            format!("more than {file} bytes of holes in one file; raise it with --max-hole-bytes")
        } else if work.holes > least[HOLES] {
            format!(
                "more than {} bytes of holes in one file, the most with which all files stay within {}; raise it with \
                 --max-total-hole-bytes",
                least[HOLES], total[HOLES]
            )
        } else if work.stored > least[STORED] {
            format!(
                "more than {} bytes in one file, the most with which all files stay within {}, more than the target \
                 can hold; raise it with --max-total-bytes",
                least[STORED], total[STORED]
            )
        } else {
            return Ok(());
        };
        Err(Error::budget("scan", what))
    }
}

/// The work of one walk.
pub(super) struct Works {
    limits: Limits,
    /// Whether the limits for each file were lowered.
    is_lowered: bool,
    is_over: [AtomicBool; KINDS],
    counted: Mutex<Counted>,
}

impl Works {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, is_lowered: false, is_over: Default::default(), counted: Mutex::default() }
    }

    /// How much a file may have now.
    pub(super) fn limits(&self) -> Limits {
        // Over a limit that was lowered only comes what changed between the two walks, in a directory of the host.
        let fair = |kind: usize| if self.is_lowered && self.is_over(kind) { FREE } else { self.limits.fair[kind] };
        Limits { fair: std::array::from_fn(fair), ..self.limits }
    }

    fn is_over(&self, kind: usize) -> bool {
        self.is_over[kind].load(Ordering::Relaxed)
    }

    /// Whether there is so much work that nothing of this walk is of use but how much it is.
    pub(super) fn is_lost(&self) -> bool {
        !self.is_lowered && (self.is_over(HOLES) || self.is_over(STORED))
    }

    /// Whether no file may be hashed before it is known how much it has.
    pub(super) fn is_lowered(&self) -> bool {
        self.is_lowered
    }

    /// Counts a content that is hashed, or would be but for what is remembered. A file of several names counts once when
    /// its hash is known.
    pub(super) fn count(&self, work: Work, linked: Option<(&Linked, Digest)>) {
        if !work.is_free() {
            let mut counted = self.lock();
            counted.add(work, linked);
            self.note(&counted);
        }
    }

    /// What a file of several names and much work was hashed to.
    pub(super) fn known(&self, linked: &Linked) -> Option<Known> {
        self.lock().linked.get(linked).copied()
    }

    /// Counts one more name of a file whose hash is known.
    pub(super) fn count_name(&self, work: Work) {
        if !work.is_free() {
            let mut counted = self.lock();
            counted.add_to(EACH_NAME, work);
            self.note(&counted);
        }
    }

    fn note(&self, counted: &Counted) {
        for (kind, is_over) in self.is_over.iter().enumerate() {
            if counted.total(kind) > self.limits.total[kind] {
                is_over.store(true, Ordering::Relaxed);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For another walk, where this one met too much.
    pub(super) fn lowered(self) -> Option<Self> {
        if !self.is_lost() {
            return None;
        }
        let Self { mut limits, counted, .. } = self;
        let counted = counted.into_inner().unwrap_or_else(PoisonError::into_inner);
        limits.fair = std::array::from_fn(|kind| counted.fair(kind, limits.total[kind]));
        Some(Self { is_lowered: true, ..Self::new(limits) })
    }
}

#[derive(Default)]
struct Counted {
    tallies: [Tally; KINDS],
    linked: HashMap<Linked, Known>,
    /// Whether there were more of those than are remembered. Whether there are does not depend on which came first.
    is_full: bool,
}

impl Counted {
    fn add(&mut self, work: Work, linked: Option<(&Linked, Digest)>) {
        let is_new = match linked {
            Some((linked, _)) if self.linked.contains_key(linked) => false,
            Some((linked, sha256)) => {
                self.is_full |= self.linked.len() >= LINKED;
                if !self.is_full {
                    self.linked.insert(linked.clone(), Known { sha256, work });
                }
                true
            }
            None => true,
        };
        if is_new {
            self.add_to(EACH_FILE, work);
        }
        self.add_to(EACH_NAME, work);
    }

    fn add_to(&mut self, counts: usize, work: Work) {
        for (tally, bytes) in self.tallies.iter_mut().zip(work.kinds()) {
            if bytes > FREE {
                tally.add(counts, bytes);
            }
        }
    }

    fn counts(&self) -> usize {
        if self.is_full { EACH_NAME } else { EACH_FILE }
    }

    fn total(&self, kind: usize) -> u64 {
        self.tallies[kind].total(self.counts())
    }

    /// The highest limit for each file with which all together are within the budget.
    fn fair(&self, kind: usize, budget: u64) -> u64 {
        self.tallies[kind].fair(self.counts(), budget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn counted(total: u64) -> Works {
        Works::new(Limits { file: 64 << 30, total: [total, u64::MAX], fair: [u64::MAX; KINDS] })
    }

    fn holes(holes: u64) -> Work {
        Work { holes, stored: 0 }
    }

    fn linked(number: u64) -> Linked {
        (0, NodeId::Number(number))
    }

    /// What is left for each file; `None` where there is enough for all.
    fn fair(works: Works) -> Option<u64> {
        works.lowered().map(|lowered| lowered.limits().least()[HOLES])
    }

    #[test]
    fn files_with_few_holes_are_within_the_budget_whoever_comes_first() {
        let sizes: Vec<u64> = (1..=10).chain([3]).map(|size| size * MIB).collect();
        for turn in 0..sizes.len() {
            let works = counted(20 * MIB);
            let mut sizes = sizes.clone();
            sizes.rotate_left(turn);
            sizes.iter().for_each(|size| works.count(holes(*size), None));
            // 1 + 2 + 3 + 3 + 4 + 5, and no 6.
            assert_eq!(fair(works), Some(5 * MIB));
        }
        let works = counted(58 * MIB);
        sizes.iter().for_each(|size| works.count(holes(*size), None));
        assert_eq!(fair(works), None);
    }

    #[test]
    fn each_kind_has_a_budget_of_its_own_and_only_that_which_is_spent_is_lowered() {
        let limits = Limits { file: 64 << 30, total: [20 * MIB, 30 * MIB], fair: [u64::MAX; KINDS] };
        let works = Works::new(limits);
        // As many bytes of holes: they are within their budget.
        (1..=4).for_each(|size| works.count(holes(size * MIB), None));
        (1..=6).for_each(|size| works.count(Work { holes: MIB, stored: size * MIB }, None));
        assert!(!works.is_lost());
        works.count(Work { holes: 0, stored: 10 * MIB }, None);
        assert!(works.is_lost());
        let lowered = works.lowered().unwrap().limits();
        assert_eq!(lowered.least(), [20 * MIB, 6 * MIB]);
        assert!(lowered.allow(Work { holes: 20 * MIB, stored: 6 * MIB }) && lowered.allow_any(6 * MIB));
        assert!(!lowered.allow(Work { holes: 0, stored: 7 * MIB }) && !lowered.allow_any(7 * MIB));
        let error = lowered.check(Work { holes: 0, stored: 7 * MIB }).unwrap_err().to_string();
        assert!(error.starts_with("scan: more than 6291456 bytes in one file"), "{error}");
        assert!(error.ends_with("can hold; raise it with --max-total-bytes"), "{error}");
    }

    #[test]
    fn what_is_free_does_not_count_and_is_hashed_where_nothing_else_is() {
        let works = counted(MIB);
        (0..100).for_each(|_| works.count(Work { holes: FREE, stored: FREE }, None));
        assert!(!works.is_lost());
        (0..2).for_each(|_| works.count(holes(MIB), None));
        assert!(works.is_lost());
        assert_eq!(fair(works), Some(FREE));
    }

    #[test]
    fn a_file_of_several_names_counts_once_unless_there_are_too_many_of_them() {
        let works = counted(2 * MIB);
        for _ in 0..100 {
            works.count(holes(MIB), Some((&linked(1), [1; 32])));
            works.count_name(holes(MIB));
        }
        assert!(!works.is_lost());
        let order = |turn: bool| {
            let most = LINKED as u64;
            let works = counted(most * MIB + MIB);
            let count = |number: u64| works.count(holes(MIB), Some((&linked(number), [1; 32])));
            let all = 0..=most;
            if turn {
                all.rev().for_each(count)
            } else {
                all.for_each(count)
            }
            assert!(!works.is_lost());
            // Of one file a second name.
            works.count_name(holes(MIB));
            works.is_lost()
        };
        assert!(order(false) && order(true));
    }

    #[test]
    fn the_limit_that_is_reached_is_said_with_its_flag() {
        let limits = Limits { file: 100, total: [1000; KINDS], fair: [10, u64::MAX] };
        let error = |bytes| limits.check(holes(bytes)).unwrap_err().to_string();
        assert!(limits.check(holes(10)).is_ok() && error(101).ends_with("with --max-hole-bytes"));
        assert!(error(11).starts_with("scan: more than 10 bytes") && error(11).ends_with("--max-total-hole-bytes"));
    }
}
