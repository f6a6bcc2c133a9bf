//! One worker's reader: the session, with the inode chunks that it read last.

use std::ops::ControlFlow;

use super::{LAYER, bytes::capped, inode::Inode, volume::Volume};
use crate::{
    error::{Error, Result},
    fs::{Extent, Kind, Listed, Metadata, NodeId, Session, Sink, Stream},
};

/// Bytes of inodes read at once: a chunk of 64 inodes of 512 bytes, as they are allocated.
const WINDOW: u64 = 1 << 15;
/// Windows kept.
const WINDOWS: usize = 16;

/// A window of inodes; the one used last is first.
struct Window {
    place: u64,
    bytes: Vec<u8>,
}

/// One worker's reader.
pub(super) struct Reader<'a> {
    pub(super) volume: &'a Volume,
    windows: Vec<Window>,
    pub(super) buffer: Vec<u8>,
    last: Option<Inode>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(volume: &'a Volume) -> Self {
        Self { volume, windows: Vec::new(), buffer: Vec::new(), last: None }
    }

    /// Loads an inode that a name leads to.
    pub(super) fn load(&mut self, number: u64) -> Result<Inode> {
        if let Some(last) = self.last.as_ref().filter(|last| last.number == number) {
            return Ok(last.clone());
        }
        let bad = |what: &str| Error::corrupt(LAYER, format!("inode {number}"), what);
        let superblock = &self.volume.superblock;
        let (at, start, end) = superblock.inode_place(number).ok_or_else(|| bad("lies outside the filesystem"))?;
        let in_window = at.saturating_sub(start) & WINDOW.saturating_sub(1);
        let place = at.saturating_sub(in_window);
        let len = capped(superblock.inode_bytes(), usize::MAX);
        let inode = if self.window(place, end) {
            let from = capped(in_window, usize::MAX);
            let raw = self.windows.first().and_then(|window| window.bytes.get(from..from.checked_add(len)?));
            Inode::parse(superblock, number, raw.ok_or_else(|| bad("lies outside its group"))?)?
        } else {
            // One bad sector must not hide the neighbours.
            let mut raw = vec![0; len];
            self.volume.read_at(at, &mut raw)?;
            Inode::parse(superblock, number, &raw)?
        };
        if inode.is_free() {
            return Err(bad("is not in use"));
        }
        self.last = Some(inode.clone());
        Ok(inode)
    }

    /// Brings the window at `place` to the front; false where it cannot be read.
    fn window(&mut self, place: u64, end: u64) -> bool {
        if let Some(at) = self.windows.iter().position(|window| window.place == place) {
            if let Some(used) = self.windows.get_mut(..=at) {
                used.rotate_right(1);
            }
            return true;
        }
        let mut bytes = match self.windows.len() {
            WINDOWS.. => self.windows.pop().map(|oldest| oldest.bytes).unwrap_or_default(),
            _ => Vec::new(),
        };
        bytes.resize(capped(WINDOW.min(end.saturating_sub(place)), usize::MAX), 0);
        if self.volume.read_at(place, &mut bytes).is_err() {
            return false;
        }
        self.windows.insert(0, Window { place, bytes });
        true
    }
}

fn number(node: &NodeId) -> Result<u64> {
    match node {
        NodeId::Number(number) => Ok(*number),
        NodeId::Path(_) => Err(Error::corrupt(LAYER, "", "a node is an inode number here, and a path was given")),
    }
}

impl Session for Reader<'_> {
    fn root(&self) -> NodeId {
        NodeId::Number(self.volume.superblock.root)
    }

    fn list(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>) -> Result<()> {
        self.list_directory(number(dir)?, each)
    }

    fn parent(&mut self, dir: &NodeId) -> Result<Option<NodeId>> {
        self.parent_of(number(dir)?).map(|parent| Some(NodeId::Number(parent)))
    }

    fn metadata(&mut self, node: &NodeId) -> Result<Metadata> {
        let inode = self.load(number(node)?)?;
        let kind = inode.kind()?;
        let mut metadata = Metadata {
            kind: Some(kind),
            size: inode.size,
            mode: Some(u32::from(inode.mode & 0o7777)),
            uid: Some(inode.uid),
            gid: Some(inode.gid),
            nlink: Some(u64::from(inode.links)),
            id: Some(format!("{}:{}", inode.number, inode.generation)),
            times: inode.times,
            rdev: inode.device().filter(|_| matches!(kind, Kind::Char | Kind::Block)),
            flags: Some(inode.visible_flags()),
            faults: inode.mismatch.iter().cloned().collect(),
            ..Metadata::default()
        };
        self.attributes(&inode, &mut metadata);
        if kind == Kind::Symlink {
            match self.target(&inode) {
                Ok((target, mismatch)) => {
                    metadata.target = Some(target);
                    metadata.faults.extend(mismatch);
                }
                Err(error) => metadata.faults.push(error.into()),
            }
        }
        Ok(metadata)
    }

    fn extents(&mut self, node: &NodeId, stream: &Stream) -> Result<Vec<Extent>> {
        stream.only_content(LAYER)?;
        self.content_extents(number(node)?)
    }

    fn read(&mut self, node: &NodeId, stream: &Stream, sink: &mut dyn Sink) -> Result<()> {
        stream.only_content(LAYER)?;
        self.read_content(number(node)?, sink)
    }
}
