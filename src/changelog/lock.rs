//! One run at a time for a machine. The kernel drops the lock when its holder dies, however it dies.

use std::fs::File;
use std::io::Write;

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::MachineName;
use super::directory::Directory;
use crate::error::{Error, Result};

pub(super) const LOCK: &str = ".lock";

/// The longest note that a holder leaves.
const MAX_NOTE: u64 = 200;

/// A machine's lock, held until it is dropped.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the machine whose directory this is, and leaves a note of who holds it.
    pub(super) fn take(directory: &Directory, machine: &MachineName, now: Timestamp) -> Result<Self> {
        let mut file = directory.open_or_create_file(LOCK)?;
        let failed = |error: std::io::Error| {
            Error::State(format!("state: lock {}: {error}", directory.path().join(LOCK).display()))
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                file.set_len(0).map_err(failed)?;
                writeln!(file, "process {}, since {now:.0}", std::process::id()).map_err(failed)?;
                Ok(Self { _file: file })
            }
            Err(Errno::WOULDBLOCK) => {
                let note = directory.read(LOCK, MAX_NOTE).ok().flatten().unwrap_or_default();
                let note: String =
                    String::from_utf8_lossy(&note).chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
                let holder = if note.is_empty() { "another process" } else { &note };
                Err(Error::Busy(format!("{machine} is being scanned already, by {holder}; try again later")))
            }
            Err(error) => Err(failed(error.into())),
        }
    }
}
