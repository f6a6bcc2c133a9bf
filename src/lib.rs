//! Agentless file integrity monitoring for snapshots of Linux and Windows machines.
//!
//! Data flows one way; nothing on the right is imported by anything on its left:
//!
//! ```text
//! target → image → volume → fs → machine → plan → record* → manifest → change* → event* → change log → report
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`target`] | opens what the user named: images, devices, directories, several disks of one machine |
//! | [`image`] | a disk's bytes, out of raw files, devices and containers |
//! | [`volume`] | partitions and what is in them |
//! | [`fs`] | filesystems behind two traits: names, metadata, bytes |
//! | [`registry`], [`security`] | hives; descriptors, ACLs, capabilities and labels as text |
//! | [`machine`] | which volume is where, which system it is, where a path leads inside the image |
//! | [`policy`] | what is monitored, and why |
//! | [`scan`] | the parallel walk, hashing: a machine and a policy in, a manifest out |
//! | [`manifest`] | what one scan saw, sorted, on disk |
//! | [`diff`] | two manifests in, changes out |
//! | [`changelog`] | changes as events, kept by day in a state directory |
//! | [`report`] | events for people and for programs |
//! | [`job`] | the whole way, once: a night's scan into a state, or two targets compared |
//! | [`cli`] | the command line |
//!
//! Two directories compared, as `snapfim diff OLD NEW` does:
//!
//! ```
//! use snapfim::{job, policy::Policy, scan::{Budgets, Progress}, target};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (old, new) = (tempfile::tempdir()?, tempfile::tempdir()?);
//! std::fs::write(old.path().join("crontab"), "17 * * * * root run-parts /etc/cron.hourly\n")?;
//! std::fs::write(new.path().join("crontab"), "17 * * * * root /tmp/.x\n")?;
//!
//! let compared = job::compare(
//!     &job::Comparison {
//!         old: old.path().as_os_str(),
//!         new: new.path().as_os_str(),
//!         open: target::Options::default(),
//!         machine: Some("web01"),
//!         policy: &Policy::built_in("full")?,
//!         policy_is_named: false,
//!         policy_name: "full",
//!         threads: 1,
//!         budgets: Budgets::default(),
//!         temp: &std::env::temp_dir(),
//!         now: &jiff::Timestamp::now,
//!     },
//!     &Progress::default(),
//! )?;
//! assert_eq!(compared.record.changes_total(), 1);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod changed;
pub mod changelog;
mod checksum;
pub mod cli;
pub mod diff;
pub mod error;
mod field;
pub mod fs;
mod guid;
pub mod image;
pub mod job;
pub mod machine;
pub mod manifest;
pub mod policy;
pub mod registry;
pub mod report;
pub mod scan;
pub mod security;
pub mod severity;
pub mod target;
mod text;
mod threads;
pub mod volume;
