//! A rescan that takes anything over gives the manifest that a full scan gives, line for line.
#![allow(clippy::unwrap_used, clippy::panic)]

mod claimed;
mod holes;
mod lists;
mod nights;
mod property;
mod support;
mod tool;
