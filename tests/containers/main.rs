//! Container readers against what other tools read (`fixtures/containers`), against hostile input, and against
//! mutations of every format.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod fixture;
mod hostile;
mod mutations;
mod oracle;
mod parents;
mod qcow2;
