//! The journal's superblock, in its first block; all numbers are big-endian. See "Journal (jbd2)", "Super Block", in
//! the kernel's ext4 documentation.

use super::{
    super::{
        LAYER,
        bytes::{array, be32},
        checksum::crc32c,
    },
    MAGIC,
};
use crate::error::{Error, Result};

const V1: u32 = 3;
const V2: u32 = 4;
const LEN: usize = 1024;
const CHECKSUM_AT: usize = 0xFC;

const COMPAT_CHECKSUM: u32 = 0x1;
const INCOMPAT_REVOKE: u32 = 0x1;
const INCOMPAT_64BIT: u32 = 0x2;
const INCOMPAT_ASYNC_COMMIT: u32 = 0x4;
const INCOMPAT_CSUM_V2: u32 = 0x8;
const INCOMPAT_CSUM_V3: u32 = 0x10;
const INCOMPAT_FAST_COMMIT: u32 = 0x20;
const INCOMPAT_READ: u32 = INCOMPAT_REVOKE
    | INCOMPAT_64BIT
    | INCOMPAT_ASYNC_COMMIT
    | INCOMPAT_CSUM_V2
    | INCOMPAT_CSUM_V3
    | INCOMPAT_FAST_COMMIT;
/// Blocks for fast commits where the superblock does not say how many.
const DEFAULT_FAST_COMMIT_BLOCKS: u32 = 256;
/// The log proper never gets smaller than this for the sake of fast commits.
const MIN_LOG_BLOCKS: u32 = 1024;

/// How a journal protects its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    None,
    /// One CRC-32 over a transaction, in its commit block.
    V1,
    /// CRC-32C of each block; the tags keep 16 bits.
    V2,
    /// CRC-32C of each block, in longer tags.
    V3,
}

/// The journal's geometry and where its log begins.
#[derive(Debug, Clone)]
pub(super) struct JournalSuperblock {
    /// First block of the log, and the block behind its last.
    pub(super) first: u32,
    pub(super) last: u32,
    /// Where the log begins, or zero when it is empty.
    pub(super) start: u32,
    /// Transaction expected there.
    pub(super) sequence: u32,
    pub(super) has_error: bool,
    pub(super) protection: Protection,
    pub(super) wide: bool,
    /// Commit blocks may have been written before the blocks that they commit.
    pub(super) async_commit: bool,
    /// First block of the area for fast commits, and the block behind its last.
    pub(super) fast_commits: Option<(u32, u32)>,
    /// Start value of the journal's own checksums.
    pub(super) seed: u32,
}

impl JournalSuperblock {
    /// Decodes the first block of a journal of `available` blocks.
    pub(super) fn parse(block: &[u8], available: u64) -> Result<Self> {
        let bad = |what: String| Error::corrupt(LAYER, "journal superblock", what);
        let (magic, version) = (be32(block, 0), be32(block, 4));
        if magic != MAGIC || !matches!(version, V1 | V2) {
            return Err(bad(format!("magic {magic:#010x}, type {version}")));
        }
        let feature = |at| if version == V2 { be32(block, at) } else { 0 };
        let (compat, incompat) = (feature(0x24), feature(0x28));
        if incompat & !INCOMPAT_READ != 0 {
            let bits = incompat & !INCOMPAT_READ;
            return Err(Error::unsupported(LAYER, format!("journal with unknown features {bits:#x}")));
        }
        let protection = match (incompat & INCOMPAT_CSUM_V2 != 0, incompat & INCOMPAT_CSUM_V3 != 0) {
            (true, true) => return Err(bad("both kinds of block checksum at once".to_owned())),
            (true, false) => Protection::V2,
            (false, true) => Protection::V3,
            (false, false) if compat & COMPAT_CHECKSUM != 0 => Protection::V1,
            (false, false) => Protection::None,
        };
        if matches!(protection, Protection::V2 | Protection::V3) {
            let covered = block.get(..LEN).unwrap_or(block);
            let (head, tail) = covered.split_at_checked(CHECKSUM_AT).unwrap_or_default();
            let computed = crc32c(crc32c(crc32c(!0, head), &[0; 4]), tail.get(4..).unwrap_or_default());
            let found = be32(block, CHECKSUM_AT);
            if found != computed {
                return Err(bad(format!("checksum {found:#010x} instead of {computed:#010x}")));
            }
        }
        let (block_size, len) = (be32(block, 0xC), be32(block, 0x10));
        let (first, start) = (be32(block, 0x14), be32(block, 0x1C));
        if usize::try_from(block_size).ok() != Some(block.len()) || u64::from(len) > available {
            let what =
                format!("{len} blocks of {block_size} bytes where there are {available} of {} bytes", block.len());
            return Err(bad(what));
        }
        let (last, fast_commits) = match incompat & INCOMPAT_FAST_COMMIT {
            0 => (len, None),
            _ => {
                let wanted = match be32(block, 0x54) {
                    0 => DEFAULT_FAST_COMMIT_BLOCKS,
                    wanted => wanted,
                };
                match len.checked_sub(wanted).filter(|last| *last >= MIN_LOG_BLOCKS) {
                    Some(last) => (last, Some((last.saturating_add(1), len))),
                    None => (len, None),
                }
            }
        };
        if first == 0 || first >= last || (start != 0 && !(first..last).contains(&start)) {
            return Err(bad(format!("the log of blocks {first} to {last} begins at {start}")));
        }
        let uuid: [u8; 16] = array(block, 0x30);
        Ok(Self {
            first,
            last,
            start,
            sequence: be32(block, 0x18),
            has_error: be32(block, 0x20) != 0,
            protection,
            wide: incompat & INCOMPAT_64BIT != 0,
            async_commit: incompat & INCOMPAT_ASYNC_COMMIT != 0,
            fast_commits,
            seed: crc32c(!0, &uuid),
        })
    }

    /// Whether descriptor and revoke blocks end in a checksum, and tags carry one.
    pub(super) fn checks_blocks(&self) -> bool {
        matches!(self.protection, Protection::V2 | Protection::V3)
    }

    /// The block of the log behind `block`, by `count`; the log is a ring.
    pub(super) fn advance(&self, block: u32, count: u32) -> u32 {
        let len = self.last.saturating_sub(self.first);
        let offset = u64::from(block.saturating_sub(self.first)).saturating_add(u64::from(count));
        let wrapped = offset.checked_rem(u64::from(len)).unwrap_or(0);
        self.first.saturating_add(u32::try_from(wrapped).unwrap_or(0))
    }
}
