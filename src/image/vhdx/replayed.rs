//! A file as it will be when its log has been written to it: the log's writes lie over it in memory.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    error::Result,
    field::{narrow, wide},
    image::{
        Image, Run, RunKind,
        mapped::{Layered, Origin},
        past_end,
    },
};

/// Writes that a log has yet to do; they do not overlap.
#[derive(Default)]
pub(super) struct Replay {
    /// By their first byte: the byte behind their last, and what is written.
    writes: BTreeMap<u64, (u64, Write)>,
    length: u64,
    entries: usize,
}

/// What is written: data, and how much of it was cut off at its front; or zeros.
#[derive(Clone)]
enum Write {
    Zeros,
    Data(Arc<[u8]>, u64),
}

impl Replay {
    /// How many entries were taken, if any were.
    pub(super) fn entries(&self) -> Option<usize> {
        (self.entries > 0).then_some(self.entries)
    }

    pub(super) fn count(&mut self) {
        self.entries = self.entries.saturating_add(1);
    }

    /// The file has at least this length.
    pub(super) fn grow(&mut self, length: u64) {
        self.length = self.length.max(length);
    }

    pub(super) fn zero(&mut self, at: u64, len: u64) {
        self.put(at, at.saturating_add(len), Write::Zeros);
    }

    pub(super) fn write(&mut self, at: u64, bytes: Vec<u8>) {
        self.put(at, at.saturating_add(wide(bytes.len())), Write::Data(bytes.into(), 0));
    }

    /// Puts a write over all earlier ones, of which it cuts off what it covers.
    fn put(&mut self, start: u64, end: u64, write: Write) {
        let covered: Vec<(u64, u64, Write)> = self
            .writes
            .range(..end)
            .rev()
            .take_while(|(_, (last, _))| *last > start)
            .map(|(first, (last, write))| (*first, *last, write.clone()))
            .collect();
        for (first, last, before) in covered {
            self.writes.remove(&first);
            if first < start {
                self.writes.insert(first, (start, before.clone()));
            }
            if last > end {
                let cut = end.saturating_sub(first);
                let rest = match before {
                    Write::Zeros => Write::Zeros,
                    Write::Data(bytes, skip) => Write::Data(bytes, skip.saturating_add(cut)),
                };
                self.writes.insert(end, (last, rest));
            }
        }
        if end > start {
            self.writes.insert(start, (end, write));
        }
    }

    /// `file` with the writes over it.
    pub(super) fn over(self, file: Arc<dyn Layered>) -> Arc<dyn Layered> {
        if self.writes.is_empty() && self.length <= file.len() {
            return file;
        }
        Arc::new(Replayed { replay: self, file })
    }
}

struct Replayed {
    replay: Replay,
    file: Arc<dyn Layered>,
}

impl Replayed {
    /// What lies at `offset`, none being the file itself, and up to where.
    fn piece(&self, offset: u64) -> (Option<(u64, &Write)>, u64) {
        let before = self.replay.writes.range(..=offset).next_back();
        if let Some((first, (end, write))) = before.filter(|(_, (end, _))| *end > offset) {
            return (Some((offset.saturating_sub(*first), write)), *end);
        }
        let next = self.replay.writes.range(offset..).next().map_or(u64::MAX, |(first, _)| *first);
        (None, next)
    }
}

impl Image for Replayed {
    fn len(&self) -> u64 {
        self.file.len().max(self.replay.length)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset.checked_add(wide(buf.len())).is_none_or(|end| end > self.len()) {
            return Err(past_end("vhdx", offset, wide(buf.len()), self.len()));
        }
        let (mut offset, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let (write, end) = self.piece(offset);
            let (piece, later) = rest.split_at_mut(rest.len().min(narrow(end.saturating_sub(offset))));
            match write {
                Some((_, Write::Zeros)) => piece.fill(0),
                Some((inside, Write::Data(bytes, skip))) => {
                    let from = narrow(skip.saturating_add(inside));
                    let there = from.checked_add(piece.len()).and_then(|end| bytes.get(from..end));
                    piece.copy_from_slice(there.ok_or_else(|| past_end("vhdx", offset, wide(piece.len()), end))?);
                }
                None => {
                    // What the log made the file longer by, and did not write, is zeros.
                    let there = self.file.len().saturating_sub(offset);
                    let (stored, grown) = piece.split_at_mut(piece.len().min(narrow(there)));
                    grown.fill(0);
                    if !stored.is_empty() {
                        self.file.read_at(offset, stored)?;
                    }
                }
            }
            offset = offset.saturating_add(wide(piece.len()));
            rest = later;
        }
        Ok(())
    }

    fn run_at(&self, offset: u64) -> Result<Run> {
        let left = self.len().saturating_sub(offset);
        if left == 0 {
            return Err(past_end("vhdx", offset, 1, self.len()));
        }
        let (write, end) = self.piece(offset);
        let len = end.saturating_sub(offset).min(left);
        match write {
            Some((_, Write::Zeros)) => Ok(Run { len, kind: RunKind::Hole }),
            Some(_) => Ok(Run { len, kind: RunKind::Data }),
            None if offset < self.file.len() => {
                let run = self.file.run_at(offset)?;
                Ok(Run { len: run.len.min(len), ..run })
            }
            None => Ok(Run { len, kind: RunKind::Hole }),
        }
    }
}

impl Layered for Replayed {
    fn origin(&self, offset: u64, want: u64) -> Result<(u64, Origin)> {
        // What the log writes is as much a part of the file as what is written already.
        let (_, first) = self.file.origin(0, want)?;
        Ok((self.len().saturating_sub(offset), first.after(offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_write_covers_an_earlier_one() {
        let mut replay = Replay::default();
        replay.zero(0, 100);
        replay.write(10, vec![1; 20]);
        replay.write(20, vec![2; 5]);
        replay.zero(28, 4);
        let all: Vec<(u64, u64)> = replay.writes.iter().map(|(first, (end, _))| (*first, *end)).collect();
        assert_eq!(all, [(0, 10), (10, 20), (20, 25), (25, 28), (28, 32), (32, 100)]);
        let Some((_, Write::Data(_, skip))) = replay.writes.get(&25) else { panic!("data") };
        assert_eq!(*skip, 15);
    }
}
