//! A difference in one entity becomes an event.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::entity_path::{directory_and_name, hex_unless_unicode, hive_and_key};
use super::event::{EXT_VERSION, TABLE};
use super::{ChangeType, EntityType, Event, Ext, MachineName, ScanId, Window, shown};
use crate::diff::{Change, ChangeKind};
use crate::error::{Error, Fault, Result};
use crate::manifest::{Attribute, Class, Kind, Record};
use crate::severity::Severity;
use crate::text::{hex, readable};

/// How a registry value without a name is shown.
const UNNAMED: &str = "(Default)";

/// What every event of one scan has in common.
pub struct Context<'a> {
    /// The machine's name in the state directory.
    pub machine: &'a MachineName,
    /// The host name inside the image; the machine's name where there is none.
    pub computer: &'a str,
    /// The scan.
    pub scan_id: ScanId,
    /// From the snapshot before to this one.
    pub window: Window,
    /// When the run started, where the window may end then for want of a snapshot's time: no part of an event's id.
    pub clock: Option<Timestamp>,
    /// The machine's scan before, if any.
    pub previous: Option<ScanId>,
    /// The highest severity of the rules that cover an entity.
    pub severity: &'a dyn Fn(&Record) -> Severity,
}

impl Context<'_> {
    /// An event with nothing but what all of the scan's have.
    pub(super) fn event(&self, entity: EntityType, change: ChangeType) -> Event {
        Event {
            time_generated: self.window.to,
            computer: self.computer.to_owned(),
            monitored_entity_type: entity,
            change_type: change,
            file_name: None,
            file_path: None,
            file_type: None,
            file_size: None,
            original_file_name: None,
            original_file_path: None,
            file_sha256: None,
            registry_hive: None,
            registry_key: None,
            old_value_name: None,
            old_value_type: None,
            old_value_data: None,
            old_value_full_registry_key: None,
            new_value_name: None,
            new_value_type: None,
            new_value_data: None,
            table: Cow::Borrowed(TABLE),
            ext: Ext {
                version: EXT_VERSION,
                event_id: String::new(),
                machine: self.machine.to_string(),
                scan_id: self.scan_id,
                window: self.window,
                rules: Vec::new(),
                severity: Severity::default(),
                volume: None,
                spelled: None,
                fields_changed: Vec::new(),
                old: serde_json::Map::new(),
                new: serde_json::Map::new(),
                findings: Vec::new(),
                count: None,
                path_hex: None,
                name_hex: None,
                original_path_hex: None,
                why: None,
                mount: None,
                entities: None,
                what: Vec::new(),
                entered: None,
                left: None,
            },
        }
    }

    /// The hash of machine, window, entity, change and what changed; 128 bits of it, in hexadecimal. Each part is led by
    /// its length, so that no two lists of parts read the same. Where the window ends by the clock, that end is left
    /// out: the id is the same in every run, and that of other inputs differs. A window without an extent tells no two
    /// scans of one snapshot apart, between which only what is asked of it changes: the scan before does.
    pub(super) fn event_id(&self, change: ChangeType, parts: &[&[u8]], ext: &Ext) -> String {
        let time = |time: Option<Timestamp>| time.filter(|time| Some(*time) != self.clock);
        let from = time(self.window.from).map(|from| from.to_string()).unwrap_or_default();
        let to = time(Some(self.window.to)).map(|to| to.to_string()).unwrap_or_default();
        let what = what_changed(ext);
        let common = [self.machine.as_str(), &from, &to, change.as_str(), &what].map(str::as_bytes);
        let mut hash = Sha256::new();
        let no_extent = self.window.from.is_some_and(|from| from >= self.window.to);
        let before = self.previous.filter(|_| no_extent).map(|scan| scan.to_string());
        for part in common.iter().chain(parts).copied().chain(before.as_deref().map(str::as_bytes)) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hex(hash.finalize().get(..16).unwrap_or_default())
    }
}

fn what_changed(ext: &Ext) -> String {
    let what = (&ext.old, &ext.new, &ext.why, &ext.what, ext.entered, ext.left, ext.entities);
    // Maps of text and numbers are always JSON.
    serde_json::to_string(&what).unwrap_or_default()
}

