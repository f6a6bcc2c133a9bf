//! One worker's reader of a FAT volume.

use std::ops::ControlFlow;

use super::{
    Fat, LAYER, corrupt,
    dir_entry::{DIRECTORY, DirEntry},
    layout,
    long_name::LongName,
};
use crate::{
    error::{Error, Fault, Result},
    fs::{
        Extent, Kind, Listed, Metadata, NodeId, Search, Session, Sink, Stream, Times, Windows,
        clusters::{self, Chain, Dir, ROOT, Slot, Source, Table},
    },
};

pub(super) struct FatSession<'a> {
    fat: &'a Fat,
    table: Table<'a>,
}

/// A node without its name.
enum Node {
    Root,
    Entry([u8; 32]),
}

impl<'a> FatSession<'a> {
    pub(super) fn new(fat: &'a Fat) -> Self {
        Self { fat, table: fat.boot.table(fat.image.as_ref()) }
    }

    /// The entry that a node is called by.
    fn node(&self, node: &NodeId) -> Result<(u64, Node)> {
        let NodeId::Number(offset) = *node else {
            return Err(Error::Bug("a path was given to a FAT reader, whose nodes have numbers".to_owned()));
        };
        if offset == ROOT {
            return Ok((ROOT, Node::Root));
        }
        let mut bytes = [0; 32];
        self.fat.image.read_at(offset, &mut bytes)?;
        Ok((offset, Node::Entry(bytes)))
    }

    fn dir(&self, node: &NodeId) -> Result<(u64, Source)> {
        let (offset, node) = self.node(node)?;
        match node {
            Node::Root => Ok((offset, self.fat.boot.root())),
            Node::Entry(bytes) => {
                let entry = DirEntry::parse(&bytes);
                if !entry.is_dir() {
                    return Err(corrupt(format!("entry at {offset:#x}"), "not a directory"));
                }
                Ok((offset, self.fat.boot.source(&entry)))
            }
        }
    }

    fn chain(&self, node: &NodeId) -> Result<Chain> {
        let (offset, node) = self.node(node)?;
        let Node::Entry(bytes) = node else { return Err(corrupt("root directory", "it has no content")) };
        let entry = DirEntry::parse(&bytes);
        if entry.is_dir() {
            return Err(corrupt(format!("entry at {offset:#x}"), "a directory has no content"));
        }
        let (first, len) = (entry.first_cluster(self.fat.boot.width), u64::from(entry.size()));
        Ok(Chain { first, len, written: len, contiguous: false })
    }
}

impl Session for FatSession<'_> {
    fn root(&self) -> NodeId {
        NodeId::Number(ROOT)
    }

    fn list(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>) -> Result<()> {
        self.entries(dir, &mut |listed, _| each(listed))
    }

    fn metadata(&mut self, node: &NodeId) -> Result<Metadata> {
        let (_, node) = self.node(node)?;
        // The root has no entry, and so no times.
        let (attributes, times, size) = match &node {
            Node::Root => (DIRECTORY, Times::default(), 0),
            Node::Entry(bytes) => {
                let entry = DirEntry::parse(bytes);
                (entry.attributes(), entry.times(), u64::from(entry.size()))
            }
        };
        let is_dir = attributes & DIRECTORY != 0;
        let size = match node {
            Node::Root => self.fat.boot.root().len(&mut self.table),
            Node::Entry(bytes) if is_dir => self.fat.boot.source(&DirEntry::parse(&bytes)).len(&mut self.table),
            Node::Entry(_) => size,
        };
        Ok(Metadata {
            kind: Some(if is_dir { Kind::Dir } else { Kind::File }),
            size,
            times,
            windows: Some(Box::new(Windows { attributes: u32::from(attributes), ..Windows::default() })),
            ..Metadata::default()
        })
    }

    fn lookup(&mut self, dir: &NodeId, name: &[u8]) -> Result<Option<NodeId>> {
        let wanted = fold(name);
        let mut search = Search::default();
        self.entries(dir, &mut |listed, short| {
            search.see(listed, |name| fold(name) == wanted || fold(short.as_bytes()) == wanted)
        })?;
        search.end(name)
    }

    fn extents(&mut self, node: &NodeId, stream: &Stream) -> Result<Vec<Extent>> {
        stream.only_content(LAYER)?;
        self.chain(node)?.extents(&mut self.table)
    }

    fn read(&mut self, node: &NodeId, stream: &Stream, sink: &mut dyn Sink) -> Result<()> {
        stream.only_content(LAYER)?;
        clusters::read(&self.chain(node)?, &mut self.table, sink)
    }
}

