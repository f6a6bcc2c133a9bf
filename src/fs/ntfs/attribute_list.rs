//! `$ATTRIBUTE_LIST`: which records hold the attributes of a file that one record cannot hold.
//!
//! Reference: ntfs-3g `layout.h` (`ATTR_LIST_ENTRY`).

use crate::{
    error::{Error, Result},
    field::{byte, le16, le32, le64, len16, narrow, slice, units, wide},
    image::Image,
};

use super::{
    LAYER,
    attribute::{Attribute, Form},
    boot_sector::BootSector,
    record::{Record, Reference},
    run_list::RunMap,
};

/// Windows keeps the list below this; it holds 8,192 entries at most.
const MAX_LIST: usize = 256 << 10;
/// Bytes of an entry before its name.
const ENTRY_HEADER: usize = 0x1A;

/// One attribute, or one part of it, and the record that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListEntry {
    pub(super) kind: u32,
    pub(super) name: Vec<u16>,
    pub(super) lowest_vcn: u64,
    pub(super) reference: Reference,
    pub(super) id: u16,
}

/// The entries of a list; the second value says what does not parse, the entries before it stand.
pub(super) fn parse(list: &[u8]) -> (Vec<ListEntry>, Option<String>) {
    let mut entries = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let length = len16(rest, 4).unwrap_or(0);
        let parsed = rest.get(..length).filter(|_| length >= ENTRY_HEADER).and_then(entry);
        let (Some(entry), Some(next)) = (parsed, rest.get(length..)) else {
            let at = list.len().saturating_sub(rest.len());
            return (entries, Some(format!("entry at {at:#x} of {length:#x} bytes does not parse")));
        };
        entries.push(entry);
        rest = next;
    }
    (entries, None)
}

fn entry(bytes: &[u8]) -> Option<ListEntry> {
    let name_len = usize::from(byte(bytes, 6)?).saturating_mul(2);
    let name_at = usize::from(byte(bytes, 7)?);
    let name = if name_len == 0 { &[] } else { slice(bytes, name_at, name_len)? };
    Some(ListEntry {
        kind: le32(bytes, 0)?,
        name: units(name).collect(),
        lowest_vcn: le64(bytes, 8)?,
        reference: Reference(le64(bytes, 0x10)?),
        id: le16(bytes, 0x18)?,
    })
}

/// The bytes of the list attribute of `base`, which is never spread over records itself.
pub(super) fn raw_value(image: &dyn Image, boot: &BootSector, base: &Record, list: &Attribute) -> Result<Vec<u8>> {
    let wrong = |what: String| Error::corrupt(LAYER, format!("attribute list of record {}", base.number), what);
    let size = list.size();
    if size > wide(MAX_LIST) {
        return Err(wrong(format!("{size:#x} bytes, at most {MAX_LIST:#x}")));
    }
    match &list.form {
        Form::Resident(value) => Ok(base.bytes.get(value.clone()).unwrap_or_default().to_vec()),
        Form::NonResident(part) => {
            let mut runs = RunMap::default();
            let pairs = base.bytes.get(part.pairs.clone()).unwrap_or_default();
            runs.extend(part.lowest_vcn, part.end_vcn, pairs, boot.clusters()).map_err(wrong)?;
            let mut value = vec![0; narrow(size)];
            runs.read_at(image, boot.cluster_size, 0, &mut value)?;
            Ok(value)
        }
    }
}

/// Whether a record is the extension that a list means: its sequence number, and the base record that it names.
pub(super) fn check_extension(record: &Record, reference: Reference, base: Reference) -> Result<(), String> {
    if !reference.accepts(record.sequence) {
        return Err(format!(
            "stale reference: sequence {}, the list expects {}",
            record.sequence,
            reference.sequence()
        ));
    }
    if record.base.number() != base.number() || !record.base.accepts(base.sequence()) {
        return Err(format!(
            "it extends record {}:{}, expected {}:{}",
            record.base.number(),
            record.base.sequence(),
            base.number(),
            base.sequence()
        ));
    }
    Ok(())
}