impl Event {
    /// The event of a change.
    ///
    /// Of a created entity `Ext.New` holds what describes it, of a deleted or unreadable one `Ext.Old` the same
    /// as it was last known: all that a diff compares by default, the owner's names, the id and the times. Of all
    /// others both hold what changed and nothing else.
    ///
    /// # Errors
    /// [`Error::Bug`] when the change has neither an old nor a new side.
    pub fn from_change(change: &Change, context: &Context<'_>) -> Result<Self> {
        let (old, new) = (change.old.as_ref(), change.new.as_ref());
        // A fault stands for an entity that is better described by its last good record.
        let sound_new = new.filter(|new| new.kind != Kind::Fault);
        let Some(subject) = sound_new.or(old).or(new) else {
            return Err(Error::Bug("a change without an old and a new side".into()));
        };
        let registry = hive_and_key(&subject.path);
        let entity = if registry.is_some() { EntityType::Registry } else { EntityType::File };
        let is_value = match subject.kind.class() {
            Class::Value => true,
            Class::Fault => registry.is_some() && !subject.name.is_empty(),
            _ => false,
        };
        let change_type = change_type(change.kind, entity, is_value);
        let mut event = context.event(entity, change_type);
        event.time_generated = time_of(change, context.window);

        let origin = old.filter(|old| change.kind == ChangeKind::Renamed && old.path != subject.path);
        let ext = &mut event.ext;
        ext.path_hex = hex_unless_unicode(&subject.path);
        // A value that is named so is told apart from the unnamed one.
        let posing = is_value && subject.name == UNNAMED.as_bytes();
        ext.name_hex = if posing { Some(hex(&subject.name)) } else { hex_unless_unicode(&subject.name) };
        ext.original_path_hex = origin.and_then(|old| hex_unless_unicode(&old.path));
        ext.rules = rules(old, new);
        // Rules cover by path, name and kind: of an entity that stayed where it was, one answer is enough.
        let stayed = |old: &Record| new.is_some_and(|new| (old.kind, old.key()) == (new.kind, new.key()));
        let moved = old.filter(|old| !stayed(old));
        ext.severity = [moved, new].into_iter().flatten().map(context.severity).max().unwrap_or_default();
        ext.volume = subject.text(Attribute::Volume).map(str::to_owned);
        ext.spelled = match subject.get(Attribute::As) {
            Some(crate::manifest::Value::Bytes(bytes)) => Some(readable(bytes)),
            _ => None,
        };
        ext.findings = change.findings.iter().map(|finding| finding.as_str().to_owned()).collect();
        ext.count = (change.moved_along > 0).then_some(change.moved_along);
        set_old_and_new(ext, change)?;
        let parts = [old, new].map(|side| side.map(Record::key));
        ext.event_id = match parts {
            [Some(old), Some(new)] if old == new => context.event_id(change_type, &key_parts(&new), ext),
            [old, new] => {
                let keys: Vec<_> = [&old, &new].into_iter().flatten().flat_map(key_parts).collect();
                context.event_id(change_type, &keys, ext)
            }
        };

        if let Some((hive, key)) = registry {
            event.registry_hive = Some(hive.to_owned());
            event.registry_key = Some(readable(key));
            set_value_columns(&mut event, is_value, old, new);
        } else {
            set_file_columns(&mut event, subject, old, change.kind);
        }
        Ok(event)
    }
}

fn change_type(kind: ChangeKind, entity: EntityType, is_value: bool) -> ChangeType {
    match (entity, kind, is_value) {
        (_, ChangeKind::Unreadable, _) => ChangeType::Unreadable,
        (EntityType::Registry, ChangeKind::Deleted, true) => ChangeType::RegistryValueDeleted,
        (EntityType::Registry, _, true) => ChangeType::RegistryValueSet,
        (EntityType::Registry, ChangeKind::Created, false) => ChangeType::RegistryKeyCreated,
        (EntityType::Registry, ChangeKind::Modified, false) => ChangeType::RegistryKeyModified,
        (EntityType::Registry, ChangeKind::Renamed, false) => ChangeType::RegistryKeyRenamed,
        (EntityType::Registry, ChangeKind::Deleted, false) => ChangeType::RegistryKeyDeleted,
        (_, ChangeKind::Created, _) => ChangeType::Created,
        (_, ChangeKind::Modified, _) => ChangeType::Modified,
        (_, ChangeKind::Renamed, _) => ChangeType::Renamed,
        (_, ChangeKind::Deleted, _) => ChangeType::Deleted,
    }
}

/// The best estimate of when it happened: the inode's or the key's own time of change, that of its file or key for a
/// stream or value, which have none. It can be forged, and is therefore believed only inside the window.
fn time_of(change: &Change, window: Window) -> Timestamp {
    let own = change.new.as_ref().and_then(|new| new.text(Attribute::Ctime).or_else(|| new.text(Attribute::LastWrite)));
    own.or(change.owner_changed.as_deref())
        .filter(|_| change.kind != ChangeKind::Unreadable)
        .and_then(|text| text.parse::<Timestamp>().ok())
        .filter(|time| window.contains(*time))
        .unwrap_or(window.to)
}

