//! Looking up keys in the trees of a pool, with the nodes that were seen last kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{LAYER, node::Node};
use crate::{
    error::{Error, Result},
    image::Image,
};

/// The kernel's trees of 2⁶⁴ keys are nine levels deep.
const MAX_DEPTH: usize = 24;

/// Nodes that are kept: about 4 KiB each.
const KEPT: usize = 1024;

/// The trees in a pool's metadata.
pub(super) struct Trees {
    image: Arc<dyn Image>,
    kept: Mutex<HashMap<u64, Arc<Node>>>,
}

/// The leaf in which a key stands, or would.
pub(super) struct Place {
    pub(super) leaf: Arc<Node>,
    /// The entry with the key, or the first one with a greater key.
    pub(super) entry: Result<usize, usize>,
    /// All keys of the leaf are less than this.
    pub(super) bound: u64,
}

impl Trees {
    pub(super) fn new(image: Arc<dyn Image>) -> Self {
        Self { image, kept: Mutex::default() }
    }

    fn node(&self, number: u64) -> Result<Arc<Node>> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(node) = kept().get(&number) {
            return Ok(Arc::clone(node));
        }
        let node = Arc::new(Node::read(self.image.as_ref(), number)?);
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(number, Arc::clone(&node));
        Ok(node)
    }

    /// Finds `key` in the tree that begins in block `root` and has values of `value_size` bytes.
    pub(super) fn find(&self, root: u64, key: u64, value_size: usize) -> Result<Place> {
        let (mut number, mut bound) = (root, u64::MAX);
        for _ in 0..MAX_DEPTH {
            let node = self.node(number)?;
            let wrong = |what: String| Error::corrupt(LAYER, format!("node in metadata block {number}"), what);
            if node.leaf {
                if node.value_size != value_size {
                    return Err(wrong(format!("values of {} bytes, expected {value_size}", node.value_size)));
                }
                return Ok(Place { entry: node.keys.binary_search(&key), leaf: node, bound });
            }
            // Of a key before the first, the first child would be the place.
            let behind = node.keys.partition_point(|&first| first <= key).max(1);
            if let Some(&next) = node.keys.get(behind) {
                bound = bound.min(next);
            }
            let child = behind.checked_sub(1).and_then(|entry| node.values.get(entry));
            number = *child.ok_or_else(|| wrong("an internal node without entries".to_owned()))?;
        }
        Err(Error::corrupt(LAYER, format!("tree in metadata block {root}"), format!("deeper than {MAX_DEPTH} nodes")))
    }

    /// The value of `key`, if it has one.
    pub(super) fn get(&self, root: u64, key: u64, value_size: usize) -> Result<Option<u64>> {
        let place = self.find(root, key, value_size)?;
        Ok(place.entry.ok().and_then(|entry| place.leaf.values.get(entry).copied()))
    }
}
