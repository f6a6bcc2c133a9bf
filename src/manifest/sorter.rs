//! An external merge sort of (key, line) pairs. Each worker has a [`RunWriter`] of its own, which keeps what it is
//! given in memory up to a budget, then sorts it and spills it to a temporary file without a name; [`merge`] reads
//! all their runs as one sorted stream.
//!
//! Pairs are ordered by key, then by line, so that the order does not depend on who pushed what when.

use std::{
    fs::File,
    io::{BufWriter, Seek, Write},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use super::{merge::Merged, write::Counts};
use crate::error::{Error, Result};

/// The least memory a run writer works with, in bytes.
const MEMORY_MIN: usize = 64 << 10;

/// How much is written to a temporary file at once, in bytes.
const WRITE_BUFFER: usize = 256 << 10;

/// Lengths of key and line in front of each pair in a temporary file.
pub(super) const PREFIX: usize = 8;

/// Where run writers spill, and how much memory each may use.
#[derive(Debug, Clone)]
pub struct Sorter {
    dir: PathBuf,
    memory: usize,
}

/// One worker's end of the sort.
#[derive(Debug)]
pub struct RunWriter {
    sorter: Sorter,
    pairs: Pairs,
    in_order: bool,
    file: Option<File>,
    spilled: Vec<Range<u64>>,
    /// The greatest pair that was spilled last: what is pushed in order makes one run, however long.
    last: Option<(Vec<u8>, Vec<u8>)>,
}

/// What a worker pushed, sorted, in memory and on disk.
#[derive(Debug)]
pub struct Runs {
    pub(super) pairs: Pairs,
    pub(super) file: Option<Arc<File>>,
    pub(super) spilled: Vec<Range<u64>>,
    /// How many records there are of each kind, where the pairs are records.
    pub(super) counts: Counts,
}

/// Pairs in memory: their bytes, one behind the other, and where each lies.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    arena: Vec<u8>,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    at: usize,
    key: u32,
    line: u32,
}

impl Sorter {
    /// Spills to `dir`; each run writer keeps at most about `memory` bytes.
    pub fn new(dir: impl Into<PathBuf>, memory: usize) -> Self {
        Self { dir: dir.into(), memory: memory.max(MEMORY_MIN) }
    }

    /// The same place with a share of the memory.
    #[must_use]
    pub fn share(&self, of: usize) -> Self {
        Self::new(self.dir.clone(), self.memory / of.max(1))
    }

    /// How many bytes a run writer keeps at most, about.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// A worker's end.
    #[must_use]
    pub fn writer(&self) -> RunWriter {
        RunWriter {
            sorter: self.clone(),
            pairs: Pairs::default(),
            in_order: true,
            file: None,
            spilled: Vec::new(),
            last: None,
        }
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::State(format!("temporary file in {}: {error}", self.dir.display()))
    }
}

impl RunWriter {
    /// Takes a pair.
    ///
    /// # Errors
    /// When the temporary file cannot be written, or the pair is longer than 4 GiB.
    pub fn push(&mut self, key: &[u8], line: &[u8]) -> Result<()> {
        if self.pairs.memory() + key.len() + line.len() > self.sorter.memory && !self.pairs.slots.is_empty() {
            self.spill()?;
        }
        if let Some(last) = self.pairs.slots.last() {
            self.in_order &= self.pairs.pair(*last) <= (key, line);
        }
        self.pairs.push(key, line)
    }

    /// Hands over what was pushed.
    #[must_use]
    pub fn finish(mut self) -> Runs {
        self.sort();
        Runs { pairs: self.pairs, file: self.file.map(Arc::new), spilled: self.spilled, counts: Counts::default() }
    }

    fn sort(&mut self) {
        if !self.in_order {
            self.pairs.sort();
        }
    }

