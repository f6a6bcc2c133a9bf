//! Which cluster belongs to which directory. FAT knows no links between directories; a volume whose directories
//! share clusters is damaged or a trap: followed, it is a tree without end. So the tree is gone through once, in
//! the order on disk, and each cluster belongs to the directory that came first.

use std::{
    collections::{HashMap, VecDeque},
    ops::ControlFlow,
};

use super::{
    BootSector, LAYER, corrupt,
    dir_entry::DirEntry,
    directory::{self, Dir, Slot},
    table::Table,
};
use crate::{
    error::{Error, Result},
    image::Image,
};

/// Clusters of directories that are remembered; directories beyond are not read.
const MAX_CLUSTERS: usize = 1 << 20;

/// Bytes of directories that are gone through; 32,768 directories of the largest clusters that Windows makes are 1 GiB.
const MAX_BYTES: u64 = 4 << 30;

/// The root directory as an owner; others are called by the offset of their entry.
pub(super) const ROOT: u64 = 0;

/// The owner of each directory cluster.
pub(super) struct Ownership {
    owners: HashMap<u32, u64>,
    /// How many clusters are remembered at most.
    limit: usize,
}

impl Ownership {
    /// Goes through all directories. What cannot be read is left out here, and is a fault when it is listed.
    pub(super) fn learn(image: &dyn Image, boot: &BootSector, table: &mut Table<'_>) -> Self {
        let mut owners: HashMap<u32, u64> = HashMap::new();
        let limit = MAX_BYTES.checked_div(boot.cluster_size).and_then(|clusters| usize::try_from(clusters).ok());
        let limit = limit.unwrap_or(MAX_CLUSTERS).min(MAX_CLUSTERS);
        let mut queue = VecDeque::from([(ROOT, Dir::root(boot))]);
        while let Some((owner, dir)) = queue.pop_front() {
            let mut claim = |cluster: u32| {
                let full = owners.len() >= limit;
                let taken = owners.get(&cluster).is_some_and(|&other| other != owner);
                if taken || full {
                    return Err(corrupt(format!("cluster {cluster}"), "not this directory's"));
                }
                owners.insert(cluster, owner);
                Ok(())
            };
            let mut ended = false;
            directory::slots(image, boot, table, dir, &mut claim, &mut |slot| {
                let Slot::Raw { offset, bytes } = slot else { return ControlFlow::Continue(()) };
                let entry = DirEntry::parse(bytes);
                // Clusters behind the mark that ends the directory are the directory's all the same.
                ended |= entry.is_end();
                if ended {
                    return ControlFlow::Continue(());
                }
                let is_dir = entry.is_dir() && !entry.is_label() && !entry.is_long_name();
                if is_dir && !entry.is_deleted() && !entry.is_dot() && queue.len() < limit {
                    queue.push_back((offset, Dir::Chain(entry.first_cluster(boot.variant))));
                }
                ControlFlow::Continue(())
            });
        }
        Self { owners, limit }
    }

    /// Whether a directory may be read from this cluster.
    pub(super) fn check(&self, cluster: u32, owner: u64) -> Result<()> {
        match self.owners.get(&cluster) {
            Some(&other) if other == owner => Ok(()),
            Some(_) => Err(corrupt(format!("cluster {cluster}"), "it belongs to another directory as well")),
            None if self.owners.len() >= self.limit => {
                Err(Error::budget(LAYER, format!("more than {} clusters of directories", self.limit)))
            }
            None => Err(corrupt(format!("cluster {cluster}"), "no directory leads to it")),
        }
    }
}
