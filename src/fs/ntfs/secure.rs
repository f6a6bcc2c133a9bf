//! `$Secure`: the security descriptors of the volume, each stored once and found by its id.
//!
//! Reference: ntfs-3g `layout.h` (`SDS_ENTRY`, `SII_INDEX_KEY`, `SECURITY_DESCRIPTOR_HEADER`).

use std::{collections::HashMap, ops::ControlFlow, sync::Arc};

use crate::{
    error::{Error, Result},
    field::{le32, le64, len32, narrow, slice, wide},
};

use super::{
    LAYER, attribute,
    index::{Index, Walked},
    reader::Reader,
    record::Reference,
    value::Value,
};

/// Record of `$Secure`.
const RECORD: u64 = 9;
/// Descriptors that are indexed; a Windows installation has some thousands.
const MAX_DESCRIPTORS: usize = 1 << 20;
/// Bytes of a descriptor: two ACLs of 64 KiB, two SIDs and the header.
const MAX_DESCRIPTOR: usize = 0x2_0000 + 0x200;
/// Bytes before the descriptor in `$SDS`: hash, id, offset, length.
const ENTRY_HEADER: usize = 20;
/// Each 256 KiB of `$SDS` are followed by a copy.
const COPY_DISTANCE: u64 = 256 << 10;
/// Descriptors that one worker keeps, and their bytes.
const MAX_KEPT: usize = 4096;
const MAX_KEPT_BYTES: usize = 16 << 20;

/// Where each descriptor is.
pub(super) struct Secure {
    places: HashMap<u32, (u64, u32)>,
    /// What could not be read of the index.
    damage: Option<String>,
}

impl Secure {
    /// Reads the index `$SII`.
    pub(super) fn load(reader: &mut Reader<'_>) -> Self {
        let mut secure = Self { places: HashMap::new(), damage: None };
        if let Err(error) = secure.read_index(reader) {
            secure.damage = Some(error.to_string());
        }
        secure
    }

    fn read_index(&mut self, reader: &mut Reader<'_>) -> Result<()> {
        let file = reader.file(Reference(RECORD))?;
        let index = Index::open(reader.volume, &file, "$SII")?;
        let _ = index.walk(&mut |walked| {
            match walked {
                Walked::Damage(fault) => self.damage = Some(fault.to_string()),
                Walked::Entry(_) if self.places.len() >= MAX_DESCRIPTORS => {
                    self.damage = Some(format!("more than {MAX_DESCRIPTORS} descriptors"));
                    return ControlFlow::Break(());
                }
                Walked::Entry(entry) => {
                    let id = entry.key().and_then(|key| le32(key, 0));
                    let place = entry.data().and_then(|data| Some((le64(data, 8)?, le32(data, 16)?)));
                    self.places.extend(id.zip(place));
                }
            }
            ControlFlow::Continue(())
        });
        Ok(())
    }

    fn read(&self, reader: &mut Reader<'_>, id: u32) -> Result<Arc<[u8]>> {
        let wrong = |what: String| Error::corrupt(LAYER, format!("security descriptor {id}"), what);
        let Some((at, len)) = self.places.get(&id).copied() else {
            let why = self.damage.as_ref().map(|damage| format!(" ({damage})")).unwrap_or_default();
            return Err(wrong(format!("its id is not in $SII{why}")));
        };
        let len = narrow(len);
        if !(ENTRY_HEADER..=MAX_DESCRIPTOR.saturating_add(ENTRY_HEADER)).contains(&len) {
            return Err(wrong(format!("{len} bytes, expected {ENTRY_HEADER} to {MAX_DESCRIPTOR}")));
        }
        let file = reader.file(Reference(RECORD))?;
        let name: Vec<u16> = "$SDS".encode_utf16().collect();
        let value = file.value(reader.volume, attribute::DATA, &name)?;
        let mut bytes = vec![0; len];
        for place in [at, at.saturating_add(COPY_DISTANCE)] {
            match &value {
                Some(Value::Clusters(sds)) if place.saturating_add(wide(len)) <= sds.size => {
                    sds.read_at(reader.volume, place, &mut bytes)?;
                }
                Some(Value::Resident(sds)) => match slice(sds, narrow(place), len) {
                    Some(entry) => bytes.copy_from_slice(entry),
                    None => continue,
                },
                _ => continue,
            }
            let header = (le32(&bytes, 4), le64(&bytes, 8), len32(&bytes, 16));
            let descriptor = bytes.get(ENTRY_HEADER..).unwrap_or_default();
            if header == (Some(id), Some(at), Some(len)) && le32(&bytes, 0) == Some(hash(descriptor)) {
                return Ok(Arc::from(descriptor));
            }
        }
        Err(wrong(format!("$SDS at {at:#x} and its copy do not hold it")))
    }
}

/// The hash that `$SDS` keeps beside each descriptor.
fn hash(descriptor: &[u8]) -> u32 {
    let words = descriptor.chunks_exact(4).filter_map(|word| le32(word, 0));
    words.fold(0, |hash: u32, word| hash.rotate_left(3).wrapping_add(word))
}

/// One worker's descriptors, shared between the nodes that have the same one.
#[derive(Default)]
pub(super) struct Descriptors {
    kept: HashMap<u32, Arc<[u8]>>,
    bytes: usize,
}

impl Descriptors {
    /// The descriptor with this id.
    pub(super) fn get(&mut self, secure: &Secure, reader: &mut Reader<'_>, id: u32) -> Result<Arc<[u8]>> {
        if let Some(descriptor) = self.kept.get(&id) {
            return Ok(Arc::clone(descriptor));
        }
        let descriptor = secure.read(reader, id)?;
        self.keep(id, Arc::clone(&descriptor));
        Ok(descriptor)
    }

    /// Keeps a descriptor that is not kept yet; where there is no room, all others are forgotten.
    fn keep(&mut self, id: u32, descriptor: Arc<[u8]>) {
        self.bytes = self.bytes.saturating_add(descriptor.len());
        if self.kept.len() >= MAX_KEPT || self.bytes > MAX_KEPT_BYTES {
            self.kept.clear();
            self.bytes = descriptor.len();
        }
        self.kept.insert(id, descriptor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_descriptors_are_bounded_by_their_bytes() {
        let mut descriptors = Descriptors::default();
        let mut most = 0;
        for id in 0..300 {
            descriptors.keep(id, vec![0; MAX_DESCRIPTOR].into());
            let held = descriptors.kept.values().map(|descriptor| descriptor.len()).sum();
            assert!(descriptors.kept.contains_key(&id) && held == descriptors.bytes);
            most = most.max(held);
        }
        assert!((MAX_KEPT_BYTES - MAX_DESCRIPTOR..=MAX_KEPT_BYTES).contains(&most), "{most} bytes");
        for id in 300..10_000 {
            descriptors.keep(id, [0; 20].into());
            assert!(descriptors.kept.len() <= MAX_KEPT);
        }
    }
}
