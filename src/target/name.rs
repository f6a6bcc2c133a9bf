//! The form of a target on the command line: `disk.raw`, `sda.raw+sdb.raw`, `disk.qcow2@before-upgrade`.

use std::path::{Path, PathBuf};

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
pub fn parse(given: &str) -> Vec<Disk> {
    let exists = |name: &str| Path::new(name).exists();
    let mut disks = Vec::new();
    let mut rest = given;
    while !rest.is_empty() {
        // The longest beginning that exists, with or without a snapshot, is one disk.
        let ends = std::iter::once(rest.len()).chain(rest.rmatch_indices('+').map(|(at, _)| at));
        let found = ends.filter(|end| *end > 0).find(|end| {
            let name = &rest[..*end];
            exists(name) || name.rsplit_once('@').is_some_and(|(path, _)| exists(path))
        });
        let end = found.unwrap_or_else(|| rest.find('+').filter(|at| *at > 0).unwrap_or(rest.len()));
        disks.push(disk(&rest[..end]));
        rest = rest[end..].strip_prefix('+').unwrap_or("");
    }
    disks
}

fn disk(name: &str) -> Disk {
    match name.rsplit_once('@') {
        Some((path, snapshot)) if !Path::new(name).exists() && !path.is_empty() && !snapshot.is_empty() => {
            Disk { path: path.into(), snapshot: Some(snapshot.to_owned()) }
        }
        _ => Disk { path: name.into(), snapshot: None },
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
            parse(given)
                .into_iter()
                .map(|disk| (disk.path.to_str().unwrap().to_owned(), disk.snapshot))
                .collect::<Vec<_>>()
        };
        assert_eq!(parsed(&path("a+b.raw")), [(path("a+b.raw"), None)]);
        assert_eq!(parsed(&path("c@d.raw")), [(path("c@d.raw"), None)]);
        assert_eq!(parsed(&path("e.raw@night 1")), [(path("e.raw"), Some("night 1".to_owned()))]);
        let joined = format!("{}+{}+{}", path("a+b.raw"), path("e.raw"), path("c@d.raw"));
        assert_eq!(parsed(&joined), [(path("a+b.raw"), None), (path("e.raw"), None), (path("c@d.raw"), None)]);
        assert_eq!(parsed("gone.raw+also.raw"), [("gone.raw".to_owned(), None), ("also.raw".to_owned(), None)]);
    }
}
