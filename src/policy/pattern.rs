//! One pattern of a policy, taken apart, and what it says about one path.
//!
//! What a pattern applies to is seen by how it begins:
//!
//! | it begins with | it applies to |
//! |---|---|
//! | `/` | the tree of a Linux machine, by bytes |
//! | `C:\` (also `C:/`, `?:\`) | a drive of a Windows machine, without case; `/` separates as `\` does |
//! | `\` | every drive of a Windows machine |
//! | `@id/`, `@*/` | volumes that nothing places, without case |
//! | `**/` | files anywhere on every system |
//! | `**\` | files anywhere on drives and volumes that nothing places |
//! | `HKLM\`, `HKU\` (also the long names) | the registry, without case; a key's values are its entries |

use super::{
    entity_path::{EntityPath, Hive, Root},
    glob::Segment,
};
use crate::text::fold::fold;

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 4096;

/// Where a pattern stands, and with that what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In `paths`: files.
    Paths,
    /// In `registry`: keys.
    Registry,
    /// In `exclude`, `disable`: both.
    Either,
}

/// The roots that a pattern applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// The tree of a Linux machine.
    Linux,
    /// Drives: the letter with its colon, in upper case.
    Drives(Segment),
    /// Volumes that nothing places: `@` and the id, in upper case.
    Volumes(Segment),
    /// Drives, and volumes that nothing places.
    Folding,
    /// All files.
    Files,
    /// A part of the registry.
    Hive(Hive),
}

/// How a pattern reaches a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The pattern is matched by the path itself.
    Names,
    /// The pattern is matched by one of the containers above.
    Beneath,
}

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) roots: Roots,
    /// Names before `spelled`, exact: where a link leads.
    base: Vec<Vec<u8>>,
    /// As spelled, without separators; `**` never twice in a row and never last.
    pub(super) spelled: Vec<String>,
    /// Ends in a separator: a container only.
    pub(super) container: bool,
}

fn segment(text: &str, separators: &[char]) -> usize {
    text.find(separators).unwrap_or(text.len())
}

/// A hint for the roots that exist only on a running machine.
fn live_hive(head: &str) -> Option<&'static str> {
    let is = |names: [&str; 2]| names.iter().any(|name| head.trim_end_matches(':').eq_ignore_ascii_case(name));
    if is(["HKCU", "HKEY_CURRENT_USER"]) {
        Some("HKU\\*\\… for every user")
    } else if is(["HKCR", "HKEY_CLASSES_ROOT"]) {
        Some("HKLM\\SOFTWARE\\Classes\\… and HKU\\*_Classes\\…")
    } else if is(["HKCC", "HKEY_CURRENT_CONFIG"]) {
        Some("HKLM\\SYSTEM\\CurrentControlSet\\Hardware Profiles\\Current\\…")
    } else {
        None
    }
}

