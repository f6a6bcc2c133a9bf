//! The change log from changes to what a person reads: events, the state directory, queries and reports.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is the test")]

mod events;
mod history;
mod queries;
mod report;
mod state;
mod support;
