//! Registry hives, offline. In come the bytes of a hive file and of its transaction logs, out come keys and
//! values as they stand after the logs are replayed, faults where something cannot be read, and the text of
//! values. This room reads no images and no files.
//!
//! One on-disk structure a file, named as the format's documentation names it: M. Suhanov, "Windows registry
//! file format specification", cited below as \[regf\]. All numbers are little-endian, and all offsets inside a
//! hive count from the first hive bin, 4096 bytes into the file.
//!
//! To add a structure: a file here that parses it from a cell's bytes, and a reader in `hive.rs`.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing))]

mod base_block;
mod big_data;
mod cell;
mod hive;
mod hive_bin;
mod key_node;
mod key_security;
mod key_value;
mod name;
mod replay;
mod room;
pub mod secret;
mod subkeys_list;
pub mod value;
mod walk;

use crate::error::{Error, Fault};

pub use hive::{Found, Hive};
pub use key_node::{Key, KeyId};
pub use key_security::SecurityId;
pub use key_value::Value;
pub use replay::{LogFormat, Replay};
pub(crate) use room::Room;
pub use walk::{KeyPath, MAX_DEPTH, Step, Visitor};

/// The layer of this room's errors and faults.
const LAYER: &str = "registry";

/// A fault of this room that stops the work at hand.
pub(crate) fn error(fault: Fault) -> Error {
    Error::corrupt(LAYER, fault.at, fault.error)
}

/// The longest hive that is read, in bytes: offsets inside a hive have 31 bits.
pub const MAX_HIVE: usize = 1 << 31;

/// The longest name of a key that is read, in characters: Windows takes 255 ("Registry element size limits").
pub const MAX_KEY_NAME: usize = 510;

/// The longest name of a value that is read, in characters: Windows takes 16,383.
pub const MAX_VALUE_NAME: usize = 32_766;

/// "Points nowhere", \[regf\] "Base block", note 1.
const NIL: u32 = 0xFFFF_FFFF;
