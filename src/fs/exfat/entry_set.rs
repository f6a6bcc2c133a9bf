//! A file's directory entries: one that says what it is (7.4), one that says where (7.6), and its name (7.7), all
//! under one checksum (6.3.3).
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | type: bit 7: in use, 6: secondary, 5: may be ignored when unknown |
//! | | | file: |
//! | 1 | 1 | number of entries that follow |
//! | 2 | 2 | checksum |
//! | 4 | 2 | attributes |
//! | 8, 12, 16 | 4 each | creation, last write, last access |
//! | 20, 21 | 1, 1 | hundredths of a second of the first two |
//! | 22, 23, 24 | 1 each | their offsets from UTC |
//! | | | stream extension: |
//! | 1 | 1 | flags |
//! | 3 | 1 | length of the name in units |
//! | 8 | 8 | bytes that have been written |
//! | 20 | 4 | first cluster |
//! | 24 | 8 | length in bytes |
//! | | | name: |
//! | 2 | 30 | 15 units |

use super::{LAYER, MAX_DIRECTORY, checksum::sum16};
use crate::{
    error::Fault,
    field::{byte, le16, le32, le64, units},
    fs::{
        Times, Timestamp,
        clusters::{Chain, Dir, Source, dos_timestamp},
        wtf8,
    },
};

/// The directory ends here: no system looks further, and behind it all entries are such (6.2.1).
pub(super) const END: u8 = 0;
pub(super) const BITMAP: u8 = 0x81;
pub(super) const UPCASE: u8 = 0x82;
pub(super) const LABEL: u8 = 0x83;
pub(super) const FILE: u8 = 0x85;
const STREAM: u8 = 0xc0;
const NAME: u8 = 0xc1;

pub(super) const IN_USE: u8 = 0x80;
const SECONDARY: u8 = 0x40;
const BENIGN: u8 = 0x20;

pub(super) const DIRECTORY: u16 = 0x10;

/// Flags of a stream extension (6.3.4): clusters may belong to it; they follow one another.
const ALLOCATION_POSSIBLE: u8 = 1;
const NO_FAT_CHAIN: u8 = 2;

/// Units of a name in one entry.
const UNITS: usize = 15;

/// A file's entries, in order: the file's own, the stream extension, the name, others.
#[derive(Debug, Clone)]
pub(super) struct EntrySet {
    /// Where the first one lies on the volume, in bytes.
    pub(super) offset: u64,
    slots: Vec<[u8; 32]>,
    /// The name in WTF-8.
    pub(super) name: Vec<u8>,
}

impl EntrySet {
    /// Puts a set together; the error says why it is none.
    pub(super) fn new(offset: u64, slots: Vec<[u8; 32]>) -> Result<Self, Fault> {
        let broken = |what: String| Fault::new(LAYER, place(offset), what);
        let types: Vec<u8> = slots.iter().filter_map(|slot| byte(slot, 0)).collect();
        let named = types.iter().skip(2).take_while(|&&kind| kind == NAME).count();
        let mut set = Self { offset, slots, name: Vec::new() };
        let units: Vec<u16> = set.units().collect();
        match *types.as_slice() {
            [FILE, STREAM, ..] => {}
            [FILE, other, ..] => return Err(broken(format!("expected a stream extension, found type {other:#04x}"))),
            _ => return Err(broken("no file".to_owned())),
        }
        let len = usize::from(set.stream_byte(3));
        let name = units.get(..len).filter(|name| !name.is_empty()).ok_or_else(|| {
            broken(format!("its name has {len} units, and {named} entries of {UNITS} units each to hold it"))
        })?;
        set.name = wtf8::encode(name.iter().copied());
        if set.name == b"." || set.name == b".." {
            return Err(broken("its name is `.` or `..`".to_owned()));
        }
        Ok(set)
    }

    /// All units that its entries have room for.
    fn units(&self) -> impl Iterator<Item = u16> {
        let names = self.slots.iter().skip(2).take_while(|slot| byte(*slot, 0) == Some(NAME));
        names.flat_map(|slot| units(slot.get(2..).unwrap_or_default()))
    }

