//! Directories: the index `$I30`, whose keys are `$FILE_NAME`s.
//!
//! An 8.3 name that stands beside the long name of the same file is no entry of its own. One that stands alone is:
//! the file can be opened by it. Of the root's system files (`$MFT`, `$Extend` and the others of records 0 to 11)
//! none is handed out.

use std::ops::ControlFlow;

use crate::{
    error::{Error, Fault, Result},
    fs::{DirEntry, Kind, Link, Listed, NodeId},
};

use super::{
    LAYER, UpCase,
    file::File,
    file_name::FileName,
    index::{Index, Walked},
    reader::Reader,
    record::Reference,
    wtf8,
};

/// Record of the root directory.
pub(super) const ROOT: u64 = 5;
/// The last record of the system files with fixed places: `$Extend`.
const LAST_SYSTEM_RECORD: u64 = 11;
const INDEX: &str = "$I30";
/// Names of one directory of which it is remembered that they stand, long and 8.3, to tell lone 8.3 names.
const MAX_NAMES: usize = 4 << 20;
/// Bytes of the 8.3 names among them: one has 90, a forged one up to 576.
const MAX_SHORT_BYTES: usize = 256 << 20;

/// Hands out the entries of a directory.
pub(super) fn list(
    reader: &mut Reader<'_>,
    dir: &File,
    each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>,
) -> Result<()> {
    check_directory(dir)?;
    let index = Index::open(reader.volume, dir, INDEX)?;
    for fault in &dir.faults {
        if each(Listed::Fault(fault.clone())).is_break() {
            return Ok(());
        }
    }
    let mut names = Names::default();
    let flow = index.walk(&mut |walked| {
        let entry = match walked {
            Walked::Entry(entry) => entry,
            Walked::Damage(fault) => return each(Listed::Fault(fault)),
        };
        let reference = Reference(entry.reference());
        let Some(name) = entry.key().and_then(FileName::parse) else {
            return each(Listed::Fault(bad_name(dir, reference)));
        };
        if is_system(dir, reference, &name) {
            return ControlFlow::Continue(());
        }
        if names.is_full() {
            let at = format!("record {}", dir.reference.number());
            let what =
                format!("more than {MAX_NAMES} names, or {MAX_SHORT_BYTES} bytes of 8.3 names; the rest was not read");
            each(Listed::Fault(Fault::new(LAYER, at, what)))?;
            return ControlFlow::Break(());
        }
        if name.is_dos() {
            if let Some(key) = entry.key() {
                names.add_short(reference, key);
            }
            return ControlFlow::Continue(());
        }
        names.long.push(reference);
        hand_out(reader, dir, reference, &name, each)
    });
    if flow.is_break() {
        return Ok(());
    }
    for (reference, key) in names.lone() {
        let name = FileName::parse(key);
        if name.is_some_and(|name| hand_out(reader, dir, *reference, &name, each).is_break()) {
            break;
        }
    }
    Ok(())
}

/// The names of a directory as they come by.
#[derive(Default)]
struct Names {
    long: Vec<Reference>,
    /// 8.3 names with their keys.
    short: Vec<(Reference, Vec<u8>)>,
    short_bytes: usize,
}

impl Names {
    fn is_full(&self) -> bool {
        self.long.len().saturating_add(self.short.len()) >= MAX_NAMES || self.short_bytes >= MAX_SHORT_BYTES
    }

    fn add_short(&mut self, reference: Reference, key: &[u8]) {
        self.short_bytes = self.short_bytes.saturating_add(key.len());
        self.short.push((reference, key.to_vec()));
    }

    /// The 8.3 names of files that have no long name here.
    fn lone(&mut self) -> impl Iterator<Item = &(Reference, Vec<u8>)> {
        self.long.sort_unstable();
        self.short.iter().filter(|(reference, _)| self.long.binary_search(reference).is_err())
    }
}

