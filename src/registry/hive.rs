//! A hive: opening, and reading one key at a time.

use std::ops::ControlFlow;

use super::{
    Key, KeyId, LAYER, MAX_HIVE, NIL, Replay, SecurityId, Value, base_block,
    base_block::BaseBlock,
    cell, error, hive_bin,
    key_node::{HIVE_ENTRY, KeyNode},
    key_security, key_value, name, replay,
    room::{MIN_RECORD, Room, beyond_room},
    subkeys_list,
};
use crate::{
    error::{Error, Fault, Result},
    field::{le32, narrow, slice},
};

/// Keys that one path may lead to: hostile hives can repeat a name.
const MAX_MATCHES: usize = 1_024;
/// Faults that are kept of one look-up.
const MAX_FAULTS: usize = 64;

/// A registry hive in memory, its transaction logs replayed. Immutable, and shared by all threads.
///
/// ```no_run
/// # use snapfim::registry::{Hive, Step, Visitor, KeyPath, Key, Value};
/// # use snapfim::error::{Fault, Result};
/// struct Count(usize);
/// impl Visitor for Count {
///     fn key(&mut self, _: &KeyPath, _: &Key<'_>) -> Step {
///         Step::Into
///     }
///     fn value(&mut self, _: &KeyPath, _: &Value<'_>) {
///         self.0 += 1;
///     }
///     fn fault(&mut self, path: &KeyPath, fault: Fault) {
///         eprintln!("{}: {fault}", String::from_utf8_lossy(path.joined()));
///     }
/// }
/// # fn main() -> Result<()> {
/// # let (bytes, log1, log2) = (Vec::new(), Vec::new(), Vec::new());
/// let hive = Hive::open(bytes, vec![log1, log2])?;
/// let mut count = Count(0);
/// hive.walk(hive.root(), &mut count);
/// # Ok(())
/// # }
/// ```
pub struct Hive {
    bytes: Vec<u8>,
    bins_end: usize,
    minor: u32,
    root: KeyId,
    replay: Replay,
}

impl Hive {
    /// Reads a hive file, bringing it up to date from its transaction logs where it is dirty.
    ///
    /// `logs` are the files beside it in the order `.LOG`, `.LOG1`, `.LOG2`, absent ones left out; empty ones and
    /// stale ones do no harm. Where base block or root are damaged, what can be found is read, and
    /// [`Hive::replay`] notes it.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when there is no root key, [`Error::Unsupported`] for versions before 1.2 and after 1.6,
    /// [`Error::Budget`] for more than [`MAX_HIVE`] bytes, logs included.
    pub fn open(primary: Vec<u8>, logs: Vec<Vec<u8>>) -> Result<Self> {
        let total = logs.iter().fold(primary.len(), |sum, log| sum.saturating_add(log.len()));
        if total > MAX_HIVE {
            return Err(Error::budget(LAYER, format!("hive and logs of {total} bytes: more than {MAX_HIVE}")));
        }
        let mut bytes = primary;
        let mut replay = replay::run(&mut bytes, &logs);
        drop(logs);
        let at = || "base block at 0x0".to_owned();
        let base = BaseBlock::parse(&bytes).filter(|_| bytes.len() > base_block::LEN).ok_or_else(|| {
            Error::corrupt(LAYER, at(), format!("more than {} bytes expected, found {}", base_block::LEN, bytes.len()))
        })?;
        let bins = bytes.get(base_block::LEN..).unwrap_or_default();
        if base.intact {
            base.check_version()?;
        } else if !bins.starts_with(b"hbin") {
            let found = bytes.get(..4).unwrap_or_default().escape_ascii();
            return Err(Error::corrupt(LAYER, at(), format!("regf and its checksum expected, found {found}")));
        }
        let stated = narrow(base.bins_size);
        let cut = base.intact && stated > bins.len();
        if cut {
            replay
                .notes
                .push(format!("the hive is cut: {stated:#x} bytes of hive bins stated, {:#x} found", bins.len()));
        }
        let bins_len = if base.intact && !cut { stated } else { bins.len() };
        let bins = bins.get(..bins_len).unwrap_or_default();
        hive_bin::note_damage(bins, &mut replay);
        let root = find_root(bins, &base, &mut replay)?;
        // A damaged base block may say anything; today's form is the likely one.
        let minor = if base.intact || base.check_version().is_ok() { base.minor } else { 5 };
        Ok(Self { bins_end: base_block::LEN.saturating_add(bins_len), bytes, minor, root, replay })
    }

