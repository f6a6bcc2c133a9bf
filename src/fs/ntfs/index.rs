//! B-tree indexes: directories (`$I30`) and the security index (`$SII`).
//!
//! The tree is walked from its root, in the order of its keys. Blocks that `$BITMAP` has in use and the tree does not
//! reach are walked after it, so that damage to a node hides nothing.
//!
//! Reference: ntfs-3g `layout.h` (`INDEX_ROOT`, `INDEX_BLOCK`, `INDEX_HEADER`, `INDEX_ENTRY`).

use std::{collections::HashSet, ops::ControlFlow};

use crate::{
    error::{Error, Fault, Result},
    field::{le16, le64, len16, len32, narrow, slice, wide},
};

use super::{
    LAYER, attribute,
    file::File,
    fixup,
    value::{Clusters, Value},
    volume::Volume,
};

/// Depth of a tree; 2 KiB blocks hold 200 million names in 5.
const MAX_DEPTH: usize = 24;
/// Blocks of one index that are read: 4 GiB at 4 KiB a block.
const MAX_BLOCKS: usize = 1 << 20;
/// Bytes of the bitmap that are read: enough for `MAX_BLOCKS`.
const MAX_BITMAP: usize = MAX_BLOCKS / 8;
/// Bytes of an index that are read in one piece.
const MAX_AT_ONCE: u64 = 4 << 20;
/// Damage that is handed out of one index; behind it the walk ends with a last fault.
const MAX_FAULTS: usize = 256;
/// Where the node's header lies in an index root and in an index block.
const ROOT_HEADER: usize = 0x10;
const BLOCK_HEADER: usize = 0x18;
const MAX_BLOCK_SIZE: usize = 64 << 10;
/// Index VCNs count these where clusters are larger than index blocks.
const SMALL_UNIT: u64 = 512;

const HAS_CHILD: u16 = 1;
const LAST: u16 = 2;

/// One entry, without the end marks.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexEntry<'b> {
    /// 0x00 file reference, or offset and length of data; 0x08 length, 0x0a length of the key, 0x0c flags, 0x10 key.
    bytes: &'b [u8],
}

impl<'b> IndexEntry<'b> {
    /// The first 8 bytes: in a directory, the reference to the file.
    pub(super) fn reference(&self) -> u64 {
        le64(self.bytes, 0).unwrap_or(0)
    }

    pub(super) fn key(&self) -> Option<&'b [u8]> {
        slice(self.bytes, 0x10, len16(self.bytes, 0x0A)?)
    }

    /// What a view index keeps beside the key.
    pub(super) fn data(&self) -> Option<&'b [u8]> {
        slice(self.bytes, len16(self.bytes, 0)?, len16(self.bytes, 2)?)
    }
}

/// What a walk hands out.
pub(super) enum Walked<'b> {
    Entry(IndexEntry<'b>),
    Damage(Fault),
}

type Each<'a> = &'a mut dyn FnMut(Walked<'_>) -> ControlFlow<()>;

/// An index of one file.
pub(super) struct Index<'f> {
    volume: &'f Volume,
    /// The file's record, for messages.
    number: u64,
    root: &'f [u8],
    block_size: usize,
    unit: u64,
    blocks: Option<Clusters>,
    /// The blocks, where they are few.
    at_once: Option<Vec<u8>>,
    in_use: Vec<u8>,
    /// What could not be read when the index was opened.
    damage: Option<Fault>,
}

impl<'f> Index<'f> {
    /// Opens the index `name` of a file.
    pub(super) fn open(volume: &'f Volume, file: &'f File, name: &str) -> Result<Self> {
        let name: Vec<u16> = name.encode_utf16().collect();
        let number = file.reference.number();
        let wrong = |what: &str| Error::corrupt(LAYER, format!("record {number}, index root"), what.to_owned());
        let root = match file.value(volume, attribute::INDEX_ROOT, &name)? {
            Some(Value::Resident(root)) => root,
            Some(Value::Clusters(_)) => return Err(wrong("it is not resident")),
            None => return Err(wrong("it is not there")),
        };
        let block_size = len32(root, 8).ok_or_else(|| wrong("it is cut short"))?;
        if !block_size.is_power_of_two() || !(512..=MAX_BLOCK_SIZE).contains(&block_size) {
            return Err(wrong(&format!(
                "blocks of {block_size} bytes, expected a power of two from 512 to {MAX_BLOCK_SIZE}"
            )));
        }
        let unit = if wide(block_size) < volume.boot.cluster_size { SMALL_UNIT } else { volume.boot.cluster_size };
        let mut index = Self {
            volume,
            number,
            root,
            block_size,
            unit,
            blocks: None,
            at_once: None,
            in_use: Vec::new(),
            damage: None,
        };
        index.damage = index.open_blocks(file, &name).err().map(Fault::from);
        Ok(index)
    }

