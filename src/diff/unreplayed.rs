//! What is not there while a journal or log cannot be replayed: it may yet be there, and only the journal knows.

use std::collections::HashMap;

use super::{ancestors::is_at_or_beneath, volumes};
use crate::{
    error::Fault,
    manifest::{
        Attribute, Header, Record, Value, VolumeEntry, VolumeState,
        attribute::Part,
        json::{self, Field},
    },
};

/// The volumes of the new side, as far as their journals leave open what is on them.
#[derive(Debug)]
pub(super) struct Unreplayed {
    /// A fault that stands for each whose journal could not be replayed, by the id as it stands in records, as JSON.
    faults: HashMap<Vec<u8>, Vec<u8>>,
    /// The roots of all volumes that were read, and which each is of, by the same; the longest first.
    roots: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Unreplayed {
    pub(super) fn new(new: &Header) -> Self {
        let read = new.volumes.iter().filter(|entry| entry.state == VolumeState::Read);
        let of = |entry: &VolumeEntry| Some((volumes::json(&entry.volume), fault(entry)?));
        let faults: HashMap<_, _> = read.clone().filter_map(of).collect();
        let mut roots: Vec<_> = if faults.is_empty() {
            Vec::new()
        } else {
            read.map(|entry| (root(entry), volumes::json(&entry.volume))).collect()
        };
        roots.sort_by_key(|(root, _)| std::cmp::Reverse(root.len()));
        Self { faults, roots }
    }

    /// The fault that hides an entity which stood at `path` of a volume and was not seen: its volume's, else that of
    /// the volume at this path now. A journal may hold the id of its volume, and the table that says what is mounted
    /// where.
    pub(super) fn hides(&self, volume: Option<Field<'_>>, path: &[u8]) -> Option<&[u8]> {
        let own = volume.and_then(|volume| self.faults.get(volume.json));
        let here = || self.roots.iter().find(|(root, _)| path.starts_with(root) && is_at_or_beneath(path, root.len()));
        own.or_else(|| self.faults.get(&here()?.1)).map(Vec::as_slice)
    }
}

fn root(entry: &VolumeEntry) -> Vec<u8> {
    entry.mount.clone().unwrap_or_else(|| format!("{}/", entry.volume)).into_bytes()
}

fn fault(entry: &VolumeEntry) -> Option<Vec<u8>> {
    let why = entry.unreplayed.as_deref()?;
    let mut fault = Record::fault(root(entry), b"", Part::Entity, Fault::new("volume", "", why));
    fault.set(Attribute::Volume, Value::Text(entry.volume.clone()));
    let mut line = Vec::new();
    json::encode(&fault, &mut line);
    Some(line)
}
