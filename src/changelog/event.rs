//! One line of the change log.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ScanId;
use crate::severity::Severity;

/// The table whose columns an [`Event`] carries; every event names it in the column `Type`.
pub const TABLE: &str = "MDCFileIntegrityMonitoringEvents";

/// The version of [`Ext`].
pub const EXT_VERSION: u32 = 1;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EntityType {
    /// A file, a directory, a link, a stream.
    File,
    /// A registry key or value.
    Registry,
    /// The scan as a whole.
    Scan,
}

macro_rules! change_types {
    ($($(#[doc = $doc:literal])* $variant:ident;)*) => {
        /// What happened, by the names of the column `ChangeType`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ChangeType { $($(#[doc = $doc])* $variant,)* }

        impl ChangeType {
            /// Every type, in the order in which reports count them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in an event.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }
    };
}

change_types! {
    /// A file that was not there before.
    Created;
    /// A file of which a compared attribute differs.
    Modified;
    /// A file under another path.
    Renamed;
    /// A file that is gone.
    Deleted;
    /// A registry key that was not there before.
    RegistryKeyCreated;
    /// A registry key of which the descriptor or the class differs.
    RegistryKeyModified;
    /// A registry key under another path.
    RegistryKeyRenamed;
    /// A registry key that is gone.
    RegistryKeyDeleted;
    /// A registry value that is new, has other data, or has another name.
    RegistryValueSet;
    /// A registry value that is gone.
    RegistryValueDeleted;
    /// A file, key or value that could be read before and now cannot.
    Unreadable;
    /// A volume that could be read before and now cannot.
    CoverageLost;
    /// A volume that was lost and can be read again.
    CoverageRestored;
    /// The effective policy differs.
    PolicyChanged;
    /// The host name or the root filesystem differs.
    MachineChanged;
}

impl ChangeType {
    /// The type of that name, whatever its case.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|t| t.as_str().eq_ignore_ascii_case(name))
    }
}

impl EntityType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::File, Self::Registry, Self::Scan];

    /// The name in an event.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Registry => "Registry",
            Self::Scan => "Scan",
        }
    }

    /// The type of that name, whatever its case.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str().eq_ignore_ascii_case(name))
    }
}

/// The time in which a change happened: after `from`, and not after `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Window {
    /// The time of the snapshot before; none at a machine's first scan. Later than `to` where an older snapshot
    /// was scanned on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The time of the snapshot.
    pub to: Timestamp,
}

impl Window {
    /// Whether `time` lies inside.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| from < time) && time <= self.to
    }
}

/// One line of the change log: the columns of [`TABLE`] that can be known from a snapshot, with their names and
/// types, and [`Ext`]. A column that does not apply is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    /// The best estimate of the time of change that lies inside the window, else the snapshot's time.
    pub time_generated: Timestamp,
    /// The host name by which the machine calls itself; shown, never trusted.
    pub computer: String,
    /// What the event is about.
    pub monitored_entity_type: EntityType,
    /// What happened.
    pub change_type: ChangeType,
    /// Base name, of a stream with `:stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The directory, with a trailing separator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_path: Option<String>,
    /// The kind of entity, as a manifest names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_type: Option<String>,
    /// Bytes of content; of a deleted file, the last known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
    /// Before a rename.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_file_name: Option<String>,
    /// Before a rename.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_file_path: Option<String>,
    /// SHA-256 of the content; of a deleted file, the last known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_sha256: Option<String>,
    /// `HKEY_LOCAL_MACHINE` or `HKEY_USERS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_hive: Option<String>,
    /// The key's path below the hive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_key: Option<String>,
    /// The value before: its name, `(Default)` for the unnamed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_value_name: Option<String>,
    /// The value before: its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_value_type: Option<String>,
    /// The value before: its data, rendered; absent where it is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_value_data: Option<String>,
    /// The key before, with its hive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_value_full_registry_key: Option<String>,
    /// The value now: its name, `(Default)` for the unnamed one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_value_name: Option<String>,
    /// The value now: its type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_value_type: Option<String>,
    /// The value now: its data, rendered; absent where it is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_value_data: Option<String>,
    /// [`TABLE`].
    #[serde(rename = "Type")]
    pub table: Cow<'static, str>,
    /// Everything that the table has no column for.
    pub ext: Ext,
}

