//! What FAT and exFAT have in common: a heap of numbered clusters, a table that chains them, directories of slots of
//! 32 bytes, and the question which directory a cluster belongs to. In come an image and the layout that a boot
//! sector gives, out come runs of bytes and slots. What a slot means is the business of the two rooms.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod chain;
mod directory;
mod heap;
mod ownership;
mod table;
mod timestamp;

pub(super) use self::{
    chain::{Chain, read},
    directory::{Dir, SLOT, Slot, Source, slots},
    heap::Heap,
    ownership::{Child, Ownership, ROOT},
    table::{Table, Width},
    timestamp::dos_timestamp,
};
