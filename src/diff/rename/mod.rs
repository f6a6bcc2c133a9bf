//! Renames: which deleted and which created entity are the same one under another path.
//!
//! Four ways, each with what the one before has left: one deleted and one created entity of equal kind with the same
//! id on the same volume (`unique.rs`), or where there are no ids, as in the registry and on FAT, with the same path
//! but for its case; one deleted and one created file with the same content, not empty; and equal places beneath a
//! renamed directory or key, or on a renamed file for its streams (`moved.rs`). What lies beneath a renamed directory or
//! key and is unchanged is counted, not listed; what should lie there and is hidden by a fault is lost, and not deleted.
//!
//! A key under another name is one deleted and one created: it has no id, and what it holds is not its content.

mod moved;
mod unique;

use moved::Moves;
use unique::{Match, unique};

use super::{
    change::ChangeKind,
    compare::Compared,
    draft::Draft,
    outbox::{Outbox, waited},
};
use crate::{
    error::Result,
    manifest::{Attribute, Kind, RunWriter, Runs, Sorter, json::Raw, sorter},
    text::fold::fold,
};

/// Entities that one side only has, until all are known.
#[derive(Debug)]
pub(super) struct Candidates {
    waiting: RunWriter,
    /// The new side's faults, which may hide what moved along with a renamed directory.
    faults: RunWriter,
    faulty: bool,
    deleted: u64,
    created: u64,
    key: Vec<u8>,
    bytes: Vec<u8>,
}

impl Candidates {
    pub(super) fn new(sorter: &Sorter) -> Self {
        let (waiting, faults) = (sorter.writer(), sorter.writer());
        Self { waiting, faults, faulty: false, deleted: 0, created: 0, key: Vec::new(), bytes: Vec::new() }
    }

    /// A fault of the new side.
    pub(super) fn fault(&mut self, line: &[u8]) -> Result<()> {
        self.faulty = true;
        moved::place(line, moved::SEEN, &mut self.key)?;
        Draft::new(ChangeKind::Unreadable, None, Some(line)).encode(&mut self.bytes);
        self.faults.push(&self.key, &self.bytes)
    }

    pub(super) fn push(&mut self, draft: &Draft<'_>) -> Result<()> {
        match draft.kind {
            ChangeKind::Deleted => self.deleted += 1,
            _ => self.created += 1,
        }
        self.key.clear();
        draft.output_key(&mut self.key)?;
        draft.encode(&mut self.bytes);
        self.waiting.push(&self.key, &self.bytes)
    }

    /// Matches the candidates and puts what comes of them into the outbox, or hands them back as they are where
    /// nothing can match; and how many entities moved along with each owner.
    pub(super) fn finish(
        self,
        sorter: &Sorter,
        compared: &mut Compared<'_>,
        outbox: &mut Outbox,
    ) -> Result<(Vec<Runs>, Vec<u64>)> {
        let waiting = self.waiting.finish();
        if self.deleted == 0 || self.created == 0 {
            return Ok((vec![waiting], Vec::new()));
        }
        let (mut by_identity, mut by_content) = (sorter.writer(), sorter.writer());
        let faults = self.faulty.then(|| self.faults.finish());
        let mut moves = Moves::new(sorter, faults);
        let mut waiting = sorter::merge(vec![waiting], sorter.memory())?;
        while let Some((_, bytes)) = waiting.next()? {
            by_identity.push(&identity_key(&Draft::decode(bytes)?.raw()?)?, bytes)?;
        }
        drop(waiting);
        let mut bytes = Vec::new();
        unique(by_identity.finish(), sorter.memory(), &mut |found| match found {
            Match::Pair(old, new) => moves.pair(&old, &new),
            Match::Single(draft) => match content_key(&draft.raw()?) {
                Some(key) => {
                    draft.encode(&mut bytes);
                    by_content.push(&key, &bytes)
                }
                None => moves.single(&draft),
            },
        })?;
        unique(by_content.finish(), sorter.memory(), &mut |found| match found {
            Match::Pair(old, new) => moves.pair(&old, &new),
            Match::Single(draft) => moves.single(&draft),
        })?;
        let moved_along = moves.finish(compared, outbox)?;
        Ok((Vec::new(), moved_along))
    }
}

/// What only the same entity shares: kind, volume, and its id; where it has none, its path and name without case.
fn identity_key(raw: &Raw<'_>) -> Result<Vec<u8>> {
    let mut key = vec![raw.head.kind as u8];
    key.extend_from_slice(raw.get(Attribute::Volume).map(|field| field.json).unwrap_or_default());
    key.push(0);
    if let Some(id) = raw.get(Attribute::Id) {
        key.extend_from_slice(id.json);
        if !id.json.contains(&b':') {
            // A number alone, of a directory of this host, is soon another file's: its time of birth tells them apart.
            key.push(0);
            key.extend_from_slice(raw.get(Attribute::Crtime).map(|field| field.json).unwrap_or_default());
        }
        return Ok(key);
    }
    let (mut path, mut name) = (Vec::new(), Vec::new());
    raw.head.path(&mut path).and_then(|()| raw.head.name(&mut name)).map_err(waited)?;
    for part in [path, name] {
        key.push(0);
        key.extend_from_slice(&fold(&part));
    }
    Ok(key)
}

/// The content of a file that has some: length and hash.
fn content_key(raw: &Raw<'_>) -> Option<Vec<u8>> {
    let (size, sha256) = (raw.get(Attribute::Size)?.json, raw.get(Attribute::Sha256)?.json);
    (raw.head.kind == Kind::File && size != b"0").then(|| [sha256, size].concat())
}
