//! Where a path leads inside the image: through mounts and symbolic links, never out of the image and never on
//! the host. See `path_resolution(7)`; `..` above the root stays at the root.

use super::{Machine, Sessions, join};
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

    fn walk(&mut self, path: &[u8], follow_last: bool) -> Result<Resolution> {
        let machine = self.sessions.machine();
        let Some((root, rest)) = split_root(machine, path) else {
            return Ok(Resolution::Missing(path.to_vec()));
        };
        let separator = Machine::separator(&root.path);
        let mut todo: Vec<Vec<u8>> = parts(rest, separator);
        let base = Place {
            volume: root.volume,
            node: self.sessions.of(root.volume)?.root(),
            kind: Some(Kind::Dir),
            path: root.path.clone(),
        };
        // The directories from the root to here, so that `..` needs no look-up.
        let mut stack = vec![base];
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
            let path = join(&here.path, &part, separator);
            let session = self.sessions.of(here.volume)?;
            let found = if here.kind == Some(Kind::Dir) { session.lookup(&here.node, &part)? } else { None };
            let Some(node) = found else { return Ok(Resolution::Missing(path)) };
            let metadata = session.metadata(&node)?;
            match (metadata.kind, metadata.target) {
                (Some(Kind::Symlink), Some(target)) if follow_last || !todo.is_empty() => {
                    links += 1;
                    if links > LINK_CAP {
                        return Ok(Resolution::Loop);
                    }
                    if target.first() == Some(&separator) {
                        stack.truncate(1);
                    }
                    todo.extend(parts(&target, separator));
                }
                (kind, _) => {
                    let here = match machine.mount_at(&path) {
                        Some(mount) => Place {
                            volume: mount.volume,
                            node: self.sessions.of(mount.volume)?.root(),
                            kind: Some(Kind::Dir),
                            path,
                        },
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

/// The parts of a path, last first.
fn parts(path: &[u8], separator: u8) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == separator).rev().map(<[u8]>::to_vec).collect()
}

/// The root mount that a path begins with: `/`, a drive, or an unplaced volume.
fn split_root<'a, 'm>(machine: &'m Machine, path: &'a [u8]) -> Option<(&'m super::Mount, &'a [u8])> {
    let nested = |mount: &super::Mount| mount.path.starts_with(b"/") && mount.path != b"/";
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
