//! Which attributes a rule compares: `compare = ["default", "-owner", "+mtime"]`.
//!
//! The attributes themselves are the manifest's; here they are names with a default and groups.

use serde::{Deserialize, Serialize};

use super::nearest::or_nearest;

/// The words that replace the whole selection.
const BASES: [&str; 3] = ["default", "all", "none"];

/// A rule's list of attributes, as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CompareSpec {
    tokens: Vec<String>,
}

impl Default for CompareSpec {
    fn default() -> Self {
        Self { tokens: vec!["default".into()] }
    }
}

/// A token's sign and what follows it.
fn parts(token: &str) -> (Option<char>, &str) {
    match token.strip_prefix(['+', '-']) {
        Some(name) => (token.chars().next(), name),
        None => (None, token),
    }
}

impl CompareSpec {
    /// Takes a list as written; `known` are the names of all attributes and groups.
    ///
    /// # Errors
    /// One message for each token that is wrong.
    pub(super) fn parse(tokens: Vec<String>, known: &[&str]) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        if tokens.is_empty() {
            wrong.push("expected at least one attribute, found an empty list (none at all is \"none\")".to_owned());
        }
        for token in &tokens {
            let (sign, name) = parts(token);
            if !known.contains(&name) && (sign.is_some() || !BASES.contains(&name)) {
                let expected = "an attribute, a group of attributes, \"default\", \"all\" or \"none\"";
                wrong
                    .push(format!("expected {expected}, found \"{token}\"{}", or_nearest(name, known.iter().copied())));
            }
        }
        if wrong.is_empty() { Ok(Self { tokens }) } else { Err(wrong) }
    }

    /// The tokens as written.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// Whether an attribute is compared: `default` says whether it is when nobody asks, `groups` which groups it
    /// belongs to. Tokens count from left to right. A list whose first token has a sign changes the default; one
    /// that begins with a name compares what it names.
    #[must_use]
    pub fn selects(&self, name: &str, default: bool, groups: &[&str]) -> bool {
        let signed = self.tokens.first().is_none_or(|token| parts(token).0.is_some());
        self.tokens.iter().fold(signed && default, |selected, token| match (parts(token), token.as_str()) {
            (_, "default") => default,
            (_, "all") => true,
            (_, "none") => false,
            ((sign, own), _) if own == name || groups.contains(&own) => sign != Some('-'),
            _ => selected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_count_from_left_to_right() {
        let picks = |tokens: &[&str]| {
            let known = ["uid", "gid", "mtime", "sha256", "owner", "times"];
            let spec = CompareSpec::parse(tokens.iter().map(|&t| t.to_owned()).collect(), &known).unwrap();
            [("uid", true, "owner"), ("gid", true, "owner"), ("mtime", false, "times"), ("sha256", true, "content")]
                .into_iter()
                .filter(|(name, default, group)| spec.selects(name, *default, &[group]))
                .map(|(name, ..)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(picks(&["default"]), ["uid", "gid", "sha256"]);
        assert_eq!(picks(&["default", "-owner", "+mtime"]), ["mtime", "sha256"]);
        assert_eq!(picks(&["-owner", "+gid"]), ["gid", "sha256"]);
        assert_eq!(picks(&["sha256", "times"]), ["mtime", "sha256"]);
        assert_eq!(picks(&["all", "-times"]), ["uid", "gid", "sha256"]);
        assert_eq!(picks(&["default", "none"]), [""; 0]);
    }

    #[test]
    fn unknown_names_are_named() {
        let wrong = CompareSpec::parse(vec!["mtim".into(), "-default".into()], &["mtime"]).unwrap_err();
        assert_eq!(wrong.len(), 2);
        assert!(wrong[0].contains("found \"mtim\"") && wrong[0].contains("mtime\"?"), "{wrong:?}");
        assert!(CompareSpec::parse(vec![], &[]).is_err());
    }
}
