//! Descriptor, commit and revoke blocks. See "Journal (jbd2)" in the kernel's ext4 documentation.

use super::{
    super::{
        bytes::{be16, be32, be64, join, low16, u8_at},
        checksum::crc32c,
    },
    superblock::{JournalSuperblock, Protection},
};

/// Magic number, block type, transaction.
const HEADER: usize = 12;
/// The checksum at the end of descriptor and revoke blocks.
const TAIL: usize = 4;
const UUID: usize = 16;
/// Length of a commit block's fields.
const COMMIT: usize = 64;
const COMMIT_CHECKSUM_AT: usize = 16;

const FLAG_ESCAPED: u16 = 0x1;
const FLAG_SAME_UUID: u16 = 0x2;
const FLAG_LAST: u16 = 0x8;

/// One block that a descriptor names; its content is the next block of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag {
    /// The block of the filesystem.
    pub(super) block: u64,
    pub(super) escaped: bool,
    checksum: u32,
}

/// The tags of a descriptor block.
pub(super) fn tags<'a>(journal: &'a JournalSuperblock, block: &'a [u8]) -> impl Iterator<Item = Tag> + 'a {
    let tag_len: usize = match (journal.protection, journal.wide) {
        (Protection::V3, _) => 16,
        // Two bytes at the end of such a tag mean nothing.
        (Protection::V2, true) => 14,
        (Protection::V2, false) => 10,
        (_, true) => 12,
        (_, false) => 8,
    };
    let end = block.len().saturating_sub(if journal.checks_blocks() { TAIL } else { 0 });
    let mut next = Some(HEADER);
    std::iter::from_fn(move || {
        let at = next?;
        let tag = block.get(at..at.checked_add(tag_len)?).filter(|_| at.saturating_add(tag_len) <= end)?;
        let flags = be16(tag, 6);
        let skip = if flags & FLAG_SAME_UUID == 0 { UUID } else { 0 };
        next = (flags & FLAG_LAST == 0).then(|| at.saturating_add(tag_len).saturating_add(skip));
        let (high, checksum) = match journal.protection {
            Protection::V3 => (be32(tag, 8), be32(tag, 12)),
            _ => (be32(tag, 8), u32::from(be16(tag, 4))),
        };
        Some(Tag {
            block: join(if journal.wide { high } else { 0 }, be32(tag, 0)),
            escaped: flags & FLAG_ESCAPED != 0,
            checksum,
        })
    })
}

/// How many blocks of the log follow a descriptor.
pub(super) fn count_tags(journal: &JournalSuperblock, block: &[u8]) -> u32 {
    u32::try_from(tags(journal, block).count()).unwrap_or(u32::MAX)
}

impl Tag {
    /// Whether `content`, as it stands in the log, is what transaction `sequence` wrote.
    pub(super) fn checksum_matches(&self, journal: &JournalSuperblock, sequence: u32, content: &[u8]) -> bool {
        let computed = || crc32c(crc32c(journal.seed, &sequence.to_be_bytes()), content);
        match journal.protection {
            Protection::V3 => computed() == self.checksum,
            Protection::V2 => u32::from(low16(computed())) == self.checksum,
            _ => true,
        }
    }
}

/// Whether the checksum at the end of a descriptor or revoke block holds, where there is one.
pub(super) fn tail_matches(journal: &JournalSuperblock, block: &[u8]) -> bool {
    if !journal.checks_blocks() {
        return true;
    }
    let (covered, tail) = block.split_at_checked(block.len().saturating_sub(TAIL)).unwrap_or_default();
    crc32c(crc32c(journal.seed, covered), &[0; TAIL]) == be32(tail, 0)
}

/// The end of a transaction.
pub(super) struct Commit<'a>(pub(super) &'a [u8]);

impl Commit<'_> {
    /// Seconds since 1970 when it was written.
    pub(super) fn time(&self) -> u64 {
        be64(self.0, 48)
    }

    /// Whether the block's own checksum holds, where there is one.
    pub(super) fn checksum_matches(&self, journal: &JournalSuperblock) -> bool {
        if !journal.checks_blocks() {
            return true;
        }
        let found = be32(self.0, COMMIT_CHECKSUM_AT);
        let (head, rest) = self.0.split_at_checked(COMMIT_CHECKSUM_AT).unwrap_or_default();
        let rest = rest.get(4..).unwrap_or_default();
        let crc = crc32c(crc32c(journal.seed, head), &[0; 4]);
        if crc32c(crc, rest) == found {
            return true;
        }
        // Some kernels left stale bytes behind the fields and computed the sum as if they were zeros.
        let (fields, padding) =
            rest.split_at_checked(COMMIT.saturating_sub(COMMIT_CHECKSUM_AT).saturating_sub(4)).unwrap_or_default();
        crc32c(crc32c(crc, fields), &vec![0; padding.len()]) == found
    }

    /// Whether the CRC-32 of the transaction's blocks is the one stated, or none is stated.
    pub(super) fn transaction_matches(&self, crc: u32) -> bool {
        let (kind, size, stated) = (u8_at(self.0, 12), u8_at(self.0, 13), be32(self.0, COMMIT_CHECKSUM_AT));
        matches!((kind, size, stated), (0, 0, 0)) || (kind, size, stated) == (1, 4, crc)
    }
}

/// The blocks that a revoke block takes back.
pub(super) fn revoked<'a>(journal: &JournalSuperblock, block: &'a [u8]) -> Option<impl Iterator<Item = u64> + 'a> {
    let wide = journal.wide;
    let end = usize::try_from(be32(block, HEADER)).ok()?;
    let room = block.len().saturating_sub(if journal.checks_blocks() { TAIL } else { 0 });
    let records = block.get(HEADER.saturating_add(4)..end).filter(|_| end <= room)?;
    Some(
        records
            .chunks_exact(if wide { 8 } else { 4 })
            .map(move |record| if wide { be64(record, 0) } else { u64::from(be32(record, 0)) }),
    )
}
