//! Values.
//!
//! \[regf\] "Key value": `vk`; then at offset 2 the name's length (16 bits), 4 the data's size, 8 its offset or the
//! data itself, 12 the type (32 bits each), 16 flags (16 bits), 20 the name.

use std::borrow::Cow;

use super::{MAX_VALUE_NAME, NIL, big_data, cell, name};
use crate::{
    error::{Fault, Result},
    field::{le16, le32, narrow, slice},
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
    /// Whether the name is not whole: then the value that this really is has another name.
    pub name_is_cut: bool,
}

impl Value<'_> {
    /// The value, where neither its name nor its data is cut.
    ///
    /// # Errors
    /// [`Value::fault`], where there is one.
    pub fn whole(self) -> Result<Self, Fault> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self),
        }
    }

    /// Whether this is the unnamed value.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.name.is_empty()
    }
}

/// A `vk` cell whose fixed fields are there, and whose name can be that of a value.
struct ValueRecord<'h> {
    at: u32,
    record: &'h [u8],
    name_len: u16,
    size: u32,
    data: u32,
    kind: u32,
    flags: u16,
}

impl<'h> ValueRecord<'h> {
    fn parse(bins: &'h [u8], at: u32) -> Result<Self> {
        let record = cell::record(bins, at, b"vk", "value")?;
        let fields = || {
            Some(Self {
                at,
                record,
                name_len: le16(record, 2)?,
                size: le32(record, 4)?,
                data: le32(record, 8)?,
                kind: le32(record, 12)?,
                flags: le16(record, 16)?,
            })
        };
        let value = fields()
            .ok_or_else(|| cell::corrupt(at, format!("value: {NAME} bytes expected, found {}", record.len())))?;
        let characters = name::characters(value.raw_name(), value.is_latin1());
        if characters > MAX_VALUE_NAME {
            let what = format!("value name of {characters} characters: more than {MAX_VALUE_NAME}, it is not read");
            return Err(cell::corrupt(at, what));
        }
        Ok(value)
    }

    fn is_latin1(&self) -> bool {
        self.flags & COMPRESSED_NAME != 0
    }

    /// As much of the name as there is.
    fn raw_name(&self) -> &'h [u8] {
        let tail = self.record.get(NAME..).unwrap_or_default();
        tail.get(..self.name_len.into()).unwrap_or(tail)
    }

    /// As much of the name as there is, and why it is not whole.
    fn name(&self) -> (Cow<'h, [u8]>, Option<Fault>) {
        let (raw, len) = (self.raw_name(), usize::from(self.name_len));
        let cut = match (raw.len() < len, self.is_latin1()) {
            (true, _) => Some(format!("value name of {len} bytes leaves its cell, {} bytes", self.record.len())),
            (_, false) if !len.is_multiple_of(2) => Some(format!("value name in UTF-16 of {len} bytes, an odd number")),
            _ => None,
        };
        let cut = cut.map(|what| cell::fault(self.at, what));
        (if self.is_latin1() { name::from_latin1(raw) } else { Cow::Owned(name::from_utf16(raw)) }, cut)
    }
}

/// The value of a `vk` cell.
pub(super) fn read(bins: &[u8], minor: u32, at: u32) -> Result<Value<'_>> {
    let record = ValueRecord::parse(bins, at)?;
    let (name, cut) = record.name();
    let is_inline = record.size & INLINE != 0;
    let size = if is_inline { record.size & !INLINE } else { record.size };
    let (data, short) = if is_inline {
        inline(record.record, at, narrow(size))
    } else {
        in_cells(bins, minor, record.data, narrow(size))
    };
    let tombstone = record.flags & TOMBSTONE != 0;
    let name_is_cut = cut.is_some();
    Ok(Value { name, kind: record.kind, size, data, tombstone, fault: cut.or(short), name_is_cut })
}

fn inline(record: &[u8], at: u32, size: usize) -> (Cow<'_, [u8]>, Option<Fault>) {
    let data = slice(record, 8, size.min(INLINE_MAX)).unwrap_or_default();
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
