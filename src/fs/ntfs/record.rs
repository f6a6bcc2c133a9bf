//! An MFT record: header and bytes, after fixups.
//!
//! Reference: ntfs-3g `layout.h` (`MFT_RECORD`).

use super::{
    attribute::{self, Attribute},
    fixup,
};
use crate::field::{le16, le64, len16, len32};

const IN_USE: u16 = 1;
const DIRECTORY: u16 = 2;
/// The lower 48 bits of a file reference: the record's number.
const NUMBER_MASK: u64 = 0x0000_FFFF_FFFF_FFFF;

/// A file reference: a record number (48 bits) and the sequence number that it must carry (16 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Reference(pub(super) u64);

impl Reference {
    pub(super) fn new(number: u64, sequence: u16) -> Self {
        Self(number & NUMBER_MASK | u64::from(sequence) << 48)
    }

    pub(super) fn number(self) -> u64 {
        self.0 & NUMBER_MASK
    }

    pub(super) fn sequence(self) -> u16 {
        u16::try_from(self.0 >> 48).unwrap_or(0)
    }

    /// Whether a record with this sequence number is the one that is meant; 0 means any.
    pub(super) fn accepts(self, sequence: u16) -> bool {
        self.sequence() == 0 || self.sequence() == sequence
    }
}

/// A record that is in use.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) sequence: u16,
    pub(super) directory: bool,
    /// The record that this one extends; number 0 and sequence 0 in a base record.
    pub(super) base: Reference,
    /// The bytes in use.
    pub(super) bytes: Vec<u8>,
    first_attribute: usize,
}

impl Record {
    /// Parses a record (0x10 sequence number, 0x14 first attribute, 0x16 flags, 0x18 bytes in use, 0x20 base record).
    /// `Err` says expected and found.
    pub(super) fn parse(number: u64, mut bytes: Vec<u8>) -> Result<Self, String> {
        fixup::apply(&mut bytes, b"FILE")?;
        let short = || "header cut short".to_owned();
        let flags = le16(&bytes, 0x16).ok_or_else(short)?;
        if flags & IN_USE == 0 {
            return Err("the record is not in use".to_owned());
        }
        let used = len32(&bytes, 0x18).ok_or_else(short)?;
        let first_attribute = len16(&bytes, 0x14).ok_or_else(short)?;
        if used > bytes.len() || first_attribute >= used || first_attribute < 0x2A {
            return Err(format!(
                "{used:#x} bytes in use, first attribute at {first_attribute:#x}, of {:#x} bytes",
                bytes.len()
            ));
        }
        let sequence = le16(&bytes, 0x10).ok_or_else(short)?;
        let base = Reference(le64(&bytes, 0x20).ok_or_else(short)?);
        bytes.truncate(used);
        Ok(Self { number, sequence, directory: flags & DIRECTORY != 0, base, bytes, first_attribute })
    }

    /// Its attributes, and what of them does not parse.
    pub(super) fn attributes(&self) -> (Vec<Attribute>, Option<String>) {
        attribute::parse_all(&self.bytes, self.first_attribute)
    }
}
