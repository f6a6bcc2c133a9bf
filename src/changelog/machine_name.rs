//! Under which name a machine's history is kept. It comes from the person who runs the scan, or from the
//! target's file name, never from inside the image: a guest must not choose whose history it joins.

use std::{borrow::Cow, fmt, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::text::{hex, readable};

/// The longest name, in characters.
pub const MAX_LEN: usize = 64;

/// Endings of file names that say how a disk is stored, and nothing about whose it is.
const EXTENSIONS: &[&str] = &[
    "raw", "img", "dd", "bin", "iso", "qcow2", "qcow", "qed", "vdi", "vhd", "vhdx", "avhd", "avhdx", "vmdk", "e01",
    "ex01", "s01", "l01", "aff4", "ova", "disk", "image", "snap", "snapshot", "zst", "gz", "xz", "bz2", "manifest",
];

/// A machine's name: letters, digits, `.`, `_`, `-`, beginning with a letter or a digit, all else as `%XX`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineName(String);

impl MachineName {
    /// The name that a person gives: as it is where it is one, with other characters percent-encoded else.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is empty or too long.
    pub fn given(text: &str) -> Result<Self> {
        let name = if is_name(text) { text.to_owned() } else { encoded(text.as_bytes()) };
        if name.is_empty() || name.len() > MAX_LEN {
            return Err(Error::Usage(format!(
                "a machine's name has 1 to {MAX_LEN} characters, other than letters, digits, . _ - count for three: \
                 {text:?}"
            )));
        }
        Ok(Self(name))
    }

    /// The name by a target's file name: without the extensions of disk images (`.raw`, `.qcow2`, `.vhdx`,
    /// `.E01`, `.raw.001`, `.img.zst`…) and without a date or time at its end (`web01-2026-11-21.raw`,
    /// `web01_20261121T0300Z.qcow2`). An unknown extension stays, for `web01.prod` and `web01.test` are two
    /// machines; a date in front of it goes. What is longer than 64 characters is cut, and ends in a hash of all of it.
    ///
    /// # Errors
    /// [`Error::Usage`] when nothing is left that tells machines apart.
    pub fn of_target(file_name: &[u8]) -> Result<Self> {
        let stem = timeless(without_extensions(file_name));
        if stem.is_empty() {
            return Err(Error::Usage(format!(
                "the file name {:?} does not tell which machine it belongs to; name the machine with --machine",
                readable(file_name)
            )));
        }
        let name = encoded(&stem);
        if name.len() <= MAX_LEN {
            return Ok(Self(name));
        }
        let hash = hex(Sha256::digest(&stem).get(..8).unwrap_or_default());
        let kept = name.get(..MAX_LEN.saturating_sub(hash.len().saturating_add(1))).unwrap_or_default();
        // An escape that the cut has torn apart is dropped.
        let kept = match kept.rfind('%') {
            Some(at) if at.saturating_add(3) > kept.len() => kept.get(..at).unwrap_or_default(),
            _ => kept,
        };
        Ok(Self(format!("{kept}-{hash}")))
    }

    /// The name of a folder under `machines`, if it is one.
    #[must_use]
    pub fn of_folder(text: &str) -> Option<Self> {
        is_name(text).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for MachineName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::of_folder(&text).ok_or_else(|| Error::State(format!("not a machine's name: {text:?}")))
    }
}

impl From<MachineName> for String {
    fn from(name: MachineName) -> Self {
        name.0
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = matches!(text.as_bytes().first(), Some(byte) if byte.is_ascii_alphanumeric() || *byte == b'%');
    let is_upper_hex = |byte: Option<u8>| matches!(byte, Some(b'0'..=b'9' | b'A'..=b'F'));
    while let Some(byte) = bytes.next() {
        if !(is_plain(byte) || byte == b'%' && is_upper_hex(bytes.next()) && is_upper_hex(bytes.next())) {
            return false;
        }
    }
    first && text.len() <= MAX_LEN
}

fn encoded(text: &[u8]) -> String {
    let mut name = String::with_capacity(text.len());
    for &byte in text {
        if is_plain(byte) && (byte.is_ascii_alphanumeric() || !name.is_empty()) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    name
}

fn without_extensions(name: &[u8]) -> &[u8] {
    let mut rest = name;
    while let Some(at) = rest.iter().rposition(|&byte| byte == b'.') {
        let (stem, extension) = rest.split_at(at);
        let extension = extension.get(1..).unwrap_or_default();
        // Parts of a split image: `.001`, in front of which its own extension may stand.
        let part = extension.len() == 3 && extension.iter().all(u8::is_ascii_digit);
        let known = EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known.as_bytes()));
        if !known && !part {
            break;
        }
        rest = stem;
    }
    rest
}

/// Whether two disks on these paths can be snapshots of one machine: the paths are the same but for the moments in the
/// names of folders and file. An extension may change along with a moment, but not alone: what lies side by side is no
/// succession.
#[must_use]
pub fn can_be_of_one_machine(one: &Path, other: &Path) -> bool {
    let stems = |path: &Path| -> Vec<Vec<u8>> {
        path.iter().map(|name| without_extensions(name.as_encoded_bytes()).to_vec()).collect()
    };
    let (stems, others) = (stems(one), stems(other));
    let lineage =
        |stems: &[Vec<u8>]| -> Vec<Vec<u8>> { stems.iter().map(|stem| timeless(stem).into_owned()).collect() };
    one == other || stems != others && lineage(&stems) == lineage(&others)
}

/// The name without a moment at its end, or in front of an extension that stays.
fn timeless(name: &[u8]) -> Cow<'_, [u8]> {
    let bare = without_moment(name);
    if bare.len() < name.len() {
        return bare.into();
    }
    let extension = name.iter().rposition(|byte| *byte == b'.').unwrap_or(name.len());
    let (head, extension) = name.split_at(extension);
    match without_moment(head) {
        bare if bare.len() < head.len() && !bare.is_empty() => [bare, extension].concat().into(),
        _ => name.into(),
    }
}

