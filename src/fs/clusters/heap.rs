//! The heap: clusters of one size, counted from 2.

use std::sync::Arc;

use crate::{
    error::{Error, Result},
    fs::claims::Claims,
};

/// Where the clusters are; offsets and lengths in bytes.
#[derive(Debug, Clone)]
pub(in crate::fs) struct Heap {
    /// Who speaks in errors: `fat`, `exfat`.
    pub(in crate::fs) layer: &'static str,
    /// Where cluster 2 begins.
    pub(in crate::fs) start: u64,
    pub(in crate::fs) cluster_size: u64,
    /// The number of clusters; the last one is this plus 1.
    pub(in crate::fs) clusters: u32,
    /// What all chains may have read of the table.
    pub(super) chains: Arc<Claims>,
}

impl Heap {
    pub(in crate::fs) fn new(layer: &'static str, start: u64, cluster_size: u64, clusters: u32) -> Self {
        Self { layer, start, cluster_size, clusters, chains: Arc::new(Claims::of_chains()) }
    }

    /// Where a cluster lies; an error for numbers that no cluster has.
    pub(in crate::fs) fn offset(&self, cluster: u32) -> Result<u64> {
        let index = cluster.checked_sub(2).filter(|&index| index < self.clusters);
        index.and_then(|index| u64::from(index).checked_mul(self.cluster_size)?.checked_add(self.start)).ok_or_else(
            || {
                let last = self.clusters.saturating_add(1);
                self.corrupt(cluster, format!("the volume has the clusters 2 to {last}"))
            },
        )
    }

    /// The cluster that holds a byte of the volume.
    pub(super) fn cluster_at(&self, offset: u64) -> Option<u32> {
        let index = offset.checked_sub(self.start)?.checked_div(self.cluster_size)?;
        u32::try_from(index).ok().filter(|&index| index < self.clusters)?.checked_add(2)
    }

    /// Checks that clusters which follow one another on disk hold `len` bytes; gives the first one's offset.
    pub(super) fn run(&self, first: u32, len: u64) -> Result<u64> {
        let start = self.offset(first)?;
        let behind = u64::from(self.clusters).saturating_mul(self.cluster_size).saturating_add(self.start);
        let room = behind.saturating_sub(start);
        if len > room {
            return Err(self.corrupt(first, format!("{len} bytes begin here; the volume has {room} from here on")));
        }
        Ok(start)
    }

    pub(super) fn corrupt(&self, cluster: u32, what: impl Into<String>) -> Error {
        Error::corrupt(self.layer, format!("cluster {cluster}"), what)
    }
}
