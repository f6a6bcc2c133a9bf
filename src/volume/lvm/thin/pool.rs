//! A pool: its two volumes, and where a chunk of a thin volume is in the data volume.

use std::sync::Arc;

use super::{LAYER, btree::Trees, superblock::Superblock};
use crate::{
    error::{Error, Result},
    field::wide,
    image::Image,
};

/// Bits of a mapping below the number of the chunk: the time at which it was made.
const TIME_BITS: u32 = 24;

/// A tree of trees has blocks as values, a tree of mappings has mappings.
const MAPPING: usize = 8;

/// `struct disk_device_details`.
const DETAILS: usize = 24;

/// A thin pool.
pub(in super::super) struct Pool {
    superblock: Superblock,
    trees: Trees,
    pub(super) data: Arc<dyn Image>,
}

/// Chunks of a thin volume that lie together.
pub(super) struct Chunks {
    /// The byte in the data volume where the first is; `None` where nothing was ever written.
    pub(super) at: Option<u64>,
    /// How many; at least one.
    pub(super) count: u64,
}

impl Pool {
    /// Opens a pool whose group says that its chunks have `chunk` bytes.
    pub(in super::super) fn open(metadata: Arc<dyn Image>, data: Arc<dyn Image>, chunk: u64) -> Result<Self> {
        let superblock = Superblock::read(metadata.as_ref())?;
        if superblock.chunk != chunk {
            let what = format!("chunks of {} bytes, expected {chunk} as the group says", superblock.chunk);
            return Err(Error::corrupt(LAYER, "superblock", what));
        }
        Ok(Self { superblock, trees: Trees::new(metadata), data })
    }

    /// Whether the kernel met an error in the metadata.
    pub(in super::super) fn needs_check(&self) -> bool {
        self.superblock.needs_check
    }

    /// The size of a chunk in bytes.
    pub(super) fn chunk(&self) -> u64 {
        self.superblock.chunk
    }

    /// The block in which the tree of a device's mappings begins.
    pub(super) fn device(&self, device: u64) -> Result<u64> {
        let missing = |what: &str| Error::corrupt(LAYER, format!("thin device {device}"), what);
        if self.trees.get(self.superblock.devices, device, DETAILS)?.is_none() {
            return Err(missing("the metadata of its pool does not list it"));
        }
        let root = self.trees.get(self.superblock.mappings, device, MAPPING)?;
        root.ok_or_else(|| missing("the metadata of its pool has no mappings for it"))
    }

    /// Where the chunk of a device is, and how many follow it there.
    pub(super) fn chunks(&self, root: u64, chunk: u64) -> Result<Chunks> {
        let place = self.trees.find(root, chunk, MAPPING)?;
        let (keys, values) = (&place.leaf.keys, &place.leaf.values);
        let entry = match place.entry {
            Ok(entry) => entry,
            Err(next) => {
                let end = keys.get(next).copied().unwrap_or(place.bound);
                let count = end.saturating_sub(chunk).max(1);
                return Ok(Chunks { at: None, count });
            }
        };
        let first = values.get(entry).map_or(0, |value| value >> TIME_BITS);
        // Together in the thin volume and in the data volume alike.
        let follows = |(step, (key, value)): &(u64, (&u64, &u64))| {
            chunk.checked_add(*step) == Some(**key) && first.checked_add(*step) == Some(**value >> TIME_BITS)
        };
        let run = (0_u64..).zip(keys.iter().zip(values).skip(entry)).take_while(follows).count();
        let count = wide(run).max(1);
        let at = first.checked_mul(self.chunk());
        let end = count.checked_mul(self.chunk()).zip(at).and_then(|(len, at)| at.checked_add(len));
        if end.is_none_or(|end| end > self.data.len()) {
            return Err(Error::corrupt(
                LAYER,
                format!("mapping of chunk {chunk}"),
                format!("chunks from {first} on lie past the end of the pool's data, {:#x}", self.data.len()),
            ));
        }
        Ok(Chunks { at, count })
    }
}
