//! How long what an event says may be. A name or a descriptor from a hostile disk can take as much as a line of a
//! manifest may; an event holds two sides of it, and its line must be one that is read back
//! ([`MAX_LINE`](super::event_file::MAX_LINE)).

use serde_json::{Map, Value, json};

use super::{Event, Ext};
use crate::text::cut;

/// The longest text of one value, and all texts of a list or an object, in bytes. `data` takes at most 16 KiB, an honest
/// descriptor some.
const MAX_TEXT: usize = 64 << 10;
/// The longest difference between two policies, of which there are some hundred, in bytes.
const MAX_WORD: usize = 8 << 10;
/// The longest path, in bytes.
const MAX_PATH: usize = 512 << 10;
/// All texts of the old, or of the new, values, in bytes. As JSON they are hardly longer: what would be escaped at length
/// is spelled readably before.
const MAX_SIDE: usize = 512 << 10;
/// Stands for what is left out, as behind what is cut.
const MORE: &str = "…";

impl Event {
    /// The event with every text that is too long cut, and [`MORE`] behind it.
    #[must_use]
    pub(super) fn bounded(mut self) -> Self {
        cut(&mut self.computer, MAX_TEXT);
        let paths = [
            &mut self.file_path,
            &mut self.original_file_path,
            &mut self.registry_key,
            &mut self.old_value_full_registry_key,
        ];
        paths.into_iter().flatten().for_each(|path| cut(path, MAX_PATH));
        let Ext { spelled, why, mount, .. } = &mut self.ext;
        let texts = [
            &mut self.file_name,
            &mut self.original_file_name,
            &mut self.old_value_name,
            &mut self.old_value_type,
            &mut self.old_value_data,
            &mut self.new_value_name,
            &mut self.new_value_type,
            &mut self.new_value_data,
            spelled,
            why,
            mount,
        ];
        texts.into_iter().flatten().for_each(|text| cut(text, MAX_TEXT));
        self.ext.what.iter_mut().for_each(|text| cut(text, MAX_WORD));
        // Half of a path's bytes would be another's.
        let hex = [&mut self.ext.path_hex, &mut self.ext.name_hex, &mut self.ext.original_path_hex];
        hex.into_iter().for_each(|hex| *hex = hex.take().filter(|hex| hex.len() <= 2 * MAX_PATH));
        for side in [&mut self.ext.old, &mut self.ext.new] {
            side.values_mut().for_each(bound);
            bound_object(side, MAX_SIDE);
        }
        self
    }
}

fn bound(value: &mut Value) {
    match value {
        Value::String(text) => cut(text, MAX_TEXT),
        Value::Array(items) => {
            let mut room = MAX_TEXT;
            let kept = items.iter().take_while(|item| fits(&mut room, size(item))).count();
            if kept < items.len() {
                items.truncate(kept);
                items.push(MORE.into());
            }
        }
        Value::Object(entries) => bound_object(entries, MAX_TEXT),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Keeps the entries that fit, and says how many are left out.
fn bound_object(entries: &mut Map<String, Value>, mut room: usize) {
    let all = entries.len();
    entries.retain(|name, value| fits(&mut room, name.len().saturating_add(size(value))));
    let left_out = all.saturating_sub(entries.len());
    if left_out > 0 {
        entries.insert(MORE.to_owned(), json!({ "left_out": left_out }));
    }
}

/// About how long a value is as JSON.
fn size(value: &Value) -> usize {
    const NUMBER: usize = 24;
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().fold(0, |sum, item| sum.saturating_add(size(item))),
        Value::Object(entries) => {
            entries.iter().fold(0, |sum, (name, value)| sum.saturating_add(name.len()).saturating_add(size(value)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => NUMBER,
    }
}

/// Takes so many bytes of the room; whether there were as many.
fn fits(room: &mut usize, bytes: usize) -> bool {
    room.checked_sub(bytes).map(|left| *room = left).is_some()
}
