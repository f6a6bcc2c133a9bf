//! LUKS versions 1 and 2. In comes the image of a volume, out comes what stands in its header: where the ciphertext
//! lies, and in which keyslots its key is wrapped.
//!
//! References: LUKS On-Disk Format Specification 1.2.3; LUKS2 On-Disk Format Specification 1.1.4.

mod keyslot;
mod metadata;
mod version1;
mod version2;

use std::sync::Arc;

use self::keyslot::Keyslot;
use super::{
    Opened,
    decrypted::{Decrypted, MAX_SECTOR, Part, Source},
    keys::{Keys, Work},
    sectors::Sectors,
};
use crate::{
    field::{be16, wide},
    image::Image,
};

/// What a header begins with.
const MAGIC: &[u8] = b"LUKS\xba\xbe";

/// A key is not longer than this: two of 256 bits.
const MAX_KEY: usize = 64;

/// What a header says.
pub(super) struct Header {
    /// 1 or 2.
    pub(super) version: u16,
    /// As text, in lower case as `blkid` prints it.
    pub(super) uuid: String,
    /// What is worth knowing.
    pub(super) notes: Vec<String>,
    payload: Payload,
    keyslots: Vec<Keyslot>,
}

/// Where the ciphertext lies.
struct Payload {
    /// As dm-crypt names it: `aes-xts-plain64`.
    cipher: String,
    /// Bytes from the volume's beginning.
    offset: u64,
    /// Bytes; to the volume's end where it says nothing.
    len: Option<u64>,
    /// Bytes of a sector.
    sector: usize,
    /// The number of the first sector, in units of 512 bytes.
    iv: u64,
}

impl Header {
    /// Reads the header, or says what is wrong with it or not read.
    pub(super) fn read(image: &dyn Image) -> Result<Self, String> {
        let mut start = [0; 8];
        image.read_at(0, &mut start).map_err(|error| error.to_string())?;
        let version = be16(&start, 6).filter(|_| start.starts_with(MAGIC));
        let mut header = match version {
            Some(1) => version1::read(image),
            // Without a first header there may be a second one.
            Some(2) | None => version2::read(image),
            Some(other) => Err(format!("version {other} of LUKS is not read")),
        }?;
        header.uuid = header.uuid.to_ascii_lowercase();
        if header.payload.offset == 0 {
            return Err("its header is detached from its data: what it belongs to is not said".to_owned());
        }
        Ok(header)
    }

    /// `LUKS2, aes-xts-plain64`.
    pub(super) fn describe(&self) -> String {
        format!("LUKS{}, {}", self.version, self.payload.cipher.escape_debug())
    }

    /// Tries every key on every keyslot.
    pub(super) fn open(&self, image: &Arc<dyn Image>, keys: &Keys, work: &mut Work) -> Result<Opened, String> {
        let mut wrong: Vec<String> = Vec::new();
        let mut remember = |slot: &Keyslot, why: String| {
            let why = format!("keyslot {}: {why}", slot.name);
            if !wrong.contains(&why) {
                wrong.push(why);
            }
        };
        for (number, file) in keys.files() {
            for slot in &self.keyslots {
                for passphrase in file.passphrases() {
                    let key = match slot.unlock(image.as_ref(), passphrase, work) {
                        Ok(Some(key)) => key,
                        Ok(None) => continue,
                        Err(why) => {
                            remember(slot, why);
                            break;
                        }
                    };
                    let decrypted = self.decrypted(image, &key)?;
                    return Ok(Opened { image: decrypted, how: format!("keyslot {}", slot.name), key: Some(number) });
                }
            }
        }
        let mut why = match (keys.count(), self.keyslots.len()) {
            (_, 0) => "it has no keyslot".to_owned(),
            (0, _) => "give its key with --key-file".to_owned(),
            (keys, slots) => format!("--key-file: none of {keys} opens any of its {slots} keyslots"),
        };
        for other in wrong {
            why.push_str("; ");
            why.push_str(&other);
        }
        Err(why)
    }

    fn decrypted(&self, image: &Arc<dyn Image>, key: &[u8]) -> Result<Decrypted, String> {
        let payload = &self.payload;
        if !matches!(payload.sector, 512 | 1024 | 2048 | MAX_SECTOR) {
            return Err(format!("sectors of {} bytes are not read", payload.sector));
        }
        let room = image.len().checked_sub(payload.offset);
        let room = room.ok_or_else(|| format!("its data begin at {:#x}, past its end", payload.offset))?;
        let len = payload.len.unwrap_or(room);
        if len > room {
            return Err(format!("its data are {len} bytes from {:#x} on, past its end", payload.offset));
        }
        let odd = len.checked_rem(wide(payload.sector)).unwrap_or_default();
        if odd != 0 && payload.len.is_some() {
            return Err(format!("its data are {len} bytes, not whole sectors of {}", payload.sector));
        }
        let end = len.saturating_sub(odd);
        if end == 0 {
            return Err(format!("no data from {:#x} on: the image ends with its header", payload.offset));
        }
        Ok(Decrypted {
            inner: Arc::clone(image),
            sectors: Sectors::named(&payload.cipher, key)?,
            sector: payload.sector,
            // dm-crypt counts 512 bytes whatever the sector, unless told otherwise, which LUKS2 does not do.
            iv_step: 512,
            parts: vec![Part { end, source: Source::Ciphertext { offset: payload.offset, iv: payload.iv } }],
            start: payload.offset,
            key: 0,
        })
    }
}