/// The file behind a name: the one whose name is the same unit for unit, else the first that is the same without
/// case. 8.3 names count, as on Windows. The directory is read from one end to the other, so that a tree in the wrong
/// order hides nothing.
///
/// Beside it stands its long name as it is stored.
pub(super) fn lookup(
    reader: &mut Reader<'_>,
    dir: &File,
    upcase: &UpCase,
    name: &[u8],
) -> Result<Option<(NodeId, Vec<u8>)>> {
    check_directory(dir)?;
    let Some(wanted) = wtf8::decode(name) else { return Ok(None) };
    let index = Index::open(reader.volume, dir, INDEX)?;
    let exact: Vec<u8> = wanted.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let mut found: Option<(Reference, Vec<u8>, bool)> = None;
    let mut damage = None;
    let _ = index.walk(&mut |walked| {
        let entry = match walked {
            Walked::Entry(entry) => entry,
            Walked::Damage(fault) => {
                damage = Some(fault);
                return ControlFlow::Continue(());
            }
        };
        let reference = Reference(entry.reference());
        let Some(candidate) = entry.key().and_then(FileName::parse) else { return ControlFlow::Continue(()) };
        if candidate.raw().len() != exact.len() || is_system(dir, reference, &candidate) {
            return ControlFlow::Continue(());
        }
        let stored = || (reference, wtf8::encode(candidate.units()), candidate.is_dos());
        if candidate.raw() == exact {
            found = Some(stored());
            return ControlFlow::Break(());
        }
        if found.is_none() && candidate.units().zip(&wanted).all(|(a, b)| upcase.fold(a) == upcase.fold(*b)) {
            found = Some(stored());
        }
        ControlFlow::Continue(())
    });
    let Some((reference, stored, is_dos)) = found else {
        // The name may stand in what could not be read.
        return damage.map_or(Ok(None), |fault| Err(Error::corrupt(LAYER, fault.at, fault.error)));
    };
    let long = if is_dos { long_name(reader, dir, reference) } else { None };
    Ok(Some((NodeId::Number(reader.in_full(reference).0), long.unwrap_or(stored))))
}

/// The long name of a file in this directory, beside its 8.3 name.
fn long_name(reader: &mut Reader<'_>, dir: &File, reference: Reference) -> Option<Vec<u8>> {
    let file = reader.file(reference).ok()?;
    let long = file.names().find(|name| !name.is_dos() && name.parent().number() == dir.reference.number())?;
    Some(wtf8::encode(long.units()))
}

fn hand_out(
    reader: &mut Reader<'_>,
    dir: &File,
    reference: Reference,
    name: &FileName<'_>,
    each: &mut dyn FnMut(Listed<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    // A reparse point may be a link: only its record says so.
    let kind =
        if name.is_reparse_point() { None } else { Some(if name.is_directory() { Kind::Dir } else { Kind::File }) };
    let encoded = wtf8::encode(name.units());
    let link = link(reader, dir, reference, name);
    let node = NodeId::Number(reader.in_full(reference).0);
    each(Listed::Entry(DirEntry { name: &encoded, node, kind, link }))
}

/// What the file's own record says of this link: the times in the index follow `$STANDARD_INFORMATION`. They stand in
/// where the record does not have the link.
fn link(reader: &mut Reader<'_>, dir: &File, reference: Reference, name: &FileName<'_>) -> Option<Link> {
    let file = reader.file(reference).ok()?;
    let here = || file.names().filter(|own| own.parent().number() == dir.reference.number());
    let own = here().find(|own| own.raw() == name.raw());
    let times = own.and_then(|own| own.times()).or_else(|| name.times())?;
    // Of several links of a file at most one has an 8.3 name, and its namespace says that it may have one.
    let short = here().find(FileName::is_dos).filter(|_| name.may_have_dos() || name.is_dos());
    let short_name = short.map(|short| String::from_utf16_lossy(&short.units().collect::<Vec<_>>()));
    Some(Link { times, short_name })
}

fn check_directory(dir: &File) -> Result<()> {
    if dir.directory {
        return Ok(());
    }
    Err(Error::corrupt(LAYER, format!("record {}", dir.reference.number()), "expected a directory, found a file"))
}

/// Only what has one of the fixed records and a name of that sort: a file that somebody made does not hide there.
fn is_system(dir: &File, reference: Reference, name: &FileName<'_>) -> bool {
    let named = matches!(name.raw(), [b'$', 0, ..] | [b'.', 0]);
    dir.reference.number() == ROOT && reference.number() <= LAST_SYSTEM_RECORD && named
}

fn bad_name(dir: &File, reference: Reference) -> Fault {
    let at = format!("record {}", dir.reference.number());
    Fault::new(LAYER, at, format!("the index entry of record {} holds no file name", reference.number()))
}

/// Length of the directory's own blocks.
pub(super) fn size(dir: &File) -> u64 {
    let name: Vec<u16> = INDEX.encode_utf16().collect();
    let blocks = dir.all(super::attribute::INDEX_ALLOCATION).find(|a| a.name == name && a.is_first());
    blocks.map_or(0, |blocks| blocks.size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_count_like_long_ones() {
        let mut names = Names { long: vec![Reference(1); MAX_NAMES - 2], ..Names::default() };
        for number in 2..4 {
            assert!(!names.is_full());
            names.add_short(Reference(number), &[0; 90]);
        }
        assert!(names.is_full());
        let mut forged = Names::default();
        forged.add_short(Reference(1), &vec![0; MAX_SHORT_BYTES]);
        assert!(forged.is_full());
    }

    #[test]
    fn a_short_name_beside_a_long_one_is_no_entry() {
        let mut names = Names { long: vec![Reference(3), Reference(1)], ..Names::default() };
        for number in 1..4 {
            names.add_short(Reference(number), &[]);
        }
        assert_eq!(names.lone().map(|(reference, _)| reference.0).collect::<Vec<_>>(), [2]);
    }
}
