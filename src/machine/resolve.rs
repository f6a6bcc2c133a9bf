//! Where a path leads inside the image: through mounts and symbolic links, never out of the image and never on
//! the host. See `path_resolution(7)`; `..` above the root stays at the root. What Windows does otherwise is in
//! `link.rs`; names that match without case keep the spelling of the disk.

use super::{
    Machine, Mount, Sessions, join,
    link::{self, Target},
};
use crate::{
    error::Result,
    fs::{Kind, NodeId},
};

/// The kernel follows at most 40 links in one path (`path_resolution(7)`).
const LINK_CAP: usize = 40;

/// Parts of a path, links included, that are looked at in one resolution.
const STEP_CAP: usize = 4096;

/// An entity of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Index of the volume in [`Machine::volumes`].
    pub volume: usize,
    /// The node on that volume.
    pub node: NodeId,
    /// What it is.
    pub kind: Option<Kind>,
    /// Its canonical path: no links in it, spelled as on disk.
    pub path: Vec<u8>,
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// To an entity.
    Found(Place),
    /// To nothing; the first part that is not there, as a canonical path.
    Missing(Vec<u8>),
    /// Round in circles, or through more than 40 links.
    Loop,
}

/// Resolves paths of one machine.
pub struct Resolver<'s, 'm> {
    sessions: &'s mut Sessions<'m>,
}

impl<'s, 'm> Resolver<'s, 'm> {
    /// A resolver over one worker's readers.
    pub fn new(sessions: &'s mut Sessions<'m>) -> Self {
        Self { sessions }
    }

    /// The readers.
    pub fn sessions(&mut self) -> &mut Sessions<'m> {
        self.sessions
    }

    /// Where an absolute path leads, all links followed.
    ///
    /// # Errors
    /// When a directory or a link on the way cannot be read.
    pub fn resolve(&mut self, path: &[u8]) -> Result<Resolution> {
        self.walk(path, true)
    }

    /// The same, without following a link in the last part.
    ///
    /// # Errors
    /// When a directory or a link on the way cannot be read.
    pub fn resolve_link(&mut self, path: &[u8]) -> Result<Resolution> {
        self.walk(path, false)
    }

    /// The root of a mount.
    fn base(&mut self, mount: &Mount) -> Result<Place> {
        let node = self.sessions.of(mount.volume)?.root();
        Ok(Place { volume: mount.volume, node, kind: Some(Kind::Dir), path: mount.path.clone() })
    }

    /// The node behind a name of a directory, and the name as it is stored.
    fn entry(&mut self, dir: &Place, name: &[u8]) -> Result<Option<(NodeId, Vec<u8>)>> {
        let folds = self.sessions.machine().volumes.get(dir.volume).and_then(|v| v.fs.as_ref());
        let folds = folds.is_some_and(|fs| fs.folds_case());
        let session = self.sessions.of(dir.volume)?;
        if folds {
            return session.lookup_stored(&dir.node, name);
        }
        Ok(session.lookup(&dir.node, name)?.map(|node| (node, name.to_vec())))
    }

    fn walk(&mut self, path: &[u8], follow_last: bool) -> Result<Resolution> {
        let machine = self.sessions.machine();
        let Some((root, rest)) = split_root(machine, path) else {
            return Ok(Resolution::Missing(path.to_vec()));
        };
        let mut todo: Vec<Vec<u8>> = parts(rest, Machine::separator(&root.path));
        // The directories from the root to here, so that `..` needs no look-up.
        let mut stack = vec![self.base(root)?];
        let (mut links, mut steps) = (0, 0);
        while let Some(part) = todo.pop() {
            steps += 1;
            if steps > STEP_CAP {
                return Ok(Resolution::Loop);
            }
            if part.is_empty() || part == b"." {
                continue;
            }
            if part == b".." {
                if stack.len() > 1 {
                    stack.pop();
                }
                continue;
            }
            let Some(here) = stack.last() else { break };
            let separator = Machine::separator(&here.path);
            let found = if here.kind == Some(Kind::Dir) { self.entry(here, &part)? } else { None };
            let Some((node, name)) = found else {
                return Ok(Resolution::Missing(join(&here.path, &part, separator)));
            };
            let path = join(&here.path, &name, separator);
            let metadata = self.sessions.of(here.volume)?.metadata(&node)?;
            match (metadata.kind, link::target(machine, &metadata, separator)) {
                (Some(Kind::Symlink), Some(target)) if follow_last || !todo.is_empty() => {
                    links += 1;
                    if links > LINK_CAP {
                        return Ok(Resolution::Loop);
                    }
                    let parts = match target {
                        Target::Relative(parts) => parts,
                        Target::Root(parts) => {
                            stack.truncate(1);
                            parts
                        }
                        Target::Mount(mount, parts) => {
                            stack = vec![self.base(mount)?];
                            parts
                        }
                        Target::Outside => return Ok(Resolution::Missing(path)),
                    };
                    todo.extend(parts);
                }
                (kind, _) => {
                    let here = match machine.mount_at(&path) {
                        Some(mount) => self.base(mount)?,
                        None => Place { volume: here.volume, node, kind, path },
                    };
                    stack.push(here);
                }
            }
        }
        Ok(match stack.pop() {
            Some(place) => Resolution::Found(place),
            None => Resolution::Loop,
        })
    }
}

