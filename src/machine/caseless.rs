//! Names without case where the filesystem tells case apart: a Windows system in a directory of this host, or on a
//! volume to which it was copied.

use std::{
    collections::{BTreeSet, HashMap},
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    error::{Error, Fault, Result},
    fs::{DirEntry, Evidence, Extent, FileSystem, Kind, Listed, Metadata, NodeId, Session, Sink, Stream, VolumeInfo},
    text::fold::fold,
};

/// Bytes of names that are kept, so that no directory is listed again for every name that is looked for in it.
const MAX_BYTES: usize = 64 << 20;

/// What a name and a directory take beside their own bytes.
const NAME_BYTES: usize = 64;

/// Notes that are kept, and names that stand in one.
const MAX_NOTES: usize = 1000;
const NOTED_NAMES: usize = 4;

/// `fs` with names that are found without case; as it is, where it finds them so by itself.
pub(super) fn caseless(fs: &Arc<dyn FileSystem>) -> Arc<dyn FileSystem> {
    if fs.folds_case() {
        return Arc::clone(fs);
    }
    Arc::new(Caseless { fs: Arc::clone(fs), known: Mutex::new(Known { left: MAX_BYTES, ..Known::default() }) })
}

struct Caseless {
    fs: Arc<dyn FileSystem>,
    known: Mutex<Known>,
}

/// What was listed for a name, once and for all sessions.
#[derive(Default)]
struct Known {
    directories: HashMap<NodeId, Names>,
    left: usize,
    notes: BTreeSet<String>,
}

/// The names of a directory, in the order of their upper case, those that have the same in their own.
struct Names {
    sorted: Vec<(Box<[u8]>, NodeId)>,
    /// Why there may be more.
    lost: Option<Fault>,
}

impl Names {
    /// Lists a directory, as long as what is kept takes less than `left` bytes. Beside the names stands what they take.
    fn list(session: &mut dyn Session, dir: &NodeId, left: usize) -> (Self, usize) {
        let (mut sorted, mut lost, mut bytes) = (Vec::new(), None, size(dir));
        let listed = session.list(dir, &mut |listed| {
            match listed {
                Listed::Entry(DirEntry { name, node, .. }) => {
                    bytes = bytes.saturating_add(name.len()).saturating_add(size(&node));
                    sorted.push((Box::from(name), node));
                }
                Listed::Fault(fault) => lost = Some(fault),
            }
            if bytes > left { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Err(error) = listed {
            lost = Some(error.into());
        }
        if bytes > left {
            return (Self { sorted: Vec::new(), lost: Some(over_budget()) }, size(dir));
        }
        sorted.sort_by_cached_key(|(name, _)| (fold(name).into_owned(), name.clone()));
        (Self { sorted, lost }, bytes)
    }

    /// The entries whose names are the same without case.
    fn alike(&self, name: &[u8]) -> &[(Box<[u8]>, NodeId)] {
        let wanted = fold(name);
        let start = self.sorted.partition_point(|(name, _)| *fold(name) < *wanted);
        let rest = self.sorted.get(start..).unwrap_or_default();
        rest.get(..rest.partition_point(|(name, _)| fold(name) == wanted)).unwrap_or_default()
    }
}

fn size(node: &NodeId) -> usize {
    match node {
        NodeId::Number(_) => NAME_BYTES,
        NodeId::Path(path) => NAME_BYTES.saturating_add(path.len()),
    }
}

fn over_budget() -> Fault {
    Fault::new("machine", "", format!("names of more than {MAX_BYTES} bytes to be found without case"))
}

impl Known {
    /// The entry of a directory with this name: byte for byte, else the first of those that are the same without case.
    /// Beside it stands why it may be there although it was not found.
    fn find(
        &mut self,
        session: &mut dyn Session,
        dir: &NodeId,
        name: &[u8],
    ) -> (Option<(NodeId, Vec<u8>)>, Option<Fault>) {
        if self.left > 0 && !self.directories.contains_key(dir) {
            let (names, bytes) = Names::list(session, dir, self.left);
            self.left = self.left.saturating_sub(bytes);
            self.directories.insert(dir.clone(), names);
        }
        let Some(names) = self.directories.get(dir) else { return (None, Some(over_budget())) };
        let alike = names.alike(name);
        let taken = alike.iter().find(|(stored, _)| **stored == *name).or(alike.first());
        if let (Some((taken, _)), [_, _, ..]) = (taken, alike)
            && self.notes.len() < MAX_NOTES
        {
            self.notes.insert(note(dir, taken, alike));
        }
        (taken.map(|(stored, node)| (node.clone(), stored.to_vec())), names.lost.clone())
    }
}

/// Says which of several names was taken.
fn note(dir: &NodeId, taken: &[u8], alike: &[(Box<[u8]>, NodeId)]) -> String {
    let dir = match dir {
        NodeId::Number(number) => format!("directory {number}"),
        NodeId::Path(path) => format!("directory /{}", String::from_utf8_lossy(path)),
    };
    let all: Vec<_> = alike.iter().take(NOTED_NAMES).map(|(name, _)| String::from_utf8_lossy(name)).collect();
    let (taken, all) = (String::from_utf8_lossy(taken), all.join(", "));
    format!("{dir}: of {all}, which are one name to Windows, {taken} was taken")
}

impl FileSystem for Caseless {
    fn info(&self) -> &VolumeInfo {
        self.fs.info()
    }

    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(CaselessSession { known: &self.known, session: self.fs.session()? }))
    }

    fn folds_case(&self) -> bool {
        true
    }

    fn late_notes(&self) -> Vec<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.notes.iter().cloned().chain(self.fs.late_notes()).collect()
    }
}

