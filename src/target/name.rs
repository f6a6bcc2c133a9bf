//! The form of a target on the command line: `disk.raw`, `sda.raw+sdb.raw`, `disk.qcow2@before-upgrade`.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// One disk of a target, as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The file, device or directory.
    pub path: PathBuf,
    /// A snapshot inside the image.
    pub snapshot: Option<String>,
}

/// Takes a target apart. A name that exists as it stands means itself, whatever characters are in it.
#[must_use]
pub fn parse(given: &OsStr) -> Vec<Disk> {
    let mut disks = Vec::new();
    let mut rest = given.as_bytes();
    while !rest.is_empty() {
        let pluses = |at: &usize| *at > 0 && rest.get(*at) == Some(&b'+');
        // The longest beginning that exists, with or without a snapshot, is one disk.
        let ends = std::iter::once(rest.len()).chain((0..rest.len()).rev().filter(pluses));
        let found = ends.into_iter().find(|end| {
            let name = rest.get(..*end).unwrap_or_default();
            exists(name) || split_snapshot(name).is_some_and(|(path, _)| exists(path))
        });
        let end = found.unwrap_or_else(|| (0..rest.len()).find(pluses).unwrap_or(rest.len()));
        let (name, behind) = rest.split_at(end);
        disks.push(disk(name));
        rest = behind.strip_prefix(b"+").unwrap_or_default();
    }
    disks
}

fn exists(name: &[u8]) -> bool {
    path(name).exists()
}

fn path(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}

/// What stands before the last `@`, and what behind it.
fn split_snapshot(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = name.iter().rposition(|byte| *byte == b'@')?;
    Some((name.get(..at)?, name.get(at.saturating_add(1)..)?))
}

fn disk(name: &[u8]) -> Disk {
    match split_snapshot(name) {
        Some((before, snapshot)) if !exists(name) && !before.is_empty() && !snapshot.is_empty() => {
            Disk { path: path(before).to_owned(), snapshot: Some(String::from_utf8_lossy(snapshot).into_owned()) }
        }
        _ => Disk { path: path(name).to_owned(), snapshot: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn existing_names_mean_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        for name in ["a+b.raw", "c@d.raw", "e.raw"] {
            std::fs::write(path(name), "x").unwrap();
        }
        let parsed = |given: &str| {
            parse(given.as_ref())
                .into_iter()
                .map(|disk| (disk.path.to_str().unwrap().to_owned(), disk.snapshot))
                .collect::<Vec<_>>()
        };
        assert_eq!(parsed(&path("a+b.raw")), [(path("a+b.raw"), None)]);
        assert_eq!(parsed(&path("c@d.raw")), [(path("c@d.raw"), None)]);
        assert_eq!(parsed(&path("e.raw@night 1")), [(path("e.raw"), Some("night 1".to_owned()))]);
        let joined = format!("{}+{}+{}", path("a+b.raw"), path("e.raw"), path("c@d.raw"));
        assert_eq!(parsed(&joined), [(path("a+b.raw"), None), (path("e.raw"), None), (path("c@d.raw"), None)]);
        let odd = dir.path().join(OsStr::from_bytes(b"bad\xff.raw"));
        std::fs::write(&odd, "x").unwrap();
        let both = [odd.as_os_str().as_bytes(), b"+", odd.as_os_str().as_bytes(), b"@n"].concat();
        let disks = [None, Some("n".to_owned())].map(|snapshot| Disk { path: odd.clone(), snapshot });
        assert_eq!(parse(OsStr::from_bytes(&both)), disks);
        assert_eq!(parsed("gone.raw+also.raw"), [("gone.raw".to_owned(), None), ("also.raw".to_owned(), None)]);
    }
}
