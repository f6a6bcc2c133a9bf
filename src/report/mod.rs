//! What a person or a program reads. In come [`Event`](crate::changelog::Event)s and the
//! [`ScanRecord`](crate::changelog::ScanRecord), and nothing else; out come text, NDJSON, CSV and tables. This
//! room writes to any `Write`, knows no terminal and no manifest, and shows no name that it has not escaped.
//!
//! To add a format: a file here, with functions of an event, or of events and the record.

pub mod csv;
mod describe;
pub mod escape;
pub mod human;
pub mod ndjson;
pub mod status;
pub mod style;
pub mod table;
pub mod text;

pub use escape::{escaped, escaped_bytes};
pub use style::Style;
pub use table::Table;
