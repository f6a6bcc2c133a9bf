//! The volume header, and the block of metadata that it leads to in three copies.
//!
//! Reference: libbde, 2 "Volume header", 4 "FVE metadata block".

use super::entry::Entry;
use crate::{
    checksum::crc32,
    field::{has, le16, le32, le64, len16, len32, wide},
    image::Image,
    volume::crypt::decrypted::MAX_SECTOR,
};

/// Bytes that each copy takes of the volume (4.1).
pub(super) const COPY: u64 = 64 << 10;

/// Bytes of the two headers in front of the entries.
const HEADERS: usize = 112;

/// The system id of a volume, and what stands in its place on removable ones.
const SIGNATURE: &[u8] = b"-FVE-FS-";

/// What a volume is (2.2, 2.3): the GUID beside the offsets.
const NORMAL: &[u8] = b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01";
const ENCRYPTED_ON_WRITE: &[u8] = b"\x3b\x4d\xa8\x92\x80\xdd\x0e\x4d\x9e\x4e\xb1\xe3\x28\x4e\xae\xd8";

/// Wholly encrypted, and to stay so (4.1).
const ENCRYPTED: u16 = 4;

/// What the headers say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// Bytes of a sector.
    pub(super) sector: usize,
    /// Where the copies lie, in bytes.
    pub(super) copies: [u64; 3],
    /// Where the first bytes of the volume were moved to, and how many, in bytes.
    pub(super) header: (u64, u64),
    /// How the data are encrypted.
    pub(super) method: u16,
}

/// The first sound copy: what its headers say, and the bytes of its entries.
pub(super) fn read(image: &dyn Image) -> Result<(Block, Vec<u8>), String> {
    let mut volume = [0; 512];
    image.read_at(0, &mut volume).map_err(|error| error.to_string())?;
    let at = if has(&volume, 3, SIGNATURE) { 160 } else { 424 };
    if has(&volume, 0, b"\xeb\x52\x90") && at == 160 {
        return Err("the form of Windows Vista is not read".to_owned());
    }
    if has(&volume, at, ENCRYPTED_ON_WRITE) {
        return Err("encryption on write is not read".to_owned());
    }
    if !has(&volume, at, NORMAL) {
        return Err("its volume header is damaged: no known GUID".to_owned());
    }
    let sector = match len16(&volume, 11) {
        Some(0) => 512,
        Some(sector @ (512 | MAX_SECTOR)) => sector,
        sector => return Err(format!("sectors of {} bytes are not read", sector.unwrap_or_default())),
    };
    let copies = offsets(&volume, at.saturating_add(16)).ok_or_else(|| "its volume header is damaged".to_owned())?;
    let mut wrong = Vec::new();
    for offset in copies {
        match copy(image, offset) {
            Ok(bytes) => return decode(&bytes, sector),
            Err(why) => wrong.push(format!("at {offset:#x}: {why}")),
        }
    }
    Err(format!("all copies of its metadata are damaged: {}", wrong.join("; ")))
}

fn offsets(bytes: &[u8], at: usize) -> Option<[u64; 3]> {
    Some([le64(bytes, at)?, le64(bytes, at.checked_add(8)?)?, le64(bytes, at.checked_add(16)?)?])
}

/// A copy whose checksum is right (4.4 "Validation").
fn copy(image: &dyn Image, offset: u64) -> Result<Vec<u8>, String> {
    let len = usize::try_from(COPY).unwrap_or_default();
    let mut bytes = vec![0; len];
    image.read_at(offset, &mut bytes).map_err(|error| error.to_string())?;
    if !has(&bytes, 0, SIGNATURE) || le16(&bytes, 10) != Some(2) {
        return Err("no signature of version 2".to_owned());
    }
    let size = len16(&bytes, 8).unwrap_or_default().saturating_mul(16);
    let expected = size.checked_add(4).and_then(|at| le32(&bytes, at));
    let found = bytes.get(..size).filter(|_| size >= HEADERS).map(|bytes| !crc32(!0, bytes));
    if expected.is_none() || found != expected {
        return Err("its checksum is wrong".to_owned());
    }
    bytes.truncate(size);
    Ok(bytes)
}

fn decode(bytes: &[u8], sector: usize) -> Result<(Block, Vec<u8>), String> {
    let damaged = || "its metadata are damaged: they end too early".to_owned();
    let state = (le16(bytes, 12).ok_or_else(damaged)?, le16(bytes, 14).ok_or_else(damaged)?);
    if state != (ENCRYPTED, ENCRYPTED) {
        return Err(format!("it is not wholly encrypted (state {}, next {}), which is not read", state.0, state.1));
    }
    let sectors = le32(bytes, 28).map(u64::from).ok_or_else(damaged)?;
    let header_len = sectors.saturating_mul(wide(sector));
    let end = len32(bytes, 64).and_then(|len| len.checked_add(64)).ok_or_else(damaged)?;
    let entries = bytes.get(HEADERS..end).ok_or_else(damaged)?.to_vec();
    let block = Block {
        sector,
        copies: offsets(bytes, 32).ok_or_else(damaged)?,
        header: (le64(bytes, 56).ok_or_else(damaged)?, header_len),
        method: le16(bytes, 100).ok_or_else(damaged)?,
    };
    Ok((block, entries))
}

/// What an entry says of where the volume's first bytes are (5.10 "Offset and size").
pub(super) fn header_place(entry: &Entry) -> Option<(u64, u64)> {
    Some((le64(entry.data, 0)?, le64(entry.data, 8)?))
}
