//! Which cluster belongs to which directory. Neither FAT nor exFAT knows links between directories; a volume whose
//! directories share clusters is damaged or a trap: followed, it is a tree without end. So the tree is gone through
//! once, in the order on disk, and each cluster belongs to the directory that came first.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ops::ControlFlow,
};

use super::{Dir, Heap, SLOT, Slot, Source, Table, directory};
use crate::error::{Error, Result};

/// Clusters of directories that are remembered; directories beyond are not read.
const MAX_CLUSTERS: usize = 1 << 20;

/// Bytes of directories that are gone through: entries of tens of millions of files.
const MAX_BYTES: u64 = 4 << 30;

/// The root directory as an owner; others are called by the offset of their entry.
pub(in crate::fs) const ROOT: u64 = 0;

/// What a slot tells of the tree.
pub(in crate::fs) enum Child {
    /// Nothing.
    None,
    /// A directory, and what it is called by.
    Dir(u64, Dir),
    /// The directory ends here.
    End,
}

/// The owner of each directory cluster.
pub(in crate::fs) struct Ownership {
    owners: HashMap<u32, u64>,
    /// Directories whose clusters follow one another.
    contiguous: HashSet<u64>,
    /// Some directories were left out, as they would be too much.
    full: bool,
}

impl Ownership {
    /// Goes through all directories, each with a parser of its own, which is given the offsets and bytes of slots.
    /// What cannot be read is left out here, and is a fault when it is listed.
    pub(in crate::fs) fn learn<P: FnMut(u64, &[u8; 32]) -> Child>(
        table: &mut Table<'_>,
        root: Source,
        parser: impl Fn() -> P,
    ) -> Self {
        let image = table.image();
        let mut owners: HashMap<u32, u64> = HashMap::new();
        let (mut contiguous, mut full, mut bytes_read) = (HashSet::new(), false, 0_u64);
        let mut queue = VecDeque::from([(ROOT, root.dir)]);
        while let Some((owner, dir)) = queue.pop_front() {
            let mut parse = parser();
            // Clusters behind the mark that ends the directory are the directory's all the same.
            let mut ended = false;
            let _ = Source { dir, ..root }.areas(table, &mut |cluster, offset, len| {
                if let Some(cluster) = cluster {
                    full |= owners.len() >= MAX_CLUSTERS || bytes_read >= MAX_BYTES;
                    if full || owners.get(&cluster).is_some_and(|&other| other != owner) {
                        return Ok(ControlFlow::Break(()));
                    }
                    owners.insert(cluster, owner);
                    if matches!(dir, Dir::Contiguous { .. }) {
                        contiguous.insert(owner);
                    }
                }
                if ended {
                    return Ok(ControlFlow::Continue(()));
                }
                let _ = directory::area(image, offset, len, &mut |slot| {
                    let Slot::Raw { offset, bytes } = slot else { return ControlFlow::Continue(()) };
                    bytes_read = bytes_read.saturating_add(SLOT);
                    match parse(offset, bytes) {
                        Child::None => {}
                        Child::Dir(..) if queue.len() >= MAX_CLUSTERS => full = true,
                        Child::Dir(child, dir) => queue.push_back((child, dir)),
                        Child::End => {
                            ended = true;
                            return ControlFlow::Break(());
                        }
                    }
                    ControlFlow::Continue(())
                });
                Ok(ControlFlow::Continue(()))
            });
        }
        Self { owners, contiguous, full }
    }

    /// Whether a directory may be read from this cluster.
    pub(in crate::fs) fn check(&self, heap: &Heap, cluster: u32, owner: u64) -> Result<()> {
        match self.owners.get(&cluster) {
            Some(&other) if other == owner => Ok(()),
            Some(_) => Err(heap.corrupt(cluster, "it belongs to another directory as well")),
            None if self.full => Err(Error::budget(
                heap.layer,
                format!("more than {MAX_CLUSTERS} clusters or {MAX_BYTES} bytes of directories"),
            )),
            None => Err(heap.corrupt(cluster, "no directory leads to it")),
        }
    }

    /// Whether no directory that was gone through has this cluster.
    pub(in crate::fs) fn is_nobodys(&self, cluster: u32) -> bool {
        !self.full && !self.owners.contains_key(&cluster)
    }

    /// Where the directory that holds the byte at `offset` goes on: the end of this cluster, and the offset of the
    /// next one, where there is one.
    pub(in crate::fs) fn around(&self, table: &mut Table<'_>, offset: u64) -> Result<(u64, Option<u64>)> {
        let heap = table.heap();
        let owned = heap.cluster_at(offset).and_then(|cluster| Some((cluster, *self.owners.get(&cluster)?)));
        let Some((cluster, owner)) = owned else {
            return Err(Error::corrupt(heap.layer, format!("entry at {offset:#x}"), "no directory leads to it"));
        };
        let end = heap.offset(cluster)?.saturating_add(heap.cluster_size);
        let next = match self.contiguous.contains(&owner) {
            true => cluster.checked_add(1),
            false => table.follow(cluster)?,
        };
        let next = next.filter(|&next| self.check(heap, next, owner).is_ok());
        Ok((end, next.map(|next| heap.offset(next)).transpose()?))
    }
}