/// The name without a date, a date and a time, or a time at its end, and without what separates it from them.
fn without_moment(name: &[u8]) -> &[u8] {
    let starts = (0..name.len()).filter(|&at| at == 0 || name.get(at.wrapping_sub(1)).is_some_and(is_separator));
    for start in starts {
        let tail = name.get(start..).unwrap_or_default();
        if is_date_and_time(tail) || is_marked_time(tail) {
            let stem = name.get(..start).unwrap_or_default();
            let end = stem.iter().rposition(|byte| !is_separator(byte)).map_or(0, |at| at.saturating_add(1));
            return stem.get(..end).unwrap_or_default();
        }
    }
    name
}

fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'-' | b'_' | b'.' | b' ' | b'@' | b'+')
}

fn is_date_and_time(text: &[u8]) -> bool {
    let Some(rest) = date(text) else { return false };
    match rest {
        [] => true,
        [b'T' | b't' | b'-' | b'_' | b'.' | b' ', time @ ..] => is_time(time),
        time => text.first_chunk::<8>().is_some_and(|date| date.iter().all(u8::is_ascii_digit)) && is_time(time),
    }
}

/// A time without a date is only taken for one where nothing else looks like it: `T0300Z`, `03:00`.
fn is_marked_time(text: &[u8]) -> bool {
    match text {
        [b'T', time @ ..] => is_time(time),
        time => time.contains(&b':') && is_time(time),
    }
}

/// What follows `YYYY-MM-DD`, `YYYYMMDD`, or the same with `_` or `.` in between.
fn date(text: &[u8]) -> Option<&[u8]> {
    let (year, rest) = number(text, 4)?;
    let (separator, rest) = match rest {
        [separator @ (b'-' | b'_' | b'.'), rest @ ..] => (Some(*separator), rest),
        rest => (None, rest),
    };
    let (month, rest) = number(rest, 2)?;
    let rest = match separator {
        Some(separator) => rest.strip_prefix(&[separator])?,
        None => rest,
    };
    let (day, rest) = number(rest, 2)?;
    ((1970..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)).then_some(rest)
}

/// `HHMM` or `HHMMSS`, with `:`, `-`, `_` or `.` in between or not, a fraction, and `Z` or an offset.
fn is_time(text: &[u8]) -> bool {
    let Some((hour, mut rest)) = number(text, 2) else { return false };
    let mut parts = 0;
    while parts < 2 {
        let after = match rest {
            [b':' | b'-' | b'_' | b'.', after @ ..] => after,
            after => after,
        };
        let Some((part, after)) = number(after, 2) else { break };
        if part > 60 {
            return false;
        }
        rest = after;
        parts += 1;
    }
    if let [b'.' | b',', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            rest = fraction.get(digits..).unwrap_or_default();
        }
    }
    let is_utc = [&b"Z"[..], b"UTC", b"-UTC"].iter().any(|zone| rest.eq_ignore_ascii_case(zone));
    let zone = match rest {
        [] => true,
        [b'+' | b'-', offset @ ..] if !is_utc => {
            matches!(offset.len(), 2 | 4 | 5) && offset.iter().all(|byte| byte.is_ascii_digit() || *byte == b':')
        }
        _ => is_utc,
    };
    hour < 24 && parts > 0 && zone
}

