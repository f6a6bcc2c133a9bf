//! Where changes and carried records wait until all is known, in the order in which they go out.

use super::{
    change::ChangeKind,
    draft::Draft,
    input::{Output, Summary},
};
use crate::{
    error::{Error, Result},
    manifest::{
        Record, RunWriter, Runs, Sorter,
        json::{self, Head, Malformed},
        key, sorter,
    },
};

/// Changes of entities and records to carry.
#[derive(Debug)]
pub(super) struct Outbox {
    changes: RunWriter,
    carried: RunWriter,
    key: Vec<u8>,
    bytes: Vec<u8>,
}

impl Outbox {
    pub(super) fn new(sorter: &Sorter) -> Self {
        Self { changes: sorter.writer(), carried: sorter.writer(), key: Vec::new(), bytes: Vec::new() }
    }

    pub(super) fn change(&mut self, draft: &Draft<'_>) -> Result<()> {
        self.key.clear();
        draft.output_key(&mut self.key)?;
        draft.encode(&mut self.bytes);
        self.changes.push(&self.key, &self.bytes)
    }

    pub(super) fn carry(&mut self, record: &Record) -> Result<()> {
        self.bytes.clear();
        json::encode(record, &mut self.bytes);
        self.key.clear();
        key::encode(&record.key(), &mut self.key);
        self.carried.push(&self.key, &self.bytes)
    }

    /// Hands everything out, with the changes that wait in `others` among its own.
    pub(super) fn finish(
        self,
        others: Vec<Runs>,
        moved_along: &[u64],
        memory: usize,
        out: &mut dyn Output,
        summary: &mut Summary,
    ) -> Result<()> {
        let mut runs = others;
        runs.push(self.changes.finish());
        let mut changes = sorter::merge(runs, memory)?;
        while let Some((_, bytes)) = changes.next()? {
            let draft = Draft::decode(bytes)?;
            let along = draft.owner.and_then(|owner| moved_along.get(owner as usize)).copied().unwrap_or(0);
            summary.moved_along += along;
            *match draft.kind {
                ChangeKind::Created => &mut summary.created,
                ChangeKind::Modified => &mut summary.modified,
                ChangeKind::Renamed => &mut summary.renamed,
                ChangeKind::Deleted => &mut summary.deleted,
                ChangeKind::Unreadable => &mut summary.unreadable,
            } += 1;
            out.change(draft.finish(along)?)?;
        }
        drop(changes);
        let mut carried = sorter::merge(vec![self.carried.finish()], memory)?;
        while let Some((_, line)) = carried.next()? {
            summary.carried += 1;
            out.carry(json::decode(line).map_err(waited)?)?;
        }
        Ok(())
    }
}

/// Appends path, class and name as they sort.
pub(super) fn head_key(head: &Head<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut name = Vec::new();
    head.path(&mut name)?;
    key::encode_name(&name, out);
    out.push(head.kind.class() as u8);
    name.clear();
    head.name(&mut name)?;
    key::encode_name(&name, out);
    Ok(())
}

/// The error of a line that was read once before.
pub(super) fn waited(Malformed(what): Malformed) -> Error {
    Error::State(format!("a manifest is damaged: {what}"))
}
