//! What of a record an event shows as old and new.

use serde_json::{Map, Value as Json, json};

use super::entity_path::{hex_unless_unicode, readable};
use crate::manifest::{Attribute, Record, Value};

/// Shown of a created entity, and as the last known of a deleted or unreadable one, besides all that a diff
/// compares by default: who owns it by name, when it was made and changed, and the id by which it can be found.
const ALSO_SALIENT: &[Attribute] = &[
    Attribute::User,
    Attribute::Group,
    Attribute::Owner,
    Attribute::Id,
    Attribute::Mtime,
    Attribute::Ctime,
    Attribute::Crtime,
    Attribute::LastWrite,
];

/// Shown beside a changed attribute where it differs too: the number alone tells a person little.
const COMPANIONS: &[(Attribute, Attribute)] = &[
    (Attribute::Uid, Attribute::User),
    (Attribute::Gid, Attribute::Group),
    (Attribute::SdSha256, Attribute::Sddl),
    (Attribute::SdSha256, Attribute::Owner),
    (Attribute::Sddl, Attribute::Owner),
];

/// What describes an entity that came or went: all that a diff compares by default, and `ALSO_SALIENT`.
pub(super) fn salient(record: &Record) -> Map<String, Json> {
    let mut map = kind_of(record);
    for (attribute, value) in &record.attributes {
        if attribute.row().compared || ALSO_SALIENT.contains(attribute) {
            insert(&mut map, *attribute, value);
        }
    }
    map
}

/// The entity's kind.
pub(super) fn kind_of(record: &Record) -> Map<String, Json> {
    Map::from_iter([("kind".to_owned(), json!(record.kind.as_str()))])
}

/// What a fault says of itself.
pub(super) fn fault(record: &Record) -> Map<String, Json> {
    let mut map = kind_of(record);
    for attribute in [Attribute::Layer, Attribute::At, Attribute::Error, Attribute::Part] {
        if let Some(value) = record.get(attribute) {
            insert(&mut map, attribute, value);
        }
    }
    map
}

/// The changed attributes as they were and as they are; of extended attributes, only those that differ.
pub(super) fn changed(old: &Record, new: &Record, fields: &[Attribute]) -> (Map<String, Json>, Map<String, Json>) {
    let companions = COMPANIONS
        .iter()
        .filter(|(of, companion)| fields.contains(of) && !fields.contains(companion))
        .filter(|(_, companion)| old.get(*companion) != new.get(*companion))
        .map(|(_, companion)| companion);
    let (mut before, mut after) = (Map::new(), Map::new());
    for &attribute in fields.iter().chain(companions) {
        let (was, is) = (old.get(attribute), new.get(attribute));
        if let Some(was) = was {
            insert(&mut before, attribute, &without_equal(was, is));
        }
        if let Some(is) = is {
            insert(&mut after, attribute, &without_equal(is, was));
        }
    }
    (before, after)
}

fn without_equal(value: &Value, other: Option<&Value>) -> Value {
    match (value, other) {
        (Value::Xattrs(mine), Some(Value::Xattrs(others))) => Value::Xattrs(
            mine.iter()
                .filter(|(name, summary)| others.get(*name) != Some(summary))
                .map(|(n, s)| (n.clone(), s.clone()))
                .collect(),
        ),
        _ => value.clone(),
    }
}

fn insert(map: &mut Map<String, Json>, attribute: Attribute, value: &Value) {
    let name = attribute.name();
    let json = match value {
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::List(list) => json!(list),
        Value::Bytes(bytes) => {
            if let Some(hex) = hex_unless_unicode(bytes) {
                map.insert(format!("{name}_hex"), json!(hex));
            }
            json!(readable(bytes))
        }
        Value::Xattrs(xattrs) => Json::Object(
            xattrs
                .iter()
                .map(|(name, summary)| (readable(name), json!({"size": summary.size, "sha256": summary.sha256})))
                .collect(),
        ),
    };
    map.insert(name.to_owned(), json);
}
