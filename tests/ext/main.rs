//! The ext2, ext3 and ext4 reader against what other tools see in the same images.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "this is a test")]

mod corpus;
mod damage;
mod extents;
mod fixtures;
mod machines;
mod second_opinion;
mod truth;
