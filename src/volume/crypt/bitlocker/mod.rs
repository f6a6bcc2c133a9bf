//! BitLocker as Windows 7 and later write it. In comes the image of a volume, out comes what its metadata say: which
//! cipher, where the metadata lie, and with what the volume's key is protected.
//!
//! Reference: J. Metz, "BitLocker Drive Encryption (BDE) format" (libbde), whose sections are cited.

mod block;
mod entry;
mod key_form;
mod layout;
mod protector;
mod sealed;

use std::sync::Arc;

use self::{block::Block, key_form::KeyForms, protector::Protector, sealed::Sealed};
use super::{
    Opened,
    derive::Secret,
    keys::{Keys, Work},
    sectors::{Iv, Sectors},
};
use crate::{field::wide, image::Image};

/// What the metadata of a volume say.
pub(super) struct Metadata {
    method: Method,
    block: Block,
    protectors: Vec<Protector>,
    /// The key of the volume's data, sealed with its master key.
    data_key: Sealed,
}

/// How the data are encrypted (5.3, "Encryption methods").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Cbc128Diffuser,
    Cbc256Diffuser,
    Cbc128,
    Cbc256,
    Xts128,
    Xts256,
}

impl Method {
    fn of(number: u16) -> Result<Self, String> {
        Ok(match number {
            0x8000 => Self::Cbc128Diffuser,
            0x8001 => Self::Cbc256Diffuser,
            0x8002 => Self::Cbc128,
            0x8003 => Self::Cbc256,
            0x8004 => Self::Xts128,
            0x8005 => Self::Xts256,
            other => return Err(format!("encryption method {other:#06x} is not read")),
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cbc128Diffuser => "AES-CBC 128 with diffuser",
            Self::Cbc256Diffuser => "AES-CBC 256 with diffuser",
            Self::Cbc128 => "AES-CBC 128",
            Self::Cbc256 => "AES-CBC 256",
            Self::Xts128 => "AES-XTS 128",
            Self::Xts256 => "AES-XTS 256",
        }
    }

    /// The cipher with this key (5.6 "FVEK"): with the diffuser each of two keys has a place of 32 bytes.
    fn sectors(self, key: &[u8]) -> Result<Sectors, String> {
        let part = |from: usize, len: usize| {
            let part = key.get(from..).and_then(|key| key.get(..len));
            part.ok_or_else(|| format!("its key has {} bytes, too few for {}", key.len(), self.name()))
        };
        match self {
            Self::Cbc128Diffuser => Sectors::bitlocker_cbc(part(0, 16)?, Some(part(32, 16)?)),
            Self::Cbc256Diffuser => Sectors::bitlocker_cbc(part(0, 32)?, Some(part(32, 32)?)),
            Self::Cbc128 => Sectors::bitlocker_cbc(part(0, 16)?, None),
            Self::Cbc256 => Sectors::bitlocker_cbc(part(0, 32)?, None),
            Self::Xts128 => Sectors::xts("aes", part(0, 16)?, part(16, 16)?, Iv::Plain64),
            Self::Xts256 => Sectors::xts("aes", part(0, 32)?, part(32, 32)?, Iv::Plain64),
        }
    }

    /// So many bytes further on, the number from which the vector is made is one more: CBC takes the byte offset.
    fn iv_step(self, sector: usize) -> u64 {
        match self {
            Self::Xts128 | Self::Xts256 => wide(sector),
            _ => 1,
        }
    }
}

impl Metadata {
    /// Reads the metadata, or says what is wrong with them or not read.
    pub(super) fn read(image: &dyn Image) -> Result<Self, String> {
        let (block, bytes) = block::read(image)?;
        let method = Method::of(block.method)?;
        let mut protectors = Vec::new();
        let mut data_key = None;
        let mut header = None;
        for entry in entry::all(&bytes) {
            let entry = entry?;
            match entry.kind {
                entry::VMK => protectors.push(Protector::read(&entry)?),
                entry::FVEK if data_key.is_none() => data_key = Some(Sealed::read(&entry)?),
                entry::VOLUME_HEADER if header.is_none() => header = block::header_place(&entry),
                _ => {}
            }
        }
        let block = Block { header: header.unwrap_or(block.header), ..block };
        let data_key = data_key.ok_or_else(|| "its metadata have no key of the data".to_owned())?;
        Ok(Self { method, block, protectors, data_key })
    }

    /// `BitLocker, AES-XTS 128`.
    pub(super) fn describe(&self) -> String {
        format!("BitLocker, {}", self.method.name())
    }

    /// The protectors, for people.
    fn protectors(&self) -> String {
        let names: Vec<String> = self.protectors.iter().map(Protector::describe).collect();
        if names.is_empty() { "no protector".to_owned() } else { names.join(", ") }
    }

    /// Opens the volume with the key that lies beside it where protection is suspended, else tries every key on every
    /// protector.
    pub(super) fn open(&self, image: &Arc<dyn Image>, keys: &Keys, work: &mut Work) -> Result<Opened, String> {
        let mut wrong: Vec<String> = Vec::new();
        for protector in &self.protectors {
            if let Some(master) = protector.clear_key() {
                return self.opened(image, &master, "its clear key: protection is suspended".to_owned(), None);
            }
        }
        for (number, file) in keys.files() {
            let forms = KeyForms::of(file);
            for protector in &self.protectors {
                match protector.unlock(&forms, work) {
                    Ok(Some(master)) => return self.opened(image, &master, protector.describe(), Some(number)),
                    Ok(None) => {}
                    Err(why) => {
                        if !wrong.contains(&why) {
                            wrong.push(why);
                        }
                    }
                }
            }
        }
        let protectors = self.protectors();
        let mut why = match keys.count() {
            0 => format!("give a key with --key-file; it has {protectors}"),
            keys => format!("--key-file: none of {keys} opens it; it has {protectors}"),
        };
        for other in wrong {
            why.push_str("; ");
            why.push_str(&other);
        }
        Err(why)
    }

    fn opened(
        &self,
        image: &Arc<dyn Image>,
        master: &Secret,
        how: String,
        key: Option<usize>,
    ) -> Result<Opened, String> {
        let data_key =
            self.data_key.open(master).ok_or_else(|| "its master key does not open the key of its data".to_owned())?;
        let sectors = self.method.sectors(&data_key)?;
        let iv_step = self.method.iv_step(self.block.sector);
        let image = layout::decrypted(image, &self.block, sectors, iv_step)?;
        Ok(Opened { image, how, key })
    }
}