/// What the table has no column for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ext {
    /// [`EXT_VERSION`].
    pub version: u32,
    /// Hash of machine, window, entity and change: the same when a run is repeated. Old and new stand in for a window's
    /// end that is no snapshot's time.
    pub event_id: String,
    /// The machine's name in the state directory.
    pub machine: String,
    /// The scan that saw the change.
    pub scan_id: ScanId,
    /// When it happened.
    pub window: Window,
    /// The rules that cover the entity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// The highest of those rules' severities.
    pub severity: Severity,
    /// The volume's id, `@…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// The rule's own spelling of the path, where a link was followed to get here.
    #[serde(rename = "As", skip_serializing_if = "Option::is_none")]
    pub spelled: Option<String>,
    /// The compared attributes that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields_changed: Vec<String>,
    /// What changed, as it was: attribute names to values as a manifest writes them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub old: Map<String, Value>,
    /// What changed, as it is.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub new: Map<String, Value>,
    /// What deserves a look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// Of a renamed directory or key: how many entities beneath it moved along, unchanged, and are not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// The exact bytes of a path that is not valid Unicode, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// The exact bytes of a stream's or value's name that is not valid Unicode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_hex: Option<String>,
    /// The exact bytes of a path before a rename that is not valid Unicode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_path_hex: Option<String>,
    /// Why something could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of a volume: where it is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// Of a volume: how many entities are carried, or were compared again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entities: Option<u64>,
    /// Of a policy: what differs, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<String>,
    /// Of a policy: entities that entered the scope, and are not listed as created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entered: Option<u64>,
    /// Of a policy: entities that left the scope, and are not listed as deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
}

impl Event {
    /// The path as people write it: a file's path, with `:stream`; a key's from `HKLM\` or `HKU\`, without the
    /// value; a volume's id; empty for the scan as a whole.
    #[must_use]
    pub fn path(&self) -> String {
        match self.monitored_entity_type {
            EntityType::File => joined(self.file_path.as_deref(), self.file_name.as_deref()).unwrap_or_default(),
            EntityType::Registry => match (self.registry_hive.as_deref(), self.registry_key.as_deref()) {
                (Some(hive), Some(key)) if !key.is_empty() => {
                    format!("{}\\{key}", super::entity_path::short_hive(hive))
                }
                (hive, _) => hive.map(super::entity_path::short_hive).unwrap_or_default().to_owned(),
            },
            EntityType::Scan => self.ext.volume.clone().unwrap_or_default(),
        }
    }

    /// The path before a rename, in the same form.
    #[must_use]
    pub fn original_path(&self) -> Option<String> {
        if let Some(path) = joined(self.original_file_path.as_deref(), self.original_file_name.as_deref()) {
            return Some(path);
        }
        let full = self.old_value_full_registry_key.as_deref()?;
        let (hive, key) = full.split_once('\\').unwrap_or((full, ""));
        let short = super::entity_path::short_hive(hive);
        let path = if key.is_empty() { short.to_owned() } else { format!("{short}\\{key}") };
        (path != self.path()).then_some(path)
    }

    /// The name of the registry value that the event is about.
    #[must_use]
    pub fn value_name(&self) -> Option<&str> {
        self.new_value_name.as_deref().or(self.old_value_name.as_deref())
    }

    /// Whether the entity came from another path or value name.
    #[must_use]
    pub fn is_rename(&self) -> bool {
        match self.change_type {
            ChangeType::Renamed | ChangeType::RegistryKeyRenamed => true,
            ChangeType::RegistryValueSet => {
                self.old_value_name.is_some()
                    && (self.old_value_name != self.new_value_name || self.original_path().is_some())
            }
            _ => false,
        }
    }
}

fn joined(directory: Option<&str>, name: Option<&str>) -> Option<String> {
    match (directory, name) {
        (None, None) => None,
        (directory, name) => Some([directory.unwrap_or_default(), name.unwrap_or_default()].concat()),
    }
}