    fn slot(&self, index: usize) -> &[u8] {
        self.slots.get(index).map_or(&[], <[u8; 32]>::as_slice)
    }

    fn stream_byte(&self, at: usize) -> u8 {
        byte(self.slot(1), at).unwrap_or_default()
    }

    pub(super) fn attributes(&self) -> u16 {
        le16(self.slot(0), 4).unwrap_or_default()
    }

    pub(super) fn is_dir(&self) -> bool {
        self.attributes() & DIRECTORY != 0
    }

    /// Length of the file in bytes.
    pub(super) fn len(&self) -> u64 {
        le64(self.slot(1), 24).unwrap_or_default()
    }

    fn written(&self) -> u64 {
        le64(self.slot(1), 8).unwrap_or_default()
    }

    /// Where the content is.
    pub(super) fn chain(&self) -> Chain {
        Chain {
            first: le32(self.slot(1), 20).unwrap_or_default(),
            len: self.len(),
            written: self.written(),
            // Without the other flag this one means nothing; Linux then goes by the FAT.
            contiguous: self.stream_byte(1) & (ALLOCATION_POSSIBLE | NO_FAT_CHAIN)
                == ALLOCATION_POSSIBLE | NO_FAT_CHAIN,
        }
    }

    /// The directory that it is.
    pub(super) fn source(&self) -> Source {
        let Chain { first, len, contiguous, .. } = self.chain();
        let dir = if contiguous { Dir::Contiguous { first, len } } else { Dir::Chain { first, len: Some(len) } };
        Source { dir, max: MAX_DIRECTORY }
    }

    pub(super) fn times(&self) -> Times {
        let file = self.slot(0);
        let time = |at: usize, hundredths: Option<usize>, offset: usize| {
            let hundredths = hundredths.and_then(|at| byte(file, at)).unwrap_or_default();
            timestamp(le16(file, at)?, le16(file, at.checked_add(2)?)?, hundredths, byte(file, offset)?)
        };
        Times { mtime: time(12, Some(21), 23), ctime: None, crtime: time(8, Some(20), 22), atime: time(16, None, 24) }
    }

    /// What in the set contradicts itself, while the rest of it holds.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::from_iter(self.wrong_checksum());
        let mut fault = |what: String| faults.push(Fault::new(LAYER, place(self.offset), what));
        let (len, written) = (self.len(), self.written());
        if written > len || self.is_dir() && written != len {
            fault(format!("{written} bytes of {len} are said to have been written"));
        }
        if self.is_dir() && len > MAX_DIRECTORY {
            fault(format!("a directory of {len} bytes; it has at most {MAX_DIRECTORY}"));
        }
        if len > 0 && self.stream_byte(1) & ALLOCATION_POSSIBLE == 0 {
            fault(format!("it has {len} bytes, and says that no clusters can belong to it"));
        }
        // Linux reads names up to the first zero, Windows as far as their length says.
        let name_len = usize::from(self.stream_byte(3));
        let mut units = self.units();
        if units.by_ref().take(name_len).any(|unit| unit == 0) || units.any(|unit| unit != 0) {
            fault(format!("its name does not end after the {name_len} units that it says"));
        }
        let unknown =
            self.slots.iter().skip(2).filter_map(|slot| byte(slot, 0)).find(|&kind| kind != NAME && kind & BENIGN == 0);
        if let Some(kind) = unknown {
            fault(format!("an entry of the unknown type {kind:#04x}, which must not be ignored"));
        }
        faults
    }

    /// That the checksum (6.3.3) does not hold. It is over the name as well, which may be another one then.
    pub(super) fn wrong_checksum(&self) -> Option<Fault> {
        let (stated, found) = (le16(self.slot(0), 2).unwrap_or_default(), self.checksum());
        let what = || format!("expected the checksum {stated:#06x}, found {found:#06x}");
        (stated != found).then(|| Fault::new(LAYER, place(self.offset), what()))
    }

    fn checksum(&self) -> u16 {
        let bytes = self.slots.as_flattened().iter().enumerate();
        // The sum itself is left out.
        sum16(bytes.filter(|(at, _)| !matches!(at, 2 | 3)).map(|(_, &byte)| byte))
    }
}

