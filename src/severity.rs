//! How much a rule's changes matter: the one word that policies, events and reports share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much a change matters, by the rules that cover it; rising.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to have on record.
    Info,
    /// Expected now and then.
    Low,
    /// What a rule has that says nothing else.
    #[default]
    Medium,
    /// Somebody should look at once.
    High,
}

impl Severity {
    /// All of them, rising.
    pub const ALL: [Self; 4] = [Self::Info, Self::Low, Self::Medium, Self::High];

    /// The word in a policy and in an event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The severity of that name, whatever its case.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
