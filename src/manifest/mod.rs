//! What one scan saw: records, sorted, in a compressed file with a header and a footer that proves it whole.
//! In come [`Record`]s in any order, out comes a stream of them in the order of their [`Key`]s.
//! This room knows nothing of filesystems.
//!
//! To add an attribute: one row in `attribute.rs`.

pub mod attribute;
pub mod record;

pub use attribute::{Attribute, Value, XattrSummary};
pub use record::{Class, Key, Kind, Record};
