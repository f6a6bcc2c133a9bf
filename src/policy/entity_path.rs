//! Where an entity is, in segments: `/usr/bin/passwd`, `C:\Windows`, `@5d1e…/EFI`, `HKLM\SOFTWARE`.

use crate::{
    error::{Error, Result},
    text::fold::fold,
};

/// What a path begins at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// `/`: the tree of a Linux machine. Names are bytes.
    Linux,
    /// `C:`: a drive of a Windows machine, its letter in upper case. Names are WTF-8, case does not count.
    Drive(u8),
    /// A volume that nothing places: `@` and its id, without the `@`. Case does not count, since most of these
    /// are FAT or NTFS, and a rule that covers too much is better than one that misses a file.
    Volume(Vec<u8>),
    /// A part of the registry. Case does not count.
    Hive(Hive),
}

/// The two parts of a registry that exist on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hive {
    /// `HKLM`.
    LocalMachine,
    /// `HKU`.
    Users,
}

impl Hive {
    /// `HKLM` or `HKU`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LocalMachine => "HKLM",
            Self::Users => "HKU",
        }
    }

    /// The hive of that name, long or short, without case, also as PowerShell writes it (`HKLM:`).
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        let is = |one: &str| name.strip_suffix(b":").unwrap_or(name).eq_ignore_ascii_case(one.as_bytes());
        if is("HKLM") || is("HKEY_LOCAL_MACHINE") {
            Some(Self::LocalMachine)
        } else if is("HKU") || is("HKEY_USERS") {
            Some(Self::Users)
        } else {
            None
        }
    }
}

/// The path of a file or a registry key, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityPath {
    /// What it begins at.
    pub root: Root,
    /// The names from there, exact bytes. A user whom no SID names (`HKU\@Users\alice`) is one name, so that rules
    /// for `HKU\*` hold for every user.
    pub segments: Vec<Vec<u8>>,
}

impl EntityPath {
    /// Takes a path apart, as it stands in a record.
    ///
    /// # Errors
    /// [`Error::Usage`] when it does not begin at a root.
    pub fn parse(path: &[u8]) -> Result<Self> {
        let head = |is_end: fn(&u8) -> bool| path.split(is_end).next().unwrap_or_default();
        let (root, skip, is_end): (_, _, fn(&u8) -> bool) = match path {
            [b'/', ..] => (Root::Linux, 0, |b| *b == b'/'),
            [b'@', _, ..] => {
                let id = head(|b| *b == b'/');
                (Root::Volume(id.get(1..).unwrap_or_default().to_vec()), id.len(), |b| *b == b'/')
            }
            [letter, b':'] | [letter, b':', b'\\', ..] if letter.is_ascii_alphabetic() => {
                (Root::Drive(letter.to_ascii_uppercase()), 2, |b| *b == b'\\')
            }
            [letter, b':', b'/', ..] if letter.is_ascii_alphabetic() => {
                (Root::Drive(letter.to_ascii_uppercase()), 2, |b| matches!(b, b'\\' | b'/'))
            }
            _ => match Hive::named(head(|b| *b == b'\\')) {
                Some(hive) => (Root::Hive(hive), head(|b| *b == b'\\').len(), |b| *b == b'\\'),
                None => {
                    return Err(Error::Usage(format!(
                        "path: expected one that begins with /, a drive (C:\\), a volume (@id/), HKLM\\ or HKU\\, found \"{}\"",
                        path.escape_ascii()
                    )));
                }
            },
        };
        let names = path.get(skip..).unwrap_or_default().split(is_end);
        let mut segments = names.filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect::<Vec<_>>();
        if let [first, second, ..] = segments.as_mut_slice()
            && root == Root::Hive(Hive::Users)
            && first.starts_with(b"@")
        {
            first.push(b'\\');
            first.append(second);
            segments.remove(1);
        }
        Ok(Self { root, segments })
    }

    /// Whether both lead to the same place by name: beneath most roots case does not count.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |one: &Vec<u8>, two: &Vec<u8>| one == two || (self.root.folds() && fold(one) == fold(two));
        self.root == other.root
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|(one, two)| same(one, two))
    }

    /// The control set that the path lies in, as `ControlSet001`.
    #[must_use]
    pub fn control_set(&self) -> Option<&str> {
        let (Root::Hive(Hive::LocalMachine), [system, set, ..]) = (&self.root, self.segments.as_slice()) else {
            return None;
        };
        let set = std::str::from_utf8(set).ok()?;
        let (name, number) = set.split_at_checked("ControlSet".len())?;
        let is_numbered = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
        (system.eq_ignore_ascii_case(b"SYSTEM") && name.eq_ignore_ascii_case("ControlSet") && is_numbered)
            .then_some(set)
    }

    /// How `CurrentControlSet` spells it, if the control set that it lies in is the current one.
    #[must_use]
    pub fn in_current_control_set(&self) -> Option<Self> {
        self.control_set()?;
        let mut current = self.clone();
        *current.segments.get_mut(1)? = b"CurrentControlSet".to_vec();
        Some(current)
    }

    /// The path as a record spells it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let separator = self.root.separator();
        let mut path = match &self.root {
            Root::Linux => Vec::new(),
            Root::Drive(letter) => vec![*letter, b':'],
            Root::Volume(id) => [b"@", id.as_slice()].concat(),
            Root::Hive(hive) => hive.name().into(),
        };
        for segment in &self.segments {
            path.push(separator);
            path.extend_from_slice(segment);
        }
        if self.segments.is_empty() && !matches!(self.root, Root::Hive(_)) {
            path.push(separator);
        }
        path
    }
}

impl Root {
    /// Whether names beneath this root compare without case.
    #[must_use]
    pub fn folds(&self) -> bool {
        !matches!(self, Self::Linux)
    }

    /// What stands between names beneath this root.
    #[must_use]
    pub fn separator(&self) -> u8 {
        match self {
            Self::Linux | Self::Volume(_) => b'/',
            Self::Drive(_) | Self::Hive(_) => b'\\',
        }
    }

    /// This root as the first segment of a path whose case does not count; `None` for the root of Linux.
    pub(super) fn segment(&self) -> Option<Vec<u8>> {
        match self {
            Self::Linux => None,
            Self::Drive(letter) => Some(vec![letter.to_ascii_uppercase(), b':']),
            Self::Volume(id) => Some([b"@", &*fold(id)].concat()),
            Self::Hive(hive) => Some(hive.name().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_apart_and_together() {
        for path in
            ["/", "/usr/bin", "C:\\", r"C:\Windows\x", "@5d1e/", "@5d1e/EFI", "HKLM", r"HKLM\SOFTWARE", r"HKU\.DEFAULT"]
        {
            assert_eq!(EntityPath::parse(path.as_bytes()).unwrap().to_bytes(), path.as_bytes());
        }
        let linux = EntityPath::parse(b"/a\\b/\xff").unwrap();
        assert_eq!(linux.segments, [b"a\\b".to_vec(), b"\xff".to_vec()]);
        for (other, path) in [
            ("c:", "C:\\"),
            ("c:/Windows/x", r"C:\Windows\x"),
            (r"HKEY_LOCAL_MACHINE\A/B", r"HKLM\A/B"),
            (r"hku:\S-1", r"HKU\S-1"),
        ] {
            assert_eq!(EntityPath::parse(other.as_bytes()).unwrap().to_bytes(), path.as_bytes());
        }
        for bad in ["", "etc/passwd", r"\Windows", "@", "HKCU\\x"] {
            assert_eq!(EntityPath::parse(bad.as_bytes()).unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
