//! Security descriptors on their way into records: many entities share one, which is hashed and decoded once.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{entity::owner_sid, hash};
use crate::{
    error::Fault,
    manifest::{Attribute, Record, Value},
    security::{sddl, sid},
};

/// The longest SDDL that a record holds, in bytes: some three hundred entries for accounts of a domain. Of a longer one it
/// has the hash alone, which tells a change as well.
pub(super) const MAX_SDDL: usize = 32 << 10;
/// Descriptors that one worker keeps, and their bytes with those of what they were decoded to.
const MAX_KEPT: usize = 64 << 10;
const MAX_KEPT_BYTES: usize = 16 << 20;

/// What records say of a descriptor.
pub(super) struct Descriptor {
    sha256: String,
    sddl: Option<String>,
    owner: Option<String>,
    fault: Option<Fault>,
    /// Of the descriptor itself.
    bytes: usize,
}

impl Descriptor {
    /// Decodes one; `sid_names` tells how accounts of the machine are called.
    pub(super) fn decode(descriptor: &[u8], sid_names: &dyn Fn(&str) -> Option<String>) -> Self {
        let (sddl, fault) = match sddl::to_sddl_within(descriptor, MAX_SDDL) {
            Ok(sddl) => (sddl, None),
            Err(error) => (None, Some(error.into())),
        };
        let owner = owner_sid(descriptor).map(|owner| {
            let name = sid::well_known_name(&owner).map(|name| name.into_owned()).or_else(|| sid_names(&owner));
            name.unwrap_or(owner)
        });
        Self { sha256: hash::bytes(descriptor), sddl, owner, fault, bytes: descriptor.len() }
    }

    /// Says it in a record; the text alone where `text` is.
    pub(super) fn describe(&self, record: &mut Record, text: bool, faults: &mut Vec<Fault>) {
        record.set(Attribute::SdSha256, Value::Text(self.sha256.clone()));
        if let Some(sddl) = self.sddl.as_ref().filter(|_| text) {
            record.set(Attribute::Sddl, Value::Text(sddl.clone()));
        }
        if let Some(owner) = &self.owner {
            record.set(Attribute::Owner, Value::Text(owner.clone()));
        }
        faults.extend(self.fault.clone());
    }

    /// The length of its text.
    pub(super) fn sddl_len(&self) -> usize {
        self.sddl.as_ref().map_or(0, String::len)
    }

    /// What it takes in memory.
    fn weight(&self) -> usize {
        self.bytes.saturating_add(self.sddl_len()).saturating_add(256)
    }
}

/// Descriptors that were decoded, by what tells one from others.
pub(super) struct Descriptors<K> {
    kept: HashMap<K, Descriptor>,
    bytes: usize,
}

impl<K> Default for Descriptors<K> {
    fn default() -> Self {
        Self { kept: HashMap::new(), bytes: 0 }
    }
}

impl<K: Eq + Hash> Descriptors<K> {
    /// A descriptor that is kept, or is now; `None` where `decode` gives none. Where there is no room, all others are
    /// forgotten.
    pub(super) fn get(&mut self, key: K, decode: impl FnOnce() -> Option<Descriptor>) -> Option<&Descriptor> {
        if !self.kept.contains_key(&key) {
            let descriptor = decode()?;
            self.bytes = self.bytes.saturating_add(descriptor.weight());
            if self.kept.len() >= MAX_KEPT || self.bytes > MAX_KEPT_BYTES {
                self.kept.clear();
                self.bytes = descriptor.weight();
            }
            return Some(self.kept.entry(key).or_insert(descriptor));
        }
        self.kept.get(&key)
    }
}

/// The bytes of a descriptor that a filesystem hands out to all that share it: told by where they are, and kept, so that
/// nothing else can be there.
pub(super) struct Shared(pub(super) Arc<[u8]>);

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Shared {}

impl Hash for Shared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ptr().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An owner and nothing else ([MS-DTYP] 2.4.6): S-1-5-18.
    fn system() -> Arc<[u8]> {
        let mut bytes = vec![1, 0, 0, 0x80];
        bytes.extend([20, 0, 0, 0].iter().chain(&[0; 12]));
        bytes.extend([1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]);
        bytes.into()
    }

    #[test]
    fn what_many_share_is_decoded_once() {
        let (one, other, mut decoded) = (system(), system(), 0);
        let mut descriptors = Descriptors::default();
        for shared in [&one, &other, &one, &one, &other] {
            let kept = descriptors.get(Shared(Arc::clone(shared)), || {
                decoded += 1;
                Some(Descriptor::decode(shared, &|_| None))
            });
            assert_eq!(kept.unwrap().sddl.as_deref(), Some("O:SY"));
        }
        assert_eq!(decoded, 2);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut descriptors = Descriptors::default();
        for id in 0..100 {
            let bytes = vec![0; 1 << 20];
            descriptors.get(id, || Some(Descriptor::decode(&bytes, &|_| None)));
            assert!(descriptors.kept.contains_key(&id) && descriptors.bytes <= MAX_KEPT_BYTES);
            assert!(descriptors.kept.len() <= 16);
        }
    }
}