/// The parts of a path, last first. Beneath a drive, either separator stands between them.
pub(super) fn parts(path: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let ends = |byte: &u8| *byte == separator || (separator == b'\\' && *byte == b'/');
    path.split(ends).rev().map(<[u8]>::to_vec).collect()
}

/// The root mount that a path begins with: `/`, a drive, or an unplaced volume.
fn split_root<'a, 'm>(machine: &'m Machine, path: &'a [u8]) -> Option<(&'m Mount, &'a [u8])> {
    if let [letter, b':'] | [letter, b':', b'\\' | b'/', ..] = path {
        return Some((link::drive(machine, *letter)?, path.get(2..)?));
    }
    let nested = |mount: &Mount| mount.path.starts_with(b"/") && mount.path != b"/";
    machine.mounts.iter().filter(|mount| !nested(mount)).find_map(|mount| {
        let rest = path.strip_prefix(mount.path.as_slice())?;
        Some((mount, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::test_machine;

    fn resolved(machine: &Machine, path: &str) -> String {
        let mut sessions = machine.sessions();
        match Resolver::new(&mut sessions).resolve(path.as_bytes()).unwrap() {
            Resolution::Found(place) => String::from_utf8(place.path).unwrap(),
            Resolution::Missing(path) => format!("missing {}", String::from_utf8(path).unwrap()),
            Resolution::Loop => "loop".to_owned(),
        }
    }

    #[test]
    fn links_stay_inside_the_image_and_mounts_are_crossed() {
        let machine = test_machine(
            |root| {
                root.symlink("/bin", "usr/bin").file("/usr/bin/passwd", "x").symlink("/out", "../../../etc/hostname");
                root.file("/etc/hostname", "web01\n")
                    .file("/etc/fstab", "UUID=root / ext4\nUUID=data /srv/data ext4\n");
                root.symlink("/a", "/b").symlink("/b", "/a").symlink("/dead", "/nowhere/x").dir("/srv/data");
                root.symlink("/up", "/srv/data/../../usr/bin");
            },
            |data| {
                data.file("/www/index.html", "hello").symlink("/abs", "/usr/bin/passwd");
            },
        );
        assert_eq!(resolved(&machine, "/bin/passwd"), "/usr/bin/passwd");
        assert_eq!(resolved(&machine, "/bin"), "/usr/bin");
        assert_eq!(resolved(&machine, "/out"), "/etc/hostname");
        assert_eq!(resolved(&machine, "/srv/data/www/index.html"), "/srv/data/www/index.html");
        assert_eq!(resolved(&machine, "/srv/data/abs"), "/usr/bin/passwd");
        assert_eq!(resolved(&machine, "/up/passwd"), "/usr/bin/passwd");
        assert_eq!(resolved(&machine, "/a"), "loop");
        assert_eq!(resolved(&machine, "/dead"), "missing /nowhere");
        assert_eq!(resolved(&machine, "/usr/bin/passwd/x"), "missing /usr/bin/passwd/x");
        assert_eq!(resolved(&machine, "/.."), "/");
    }
}
