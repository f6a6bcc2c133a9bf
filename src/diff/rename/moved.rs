//! What moves along with a renamed directory or file.

use super::super::{
    ancestors::{Ancestors, separator},
    change::ChangeKind,
    compare::{Compared, compare, overlay},
    cover::{Cover, Parts},
    cursor::JoinKey,
    draft::Draft,
    outbox::{Outbox, head_key, waited},
};
use crate::{
    error::{Error, Result},
    manifest::{
        Class, RunWriter, Runs, Sorter,
        json::{self, Head, Raw},
        sorter::merge,
    },
};

/// How many entities of the same name, deleted beneath a renamed directory, wait for created ones.
const WAITING_MAX: usize = 4096;

/// Which side of an equal place comes first, and what only tells what was seen there.
const DELETED: u8 = 0;
const CREATED: u8 = 1;
pub(super) const SEEN: u8 = 2;

/// Renamed pairs, and what is deleted or created besides.
#[derive(Debug)]
pub(super) struct Moves {
    sorter: Sorter,
    /// Pairs and deleted entities, by their old path.
    by_old: RunWriter,
    /// Created entities, and deleted ones by the path to which they should have moved; where there are faults, also
    /// what was renamed.
    by_new: RunWriter,
    /// The faults of the new side, if there are any.
    faults: Option<Runs>,
    bytes: Vec<u8>,
    key: Vec<u8>,
}

/// Where an old path led.
#[derive(Debug)]
struct Mapping {
    new: Vec<u8>,
    owner: u32,
}

impl Moves {
    pub(super) fn new(sorter: &Sorter, faults: Option<Runs>) -> Self {
        let (by_old, by_new) = (sorter.writer(), sorter.writer());
        Self { sorter: sorter.clone(), by_old, by_new, faults, bytes: Vec::new(), key: Vec::new() }
    }

    pub(super) fn pair(&mut self, old: &Draft<'_>, new: &Draft<'_>) -> Result<()> {
        self.push_old(&pair_of(old, new))
    }

    pub(super) fn single(&mut self, draft: &Draft<'_>) -> Result<()> {
        match draft.kind {
            ChangeKind::Deleted => self.push_old(draft),
            _ => self.push_new(draft, CREATED),
        }
    }

    /// Lets a draft wait at the place of its new side.
    fn push_new(&mut self, draft: &Draft<'_>, side: u8) -> Result<()> {
        place(draft.new.unwrap_or_default(), side, &mut self.key)?;
        draft.encode(&mut self.bytes);
        self.by_new.push(&self.key, &self.bytes)
    }

    fn push_old(&mut self, draft: &Draft<'_>) -> Result<()> {
        self.key.clear();
        head_key(&Head::of(draft.old.unwrap_or_default()).map_err(waited)?, &mut self.key).map_err(waited)?;
        draft.encode(&mut self.bytes);
        self.by_old.push(&self.key, &self.bytes)
    }

    /// Puts all into the outbox; how many entities moved along with each owner.
    pub(super) fn finish(mut self, compared: &mut Compared<'_>, outbox: &mut Outbox) -> Result<Vec<u64>> {
        let mut settle = Settle { compared, outbox, moved_along: Vec::new() };
        let by_old = std::mem::replace(&mut self.by_old, self.sorter.writer());
        let mut pairs = merge(vec![by_old.finish()], self.sorter.memory())?;
        let mut above: Ancestors<Mapping> = Ancestors::default();
        let (mut old_path, mut new_path) = (Vec::new(), Vec::new());
        while let Some((_, bytes)) = pairs.next()? {
            let draft = Draft::decode(bytes)?;
            let head = Head::of(draft.old.unwrap_or_default()).map_err(waited)?;
            old_path.clear();
            head.path(&mut old_path).map_err(waited)?;
            let expected =
                above.nearest(&old_path).map(|(len, mapping)| (translate(&mapping.new, &old_path, len), mapping.owner));
            let Some(new) = draft.new else {
                match expected {
                    Some((path, owner)) => self.push_expected(path, &Draft { owner: Some(owner), ..draft })?,
                    None => settle.outbox.change(&draft)?,
                }
                continue;
            };
            new_path.clear();
            Head::of(new).and_then(|head| head.path(&mut new_path)).map_err(waited)?;
            let with = expected.filter(|(path, _)| *path == new_path).map(|(_, owner)| owner);
            let owner = settle.renamed(&draft, with)?;
            if self.faults.is_some() {
                self.push_new(&Draft::new(ChangeKind::Renamed, None, Some(new)), SEEN)?;
            }
            // Nothing lies beneath a stream or value; what stands at its path is beneath its file or key.
            if matches!(head.kind.class(), Class::File | Class::Key) {
                above.push(&old_path, Mapping { new: new_path.clone(), owner });
            }
        }
        drop(pairs);
        self.equal_places(&mut settle)?;
        Ok(settle.moved_along)
    }

    /// A deleted entity whose directory or file was renamed: it should stand at `path` now, and waits as if it did.
    fn push_expected(&mut self, path: Vec<u8>, draft: &Draft<'_>) -> Result<()> {
        let mut record = json::decode(draft.old.unwrap_or_default()).map_err(waited)?;
        record.path = path;
        let mut line = Vec::new();
        json::encode(&record, &mut line);
        self.push_new(&Draft { new: Some(&line), ..*draft }, DELETED)
    }