    /// What was replayed, and what is worth knowing about the file's state.
    #[must_use]
    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// The recovered file, base block and hive bins.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.bins_end).unwrap_or_default()
    }

    /// The minor version, 2 to 6.
    #[must_use]
    pub fn minor_version(&self) -> u32 {
        self.minor
    }

    /// The root key. Its own name is of no use: it is that of a file, or `ROOT`, and not part of any path.
    #[must_use]
    pub fn root(&self) -> KeyId {
        self.root
    }

    pub(super) fn bins(&self) -> &[u8] {
        self.bytes.get(base_block::LEN..self.bins_end).unwrap_or_default()
    }

    /// What is known about a key besides its subkeys and values.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when no key stands there; damage to a part is in [`Key::faults`].
    pub fn key(&self, id: KeyId) -> Result<Key<'_>> {
        Ok(KeyNode::read(self.bins(), id.0)?.key(self.bins()))
    }

    /// A self-relative security descriptor.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it cannot be read.
    pub fn descriptor(&self, id: SecurityId) -> Result<&[u8]> {
        key_security::descriptor(self.bins(), id)
    }

    /// Hands out a key's subkeys in the order of their lists, and faults where a list cannot be read. A hostile
    /// hive may lead back to a key above: only [`Hive::walk`] guards against that.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when no key stands at `id`.
    pub fn subkeys(&self, id: KeyId, each: &mut dyn FnMut(Result<KeyId, Fault>) -> ControlFlow<()>) -> Result<()> {
        self.subkeys_within(id, &mut self.list_budget(), each)
    }

    /// A hive has no room for more keys, or more values, than this.
    pub(super) fn list_budget(&self) -> usize {
        self.bins().len().checked_div(MIN_RECORD).unwrap_or(0)
    }

    pub(super) fn subkeys_within(
        &self,
        id: KeyId,
        budget: &mut usize,
        each: &mut dyn FnMut(Result<KeyId, Fault>) -> ControlFlow<()>,
    ) -> Result<()> {
        let bins = self.bins();
        let node = KeyNode::read(bins, id.0)?;
        let (stated, list) = node.subkeys();
        if stated == 0 {
            if let Some(error) = node.contradiction("subkeys", (stated, list))
                && !subkeys_list::is_empty(bins, list, budget)
            {
                let _ = each(Err(error.into()));
            }
            return Ok(());
        }
        if list == NIL {
            let _ = each(Err(cell::fault(id.0, format!("{stated} subkeys stated, their list points nowhere"))));
            return Ok(());
        }
        let mut found = 0_u64;
        let mut damaged = false;
        let ended = subkeys_list::each(bins, list, budget, &mut |element| {
            match &element {
                Ok(_) => found = found.saturating_add(1),
                Err(_) => damaged = true,
            }
            each(element.map(KeyId))
        });
        if ended.is_continue() && !damaged && found != u64::from(stated) {
            let _ = each(Err(cell::fault(id.0, format!("{stated} subkeys stated, its lists hold {found}"))));
        }
        Ok(())
    }

    /// Hands out a key's values in the order of their list, and faults where a value cannot be read at all;
    /// damage to its name or data is in [`Value::fault`].
    ///
    /// # Errors
    /// [`Error::Corrupt`] when no key stands at `id`.
    pub fn values<'h>(
        &'h self,
        id: KeyId,
        each: &mut dyn FnMut(Result<Value<'h>, Fault>) -> ControlFlow<()>,
    ) -> Result<()> {
        self.values_within(id, (&mut self.room(), 0), each)
    }

    /// What a hive of this size can hand out.
    pub(crate) fn room(&self) -> Room {
        Room::new(self.bins().len())
    }

    /// The same, each value under a path of so many bytes, while there is room.
    pub(super) fn values_within<'h>(
        &'h self,
        id: KeyId,
        (room, path): (&mut Room, usize),
        each: &mut dyn FnMut(Result<Value<'h>, Fault>) -> ControlFlow<()>,
    ) -> Result<()> {
        let bins = self.bins();
        let node = KeyNode::read(bins, id.0)?;
        let (stated, list_at) = node.values();
        if stated == 0 {
            if let Some(error) = node.contradiction("values", (stated, list_at)) {
                let _ = each(Err(error.into()));
            }
            return Ok(());
        }
        let list = match cell::read(bins, list_at, "values list") {
            Ok(list) => list,
            Err(error) => {
                let _ = each(Err(error.into()));
                return Ok(());
            }
        };
        for element in list.chunks_exact(4).take(narrow(stated)) {
            let value = (!room.is_spent()).then(|| key_value::read(bins, self.minor, le32(element, 0).unwrap_or(NIL)));
            let own = |value: &Result<Value<'_>>| {
                value.as_ref().map_or(0, |value| value.name.len().saturating_add(value.data.len()))
            };
            let Some(value) = value.filter(|value| room.take(own(value), path)) else {
                let _ = each(Err(beyond_room(id)));
                return Ok(());
            };
            if each(value.map_err(Fault::from)).is_break() {
                return Ok(());
            }
        }
        let held = list.len().checked_div(4).unwrap_or(0);
        if held < narrow(stated) {
            let what = format!("values list of {stated} elements leaves its cell, which holds {held}");
            let _ = each(Err(cell::fault(list_at, what)));
        }
        Ok(())
    }

    /// All keys at a path below the root, names matched without case. More than one where names repeat or differ
    /// only in case, which Windows forbids and a hostile hive may do.
    ///
    /// # Errors
    /// [`Error::Budget`] when more than 1,024 keys match.
    pub fn find(&self, path: &[&[u8]]) -> Result<Found> {
        let mut found = Found { keys: vec![self.root], faults: Vec::new() };
        for segment in path {
            let mut matches = Vec::new();
            let mut budget = self.list_budget();
            for key in std::mem::take(&mut found.keys) {
                let listed = self.subkeys_within(key, &mut budget, &mut |subkey| {
                    match subkey.and_then(|id| Ok((id, KeyNode::read(self.bins(), id.0)?))) {
                        Ok((id, node)) => {
                            if name::same(&node.name(), segment) && !matches.contains(&id) {
                                matches.push(id);
                            }
                            if let Some(fault) = node.name_fault() {
                                found.add(fault);
                            }
                        }
                        Err(fault) => found.add(fault),
                    }
                    if matches.len() > MAX_MATCHES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                if let Err(error) = listed {
                    found.add(error.into());
                }
                if matches.len() > MAX_MATCHES {
                    return Err(Error::budget(LAYER, format!("more than {MAX_MATCHES} keys at one path")));
                }
            }
            found.keys = matches;
        }
        Ok(found)
    }

    /// The first key at a path below the root, as `Select` or `Microsoft\Windows NT\CurrentVersion`, matched
    /// without case. `None` only where the key is certainly absent.
    ///
    /// # Errors
    /// As [`Hive::find`], and [`Error::Corrupt`] when no key was found and a list on the way could not be read.
    pub fn lookup(&self, path: &str) -> Result<Option<KeyId>> {
        let segments: Vec<&[u8]> = path.split('\\').filter(|name| !name.is_empty()).map(str::as_bytes).collect();
        let found = self.find(&segments)?;
        match (found.keys.first(), found.faults.into_iter().next()) {
            (None, Some(fault)) => Err(error(fault)),
            (key, _) => Ok(key.copied()),
        }
    }

    /// A value of a key by its name, matched without case; the empty name is the unnamed value. `None` only where it is
    /// certainly absent; damage to its data is in [`Value::fault`].
    ///
    /// # Errors
    /// [`Error::Corrupt`] when no key stands at `id`, or no value was found and one of the key's could not be read.
    pub fn value(&self, id: KeyId, name: impl AsRef<[u8]>) -> Result<Option<Value<'_>>> {
        self.value_within(id, name, &mut self.room())
    }

    /// The same, while there is room: one for all keys bounds what keys cost that share a list of values.
    pub(crate) fn value_within(&self, id: KeyId, name: impl AsRef<[u8]>, room: &mut Room) -> Result<Option<Value<'_>>> {
        let (mut found, mut damage) = (None, None);
        self.values_within(id, (room, 0), &mut |value| {
            match value {
                Ok(value) if value.name_is_cut => damage = value.fault,
                Ok(value) if name::same(&value.name, name.as_ref()) => found = Some(value),
                Ok(_) => {}
                Err(fault) => damage = Some(fault),
            }
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        match (found, damage) {
            (None, Some(fault)) => Err(error(fault)),
            (found, _) => Ok(found),
        }
    }
}

/// What a path leads to.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The keys at the path, in the order of the lists.
    pub keys: Vec<KeyId>,
    /// Lists and keys on the way that could not be read, at most 64 of them: where there are any, a key that is
    /// not among `keys` may be there all the same.
    pub faults: Vec<Fault>,
}

