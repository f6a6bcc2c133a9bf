//! One worker's reader: the session, with the blocks that it read last.

use std::{ops::ControlFlow, rc::Rc, sync::Arc};

use super::{Ext, LAYER, bytes::capped, evidence, inode::Inode, inode_tables::Window, map::Scratch, volume::Volume};
use crate::{
    error::{Error, Result},
    fs::{Evidence, Extent, Kind, Listed, Metadata, NodeId, Session, Sink, Stream},
};

pub(super) const ROOT: u32 = 2;
/// Bytes of an inode table read at once: neighbours are usually asked for next.
pub(super) const WINDOW: u64 = 1 << 14;
/// Bytes of inode tables that are kept for all workers together: some 65,000 inodes of 256 bytes.
pub(super) const TABLES: u64 = 16 << 20;
/// Attribute blocks kept: many inodes share one.
const ATTRIBUTE_BLOCKS: usize = 8;

/// Bytes read from one place, kept with others like it; the one used last is first.
struct Kept {
    place: u64,
    bytes: Vec<u8>,
}

/// Moves what was read from `place` to the front, if it is there.
fn find(kept: &mut [Kept], place: u64) -> bool {
    let found = kept.iter().position(|window| window.place == place);
    if let Some(used) = found.and_then(|at| kept.get_mut(..=at)) {
        used.rotate_right(1);
    }
    found.is_some()
}

/// A buffer to read into: a new one, or that which was used least recently.
fn recycle(kept: &mut Vec<Kept>, cap: usize) -> Vec<u8> {
    if kept.len() < cap { Vec::new() } else { kept.pop().map(|oldest| oldest.bytes).unwrap_or_default() }
}

/// Bytes of the volume that were read last, and where they lie.
#[derive(Default)]
pub(super) struct Buffered {
    bytes: Vec<u8>,
    place: Option<u64>,
}

impl Buffered {
    /// The `len` bytes at `place`, read unless they are there already.
    pub(super) fn read(&mut self, volume: &Volume, place: u64, len: usize) -> Result<&mut [u8]> {
        if self.place != Some(place) || self.bytes.len() != len {
            self.place = None;
            self.bytes.resize(len, 0);
            volume.read_at(place, &mut self.bytes)?;
            self.place = Some(place);
        }
        Ok(&mut self.bytes)
    }
}

/// One worker's reader.
pub(super) struct Reader<'a> {
    ext: &'a Ext,
    /// The window that was used last, and where it begins.
    window: Option<(u64, Arc<Window>)>,
    attribute_blocks: Vec<Kept>,
    pub(super) scratch: Scratch,
    pub(super) buffer: Vec<u8>,
    /// The beginning of the directory that was asked for last: who asks for its parent lists it next.
    pub(super) directory: Buffered,
    /// The bytes of the inode that was loaded last.
    pub(super) raw: Vec<u8>,
    last: Option<Rc<Inode>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(ext: &'a Ext) -> Self {
        Self {
            ext,
            window: None,
            attribute_blocks: Vec::new(),
            scratch: Scratch::default(),
            buffer: Vec::new(),
            directory: Buffered::default(),
            raw: Vec::new(),
            last: None,
        }
    }

    pub(super) fn volume(&self) -> &'a Volume {
        &self.ext.volume
    }

    /// Loads an inode into `raw` and decodes it.
    pub(super) fn load(&mut self, number: u32) -> Result<Rc<Inode>> {
        if let Some(last) = self.last.as_ref().filter(|last| last.number == number) {
            return Ok(Rc::clone(last));
        }
        self.load_bytes(number)?;
        let inode = Rc::new(Inode::parse(&self.volume().superblock, number, &self.raw)?);
        self.last = Some(Rc::clone(&inode));
        Ok(inode)
    }

    /// Loads the bytes of an inode into `raw`.
    pub(super) fn load_bytes(&mut self, number: u32) -> Result<()> {
        if self.last.as_ref().is_some_and(|last| last.number == number) {
            return Ok(());
        }
        self.last = None;
        self.load_raw(number)
    }

    /// Loads an inode that a name leads to.
    pub(super) fn load_used(&mut self, number: u32) -> Result<Rc<Inode>> {
        let inode = self.load(number)?;
        if inode.is_unused() {
            return Err(Error::corrupt(LAYER, inode.at(), "is not in use"));
        }
        Ok(inode)
    }

    fn load_raw(&mut self, number: u32) -> Result<()> {
        let superblock = &self.ext.volume.superblock;
        let bad = |what: String| Error::corrupt(LAYER, format!("inode {number}"), what);
        let (group, slot) = super::place(superblock, number)?;
        let Some(table) = self.ext.groups.inode_table(group) else {
            return Err(bad(format!("the descriptor of group {group} is damaged")));
        };
        let inode_size = u64::from(superblock.inode_size);
        let table_at = table.saturating_mul(superblock.block_bytes());
        let at = u64::from(slot).saturating_mul(inode_size);
        let table_len = u64::from(superblock.inodes_per_group).saturating_mul(inode_size);
        let window = WINDOW.max(inode_size);
        let in_window = at.checked_rem(window).unwrap_or(0);
        let start = at.saturating_sub(in_window);
        let place = table_at.saturating_add(start);
        if self.window.as_ref().is_none_or(|(kept, _)| *kept != place) {
            let len = capped(window.min(table_len.saturating_sub(start)), usize::MAX);
            match self
                .ext
                .tables
                .get(place, len, usize::from(superblock.inode_size), |window| self.ext.volume.read_at(place, window))
            {
                Ok(bytes) => self.window = Some((place, bytes)),
                // One bad sector must not hide the neighbours.
                Err(_) => return self.load_alone(table_at.saturating_add(at)),
            }
        }
        let from = capped(in_window, usize::MAX);
        let raw = self.window.as_ref().and_then(|(_, window)| window.entry(from));
        match raw {
            Some(raw) => {
                self.raw.clear();
                self.raw.extend_from_slice(raw);
                Ok(())
            }
            // Tables that overlap share a place, and the other one may end sooner.
            None => self.load_alone(table_at.saturating_add(at)),
        }
    }

    /// Reads one inode and nothing around it.
    fn load_alone(&mut self, at: u64) -> Result<()> {
        self.raw.resize(usize::from(self.ext.volume.superblock.inode_size), 0);
        self.ext.volume.read_at(at, &mut self.raw)
    }

    pub(super) fn attribute_block(&mut self, block: u64) -> Result<Vec<u8>> {
        if !find(&mut self.attribute_blocks, block) {
            let mut bytes = recycle(&mut self.attribute_blocks, ATTRIBUTE_BLOCKS);
            self.ext.volume.read_block(block, &mut bytes)?;
            self.attribute_blocks.insert(0, Kept { place: block, bytes });
        }
        Ok(self.attribute_blocks.first().map(|kept| kept.bytes.clone()).unwrap_or_default())
    }
}

