//! Where a path that a rule spells leads to inside an image.

use serde::{Deserialize, Serialize};

use super::entity_path::EntityPath;
use crate::text;

/// A path that a rule spells, and what it is after all links were followed. Both are paths, not patterns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    /// As the rule spells it: `/bin`.
    pub spelled: ExactPath,
    /// Where it leads: `/usr/bin`.
    pub canonical: ExactPath,
}

impl Link {
    /// What a path of this machine leads to.
    #[must_use]
    pub fn new(spelled: &EntityPath, canonical: &EntityPath) -> Self {
        Self { spelled: ExactPath(spelled.to_bytes()), canonical: ExactPath(canonical.to_bytes()) }
    }
}

/// A path's exact bytes: a string in JSON, `{"hex":"…"}` when it is not valid UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct ExactPath(pub Vec<u8>);

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes { hex: String },
}

impl From<ExactPath> for Written {
    fn from(path: ExactPath) -> Self {
        String::from_utf8(path.0).map_or_else(|bad| Self::Bytes { hex: text::hex(bad.as_bytes()) }, Self::Text)
    }
}

impl TryFrom<Written> for ExactPath {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let hex = match written {
            Written::Text(text) => return Ok(Self(text.into_bytes())),
            Written::Bytes { hex } => hex,
        };
        let digits = |pair: &[u8]| {
            std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        };
        hex.as_bytes()
            .chunks(2)
            .map(digits)
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| format!("policy: link: expected pairs of hexadecimal digits, found \"{hex}\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_json() {
        for (path, json) in [(&b"/usr/bin"[..], r#""/usr/bin""#), (b"/b\xff", r#"{"hex":"2f62ff"}"#)] {
            let path = ExactPath(path.to_vec());
            assert_eq!(serde_json::to_string(&path).unwrap(), json);
            assert_eq!(serde_json::from_str::<ExactPath>(json).unwrap(), path);
        }
        assert!(serde_json::from_str::<ExactPath>(r#"{"hex":"2f6"}"#).is_err());
    }
}
