//! A Windows machine: drives, name, users, paths without case, links, and the registry as a part of a scan. The disk of
//! `fixtures/windows` was made by mkntfs and ntfs-3g, its hives are read by hivex; whole machines on top.
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout)]

#[path = "windows/cat.rs"]
mod cat;
#[path = "windows/hive_damage.rs"]
mod hive_damage;
#[path = "windows/hives.rs"]
mod hives;
#[path = "windows/learned.rs"]
mod learned;
#[path = "windows/machine.rs"]
mod machine;
#[path = "windows/machines.rs"]
mod machines;
#[path = "windows/mutations.rs"]
mod mutations;
#[path = "windows/names.rs"]
mod names;
#[path = "windows/profiles.rs"]
mod profiles;
mod regf;
#[path = "windows/registry.rs"]
mod registry;
#[path = "support/mod.rs"]
mod runs;
#[path = "windows/shared.rs"]
mod shared;
#[path = "windows/support.rs"]
mod support;