fn rules(old: Option<&Record>, new: Option<&Record>) -> Vec<String> {
    let mut rules: Vec<String> = Vec::new();
    for rule in [new, old].into_iter().flatten().flat_map(Record::rules) {
        if !rules.contains(rule) {
            rules.push(rule.clone());
        }
    }
    rules
}

fn key_parts<'k>(key: &'k crate::manifest::Key<'_>) -> [&'k [u8]; 4] {
    let class: &[u8] = match key.class {
        Class::File => b"file",
        Class::Stream => b"stream",
        Class::Key => b"key",
        Class::Value => b"value",
        Class::Fault => b"fault",
    };
    [key.path, class, key.name, key.id.as_bytes()]
}

fn set_old_and_new(ext: &mut Ext, change: &Change) -> Result<()> {
    let salient = |side: Option<&Record>| side.map_or(Ok(serde_json::Map::new()), shown::salient);
    match (change.kind, change.old.as_ref(), change.new.as_ref()) {
        (ChangeKind::Modified | ChangeKind::Renamed, Some(old), Some(new)) => {
            ext.fields_changed = change.fields.iter().map(|field| field.name().to_owned()).collect();
            (ext.old, ext.new) = shown::changed(old, new, &change.fields)?;
            if old.kind != new.kind {
                ext.fields_changed.insert(0, "kind".to_owned());
                ext.old.insert("kind".to_owned(), json!(old.kind.as_str()));
                ext.new.insert("kind".to_owned(), json!(new.kind.as_str()));
            }
        }
        (ChangeKind::Unreadable, old, new) => {
            ext.fields_changed = change.fields.iter().map(|field| field.name().to_owned()).collect();
            ext.old = salient(old)?;
            ext.new = match new {
                Some(new) if new.kind == Kind::Fault => shown::fault(new)?,
                new => salient(new)?,
            };
            ext.why = new.filter(|new| new.kind == Kind::Fault).or(change.fault.as_deref()).map(|fault| {
                let text = |attribute| fault.text(attribute).unwrap_or_default();
                Fault::new(text(Attribute::Layer), text(Attribute::At), text(Attribute::Error)).to_string()
            });
        }
        (_, old, new) => {
            ext.old = salient(old)?;
            ext.new = salient(new)?;
        }
    }
    Ok(())
}

fn set_file_columns(event: &mut Event, subject: &Record, old: Option<&Record>, kind: ChangeKind) {
    let (path, name) = path_columns(subject);
    event.file_path = Some(path);
    event.file_name = Some(name);
    event.file_type = Some(subject.kind.as_str().to_owned());
    // What cannot be read now has no size or hash now; the last known ones are in `Ext.Old`.
    if kind != ChangeKind::Unreadable {
        event.file_size = subject.number(Attribute::Size);
        event.file_sha256 = subject.text(Attribute::Sha256).map(str::to_owned);
    }
    if let Some(old) = old.filter(|_| kind == ChangeKind::Renamed) {
        let (path, name) = path_columns(old);
        event.original_file_path = Some(path);
        event.original_file_name = Some(name);
    }
}

fn path_columns(record: &Record) -> (String, String) {
    let (directory, name) = directory_and_name(&record.path);
    let mut name = readable(name);
    if !record.name.is_empty() {
        name.push(':');
        name.push_str(&readable(&record.name));
    }
    (readable(&directory), name)
}

fn set_value_columns(event: &mut Event, is_value: bool, old: Option<&Record>, new: Option<&Record>) {
    let value_name = |record: &Record| match record.name.as_slice() {
        [] => UNNAMED.to_owned(),
        name => readable(name),
    };
    let text = |record: &Record, attribute| record.text(attribute).map(str::to_owned);
    if let Some(old) = old {
        event.old_value_full_registry_key = hive_and_key(&old.path).map(|(hive, key)| match key {
            [] => hive.to_owned(),
            key => format!("{hive}\\{}", readable(key)),
        });
        if is_value {
            event.old_value_name = Some(value_name(old));
            event.old_value_type = text(old, Attribute::Type);
            event.old_value_data = text(old, Attribute::Data);
        }
    }
    if let Some(new) = new.filter(|new| is_value && new.kind != Kind::Fault) {
        event.new_value_name = Some(value_name(new));
        event.new_value_type = text(new, Attribute::Type);
        event.new_value_data = text(new, Attribute::Data);
    }
}