impl Found {
    fn add(&mut self, fault: Fault) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }
}

/// The root that the base block names, else the first key that says it is one.
fn find_root(bins: &[u8], base: &BaseBlock, replay: &mut Replay) -> Result<KeyId> {
    let named = KeyNode::read(bins, base.root);
    match named {
        Ok(node) if base.intact || node.flags() & HIVE_ENTRY != 0 => return Ok(KeyId(base.root)),
        _ => {}
    }
    let offsets = (0..u32::try_from(bins.len()).unwrap_or(NIL)).step_by(8);
    let root = offsets.map(KeyId).find(|id| {
        let at = narrow(id.0);
        // A free cell's size is positive: its top bit is not set.
        le32(bins, at).is_some_and(|size| size.cast_signed() < 0)
            && slice(bins, at, 6).is_some_and(|cell| cell.ends_with(b"nk"))
            && KeyNode::read(bins, id.0).is_ok_and(|node| node.flags() & HIVE_ENTRY != 0)
    });
    let Some(root) = root else {
        return Err(named.err().unwrap_or_else(|| cell::corrupt(base.root, "root key expected, found another key")));
    };
    replay.notes.push(format!("the root key was searched for and found in cell {:#x}, not {:#x}", root.0, base.root));
    Ok(root)
}
