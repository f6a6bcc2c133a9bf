//! Lists of changed blocks, as hypervisors, clouds and block tools print them. In come the bytes of a list, out comes
//! one [`ChangedRanges`]: where a disk may differ from an earlier snapshot of it. Nothing here reads an image, and
//! nothing here is believed that the list does not say outright: what is cut short, has gaps where the format has
//! none, or is no comparison of two snapshots is an error.
//!
//! To add a format: a file here that turns its rows into ranges, and one arm in `detect`.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod azure;
mod detect;
mod ebs;
mod nbdinfo;
mod qemu_map;
mod ranges;
mod rbd;
mod thin_delta;
mod vmware;
mod xml;

use crate::error::Error;

pub use detect::parse;
pub use ranges::ChangedRanges;

/// The longest list that is read, in bytes.
pub const MAX_LIST: u64 = 128 << 20;

/// The most ranges of one list.
pub const MAX_RANGES: usize = 4 << 20;

const LAYER: &str = "changed blocks";

fn malformed(format: &str, what: impl std::fmt::Display) -> Error {
    Error::corrupt(LAYER, format, what.to_string())
}