    fn spill(&mut self) -> Result<()> {
        self.sort();
        let sorter = &self.sorter;
        let failed = |error| sorter.failed(&error);
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile_in(&sorter.dir).map_err(failed)?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let start = file.stream_position().map_err(failed)?;
        let mut writer = BufWriter::with_capacity(WRITE_BUFFER, &mut *file);
        for at in 0..self.pairs.len() {
            let (key, line) = self.pairs.get(at);
            let slot = self.pairs.slots[at];
            writer.write_all(&slot.key.to_le_bytes()).map_err(failed)?;
            writer.write_all(&slot.line.to_le_bytes()).map_err(failed)?;
            writer.write_all(key).and_then(|()| writer.write_all(line)).map_err(failed)?;
        }
        writer.flush().map_err(failed)?;
        drop(writer);
        let end = file.stream_position().map_err(failed)?;

        let first = self.pairs.get(0);
        let goes_on = self.last.as_ref().is_some_and(|(key, line)| (key.as_slice(), line.as_slice()) <= first);
        match self.spilled.last_mut() {
            Some(range) if goes_on => range.end = end,
            _ => self.spilled.push(start..end),
        }
        let (key, line) = self.pairs.get(self.pairs.len() - 1);
        self.last = Some((key.to_vec(), line.to_vec()));
        self.pairs.clear();
        self.in_order = true;
        Ok(())
    }
}

impl Runs {
    /// Whether nothing was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.len() == 0 && self.spilled.is_empty()
    }
}

/// All runs as one sorted stream, which reads its temporary files through `memory` bytes of buffers.
///
/// # Errors
/// When a temporary file cannot be read.
pub fn merge(runs: Vec<Runs>, memory: usize) -> Result<Merged> {
    Merged::new(runs, memory)
}

impl Pairs {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn get(&self, at: usize) -> (&[u8], &[u8]) {
        self.pair(self.slots[at])
    }

    fn memory(&self) -> usize {
        self.arena.len() + self.slots.len() * size_of::<Slot>()
    }

    fn pair(&self, slot: Slot) -> (&[u8], &[u8]) {
        let (key, rest) = self.arena[slot.at..].split_at(slot.key as usize);
        (key, &rest[..slot.line as usize])
    }

    fn push(&mut self, key: &[u8], line: &[u8]) -> Result<()> {
        let (Ok(key_len), Ok(line_len)) = (u32::try_from(key.len()), u32::try_from(line.len())) else {
            return Err(Error::budget("manifest", "a record is longer than 4 GiB"));
        };
        self.slots.push(Slot { at: self.arena.len(), key: key_len, line: line_len });
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(line);
        Ok(())
    }

    fn sort(&mut self) {
        let mut slots = std::mem::take(&mut self.slots);
        slots.sort_unstable_by(|a, b| self.pair(*a).cmp(&self.pair(*b)));
        self.slots = slots;
    }

    fn clear(&mut self) {
        self.arena.clear();
        self.slots.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(runs: Vec<Runs>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut merged = merge(runs, 1 << 20).unwrap();
        let mut pairs = Vec::new();
        while let Some((key, line)) = merged.next().unwrap() {
            pairs.push((key.to_vec(), line.to_vec()));
        }
        pairs
    }

    proptest! {
        #[test]
        fn it_sorts_as_the_standard_library_does(
            pushed in prop::collection::vec((0usize..3, prop::collection::vec(0u8..4, 0..4), 0usize..20_000), 0..60),
        ) {
            let sorter = Sorter::new(std::env::temp_dir(), 0);
            let mut writers = [(); 3].map(|()| sorter.writer());
            let mut expected = Vec::new();
            for (writer, key, len) in pushed {
                let line = vec![b'x'; len];
                writers[writer].push(&key, &line).unwrap();
                expected.push((key, line));
            }
            expected.sort();
            prop_assert_eq!(drain(writers.into_iter().map(RunWriter::finish).collect()), expected);
        }
    }

    #[test]
    fn what_comes_in_order_makes_one_run() {
        let mut writer = Sorter::new(std::env::temp_dir(), 0).writer();
        for at in 0u32..1000 {
            writer.push(&at.to_be_bytes(), &[0; 1000]).unwrap();
        }
        let runs = writer.finish();
        assert_eq!(runs.spilled.len(), 1);
        assert!(runs.spilled[0].end > 900_000);
        assert_eq!(drain(vec![runs]).len(), 1000);
    }
}
