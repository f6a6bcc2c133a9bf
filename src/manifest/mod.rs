//! What one scan saw: records, sorted, in a compressed file with a header and a footer that proves it whole.
//! In come [`Record`]s in any order, out comes a stream of them in the order of their [`Key`]s.
//! This room knows nothing of filesystems.
//!
//! A scan's workers each push what they saw into a [`Collector`]; [`write()`] merges what they hand over into
//! one file. A [`Reader`] streams it back and believes nothing before the footer has proved it.
//!
//! To add an attribute: one row in `attribute.rs`.

mod ahead;
pub mod attribute;
pub mod attribute_set;
mod block;
pub mod collect;
mod hashing;
pub mod header;
pub mod json;
pub mod key;
pub mod lines;
mod live;
pub mod merge;
pub mod read;
pub mod record;
pub mod sorter;
pub mod write;

pub use attribute::{Attribute, Value, XattrSummary};
pub use attribute_set::AttributeSet;
pub use collect::Collector;
pub use header::{Header, Os, VolumeEntry, VolumeState};
pub use lines::{Differing, Follow, Holding, Kept, Lines, Origin};
pub use live::{write_lines, write_live};
pub use merge::Merged;
pub use read::Reader;
pub use record::{Class, Key, Kind, Record};
pub use sorter::{RunWriter, Runs, Sorter};
pub use write::{Counts, Writer, Written, write};
