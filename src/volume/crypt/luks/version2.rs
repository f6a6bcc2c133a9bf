//! The two headers of LUKS2, of which the newer sound one counts.
//!
//! Reference: LUKS2 On-Disk Format Specification 1.1.4, 2.1 "Binary header".

use super::{Header, MAGIC, metadata, version1::text};
use crate::{
    field::{array, be64},
    image::Image,
    volume::crypt::derive::Hash,
};

/// What the second header begins with.
const SECOND_MAGIC: &[u8] = b"SKUL\xba\xbe";

/// Bytes of the header in front of its metadata.
const BINARY: usize = 4096;

/// The sizes that a header with its metadata may have, which are the places where the second may be.
const SIZES: [u64; 9] = [0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x0010_0000, 0x0020_0000, 0x0040_0000];

/// Where the checksum lies in the header.
const CHECKSUM: std::ops::Range<usize> = 448..512;

/// A header whose checksum is right.
struct Sound {
    sequence: u64,
    uuid: String,
    metadata: Vec<u8>,
}

pub(super) fn read(image: &dyn Image) -> Result<Header, String> {
    let first = header(image, 0, MAGIC);
    let second = match &first {
        Ok((_, size)) => header(image, *size, SECOND_MAGIC),
        Err(_) => {
            let mut found = SIZES.into_iter().map(|at| header(image, at, SECOND_MAGIC));
            found.find(Result::is_ok).unwrap_or_else(|| Err("there is no second header".to_owned()))
        }
    };
    let (sound, note) = match (first, second) {
        (Ok((first, _)), Ok((second, _))) if second.sequence > first.sequence => {
            (second, Some("its first header is older than its second, which was read".to_owned()))
        }
        (Ok((first, _)), Ok(_)) => (first, None),
        (Ok((first, _)), Err(why)) => (first, Some(format!("its second header is damaged: {why}"))),
        (Err(why), Ok((second, _))) => {
            (second, Some(format!("its first header is damaged ({why}); the second was read")))
        }
        (Err(first), Err(second)) => return Err(format!("both of its headers are damaged: {first}; {second}")),
    };
    let metadata = metadata::read(&sound.metadata)?;
    let notes = note.into_iter().chain(metadata.notes).collect();
    Ok(Header { version: 2, uuid: sound.uuid, notes, payload: metadata.payload, keyslots: metadata.keyslots })
}

/// The header at `at`, and the bytes that it and its metadata take.
fn header(image: &dyn Image, at: u64, magic: &[u8]) -> Result<(Sound, u64), String> {
    let mut bytes = vec![0; BINARY];
    image.read_at(at, &mut bytes).map_err(|error| error.to_string())?;
    let damaged = |what: &str| format!("at {at:#x}: {what}");
    if !bytes.starts_with(magic) || array(&bytes, 6) != Some([0, 2]) {
        return Err(damaged("no magic"));
    }
    let number = |at: usize| be64(&bytes, at).unwrap_or_default();
    let (size, sequence) = (number(8), number(16));
    if !SIZES.contains(&size) || number(256) != at || (at != 0 && at != size) {
        return Err(damaged("its size or place is wrong"));
    }
    let hash = Hash::named(&text(bytes.get(72..104).unwrap_or_default()))?;
    let uuid = text(bytes.get(168..208).unwrap_or_default());
    let expected = bytes.get(CHECKSUM).and_then(|sum| sum.get(..hash.len())).unwrap_or_default().to_vec();
    bytes.resize(usize::try_from(size).unwrap_or(BINARY), 0);
    let rest = bytes.get_mut(BINARY..).unwrap_or_default();
    image.read_at(at.saturating_add(4096), rest).map_err(|error| error.to_string())?;
    if let Some(sum) = bytes.get_mut(CHECKSUM) {
        sum.fill(0);
    }
    if hash.of(&[&bytes]).as_slice() != expected {
        return Err(damaged("its checksum is wrong"));
    }
    let metadata = bytes.split_off(BINARY);
    Ok((Sound { sequence, uuid, metadata }, size))
}
