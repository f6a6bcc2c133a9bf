//! The records of keys and values.

use super::super::hash;
use crate::{
    fs::Timestamp,
    manifest::{Attribute, Kind, Record, Value as Field},
    registry::{
        Key, Value,
        secret::{self, Part, Place},
        value::{self, Text},
    },
    text,
};

/// Sets a key's class name.
pub(super) fn class(record: &mut Record, place: &Place<'_>, key: &Key<'_>) {
    let Some(class) = &key.class else { return };
    let secret = secret::is_secret(place, Part::Class(class));
    if secret || std::str::from_utf8(class).is_err() {
        record.set(Attribute::ClassSha256, Field::Text(hash::bytes(class)));
    }
    if !secret {
        record.set(Attribute::ClassName, Field::Text(text::readable(class)));
    }
}

/// The record of a key of which only the existence is recorded.
pub(super) fn existing_key(path: &[u8], key: &Key<'_>, volume: &str) -> Record {
    let mut record = Record::new(path, Kind::Key);
    record.set(Attribute::LastWrite, Field::Text(Timestamp::from_filetime(key.last_write).to_string()));
    record.set(Attribute::Volume, Field::Text(volume.to_owned()));
    record
}

/// A value's record. Without all of its data it has neither hash nor text.
pub(super) fn value(path: &[u8], place: &Place<'_>, found: &Value<'_>, volume: &str) -> Record {
    let mut record = Record { name: found.name.to_vec(), ..Record::new(path, Kind::Value) };
    record.set(Attribute::Type, Field::Text(value::type_name(found.kind).into_owned()));
    record.set(Attribute::Size, Field::Number(u64::from(found.size)));
    record.set(Attribute::Volume, Field::Text(volume.to_owned()));
    if found.fault.is_none() {
        record.set(Attribute::Sha256, Field::Text(hash::bytes(&found.data)));
        if !secret::is_secret(place, Part::Value(&found.name)) {
            record.set(Attribute::Data, Field::Text(data(found.kind, &found.data)));
        }
    }
    record
}

/// Data as text: several strings as a list in JSON, a cut one with an ellipsis behind it.
fn data(kind: u32, bytes: &[u8]) -> String {
    let rendered = value::render(kind, bytes);
    let mut text = match rendered.text {
        Text::One(text) => text,
        Text::List(list) => serde_json::Value::from(list).to_string(),
    };
    if rendered.truncated {
        text.push('…');
    }
    text
}
