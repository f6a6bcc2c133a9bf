//! What is different between two scans: two sorted streams of records in, changes out. Pure: it compares what
//! the manifests say, and decides nothing from anywhere else.
//!
//! [`run`] goes once through both manifests side by side (`merge.rs`). What stands on both sides is compared
//! (`compare.rs`); what stands on one side only is a candidate, unless a fault (`cover.rs`), a lost volume
//! (`volumes.rs`), a journal that could not be replayed (`unreplayed.rs`) or the policy says why. Candidates are then
//! matched as renames (`rename.rs`). Everything waits in external sorters, so that memory does not grow with the number
//! of changes, and comes out in the order of keys.
//!
//! To add a finding: one function in `finding.rs`.

mod ancestors;
pub mod change;
mod compare;
mod cover;
mod cursor;
mod draft;
mod finding;
mod group;
mod input;
mod merge;
mod outbox;
mod owner;
mod rename;
mod unreplayed;
mod volumes;

pub use change::{Change, ChangeKind, Finding, ScanChange};
pub use input::{Collected, Input, Output, PolicyDiff, Summary, Which};
pub use merge::run;