struct CaselessSession<'a> {
    known: &'a Mutex<Known>,
    session: Box<dyn Session + 'a>,
}

impl Session for CaselessSession<'_> {
    fn root(&self) -> NodeId {
        self.session.root()
    }

    fn list(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>) -> Result<()> {
        self.session.list(dir, each)
    }

    fn parent(&mut self, dir: &NodeId) -> Result<Option<NodeId>> {
        self.session.parent(dir)
    }

    fn metadata(&mut self, node: &NodeId) -> Result<Metadata> {
        self.session.metadata(node)
    }

    fn geometry(&self) -> Vec<u8> {
        self.session.geometry()
    }

    fn evidence(&mut self, node: &NodeId, evidence: &mut Evidence) -> Option<Kind> {
        self.session.evidence(node, evidence)
    }

    fn lookup(&mut self, dir: &NodeId, name: &[u8]) -> Result<Option<NodeId>> {
        Ok(self.lookup_stored(dir, name)?.map(|(node, _)| node))
    }

    fn lookup_stored(&mut self, dir: &NodeId, name: &[u8]) -> Result<Option<(NodeId, Vec<u8>)>> {
        // Nothing is beneath a link, which the host would refuse to list.
        if self.session.metadata(dir)?.kind != Some(Kind::Dir) {
            return Ok(None);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, lost) = known.find(&mut *self.session, dir, name);
        let Some(fault) = lost.filter(|_| found.is_none()) else { return Ok(found) };
        match self.session.lookup(dir, name)? {
            Some(node) => Ok(Some((node, name.to_vec()))),
            None => Err(Error::corrupt("machine", fault.at, fault.error)),
        }
    }

    fn extents(&mut self, node: &NodeId, stream: &Stream) -> Result<Vec<Extent>> {
        self.session.extents(node, stream)
    }

    fn read(&mut self, node: &NodeId, stream: &Stream, sink: &mut dyn Sink) -> Result<()> {
        self.session.read(node, stream, sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::memory::MemoryFs;

    #[test]
    fn where_there_are_too_many_names_nobody_knows_what_is_not_there_byte_for_byte() {
        let mut fs = MemoryFs::new("c", "c");
        fs.file("/Users/NTUSER.DAT", "x").dir("/big");
        (0..100).for_each(|number| {
            fs.dir(&format!("/big/directory {number}"));
        });
        let fs = Caseless { fs: Arc::new(fs), known: Mutex::new(Known { left: 4096, ..Known::default() }) };
        let mut session = fs.session().unwrap();
        let mut find = |path: [&str; 2]| {
            let root = session.root();
            let dir = session.lookup(&root, path[0].as_bytes())?.unwrap();
            session.lookup_stored(&dir, path[1].as_bytes()).map(|found| found.map(|(_, stored)| stored))
        };
        assert_eq!(find(["BIG", "directory 7"]).unwrap(), Some(b"directory 7".to_vec()));
        assert!(matches!(find(["big", "DIRECTORY 7"]), Err(Error::Corrupt { .. })));
        assert_eq!(find(["users", "ntuser.dat"]).unwrap(), Some(b"NTUSER.DAT".to_vec()));
        assert_eq!(find(["users", "ntuser.man"]).unwrap(), None);
    }
}
