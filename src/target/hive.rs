//! A single registry hive as a target, its transaction logs beside it.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use super::{Disk, Target};
use crate::{
    error::{Error, Result},
    fs::HostDir,
    image::Raw,
    machine::Machine,
};

/// What a hive begins with; \[regf\] "Base block".
const MAGIC: [u8; 4] = *b"regf";

/// Whether a file is a hive.
pub(super) fn is_hive(path: &Path) -> bool {
    Raw::begins_with(path, &MAGIC)
}

/// Opens a hive: the folder that holds it is a volume of which nothing else is read.
pub(super) fn open(given: &str, path: &Path, hive_bytes: usize) -> Result<Target> {
    let failed = |error| Error::io("hive", path.display().to_string(), error);
    let whole = path.canonicalize().map_err(failed)?;
    let metadata = whole.metadata().map_err(failed)?;
    let (Some(folder), Some(name)) = (whole.parent(), whole.file_name()) else {
        return Err(Error::Target(format!("{given}: expected a file, found something else")));
    };
    let Some(name) = name.to_str() else {
        return Err(Error::Target(format!("{given}: expected a hive whose name is valid Unicode")));
    };
    let machine = Machine::of_hive(name, Arc::new(HostDir::open(folder, false)?), hive_bytes)?;
    let disk = Disk {
        container: "hive",
        files: vec![(path.to_owned(), metadata.len())],
        size: 0,
        table: None,
        image: None,
        layered: None,
        snapshot: None,
    };
    Ok(Target {
        given: given.to_owned(),
        disks: vec![disk],
        machine,
        notes: Vec::new(),
        gaps: Vec::new(),
        modified: metadata.modified().ok(),
        read: Arc::new(AtomicU64::new(0)),
        on_read: None,
    })
}
