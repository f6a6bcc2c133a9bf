//! Values.
//!
//! \[regf\] "Key value": `vk`; then at offset 2 the name's length (16 bits), 4 the data's size, 8 its offset or the
//! data itself, 12 the type (32 bits each), 16 flags (16 bits), 20 the name.

use std::borrow::Cow;

use super::{NIL, big_data, cell, name};
use crate::{
    error::{Fault, Result},
    security::le,
};

const NAME: usize = 20;
/// The data, up to 4 bytes, stands in the offset's place.
const INLINE: u32 = 0x8000_0000;
const INLINE_MAX: usize = 4;
const COMPRESSED_NAME: u16 = 1;
const TOMBSTONE: u16 = 2;
/// Since this version data of more than one segment is big data.
const BIG_DATA_SINCE: u32 = 4;

/// A value of a key, its data not yet interpreted; see [`super::value`] for its text.
#[derive(Debug, Clone)]
pub struct Value<'h> {
    /// The name as WTF-8; empty for the unnamed value, which tools show as `(Default)`.
    pub name: Cow<'h, [u8]>,
    /// `REG_SZ` is 1; any number is possible.
    pub kind: u32,
    /// Length of the data in bytes, as the value states it.
    pub size: u32,
    /// The data, `size` bytes where `fault` is `None`; else what could be read of it, from its start.
    pub data: Cow<'h, [u8]>,
    /// A mark of layered hives that hides a value of the hive below.
    pub tombstone: bool,
    /// Why name or data are not whole.
    pub fault: Option<Fault>,
}

impl Value<'_> {
    /// Whether this is the unnamed value.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.name.is_empty()
    }
}

/// The value of a `vk` cell.
pub(super) fn read(bins: &[u8], minor: u32, at: u32) -> Result<Value<'_>> {
    let record = cell::record(bins, at, b"vk", "value")?;
    let (Some(name_len), Some(size), Some(data_at), Some(kind), Some(flags)) =
        (le::u16(record, 2), le::u32(record, 4), le::u32(record, 8), le::u32(record, 12), le::u16(record, 16))
    else {
        return Err(cell::corrupt(at, format!("value: {NAME} bytes expected, found {}", record.len())));
    };
    let tail = record.get(NAME..).unwrap_or_default();
    let raw = tail.get(..tail.len().min(name_len.into())).unwrap_or_default();
    let cut = (raw.len() < usize::from(name_len))
        .then(|| cell::fault(at, format!("value name of {name_len} bytes leaves its cell, {} bytes", record.len())));
    let name = if flags & COMPRESSED_NAME != 0 { name::from_latin1(raw) } else { Cow::Owned(name::from_utf16(raw)) };
    let stated = size & !INLINE;
    let (data, short) = if size & INLINE != 0 {
        inline(record, at, le::size(stated))
    } else {
        in_cells(bins, minor, data_at, le::size(size))
    };
    let size = if size & INLINE != 0 { stated } else { size };
    Ok(Value { name, kind, size, data, tombstone: flags & TOMBSTONE != 0, fault: cut.or(short) })
}

fn inline(record: &[u8], at: u32, size: usize) -> (Cow<'_, [u8]>, Option<Fault>) {
    let data = le::slice(record, 8, size.min(INLINE_MAX)).unwrap_or_default();
    let fault = (size > INLINE_MAX)
        .then(|| cell::fault(at, format!("value data of {size} bytes in place: at most {INLINE_MAX} expected")));
    (Cow::Borrowed(data), fault)
}

fn in_cells(bins: &[u8], minor: u32, at: u32, size: usize) -> (Cow<'_, [u8]>, Option<Fault>) {
    if size == 0 {
        return (Cow::Borrowed(&[]), None);
    }
    if at == NIL {
        return (Cow::Borrowed(&[]), Some(cell::fault(at, format!("value data of {size} bytes points nowhere"))));
    }
    let record = match cell::read(bins, at, "value data") {
        Ok(record) => record,
        Err(error) => return (Cow::Borrowed(&[]), Some(error.into())),
    };
    if size > big_data::SEGMENT && minor >= BIG_DATA_SINCE && record.starts_with(b"db") {
        let (data, fault) = big_data::read(bins, at, record, size);
        return (Cow::Owned(data), fault);
    }
    let data = record.get(..size.min(record.len())).unwrap_or_default();
    let fault = (data.len() < size)
        .then(|| cell::fault(at, format!("value data of {size} bytes leaves its cell, {} bytes", record.len())));
    (Cow::Borrowed(data), fault)
}
