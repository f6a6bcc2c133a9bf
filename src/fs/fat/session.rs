//! One worker's reader of a FAT volume.

use std::ops::ControlFlow;

use super::{
    Fat, LAYER, corrupt,
    dir_entry::{DIRECTORY, DirEntry},
    directory::{self, Dir, MAX_DIRECTORY, Slot},
    long_name::LongName,
    ownership::ROOT,
    table::Table,
};
use crate::{
    error::{Error, Fault, Result},
    fs::{Extent, Kind, Listed, Metadata, NodeId, Place, Session, Sink, Stream, Times, Windows},
};

/// Handed out at once.
const PIECE: u64 = 1 << 20;

/// A file in more pieces than this has no map.
const MAX_EXTENTS: usize = 1 << 20;

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
        Self { fat, table: Table::new(fat.image.as_ref(), &fat.boot) }
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

    fn dir(&self, node: &NodeId) -> Result<(u64, Dir)> {
        let (offset, node) = self.node(node)?;
        match node {
            Node::Root => Ok((offset, Dir::root(&self.fat.boot))),
            Node::Entry(bytes) => {
                let entry = DirEntry::parse(&bytes);
                if !entry.is_dir() {
                    return Err(corrupt(format!("entry at {offset:#x}"), "not a directory"));
                }
                Ok((offset, Dir::Chain(entry.first_cluster(self.fat.boot.variant))))
            }
        }
    }

    /// Goes through a file's chain as far as its length says: for each run of neighbouring clusters, its offset
    /// on the volume and its length in bytes.
    fn runs(&mut self, node: &NodeId, each: &mut dyn FnMut(u64, u64) -> Result<ControlFlow<()>>) -> Result<()> {
        let (offset, node) = self.node(node)?;
        let Node::Entry(bytes) = node else { return Err(corrupt("root directory", "it has no content")) };
        let entry = DirEntry::parse(&bytes);
        if entry.is_dir() {
            return Err(corrupt(format!("entry at {offset:#x}"), "a directory has no content"));
        }
        let boot = &self.fat.boot;
        let mut left = u64::from(entry.size());
        if left == 0 {
            return Ok(());
        }
        let mut cluster = entry.first_cluster(boot.variant);
        let mut run: (u64, u64) = (boot.offset(cluster)?, 0);
        // Brent: the mark moves to every cluster whose number in the chain is a power of two.
        let (mut mark, mut steps, mut limit) = (cluster, 0_u64, 1_u64);
        let mut clusters = 0_u64;
        loop {
            clusters = clusters.saturating_add(1);
            let here = boot.cluster_size.min(left);
            run.1 = run.1.saturating_add(here);
            left = left.saturating_sub(here);
            if left == 0 {
                let _ = each(run.0, run.1)?;
                return self.check_end(cluster, clusters);
            }
            let broken = |error: Error| match error {
                Error::Corrupt { layer, at, what } => {
                    Error::Corrupt { layer, at, what: format!("{what}; {left} bytes are missing") }
                }
                other => other,
            };
            let next = self.table.follow(cluster).map_err(broken).and_then(|next| {
                let ends =
                    || corrupt(format!("cluster {cluster}"), format!("the chain ends here; {left} bytes are missing"));
                next.ok_or_else(ends)
            });
            let next = match next {
                Ok(next) if next == mark => Err(corrupt(
                    format!("cluster {next}"),
                    format!("the chain leads back to it; {left} bytes are missing"),
                )),
                other => other,
            };
            let next = match next {
                Ok(next) => next,
                Err(error) => {
                    // What is there is handed out before the error.
                    let _ = each(run.0, run.1)?;
                    return Err(error);
                }
            };
            steps = steps.saturating_add(1);
            if steps == limit {
                (mark, steps, limit) = (next, 0, limit.saturating_mul(2));
            }
            let start = boot.offset(next)?;
            if start != run.0.saturating_add(run.1) {
                if each(run.0, run.1)?.is_break() {
                    return Ok(());
                }
                run = (start, 0);
            }
            cluster = next;
        }
    }
}

