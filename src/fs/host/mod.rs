//! A directory of this host, as a filesystem: a snapshot that somebody has mounted, or the host itself.
//!
//! In comes a path, out come the traits of [`crate::fs`]. Links are never followed on the way to a node, pipes
//! and devices never opened, access times left alone where the host permits, and what changes while it is read
//! is an error. A node is called by its path from the directory, without a leading slash.

mod attributes;
mod content;
mod session;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxAttributes, StatxFlags},
    io::Errno,
};

use self::session::HostSession;
use super::{FileSystem, Session, VolumeInfo};
use crate::error::{Error, Result};

const LAYER: &str = "host";

/// How often an open is tried again that lost a race with a rename.
const MAX_TRIES: usize = 8;

/// Mount points that are kept for the notes; the rest is counted.
const MAX_CROSSINGS: usize = 1000;

/// A directory of this host and all beneath it.
pub struct HostDir {
    root: OwnedFd,
    path: PathBuf,
    device: (u32, u32),
    cross_devices: bool,
    info: VolumeInfo,
    crossings: Mutex<Crossings>,
}

/// Places where something else is mounted, seen by any session.
#[derive(Default)]
struct Crossings {
    paths: BTreeSet<Vec<u8>>,
    more: bool,
}

impl HostDir {
    /// Opens the directory that `path` names; links to it are followed. Without `cross_devices`, what is mounted
    /// beneath it is listed as an entry and not entered; [`FileSystem::late_notes`] tells which that were.
    ///
    /// # Errors
    /// When it cannot be opened, or is no directory.
    pub fn open(path: &Path, cross_devices: bool) -> Result<Self> {
        let io = |source: std::io::Error| Error::io(LAYER, path.display().to_string(), source);
        let path = std::fs::canonicalize(path).map_err(io)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&path, flags, Mode::empty()).map_err(|errno| io(errno.into()))?;
        let stat = stat(&root).map_err(|errno| io(errno.into()))?;
        Ok(Self {
            root,
            path,
            device: device(&stat),
            cross_devices,
            info: VolumeInfo { fs: "directory", ..VolumeInfo::default() },
            crossings: Mutex::default(),
        })
    }

    /// Opens a node without following links, also not on the way to it.
    fn open_node(&self, node: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let name = if node.is_empty() { b".".as_slice() } else { node };
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let mut opened = Err(Errno::AGAIN);
        for _ in 0..MAX_TRIES {
            opened = match rustix::fs::openat2(&self.root, name, flags, Mode::empty(), resolve) {
                // Linux before 5.6.
                Err(Errno::NOSYS) => rustix::fs::openat(&self.root, name, flags, Mode::empty()),
                other => other,
            };
            if !matches!(opened, Err(Errno::AGAIN)) {
                break;
            }
        }
        opened.map_err(|errno| self.failed(node, errno))
    }

    /// Opens a regular file or a directory for reading; access times stay where the host permits it.
    fn open_readable(&self, node: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK;
        // Only the owner and root may leave access times alone.
        self.open_node(node, flags | OFlags::NOATIME).or_else(|_| self.open_node(node, flags))
    }

    fn full_path(&self, node: &[u8]) -> PathBuf {
        if node.is_empty() { self.path.clone() } else { self.path.join(OsStr::from_bytes(node)) }
    }

    fn failed(&self, node: &[u8], errno: Errno) -> Error {
        Error::io(LAYER, self.full_path(node).display().to_string(), errno.into())
    }

    fn changed(&self, node: &[u8]) -> Error {
        Error::corrupt(LAYER, self.full_path(node).display().to_string(), "it changed while it was read")
    }

    /// Whether a directory may be entered; if not, it is noted.
    fn may_enter(&self, node: &[u8], stat: &Statx) -> bool {
        let is_dir = FileType::from_raw_mode(u32::from(stat.stx_mode)) == FileType::Directory;
        let mounted = device(stat) != self.device || stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        if self.cross_devices || node.is_empty() || !is_dir || !mounted {
            return true;
        }
        let mut crossings = self.crossings.lock().unwrap_or_else(PoisonError::into_inner);
        if crossings.paths.len() < MAX_CROSSINGS {
            crossings.paths.insert(node.to_vec());
        } else {
            crossings.more = true;
        }
        false
    }
}

impl FileSystem for HostDir {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(HostSession::new(self)))
    }

    fn late_notes(&self) -> Vec<String> {
        let crossings = self.crossings.lock().unwrap_or_else(PoisonError::into_inner);
        let note = |path: &Vec<u8>| {
            format!("{}: something else is mounted here; it was not entered", String::from_utf8_lossy(path))
        };
        let mut notes: Vec<String> = crossings.paths.iter().map(note).collect();
        if crossings.more {
            notes.push(format!("more than {MAX_CROSSINGS} places where something else is mounted were not entered"));
        }
        notes
    }
}

fn device(stat: &Statx) -> (u32, u32) {
    (stat.stx_dev_major, stat.stx_dev_minor)
}

/// What the host says about an open node, without asking for a remote server's latest.
fn stat(fd: impl AsFd) -> rustix::io::Result<Statx> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT, wanted)
}
