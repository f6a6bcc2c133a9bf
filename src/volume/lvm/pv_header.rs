//! The header of a physical volume, behind its label.
//!
//! `lib/format_text/layout.h`, `struct pv_header`, little-endian: id of 32 characters at 0, size of the device at 32
//! (64 bit), then pairs of offset and size (`struct disk_locn`, 64 bit each): the data areas, up to a pair of zeros,
//! and the metadata areas, up to a pair of zeros. An extension with boot loader areas follows; nothing in it is
//! needed.

use super::metadata::is_id;
use crate::field::le64;

/// A part of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DiskLocn {
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// What is used of the header.
#[derive(Debug, Clone)]
pub(super) struct PvHeader {
    /// The physical volume's id, without hyphens.
    pub(super) id: String,
    /// Where its metadata areas are.
    pub(super) metadata: Vec<DiskLocn>,
}

impl PvHeader {
    /// Decodes what stands in the label's sector from the header on; the sector bounds the lists.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let id = std::str::from_utf8(bytes.get(..32)?).ok().filter(|id| is_id(id))?.to_owned();
        let (_data, rest) = locations(bytes.get(40..)?)?;
        let (metadata, _extension) = locations(rest)?;
        Some(Self { id, metadata })
    }
}

/// A list of locations, and what is behind it.
fn locations(bytes: &[u8]) -> Option<(Vec<DiskLocn>, &[u8])> {
    let (mut list, mut rest) = (Vec::new(), bytes);
    loop {
        let locn = DiskLocn { offset: le64(rest, 0)?, size: le64(rest, 8)? };
        rest = rest.get(16..)?;
        if locn.offset == 0 {
            return Some((list, rest));
        }
        list.push(locn);
    }
}