    fn open_blocks(&mut self, file: &File, name: &[u16]) -> Result<()> {
        if let Some(Value::Clusters(blocks)) = file.value(self.volume, attribute::INDEX_ALLOCATION, name)? {
            if blocks.size <= MAX_AT_ONCE && self.volume.directories.take(blocks.size).is_ok() {
                let mut bytes = vec![0; narrow(blocks.size)];
                self.at_once = blocks.read_at(self.volume, 0, &mut bytes).is_ok().then_some(bytes);
            }
            self.blocks = Some(blocks);
            self.in_use = file.small_value(self.volume, attribute::BITMAP, name, MAX_BITMAP)?.unwrap_or_default();
        }
        Ok(())
    }

    /// Hands out every entry, and faults for what does not parse.
    pub(super) fn walk(&self, each: Each<'_>) -> ControlFlow<()> {
        let mut walk = Walk { index: self, seen: HashSet::new(), faults: 0, each };
        if let Some(damage) = &self.damage {
            walk.hand_out(damage.clone())?;
        }
        walk.node(self.root, ROOT_HEADER, "index root", 0)?;
        walk.unreached()
    }

    fn block(&self, number: u64) -> Result<Vec<u8>> {
        let at = number.saturating_mul(wide(self.block_size));
        let place = || format!("record {}, index block at {at:#x}", self.number);
        let wrong = |what: String| Error::corrupt(LAYER, place(), what);
        let blocks = self.blocks.as_ref().ok_or_else(|| wrong("the index has no blocks".to_owned()))?;
        if at.saturating_add(wide(self.block_size)) > blocks.size {
            return Err(wrong(format!("the blocks end at {:#x}", blocks.size)));
        }
        let kept = self.at_once.as_ref().and_then(|bytes| slice(bytes, narrow(at), self.block_size));
        let mut bytes = match kept {
            Some(bytes) => bytes.to_vec(),
            None => {
                let mut bytes = vec![0; self.block_size];
                blocks.read_at(self.volume, at, &mut bytes)?;
                bytes
            }
        };
        fixup::apply(&mut bytes, b"INDX").map_err(wrong)?;
        let vcn = le64(&bytes, 0x10).unwrap_or(0);
        if vcn.checked_mul(self.unit) != Some(at) {
            return Err(wrong(format!(
                "it says cluster {vcn:#x}, expected {:#x}",
                at.checked_div(self.unit).unwrap_or(0)
            )));
        }
        Ok(bytes)
    }
}

struct Walk<'w, 'f> {
    index: &'w Index<'f>,
    /// Blocks that were visited, by number.
    seen: HashSet<u64>,
    faults: usize,
    each: Each<'w>,
}

impl Walk<'_, '_> {
    /// The entries of a node whose header lies at `header`, each behind its child.
    fn node(&mut self, bytes: &[u8], header: usize, place: &str, depth: usize) -> ControlFlow<()> {
        let bounds = len32(bytes, header).zip(len32(bytes, header.saturating_add(4)));
        let entries = bounds.and_then(|(first, end)| bytes.get(header.checked_add(first)?..header.checked_add(end)?));
        let Some(mut rest) = entries else {
            return self.fault(place, "its entries leave it");
        };
        let mut ended = false;
        loop {
            let length = len16(rest, 8).unwrap_or(0);
            let Some((bytes, next)) = rest.split_at_checked(length).filter(|_| length >= 0x10) else {
                return self.fault(
                    place,
                    &format!("an entry of {length} bytes with {} bytes left, expected an end mark", rest.len()),
                );
            };
            let flags = le16(bytes, 0x0C).unwrap_or(LAST);
            if flags & HAS_CHILD != 0 {
                match length.checked_sub(8).filter(|at| *at >= 0x10).and_then(|at| le64(bytes, at)) {
                    Some(vcn) => self.child(vcn, place, depth)?,
                    None => self.fault(place, "an entry without room for its child")?,
                }
            }
            if flags & LAST == 0 {
                (self.each)(Walked::Entry(IndexEntry { bytes }))?;
            } else if next.is_empty() {
                return ControlFlow::Continue(());
            } else if !ended {
                // One flipped bit makes any entry an end mark: what stands behind it is not given up.
                ended = true;
                self.fault(place, &format!("{} bytes behind the end mark", next.len()))?;
            }
            rest = next;
        }
    }

