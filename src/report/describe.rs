//! What an event says, in few words: a letter, what it is about, and the details. Everything that comes out of
//! here is escaped.

use serde_json::{Map, Value};

use super::escape::escaped;
use super::human;
use crate::changelog::{ChangeType, EntityType, Event};

/// The longest value that is shown, in characters; NDJSON has all of it.
const MAX_VALUE: usize = 60;

/// How many characters of a hash are shown, where they tell two apart.
const HASH_DIGITS: usize = 4;

/// What happened, as one word of a count and one letter of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    Created,
    Modified,
    Deleted,
    Renamed,
    Unreadable,
    Scan,
}

impl Sort {
    pub(super) const COUNTED: [(Self, &'static str); 5] = [
        (Self::Created, "created"),
        (Self::Modified, "modified"),
        (Self::Deleted, "deleted"),
        (Self::Renamed, "renamed"),
        (Self::Unreadable, "unreadable"),
    ];

    pub(super) fn of(event: &Event) -> Self {
        match event.change_type {
            ChangeType::Created | ChangeType::RegistryKeyCreated => Self::Created,
            ChangeType::Deleted | ChangeType::RegistryKeyDeleted | ChangeType::RegistryValueDeleted => Self::Deleted,
            ChangeType::Renamed | ChangeType::RegistryKeyRenamed => Self::Renamed,
            ChangeType::Unreadable => Self::Unreadable,
            _ if event.monitored_entity_type == EntityType::Scan => Self::Scan,
            // A value under another name is set, as the scan record counts it.
            ChangeType::RegistryValueSet if event.old_value_name.is_none() => Self::Created,
            _ => Self::Modified,
        }
    }

    pub(super) fn letter(self) -> char {
        match self {
            Self::Created => 'A',
            Self::Modified => 'M',
            Self::Deleted => 'D',
            Self::Renamed => 'R',
            Self::Unreadable => 'U',
            Self::Scan => '!',
        }
    }
}

/// What the event is about.
pub(super) fn subject(event: &Event) -> String {
    match event.change_type {
        ChangeType::CoverageLost => place("coverage lost", event),
        ChangeType::CoverageRestored => place("coverage restored", event),
        ChangeType::PolicyChanged => "policy changed".to_owned(),
        ChangeType::MachineChanged => "machine changed".to_owned(),
        _ => {
            let now = with_value(&event.path(), event.value_name());
            if !event.is_rename() {
                return now;
            }
            let before = event.original_path().unwrap_or_else(|| event.path());
            let before = with_value(&before, event.old_value_name.as_deref());
            match event.ext.count {
                Some(count) => format!("{before} → {now} (and {} beneath)", human::count(count)),
                None => format!("{before} → {now}"),
            }
        }
    }
}

fn place(what: &str, event: &Event) -> String {
    let volume = event.ext.volume.as_deref().unwrap_or_default();
    match &event.ext.mount {
        Some(mount) => format!("{what}: {} ({})", escaped(mount), escaped(volume)),
        None => format!("{what}: {}", escaped(volume)),
    }
}

fn with_value(path: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{} [{}]", escaped(path), escaped(value)),
        None => escaped(path).into_owned(),
    }
}

/// What is to be said about it.
pub(super) fn details(event: &Event) -> Vec<String> {
    let ext = &event.ext;
    match Sort::of(event) {
        Sort::Scan => scan_details(event),
        Sort::Unreadable => vec![shortened(ext.why.as_deref().unwrap_or("cannot be read in full"), usize::MAX)],
        Sort::Created => entity(event, &ext.new),
        Sort::Deleted => {
            let mut details = entity(event, &ext.old);
            if let Some(first) = details.first_mut() {
                first.insert_str(0, "was ");
            }
            details
        }
        Sort::Modified | Sort::Renamed => differences(event),
    }
}

/// What deserves a look, in words.
pub(super) fn findings(event: &Event) -> Vec<String> {
    let words = |finding: &String| match finding.as_str() {
        "timestomp" => "timestomp: content changed, mtime did not".to_owned(),
        "si-before-fn" => "si-before-fn: a $STANDARD_INFORMATION time lies before its $FILE_NAME time".to_owned(),
        other => escaped(other).into_owned(),
    };
    event.ext.findings.iter().filter(|finding| *finding != "machine-changed").map(words).collect()
}

fn scan_details(event: &Event) -> Vec<String> {
    let ext = &event.ext;
    let mut details: Vec<String> = ext.why.iter().map(|why| shortened(why, usize::MAX)).collect();
    match event.change_type {
        ChangeType::CoverageLost => {
            let known = human::counted(ext.entities.unwrap_or(0), "entity is", "entities are");
            details.push(format!("{known} known there, and compared again when it returns"));
        }
        ChangeType::CoverageRestored => {
            details.push(format!("{} compared again", human::counted(ext.entities.unwrap_or(0), "entity", "entities")));
        }
        ChangeType::PolicyChanged => {
            details.extend(ext.what.iter().map(|what| shortened(what, usize::MAX)));
            let (entered, left) = (ext.entered.unwrap_or(0), ext.left.unwrap_or(0));
            details.push(format!("{} in, {} out of scope", human::count(entered), human::count(left)));
        }
        _ => details.extend(ext.fields_changed.iter().map(|field| difference(event, field))),
    }
    details
}

