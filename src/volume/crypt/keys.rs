//! The keys that the user gave, and how much work may be put into trying them.
//!
//! Nothing here prints a key: `Debug` and every message know a key by the name of its file alone.

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use crate::field::wide;

/// A key file is not longer than this: what cryptsetup takes as well ("maximum keyfile size").
pub const MAX_KEY_FILE: u64 = 8 << 20;

/// What the header of an encrypted volume, which may be hostile, can make this program do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyLimits {
    /// Memory of one Argon2 derivation, in KiB.
    pub memory: u32,
    /// Rounds of all derivations of one target: a round is one iteration of PBKDF2 for one block of output, or one
    /// KiB that Argon2 fills: a quarter of a microsecond, or one to three.
    pub rounds: u64,
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self { memory: 1 << 20, rounds: 200_000_000 }
    }
}

/// The bytes of one key file.
pub(super) struct KeyFile {
    /// How messages call it.
    pub(super) name: String,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl KeyFile {
    /// What may be the passphrase: all bytes, and all but the newline that an editor left behind.
    pub(super) fn passphrases(&self) -> impl Iterator<Item = &[u8]> {
        let all = self.bytes.as_slice();
        std::iter::once(all).chain(all.strip_suffix(b"\n"))
    }
}

/// The keys that are tried on every encrypted volume of a target. They are wiped from memory when dropped.
#[derive(Clone, Default)]
pub struct Keys {
    files: Vec<Arc<KeyFile>>,
    limits: KeyLimits,
}

impl Keys {
    /// No keys yet.
    #[must_use]
    pub fn new(limits: KeyLimits) -> Self {
        Self { files: Vec::new(), limits }
    }

    /// Adds the bytes of a key file; `name` is what messages call it.
    pub fn add(&mut self, name: impl Into<String>, bytes: Vec<u8>) {
        self.files.push(Arc::new(KeyFile { name: name.into(), bytes: Zeroizing::new(bytes) }));
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (usize, &KeyFile)> {
        self.files.iter().map(Arc::as_ref).enumerate()
    }

    pub(super) fn count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn limits(&self) -> KeyLimits {
        self.limits
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files.iter().map(|file| &file.name)).finish()
    }
}

/// What is left of the limits.
pub(super) struct Work {
    limits: KeyLimits,
    left: u64,
}

impl Work {
    pub(super) fn new(limits: KeyLimits) -> Self {
        Self { limits, left: limits.rounds }
    }

    /// Takes so many rounds, or says that they are not there.
    pub(super) fn take(&mut self, rounds: u64) -> Result<(), String> {
        match self.left.checked_sub(rounds) {
            Some(left) => self.left = left,
            None => {
                return Err(format!(
                    "its key derivation asks for {rounds} rounds, and {} of {} are left (--max-key-rounds)",
                    self.left, self.limits.rounds
                ));
            }
        }
        Ok(())
    }

    /// That Argon2 may have so many KiB.
    pub(super) fn allow_memory(&self, kib: u32) -> Result<(), String> {
        if kib > self.limits.memory {
            return Err(format!(
                "its key derivation asks for {kib} KiB of memory, at most {} are given (--max-key-memory, in MiB)",
                self.limits.memory
            ));
        }
        Ok(())
    }
}

/// The rounds of PBKDF2 for `out` bytes of a hash of `block` bytes.
pub(super) fn pbkdf2_rounds(iterations: u32, out: usize, block: usize) -> u64 {
    u64::from(iterations).saturating_mul(wide(out.div_ceil(block.max(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_name_alone() {
        let mut keys = Keys::default();
        keys.add("a.key", b"secret\n".to_vec());
        assert_eq!(format!("{keys:?}"), "[\"a.key\"]");
        let forms: Vec<_> = keys.files[0].passphrases().map(<[u8]>::to_vec).collect();
        assert_eq!(forms, [b"secret\n".to_vec(), b"secret".to_vec()]);
    }

    #[test]
    fn work_ends() {
        let mut work = Work::new(KeyLimits { memory: 64, rounds: 10 });
        assert!(work.take(6).is_ok() && work.take(5).unwrap_err().contains("--max-key-rounds") && work.take(4).is_ok());
        assert!(work.allow_memory(64).is_ok() && work.allow_memory(65).is_err());
    }
}