impl Pattern {
    /// Takes a pattern apart.
    ///
    /// # Errors
    /// What was expected and found, without file and line.
    pub(super) fn parse(text: &str, place: Place) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_PATTERN {
            return Err(format!("expected a pattern of 1 to {MAX_PATTERN} bytes, found {}", text.len()));
        }
        let (roots, rest, separators) = Self::root(text)?;
        match (place, matches!(roots, Roots::Hive(_))) {
            (Place::Paths, true) => {
                return Err(format!("expected a file's path, found \"{text}\", which belongs into \"registry\""));
            }
            (Place::Registry, false) => {
                return Err(format!("expected a key that begins with HKLM\\ or HKU\\, found \"{text}\""));
            }
            _ => {}
        }
        let container = rest.ends_with(separators);
        let mut spelled = Vec::<String>::new();
        for name in rest.split(separators).filter(|name| !name.is_empty()) {
            if matches!(name, "." | "..") && !matches!(roots, Roots::Hive(_)) {
                return Err(format!("expected a path without \"{name}\", found \"{text}\""));
            }
            if name != "**" || spelled.last().is_none_or(|last| last != "**") {
                spelled.push(name.to_owned());
            }
        }
        if let [first, second, ..] = spelled.as_mut_slice()
            && roots == Roots::Hive(Hive::Users)
            && first.starts_with('@')
        {
            // As in an `EntityPath`: a user whom no SID names is one segment.
            *first = format!("{first}\\{second}");
            spelled.remove(1);
        }
        if spelled.last().is_some_and(|last| last == "**") {
            spelled.push("*".into());
        }
        let pattern = Self { roots, base: Vec::new(), spelled, container };
        pattern.segments(pattern.folds())?;
        Ok(pattern)
    }

    /// The roots that a pattern begins with, what follows, and what separates names there.
    fn root(text: &str) -> Result<(Roots, &str, &'static [char]), String> {
        const UNIX: &[char] = &['/'];
        const WINDOWS: &[char] = &['\\', '/'];
        const KEYS: &[char] = &['\\'];
        let (head, tail) = text.split_at(segment(text, WINDOWS));
        let key = text.get(..segment(text, KEYS)).unwrap_or_default();
        if let Some(hive) = Hive::named(key.as_bytes()) {
            return Ok((Roots::Hive(hive), text.get(key.len()..).unwrap_or_default(), KEYS));
        }
        if let Some(instead) = live_hive(head) {
            return Err(format!("expected {instead} (\"{head}\" is not on disk), found \"{text}\""));
        }
        if text.starts_with('/') {
            Ok((Roots::Linux, text, UNIX))
        } else if text.starts_with('@') {
            let (id, tail) = text.split_at(segment(text, UNIX));
            if id.len() < 2 {
                return Err(format!("expected a volume's id after \"@\", found \"{text}\""));
            }
            match Segment::parse(id, true)? {
                Segment::Globstar => Err(format!("expected one volume or \"@*\", found \"{text}\"")),
                id => Ok((Roots::Volumes(id), tail, UNIX)),
            }
        } else if let Some(letter) = head.strip_suffix(':') {
            let drive = Segment::parse(head, true)?;
            match &drive {
                Segment::Literal(name) if !matches!(name.as_slice(), [b'A'..=b'Z', b':']) => {
                    Err(format!("expected a drive letter before \":\", found \"{letter}\" in \"{text}\""))
                }
                _ => Ok((Roots::Drives(drive), tail, WINDOWS)),
            }
        } else if text.starts_with('\\') && !text.starts_with("\\\\") {
            Ok((Roots::Drives(Segment::parse("?:", true)?), text, WINDOWS))
        } else if text.starts_with("**\\") {
            Ok((Roots::Folding, text, WINDOWS))
        } else if text == "**" || text.starts_with("**/") {
            Ok((Roots::Files, text, UNIX))
        } else {
            Err(format!(
                "expected a path from a root (/, C:\\, \\, @id/, HKLM\\, HKU\\) or one that begins with \"**/\", found \"{text}\""
            ))
        }
    }

    /// Whether case does not count; a pattern for all files is read both ways.
    pub(super) fn folds(&self) -> bool {
        !matches!(self.roots, Roots::Linux | Roots::Files)
    }

    /// The segments, compiled.
    pub(super) fn segments(&self, folded: bool) -> Result<Vec<Segment>, String> {
        let base = self.base.iter().map(|name| Ok(Segment::literal(name, folded)));
        base.chain(self.spelled.iter().map(|name| Segment::parse(name, folded))).collect()
    }

    /// A segment that names a stream of a Windows file, which no path has: streams are covered with their file.
    pub(super) fn stream(&self) -> Option<&str> {
        let on_drive = matches!(self.roots, Roots::Drives(_));
        self.spelled.iter().find(|name| on_drive && name.contains(':')).map(String::as_str)
    }

    /// Whether the pattern applies beneath a root at all.
    pub(super) fn admits(&self, root: &Root) -> bool {
        match (&self.roots, root) {
            (Roots::Linux, Root::Linux)
            | (Roots::Folding, Root::Drive(_) | Root::Volume(_))
            | (Roots::Files, Root::Linux | Root::Drive(_) | Root::Volume(_)) => true,
            (Roots::Drives(own), Root::Drive(_)) | (Roots::Volumes(own), Root::Volume(_)) => {
                root.segment().is_some_and(|name| own.matches(&name))
            }
            (Roots::Hive(own), Root::Hive(hive)) => own == hive,
            _ => false,
        }
    }

    /// The names up to the first wildcard, with brackets resolved.
    pub(super) fn literal_prefix(&self) -> Vec<Vec<u8>> {
        let literal = |name: &String| match Segment::parse(name, false) {
            Ok(Segment::Literal(name)) => Some(name),
            _ => None,
        };
        self.base.iter().cloned().chain(self.spelled.iter().map_while(literal)).collect()
    }

    /// Whether, and how, the pattern reaches a path; `container` says whether the path is one. This is the
    /// definition, one pattern at a time; [`Matcher`](super::Matcher) does the same for all at once.
    pub(super) fn reach(&self, path: &EntityPath, container: bool) -> Option<Reach> {
        if !self.admits(&path.root) {
            return None;
        }
        let folds = path.root.folds();
        let segments = self.segments(folds).ok()?;
        // alive[p]: the first p segments of the pattern match the names so far.
        let mut alive = vec![false; segments.len() + 1];
        if let Some(start) = alive.first_mut() {
            *start = true;
        }
        spread(&mut alive, &segments);
        let mut above = alive.last() == Some(&true) && !path.segments.is_empty();
        for (depth, name) in path.segments.iter().enumerate() {
            let name = if folds { fold(name) } else { name.as_slice().into() };
            let mut next = vec![false; alive.len()];
            for (at, segment) in segments.iter().enumerate().filter(|(at, _)| alive.get(*at) == Some(&true)) {
                let target = if *segment == Segment::Globstar { at } else { at + 1 };
                if let Some(cell) = next.get_mut(target) {
                    *cell |= segment.matches(&name);
                }
            }
            spread(&mut next, &segments);
            alive = next;
            above |= alive.last() == Some(&true) && depth + 1 < path.segments.len();
        }
        if alive.last() == Some(&true) && (container || path.segments.is_empty() || !self.container) {
            Some(Reach::Names)
        } else {
            above.then_some(Reach::Beneath)
        }
    }

    /// The same pattern where a link leads: when its literal part begins with `spelled`, or its whole is matched
    /// by it, what follows is looked for beneath `canonical`.
    pub(super) fn redirected(&self, spelled: &EntityPath, canonical: &EntityPath) -> Option<Self> {
        if !self.admits(&spelled.root) {
            return None;
        }
        let folds = spelled.root.folds();
        let same = |one: &Vec<u8>, other: &Vec<u8>| if folds { fold(one) == fold(other) } else { one == other };
        let prefix = self.literal_prefix();
        let depth = spelled.segments.len();
        let through =
            prefix.len() >= depth && spelled.segments.iter().zip(&prefix).all(|(one, other)| same(one, other));
        if !through && self.reach(spelled, true) != Some(Reach::Names) {
            return None;
        }
        let tail = if through { self.spelled.get(depth..).unwrap_or_default() } else { &[] };
        let roots = match &canonical.root {
            Root::Linux => Roots::Linux,
            Root::Drive(_) => Roots::Drives(Segment::Literal(canonical.root.segment()?)),
            Root::Volume(_) => Roots::Volumes(Segment::Literal(canonical.root.segment()?)),
            Root::Hive(hive) => Roots::Hive(*hive),
        };
        let base = canonical.segments.clone();
        Some(Self { roots, base, spelled: tail.to_vec(), container: self.container })
    }

    /// Whether two patterns say the same; a trailing separator does not count, and no drive is every drive.
    pub(super) fn same_place(&self, other: &Self) -> bool {
        let spelled = |pattern: &Self| pattern.segments(pattern.folds());
        let roots = match (&self.roots, &other.roots) {
            (Roots::Drives(Segment::Literal(own)), Roots::Drives(any @ Segment::Glob(_)))
            | (Roots::Drives(any @ Segment::Glob(_)), Roots::Drives(Segment::Literal(own))) => any.matches(own),
            (own, other) => own == other,
        };
        roots && spelled(self) == spelled(other)
    }
}

