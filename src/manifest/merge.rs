//! The second half of the external sort: many sorted runs in, one sorted stream out.

use std::{fs::File, ops::Range, os::unix::fs::FileExt, sync::Arc};

use super::sorter::{PREFIX, Pairs, Runs};
use crate::error::{Error, Result};

/// Bounds of a run's read buffer, in bytes.
const BUFFER: Range<usize> = 16 << 10..256 << 10;

/// A sorted stream of pairs.
#[derive(Debug)]
pub struct Merged {
    /// A heap: no cursor stands behind its children `2i + 1` and `2i + 2`.
    heap: Vec<Cursor>,
    started: bool,
}

impl Merged {
    pub(super) fn new(runs: Vec<Runs>, memory: usize) -> Result<Self> {
        let files: usize = runs.iter().map(|runs| runs.spilled.len()).sum();
        let buffer = (memory / files.max(1)).clamp(BUFFER.start, BUFFER.end);
        let mut heap = Vec::new();
        for Runs { pairs, file, spilled, .. } in runs {
            if let Some(file) = file {
                for range in spilled {
                    heap.push(Cursor::File(FileCursor::new(Arc::clone(&file), range, buffer)?));
                }
            }
            if pairs.len() > 0 {
                heap.push(Cursor::Memory { pairs, at: 0 });
            }
        }
        let mut merged = Self { heap, started: false };
        for at in (0..merged.heap.len() / 2).rev() {
            merged.sift(at);
        }
        Ok(merged)
    }

    /// The next pair.
    ///
    /// # Errors
    /// When a temporary file cannot be read.
    #[expect(clippy::should_implement_trait, reason = "it lends what it holds")]
    pub fn next(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        Ok(self.advance()?.then(|| self.pair()))
    }

    /// Goes to the next pair; `false` behind the last.
    pub(super) fn advance(&mut self) -> Result<bool> {
        if self.started
            && let Some(top) = self.heap.first_mut()
        {
            if !top.advance()? {
                self.heap.swap_remove(0);
            }
            self.sift(0);
        }
        self.started = true;
        Ok(!self.heap.is_empty())
    }

    /// The current pair, once [`Merged::advance`] found one.
    pub(super) fn pair(&self) -> (&[u8], &[u8]) {
        self.heap.first().map(Cursor::pair).unwrap_or_default()
    }

    fn sift(&mut self, mut at: usize) {
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.heap[child].pair() < self.heap[least].pair() {
                    least = child;
                }
            }
            if least == at {
                return;
            }
            self.heap.swap(least, at);
            at = least;
        }
    }
}

#[derive(Debug)]
enum Cursor {
    Memory { pairs: Pairs, at: usize },
    File(FileCursor),
}

impl Cursor {
    fn pair(&self) -> (&[u8], &[u8]) {
        match self {
            Self::Memory { pairs, at } => pairs.get(*at),
            Self::File(file) => file.pair(),
        }
    }

    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Memory { pairs, at } => {
                *at += 1;
                Ok(*at < pairs.len())
            }
            Self::File(file) => file.advance(),
        }
    }
}

#[derive(Debug)]
struct FileCursor {
    file: Arc<File>,
    /// What is not in the buffer yet.
    rest: Range<u64>,
    buffer: Vec<u8>,
    /// How much is read at once.
    size: usize,
    /// Where in the buffer the current pair's key begins.
    at: usize,
    key: usize,
    line: usize,
}

impl FileCursor {
    fn new(file: Arc<File>, rest: Range<u64>, size: usize) -> Result<Self> {
        let mut cursor = Self { file, rest, buffer: Vec::new(), size, at: 0, key: 0, line: 0 };
        cursor.advance()?;
        Ok(cursor)
    }

    fn pair(&self) -> (&[u8], &[u8]) {
        let (key, rest) = self.buffer[self.at..].split_at(self.key);
        (key, &rest[..self.line])
    }

    fn advance(&mut self) -> Result<bool> {
        self.at += self.key + self.line;
        (self.key, self.line) = (0, 0);
        if self.at == self.buffer.len() && self.rest.is_empty() {
            return Ok(false);
        }
        let lengths = self.fill(PREFIX)?;
        let length = |at: usize| lengths.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let (Some(key), Some(line)) = (length(0), length(4)) else { return Err(Self::short()) };
        self.at += PREFIX;
        let (key, line) = (key as usize, line as usize);
        self.fill(key + line)?;
        (self.key, self.line) = (key, line);
        Ok(true)
    }

    /// The next `wanted` bytes.
    fn fill(&mut self, wanted: usize) -> Result<&[u8]> {
        let have = self.buffer.len() - self.at;
        if have < wanted {
            self.buffer.drain(..self.at);
            self.at = 0;
            let left = usize::try_from(self.rest.end - self.rest.start).unwrap_or(usize::MAX);
            let more = (wanted - have).max(self.size).min(left);
            if have + more < wanted {
                return Err(Self::short());
            }
            self.buffer.resize(have + more, 0);
            self.file
                .read_exact_at(&mut self.buffer[have..], self.rest.start)
                .map_err(|error| Error::State(format!("temporary file: {error}")))?;
            self.rest.start += more as u64;
        }
        Ok(&self.buffer[self.at..self.at + wanted])
    }

    fn short() -> Error {
        Error::State("temporary file: a run ends inside a record".to_owned())
    }
}
