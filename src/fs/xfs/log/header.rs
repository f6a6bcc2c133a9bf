//! The header of a record (`xlog_rec_header`), big-endian but for the checksum.
//! See "Log Records" in *XFS Algorithms & Data Structures*.

use super::{
    super::{
        bytes::{array, be32, be64, le32},
        verify::BASIC_BLOCK,
    },
    ring::Ring,
};

/// First word of a record's header.
pub(super) const MAGIC: u32 = 0xFEED_BABE;
/// A header has room for the first words of so many bytes; larger records of version 2 have more headers.
pub(super) const BYTES_A_HEADER: u64 = 1 << 15;
/// The largest buffer that the kernel writes at once; version 1 knows only the size above.
pub(super) const MAX_RECORD: u64 = 1 << 18;
const VERSION_2: u32 = 2;
const VERSIONS: u32 = 3;

/// A record's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) version: u32,
    /// Length of what follows the headers, in bytes.
    pub(super) len: u64,
    /// Its own number: cycle and block.
    pub(super) lsn: u64,
    /// The oldest record that is still needed.
    tail_lsn: u64,
    pub(super) checksum: u32,
    pub(super) operations: u32,
    /// Byte order and kind of the system that wrote it (`XLOG_FMT_*`).
    pub(super) format: u32,
    pub(super) uuid: [u8; 16],
    /// Size of the buffers in which it was written, in bytes.
    size: u64,
}

impl Header {
    pub(super) fn parse(block: &[u8]) -> Option<Self> {
        (be32(block, 0) == MAGIC).then(|| Self {
            version: be32(block, 8),
            len: u64::from(be32(block, 12)),
            lsn: be64(block, 16),
            tail_lsn: be64(block, 24),
            checksum: le32(block, 32),
            operations: be32(block, 40),
            format: be32(block, 300),
            uuid: array(block, 304),
            size: u64::from(be32(block, 320)),
        })
    }

    /// The block of the oldest record that is still needed.
    pub(super) fn tail(&self) -> u64 {
        self.tail_lsn & 0xFFFF_FFFF
    }

    /// Size of the buffers in which it was written, in bytes.
    pub(super) fn size(&self, ring: &Ring<'_>) -> u64 {
        if ring.volume.superblock.features.log_v2 { self.size } else { BYTES_A_HEADER }
    }

    /// Blocks that the header and its continuations take.
    pub(super) fn blocks(&self, ring: &Ring<'_>) -> u64 {
        if self.version & VERSION_2 == 0 {
            return 1;
        }
        self.size(ring).div_ceil(BYTES_A_HEADER).max(1)
    }

    /// Blocks that follow the headers.
    pub(super) fn body_blocks(&self) -> u64 {
        self.len.div_ceil(BASIC_BLOCK)
    }

    /// What makes it unfit to be followed, as the kernel judges it (`xlog_valid_rec_header`).
    pub(super) fn flaw(&self, ring: &Ring<'_>) -> Option<String> {
        let size = self.size(ring);
        if self.version == 0 || self.version & !VERSIONS != 0 {
            return Some(format!("a record of version {:#x}", self.version));
        }
        if self.len == 0 || self.len > size || size > MAX_RECORD {
            return Some(format!("a record of {} bytes, written in buffers of {size}", self.len));
        }
        None
    }
}
