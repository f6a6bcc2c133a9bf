//! Keys.
//!
//! \[regf\] "Key node": `nk`; then at offset 2 flags (16 bits), 4 last written (FILETIME), 16 parent, 20 number of
//! subkeys, 28 subkeys list, 36 number of values, 40 values list, 44 key security, 48 class name (32 bits each), 72 length
//! of the name and 74 of the class name in bytes (16 bits each), 76 the name.

use std::borrow::Cow;

use super::{MAX_KEY_NAME, NIL, SecurityId, cell, name};
use crate::{
    error::{Error, Fault, Result},
    field::{le16, le32, le64},
};

const NAME: usize = 76;
/// The root of its hive.
pub(super) const HIVE_ENTRY: u16 = 0x0004;
const SYM_LINK: u16 = 0x0010;
const COMPRESSED_NAME: u16 = 0x0020;
const PREDEFINED_HANDLE: u16 = 0x0040;
/// Predefined handles, as `HKEY_LOCAL_MACHINE`, are numbers from here on; such a key has no values.
const FIRST_HANDLE: u32 = 0x8000_0000;

/// Which key of the hive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(super) u32);

/// What is known about a key besides its subkeys and values.
#[derive(Debug, Clone)]
pub struct Key<'h> {
    /// Which key.
    pub id: KeyId,
    /// The name as WTF-8. Not checked: it may hold a backslash or NUL. Only a root's may be empty.
    pub name: Cow<'h, [u8]>,
    /// When the key itself or one of its values was last written: FILETIME, 100 ns since 1601-01-01 UTC.
    pub last_write: u64,
    /// `KEY_*` bits of the record.
    pub flags: u16,
    /// The class name as WTF-8, where it is whole.
    pub class: Option<Vec<u8>>,
    /// Its security descriptor; see [`Hive::descriptor`](super::Hive::descriptor).
    pub security: Option<SecurityId>,
    /// How many subkeys the record states.
    pub subkeys: u32,
    /// How many values the record states.
    pub values: u32,
    /// What of this record could not be read.
    pub faults: Vec<Fault>,
    /// Whether the name is not whole: then the key that this really is has another name.
    pub name_is_cut: bool,
}

impl Key<'_> {
    /// Whether the key is a link to the key that its value `SymbolicLinkValue` names.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.flags & SYM_LINK != 0
    }
}

/// An `nk` cell whose fixed fields are there, and whose name can be that of a key.
pub(super) struct KeyNode<'h> {
    at: u32,
    record: &'h [u8],
}

impl<'h> KeyNode<'h> {
    pub(super) fn read(bins: &'h [u8], at: u32) -> Result<Self> {
        let record = cell::record(bins, at, b"nk", "key")?;
        if record.len() < NAME {
            return Err(cell::corrupt(at, format!("key: {NAME} bytes expected, found {}", record.len())));
        }
        let node = Self { at, record };
        let characters = name::characters(node.raw_name(), node.is_latin1());
        if characters > MAX_KEY_NAME {
            return Err(cell::corrupt(
                at,
                format!(
                    "key name of {characters} characters: more than {MAX_KEY_NAME}, it and all beneath is not read"
                ),
            ));
        }
        Ok(node)
    }

    fn word(&self, at: usize) -> u32 {
        le32(self.record, at).unwrap_or(0)
    }

    fn half(&self, at: usize) -> u16 {
        le16(self.record, at).unwrap_or(0)
    }

    pub(super) fn flags(&self) -> u16 {
        self.half(2)
    }

    /// The key above, as this record has it; of the root it means nothing.
    pub(super) fn parent(&self) -> u32 {
        self.word(16)
    }

    /// Number of subkeys and where their list is.
    pub(super) fn subkeys(&self) -> (u32, u32) {
        (self.word(20), self.word(28))
    }

    /// Number of values and where their list is.
    pub(super) fn values(&self) -> (u32, u32) {
        let count = self.word(36);
        if self.flags() & PREDEFINED_HANDLE != 0 && count >= FIRST_HANDLE { (0, NIL) } else { (count, self.word(40)) }
    }

    /// Why the record does not tell what is beneath the key: no subkeys or values are stated and yet there is a list
    /// of them. \[regf\] "Key node": the offset of a list means something only where the number is not 0, and Windows
    /// sets both together; so one of the two is damaged.
    pub(super) fn contradiction(&self, what: &str, (stated, list): (u32, u32)) -> Option<Error> {
        (stated == 0 && list != NIL)
            .then(|| cell::corrupt(self.at, format!("no {what} stated, and yet a list of them in cell {list:#x}")))
    }

    /// The name without its fault, for look-ups and listings.
    pub(super) fn name(&self) -> Cow<'h, [u8]> {
        let raw = self.raw_name();
        if self.is_latin1() { name::from_latin1(raw) } else { Cow::Owned(name::from_utf16(raw)) }
    }

    /// Why the name is not whole: it leaves its cell or ends inside a character, and what there is of it is another key's
    /// name; or there is none, which only a root may do without.
    pub(super) fn name_fault(&self) -> Option<Fault> {
        let len = usize::from(self.half(72));
        let what = match len {
            0 => "key name expected, found none".to_owned(),
            _ if self.raw_name().len() < len => {
                format!("key name of {len} bytes leaves its cell, {} bytes", self.record.len())
            }
            _ if !self.is_latin1() && !len.is_multiple_of(2) => {
                format!("key name in UTF-16 of {len} bytes, an odd number")
            }
            _ => return None,
        };
        Some(cell::fault(self.at, what))
    }

    fn is_latin1(&self) -> bool {
        self.flags() & COMPRESSED_NAME != 0
    }

    fn raw_name(&self) -> &'h [u8] {
        let tail = self.record.get(NAME..).unwrap_or_default();
        tail.get(..tail.len().min(self.half(72).into())).unwrap_or_default()
    }

    pub(super) fn key(&self, bins: &'h [u8]) -> Key<'h> {
        // Whoever lists keys knows which one is the root; a key by itself says so.
        let may_be_nameless = self.flags() & HIVE_ENTRY != 0 && self.half(72) == 0;
        let mut faults: Vec<_> = self.name_fault().filter(|_| !may_be_nameless).into_iter().collect();
        let name_is_cut = !faults.is_empty();
        let security = self.word(44);
        let (values, _) = self.values();
        Key {
            id: KeyId(self.at),
            name: self.name(),
            last_write: le64(self.record, 4).unwrap_or(0),
            flags: self.flags(),
            class: self.class(bins, &mut faults),
            security: (security != NIL).then_some(SecurityId(security)),
            subkeys: self.word(20),
            values,
            faults,
            name_is_cut,
        }
    }

    fn class(&self, bins: &[u8], faults: &mut Vec<Fault>) -> Option<Vec<u8>> {
        let (at, len) = (self.word(48), usize::from(self.half(74)));
        if at == NIL || len == 0 {
            return None;
        }
        let leaves =
            |cell: &[u8]| cell::corrupt(at, format!("class name of {len} bytes leaves its cell, {} bytes", cell.len()));
        let class = cell::read(bins, at, "class name").and_then(|cell| cell.get(..len).ok_or_else(|| leaves(cell)));
        class.map(name::from_utf16).map_err(|error| faults.push(error.into())).ok()
    }
}
