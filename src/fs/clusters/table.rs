//! The file allocation table (FAT: section "FAT Data Structure"; exFAT: 4.1): for each cluster the next one of its
//! chain.

use super::Heap;
use crate::{
    error::{Error, Result},
    field::{le16, le32},
    image::Image,
};

/// The part of the table that is kept in memory.
const PAGE: u64 = 32 << 10;

/// How many steps from one cluster to the next take as long as it takes to read a page, about.
const STEPS: u32 = 1024;

/// Behind a page, so that an entry never lies in two.
const SLACK: u64 = 4;

/// Width of the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fs) enum Width {
    /// FAT12.
    Bits12,
    /// FAT16.
    Bits16,
    /// FAT32, where the upper four of 32 bits are reserved.
    Bits28,
    /// exFAT.
    Bits32,
}

impl Width {
    /// An entry with all bits set.
    pub(in crate::fs) fn largest(self) -> u32 {
        match self {
            Self::Bits12 => 0xfff,
            Self::Bits16 => 0xffff,
            Self::Bits28 => 0x0fff_ffff,
            Self::Bits32 => u32::MAX,
        }
    }
}

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
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
pub(in crate::fs) struct Table<'a> {
    image: &'a dyn Image,
    heap: &'a Heap,
    width: Width,
    start: u64,
    page: Vec<u8>,
    page_start: u64,
    /// Another table that is kept alike.
    mirror: Option<Box<Table<'a>>>,
    /// Steps that were not counted yet as what they take.
    steps: u32,
}

impl<'a> Table<'a> {
    /// The table that begins at byte `start` of the volume.
    pub(in crate::fs) fn new(image: &'a dyn Image, heap: &'a Heap, width: Width, start: u64) -> Self {
        Self { image, heap, width, start, page: Vec::new(), page_start: 0, mirror: None, steps: 0 }
    }

    /// With another one that is kept alike, at byte `start` of the volume.
    pub(in crate::fs) fn mirrored(self, start: u64) -> Self {
        let mirror = Table::new(self.image, self.heap, self.width, start);
        Self { mirror: Some(Box::new(mirror)), ..self }
    }

    pub(super) fn heap(&self) -> &'a Heap {
        self.heap
    }

    pub(super) fn image(&self) -> &'a dyn Image {
        self.image
    }

    /// The page with the byte `at` of the table, and where in it.
    fn page(&mut self, at: u64) -> Result<(&[u8], usize)> {
        let inside =
            |start: u64| at.checked_sub(start).and_then(|inside| usize::try_from(inside).ok()).unwrap_or(usize::MAX);
        let start = at.saturating_sub(at % PAGE);
        if self.page.is_empty() || self.page_start != start {
            self.take_page()?;
            let offset = self.start.saturating_add(start);
            let len = PAGE.saturating_add(SLACK).min(self.image.len().saturating_sub(offset));
            self.page.clear();
            let mut page = vec![0; usize::try_from(len).unwrap_or_default()];
            self.image.read_at(offset, &mut page)?;
            self.page = page;
            self.page_start = start;
        }
        Ok((&self.page, inside(start)))
    }

    /// Counts a page, or steps that take as long.
    fn take_page(&self) -> Result<()> {
        self.heap.chains.take(PAGE).map_err(|what| Error::budget(self.heap.layer, what))
    }

    /// The entry of a cluster as it stands; entries 0 and 1 hold other things.
    pub(in crate::fs) fn raw(&mut self, cluster: u32) -> Result<u32> {
        let layer = self.heap.layer;
        let width = self.width;
        let number = u64::from(cluster);
        let at = match width {
            Width::Bits12 => number.saturating_add(number >> 1),
            Width::Bits16 => number.saturating_mul(2),
            Width::Bits28 | Width::Bits32 => number.saturating_mul(4),
        };
        let (page, inside) = self.page(at)?;
        let value = match width {
            Width::Bits12 => le16(page, inside).map(|pair| {
                let pair = u32::from(pair);
                if cluster.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 }
            }),
            Width::Bits16 => le16(page, inside).map(u32::from),
            Width::Bits28 => le32(page, inside).map(|value| value & 0x0fff_ffff),
            Width::Bits32 => le32(page, inside),
        };
        value.ok_or_else(|| Error::corrupt(layer, format!("entry {cluster}"), "it lies past the end of the image"))
    }

    /// The entry of a cluster. That the next cluster exists is checked where it is read.
    fn next(&mut self, cluster: u32) -> Result<Next> {
        let marks = self.width.largest() & !0xf;
        let value = self.raw(cluster)?;
        Ok(match value.checked_sub(marks) {
            // exFAT ends chains with the last of these only; Linux takes the others for the end too.
            Some(8..) => Next::End,
            Some(7) => Next::Bad,
            _ if value == 0 => Next::Free,
            _ => Next::Cluster(value),
        })
    }

    /// The cluster after `cluster`; `None` at the end of the chain. What cannot follow is an error.
    pub(super) fn follow(&mut self, cluster: u32) -> Result<Option<u32>> {
        let wrong = |what: &str| Err(self.heap.corrupt(cluster, format!("the chain leads to a {what} cluster")));
        self.steps = self.steps.saturating_add(1);
        if self.steps >= STEPS {
            self.steps = 0;
            self.take_page()?;
        }
        match self.next(cluster)? {
            Next::Cluster(next) => self.heap.offset(next).map(|_| Some(next)),
            Next::End => Ok(None),
            Next::Bad => wrong("bad"),
            Next::Free => wrong("free"),
        }
    }

    /// That the table which is kept alike gives another cluster after `cluster`. One that cannot be read says nothing.
    pub(super) fn contradiction(&mut self, cluster: u32) -> Option<Error> {
        let other = self.mirror.as_mut()?.next(cluster).ok()?;
        let own = self.next(cluster).ok()?;
        (own != other).then(|| {
            self.heap.corrupt(
                cluster,
                format!("the tables differ in what follows: {own} in the one that is in use, {other} in its copy"),
            )
        })
    }
}

impl std::fmt::Display for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster(number) => write!(f, "cluster {number}"),
            Self::End => f.write_str("nothing"),
            Self::Bad => f.write_str("a bad cluster"),
            Self::Free => f.write_str("a free cluster"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{fs::claims::Claims, image::Memory};

    /// Of any number of files that begin with one chain each takes as long as the chain.
    #[test]
    fn chains_that_many_files_share_are_not_followed_for_ever() {
        // Of 16 bits: clusters 2 and 3 lead to each other.
        let image = Memory([&[0; 4][..], &[3, 0, 2, 0], &[0; 2 << 10]].concat());
        let mut heap = Heap::new("fat", 4096, 512, 1000);
        heap.chains = Arc::new(Claims::of_chains().within(2 * PAGE));
        let mut table = Table::new(&image, &heap, Width::Bits16, 0);
        // A page was read, and one for the steps.
        let mut followed = 0;
        let error = loop {
            match table.follow(2) {
                Ok(next) => assert_eq!(next, Some(3)),
                Err(error) => break error.to_string(),
            }
            followed += 1;
        };
        assert_eq!(followed, 2 * STEPS - 1);
        assert!(
            error.ends_with("the chains of clusters of this volume hold more than 65536 bytes: the rest is not read"),
            "{error}"
        );
    }
}