fn place(offset: u64) -> String {
    format!("entry set at {offset:#x}")
}

/// Local time and its offset from UTC in quarters of an hour, a signed number of 7 bits under a bit that says whether
/// there is one (7.4.10). Without it the time is taken as UTC.
fn timestamp(time: u16, date: u16, hundredths: u8, offset: u8) -> Option<Timestamp> {
    const VALID: u8 = 0x80;
    let local = dos_timestamp(date, time, hundredths)?;
    let quarters = match offset & 0x7f {
        _ if offset & VALID == 0 => 0,
        negative @ 0x40.. => i64::from(negative).checked_sub(0x80)?,
        positive => i64::from(positive),
    };
    let seconds = local.seconds.checked_sub(quarters.checked_mul(15 * 60)?)?;
    Some(Timestamp { seconds, ..local })
}

/// What a slot leads to.
pub(super) enum Told {
    /// Nothing yet, or nothing at all.
    Nothing,
    /// The directory ends.
    End,
    /// A file's last entry.
    Set(EntrySet),
    /// An entry of the volume, which belongs into the root directory.
    System,
    /// What makes no sense here.
    Fault(Fault),
}

/// Puts sets together from the slots of a directory.
#[derive(Default)]
pub(super) struct Sets {
    /// The entries so far of the file that is being gathered.
    slots: Vec<[u8; 32]>,
    /// Where the first of them lies.
    offset: u64,
    /// Secondary entries that belong to an entry which is ignored.
    ignored: u8,
}

impl Sets {
    /// Takes the next slot. The fault is of a set that it breaks off.
    pub(super) fn push(&mut self, offset: u64, slot: &[u8; 32]) -> (Option<Fault>, Told) {
        let (kind, count) = (byte(slot, 0).unwrap_or_default(), byte(slot, 1).unwrap_or_default());
        let secondary = kind & (IN_USE | SECONDARY) == IN_USE | SECONDARY;
        if secondary && !self.slots.is_empty() {
            self.slots.push(*slot);
            return (None, self.whole());
        }
        let broken = self.interrupt();
        if secondary {
            let told = match self.ignored.checked_sub(1) {
                Some(left) => {
                    self.ignored = left;
                    Told::Nothing
                }
                None => {
                    // Said once for those that follow.
                    self.ignored = u8::MAX;
                    fault(offset, format!("an entry of type {kind:#04x} that belongs to no other"))
                }
            };
            return (broken, told);
        }
        self.ignored = 0;
        let told = match kind {
            END => Told::End,
            FILE => {
                self.slots.push(*slot);
                self.offset = offset;
                self.whole()
            }
            BITMAP | UPCASE | LABEL => Told::System,
            _ if kind & IN_USE == 0 => Told::Nothing,
            _ if kind & BENIGN != 0 => {
                self.ignored = count;
                Told::Nothing
            }
            _ => fault(offset, format!("an entry of the unknown type {kind:#04x}, which must not be ignored")),
        };
        (broken, told)
    }

    /// The set, when all of its entries are there.
    fn whole(&mut self) -> Told {
        let count = self.slots.first().and_then(|slot| byte(slot, 1)).map_or(0, usize::from);
        if self.slots.len() <= count {
            return Told::Nothing;
        }
        match EntrySet::new(self.offset, std::mem::take(&mut self.slots)) {
            Ok(set) => Told::Set(set),
            Err(fault) => Told::Fault(fault),
        }
    }

    /// The row of slots ends; the fault is of a set that is not whole.
    pub(super) fn interrupt(&mut self) -> Option<Fault> {
        let slots = std::mem::take(&mut self.slots);
        let count = slots.first().and_then(|slot| byte(slot, 1))?;
        let there = slots.len().saturating_sub(1);
        Some(Fault::new(LAYER, place(self.offset), format!("{count} entries are to follow the file's, found {there}")))
    }
}

fn fault(offset: u64, what: String) -> Told {
    Told::Fault(Fault::new(LAYER, format!("entry at {offset:#x}"), what))
}
