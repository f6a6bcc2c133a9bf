//! What a diff is given, and where it puts what it finds.

use super::change::{Change, ScanChange};
use crate::{
    error::Result,
    manifest::{AttributeSet, Reader, Record, Sorter},
};

/// What a diff is given.
pub struct Input<'a> {
    /// The previous scan.
    pub old: Reader,
    /// The last good records of what the previous scan could not read; they win over its own.
    pub carried: Option<Reader>,
    /// This scan.
    pub new: Reader,
    /// What is compared of an entity that the rules of these names cover.
    pub compared: &'a dyn Fn(&[String]) -> AttributeSet,
    /// Whether any rule compares times of access. Where none does, records that differ in nothing else are not looked
    /// into: a night of reading changes more of them than all else.
    pub access_times: bool,
    /// How the effective policies differ, where they do.
    pub policy: Option<PolicyDiff<'a>>,
    /// Where to spill, and the memory for all that is held back.
    pub sorter: Sorter,
}

/// How the effective policies of two scans differ.
pub struct PolicyDiff<'a> {
    /// What differs, for people.
    pub what: Vec<String>,
    /// SHA-256 of what the previous scan's policy asks for, and this scan's.
    pub sha256: [String; 2],
    /// Whether the previous scan's policy covers an entity.
    pub old_scope: &'a dyn Fn(&Record) -> bool,
    /// Whether this scan's policy covers an entity.
    pub new_scope: &'a dyn Fn(&Record) -> bool,
}

/// Takes what a diff finds: first the changes in the scan as a whole, then those of entities, in the order of
/// their keys (path of the new side, else of the old), then the records to carry, in the order of theirs.
pub trait Output {
    /// A change in the scan as a whole.
    ///
    /// # Errors
    /// What the receiver likes; it ends the diff.
    fn scan_change(&mut self, change: ScanChange) -> Result<()>;

    /// A change of an entity.
    ///
    /// # Errors
    /// What the receiver likes; it ends the diff.
    fn change(&mut self, change: Change) -> Result<()>;

    /// A fault of either side, as a line of its manifest, as it passes by. Most do not ask.
    ///
    /// # Errors
    /// What the receiver likes; it ends the diff.
    fn fault(&mut self, _of: Which, _line: &[u8]) -> Result<()> {
        Ok(())
    }

    /// The last good record of something that can no longer be read, for the next diff's [`Input::carried`].
    ///
    /// # Errors
    /// What the receiver likes; it ends the diff.
    fn carry(&mut self, record: Record) -> Result<()>;
}

/// A side of a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The earlier scan.
    Old,
    /// The later one.
    New,
}

/// Keeps everything, where there is little.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Collected {
    /// The changes in the scan as a whole.
    pub scan_changes: Vec<ScanChange>,
    /// The changes of entities.
    pub changes: Vec<Change>,
    /// The records to carry.
    pub carried: Vec<Record>,
}

impl Output for Collected {
    fn scan_change(&mut self, change: ScanChange) -> Result<()> {
        self.scan_changes.push(change);
        Ok(())
    }

    fn change(&mut self, change: Change) -> Result<()> {
        self.changes.push(change);
        Ok(())
    }

    fn carry(&mut self, record: Record) -> Result<()> {
        self.carried.push(record);
        Ok(())
    }
}

/// How much there was of everything.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Entities on the old side, carried ones included.
    pub entities_old: u64,
    /// Entities on the new side.
    pub entities_new: u64,
    /// Entities that were created.
    pub created: u64,
    /// Entities that were modified.
    pub modified: u64,
    /// Entities that were deleted.
    pub deleted: u64,
    /// Entities that were renamed, without those that moved along.
    pub renamed: u64,
    /// Entities that moved along with a renamed one, unchanged.
    pub moved_along: u64,
    /// Entities that could be read before and now cannot, without those of lost volumes.
    pub unreadable: u64,
    /// Records to carry.
    pub carried: u64,
    /// Volumes that are lost, since this diff or an earlier one, and how many entities of theirs are carried; in the
    /// order of their ids.
    pub hidden: Vec<(String, u64)>,
}
