//! A raw image or a block device: the file's bytes are the disk's bytes.
//!
//! This is the only place of the image room that opens files of the host; containers stand on it.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
};

use super::{Image, Run, RunKind, past_end};
use crate::{
    error::{Error, Result},
    field::wide,
};

const LAYER: &str = "raw";

/// A regular file or a block device, read as it is and never opened for writing.
pub struct Raw {
    file: File,
    path: PathBuf,
    len: u64,
    device: bool,
    /// The run that was asked for last: walks ask for neighbours, and two seeks a piece would be felt.
    last_run: Mutex<Option<(u64, Run)>>,
}

impl Raw {
    /// Opens what the user named; links are followed, as the user may name a disk by a link.
    ///
    /// # Errors
    /// When the file cannot be opened, is empty, or is neither a regular file nor a block device.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::io(LAYER, format!("{} cannot be opened", path.display()), source);
        // Looked at before it is opened: opening a pipe waits, and opening some devices does things.
        let kind = std::fs::metadata(path).map_err(io)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(Error::unsupported(
                LAYER,
                format!("{} is neither a regular file nor a block device", path.display()),
            ));
        }
        let file = File::options()
            .read(true)
            .custom_flags((OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed())
            .open(path)
            .map_err(io)?;
        Self::from_file(file, path)
    }

    /// Takes a file that is open already; `path` is what messages call it. Its time of access stays where the host
    /// permits it: to the owner and to root.
    ///
    /// # Errors
    /// As [`Raw::open`].
    pub fn from_file(mut file: File, path: &Path) -> Result<Self> {
        let io = |source| Error::io(LAYER, format!("{} has no size", path.display()), source);
        let metadata = file.metadata().map_err(io)?;
        let device = metadata.file_type().is_block_device();
        let len = match (device, metadata.is_file()) {
            (true, _) => file.seek(SeekFrom::End(0)).map_err(io)?,
            (false, true) => metadata.len(),
            (false, false) => {
                return Err(Error::unsupported(
                    LAYER,
                    format!("{} is neither a regular file nor a block device", path.display()),
                ));
            }
        };
        if len == 0 {
            return Err(Error::corrupt(LAYER, path.display().to_string(), "the file is empty: it holds no disk"));
        }
        let _ = fcntl_getfl(&file).and_then(|flags| fcntl_setfl(&file, flags | OFlags::NOATIME));
        Ok(Self { file, path: path.to_owned(), len, device, last_run: Mutex::new(None) })
    }

    /// Whether a path is that of a file which begins with these bytes.
    #[must_use]
    pub fn begins_with<const N: usize>(path: &Path, magic: &[u8; N]) -> bool {
        let mut begin = [0; N];
        path.is_file() && Self::open(path).is_ok_and(|raw| raw.read_at(0, &mut begin).is_ok()) && begin == *magic
    }

    /// The file's name as the user gave it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The opened file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Whether this is a block device.
    #[must_use]
    pub fn is_device(&self) -> bool {
        self.device
    }

    fn failed(&self, offset: u64, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return self.shrank(offset);
        }
        Error::io(LAYER, format!("{} at {offset:#x}", self.path.display()), source)
    }

    fn shrank(&self, offset: u64) -> Error {
        Error::corrupt(
            LAYER,
            format!("{} at {offset:#x}", self.path.display()),
            format!("the file had {:#x} bytes when it was opened and has become shorter since", self.len),
        )
    }

    /// Asks the host's filesystem for the run at `offset`; one that knows no holes says it is all data.
    fn seek_run(&self, offset: u64) -> Result<Run> {
        use rustix::fs::{SeekFrom::Data, SeekFrom::Hole, seek};
        let rest = self.len.saturating_sub(offset);
        let until = |end: u64| end.saturating_sub(offset).min(rest).max(1);
        if self.device {
            return Ok(Run { len: rest, kind: RunKind::Data });
        }
        match seek(&self.file, Data(offset)) {
            Ok(data) if data > offset => Ok(Run { len: until(data), kind: RunKind::Hole }),
            Ok(_) => {
                let end = seek(&self.file, Hole(offset)).unwrap_or(self.len);
                Ok(Run { len: until(end), kind: RunKind::Data })
            }
            // No data behind `offset`: the file ends in a hole, or it has been cut.
            Err(Errno::NXIO) => match self.file.metadata() {
                Ok(now) if now.len() >= self.len => Ok(Run { len: rest, kind: RunKind::Hole }),
                Ok(_) => Err(self.shrank(offset)),
                Err(source) => Err(self.failed(offset, source)),
            },
            Err(_) => Ok(Run { len: rest, kind: RunKind::Data }),
        }
    }
}

impl Image for Raw {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let wanted = wide(buf.len());
        if offset.checked_add(wanted).is_none_or(|end| end > self.len) {
            return Err(past_end(LAYER, offset, wanted, self.len));
        }
        self.file.read_exact_at(buf, offset).map_err(|source| self.failed(offset, source))
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        if offset >= self.len {
            return Err(past_end(LAYER, offset, 1, self.len));
        }
        let mut last = self.last_run.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((start, run)) = *last
            && let Some(inside) = offset.checked_sub(start)
            && inside < run.len
        {
            return Ok(Run { len: run.len.saturating_sub(inside), ..run });
        }
        let run = self.seek_run(offset)?;
        *last = Some((offset, run));
        Ok(run)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::FileTimes,
        time::{Duration, SystemTime},
    };

    use super::*;

    #[test]
    fn reading_an_image_leaves_its_time_of_access() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"regf of something").unwrap();
        // Before the last change: a host that keeps times of access would move it.
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        file.as_file().set_times(FileTimes::new().set_accessed(long_ago)).unwrap();
        assert!(Raw::begins_with(file.path(), b"regf") && !Raw::begins_with(file.path(), b"hive"));
        Raw::open(file.path()).unwrap().read_at(3, &mut [0; 9]).unwrap();
        assert_eq!(file.path().metadata().unwrap().accessed().unwrap(), long_ago);
    }
}
