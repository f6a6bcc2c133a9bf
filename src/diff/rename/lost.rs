//! What was renamed and cannot be read under its new name: the directory there still says which node it is.

use std::collections::HashMap;

use super::super::outbox::waited;
use crate::{
    error::Result,
    manifest::{
        Attribute,
        json::{Malformed, Raw},
    },
};

/// Bytes of faults that are kept; once there are more, whatever is missing and has an id may be hidden by one of them.
const KEPT_MAX: usize = 16 << 20;

/// Faults of the new side at places that led elsewhere before, by the node that they name.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    by_node: HashMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
    overflow: Option<Vec<u8>>,
}

impl Nodes {
    pub(super) fn is_empty(&self) -> bool {
        self.by_node.is_empty()
    }

    /// Adds a fault; `before` are records of what stood at its place.
    pub(super) fn add(&mut self, fault: &[u8], before: [Option<&[u8]>; 2]) -> Result<()> {
        let Some(node) = names(fault).map_err(waited)?.pop() else { return Ok(()) };
        for line in before.into_iter().flatten() {
            if names(line).map_err(waited)?.contains(&node) {
                return Ok(());
            }
        }
        let len = node.len() + fault.len();
        if self.bytes + len > KEPT_MAX {
            self.overflow.get_or_insert_with(|| fault.to_vec());
        } else if !self.by_node.contains_key(&node) {
            self.bytes += len;
            self.by_node.insert(node, fault.to_vec());
        }
        Ok(())
    }

    /// The fault that may hide an entity which is not where it was.
    pub(super) fn hides(&self, entity: &[u8]) -> Result<Option<&[u8]>> {
        if self.is_empty() && self.overflow.is_none() {
            return Ok(None);
        }
        let names = names(entity).map_err(waited)?;
        let named = names.iter().find_map(|name| self.by_node.get(name));
        Ok(named.or(self.overflow.as_ref().filter(|_| !names.is_empty())).map(Vec::as_slice))
    }
}

/// What a node is called in faults, with its volume: by all of its id, and by what stands before the colon where the
/// directory knows no more.
fn names(line: &[u8]) -> Result<Vec<Vec<u8>>, Malformed> {
    let raw = Raw::of(line)?;
    let Some(id) = raw.get(Attribute::Id) else { return Ok(Vec::new()) };
    let (id, volume) = (id.text()?, raw.get(Attribute::Volume).map(|field| field.json).unwrap_or_default());
    let number = id.split_once(':').map(|(number, _)| number);
    let name = |id: &str| [volume, b"\0", id.as_bytes()].concat();
    Ok(number.into_iter().chain([id.as_ref()]).map(name).collect())
}