/// `**` also stands for no segment at all.
fn spread(alive: &mut [bool], segments: &[Segment]) {
    for (at, segment) in segments.iter().enumerate() {
        if *segment == Segment::Globstar
            && alive.get(at) == Some(&true)
            && let Some(cell) = alive.get_mut(at + 1)
        {
            *cell = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(pattern: &str, path: &str) -> Option<Reach> {
        let pattern = Pattern::parse(pattern, Place::Either).unwrap_or_else(|e| panic!("{pattern}: {e}"));
        pattern.reach(&EntityPath::parse(path.as_bytes()).unwrap(), true)
    }

    #[test]
    fn a_pattern_is_read_by_how_it_begins() {
        for (pattern, want) in [
            ("etc/passwd", "a path from a root"),
            ("*.log", "a path from a root"),
            ("%windir%\\x", "a path from a root"),
            ("/etc/../x", "\"..\""),
            ("/etc/[a", "after \"[\""),
            ("HKCU\\Software", "HKU\\*"),
            ("HKEY_CLASSES_ROOT", "Classes"),
            ("\\\\server\\share", "a path from a root"),
            ("CD:\\x", "drive letter"),
            ("@", "volume's id"),
            ("", "1 to 4096"),
        ] {
            let error = Pattern::parse(pattern, Place::Either).unwrap_err();
            assert!(error.contains(want), "{pattern}: {error}");
        }
        assert!(Pattern::parse("HKLM\\X", Place::Paths).unwrap_err().contains("registry"));
        assert!(Pattern::parse("/etc", Place::Registry).unwrap_err().contains("HKLM"));
    }

    #[test]
    fn double_stars_are_made_plain() {
        let spelled = |pattern| Pattern::parse(pattern, Place::Either).unwrap().spelled.join("/");
        assert_eq!(spelled("/a/**/**/b//c/"), "a/**/b/c");
        assert_eq!(spelled("/a/**"), "a/**/*");
        assert_eq!(spelled("**"), "**/*");
    }

    #[test]
    fn links_redirect_what_goes_through_them() {
        let at = |path: &str| EntityPath::parse(path.as_bytes()).unwrap();
        let to = |pattern: &str, spelled: &str, canonical: &str| {
            Pattern::parse(pattern, Place::Either).unwrap().redirected(&at(spelled), &at(canonical))
        };
        let bin = to("/bin/*sh", "/bin", "/usr/b[i]n").unwrap();
        assert_eq!(bin.reach(&at("/usr/b[i]n/bash"), false), Some(Reach::Names));
        assert_eq!(bin.reach(&at("/usr/b[i]n/cat"), false), None);
        let conf = to("/etc/*.conf", "/etc/x.conf", "/usr/x").unwrap();
        assert_eq!(conf.reach(&at("/usr/x/y"), false), Some(Reach::Beneath));
        assert_eq!(to("/etc/*.conf", "/etc/x", "/usr/x"), None);
        assert_eq!(to("/bin/sh", "/bin/bash", "/usr/x"), None);
        assert!(to("C:\\Link\\x", "c:\\LINK", "D:\\y").unwrap().reach(&at("D:\\Y\\X"), false).is_some());
        assert!(to("/bin/sh", "/bin", "@1/x").unwrap().reach(&at("@1/X/SH"), false).is_some());
    }

    #[test]
    fn the_same_place_is_known_in_every_spelling() {
        let same = |one, other| {
            let parse = |text| Pattern::parse(text, Place::Either).unwrap();
            parse(one).same_place(&parse(other))
        };
        assert!(same("C:\\boot.ini", "c:/BOOT.INI") && same("C:\\boot.ini", "\\boot.ini") && same("/bin", "/bin/"));
        assert!(same("HKLM\\Software\\X", "HKEY_LOCAL_MACHINE\\SOFTWARE\\x\\"));
        assert!(!same("/bin", "/Bin") && !same("C:\\x", "D:\\x"));
    }

    #[test]
    fn volumes_stand_apart_from_trees() {
        assert_eq!(reach("@*/EFI", "@5D1E/efi/boot"), Some(Reach::Beneath));
        assert_eq!(reach("@5d1e/**", "@5D1E/x"), Some(Reach::Names));
        assert_eq!(reach("@5d1e", "@5d1e/"), Some(Reach::Names));
        assert_eq!(reach("/EFI", "@5d1e/EFI"), None);
        assert_eq!(reach("\\EFI", "@5d1e/EFI"), None);
        assert_eq!(reach("**", "@5d1e/EFI/x"), Some(Reach::Names));
    }
}
