//! A directory entry with a short name (section "FAT Directory Structure").
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 11 | name, padded with spaces; first byte 0: end, E5: deleted, 05: stands for E5 |
//! | 11 | 1 | attributes |
//! | 12 | 1 | Windows NT: bit 3: the name, bit 4: the extension is in lower case |
//! | 13 | 1 | creation, hundredths of a second, 0 to 199 |
//! | 14, 16 | 2, 2 | creation: time, date |
//! | 18 | 2 | last access: date |
//! | 22, 24 | 2, 2 | last write: time, date |
//! | 20, 26 | 2, 2 | first cluster: upper half (FAT32), lower half |
//! | 28 | 4 | length in bytes |

use super::code_page;
use crate::{
    field::{byte, le16, le32},
    fs::{
        Times,
        clusters::{Width, dos_timestamp},
    },
};

const LABEL: u8 = 0x08;
pub(super) const DIRECTORY: u8 = 0x10;
/// Read-only, hidden, system and label at once: a piece of a long name.
const LONG_NAME: u8 = 0x0f;
/// Of the six bits that are defined, long names are told by these.
const LONG_NAME_MASK: u8 = 0x3f;

/// A directory entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct DirEntry<'a> {
    bytes: &'a [u8; 32],
}

impl<'a> DirEntry<'a> {
    pub(super) fn parse(bytes: &'a [u8; 32]) -> Self {
        Self { bytes }
    }

    fn half(&self, at: usize) -> u16 {
        le16(self.bytes, at).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> &'a [u8; 32] {
        self.bytes
    }

    fn first(&self) -> u8 {
        byte(self.bytes, 0).unwrap_or_default()
    }

    pub(super) fn is_end(&self) -> bool {
        self.first() == 0
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.first() == 0xe5
    }

    pub(super) fn is_long_name(&self) -> bool {
        self.attributes() & LONG_NAME_MASK == LONG_NAME
    }

    pub(super) fn is_label(&self) -> bool {
        !self.is_deleted() && !self.is_long_name() && self.attributes() & LABEL != 0
    }

    pub(super) fn is_dir(&self) -> bool {
        self.attributes() & DIRECTORY != 0
    }

    /// Whether it is that of a directory beneath the one that it stands in.
    pub(super) fn leads_to_directory(&self) -> bool {
        self.is_dir() && !self.is_label() && !self.is_long_name() && !self.is_deleted() && !self.is_dot()
    }

    /// Whether the name is `.` or `..`.
    pub(super) fn is_dot(&self) -> bool {
        let name = self.raw_name();
        name == b".          " || name == b"..         "
    }

    pub(super) fn attributes(&self) -> u8 {
        byte(self.bytes, 11).unwrap_or_default()
    }

    pub(super) fn size(&self) -> u32 {
        le32(self.bytes, 28).unwrap_or_default()
    }

    pub(super) fn first_cluster(&self, width: Width) -> u32 {
        let upper = if width == Width::Bits28 { u32::from(self.half(20)) << 16 } else { 0 };
        upper | u32::from(self.half(26))
    }

    /// The eleven bytes of the name.
    pub(super) fn raw_name(&self) -> &'a [u8] {
        self.bytes.get(..11).unwrap_or_default()
    }

    /// The sum over the name that ties long names to it (section "ChkSum").
    pub(super) fn checksum(&self) -> u8 {
        self.raw_name().iter().fold(0_u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte))
    }

    /// `NAME.EXT`, in lower case where Windows NT marked it so.
    pub(super) fn short_name(&self) -> String {
        let flags = byte(self.bytes, 12).unwrap_or_default();
        let part = |range: std::ops::Range<usize>, lower: bool| {
            let mut raw = self.bytes.get(range).unwrap_or_default().to_vec();
            if let Some(first) = raw.first_mut()
                && *first == 0x05
            {
                *first = 0xe5;
            }
            let text = code_page::decode(&raw);
            let text = text.trim_end_matches(' ');
            if lower { text.to_lowercase() } else { text.to_owned() }
        };
        let name = part(0..8, flags & 0x08 != 0);
        let extension = part(8..11, flags & 0x10 != 0);
        if extension.is_empty() { name } else { format!("{name}.{extension}") }
    }

    /// FAT keeps local times without a zone; they are taken as UTC.
    pub(super) fn times(&self) -> Times {
        let hundredths = byte(self.bytes, 13).unwrap_or_default();
        Times {
            mtime: dos_timestamp(self.half(24), self.half(22), 0),
            ctime: None,
            crtime: dos_timestamp(self.half(16), self.half(14), hundredths),
            atime: dos_timestamp(self.half(18), 0, 0),
        }
    }
}
