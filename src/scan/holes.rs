//! Bytes of holes that all files of a scan may have. A hole costs nothing to write and time to hash: an image of a few
//! megabytes may ask for years of it, in files of which none has too many.
//!
//! Which files are too many depends on nothing but the disk: not on who comes by first, and not on what is taken over
//! from the scan before. The walk counts each file's holes by their number. Where all come to more than the budget, it
//! is done once more with a lower limit for each file: the highest with which the files that keep to it are within the
//! budget together. So files with few holes are hashed, and those with the most are faults.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{budget::Budgets, reuse::Digest};
use crate::{
    error::{Error, Result},
    fs::{Extent, NodeId, Place},
};

/// So many bytes of holes in a file are hashed in less time than its record takes to be made, about: they do not count.
pub(super) const FREE: u64 = 64 << 10;

/// Files of several names and many holes that are known by their node. Where there are more, each name counts.
const LINKED: usize = 1 << 16;

/// A file of several names.
pub(super) type Linked = (usize, NodeId);

/// What the content of a file of several names was hashed to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) sha256: Digest,
    /// Bytes of holes in it.
    pub(super) holes: u64,
}

/// Bytes of holes that a file may have to be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    file: u64,
    total: u64,
    /// What is left for each file where all have too many.
    fair: u64,
}

impl Limits {
    pub(super) fn new(budgets: &Budgets) -> Self {
        Self { file: budgets.hole_bytes, total: budgets.total_hole_bytes, fair: u64::MAX }
    }

    /// The least of them.
    pub(super) fn least(&self) -> u64 {
        self.file.min(self.total).min(self.fair)
    }

    /// Whether a file may have so many.
    ///
    /// # Errors
    /// [`Error::Budget`] with the flag that raises the limit.
    pub(super) fn check(&self, holes: u64) -> Result<()> {
        let Self { file, total, .. } = *self;
        let what = if holes > file {
            format!("more than {file} bytes of holes in one file; raise it with --max-hole-bytes")
        } else if holes > self.least() {
            format!(
                "more than {} bytes of holes in one file, the most with which all files stay within {total}; raise \
                 it with --max-total-hole-bytes",
                self.least()
            )
        } else {
            return Ok(());
        };
        Err(Error::budget("scan", what))
    }
}

/// What is said to be holes.
pub(super) fn holes(extents: &[Extent]) -> u64 {
    let holes = extents.iter().filter(|extent| matches!(extent.place, Place::Hole | Place::Unwritten));
    holes.fold(0, |sum, extent| sum.saturating_add(extent.len))
}

/// The holes of one walk.
pub(super) struct Holes {
    limits: Limits,
    /// Whether the limit for each file was lowered.
    is_lowered: bool,
    is_over: AtomicBool,
    counted: Mutex<Counted>,
}

