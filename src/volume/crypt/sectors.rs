//! Sectors of ciphertext into sectors of plaintext: the modes in which a block cipher is used on disks.
//!
//! References: IEEE 1619-2018 (XTS); NIST SP 800-38A (CBC); the kernel's `Documentation/admin-guide/device-mapper/
//! dm-crypt.rst` and `drivers/md/dm-crypt.c` for the names and the initialization vectors.

use super::{
    block_cipher::{self, BLOCK, Block, BlockCipher, blocks},
    derive::Hash,
    elephant::Elephant,
};

/// So many blocks are handed to a cipher at once: a sector of 512 bytes.
const AT_ONCE: usize = 32;

/// How the initialization vector of a sector comes from its number.
pub(super) enum Iv {
    /// The number, 32 bits, little-endian.
    Plain,
    /// The number, 64 bits, little-endian.
    Plain64,
    /// The number, 64 bits, big-endian, at the end.
    Plain64Be,
    /// The number, 64 bits, little-endian, encrypted: ESSIV with the hash of the key, EBOIV with the key itself.
    Encrypted(Box<dyn BlockCipher>),
}

impl Iv {
    fn of(&self, number: u64) -> Block {
        let mut iv = Block::default();
        let bytes = match self {
            Self::Plain => u128::from(number & u64::from(u32::MAX)).to_le_bytes(),
            Self::Plain64 | Self::Encrypted(_) => u128::from(number).to_le_bytes(),
            Self::Plain64Be => u128::from(number).to_be_bytes(),
        };
        iv.copy_from_slice(&bytes);
        if let Self::Encrypted(cipher) = self {
            cipher.encrypt(&mut iv);
        }
        iv
    }
}

enum Mode {
    Xts { data: Box<dyn BlockCipher>, tweak: Box<dyn BlockCipher>, iv: Iv },
    Cbc { data: Box<dyn BlockCipher>, iv: Iv },
    Elephant { data: Box<dyn BlockCipher>, iv: Iv, diffuser: Elephant },
}

/// A cipher in its mode, with its key.
pub(super) struct Sectors(Mode);

impl Sectors {
    /// By the name that dm-crypt gives it, as `aes-xts-plain64`.
    pub(super) fn named(spec: &str, key: &[u8]) -> Result<Self, String> {
        let unread = || format!("cipher {} with a key of {} bytes is not read", spec.escape_debug(), key.len());
        let (name, rest) = spec.split_once('-').ok_or_else(unread)?;
        let (mode, iv) = rest.split_once('-').ok_or_else(unread)?;
        let iv = match iv {
            "plain" => Iv::Plain,
            "plain64" => Iv::Plain64,
            "plain64be" => Iv::Plain64Be,
            _ => {
                // Of all of the key, in XTS of both halves.
                let hash = Hash::named(iv.strip_prefix("essiv:").ok_or_else(unread)?)?;
                Iv::Encrypted(block_cipher::named(name, &hash.of(&[key]))?)
            }
        };
        match mode {
            "xts" if key.len().is_multiple_of(2) => {
                let (data, tweak) = key.split_at_checked(key.len() / 2).ok_or_else(unread)?;
                Self::xts(name, data, tweak, iv)
            }
            "cbc" => Ok(Self(Mode::Cbc { data: block_cipher::named(name, key)?, iv })),
            _ => Err(unread()),
        }
    }

    pub(super) fn xts(name: &str, data: &[u8], tweak: &[u8], iv: Iv) -> Result<Self, String> {
        let (data, tweak) = (block_cipher::named(name, data)?, block_cipher::named(name, tweak)?);
        Ok(Self(Mode::Xts { data, tweak, iv }))
    }

    /// AES-CBC whose vector is the byte offset, encrypted with the same key; with the diffuser of Windows Vista and 7
    /// where there is a key for it.
    pub(super) fn bitlocker_cbc(key: &[u8], diffuser: Option<&[u8]>) -> Result<Self, String> {
        let data = block_cipher::named("aes", key)?;
        let iv = Iv::Encrypted(block_cipher::named("aes", key)?);
        Ok(Self(match diffuser {
            Some(key) => Mode::Elephant { data, iv, diffuser: Elephant::new(block_cipher::named("aes", key)?) },
            None => Mode::Cbc { data, iv },
        }))
    }