    fn child(&mut self, vcn: u64, parent: &str, depth: usize) -> ControlFlow<()> {
        let block_size = wide(self.index.block_size);
        let at = vcn.saturating_mul(self.index.unit);
        let number = at.checked_div(block_size).unwrap_or(0);
        if number.checked_mul(block_size) != Some(at) {
            return self.fault(parent, &format!("a child at {at:#x} is not at a block's beginning"));
        }
        if depth >= MAX_DEPTH {
            return self.fault(parent, &format!("deeper than {MAX_DEPTH} levels"));
        }
        if self.seen.len() >= MAX_BLOCKS {
            self.fault(parent, &format!("more than {MAX_BLOCKS} blocks"))?;
            return ControlFlow::Break(());
        }
        if !self.seen.insert(number) {
            return self.fault(parent, &format!("its child at {at:#x} was met before"));
        }
        self.take(parent)?;
        match self.index.block(number) {
            Ok(bytes) => self.node(&bytes, BLOCK_HEADER, &format!("index block at {at:#x}"), depth.saturating_add(1)),
            Err(error) => self.hand_out(error.into()),
        }
    }

    /// Blocks in use that the tree does not reach. Empty ones are common leftovers and mean nothing.
    fn unreached(&mut self) -> ControlFlow<()> {
        let index = self.index;
        let Some(blocks) = &index.blocks else { return ControlFlow::Continue(()) };
        let block_size = wide(index.block_size);
        let count = blocks.size.checked_div(block_size).unwrap_or(0);
        let bits = index.in_use.iter().flat_map(|byte| (0..8_u32).map(move |bit| byte >> bit & 1 == 1));
        for (number, _) in (0..count).zip(bits).filter(|(_, used)| *used) {
            if self.seen.contains(&number) || blocks.is_hole(number.saturating_mul(block_size), block_size) {
                continue;
            }
            let place = format!("index block at {:#x}", number.saturating_mul(block_size));
            self.take(&place)?;
            let bytes = match index.block(number) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.hand_out(error.into())?;
                    continue;
                }
            };
            if has_entries(&bytes) {
                self.fault(&place, "it is in use and the tree does not reach it")?;
                self.seen.insert(number);
                self.node(&bytes, BLOCK_HEADER, &place, 0)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Counts the block that is read next.
    fn take(&mut self, place: &str) -> ControlFlow<()> {
        let Err(what) = self.index.volume.directories.take(wide(self.index.block_size)) else {
            return ControlFlow::Continue(());
        };
        self.fault(place, &what)?;
        ControlFlow::Break(())
    }

    fn fault(&mut self, place: &str, what: &str) -> ControlFlow<()> {
        self.hand_out(Fault::new(LAYER, format!("record {}, {place}", self.index.number), what))
    }

    fn hand_out(&mut self, fault: Fault) -> ControlFlow<()> {
        self.faults = self.faults.saturating_add(1);
        (self.each)(Walked::Damage(fault))?;
        if self.faults < MAX_FAULTS {
            return ControlFlow::Continue(());
        }
        let at = format!("record {}", self.index.number);
        (self.each)(Walked::Damage(Fault::new(
            LAYER,
            at,
            format!("more than {MAX_FAULTS} faults; the rest of the index was not read"),
        )))?;
        ControlFlow::Break(())
    }
}

/// Whether a block holds more than an end mark.
fn has_entries(block: &[u8]) -> bool {
    let entries = || {
        let (first, end) = (len32(block, BLOCK_HEADER)?, len32(block, BLOCK_HEADER.checked_add(4)?)?);
        block.get(first.checked_add(BLOCK_HEADER)?..end.checked_add(BLOCK_HEADER)?)
    };
    entries().is_none_or(|entries| {
        le16(entries, 0x0C).is_none_or(|flags| flags & LAST == 0) || len16(entries, 8) != Some(entries.len())
    })
}