/// An entity that came or went.
fn entity(event: &Event, side: &Map<String, Value>) -> Vec<String> {
    let text = |name: &str| side.get(name).map(plain);
    let is = |name: &str| side.contains_key(name);
    let kind = text("kind").unwrap_or_default();
    if kind == "value" {
        let mut words = text("type").unwrap_or_default();
        if let Some(data) = side.get("data").and_then(Value::as_str) {
            words.push_str(&format!(" {}", quoted(data)));
        } else if let Some(hash) = text("sha256") {
            words.push_str(&format!(" sha256 {}", abbreviated(&hash, "")));
        }
        return vec![words];
    }
    let mut words = vec![shortened(&kind, MAX_VALUE)];
    if event.file_type.as_deref().is_some_and(|kind| matches!(kind, "file" | "stream"))
        && let Some(size) = side.get("size").and_then(Value::as_u64)
    {
        words.push(human::size(size));
    }
    let name_or_number = |name: &str, number: &str| text(name).or_else(|| text(number));
    match (name_or_number("user", "uid"), name_or_number("group", "gid")) {
        (Some(user), Some(group)) => {
            words.push(format!("{}:{}", shortened(&user, MAX_VALUE), shortened(&group, MAX_VALUE)));
        }
        _ => words.extend(text("owner").map(|owner| shortened(&owner, MAX_VALUE))),
    }
    words.extend(text("mode"));
    words.extend(text("rdev"));
    words.extend(text("target").map(|target| format!("→ {}", shortened(&target, MAX_VALUE))));
    words.extend(text("caps").map(|caps| shortened(&caps, MAX_VALUE)));
    if is("acl") || is("default_acl") {
        words.push("with ACL".to_owned());
    }
    vec![words.join(" ")]
}

fn differences(event: &Event) -> Vec<String> {
    let ext = &event.ext;
    let changed = |name: &str| ext.fields_changed.iter().any(|field| field == name);
    let shown_data = changed("data") && event.new_value_data.is_some() && event.old_value_data.is_some();
    // What one reads more easily beside it says the same.
    let is_implied = |field: &str| match field {
        "sd_sha256" => ext.new.contains_key("sddl") || ext.old.contains_key("sddl"),
        "sha256" | "size" => shown_data,
        _ => false,
    };
    let companions = ext.old.keys().chain(ext.new.keys()).filter(|name| {
        !changed(name)
            && !name.ends_with("_hex")
            && (ext.old.contains_key(*name) != ext.new.contains_key(*name) || ext.old.get(*name) != ext.new.get(*name))
    });
    let mut fields: Vec<&String> = ext.fields_changed.iter().collect();
    for companion in companions {
        if !fields.contains(&companion) {
            fields.push(companion);
        }
    }
    let mut details = Vec::new();
    if event.monitored_entity_type == EntityType::File && changed("sha256") {
        details.push("content".to_owned());
    }
    details.extend(fields.into_iter().filter(|field| !is_implied(field)).map(|field| difference(event, field)));
    details
}

fn difference(event: &Event, field: &str) -> String {
    let (old, new) = (event.ext.old.get(field), event.ext.new.get(field));
    let name = shortened(field, MAX_VALUE);
    if field == "xattrs" {
        return format!("{name} {}", xattrs(old, new));
    }
    let shown = |value: Option<&Value>, other: Option<&Value>| match value {
        None => "none".to_owned(),
        Some(value) if field.ends_with("sha256") => abbreviated(&plain(value), &other.map(plain).unwrap_or_default()),
        Some(Value::Number(number)) if field == "size" => {
            number.as_u64().map_or_else(|| number.to_string(), human::size)
        }
        Some(Value::String(data)) if field == "data" => quoted(data),
        Some(value) => shortened(&plain(value), MAX_VALUE),
    };
    let (was, is) = (shown(old, new), shown(new, old));
    if was == is && old != new {
        // Sizes that round to the same, long values with the same beginning.
        return match (old.and_then(Value::as_u64), new.and_then(Value::as_u64)) {
            (Some(old), Some(new)) => format!("{name} {old} → {new}"),
            _ => format!("{name} differs beyond {was}"),
        };
    }
    format!("{name} {was} → {is}")
}

fn xattrs(old: Option<&Value>, new: Option<&Value>) -> String {
    let empty = Map::new();
    let old = old.and_then(Value::as_object).unwrap_or(&empty);
    let new = new.and_then(Value::as_object).unwrap_or(&empty);
    let gone = old.keys().filter(|name| !new.contains_key(*name)).map(|name| ('-', name));
    let here = new.keys().map(|name| (if old.contains_key(name) { '~' } else { '+' }, name));
    let words: Vec<String> = here.chain(gone).map(|(sign, name)| format!("{sign}{}", escaped(name))).collect();
    shortened(&words.join(" "), MAX_VALUE)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text, MAX_VALUE))
}

/// The beginning of a hash, long enough to differ from the other's.
fn abbreviated(hash: &str, other: &str) -> String {
    let same = hash.chars().zip(other.chars()).take_while(|(one, other)| one == other).count();
    shortened(hash, HASH_DIGITS.max(same.saturating_add(1)))
}

/// At most `max` characters of what is escaped, and `…` in place of the rest.
fn shortened(text: &str, max: usize) -> String {
    let safe = escaped(text);
    match safe.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", safe.get(..end).unwrap_or_default()),
        None => safe.into_owned(),
    }
}
