//! Where a walk has to begin: the part of each pattern before its first wildcard.

use super::{
    compiled::Role,
    entity_path::Root,
    glob::Segment,
    matcher::Matcher,
    pattern::{Pattern, Roots},
};

/// The part of a rule's pattern before its first wildcard.
#[derive(Debug, Clone)]
pub struct LiteralRoot {
    /// The place of the rule in the effective policy.
    pub rule: usize,
    /// The pattern as written.
    pub text: String,
    /// The names before the first wildcard, as the pattern spells them.
    pub segments: Vec<Vec<u8>>,
    /// How many segments of the pattern follow; `**` counts as one, and a last `**` as two.
    pub remaining: usize,
    pattern: Pattern,
}

impl LiteralRoot {
    /// Whether the pattern applies beneath a root.
    #[must_use]
    pub fn admits(&self, root: &Root) -> bool {
        self.pattern.admits(root)
    }

    /// The drive that the pattern names.
    #[must_use]
    pub fn drive(&self) -> Option<u8> {
        match &self.pattern.roots {
            Roots::Drives(Segment::Literal(name)) => name.first().copied(),
            _ => None,
        }
    }

    /// Whether it covers nothing unless there is a container: more segments follow, or the pattern ends with a separator.
    #[must_use]
    pub fn needs_container(&self) -> bool {
        self.remaining > 0 || self.pattern.container
    }

    /// Whether only the last segment has wildcards and none of them is `**`: then what matches it in the
    /// directory of [`LiteralRoot::segments`] is a path of the rule itself, whose links are followed.
    #[must_use]
    pub fn ends_in_wildcard(&self) -> bool {
        self.remaining == 1
    }
}

impl Matcher {
    /// For each pattern of each rule, in order, the part before its first wildcard.
    #[must_use]
    pub fn literal_roots(&self) -> Vec<LiteralRoot> {
        let own = self.compiled.lines.iter().filter(|line| line.route.is_none());
        own.filter_map(|line| {
            let Role::Take(rule) = line.role else { return None };
            let segments = line.pattern.literal_prefix();
            let remaining = line.pattern.spelled.len().saturating_sub(segments.len());
            Some(LiteralRoot {
                rule,
                text: line.entry.text.clone(),
                segments,
                remaining,
                pattern: line.pattern.clone(),
            })
        })
        .collect()
    }
}
