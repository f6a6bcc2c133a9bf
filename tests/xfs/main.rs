//! The XFS reader against what the kernel sees in the same images.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "this is a test")]

mod damage;
mod fixtures;
mod logs;
mod machines;
#[path = "../ext/truth.rs"]
mod truth;