impl FatSession<'_> {
    /// Hands out the entries of a directory, each with its short name.
    fn entries(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>, &str) -> ControlFlow<()>) -> Result<()> {
        let (owner, dir) = self.dir(dir)?;
        let fat = self.fat;
        // All but the root begin with an entry that leads to themselves.
        let first = match dir.dir {
            Dir::Chain { first, .. } if owner != ROOT => Some(first),
            _ => None,
        };
        let mut long_name = LongName::default();
        let mut label_seen = owner != ROOT;
        let mut ended = false;
        let mut index = 0_u64;
        // By the wrong layout a directory is read that may well be empty, without anything else that is wrong.
        let doubt = fat.doubt.as_ref().filter(|_| owner == ROOT);
        let mut stopped = false;
        let hand_out = each;
        let mut each = |listed: Listed<'_>, short: &str| {
            let flow = hand_out(listed, short);
            stopped |= flow.is_break();
            flow
        };
        if doubt.is_some_and(|doubt| each(Listed::Fault(doubt.clone()), "").is_break()) {
            return Ok(());
        }
        clusters::slots(
            &mut self.table,
            dir,
            &mut |cluster| fat.ownership.check(&fat.boot.heap, cluster, owner),
            &mut |slot| {
                let (offset, bytes) = match slot {
                    Slot::Fault(fault) => {
                        long_name = LongName::default();
                        return each(Listed::Fault(fault), "");
                    }
                    Slot::Raw { offset, bytes } => (offset, bytes),
                };
                let position = index;
                index = index.saturating_add(1);
                let entry = DirEntry::parse(bytes);
                let mut fault =
                    |error: &str| each(Listed::Fault(Fault::new(LAYER, format!("entry at {offset:#x}"), error)), "");
                if position == 0 && first.is_some_and(|first| !layout::is_itself(&fat.boot, &entry, first)) {
                    fault("the directory does not begin with `.` that leads to itself")?;
                }
                if ended {
                    // Linux shows what stands behind the mark; firmware and Windows do not.
                    if entry.is_end() || entry.is_deleted() {
                        return ControlFlow::Continue(());
                    }
                    let _ = fault("an entry behind the mark that ends the directory");
                    return ControlFlow::Break(());
                }
                if entry.is_long_name() && !entry.is_end() && !entry.is_deleted() {
                    long_name.push(&entry);
                    return ControlFlow::Continue(());
                }
                let (name, broken) = long_name.take(Some(&entry));
                if broken {
                    fault("before it stands a long name, or a part of one, that is not its own or is damaged")?;
                }
                if entry.is_end() {
                    ended = true;
                    if bytes.iter().any(|&byte| byte != 0) {
                        return fault("the mark that ends the directory holds an entry");
                    }
                    return ControlFlow::Continue(());
                }
                if entry.is_deleted() {
                    if fat.is_lost(&entry) {
                        return fault("a directory that is not empty is marked as deleted");
                    }
                    return ControlFlow::Continue(());
                }
                if entry.is_label() {
                    if label_seen {
                        return fault("a volume label where none belongs");
                    }
                    label_seen = true;
                    if entry.size() != 0 || entry.first_cluster(fat.boot.width) != 0 {
                        return fault("a volume label with content, as a file has");
                    }
                    return ControlFlow::Continue(());
                }
                if entry.is_dot() {
                    if owner == ROOT || position > 1 {
                        return fault("`.` or `..` where none belongs");
                    }
                    return ControlFlow::Continue(());
                }
                let first_cluster = entry.first_cluster(fat.boot.width);
                if !entry.is_dir()
                    && entry.size() == 0
                    && first_cluster != 0
                    && layout::begins_with_itself(&fat.boot, fat.image.as_ref(), first_cluster)
                {
                    // As a file it would deny what is beneath it.
                    return fault("a file without bytes, where a directory is");
                }
                let short = entry.short_name();
                let name = match name {
                    Some(name) if name == b"." || name == b".." => {
                        fault("its long name is `.` or `..`; called by its short name")?;
                        short.as_bytes().to_vec()
                    }
                    Some(name) => name,
                    None => short.as_bytes().to_vec(),
                };
                let kind = Some(if entry.is_dir() { Kind::Dir } else { Kind::File });
                let entry = crate::fs::DirEntry { name: &name, node: NodeId::Number(offset), kind, link: None };
                each(Listed::Entry(entry), &short)
            },
        );
        if !ended && !stopped && long_name.take(None).1 {
            let what = "a long name, or a part of one, without an entry behind it";
            let _ = hand_out(Listed::Fault(Fault::new(LAYER, "end of the directory", what)), "");
        }
        Ok(())
    }
}

/// A name without case. Names that are not Unicode keep their bytes but for ASCII.
fn fold(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(name) => name.chars().flat_map(char::to_uppercase).collect::<String>().into_bytes(),
        Err(_) => name.to_ascii_uppercase(),
    }
}
