//! Items that say that a change will follow, and others that say that it did. What only concerns free space, owners
//! and shares of blocks shows in no file; what changes extents or attributes is missing where it was not finished.
//! See "Extent Freeing Intent Log Item" and those that follow in *XFS Algorithms & Data Structures*.

use std::collections::BTreeMap;

use super::{
    super::{LAYER, bytes::le64},
    transaction::Item,
};

/// Changes under way at once; the kernel finishes each before the log can go round.
const MAX_PENDING: usize = 1 << 16;
/// So many are told one by one.
const MAX_TOLD: usize = 8;
/// The number of a change, and where it says which inode it is about.
const NUMBER_AT: usize = 8;
const INODE_AT: usize = 16;

/// What a kind of change is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Extents,
    Attributes,
    Exchange,
}

/// Changes of extents or attributes that were begun and not finished: the inode of each.
#[derive(Default)]
pub(super) struct Pending(BTreeMap<(Kind, u64), u64>);

impl Pending {
    /// Takes an item where it is one of these; false where it is not.
    pub(super) fn take(&mut self, item: &Item<'_>) -> Result<bool, String> {
        let (kind, begins) = match item.kind {
            // Of extents to free, owners and shares, begun and done, and the same on a realtime device.
            0x1236 | 0x1237 | 0x1240..=0x1243 | 0x124A..=0x124F => return Ok(true),
            0x1244 => (Kind::Extents, true),
            0x1245 => (Kind::Extents, false),
            0x1246 => (Kind::Attributes, true),
            0x1247 => (Kind::Attributes, false),
            0x1248 => (Kind::Exchange, true),
            0x1249 => (Kind::Exchange, false),
            _ => return Ok(false),
        };
        let format = item.region(0);
        let number = (kind, le64(format, NUMBER_AT));
        if begins {
            self.0.insert(number, le64(format, INODE_AT));
        } else {
            self.0.remove(&number);
        }
        if self.0.len() > MAX_PENDING { Err(format!("more than {MAX_PENDING} changes under way")) } else { Ok(true) }
    }

    /// What is missing.
    pub(super) fn gap(&self) -> Option<String> {
        let told = self.0.iter().take(MAX_TOLD).map(|((kind, _), inode)| match kind {
            Kind::Extents => format!("of the extents of inode {inode} (BUI)"),
            Kind::Attributes => format!("of the attributes of inode {inode} (ATTRI)"),
            Kind::Exchange => format!("of extents exchanged with inode {inode} (XMI)"),
        });
        let told: Vec<String> = told.collect();
        let count = self.0.len();
        (count > 0).then(|| {
            let more = if count > MAX_TOLD { ", and others" } else { "" };
            format!(
                "{LAYER}: the log was replayed, but {count} changes were begun and not finished, and are missing: {}{more}",
                told.join(", ")
            )
        })
    }
}
