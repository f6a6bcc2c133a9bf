//! What is monitored. In come the text of a policy and paths, out comes which rules take a path and why. Pure:
//! no file is opened here and no disk is known.
//!
//! [`Policy`] is what a person writes, with the built-in profiles; [`EffectivePolicy`] is what holds for one
//! machine, plain data that stands in a manifest; [`Matcher`] is that data made ready. A walk begins with
//! [`Matcher::root`] and goes down with [`Matcher::child`].
//!
//! To add a built-in entry: a line in `recommended.toml` or `extended.toml`, with its reason. To add a field: a
//! row in `document.rs`, a member in `effective.rs`.

mod compare;
mod compiled;
mod document;
mod effective;
mod entity_path;
mod explain;
mod gap;
mod glob;
mod issues;
mod link;
mod literal_root;
mod matcher;
mod nearest;
mod pattern;
mod policy_file;
mod profile;
mod rule_set;
mod source;
mod trie;

pub use compare::CompareSpec;
pub use effective::{EffectivePolicy, Rule};
pub use entity_path::{EntityPath, Hive, Root};
pub use explain::{Effect, Reason};
pub use link::{ExactPath, Link};
pub use literal_root::LiteralRoot;
pub use matcher::{Matcher, State, Verdict};
pub use pattern::Reach;
pub use policy_file::Policy;
pub use profile::{NAMES as PROFILES, text as profile_text};
pub use rule_set::{MAX_RULES, RuleSet};
pub use source::{Entry, Source};
