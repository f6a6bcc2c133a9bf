//! `$FILE_NAME`: one name of a file and the directory that it stands in; also the key of a directory's index.
//!
//! Reference: ntfs-3g `layout.h` (`FILE_NAME_ATTR`).

use crate::{
    field::{byte, le32, le64, slice, units},
    fs::Times,
};

use super::{filetime, record::Reference};

/// Bytes before the name.
const HEADER: usize = 0x42;
const NAMESPACE_WIN32: u8 = 1;
const NAMESPACE_DOS: u8 = 2;
/// `flags`: the file is a directory.
const IS_DIRECTORY: u32 = 0x1000_0000;
/// `flags`: the file is a reparse point.
const IS_REPARSE_POINT: u32 = 0x400;

/// A name, its directory, and the times that were set with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileName<'b> {
    /// 0x00 the directory, 0x08 four times, 0x38 flags, 0x40 length in units, 0x41 namespace, 0x42 the name.
    bytes: &'b [u8],
    name: &'b [u8],
}

impl<'b> FileName<'b> {
    pub(super) fn parse(bytes: &'b [u8]) -> Option<Self> {
        let len = usize::from(byte(bytes, 0x40)?).saturating_mul(2);
        Some(Self { bytes, name: slice(bytes, HEADER, len)? })
    }

    pub(super) fn parent(&self) -> Reference {
        Reference(le64(self.bytes, 0).unwrap_or(0))
    }

    pub(super) fn times(&self) -> Option<Times> {
        filetime::times(self.bytes, 8)
    }

    /// The name as it is on disk.
    pub(super) fn raw(&self) -> &'b [u8] {
        self.name
    }

    pub(super) fn units(&self) -> impl Iterator<Item = u16> + 'b {
        units(self.name)
    }

    /// Whether this is an 8.3 name that stands beside a long one.
    pub(super) fn is_dos(&self) -> bool {
        byte(self.bytes, 0x41) == Some(NAMESPACE_DOS)
    }

    /// Whether this is a long name that stands beside an 8.3 name, or did.
    pub(super) fn may_have_dos(&self) -> bool {
        byte(self.bytes, 0x41) == Some(NAMESPACE_WIN32)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.flags() & IS_DIRECTORY != 0
    }

    pub(super) fn is_reparse_point(&self) -> bool {
        self.flags() & IS_REPARSE_POINT != 0
    }

    fn flags(&self) -> u32 {
        le32(self.bytes, 0x38).unwrap_or(0)
    }
}