fn number(node: &NodeId) -> Result<u32> {
    match node {
        NodeId::Number(number) => u32::try_from(*number)
            .map_err(|_| Error::corrupt(LAYER, format!("inode {number}"), "has no place in the filesystem")),
        NodeId::Path(_) => Err(Error::corrupt(LAYER, "", "a node is an inode number here, and a path was given")),
    }
}

impl Session for Reader<'_> {
    fn root(&self) -> NodeId {
        NodeId::Number(u64::from(ROOT))
    }

    fn list(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>) -> Result<()> {
        self.list_directory(number(dir)?, each)
    }

    fn parent(&mut self, dir: &NodeId) -> Result<Option<NodeId>> {
        self.directory_parent(number(dir)?).map(|parent| Some(NodeId::Number(u64::from(parent))))
    }

    fn metadata(&mut self, node: &NodeId) -> Result<Metadata> {
        let inode = self.load_used(number(node)?)?;
        let kind = inode.kind()?;
        let mut metadata = Metadata {
            kind: Some(kind),
            size: inode.size,
            mode: Some(inode.permissions()),
            uid: Some(inode.uid),
            gid: Some(inode.gid),
            nlink: Some(u64::from(inode.links)),
            id: Some(format!("{}:{}", inode.number, inode.generation)),
            times: inode.times,
            rdev: matches!(kind, Kind::Char | Kind::Block).then(|| inode.device()),
            flags: Some(inode.visible_flags()),
            faults: inode.mismatch.iter().cloned().collect(),
            ..Metadata::default()
        };
        if inode.number < self.volume().superblock.first_inode && inode.number != ROOT {
            let fault = Error::corrupt(LAYER, inode.at(), "is reserved, no name should lead to it");
            metadata.faults.push(fault.into());
        }
        self.attributes(&inode, &mut metadata);
        if kind == Kind::Symlink {
            // An attribute's value may have been loaded since.
            match self.load(inode.number).and_then(|_| self.target(&inode)) {
                Ok(target) => metadata.target = Some(target),
                Err(error) => metadata.faults.push(error.into()),
            }
        }
        Ok(metadata)
    }

    fn geometry(&self) -> Vec<u8> {
        evidence::geometry(&self.volume().superblock)
    }

    fn evidence(&mut self, node: &NodeId, evidence: &mut Evidence) -> Option<Kind> {
        self.gather(number(node).ok()?, evidence)
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
