//! Agentless file integrity monitoring for snapshots of Linux and Windows machines.
//!
//! Data flows one way; nothing on the right is imported by anything on its left:
//!
//! ```text
//! target → image → volume → fs → machine → plan → record* → manifest → change* → event* → change log → report
//! ```
#![forbid(unsafe_code)]

pub mod error;
pub mod fs;
pub mod image;
pub mod volume;