impl Holes {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, is_lowered: false, is_over: AtomicBool::new(false), counted: Mutex::default() }
    }

    /// How many holes a file may have now.
    pub(super) fn limits(&self) -> Limits {
        // Over a limit that was lowered only comes what changed between the two walks, in a directory of the host.
        let fair = if self.is_lowered && self.is_over.load(Ordering::Relaxed) { FREE } else { self.limits.fair };
        Limits { fair, ..self.limits }
    }

    /// Whether there are so many holes that nothing of this walk is of use but how many they are.
    pub(super) fn is_lost(&self) -> bool {
        !self.is_lowered && self.is_over.load(Ordering::Relaxed)
    }

    /// Whether no file may be hashed before it is known how many holes it has.
    pub(super) fn is_lowered(&self) -> bool {
        self.is_lowered
    }

    /// Counts the holes of a content that is hashed, or would be but for what is remembered. A file of several names
    /// counts once when its hash is known.
    pub(super) fn count(&self, holes: u64, linked: Option<(&Linked, Digest)>) {
        if holes > FREE {
            let mut counted = self.lock();
            counted.add(holes, linked);
            self.note(&counted);
        }
    }

    /// What a file of several names and many holes was hashed to.
    pub(super) fn known(&self, linked: &Linked) -> Option<Known> {
        self.lock().linked.get(linked).copied()
    }

    /// Counts one more name of a file whose hash is known.
    pub(super) fn count_name(&self, holes: u64) {
        if holes > FREE {
            let mut counted = self.lock();
            counted.by_class(holes)[EACH_NAME].add(holes);
            counted.totals[EACH_NAME].add(holes);
            self.note(&counted);
        }
    }

    fn note(&self, counted: &Counted) {
        if counted.total() > self.limits.total {
            self.is_over.store(true, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For another walk, where this one met too many.
    pub(super) fn lowered(self) -> Option<Self> {
        let is_lost = self.is_lost();
        let counted = self.counted.into_inner().unwrap_or_else(PoisonError::into_inner);
        let limits = Limits { fair: counted.fair(self.limits.total), ..self.limits };
        is_lost.then(|| Self { is_lowered: true, ..Self::new(limits) })
    }
}

/// Of [`Counted::classes`], what counts where files of several names are known, and where they are too many for that.
const EACH_FILE: usize = 0;
const EACH_NAME: usize = 1;

/// Bytes, of which there may be more than fit.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes(u64);

impl Bytes {
    fn add(&mut self, bytes: u64) {
        self.0 = self.0.saturating_add(bytes);
    }
}

#[derive(Default)]
struct Counted {
    /// Bytes of holes in files of about so many; the key is the most that one of them may have.
    classes: BTreeMap<u64, [Bytes; 2]>,
    totals: [Bytes; 2],
    linked: HashMap<Linked, Known>,
    /// Whether there were more of those than are remembered. Whether there are does not depend on which came first.
    is_full: bool,
}

impl Counted {
    fn add(&mut self, holes: u64, linked: Option<(&Linked, Digest)>) {
        let is_new = match linked {
            Some((linked, _)) if self.linked.contains_key(linked) => false,
            Some((linked, sha256)) => {
                self.is_full |= self.linked.len() >= LINKED;
                if !self.is_full {
                    self.linked.insert(linked.clone(), Known { sha256, holes });
                }
                true
            }
            None => true,
        };
        for counts in if is_new { EACH_FILE..=EACH_NAME } else { EACH_NAME..=EACH_NAME } {
            self.by_class(holes)[counts].add(holes);
            self.totals[counts].add(holes);
        }
    }

    fn by_class(&mut self, holes: u64) -> &mut [Bytes; 2] {
        self.classes.entry(class(holes)).or_default()
    }

    fn counts(&self) -> usize {
        if self.is_full { EACH_NAME } else { EACH_FILE }
    }

    fn total(&self) -> u64 {
        self.totals[self.counts()].0
    }

    /// The highest limit for each file with which all together are within the budget.
    fn fair(&self, budget: u64) -> u64 {
        let counts = self.counts();
        let (mut sum, mut fair) = (Bytes::default(), FREE);
        for (most, bytes) in &self.classes {
            sum.add(bytes[counts].0);
            if sum.0 > budget {
                break;
            }
            fair = *most;
        }
        fair
    }
}

/// Eight classes for each doubling, so that there are few and none is wide; each is called by its greatest number.
fn class(holes: u64) -> u64 {
    let step = 1_u64 << 63_u32.saturating_sub(holes.leading_zeros()).saturating_sub(3);
    holes.checked_next_multiple_of(step).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn counted(total: u64) -> Holes {
        Holes::new(Limits { file: 64 << 30, total, fair: u64::MAX })
    }

    fn linked(number: u64) -> Linked {
        (0, NodeId::Number(number))
    }

    /// What is left for each file; `None` where there is enough for all.
    fn fair(holes: Holes) -> Option<u64> {
        holes.lowered().map(|lowered| lowered.limits().least())
    }

    #[test]
    fn classes_are_narrow_and_in_order() {
        let mut last = 0;
        for shift in 0..64 {
            for holes in [1_u64 << shift, (1 << shift) + (1 << shift) / 3, u64::MAX >> shift] {
                let most = class(holes);
                assert!(most >= holes && most - holes <= holes / 8 && class(most) == most, "{holes}");
            }
            assert!(class(1 << shift) > last);
            last = class(1 << shift);
        }
        assert_eq!((class(0), class(u64::MAX)), (0, u64::MAX));
    }

    #[test]
    fn files_with_few_holes_are_within_the_budget_whoever_comes_first() {
        let sizes: Vec<u64> = (1..=10).chain([3]).map(|size| size * MIB).collect();
        for turn in 0..sizes.len() {
            let holes = counted(20 * MIB);
            let mut sizes = sizes.clone();
            sizes.rotate_left(turn);
            sizes.iter().for_each(|size| holes.count(*size, None));
            // 1 + 2 + 3 + 3 + 4 + 5, and no 6.
            assert_eq!(fair(holes), Some(5 * MIB));
        }
        let holes = counted(58 * MIB);
        sizes.iter().for_each(|size| holes.count(*size, None));
        assert_eq!(fair(holes), None);
    }

    #[test]
    fn what_is_free_does_not_count_and_is_hashed_where_nothing_else_is() {
        let holes = counted(MIB);
        (0..100).for_each(|_| holes.count(FREE, None));
        assert!(!holes.is_lost());
        (0..2).for_each(|_| holes.count(MIB, None));
        assert!(holes.is_lost());
        assert_eq!(fair(holes), Some(FREE));
    }

    #[test]
    fn a_file_of_several_names_counts_once_unless_there_are_too_many_of_them() {
        let holes = counted(2 * MIB);
        for _ in 0..100 {
            holes.count(MIB, Some((&linked(1), [1; 32])));
            holes.count_name(MIB);
        }
        assert!(!holes.is_lost());
        let order = |turn: bool| {
            let most = LINKED as u64;
            let holes = counted(most * MIB + MIB);
            let count = |number: u64| holes.count(MIB, Some((&linked(number), [1; 32])));
            let all = 0..=most;
            if turn {
                all.rev().for_each(count)
            } else {
                all.for_each(count)
            }
            assert!(!holes.is_lost());
            // Of one file a second name.
            holes.count_name(MIB);
            holes.is_lost()
        };
        assert!(order(false) && order(true));
    }

    #[test]
    fn the_limit_that_is_reached_is_said_with_its_flag() {
        let limits = Limits { file: 100, total: 1000, fair: 10 };
        let error = |holes| limits.check(holes).unwrap_err().to_string();
        assert!(limits.check(10).is_ok() && error(101).ends_with("with --max-hole-bytes"));
        assert!(error(11).starts_with("scan: more than 10 bytes") && error(11).ends_with("--max-total-hole-bytes"));
    }
}
