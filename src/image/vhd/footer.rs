//! "Hard Disk Footer Format": the last 512 bytes of every file, and for all but fixed disks also the first.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | cookie `conectix` |
//! | 12 | 4 | file format version |
//! | 16 | 8 | data offset: the dynamic header |
//! | 48 | 8 | current size |
//! | 60 | 4 | disk type |
//! | 64 | 4 | checksum |
//! | 68 | 16 | unique id |

use super::{LAYER, checksum, wrong_checksum};
use crate::{
    error::{Error, Result},
    field::{narrow, wide},
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

const LENGTH: usize = 512;
const COOKIE: &[u8] = b"conectix";
const CHECKSUM: usize = 64;

/// What sort of disk it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fixed,
    Dynamic,
    Differencing,
}

/// The footer.
pub(super) struct Footer {
    pub(super) kind: Kind,
    /// The size of the disk in bytes.
    pub(super) size: u64,
    /// Where the dynamic header is.
    pub(super) data_at: u64,
    pub(super) id: [u8; 16],
    /// Whether the copy at the front had to be taken.
    pub(super) from_copy: bool,
}

impl Footer {
    /// The footer at the end; versions before Virtual PC 2004 wrote 511 bytes of it; else the copy at the front.
    pub(super) fn read(file: &dyn Image) -> Result<Self> {
        let end = file.len();
        let places = [end.saturating_sub(512), end.saturating_sub(511), 0];
        let mut first_error = None;
        for (n, at) in places.into_iter().enumerate() {
            let there = end.saturating_sub(at).min(wide(LENGTH));
            let mut bytes = read_vec(file, at, narrow(there))?;
            bytes.resize(LENGTH, 0);
            match Self::parse(at, &bytes) {
                Ok(footer) if n == 2 && footer.kind == Kind::Fixed => {}
                Ok(footer) => return Ok(Self { from_copy: n == 2, ..footer }),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        Err(first_error.unwrap_or_else(|| Error::corrupt(LAYER, "footer", "there is none")))
    }

    fn parse(at: u64, bytes: &[u8]) -> Result<Self> {
        let s = Structure::new(LAYER, "footer", at, bytes);
        if s.slice(0, COOKIE.len())? != COOKIE {
            return Err(s.wrong("it does not begin with 'conectix': the file was cut, or is no VHD"));
        }
        let (found, expected) = (s.be32(CHECKSUM)?, checksum(bytes, CHECKSUM));
        if found != expected {
            return Err(wrong_checksum("footer", at, found, expected));
        }
        let version = s.be32(12)?;
        if version >> 16 != 1 {
            return Err(Error::unsupported(LAYER, format!("file format version {version:#010x}; 1.0 is read")));
        }
        let kind = match s.be32(60)? {
            2 => Kind::Fixed,
            3 => Kind::Dynamic,
            4 => Kind::Differencing,
            other => return Err(Error::unsupported(LAYER, format!("disk type {other}; 2, 3 and 4 are read"))),
        };
        Ok(Self { kind, size: s.be64(48)?, data_at: s.be64(16)?, id: s.array(68)?, from_copy: false })
    }
}
