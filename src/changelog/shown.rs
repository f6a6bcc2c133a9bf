//! What of a record an event shows as old and new.

use serde_json::{Map, Value as Json, json};

use crate::error::{Error, Result};
use crate::manifest::json::encode_value;
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

/// What a fault says of itself.
const OF_FAULT: &[Attribute] = &[Attribute::Layer, Attribute::At, Attribute::Error, Attribute::Part];

/// Shown beside a changed attribute where it differs too: the number alone tells a person little.
const COMPANIONS: &[(Attribute, Attribute)] = &[
    (Attribute::Uid, Attribute::User),
    (Attribute::Gid, Attribute::Group),
    (Attribute::SdSha256, Attribute::Sddl),
    (Attribute::SdSha256, Attribute::Owner),
    (Attribute::Sddl, Attribute::Owner),
];

/// What describes an entity that came or went: all that a diff compares by default, and [`ALSO_SALIENT`].
pub(super) fn salient(record: &Record) -> Result<Map<String, Json>> {
    described(record, |attribute| attribute.row().compared || ALSO_SALIENT.contains(&attribute))
}

/// What a fault says of itself.
pub(super) fn fault(record: &Record) -> Result<Map<String, Json>> {
    described(record, |attribute| OF_FAULT.contains(&attribute))
}

fn described(record: &Record, wanted: impl Fn(Attribute) -> bool) -> Result<Map<String, Json>> {
    let wanted = record.attributes.iter().filter(|(attribute, _)| wanted(*attribute));
    let mut map = object(wanted.map(|(attribute, value)| (*attribute, value)))?;
    map.insert("kind".to_owned(), json!(record.kind.as_str()));
    Ok(map)
}

/// The changed attributes as they were and as they are; of extended attributes, only those that differ.
pub(super) fn changed(
    old: &Record,
    new: &Record,
    fields: &[Attribute],
) -> Result<(Map<String, Json>, Map<String, Json>)> {
    let companions = COMPANIONS
        .iter()
        .filter(|(of, companion)| fields.contains(of) && !fields.contains(companion))
        .filter(|(_, companion)| old.get(*companion) != new.get(*companion))
        .map(|(_, companion)| companion);
    let shown: Vec<Attribute> = fields.iter().chain(companions).copied().collect();
    let side = |mine: &Record, others: &Record| {
        let values: Vec<_> = shown
            .iter()
            .filter_map(|&attribute| Some((attribute, without_equal(mine.get(attribute)?, others.get(attribute)))))
            .collect();
        object(values.iter().map(|(attribute, value)| (*attribute, value)))
    };
    Ok((side(old, new)?, side(new, old)?))
}

fn without_equal(value: &Value, other: Option<&Value>) -> Value {
    match (value, other) {
        (Value::Xattrs(mine), Some(Value::Xattrs(others))) => Value::Xattrs(
            mine.iter()
                .filter(|(name, summary)| others.get(*name) != Some(summary))
                .map(|(name, summary)| (name.clone(), summary.clone()))
                .collect(),
        ),
        _ => value.clone(),
    }
}

/// The attributes as a manifest writes them.
fn object<'v>(attributes: impl Iterator<Item = (Attribute, &'v Value)>) -> Result<Map<String, Json>> {
    let mut text = b"{".to_vec();
    for (attribute, value) in attributes {
        if text.len() > 1 {
            text.push(b',');
        }
        text.extend_from_slice(format!("\"{}\":", attribute.name()).as_bytes());
        encode_value(attribute.name(), value, &mut text);
    }
    text.push(b'}');
    serde_json::from_slice(&text).map_err(|error| Error::Bug(format!("the attributes of a change: {error}")))
}
