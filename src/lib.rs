//! Agentless file integrity monitoring for snapshots of Linux and Windows machines.
//!
//! Data flows one way; nothing on the right is imported by anything on its left:
//!
//! ```text
//! target → image → volume → fs → machine → plan → record* → manifest → change* → event* → change log → report
//! ```
#![forbid(unsafe_code)]

pub mod changed;
pub mod changelog;
pub mod cli;
pub mod diff;
pub mod error;
pub mod fs;
pub mod image;
pub mod job;
pub mod machine;
pub mod manifest;
pub mod policy;
pub mod registry;
pub mod report;
pub mod scan;
pub mod security;
pub mod target;
pub mod volume;
