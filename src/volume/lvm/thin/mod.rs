//! Thin pools. In come the two volumes of a pool, out come its thin volumes: metadata that says which chunk of the
//! data volume holds which chunk of a thin volume.
//!
//! References are to `drivers/md/dm-thin-metadata.c` and `drivers/md/persistent-data/` of Linux; metadata is in
//! blocks of 4 KiB, all fields are little-endian.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod btree;
mod node;
mod pool;
mod superblock;
mod volume;

pub(super) use self::{pool::Pool, volume::Thin};
use crate::checksum::crc32c;

const LAYER: &str = "dm-thin";

/// The size of a block of metadata.
const BLOCK: usize = 4096;

/// The checksum of a block: CRC-32C of all behind the checksum itself, not inverted, mixed with what tells the kind
/// of block (`dm_bm_checksum`).
fn checksum(block: &[u8], kind: u32) -> u32 {
    crc32c(u32::MAX, block.get(4..).unwrap_or_default()) ^ kind
}