fn number(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (head, rest) = text.split_at_checked(digits)?;
    let number = head.iter().try_fold(0_u32, |number, byte| {
        byte.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u32::from(byte.saturating_sub(b'0'))))
    })?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(file: &str) -> String {
        MachineName::of_target(file.as_bytes()).map(String::from).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn extensions_and_moments_are_taken_off() {
        for file in [
            "web01.raw",
            "web01",
            "web01-2026-11-21.raw",
            "web01_20261121T0300Z.qcow2",
            "web01.2026-11-21_03-00.vhdx",
            "web01-20261121.img.zst",
            "web01.E01",
            "web01.raw.001",
            "web01-2026-11-21T03:00:00.123+01:00.raw",
            "web01_2026_11_21.VMDK",
            "web01@20261121-030000.raw",
            "web01.20261121T190000Z.manifest.zst",
            "web01-T0300Z.raw",
            "web01_03:00.raw",
            "web01 2026-11-21 03.00.dd",
            "web01-2026-11-21-0300-UTC.raw",
            "web01-2026-11-21.ova",
            "web01-20261121030000.raw",
            "web01-202611210300.raw",
            "web01-2026-11-21.snap",
        ] {
            assert_eq!(name(file), "web01", "{file}");
        }
    }

    #[test]
    fn what_tells_machines_apart_stays() {
        for (file, expected) in [
            ("web01.prod", "web01.prod"),
            ("db.example.com.raw", "db.example.com"),
            ("node-1200.raw", "node-1200"),
            ("node-20261399.raw", "node-20261399"),
            ("web-2026.raw", "web-2026"),
            ("sda.raw", "sda"),
            ("host20261121.raw", "host20261121"),
            ("a-1-2.raw", "a-1-2"),
            ("day0.raw", "day0"),
            ("web01-2026-11-21.prod", "web01.prod"),
            ("web01-20261121.test", "web01.test"),
            ("node-20261121996000.raw", "node-20261121996000"),
            ("node-2026-11-210300.raw", "node-2026-11-210300"),
            ("web 01.raw", "web%2001"),
            ("-x.raw", "%2Dx"),
            ("..raw", "%2E"),
            ("a%20b.raw", "a%2520b"),
            ("wéb.raw", "w%C3%A9b"),
        ] {
            assert_eq!(name(file), expected, "{file}");
        }
    }

    #[test]
    fn snapshots_of_one_machine_lie_on_one_path_but_for_moments() {
        for (one, other, expected) in [
            ("/vms/web01-2026-11-20.raw", "/vms/web01-2026-11-21.qcow2", true),
            ("/vms/web01.raw", "/vms/web01-2026-11-21.qcow2", true),
            ("/snaps/2026-11-20/web01.raw", "/snaps/2026-11-21/web01.raw", true),
            ("/snaps/2026-11-20/web01.raw", "/snaps/2026-11-21/web01.vhdx", true),
            ("/vms/web01.qcow2", "/vms/web01.qcow2", true),
            ("/vms/web01.raw", "/vms/web01.qcow2", false),
            ("/vms/web01-2026-11-20.raw", "/vms/web01-2026-11-20.qcow2", false),
            ("/snaps/2026-11-20/web01.raw", "/snaps/2026-11-20/web01.qcow2", false),
            ("/vms/a/disk.raw", "/vms/b/disk.raw", false),
            ("web01-2026-11-20.prod", "web01-2026-11-20.test", false),
        ] {
            let can_be = |one: &str, other: &str| can_be_of_one_machine(Path::new(one), Path::new(other));
            assert_eq!((can_be(one, other), can_be(other, one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn a_name_that_is_only_a_date_is_refused() {
        for file in ["2026-11-21.raw", ".raw", "20261121T0300Z.qcow2", "-2026-11-21.raw"] {
            assert!(name(file).contains("--machine"), "{file}: {}", name(file));
        }
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let long = |last: char| name(&format!("{}é{}{last}.raw", "x".repeat(44), "y".repeat(100)));
        assert!(long('a') != long('b'));
        for one in [long('a'), long('b')] {
            assert!(one.len() <= MAX_LEN && is_name(&one), "{one}");
        }
    }

    #[test]
    fn a_given_name_is_taken_or_encoded() {
        let given = |text: &str| MachineName::given(text).map(String::from).ok();
        assert_eq!(given("web01").as_deref(), Some("web01"));
        assert_eq!(given("web%2001").as_deref(), Some("web%2001"));
        assert_eq!(given("a/b").as_deref(), Some("a%2Fb"));
        assert_eq!(given("..").as_deref(), Some("%2E."));
        assert_eq!(given("100%").as_deref(), Some("100%25"));
        assert_eq!(given(""), None);
        assert_eq!(given(&"x".repeat(65)), None);
        assert!(MachineName::of_folder(".tmp").is_none() && MachineName::of_folder("a/b").is_none());
    }
}
