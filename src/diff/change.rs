//! A change is one difference between two scans of a machine.

use crate::manifest::{Attribute, Record};

/// What happened to an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It was not there before.
    Created,
    /// A compared attribute differs.
    Modified,
    /// The same entity under another path; compared attributes may differ too.
    Renamed,
    /// It is not there any more, and where it was could be read.
    Deleted,
    /// It could be read before, and now cannot, in whole or in part.
    Unreadable,
}

/// Something about a change that deserves a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Finding {
    /// The same id, the content changed, the modification time did not.
    Timestomp,
    /// A `$STANDARD_INFORMATION` time lies before its `$FILE_NAME` time.
    SiBeforeFn,
    /// The host name or the filesystem id differs from the last scan.
    MachineChanged,
}

impl Finding {
    /// The name in an event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timestomp => "timestomp",
            Self::SiBeforeFn => "si-before-fn",
            Self::MachineChanged => "machine-changed",
        }
    }
}

/// A difference in one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The entity before; `None` when created.
    pub old: Option<Record>,
    /// The entity now; `None` when deleted. When unreadable: the fault, or the partial record.
    pub new: Option<Record>,
    /// The compared attributes that differ, in the order of the table; when unreadable in part, those that are
    /// missing.
    pub fields: Vec<Attribute>,
    /// What deserves a look.
    pub findings: Vec<Finding>,
    /// When unreadable in part: the fault that cost it that.
    pub fault: Option<Box<Record>>,
    /// Of a stream or value: when its file or key last changed, as that says itself; they have no times of their own.
    pub owner_changed: Option<String>,
    /// Of a renamed directory or key: how many entities beneath it moved with it, unchanged, and are not listed.
    pub moved_along: u64,
}

/// A difference in the scan as a whole: an event of entity type `Scan`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanChange {
    /// A volume that was read before and now is not there or cannot be read.
    CoverageLost {
        /// The volume's id, `@…`.
        volume: String,
        /// Where it was mounted, if anywhere.
        mount: Option<String>,
        /// The reason, for people.
        why: String,
        /// How many entities were known there; their last good records are carried.
        entities: u64,
    },
    /// A volume that was lost can be read again.
    CoverageRestored {
        /// The volume's id, `@…`.
        volume: String,
        /// Where it is mounted, if anywhere.
        mount: Option<String>,
        /// How many carried entities were compared again.
        entities: u64,
    },
    /// The effective policy differs.
    PolicyChanged {
        /// What differs, for people: rules added, removed, changed.
        what: Vec<String>,
        /// SHA-256 of what the old policy asks for, and the new one; equal where only links lead elsewhere.
        sha256: [String; 2],
        /// Entities that entered the scope by it, and are not listed as created.
        entered: u64,
        /// Entities that left the scope by it, and are not listed as deleted.
        left: u64,
    },
    /// The host name or the id of the root filesystem differs.
    MachineChanged {
        /// Pairs of name, old and new: `host`, `volume`.
        what: Vec<(String, String, String)>,
    },
}

impl Change {
    /// Whether the kind of the entity differs: a file that became a link. It is one of the fields that changed,
    /// beside [`Change::fields`].
    #[must_use]
    pub fn kind_changed(&self) -> bool {
        match (self.kind, &self.old, &self.new) {
            (ChangeKind::Modified | ChangeKind::Renamed, Some(old), Some(new)) => old.kind != new.kind,
            _ => false,
        }
    }
}