    fn equal_places(self, settle: &mut Settle<'_, '_>) -> Result<()> {
        let runs = std::iter::once(self.by_new.finish()).chain(self.faults).collect();
        let mut places = merge(runs, self.sorter.memory())?;
        let mut cover = Cover::default();
        let mut place = Vec::new();
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        while let Some((key, bytes)) = places.next()? {
            let here = key.split_last().map(|(_, place)| place).unwrap_or_default();
            if here != place {
                settle.deleted(&mut waiting, &mut cover)?;
                here.clone_into(&mut place);
            }
            let draft = Draft::decode(bytes)?;
            if draft.kind != ChangeKind::Deleted {
                see(&draft, &mut cover)?;
            }
            if matches!(draft.kind, ChangeKind::Unreadable | ChangeKind::Renamed) {
                continue;
            }
            if draft.kind == ChangeKind::Deleted {
                if waiting.len() >= WAITING_MAX {
                    settle.deleted(&mut waiting, &mut cover)?;
                }
                waiting.push(bytes.to_vec());
                continue;
            }
            let kind = draft.raw()?.head.kind;
            let mut same = None;
            for (at, bytes) in waiting.iter().enumerate() {
                if Draft::decode(bytes)?.raw()?.head.kind == kind {
                    same = Some(at);
                    break;
                }
            }
            match same.map(|at| waiting.remove(at)) {
                Some(bytes) => {
                    let old = Draft::decode(&bytes)?;
                    settle.renamed(&pair_of(&old, &draft), old.owner)?;
                }
                None => settle.outbox.change(&draft)?,
            }
        }
        settle.deleted(&mut waiting, &mut cover)
    }
}

/// Decides whether a pair is listed.
struct Settle<'a, 'c> {
    compared: &'a mut Compared<'c>,
    outbox: &'a mut Outbox,
    moved_along: Vec<u64>,
}

impl Settle<'_, '_> {
    /// A renamed pair, which moved along `with` an owner where it is unchanged. Its own owner, for what lies beneath.
    fn renamed(&mut self, draft: &Draft<'_>, with: Option<u32>) -> Result<u32> {
        let old = Raw::of(draft.old.unwrap_or_default()).map_err(waited)?;
        let new = draft.raw()?;
        let set = self.compared.of(&old, &new).map_err(waited)?;
        let comparison = compare((&old, Parts::NONE), (&new, draft.parts), set);
        if let Some(owner) = with
            && !comparison.is_change()
            && comparison.missing.is_empty()
        {
            if let Some(count) = self.moved_along.get_mut(owner as usize) {
                *count += 1;
            }
            return Ok(owner);
        }
        if !comparison.missing.is_empty() {
            self.outbox.carry(&overlay(&old, &new, draft.parts).map_err(waited)?)?;
            let unreadable = Draft { fields: comparison.missing, ..*draft };
            self.outbox.change(&Draft { kind: ChangeKind::Unreadable, ..unreadable })?;
        }
        let owner = u32::try_from(self.moved_along.len())
            .map_err(|_| Error::budget("diff", "more than 2³² entities were renamed"))?;
        self.moved_along.push(0);
        self.outbox.change(&Draft { fields: comparison.fields, owner: Some(owner), ..*draft })?;
        Ok(owner)
    }

    /// What did not move along is deleted, or where it should stand a fault hides it: then it is lost, and is carried
    /// at that place, where it is looked for in the nights after.
    fn deleted(&mut self, waiting: &mut Vec<Vec<u8>>, cover: &mut Cover) -> Result<()> {
        for bytes in waiting.drain(..) {
            let draft = Draft { owner: None, ..Draft::decode(&bytes)? };
            let moved = draft.new.unwrap_or_default();
            match cover.hides(&join_key(moved)?, false) {
                Some(fault) => {
                    self.outbox.change(&Draft::new(ChangeKind::Unreadable, Some(moved), Some(fault)))?;
                    self.outbox.carry(&json::decode(moved).map_err(waited)?)?;
                }
                None => self.outbox.change(&Draft { new: None, ..draft })?,
            }
        }
        Ok(())
    }
}

/// Tells of a fault, or of an entity that was seen.
fn see(draft: &Draft<'_>, cover: &mut Cover) -> Result<()> {
    let line = draft.new.unwrap_or_default();
    let key = join_key(line)?;
    match draft.kind {
        ChangeKind::Unreadable => cover.fault(&key, line).map_err(waited)?,
        _ => cover.present(&key),
    }
    Ok(())
}

fn join_key(line: &[u8]) -> Result<JoinKey> {
    let head = Head::of(line).map_err(waited)?;
    let mut key = JoinKey { class: head.kind.class(), ..JoinKey::first() };
    head.path(&mut key.path).and_then(|()| head.name(&mut key.name)).map_err(waited)?;
    Ok(key)
}

/// Replaces `key` by the place that a line is about, and what it is there.
pub(super) fn place(line: &[u8], side: u8, key: &mut Vec<u8>) -> Result<()> {
    key.clear();
    Head::of(line).and_then(|head| head_key(&head, key)).map_err(waited)?;
    key.push(side);
    Ok(())
}

fn pair_of<'a>(old: &Draft<'a>, new: &Draft<'a>) -> Draft<'a> {
    let draft = Draft::new(ChangeKind::Renamed, old.old, new.new);
    Draft { parts: new.parts, fault: new.fault, owner_changed: new.owner_changed, ..draft }
}

/// The path beneath the new name of a directory, whose old name was the first `len` bytes of the old path.
fn translate(new: &[u8], old: &[u8], len: usize) -> Vec<u8> {
    let (from, to) = (separator(old), separator(new));
    let beneath = old[len..].strip_prefix(&[from]).unwrap_or(&old[len..]);
    let mut path = new.to_vec();
    if beneath.is_empty() {
        return path;
    }
    if path.last() != Some(&to) {
        path.push(to);
    }
    path.extend(beneath.iter().map(|byte| if *byte == from { to } else { *byte }));
    path
}
