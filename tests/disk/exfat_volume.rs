//! A small exFAT volume that tests change: where its parts are, and its sums put right again. Fields and sums are those of
//! Microsoft's "exFAT file system specification".

use snapfim::fs::{FileSystem, NodeId};

use crate::{
    exfat::{find, open, sound},
    support::{Patched, Walk, walk},
};

/// A volume with clusters of 512 bytes, and where its parts are.
pub(crate) struct Volume {
    pub(crate) image: Patched,
    pub(crate) fat: u64,
    pub(crate) fat_len: u64,
    pub(crate) heap: u64,
}

const CLUSTER: u64 = 512;

pub(crate) fn le32(image: &Patched, at: u64) -> u32 {
    u32::from_le_bytes(image.get(at, 4).try_into().unwrap())
}

impl Volume {
    pub(crate) fn new() -> Self {
        let image = sound("c512");
        let sectors = |at| u64::from(le32(&image, at)) * 512;
        let (fat, fat_len, heap) = (sectors(80), sectors(84), sectors(88));
        Self { image, fat, fat_len, heap }
    }

    /// The offset of the entries behind a path.
    pub(crate) fn entry(&self, path: &str) -> u64 {
        let exfat = open(&self.image);
        let Some(NodeId::Number(offset)) = find(exfat.session().unwrap().as_mut(), path) else { panic!("{path}") };
        offset
    }

    pub(crate) fn put(self, offset: u64, bytes: &[u8]) -> Self {
        Self { image: self.image.put(offset, bytes), ..self }
    }

    /// Where the byte `at` of the entries that begin at `entry` lies: they may go on in another cluster.
    pub(crate) fn place(&self, entry: u64, at: u64) -> u64 {
        let room = CLUSTER - (entry - self.heap) % CLUSTER;
        if at < room {
            return entry + at;
        }
        let cluster = ((entry - self.heap) / CLUSTER) as u32 + 2;
        let next = if self.next(cluster) == 0 { cluster + 1 } else { self.next(cluster) };
        self.place(self.offset(next), at - room)
    }

    /// Changes bytes of a file's entries, counted from the first, and puts the checksum right (6.3.3).
    pub(crate) fn set(self, path: &str, at: u64, bytes: &[u8]) -> Self {
        let entry = self.entry(path);
        let place = self.place(entry, at);
        let volume = self.put(place, bytes);
        let count = u64::from(volume.image.get(entry + 1, 1)[0]);
        let slot = |n| volume.image.get(volume.place(entry, 32 * n), 32);
        let entries: Vec<u8> = (0..=count).flat_map(slot).collect();
        let counted = entries.iter().enumerate().filter(|(at, _)| !matches!(at, 2 | 3));
        let sum = counted.fold(0_u16, |sum, (_, &byte)| sum.rotate_right(1).wrapping_add(byte.into()));
        volume.put(entry + 2, &sum.to_le_bytes())
    }

    /// Puts the checksum of a boot region right (3.4).
    pub(crate) fn seal(self, region: u64) -> Self {
        let bytes = self.image.get(region, 11 * 512);
        let counted = bytes.iter().enumerate().filter(|(at, _)| !matches!(at, 106 | 107 | 112));
        let sum = counted.fold(0_u32, |sum, (_, &byte)| sum.rotate_right(1).wrapping_add(byte.into()));
        self.put(region + 11 * 512, &sum.to_le_bytes().repeat(128))
    }

    pub(crate) fn first_cluster(&self, path: &str) -> u32 {
        le32(&self.image, self.place(self.entry(path), 32 + 20))
    }

    pub(crate) fn next(&self, cluster: u32) -> u32 {
        le32(&self.image, self.fat + 4 * u64::from(cluster))
    }

    pub(crate) fn link(self, cluster: u32, next: u32) -> Self {
        let at = self.fat + 4 * u64::from(cluster);
        self.put(at, &next.to_le_bytes())
    }

    pub(crate) fn offset(&self, cluster: u32) -> u64 {
        self.heap + u64::from(cluster - 2) * CLUSTER
    }

    pub(crate) fn walk(&self) -> Walk {
        walk(&open(&self.image))
    }

    /// The faults of a node's metadata.
    pub(crate) fn told(&self, path: &str) -> String {
        let exfat = open(&self.image);
        let mut session = exfat.session().unwrap();
        let node = find(session.as_mut(), path).unwrap();
        let faults = session.metadata(&node).unwrap().faults;
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}
