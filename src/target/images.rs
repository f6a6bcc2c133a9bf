//! Disk images in a directory that was named in their place.

use std::{fs, path::Path};

/// How names of disk images end, in lower case. Told by their names alone: nothing in a directory is opened for it.
const ENDINGS: [&str; 13] =
    [".raw", ".img", ".dd", ".001", ".qcow2", ".vhd", ".vhdx", ".avhdx", ".vmdk", ".e01", ".ova", ".vdi", ".qed"];

/// So many names are looked at.
const NAMES_CAP: usize = 100_000;

/// What is to be said of a directory without a system at whose top there are files that are called like disk images.
pub(super) fn mistaken(directory: &Path) -> Option<String> {
    let is_image = |name: &str| ENDINGS.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending));
    let entries = fs::read_dir(directory).ok()?.take(NAMES_CAP).filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let names = files.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| is_image(name));
    let (first, more) = names.fold((None, 0_usize), |(first, more), name| match first {
        None => (Some(name), more),
        Some(first) => (Some(name.min(first)), more.saturating_add(1)),
    });
    let first = first?;
    let others = if more == 0 { String::new() } else { format!(" and {more} more") };
    Some(format!(
        "{first}{others} are called like disk images and are recorded as files: to scan the machines in them, name the \
         images as targets, as {}",
        directory.join(&first).display()
    ))
}
