//! 2.2.2 "Headers": two of 4 KiB, at 64 and 128 KiB; the valid one with the higher sequence number counts.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `head` |
//! | 4 | 4 | checksum |
//! | 8 | 8 | sequence number |
//! | 32 | 16 | data write GUID |
//! | 48 | 16 | log GUID; zero: the log is empty |
//! | 64, 66 | 2, 2 | versions of the log and of the format |
//! | 68 | 4 | log length |
//! | 72 | 8 | log offset |

use super::{Guid, LAYER, crc32c::crc32c};
use crate::{
    error::{Error, Result},
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

const PLACES: [u64; 2] = [64 << 10, 128 << 10];
const LENGTH: usize = 4096;

/// The current header.
pub(super) struct Header {
    sequence: u64,
    pub(super) data_write: Guid,
    pub(super) log: Guid,
    pub(super) log_at: u64,
    pub(super) log_length: u32,
}

impl Header {
    pub(super) fn read(file: &dyn Image) -> Result<Self> {
        if read_vec(file, 0, 8)? != b"vhdxfile" {
            return Err(Error::corrupt(LAYER, "file type identifier at 0x0", "it does not begin with 'vhdxfile'"));
        }
        let mut first_error = None;
        let mut current: Option<Self> = None;
        for at in PLACES {
            match Self::parse(at, &read_vec(file, at, LENGTH)?) {
                Ok(header) if current.as_ref().is_none_or(|c| header.sequence > c.sequence) => current = Some(header),
                Ok(_) => {}
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        current.ok_or_else(|| first_error.unwrap_or_else(|| Error::corrupt(LAYER, "header", "there is none")))
    }

    fn parse(at: u64, bytes: &[u8]) -> Result<Self> {
        let s = Structure::new(LAYER, "header", at, bytes);
        if s.slice(0, 4)? != b"head" {
            return Err(s.wrong("it does not begin with 'head'"));
        }
        let (found, expected) = (s.le32(4)?, crc32c(bytes, 4));
        if found != expected {
            return Err(s.wrong(format!("its checksum is {found:#010x}: expected {expected:#010x}")));
        }
        let (log_version, version) = (s.le16(64)?, s.le16(66)?);
        if version != 1 || log_version != 0 {
            return Err(Error::unsupported(
                LAYER,
                format!("version {version} with log version {log_version}; 1 and 0 are read"),
            ));
        }
        Ok(Self {
            sequence: s.le64(8)?,
            data_write: s.array(32)?,
            log: s.array(48)?,
            log_at: s.le64(72)?,
            log_length: s.le32(68)?,
        })
    }
}
