//! What protects the volume's master key: a password, a recovery password, a key on a stick, the machine's TPM.
//!
//! Reference: libbde, 5.4 "Volume master key".

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    entry::{self, Entry},
    key_form::KeyForms,
    sealed::Sealed,
};
use crate::{
    field::{array, le16},
    guid,
    volume::crypt::{derive::Secret, keys::Work},
};

/// How often a password is hashed (5.4.4 "Stretch key").
const ROUNDS: u64 = 1 << 20;

/// A protector.
pub(super) struct Protector {
    guid: [u8; 16],
    kind: u16,
    salt: Option<[u8; 16]>,
    sealed: Option<Sealed>,
    /// The key itself, where protection is suspended.
    clear: Option<Secret>,
}

impl Protector {
    pub(super) fn read(entry: &Entry) -> Result<Self, String> {
        let damaged = || "its metadata are damaged: a protector is too short".to_owned();
        let mut protector = Self {
            guid: array(entry.data, 0).ok_or_else(damaged)?,
            kind: le16(entry.data, 26).ok_or_else(damaged)?,
            salt: None,
            sealed: None,
            clear: None,
        };
        for entry in entry::all(entry.data.get(28..).unwrap_or_default()) {
            let entry = entry?;
            match entry.value {
                entry::STRETCH_KEY => protector.salt = array(entry.data, 4),
                entry::SEALED_KEY => protector.sealed = Some(Sealed::read(&entry)?),
                entry::KEY => protector.clear = entry.data.get(4..).map(|key| Zeroizing::new(key.to_vec())),
                _ => {}
            }
        }
        Ok(protector)
    }

    /// What it is, for people, with its id.
    pub(super) fn describe(&self) -> String {
        let what = match self.kind {
            0x0000 => "clear key",
            0x0100 => "TPM",
            0x0200 => "startup key",
            0x0300 => "TPM and startup key",
            0x0500 => "TPM and PIN",
            0x0700 => "TPM, PIN and startup key",
            0x0800 => "recovery password",
            0x1000 => "certificate",
            0x2000 => "password",
            _ => "protector of an unknown kind",
        };
        format!("{what} {{{}}}", guid::given(self.guid).map(guid::guid).unwrap_or_default())
    }

    /// The master key, where it lies open.
    pub(super) fn clear_key(&self) -> Option<Secret> {
        self.sealed.as_ref().filter(|_| self.kind == 0)?.open(self.clear.as_ref()?)
    }

    /// The master key, if one of these keys opens it.
    pub(super) fn unlock(&self, keys: &KeyForms, work: &mut Work) -> Result<Option<Secret>, String> {
        let Some(sealed) = &self.sealed else { return Ok(None) };
        let hashed: Vec<Secret> = match (self.kind, &keys.external) {
            (0x0200, Some(external)) if external.guid == self.guid => return Ok(sealed.open(&external.key)),
            (0x0800, _) => keys.recovery.iter().map(|key| once(key.as_slice())).collect(),
            (0x2000, _) => keys.passwords.iter().map(|password| once(&once(password))).collect(),
            _ => return Ok(None),
        };
        let Some(salt) = &self.salt else { return Ok(None) };
        for hash in hashed {
            work.take(ROUNDS).map_err(|why| format!("{}: {why}", self.describe()))?;
            if let Some(master) = sealed.open(&stretch(&hash, salt)) {
                return Ok(Some(master));
            }
        }
        Ok(None)
    }
}

fn once(bytes: &[u8]) -> Secret {
    Zeroizing::new(Sha256::digest(bytes).to_vec())
}

/// 5.4.4: the hash of the hash before, the hash of the password, the salt and the number of the round.
fn stretch(hash: &[u8], salt: &[u8; 16]) -> Secret {
    let mut last = Sha256::new().finalize();
    last.fill(0);
    for round in 0..ROUNDS {
        last = Sha256::new_with_prefix(last)
            .chain_update(hash)
            .chain_update(salt)
            .chain_update(round.to_le_bytes())
            .finalize();
    }
    Zeroizing::new(last.to_vec())
}