    /// Decrypts one sector, whose length is a multiple of 16, in place.
    pub(super) fn decrypt(&self, number: u64, sector: &mut [u8]) {
        match &self.0 {
            Mode::Xts { data, tweak, iv } => {
                let mut first = iv.of(number);
                tweak.encrypt(&mut first);
                xts(data.as_ref(), first, blocks(sector));
            }
            Mode::Cbc { data, iv } => cbc(data.as_ref(), iv.of(number), blocks(sector)),
            Mode::Elephant { data, iv, diffuser } => {
                cbc(data.as_ref(), iv.of(number), blocks(sector));
                diffuser.decrypt(number, sector);
            }
        }
    }
}

/// IEEE 1619, 5.4, for whole blocks; the tweak of each block is that of the one before, doubled in GF(2^128).
fn xts(cipher: &dyn BlockCipher, first: Block, blocks: &mut [Block]) {
    let mut tweak = u128::from_le_bytes(first.into());
    let mut tweaks = [0_u128; AT_ONCE];
    let mask = |blocks: &mut [Block], tweaks: &[u128]| {
        for (block, tweak) in blocks.iter_mut().zip(tweaks) {
            *block = (u128::from_le_bytes((*block).into()) ^ tweak).to_le_bytes().into();
        }
    };
    for group in blocks.chunks_mut(AT_ONCE) {
        for place in tweaks.iter_mut().take(group.len()) {
            *place = tweak;
            let carry = if tweak >> 127 == 1 { 0x87 } else { 0 };
            tweak = (tweak << 1) ^ carry;
        }
        mask(group, &tweaks);
        cipher.decrypt(group);
        mask(group, &tweaks);
    }
}

/// NIST SP 800-38A, 6.2.
fn cbc(cipher: &dyn BlockCipher, iv: Block, blocks: &mut [Block]) {
    let mut before = iv;
    let mut kept = [Block::default(); AT_ONCE];
    for group in blocks.chunks_mut(AT_ONCE) {
        for (place, block) in kept.iter_mut().zip(group.iter()) {
            *place = *block;
        }
        cipher.decrypt(group);
        for (block, ciphertext) in group.iter_mut().zip(&kept) {
            for (byte, mask) in block.iter_mut().zip(&before) {
                *byte ^= mask;
            }
            before = *ciphertext;
        }
    }
}

/// Decrypts a run of sectors of 512 bytes that are numbered from 0: the material of a keyslot.
pub(super) fn decrypt_material(sectors: &Sectors, material: &mut [u8]) {
    const SECTOR: usize = 512;
    for (number, sector) in (0_u64..).zip(material.chunks_mut(SECTOR)) {
        // A last piece that is no whole number of blocks would be none of a keyslot's: areas are whole sectors.
        let whole = sector.len().saturating_sub(sector.len() % BLOCK);
        if let Some(sector) = sector.get_mut(..whole) {
            sectors.decrypt(number, sector);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xts_vectors_of_ieee_1619() {
        // Annex B, vectors 2 and 4: 32 bytes with 128-bit keys, the first block of 512 bytes.
        let key = [vec![0x11; 16], vec![0x22; 16]].concat();
        let sectors = Sectors::named("aes-xts-plain64", &key).unwrap();
        let mut data: Vec<u8> = vec![
            0xc4, 0x54, 0x18, 0x5e, 0x6a, 0x16, 0x93, 0x6e, 0x39, 0x33, 0x40, 0x38, 0xac, 0xef, 0x83, 0x8b, 0xfb, 0x18,
            0x6f, 0xff, 0x74, 0x80, 0xad, 0xc4, 0x28, 0x93, 0x82, 0xec, 0xd6, 0xd3, 0x94, 0xf0,
        ];
        sectors.decrypt(0x33_3333_3333, &mut data);
        assert_eq!(data, [0x44; 32]);
    }

    #[test]
    fn what_is_not_read_is_named() {
        for spec in
            ["aes-lrw-benbi", "aes-xts-random", "aes", "aes-cbc-tcw", "cipher_null-ecb", "aes-ecb", "aes-cbc-essiv:md4"]
        {
            let why = Sectors::named(spec, &[0; 32]).err().unwrap();
            assert!(why.contains("is not read"), "{spec}: {why}");
        }
        assert!(Sectors::named("aes-xts-plain64", &[0; 33]).is_err());
        assert!(Sectors::named("cast5-cbc-plain64", &[0; 16]).err().unwrap().contains("cast5"));
    }
}
