//! Collecting a node's extended attributes: from the inode, one block, or a tree of blocks.

use std::{collections::HashSet, ops::ControlFlow};

use super::{
    LAYER, acl,
    attr_leaf::{self, Entry, Value},
    attr_remote,
    attr_shortform::ShortForm,
    bytes::{capped, wide},
    da_node,
    inode::{Format, Inode, Which},
    map::{self, Run},
    reader::Reader,
    verify,
    volume::Volume,
};
use crate::{
    error::{Error, Fault, Result},
    fs::{Metadata, Xattr},
};

/// The longest value that `getxattr` can give.
const MAX_VALUE: u32 = 1 << 16;
/// All names and values of one node together.
const MAX_VALUES: usize = 16 << 20;
/// Blocks of one node's attributes that are visited, without values.
const MAX_BLOCKS: usize = 1 << 14;
/// So many faults of one node's attributes are told.
const MAX_FAULTS: usize = 64;

/// The blocks of an attribute fork.
pub(super) struct Blocks<'a> {
    pub(super) volume: &'a Volume,
    pub(super) inode: &'a Inode,
    runs: Vec<Run>,
}

impl Blocks<'_> {
    /// A block by its number in the fork, and its byte offset on the volume.
    pub(super) fn read(&self, number: u64) -> Result<(Vec<u8>, u64)> {
        let at = self.runs.partition_point(|run| run.end() <= number);
        let run = self.runs.get(at).filter(|run| run.logical <= number && !run.unwritten);
        let run = run.ok_or_else(|| {
            Error::corrupt(LAYER, format!("{}, attribute block {number}", self.inode.at()), "is not mapped")
        })?;
        let superblock = &self.volume.superblock;
        let in_run = number.saturating_sub(run.logical).saturating_mul(superblock.block_bytes());
        let offset = run.offset.saturating_add(in_run);
        let mut bytes = vec![0; superblock.block_len()];
        self.volume.read_at(offset, &mut bytes)?;
        Ok((bytes, offset))
    }
}

/// What is collected for one node.
struct Collected<'m> {
    metadata: &'m mut Metadata,
    room: usize,
    faults: usize,
    visited: HashSet<u32>,
}

impl Collected<'_> {
    fn fault(&mut self, fault: Fault) {
        self.faults = self.faults.saturating_add(1);
        if self.faults <= MAX_FAULTS {
            self.metadata.faults.push(fault);
        }
    }
}

impl Reader<'_> {
    /// Adds the attributes of `inode`.
    pub(super) fn attributes(&mut self, inode: &Inode, metadata: &mut Metadata) {
        let Some(fork) = inode.fork(Which::Attr) else { return };
        let mut collected = Collected { metadata, room: MAX_VALUES, faults: 0, visited: HashSet::new() };
        match fork.format {
            Format::Local => {
                let at = format!("{}, attributes in the inode", inode.at());
                match ShortForm::parse(fork.bytes) {
                    Ok(list) => collect(list, None, &at, &mut collected),
                    Err(what) => collected.fault(Fault::new(LAYER, at, what)),
                }
            }
            // A fork that was emptied stays.
            Format::Extents if fork.extents == 0 => {}
            _ => {
                let (runs, errors) = map::collect(self.volume, inode, Which::Attr, u64::MAX);
                for error in errors {
                    collected.fault(error.into());
                }
                let blocks = Blocks { volume: self.volume, inode, runs };
                let _ = tree(&blocks, 0, None, &mut collected);
            }
        }
    }
}

/// Visits a block and all below it; `above` is the level of the node that names it.
fn tree(blocks: &Blocks<'_>, number: u32, above: Option<u16>, collected: &mut Collected<'_>) -> ControlFlow<()> {
    let at = format!("{}, attribute block {number}", blocks.inode.at());
    let flow = ControlFlow::Continue(());
    if collected.visited.len() >= MAX_BLOCKS {
        collected.fault(Fault::new(LAYER, at, format!("the attributes have more than {MAX_BLOCKS} blocks")));
        return ControlFlow::Break(());
    }
    if !collected.visited.insert(number) {
        collected.fault(Fault::new(LAYER, at, "is met twice"));
        return flow;
    }
    let (block, offset) = match blocks.read(u64::from(number)) {
        Ok(read) => read,
        Err(error) => {
            collected.fault(error.into());
            return flow;
        }
    };
    let v5 = blocks.volume.superblock.features.v5;
    let (leaf, node) =
        if v5 { (attr_leaf::MAGIC_V5, da_node::MAGIC_V5) } else { (attr_leaf::MAGIC_V4, da_node::MAGIC_V4) };
    let (magic, level) = (da_node::magic(&block), da_node::level(&block, v5));
    let is_leaf = magic == leaf && above.is_none_or(|above| above == 1);
    let is_node = magic == node
        && level > 0
        && above.map_or(level <= da_node::MAX_DEPTH, |above| level.saturating_add(1) == above);
    if !is_leaf && !is_node {
        collected.fault(Fault::new(LAYER, at, format!("magic {magic:#06x} at {offset:#x} does not belong here")));
        return flow;
    }
    if let Some(what) = verify::block(blocks.volume, &block, &da_node::LAYOUT, offset, blocks.inode.number) {
        collected.fault(Fault::new(LAYER, &at, what));
    }
    if is_leaf {
        collect(attr_leaf::entries(&block, v5), Some(blocks), &at, collected);
        return flow;
    }
    for child in da_node::children(&block, v5) {
        tree(blocks, child, Some(level), collected)?;
    }
    flow
}

fn collect<'e>(
    entries: impl Iterator<Item = Result<Entry<'e>, String>>,
    blocks: Option<&Blocks<'_>>,
    at: &str,
    collected: &mut Collected<'_>,
) {
    for entry in entries {
        match entry.and_then(|entry| xattr(&entry, blocks, at, collected)) {
            Ok(xattr) => collected.metadata.xattrs.extend(xattr),
            Err(what) => collected.fault(Fault::new(LAYER, at, what)),
        }
    }
}

fn xattr(
    entry: &Entry<'_>,
    blocks: Option<&Blocks<'_>>,
    at: &str,
    collected: &mut Collected<'_>,
) -> Result<Option<Xattr>, String> {
    if entry.is_hidden() {
        return Ok(None);
    }
    let name = entry.full_name()?;
    let named = |what: String| format!("{}: {what}", name.escape_ascii());
    let len = match entry.value {
        Value::Here(value) => value.len(),
        Value::Remote { len, .. } if len > MAX_VALUE => {
            return Err(named(format!("value of {len} bytes, more than {MAX_VALUE}")));
        }
        Value::Remote { len, .. } => capped(u64::from(len), usize::MAX),
    };
    let room = collected.room.checked_sub(len.saturating_add(name.len()));
    collected.room = room.ok_or_else(|| named(format!("all attributes exceed {} bytes", wide(MAX_VALUES))))?;
    let value = match (&entry.value, blocks) {
        (Value::Here(value), _) => value.to_vec(),
        (Value::Remote { block, .. }, Some(blocks)) => {
            let (value, mismatch) = attr_remote::read(blocks, *block, len).map_err(named)?;
            if let Some(what) = mismatch {
                collected.fault(Fault::new(LAYER, at, named(what)));
            }
            value
        }
        (Value::Remote { .. }, None) => return Err(named("its value has no blocks".to_owned())),
    };
    let value = if entry.is_acl() { acl::to_xattr(&value).map_err(named)? } else { Some(value) };
    Ok(value.map(|value| Xattr { name, value }))
}
