//! Diffs of manifests: first by example, then the laws on generated trees.

#![allow(clippy::unwrap_used, clippy::cloned_ref_to_slice_refs, reason = "what fails here is the test")]

mod examples;
mod faults;
mod laws;
mod support;
mod tree;
mod unreplayed;