impl FatSession<'_> {
    /// A chain may be longer than its file, but whether the last of `clusters` clusters lies in a loop, which the
    /// file may have gone through several times, shows only further on.
    fn check_end(&mut self, last: u32, clusters: u64) -> Result<()> {
        let mut cluster = last;
        for _ in 0..clusters {
            match self.table.follow(cluster) {
                Ok(Some(next)) if next == last => {
                    return Err(corrupt(format!("cluster {last}"), "the chain leads back to it"));
                }
                Ok(Some(next)) => cluster = next,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// Length of a directory's chain in bytes, as far as it can be followed.
    fn dir_len(&mut self, dir: Dir) -> u64 {
        let mut cluster = match dir {
            Dir::Area { len, .. } => return len,
            Dir::Chain(first) if self.fat.boot.offset(first).is_err() => return 0,
            Dir::Chain(first) => first,
        };
        let mut len = self.fat.boot.cluster_size;
        while len < MAX_DIRECTORY
            && let Ok(Some(next)) = self.table.follow(cluster)
        {
            cluster = next;
            len = len.saturating_add(self.fat.boot.cluster_size);
        }
        len
    }
}

fn only_content(stream: &Stream) -> Result<()> {
    match stream {
        Stream::Content => Ok(()),
        Stream::Named(_) => Err(Error::unsupported(LAYER, "FAT has no named streams")),
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
            Node::Root => self.dir_len(Dir::root(&self.fat.boot)),
            Node::Entry(bytes) if is_dir => {
                self.dir_len(Dir::Chain(DirEntry::parse(&bytes).first_cluster(self.fat.boot.variant)))
            }
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
        let mut found = None;
        self.entries(dir, &mut |listed, short| match listed {
            Listed::Entry(entry) if fold(entry.name) == wanted || fold(short.as_bytes()) == wanted => {
                found = Some(entry.node);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })?;
        Ok(found)
    }

    fn extents(&mut self, node: &NodeId, stream: &Stream) -> Result<Vec<Extent>> {
        only_content(stream)?;
        let mut extents = Vec::new();
        let mut start = 0_u64;
        self.runs(node, &mut |offset, len| {
            if extents.len() >= MAX_EXTENTS {
                return Err(Error::budget(LAYER, format!("a file in more than {MAX_EXTENTS} pieces")));
            }
            extents.push(Extent { start, len, place: Place::Volume(offset) });
            start = start.saturating_add(len);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(extents)
    }

    fn read(&mut self, node: &NodeId, stream: &Stream, sink: &mut dyn Sink) -> Result<()> {
        only_content(stream)?;
        let image = self.fat.image.as_ref();
        let mut piece = Vec::new();
        self.runs(node, &mut |mut offset, mut left| {
            while left > 0 {
                let len = left.min(PIECE);
                piece.resize(usize::try_from(len).unwrap_or_default(), 0);
                image.read_at(offset, &mut piece)?;
                if sink.data(&piece).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                offset = offset.saturating_add(len);
                left = left.saturating_sub(len);
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}

impl FatSession<'_> {
    /// Hands out the entries of a directory, each with its short name.
    fn entries(&mut self, dir: &NodeId, each: &mut dyn FnMut(Listed<'_>, &str) -> ControlFlow<()>) -> Result<()> {
        let (owner, dir) = self.dir(dir)?;
        let fat = self.fat;
        let mut long_name = LongName::default();
        let mut label_seen = owner != ROOT;
        let mut ended = false;
        let mut index = 0_u64;
        directory::slots(
            fat.image.as_ref(),
            &fat.boot,
            &mut self.table,
            dir,
            &mut |cluster| fat.ownership.check(cluster, owner),
            &mut |slot| {
                let (offset, bytes) = match slot {
                    Slot::Fault(fault) => {
                        long_name.clear();
                        return each(Listed::Fault(fault), "");
                    }
                    Slot::Raw { offset, bytes } => (offset, bytes),
                };
                let position = index;
                index = index.saturating_add(1);
                let entry = DirEntry::parse(bytes);
                let mut fault =
                    |error: &str| each(Listed::Fault(Fault::new(LAYER, format!("entry at {offset:#x}"), error)), "");
                if ended {
                    // Linux shows what stands behind the mark; firmware and Windows do not.
                    if entry.is_end() || entry.is_deleted() {
                        return ControlFlow::Continue(());
                    }
                    let _ = fault("an entry behind the mark that ends the directory");
                    return ControlFlow::Break(());
                }
                if entry.is_end() {
                    ended = true;
                    return ControlFlow::Continue(());
                }
                if entry.is_deleted() {
                    long_name.clear();
                    return ControlFlow::Continue(());
                }
                if entry.is_long_name() {
                    long_name.push(&entry);
                    return ControlFlow::Continue(());
                }
                let name = long_name.take(&entry);
                if entry.is_label() {
                    if label_seen {
                        return fault("a volume label where none belongs");
                    }
                    label_seen = true;
                    return ControlFlow::Continue(());
                }
                if entry.is_dot() {
                    if owner == ROOT || position > 1 {
                        return fault("`.` or `..` where none belongs");
                    }
                    return ControlFlow::Continue(());
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
                let entry = crate::fs::DirEntry { name: &name, node: NodeId::Number(offset), kind, link_times: None };
                each(Listed::Entry(entry), &short)
            },
        );
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
