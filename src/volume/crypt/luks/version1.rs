//! The header of LUKS1. Reference: LUKS On-Disk Format Specification 1.2.3, figures 1 and 2.

use super::{
    Header, Payload,
    keyslot::{Digest, Kdf, Keyslot},
};
use crate::{
    field::{array, be32},
    image::Image,
    volume::crypt::antiforensic::STRIPES,
};

/// Bytes of the header with its eight keyslots.
const LEN: usize = 592;

/// A keyslot in use.
const ENABLED: u32 = 0x00ac_71f3;

/// The unit of its offsets.
const SECTOR: u64 = 512;

pub(super) fn read(image: &dyn Image) -> Result<Header, String> {
    let mut bytes = [0; LEN];
    image.read_at(0, &mut bytes).map_err(|error| error.to_string())?;
    decode(&bytes).ok_or_else(|| "its header is damaged".to_owned())?
}

/// Text up to the first NUL.
pub(super) fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn decode(bytes: &[u8]) -> Option<Result<Header, String>> {
    let name = |at: usize| array::<32>(bytes, at).map(|name| text(&name));
    let number = |at: usize| be32(bytes, at);
    let len = |at: usize| number(at).and_then(|len| usize::try_from(len).ok());
    let cipher = format!("{}-{}", name(8)?, name(40)?);
    let hash = name(72)?;
    let digest = Digest {
        hash: hash.clone(),
        iterations: number(164)?,
        salt: array::<32>(bytes, 132)?.to_vec(),
        digest: array::<20>(bytes, 112)?.to_vec(),
    };
    let mut keyslots = Vec::new();
    for (slot, at) in (208..LEN).step_by(48).enumerate() {
        let field = |offset: usize| at.checked_add(offset);
        if number(at)? != ENABLED {
            continue;
        }
        let stripes = len(field(44)?)?;
        if stripes != STRIPES {
            return Some(Err(format!("keyslot {slot} has {stripes} stripes, expected {STRIPES}")));
        }
        keyslots.push(Keyslot {
            name: slot.to_string(),
            key_len: len(108)?,
            kdf: Kdf::Pbkdf2 { hash: hash.clone(), iterations: number(field(4)?)? },
            salt: array::<32>(bytes, field(8)?)?.to_vec(),
            cipher: cipher.clone(),
            cipher_key_len: len(108)?,
            offset: u64::from(number(field(40)?)?).saturating_mul(SECTOR),
            stripe_hash: hash.clone(),
            digest: digest.clone(),
        });
    }
    let offset = u64::from(number(104)?).saturating_mul(SECTOR);
    Some(Ok(Header {
        version: 1,
        uuid: text(&array::<40>(bytes, 168)?),
        notes: Vec::new(),
        payload: Payload { cipher, offset, len: None, sector: 512, iv: 0 },
        keyslots,
    }))
}
