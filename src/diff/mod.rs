//! What is different between two scans: two sorted streams of records in, changes out. Pure: it compares what
//! the manifests say, and decides nothing from anywhere else.

pub mod change;

pub use change::{Change, ChangeKind, Finding, ScanChange};
