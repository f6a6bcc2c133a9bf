//! A directory of the state, held open, so that nobody can swap it for a link between two steps. Nothing below
//! it is ever reached through a link; what is made is for the owner alone.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, Result};

pub(super) const DIRECTORY_MODE: u32 = 0o700;
pub(super) const FILE_MODE: u32 = 0o600;

const OPEN_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory of the state.
pub(super) struct Directory {
    fd: OwnedFd,
    /// For messages only.
    path: PathBuf,
}

impl Directory {
    /// Opens the state directory itself, whose own path may lead through links: it is the user's word.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let fd = rustix::fs::openat(CWD, path, OPEN_DIRECTORY, Mode::empty())
            .map_err(|error| state_error("open", path, error))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens the state directory itself, and makes it and what is missing above it.
    pub(super) fn open_or_create(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)
                .map_err(|error| Error::State(format!("state: make {}: {error}", parent.display())))?;
        }
        match rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) | Err(Errno::EXIST) => Self::open(path),
            Err(error) => Err(state_error("make", path, error)),
        }
    }

    /// What messages call it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory in this one; `None` when there is nothing of that name.
    pub(super) fn child(&self, name: &str) -> Result<Option<Self>> {
        let path = self.path.join(name);
        match rustix::fs::openat(&self.fd, name, OPEN_DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                Err(Error::State(format!("state: {} is a link or not a directory", path.display())))
            }
            Err(error) => Err(state_error("open", &path, error)),
        }
    }

    /// A directory in this one, made where there is none.
    pub(super) fn child_or_create(&self, name: &str) -> Result<Self> {
        if let Some(child) = self.child(name)? {
            return Ok(child);
        }
        step(&self.path)?;
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) => self.sync()?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(state_error("make", &self.path.join(name), error)),
        }
        self.child(name)?.ok_or_else(|| state_error("open", &self.path.join(name), Errno::NOENT))
    }

    /// The names in it, sorted; bytes that are not Unicode are replaced, which makes a name that is never ours.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let failed = |error| state_error("list", &self.path, error);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What is known of a name, without following it.
    pub(super) fn stat(&self, name: &str) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(state_error("examine", &self.path.join(name), error)),
        }
    }

    /// What is known of the directory itself.
    pub(super) fn own_stat(&self) -> Result<Stat> {
        rustix::fs::fstat(&self.fd).map_err(|error| state_error("examine", &self.path, error))
    }

    /// A regular file in it, for reading; `None` when there is nothing of that name.
    pub(super) fn file(&self, name: &str) -> Result<Option<File>> {
        let path = self.path.join(name);
        // A pipe in a file's place must not hold the run up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Error::State(format!("state: {} is a link", path.display()))),
            Err(error) => return Err(state_error("open", &path, error)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|error| state_error("examine", &path, error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::State(format!("state: {} is not a regular file", path.display())));
        }
        Ok(Some(File::from(fd)))
    }

    /// All of a small file.
    pub(super) fn read(&self, name: &str, cap: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let path = self.path.join(name);
        let mut bytes = Vec::new();
        file.take(cap.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Error::State(format!("state: read {}: {error}", path.display())))?;
        if bytes.len() as u64 > cap {
            return Err(Error::State(format!("state: {} is longer than {cap} bytes", path.display())));
        }
        Ok(Some(bytes))
    }

    /// Makes a file that is not there yet, for writing and reading.
    pub(super) fn create(&self, name: &str) -> Result<File> {
        step(&self.path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.open_to_write(name, flags)
    }

    /// Opens a file for writing that is made where there is none and stays for ever: a lock.
    pub(super) fn open_or_create_file(&self, name: &str) -> Result<File> {
        self.open_to_write(name, OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC)
    }

    fn open_to_write(&self, name: &str, flags: OFlags) -> Result<File> {
        rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(FILE_MODE))
            .map(File::from)
            .map_err(|error| state_error("make", &self.path.join(name), error))
    }

    /// Makes a whole file under a temporary name and puts it in place, so that it is there in full or not at all.
    pub(super) fn put(&self, name: &str, temporary: &str, bytes: &[u8]) -> Result<()> {
        self.remove(temporary)?;
        let mut file = self.create(temporary)?;
        step(&self.path)?;
        file.write_all(bytes)
            .map_err(|error| Error::State(format!("state: write {}: {error}", self.path.join(temporary).display())))?;
        self.settle(&file, temporary, name)
    }

    /// Puts a finished temporary file in place: its bytes, then its name, then the directory are made to last.
    pub(super) fn settle(&self, file: &File, temporary: &str, name: &str) -> Result<()> {
        step(&self.path)?;
        file.sync_all()
            .map_err(|error| Error::State(format!("state: sync {}: {error}", self.path.join(temporary).display())))?;
        step(&self.path)?;
        rustix::fs::renameat(&self.fd, temporary, &self.fd, name)
            .map_err(|error| state_error("rename to", &self.path.join(name), error))?;
        self.sync()
    }

    /// Removes a file; whether there was one.
    pub(super) fn remove(&self, name: &str) -> Result<bool> {
        step(&self.path)?;
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(state_error("remove", &self.path.join(name), error)),
        }
    }

    /// Makes the names in it last.
    pub(super) fn sync(&self) -> Result<()> {
        step(&self.path)?;
        rustix::fs::fsync(&self.fd).map_err(|error| state_error("sync", &self.path, error))
    }
}

fn state_error(what: &str, path: &Path, error: Errno) -> Error {
    Error::State(format!("state: {what} {}: {}", path.display(), io::Error::from(error)))
}

/// Stands before everything that changes the state on disk; tests let a run die at any of these places.
#[cfg(not(test))]
fn step(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
use fuse::step;

/// Lets the state die before a chosen step: from then on nothing changes on disk any more, as after a kill.
#[cfg(test)]
pub(super) mod fuse {
    use std::cell::Cell;
    use std::path::Path;

    use crate::error::{Error, Result};

    thread_local! {
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Lets `steps` more changes happen; `None` for all.
    pub(in crate::changelog) fn set(steps: Option<u32>) {
        LEFT.set(steps);
    }

    pub(super) fn step(path: &Path) -> Result<()> {
        match LEFT.get() {
            None => Ok(()),
            Some(0) => Err(Error::State(format!("killed in {}", path.display()))),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }
}
