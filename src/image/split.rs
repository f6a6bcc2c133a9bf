//! A raw image in numbered pieces: `disk.001`, `disk.002`, … or from `.000`; the pieces one after the other are
//! the disk.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use super::{Image, Raw, Run, past_end};
use crate::{
    error::{Error, Result},
    field::{narrow, wide},
};

const LAYER: &str = "split raw";

/// More pieces than this are not opened: each holds a file descriptor.
const MAX_SEGMENTS: usize = 4096;

/// Numbers in extensions have this many digits at least, so that `notes.1` is not taken for a piece.
const MIN_DIGITS: usize = 2;

/// Numbers in extensions have this many digits at most.
const MAX_DIGITS: usize = 6;

/// A disk in numbered pieces.
pub struct Split {
    segments: Vec<Segment>,
    len: u64,
}

struct Segment {
    /// Where this piece begins on the disk.
    start: u64,
    raw: Raw,
}

/// What a piece's name says: everything before the number, and the number.
struct Numbered {
    stem: Vec<u8>,
    digits: usize,
    number: usize,
}

impl Numbered {
    fn parse(path: &Path) -> Option<Self> {
        let name = path.as_os_str().as_bytes();
        let dot = name.iter().rposition(|&byte| byte == b'.')?;
        let (stem, digits) = name.split_at_checked(dot.checked_add(1)?)?;
        let right_length = (MIN_DIGITS..=MAX_DIGITS).contains(&digits.len());
        if !right_length || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Self { stem: stem.to_vec(), digits: digits.len(), number })
    }

    fn path(&self, number: usize) -> PathBuf {
        let mut name = self.stem.clone();
        name.extend_from_slice(format!("{number:0width$}", width = self.digits).as_bytes());
        PathBuf::from(OsString::from_vec(name))
    }

    /// The highest number among the pieces that lie in the folder.
    fn last(&self) -> Result<usize> {
        let stem = PathBuf::from(OsStr::from_bytes(&self.stem));
        // With the dot at its end the stem is never empty, so there is always a folder to look into.
        let folder = match stem.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let prefix = stem.file_name().map(OsStr::as_bytes).unwrap_or_default().to_vec();
        let io = |source| Error::io(LAYER, format!("{} cannot be listed", folder.display()), source);
        let mut last = self.number;
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            if let Some(found) = Self::parse(Path::new(&name))
                && found.stem == prefix
                && found.digits == self.digits
            {
                last = last.max(found.number);
            }
        }
        Ok(last)
    }
}

impl Split {
    /// Opens all pieces, when `first` is the name of a first piece (`.000`, or `.001` without a `.000`) and a
    /// second one lies beside it. `Ok(None)` says that the file is not one of several pieces.
    ///
    /// # Errors
    /// When `first` is a later piece, when a piece between the first and the last is missing, or when one but
    /// the last differs in size from the first.
    pub fn open(first: &Path) -> Result<Option<Self>> {
        let Some(name) = Numbered::parse(first) else { return Ok(None) };
        let zero = name.number > 0 && name.path(0).exists();
        if name.number > 1 || zero {
            let start = if zero { 0 } else { 1 };
            let start = name.path(start);
            if !start.exists() {
                return Ok(None);
            }
            return Err(Error::unsupported(
                LAYER,
                format!("{} is a later piece of a split image: name {}", first.display(), start.display()),
            ));
        }
        let last = name.last()?;
        if last == name.number {
            return Ok(None);
        }
        if last >= MAX_SEGMENTS {
            return Err(Error::budget(LAYER, format!("{last} pieces; at most {MAX_SEGMENTS} are opened")));
        }
        let mut segments: Vec<Segment> = Vec::new();
        let mut len = 0_u64;
        for number in name.number..=last {
            let path = name.path(number);
            if !path.exists() {
                return Err(Error::corrupt(
                    LAYER,
                    path.display().to_string(),
                    format!("this piece is missing, while {} is there", name.path(last).display()),
                ));
            }
            let raw = Raw::open(&path)?;
            let size = segments.first().map_or(raw.len(), |segment| segment.raw.len());
            if raw.len() > size || (raw.len() < size && number != last) {
                return Err(Error::corrupt(
                    LAYER,
                    path.display().to_string(),
                    format!("{} bytes long, where the first piece has {size}", raw.len()),
                ));
            }
            let start = len;
            len = len.checked_add(raw.len()).ok_or_else(|| past_end(LAYER, start, raw.len(), u64::MAX))?;
            segments.push(Segment { start, raw });
        }
        Ok(Some(Self { segments, len }))
    }

    /// The pieces' names and sizes.
    pub fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.segments.iter().map(|segment| (segment.raw.path(), segment.raw.len()))
    }

    /// The piece that holds `offset`, and the offset in it.
    fn locate(&self, offset: u64) -> Option<(&Raw, u64)> {
        let behind = self.segments.partition_point(|segment| segment.start <= offset);
        let segment = self.segments.get(behind.checked_sub(1)?)?;
        let inside = offset.checked_sub(segment.start)?;
        (inside < segment.raw.len()).then_some((&segment.raw, inside))
    }
}

impl Image for Split {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, mut offset: u64, mut buf: &mut [u8]) -> Result<()> {
        let wanted = wide(buf.len());
        if offset.checked_add(wanted).is_none_or(|end| end > self.len) {
            return Err(past_end(LAYER, offset, wanted, self.len));
        }
        while !buf.is_empty() {
            let (raw, inside) = self.locate(offset).ok_or_else(|| past_end(LAYER, offset, 1, self.len))?;
            let here = narrow(raw.len().saturating_sub(inside)).min(buf.len());
            let (now, later) = buf.split_at_mut(here);
            raw.read_at(inside, now)?;
            offset = offset.saturating_add(wide(here));
            buf = later;
        }
        Ok(())
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        let (raw, inside) = self.locate(offset).ok_or_else(|| past_end(LAYER, offset, 1, self.len))?;
        raw.run_at(inside)
    }
}
