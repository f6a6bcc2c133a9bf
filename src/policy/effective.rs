//! The policy that holds for one machine: plain data, which stands in a manifest's header.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{compare::CompareSpec, gap::Gap, link::Link, rule_set::RuleSet, source::Entry};
use crate::{severity::Severity, text};

/// What is monitored on one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectivePolicy {
    /// The built-in profiles that it is made of.
    pub profiles: Vec<String>,
    /// The rules in order; the parts of a profile are rules that share its name.
    pub rules: Vec<Rule>,
    /// Excludes for every rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Entry>,
    /// Coverage gaps that are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<Entry>,
    /// The control set that `CurrentControlSet` means on this machine, as `ControlSet001`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_set: Option<String>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Shown in every event that it caused.
    pub name: String,
    /// Patterns of files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Entry>,
    /// Patterns of registry keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registry: Vec<Entry>,
    /// If not empty, only these values of the keys, and whether the keys exist.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Entry>,
    /// What it leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Entry>,
    /// Which attributes are compared.
    #[serde(default)]
    pub compare: CompareSpec,
    /// How much its changes matter.
    #[serde(default)]
    pub severity: Severity,
    /// Where links in the image lead to that its own paths go through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<Link>,
}

impl EffectivePolicy {
    /// Whether nothing at all is monitored: no rule is for this machine.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Records that a path which a rule spells leads elsewhere, once each; a rule that is not there has no links.
    pub fn add_link(&mut self, rule: usize, link: Link) {
        if let Some(rule) = self.rules.get_mut(rule)
            && let Err(at) = rule.resolved.binary_search(&link)
        {
            rule.resolved.insert(at, link);
        }
    }

    /// The policy on a machine whose `CurrentControlSet` is that one.
    #[must_use]
    pub fn with_control_set(mut self, control_set: impl Into<String>) -> Self {
        self.control_set = Some(control_set.into());
        self
    }

    /// A hash of what the policy asks for, without what the image answered (links, control set): two scans whose
    /// fingerprints are equal were made under the same policy.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut asked = self.clone();
        asked.control_set = None;
        asked.rules.iter_mut().for_each(|rule| rule.resolved.clear());
        // Strings and lists always serialise.
        text::hex(&Sha256::digest(serde_json::to_vec(&asked).unwrap_or_default()))
    }

    /// The rules of a set, in order.
    pub fn rules_of(&self, set: RuleSet) -> impl Iterator<Item = &Rule> {
        self.rules.iter().enumerate().filter(move |(at, _)| set.contains(*at)).map(|(_, rule)| rule)
    }

    /// The names of a set's rules, each once, in the order of the rules.
    #[must_use]
    pub fn names(&self, set: RuleSet) -> Vec<&str> {
        let mut names = Vec::new();
        for rule in self.rules_of(set) {
            if !names.contains(&rule.name.as_str()) {
                names.push(rule.name.as_str());
            }
        }
        names
    }

    /// The highest severity of a set's rules.
    #[must_use]
    pub fn severity(&self, set: RuleSet) -> Option<Severity> {
        self.rules_of(set).map(|rule| rule.severity).max()
    }

    /// Whether any of a set's rules compares an attribute; see [`CompareSpec::selects`].
    #[must_use]
    pub fn compares(&self, set: RuleSet, attribute: &str, default: bool, groups: &[&str]) -> bool {
        self.rules_of(set).any(|rule| rule.compare.selects(attribute, default, groups))
    }

    /// Whether a coverage gap is accepted, by its name: `volume:@id`, `path:/var/lib/x`, ….
    #[must_use]
    pub fn accepts_gap(&self, name: &[u8]) -> bool {
        self.accept.iter().any(|entry| Gap::parse(&entry.text).is_ok_and(|gap| gap.accepts(name)))
    }
}
