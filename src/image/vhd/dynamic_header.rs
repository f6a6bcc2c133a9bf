//! "Dynamic Disk Header Format": 1024 bytes.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | cookie `cxsparse` |
//! | 16 | 8 | table offset: the block allocation table |
//! | 28 | 4 | max table entries |
//! | 32 | 4 | block size, without the bitmap |
//! | 36 | 4 | checksum |
//! | 40 | 16 | parent unique id |
//! | 64 | 512 | parent name, UTF-16 |
//! | 576 | 8 × 24 | parent locator entries |

use super::{LAYER, checksum, footer::Footer, wrong_checksum};
use crate::{
    error::Result,
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

const LENGTH: usize = 1024;
const CHECKSUM: usize = 36;
/// 2 MiB is the default; Windows writes 512 KiB too; more than this is in no disk of a machine.
const MAX_BLOCK: u32 = 256 << 20;

/// The header.
pub(super) struct DynamicHeader {
    pub(super) at: u64,
    pub(super) table_at: u64,
    entries: u32,
    pub(super) block: u64,
    pub(super) parent_id: [u8; 16],
    pub(super) parent_name: Vec<u8>,
    pub(super) locators: Vec<u8>,
}

impl DynamicHeader {
    pub(super) fn read(file: &dyn Image, at: u64) -> Result<Self> {
        let bytes = read_vec(file, at, LENGTH)?;
        let s = Structure::new(LAYER, "dynamic header", at, &bytes);
        if s.slice(0, 8)? != b"cxsparse" {
            return Err(s.wrong("it does not begin with 'cxsparse'"));
        }
        let (found, expected) = (s.be32(CHECKSUM)?, checksum(&bytes, CHECKSUM));
        if found != expected {
            return Err(wrong_checksum("dynamic header", at, found, expected));
        }
        let block = s.be32(32)?;
        if !block.is_power_of_two() || !(512..=MAX_BLOCK).contains(&block) {
            return Err(
                s.wrong(format!("blocks of {block:#x} bytes: expected a power of two from 512 to {MAX_BLOCK:#x}"))
            );
        }
        Ok(Self {
            at,
            table_at: s.be64(16)?,
            entries: s.be32(28)?,
            block: block.into(),
            parent_id: s.array(40)?,
            parent_name: s.slice(64, 512)?.to_vec(),
            locators: s.slice(576, 192)?.to_vec(),
        })
    }

    /// Whether the table is large enough for the disk.
    pub(super) fn check(&self, footer: &Footer) -> Result<()> {
        let needed = footer.size.div_ceil(self.block);
        if u64::from(self.entries) < needed {
            return Err(crate::error::Error::corrupt(
                LAYER,
                format!("dynamic header at {:#x}", self.at),
                format!("the table has {} entries: {needed} are needed for {:#x} bytes", self.entries, footer.size),
            ));
        }
        Ok(())
    }
}
