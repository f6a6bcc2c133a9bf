//! A record: its headers, its body with the first word of each block put back, and whether its checksum holds.

use super::{
    super::{
        LAYER,
        bytes::{capped, wide},
        verify::BASIC_BLOCK,
    },
    header::{BYTES_A_HEADER, Header},
    overlay::SECTOR,
    ring::{Ring, bad},
};
use crate::{
    checksum::crc32c,
    error::{Error, Result},
};

/// Fields of a header that its checksum covers, as most systems count them, and as 32-bit x86 does.
const COVERED: [usize; 2] = [328, 324];
const CHECKSUM_AT: usize = 32;
/// The first words of a body's blocks, in the first header and in the others, which begin with a cycle.
const WORDS_AT: usize = 44;
const WORDS_AT_NEXT: usize = 4;
const WORD: usize = 4;
/// Of each header behind the first: a cycle and 64 words.
const COVERED_NEXT: usize = 260;
/// Blocks whose words one header holds.
const BLOCKS_A_HEADER: usize = 64;

/// `XLOG_FMT_LINUX_LE`.
const LITTLE_ENDIAN: u32 = 1;

/// A whole record.
pub(super) struct Record {
    pub(super) at: u64,
    pub(super) header: Header,
    pub(super) body: Vec<u8>,
}

/// A record that does not hold.
pub(super) struct Bad {
    pub(super) at: u64,
    pub(super) what: String,
}

/// Hands out the records from `tail` to before `head`, up to one that does not hold. `strict` for the replay, where
/// version 5 must have a checksum.
pub(super) fn walk(
    ring: &Ring<'_>,
    tail: u64,
    head: u64,
    strict: bool,
    each: &mut dyn FnMut(Record) -> Result<()>,
) -> Result<Option<Bad>> {
    let distance = ring.distance(tail, head);
    let mut block = [0; SECTOR];
    let (mut done, mut header_blocks) = (0, None);
    while done < distance {
        let at = ring.wrap(tail.saturating_add(done));
        let flaw = |what: String| Ok(Some(Bad { at, what }));
        ring.read(at, &mut block)?;
        let Some(header) = Header::parse(&block) else { return flaw("no record begins here".to_owned()) };
        if let Some(what) = header.flaw(ring) {
            return flaw(what);
        }
        let headers = header.blocks(ring);
        let total = headers.saturating_add(header.body_blocks());
        done = done.saturating_add(total);
        if done > distance {
            return flaw(format!("the record of {total} blocks reaches beyond the head"));
        }
        // The kernel takes it from the first record for all.
        if *header_blocks.get_or_insert(headers) != headers {
            return flaw(format!("a record with {headers} headers among others"));
        }
        let mut bytes = vec![0; capped(total.saturating_mul(BASIC_BLOCK), usize::MAX)];
        ring.read(at, &mut bytes)?;
        let (headers, body) = bytes.split_at_mut(capped(headers.saturating_mul(BASIC_BLOCK), usize::MAX));
        let body = body.get_mut(..capped(header.len, usize::MAX)).unwrap_or_default();
        let unchecked = header.checksum == 0 && !(strict && ring.volume.superblock.features.v5);
        if !unchecked && !COVERED.iter().any(|covered| checksum(headers, *covered, body) == header.checksum) {
            return flaw(format!("the record does not match its checksum {:#010x}", header.checksum));
        }
        unpack(headers, body);
        let body = body.to_vec();
        each(Record { at, header, body })?;
    }
    Ok(None)
}

/// CRC-32C of the headers, as far as they are used, and of the body as it lies on the disk.
fn checksum(headers: &[u8], covered: usize, body: &[u8]) -> u32 {
    let mut headers = headers.chunks_exact(SECTOR);
    let first = headers.next().and_then(|first| first.get(..covered)).unwrap_or_default();
    let (head, rest) = first.split_at_checked(CHECKSUM_AT).unwrap_or_default();
    let mut crc = crc32c(crc32c(!0, head), &[0; WORD]);
    crc = crc32c(crc, rest.get(WORD..).unwrap_or_default());
    let used = capped(wide(body.len()).div_ceil(BYTES_A_HEADER).saturating_sub(1), usize::MAX);
    for next in headers.take(used) {
        crc = crc32c(crc, next.get(..COVERED_NEXT).unwrap_or_default());
    }
    !crc32c(crc, body)
}

/// Puts the first words of a body's blocks back, where the cycle was stamped over them.
fn unpack(headers: &[u8], body: &mut [u8]) {
    let words = headers.chunks_exact(SECTOR).enumerate().flat_map(|(number, header)| {
        let words = header.get(if number == 0 { WORDS_AT } else { WORDS_AT_NEXT }..).unwrap_or_default();
        words.chunks_exact(WORD).take(BLOCKS_A_HEADER)
    });
    for (block, word) in body.chunks_mut(SECTOR).zip(words) {
        if let Some(first) = block.get_mut(..WORD) {
            first.copy_from_slice(word);
        }
    }
}

impl Record {
    /// Whether this program can take it for what it says: byte order and filesystem.
    pub(super) fn check(&self, ring: &Ring<'_>) -> Result<()> {
        let writer = match self.header.format {
            LITTLE_ENDIAN => None,
            0 => Some("an unknown system, perhaps IRIX".to_owned()),
            2 => Some("a big-endian Linux".to_owned()),
            3 => Some("IRIX".to_owned()),
            other => Some(format!("a system of unknown format {other}")),
        };
        if let Some(writer) = writer {
            return Err(Error::unsupported(LAYER, format!("the log was written by {writer}, which is not replayed")));
        }
        if self.header.uuid != ring.volume.superblock.uuid {
            return Err(bad(self.at, "the record is of another filesystem"));
        }
        Ok(())
    }
}
