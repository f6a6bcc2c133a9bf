//! The first line of a manifest: under which policy, of which system, and which volumes there were.

use serde::{Deserialize, Serialize};

use super::json::Malformed;

/// What stands in the field `snapfim`.
const KIND: &str = "manifest";

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The effective policy, as the policy room writes it.
    pub policy: serde_json::Value,
    /// The operating system in the image.
    pub os: Os,
    /// The volumes that were found, in the order in which they lie on the disks.
    pub volumes: Vec<VolumeEntry>,
}

/// What the image says about its operating system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Os {
    /// `linux`, `windows` or `none`.
    pub family: String,
    /// The name that it gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The host name; shown, never trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeEntry {
    /// The volume's id, `@…`; records name it in the attribute `volume`.
    pub volume: String,
    /// The filesystem as users call it, or what else it is: `ext4`, `swap`, `unknown`.
    pub fs: String,
    /// The filesystem's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Where it is mounted, if anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// Whether it was read.
    pub state: VolumeState,
    /// The reason, for people, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of a volume that was read: why its journal or log could not be replayed, or not in full, where that is so. What
    /// only that knew is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreplayed: Option<String>,
}

/// Whether a volume that is mounted there is that of the system itself.
#[must_use]
pub fn is_root(mount: &str) -> bool {
    mount == "/" || mount.eq_ignore_ascii_case(r"C:\")
}

/// Whether a volume was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeState {
    /// It was.
    Read,
    /// It was not, and need not be: swap.
    Note,
    /// It should have been and could not be.
    Gap,
}

#[derive(Serialize)]
struct Line<'a> {
    snapfim: &'static str,
    version: u64,
    #[serde(flatten)]
    header: &'a Header,
}

#[derive(Deserialize)]
struct Version {
    snapfim: String,
    version: u64,
}

impl Header {
    /// The header's line, without a newline.
    pub(crate) fn line(&self) -> Result<Vec<u8>, Malformed> {
        serde_json::to_vec(&Line { snapfim: KIND, version: VERSION, header: self })
            .or_else(|error| Malformed::new(format!("the header cannot be written: {error}")))
    }

    /// The header of a line.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Malformed> {
        match serde_json::from_slice(line) {
            Ok(Version { snapfim, version: VERSION }) if snapfim == KIND => {}
            Ok(Version { snapfim, version }) if snapfim == KIND => {
                return Malformed::new(format!("the manifest is of version {version}, expected {VERSION}"));
            }
            _ => return Malformed::new("the first line is not a manifest's header"),
        }
        let mut fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(line).or_else(|error| Malformed::new(format!("header: {error}")))?;
        fields.remove("snapfim");
        fields.remove("version");
        serde_json::from_value(fields.into()).or_else(|error| Malformed::new(format!("header: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"snapfim":"manifest","version":1,"policy":{"rules":[]},"os":{"family":"linux","name":"Debian GNU/Linux 12","host":"web01"},"volumes":[{"volume":"@5d1e","fs":"ext4","id":"5d1e","label":"root","mount":"/","state":"read"},{"volume":"@9","fs":"unknown","state":"gap","why":"no known magic"}]}"#;

    #[test]
    fn the_line_is_that_of_the_format_and_comes_back() {
        let header = Header::parse(LINE.as_bytes()).unwrap();
        assert_eq!(header.os.host.as_deref(), Some("web01"));
        assert_eq!(header.volumes[1].state, VolumeState::Gap);
        assert_eq!(String::from_utf8(header.line().unwrap()).unwrap(), LINE);
    }

    #[test]
    fn another_version_and_other_files_are_refused() {
        let newer = LINE.replace("\"version\":1", "\"version\":2");
        let error = Header::parse(newer.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "the manifest is of version 2, expected 1");
        let error = Header::parse(br#"{"path":"/","kind":"dir"}"#).unwrap_err();
        assert_eq!(error.to_string(), "the first line is not a manifest's header");
        assert!(Header::parse(LINE.replace("\"os\"", "\"cpu\"").as_bytes()).is_err());
    }
}
