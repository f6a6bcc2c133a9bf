//! The bytes of one kind that the files of a walk have, by how many one of them has.

use std::collections::BTreeMap;

use super::FREE;

/// Of a [`Tally`], what counts where files of several names are known, and where they are too many for that.
pub(super) const EACH_FILE: usize = 0;
pub(super) const EACH_NAME: usize = 1;

/// Bytes, of which there may be more than fit.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes(u64);

impl Bytes {
    fn add(&mut self, bytes: u64) {
        self.0 = self.0.saturating_add(bytes);
    }
}

/// The bytes of one kind.
#[derive(Default)]
pub(super) struct Tally {
    /// Those in files of about so many; the key is the most that one of them may have.
    classes: BTreeMap<u64, [Bytes; 2]>,
    totals: [Bytes; 2],
}

impl Tally {
    pub(super) fn add(&mut self, counts: usize, bytes: u64) {
        self.classes.entry(class(bytes)).or_default()[counts].add(bytes);
        self.totals[counts].add(bytes);
    }

    pub(super) fn total(&self, counts: usize) -> u64 {
        self.totals[counts].0
    }

    /// The highest limit for each file with which all together are within the budget.
    pub(super) fn fair(&self, counts: usize, budget: u64) -> u64 {
        if self.total(counts) <= budget {
            return u64::MAX;
        }
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
fn class(bytes: u64) -> u64 {
    let step = 1_u64 << 63_u32.saturating_sub(bytes.leading_zeros()).saturating_sub(3);
    bytes.checked_next_multiple_of(step).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
