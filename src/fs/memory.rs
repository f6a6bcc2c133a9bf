//! A filesystem in memory, so that what stands on filesystems is tested without images.

use std::ops::ControlFlow;

use super::{
    DirEntry, Extent, FileSystem, Kind, Listed, Metadata, NodeId, Place, Session, Sink, Stream, Timestamp, VolumeInfo,
    Windows,
};
use crate::error::{Error, Fault, Result};

/// A tree that is built entry by entry; node numbers count from 0, the root.
pub struct MemoryFs {
    info: VolumeInfo,
    nodes: Vec<Node>,
}

struct Node {
    metadata: Metadata,
    content: Vec<u8>,
    children: Vec<(Vec<u8>, usize)>,
    parent: usize,
    broken: Option<Fault>,
}

impl MemoryFs {
    /// An empty tree with this id and label.
    #[must_use]
    pub fn new(id: &str, label: &str) -> Self {
        let info = VolumeInfo {
            fs: "memory",
            id: Some(id.to_owned()),
            label: Some(label.to_owned()),
            ..VolumeInfo::default()
        };
        let mut tree = Self { info, nodes: Vec::new() };
        tree.push(0, Kind::Dir, 0o755);
        tree
    }

    fn push(&mut self, parent: usize, kind: Kind, mode: u32) -> usize {
        let number = self.nodes.len();
        let metadata = Metadata {
            kind: Some(kind),
            mode: Some(mode),
            uid: Some(0),
            gid: Some(0),
            nlink: Some(1),
            id: Some(format!("{number}:0")),
            times: super::Times {
                mtime: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
                ..super::Times::default()
            },
            ..Metadata::default()
        };
        self.nodes.push(Node { metadata, content: Vec::new(), children: Vec::new(), parent, broken: None });
        number
    }

    fn child(&self, dir: usize, name: &[u8]) -> Option<usize> {
        self.nodes[dir].children.iter().find(|(n, _)| n == name).map(|(_, node)| *node)
    }

    /// The node at `path`; what is missing on the way is made as directories, the last part as `kind`.
    fn make(&mut self, path: &str, kind: Kind, mode: u32) -> usize {
        let mut at = 0;
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        while let Some(part) = parts.next() {
            at = match self.child(at, part.as_bytes()) {
                Some(node) => node,
                None => {
                    let last = parts.peek().is_none();
                    let (kind, mode) = if last { (kind, mode) } else { (Kind::Dir, 0o755) };
                    let node = self.push(at, kind, mode);
                    self.nodes[at].children.push((part.as_bytes().to_vec(), node));
                    node
                }
            };
        }
        at
    }

    /// Adds a directory.
    pub fn dir(&mut self, path: &str) -> &mut Self {
        self.make(path, Kind::Dir, 0o755);
        self
    }

    /// Adds a file, or replaces its content.
    pub fn file(&mut self, path: &str, content: impl Into<Vec<u8>>) -> &mut Self {
        let node = self.make(path, Kind::File, 0o644);
        self.nodes[node].content = content.into();
        self.nodes[node].metadata.size = self.nodes[node].content.len() as u64;
        self
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> &mut Self {
        let node = self.make(path, Kind::Symlink, 0o777);
        self.nodes[node].metadata.size = target.len() as u64;
        self.nodes[node].metadata.target = Some(target.as_bytes().to_vec());
        self
    }

    /// Adds a junction of Windows with this substitute name.
    pub fn junction(&mut self, path: &str, substitute: &str) -> &mut Self {
        let node = self.make(path, Kind::Symlink, 0o777);
        let windows = Windows { substitute: Some(substitute.as_bytes().to_vec()), ..Windows::default() };
        self.nodes[node].metadata.windows = Some(Box::new(windows));
        self
    }

    /// Adds a name, however strange, for the node at `to`.
    pub fn link(&mut self, dir: &str, name: &[u8], to: &str) -> &mut Self {
        let to = self.make(to, Kind::File, 0o644);
        let dir = self.make(dir, Kind::Dir, 0o755);
        self.nodes[dir].children.push((name.to_vec(), to));
        self
    }

    /// Makes the node at `path` unreadable.
    pub fn damage(&mut self, path: &str, fault: Fault) -> &mut Self {
        let node = self.make(path, Kind::File, 0o644);
        self.nodes[node].broken = Some(fault);
        self
    }
}

impl FileSystem for MemoryFs {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(self))
    }
}

fn node<'a>(tree: &'a MemoryFs, id: &NodeId) -> Result<&'a Node> {
    let NodeId::Number(number) = id else {
        return Err(Error::corrupt("memory", "node", "a path where a number was expected"));
    };
    let found = usize::try_from(*number).ok().and_then(|number| tree.nodes.get(number));
    let node = found.ok_or_else(|| Error::corrupt("memory", format!("node {number}"), "no such node"))?;
    match &node.broken {
        Some(fault) => Err(Error::corrupt("memory", fault.at.clone(), fault.error.clone())),
        None => Ok(node),
    }
}

impl Session for &MemoryFs {
    fn root(&self) -> NodeId {
        NodeId::Number(0)
    }

    fn list(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>) -> Result<()> {
        for (name, child) in &node(self, dir)?.children {
            let kind = self.nodes[*child].metadata.kind;
            let entry = DirEntry { name, node: NodeId::Number(*child as u64), kind, link: None };
            if each(Listed::Entry(entry)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn parent(&mut self, dir: &NodeId) -> Result<Option<NodeId>> {
        Ok(Some(NodeId::Number(node(self, dir)?.parent as u64)))
    }

    fn metadata(&mut self, id: &NodeId) -> Result<Metadata> {
        Ok(node(self, id)?.metadata.clone())
    }

    fn extents(&mut self, id: &NodeId, _stream: &Stream) -> Result<Vec<Extent>> {
        Ok(vec![Extent { start: 0, len: node(self, id)?.metadata.size, place: Place::Metadata }])
    }

    fn read(&mut self, id: &NodeId, _stream: &Stream, sink: &mut dyn Sink) -> Result<()> {
        let _ = sink.data(&node(self, id)?.content);
        Ok(())
    }
}
