//! The change log and the state directory that holds it. In come [`Change`](crate::diff::Change)s and what a run
//! knows of itself, out come [`Event`]s, one a line with the columns of the table they are modelled on, kept by
//! day, and a [`ScanRecord`] that proves that a scan ran. This room renders nothing for people, reads neither the
//! clock nor the environment, and sees no disk.
//!
//! ```text
//! STATE/machines/<machine>/<scan-id>.manifest.zst       what one scan saw
//! STATE/machines/<machine>/<scan-id>.carried.zst        last good records of what is lost, if any
//! STATE/machines/<machine>/<scan-id>.extents.zst        where the newest scan's contents are; may be deleted
//! STATE/machines/<machine>/latest                       the scan-id of the newest complete scan
//! STATE/changes/date=2026-11-21/<machine>_<scan-id>.ndjson   its events, if any
//! STATE/scans/date=2026-11-21/<machine>_<scan-id>.json       its record, for failed scans too
//! ```
//!
//! `date` is the day of the scan-id: the scan's start in UTC. Names that start with a dot are ours too: `.lock`,
//! and temporary files, which end in `.tmp`.
//!
//! To add a column: a field in `event.rs` and a row in `column.rs`. To add a filter of the log: `query.rs`.

mod bounded;
pub mod cadence;
pub mod column;
#[cfg(test)]
mod crash;
mod directory;
mod entity_path;
pub mod event;
pub mod event_file;
mod file_proof;
mod from_change;
mod from_scan_change;
mod history;
mod line;
mod lock;
mod machine;
pub mod machine_name;
mod ordered;
mod outside;
pub mod path_filter;
mod publish;
pub mod query;
mod scan_id;
mod scan_record;
mod shown;
mod state;
pub mod status;
pub mod verify;

pub use event::{ChangeType, EntityType, Event, Ext, Window};
pub use event_file::{EventFile, EventWriter, Problem, Tally};
pub use file_proof::FileProof;
pub use from_change::Context;
pub use line::{is_deceptive, write_escaped, write_json};
pub use machine::{Machine, RECOVERY};
pub use machine_name::MachineName;
pub use ordered::in_order;
pub use outside::refuse_inside;
pub use path_filter::PathFilter;
pub use publish::Publish;
pub use query::{Order, Query, Reading};
pub use scan_id::ScanId;
pub use scan_record::{
    ABSENT, ANEW, Bytes, Coverage, CoverageState, MAX_COVERAGE, Outcome, ScanRecord, TargetFile, UNMONITORED,
};
pub use state::{ScanRef, State};
pub use status::MachineStatus;
pub use verify::Verified;
