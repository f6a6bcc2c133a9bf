//! The base block, the first 4096 bytes of a hive and the first 512 of a transaction log.

use super::LAYER;
use crate::{
    error::{Error, Result},
    field::{le32, le64},
};

/// Bytes before the first hive bin.
pub(super) const LEN: usize = 4096;
/// What the checksum covers, and the checksum itself; all that a log keeps.
pub(super) const LOGGED: usize = 512;
const CHECKSUM: usize = 508;
/// Bit 0 of `Flags` is what log entries carry: \[regf\] "Log entries", note 11.
const CARRIED_FLAG: u32 = 1;
/// Versions 1.0 and 1.1 have another layout of cells and records: \[regf\] "Very old versions of Windows".
const MINOR_VERSIONS: std::ops::RangeInclusive<u32> = 2..=6;

/// What a base block says: \[regf\] "Base block".
///
/// `regf`; then at offset 4 the primary and at 8 the secondary sequence number (32 bits each), 12 last written
/// (FILETIME), 20 major and 24 minor version, 28 file type, 36 root cell, 40 size of the hive bins (32 bits
/// each), 144 flags, 508 checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BaseBlock {
    pub(super) primary_sequence: u32,
    pub(super) secondary_sequence: u32,
    pub(super) last_written: u64,
    pub(super) major: u32,
    pub(super) minor: u32,
    pub(super) file_type: u32,
    pub(super) root: u32,
    pub(super) bins_size: u32,
    /// Whether signature and checksum are right; the other fields mean little where not.
    pub(super) intact: bool,
}

impl BaseBlock {
    /// The fields of the first 512 bytes; `None` where there are fewer.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..LOGGED)?;
        Some(Self {
            primary_sequence: le32(head, 4)?,
            secondary_sequence: le32(head, 8)?,
            last_written: le64(head, 12)?,
            major: le32(head, 20)?,
            minor: le32(head, 24)?,
            file_type: le32(head, 28)?,
            root: le32(head, 36)?,
            bins_size: le32(head, 40)?,
            intact: head.starts_with(b"regf") && le32(head, CHECKSUM)? == checksum(head),
        })
    }

    /// Whether a write was interrupted: \[regf\] "Dirty state of a hive".
    pub(super) fn is_dirty(&self) -> bool {
        !self.intact || self.primary_sequence != self.secondary_sequence
    }

    /// That records are laid out as this reader knows them.
    pub(super) fn check_version(&self) -> Result<()> {
        if self.major == 1 && MINOR_VERSIONS.contains(&self.minor) {
            return Ok(());
        }
        Err(Error::unsupported(LAYER, format!("hive version {}.{}: 1.2 to 1.6 are read", self.major, self.minor)))
    }
}

/// XOR of the 32-bit words before it, never 0 and never all ones: \[regf\] "Base block", note 2.
fn checksum(head: &[u8]) -> u32 {
    let words = head.get(..CHECKSUM).unwrap_or_default().chunks_exact(4);
    match words.fold(0, |sum, word| sum ^ le32(word, 0).unwrap_or(0)) {
        0 => 1,
        0xFFFF_FFFF => 0xFFFF_FFFE,
        sum => sum,
    }
}

/// Marks the base block of a recovered hive as written in full.
pub(super) fn finish(hive: &mut [u8], sequence: u32, bins_size: usize) {
    put(hive, 4, sequence);
    put(hive, 8, sequence);
    put(hive, 40, u32::try_from(bins_size).unwrap_or(0));
    seal(hive);
}

/// Takes the base block of a log: \[regf\] "Base block" of logs, note 4. A hive's file type is 0.
pub(super) fn restore(hive: &mut [u8], log: &[u8]) {
    if let (Some(to), Some(from)) = (hive.get_mut(..LOGGED), log.get(..LOGGED)) {
        to.copy_from_slice(from);
    }
    put(hive, 28, 0);
    seal(hive);
}

/// Carries the flag bit of a log entry over.
pub(super) fn carry_flag(hive: &mut [u8], entry_flags: u32) {
    let kept = le32(hive, 144).unwrap_or(0) & !CARRIED_FLAG;
    put(hive, 144, kept | entry_flags & CARRIED_FLAG);
    seal(hive);
}

fn seal(hive: &mut [u8]) {
    let sum = checksum(hive.get(..LOGGED).unwrap_or_default());
    put(hive, CHECKSUM, sum);
}

/// Writes 32 bits; nothing happens past the end.
pub(super) fn put(bytes: &mut [u8], at: usize, number: u32) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *place = number.to_le_bytes();
    }
}
