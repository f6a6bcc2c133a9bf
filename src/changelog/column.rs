//! The columns of an event by name: what `--count-by` counts and what a CSV file holds.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Event;

/// A column of the log.
pub struct Column {
    /// The name: of the table's column, or of the field of `Ext`.
    pub name: &'static str,
    /// The value as text, if the event has one.
    pub get: for<'e> fn(&'e Event) -> Option<Cow<'e, str>>,
}

impl std::fmt::Debug for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

fn text(value: Option<&str>) -> Option<Cow<'_, str>> {
    value.map(Cow::Borrowed)
}

fn shown<T: ToString>(value: Option<T>) -> Option<Cow<'static, str>> {
    value.map(|value| Cow::Owned(value.to_string()))
}

fn listed(list: &[String]) -> Option<Cow<'_, str>> {
    (!list.is_empty()).then(|| Cow::Owned(list.join(",")))
}

fn json(map: &Map<String, Value>) -> Option<Cow<'static, str>> {
    (!map.is_empty()).then(|| Cow::Owned(Value::Object(map.clone()).to_string()))
}

macro_rules! columns {
    ($($name:literal $event:ident => $value:expr;)*) => {
        /// Every column: those of the table first, then those of `Ext`, in the order of a CSV file.
        pub const COLUMNS: &[Column] = &[$(Column { name: $name, get: |$event| $value },)*];
    };
}

columns! {
    "TimeGenerated" event => shown(Some(event.time_generated));
    "Computer" event => text(Some(&event.computer));
    "MonitoredEntityType" event => text(Some(event.monitored_entity_type.as_str()));
    "ChangeType" event => text(Some(event.change_type.as_str()));
    "FileName" event => text(event.file_name.as_deref());
    "FilePath" event => text(event.file_path.as_deref());
    "FileType" event => text(event.file_type.as_deref());
    "FileSize" event => shown(event.file_size);
    "OriginalFileName" event => text(event.original_file_name.as_deref());
    "OriginalFilePath" event => text(event.original_file_path.as_deref());
    "FileSha256" event => text(event.file_sha256.as_deref());
    "RegistryHive" event => text(event.registry_hive.as_deref());
    "RegistryKey" event => text(event.registry_key.as_deref());
    "OldValueName" event => text(event.old_value_name.as_deref());
    "OldValueType" event => text(event.old_value_type.as_deref());
    "OldValueData" event => text(event.old_value_data.as_deref());
    "OldValueFullRegistryKey" event => text(event.old_value_full_registry_key.as_deref());
    "NewValueName" event => text(event.new_value_name.as_deref());
    "NewValueType" event => text(event.new_value_type.as_deref());
    "NewValueData" event => text(event.new_value_data.as_deref());
    "Type" event => text(Some(&event.table));
    "Severity" event => text(Some(event.ext.severity.as_str()));
    "Machine" event => text(Some(&event.ext.machine));
    "ScanId" event => shown(Some(event.ext.scan_id));
    "WindowFrom" event => shown(event.ext.window.from);
    "WindowTo" event => shown(Some(event.ext.window.to));
    "Rules" event => listed(&event.ext.rules);
    "Findings" event => listed(&event.ext.findings);
    "FieldsChanged" event => listed(&event.ext.fields_changed);
    "Old" event => json(&event.ext.old);
    "New" event => json(&event.ext.new);
    "Volume" event => text(event.ext.volume.as_deref());
    "As" event => text(event.ext.spelled.as_deref());
    "Count" event => shown(event.ext.count);
    "Why" event => text(event.ext.why.as_deref());
    "Mount" event => text(event.ext.mount.as_deref());
    "Entities" event => shown(event.ext.entities);
    "What" event => listed(&event.ext.what);
    "Entered" event => shown(event.ext.entered);
    "Left" event => shown(event.ext.left);
    "PathHex" event => text(event.ext.path_hex.as_deref());
    "NameHex" event => text(event.ext.name_hex.as_deref());
    "OriginalPathHex" event => text(event.ext.original_path_hex.as_deref());
    "EventId" event => text(Some(&event.ext.event_id));
}

/// The column of that name, whatever its case.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.name.eq_ignore_ascii_case(name))
}
