//! A node of a tree: one block of metadata.
//!
//! `persistent-data/dm-btree-internal.h`, `struct node_header`: checksum at 0, flags at 4 (1 internal, 2 leaf), block
//! number at 8, entries at 16, room for entries at 20, size of a value at 24; keys of 64 bit from 32 on, and behind
//! the room for keys the values. Those of an internal node are block numbers.

use super::{BLOCK, LAYER, checksum};
use crate::{
    error::{Error, Result},
    field::{le32, le64, wide},
    image::Image,
};

const HEADER: usize = 32;

/// `BTREE_CSUM_XOR`.
const KIND: u32 = 121_107;

/// A node, its checksum verified.
pub(super) struct Node {
    /// Whether its values are those of the tree, and not other nodes.
    pub(super) leaf: bool,
    /// The size of a value in bytes.
    pub(super) value_size: usize,
    /// Ascending.
    pub(super) keys: Vec<u64>,
    /// The first 64 bit of each value.
    pub(super) values: Vec<u64>,
}

impl Node {
    pub(super) fn read(image: &dyn Image, number: u64) -> Result<Self> {
        let wrong = |what: &str| Error::corrupt(LAYER, format!("node in metadata block {number}"), what);
        let mut block = [0; BLOCK];
        let at = number.checked_mul(wide(BLOCK)).ok_or_else(|| wrong("it lies past 16 EiB"))?;
        image.read_at(at, &mut block)?;
        let word = |at| le32(&block, at).unwrap_or_default();
        if word(0) != checksum(&block, KIND) {
            return Err(wrong("its checksum does not fit"));
        }
        if le64(&block, 8) != Some(number) {
            return Err(wrong("it says that it is another block"));
        }
        let leaf = match word(4) {
            1 => false,
            2 => true,
            _ => return Err(wrong("it is neither internal nor a leaf")),
        };
        let size = |at| usize::try_from(word(at)).map_err(|_| wrong("a size that does not fit"));
        let (entries, room, value_size) = (size(16)?, size(20)?, size(24)?);
        let values = room.checked_mul(8).and_then(|keys| keys.checked_add(HEADER));
        let end = room.checked_mul(value_size).zip(values).and_then(|(len, values)| values.checked_add(len));
        if entries > room || value_size < 8 || end.is_none_or(|end| end > BLOCK) || (!leaf && value_size != 8) {
            return Err(wrong("its entries do not fit into the block"));
        }
        let field = |start: Option<usize>, size: usize, entry: usize| {
            let at = entry.checked_mul(size).zip(start).and_then(|(at, start)| at.checked_add(start));
            at.and_then(|at| le64(&block, at)).ok_or_else(|| wrong("its entries do not fit into the block"))
        };
        let keys: Vec<u64> = (0..entries).map(|entry| field(Some(HEADER), 8, entry)).collect::<Result<_>>()?;
        let values = (0..entries).map(|entry| field(values, value_size, entry)).collect::<Result<_>>()?;
        if !keys.is_sorted_by(|a, b| a < b) {
            return Err(wrong("its keys do not ascend"));
        }
        Ok(Self { leaf, value_size, keys, values })
    }
}
