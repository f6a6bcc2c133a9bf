//! `$STANDARD_INFORMATION`: times, attributes and the security id of a file.
//!
//! Reference: ntfs-3g `layout.h` (`STANDARD_INFORMATION`).

use crate::{field::le32, fs::Times};

use super::filetime;

/// Bits above these are not `FILE_ATTRIBUTE_*`: NTFS marks directories and view indexes with them.
const ATTRIBUTES: u32 = 0x0FFF_FFFF;

/// The parsed value.
#[derive(Debug, Clone, Copy)]
pub(super) struct StandardInformation {
    pub(super) times: Times,
    pub(super) attributes: u32,
    /// `None` in the short form of NTFS 1, whose files carry their descriptors themselves.
    pub(super) security_id: Option<u32>,
}

impl StandardInformation {
    /// 0x00 four times, 0x20 attributes, 0x34 security id (since version 3.0).
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            times: filetime::times(bytes, 0)?,
            attributes: le32(bytes, 0x20)? & ATTRIBUTES,
            security_id: le32(bytes, 0x34).filter(|id| *id != 0),
        })
    }
}
