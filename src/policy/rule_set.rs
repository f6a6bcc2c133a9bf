//! A set of rules, small enough to be copied with every entry of a walk.

/// The most rules that may apply to one machine, the parts of the built-in profiles included.
pub const MAX_RULES: usize = 256;

const BITS: usize = 64;

/// A set of rules of an effective policy, by their places in its list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RuleSet([u64; MAX_RULES / BITS]);

impl RuleSet {
    /// No rule.
    pub const EMPTY: Self = Self([0; MAX_RULES / BITS]);
    /// Every rule there can be.
    pub const ALL: Self = Self([u64::MAX; MAX_RULES / BITS]);

    /// Adds a rule; a place beyond [`MAX_RULES`] is not possible in a policy and not kept.
    pub fn insert(&mut self, rule: usize) {
        if let Some(word) = self.0.get_mut(rule / BITS) {
            *word |= 1 << (rule % BITS);
        }
    }

    /// Whether a rule is in the set.
    #[must_use]
    pub fn contains(&self, rule: usize) -> bool {
        self.0.get(rule / BITS).is_some_and(|word| word >> (rule % BITS) & 1 == 1)
    }

    /// Whether no rule is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// The rules in either set.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
        self
    }

    /// The rules of this set that are not in the other.
    #[must_use]
    pub fn minus(mut self, other: Self) -> Self {
        for (word, less) in self.0.iter_mut().zip(other.0) {
            *word &= !less;
        }
        self
    }

    /// The places of the rules, rising.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = usize::try_from(left.trailing_zeros()).ok().filter(|_| left != 0)?;
                left &= left - 1;
                Some(at * BITS + bit)
            })
        })
    }
}

impl FromIterator<usize> for RuleSet {
    fn from_iter<I: IntoIterator<Item = usize>>(rules: I) -> Self {
        let mut set = Self::EMPTY;
        rules.into_iter().for_each(|rule| set.insert(rule));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = [0, 63, 64, 200, 255, 256].into_iter().collect::<RuleSet>();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 200, 255]);
        assert!(set.contains(64) && !set.contains(65) && !set.contains(9999));
        let less = set.minus([64, 1].into_iter().collect());
        assert_eq!(less.iter().collect::<Vec<_>>(), [0, 63, 200, 255]);
        assert_eq!(less.union([64].into_iter().collect()), set);
        assert!(set.minus(RuleSet::ALL).is_empty());
    }
}
