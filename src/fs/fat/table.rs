//! The file allocation table (section "FAT Data Structure"): for each cluster the next one of its chain.

use super::{BootSector, Variant, corrupt};
use crate::{
    error::Result,
    image::{
        Image,
        field::{le16, le32},
    },
};

/// The part of the table that is kept in memory.
const PAGE: u64 = 32 << 10;

/// Behind a page, so that an entry never lies in two.
const SLACK: u64 = 4;

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The chain goes on here.
    Cluster(u32),
    /// The chain ends.
    End,
    /// The cluster is marked bad.
    Bad,
    /// The cluster is free.
    Free,
}

/// A table and the page of it that was looked at last.
pub(super) struct Table<'a> {
    image: &'a dyn Image,
    boot: &'a BootSector,
    page: Vec<u8>,
    page_start: u64,
}

impl<'a> Table<'a> {
    pub(super) fn new(image: &'a dyn Image, boot: &'a BootSector) -> Self {
        Self { image, boot, page: Vec::new(), page_start: 0 }
    }

    /// The page with the byte `at` of the table, and where in it.
    fn page(&mut self, at: u64) -> Result<(&[u8], usize)> {
        let inside =
            |start: u64| at.checked_sub(start).and_then(|inside| usize::try_from(inside).ok()).unwrap_or(usize::MAX);
        let start = at.saturating_sub(at % PAGE);
        if self.page.is_empty() || self.page_start != start {
            let offset = self.boot.fat_start.saturating_add(start);
            let len = PAGE.saturating_add(SLACK).min(self.image.len().saturating_sub(offset));
            self.page.clear();
            let mut page = vec![0; usize::try_from(len).unwrap_or_default()];
            self.image.read_at(offset, &mut page)?;
            self.page = page;
            self.page_start = start;
        }
        Ok((&self.page, inside(start)))
    }

    fn raw(&mut self, cluster: u32) -> Result<u32> {
        let variant = self.boot.variant;
        let number = u64::from(cluster);
        let at = match variant {
            Variant::Fat12 => number.saturating_add(number >> 1),
            Variant::Fat16 => number.saturating_mul(2),
            Variant::Fat32 => number.saturating_mul(4),
        };
        let (page, inside) = self.page(at)?;
        let value = match variant {
            Variant::Fat12 => le16(page, inside).map(|pair| {
                let pair = u32::from(pair);
                if cluster.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 }
            }),
            Variant::Fat16 => le16(page, inside).map(u32::from),
            // The upper four bits are reserved.
            Variant::Fat32 => le32(page, inside).map(|value| value & 0x0fff_ffff),
        };
        value.ok_or_else(|| corrupt(format!("entry {cluster}"), "it lies past the end of the image"))
    }

    /// The entry of a cluster. That the next cluster exists is checked where it is read.
    pub(super) fn next(&mut self, cluster: u32) -> Result<Next> {
        let marks = match self.boot.variant {
            Variant::Fat12 => 0xff0,
            Variant::Fat16 => 0xfff0,
            Variant::Fat32 => 0x0fff_fff0,
        };
        let value = self.raw(cluster)?;
        Ok(match value.checked_sub(marks) {
            Some(8..) => Next::End,
            Some(7) => Next::Bad,
            _ if value == 0 => Next::Free,
            _ => Next::Cluster(value),
        })
    }

    /// The cluster after `cluster`; `None` at the end of the chain. What cannot follow is an error.
    pub(super) fn follow(&mut self, cluster: u32) -> Result<Option<u32>> {
        let wrong =
            |what: &str| Err(corrupt(format!("cluster {cluster}"), format!("the chain leads to a {what} cluster")));
        match self.next(cluster)? {
            Next::Cluster(next) => self.boot.offset(next).map(|_| Some(next)),
            Next::End => Ok(None),
            Next::Bad => wrong("bad"),
            Next::Free => wrong("free"),
        }
    }

    /// Whether entry 1 says that the volume is in use (`ClnShutBitMask`). FAT12 does not keep it.
    pub(super) fn is_dirty(&mut self) -> bool {
        let clean = match self.boot.variant {
            Variant::Fat12 => return false,
            Variant::Fat16 => 0x8000,
            Variant::Fat32 => 0x0800_0000,
        };
        self.raw(1).is_ok_and(|entry| entry & clean == 0)
    }
}
