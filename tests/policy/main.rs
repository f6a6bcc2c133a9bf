//! The policy: its language, its profiles, and which rules take a path.

#![allow(clippy::unwrap_used, clippy::panic)]

mod documents;
mod laws;
mod links;
mod patterns;
mod profiles;
mod registry;

use snapfim::policy::{EffectivePolicy, EntityPath, Matcher, Policy, RuleSet};

const KNOWN: &[&str] = &["sha256", "mode", "uid", "gid", "mtime", "ctime", "owner", "times"];

fn path(text: impl AsRef<[u8]>) -> EntityPath {
    EntityPath::parse(text.as_ref()).unwrap()
}

fn policy(text: &str) -> Policy {
    Policy::parse(text, "policy.toml", KNOWN).unwrap_or_else(|error| panic!("{error}"))
}

fn effective(text: &str) -> EffectivePolicy {
    policy(text).for_machine("web01").unwrap()
}

fn matcher(text: &str) -> Matcher {
    Matcher::new(&effective(text)).unwrap()
}

fn set(rules: &[usize]) -> RuleSet {
    rules.iter().copied().collect()
}

/// A policy of one rule for files.
fn rule(paths: &[&str], exclude: &[&str]) -> String {
    format!("version = 1\n[[monitor]]\nname = \"r\"\npaths = {paths:?}\nexclude = {exclude:?}\n")
}
