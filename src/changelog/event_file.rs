//! A file of events: one a line, written once, then read as often as a report needs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use super::{ChangeType, Event, write_json};
use crate::error::{Error, Result};
use crate::severity::Severity;

/// The longest line that is read; an event is far shorter, and a file without line ends must not fill memory.
pub const MAX_LINE: usize = 16 * 1024 * 1024;

/// How many events of which sort.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// By what happened.
    pub types: BTreeMap<ChangeType, u64>,
    /// By severity.
    pub severities: BTreeMap<Severity, u64>,
}

impl Tally {
    /// Counts an event.
    pub fn add(&mut self, event: &Event) {
        let count = self.types.entry(event.change_type).or_default();
        *count = count.saturating_add(1);
        let count = self.severities.entry(event.ext.severity).or_default();
        *count = count.saturating_add(1);
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.types.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// Events in so many bytes at the beginning of a file stay in memory when they are written, so that a report need not
/// read again what was at hand a moment ago.
const HELD: u64 = 1 << 20;

/// The events at the beginning of a file.
#[derive(Default)]
struct Held {
    /// With the offsets at which their lines start.
    events: Vec<(u64, Event)>,
    /// Where the lines begin that are not among them.
    end: u64,
}

/// Writes events, one a line, and counts them.
pub struct EventWriter {
    out: BufWriter<File>,
    label: String,
    tally: Tally,
    line: Vec<u8>,
    held: Held,
}

impl EventWriter {
    /// Writes to `file`, which messages call `label`.
    #[must_use]
    pub fn new(file: File, label: impl Into<String>) -> Self {
        let (tally, line, held) = (Tally::default(), Vec::new(), Held::default());
        Self { out: BufWriter::new(file), label: label.into(), tally, line, held }
    }

    /// Writes one event, what of it is too long for a line cut.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be written.
    pub fn write(&mut self, event: Event) -> Result<()> {
        let event = event.bounded();
        self.line.clear();
        write_json(&mut self.line, &event)
            .and_then(|()| {
                self.line.push(b'\n');
                self.out.write_all(&self.line)
            })
            .map_err(|error| Error::State(format!("events: write {}: {error}", self.label)))?;
        self.tally.add(&event);
        if self.held.end < HELD {
            self.held.events.push((self.held.end, event));
            self.held.end = self.held.end.saturating_add(self.line.len() as u64);
        }
        Ok(())
    }

    /// What was written so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Writes out what is buffered; the file can be read from its start then.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be written.
    pub fn finish(self) -> Result<(EventFile, Tally)> {
        let Self { out, label, tally, held, .. } = self;
        match out.into_inner() {
            Ok(file) => Ok((EventFile { file, label, held }, tally)),
            Err(error) => Err(Error::State(format!("events: write {label}: {error}"))),
        }
    }
}

/// Something in the state directory that cannot be read, or that is not as it should be, while the rest can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, below the state directory.
    pub file: String,
    /// The line in it, from 1; 0 where it is about the file as a whole.
    pub line: u64,
    /// What is wrong, in one line.
    pub what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}: line {line}: {}", self.file, self.what),
        }
    }
}

/// A file of events that can be read from any place, any number of times.
pub struct EventFile {
    file: File,
    label: String,
    held: Held,
}

/// What one line of a file of events holds.
pub enum Line<'f> {
    /// An event.
    Event(&'f Event),
    /// Damage.
    Problem(&'f Problem),
}

impl EventFile {
    /// Reads from `file`, which messages call `label`.
    #[must_use]
    pub fn new(file: File, label: impl Into<String>) -> Self {
        Self { file, label: label.into(), held: Held::default() }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What messages call the file.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Hands out every line with the offset at which it starts. A damaged line is handed out as such.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be read, and what `each` returns.
    pub fn read(&self, each: &mut dyn FnMut(u64, Line<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        for (offset, event) in &self.held.events {
            if each(*offset, Line::Event(event))?.is_break() {
                return Ok(());
            }
        }
        let (mut offset, mut number) = (self.held.end, self.held.events.len() as u64);
        let mut input = BufReader::with_capacity(256 * 1024, At { file: &self.file, offset });
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let taken = read_line(&mut input, &mut bytes).map_err(|error| self.unreadable(&error))?;
            if taken == 0 {
                return Ok(());
            }
            number = number.saturating_add(1);
            let parsed = self.parse(&bytes, number);
            let line = match &parsed {
                Ok(event) => Line::Event(event),
                Err(problem) => Line::Problem(problem),
            };
            if each(offset, line)?.is_break() {
                return Ok(());
            }
            offset = offset.saturating_add(taken);
        }
    }

    /// The event of the line that starts at `offset`.
    ///
    /// # Errors
    /// [`Error::State`] when there is none any more.
    pub fn event_at(&self, offset: u64) -> Result<Cow<'_, Event>> {
        let held = self.held.events.binary_search_by_key(&offset, |(at, _)| *at);
        if let Some((_, event)) = held.ok().and_then(|at| self.held.events.get(at)) {
            return Ok(Cow::Borrowed(event));
        }
        let mut bytes = Vec::new();
        let mut input = BufReader::with_capacity(4096, At { file: &self.file, offset });
        read_line(&mut input, &mut bytes).map_err(|error| self.unreadable(&error))?;
        let parsed = self.parse(&bytes, 0);
        parsed.map(Cow::Owned).map_err(|problem| Error::State(format!("events: {problem}")))
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        Error::State(format!("events: read {}: {error}", self.label))
    }

    fn parse(&self, bytes: &[u8], line: u64) -> Result<Event, Problem> {
        let problem = |what: String| Problem { file: self.label.clone(), line, what };
        if bytes.len() > MAX_LINE {
            return Err(problem(format!("longer than {MAX_LINE} bytes")));
        }
        let Some((b'\n', text)) = bytes.split_last() else {
            return Err(problem("cut off: the line has no end".to_owned()));
        };
        serde_json::from_slice(text).map_err(|error| problem(format!("not an event: {error}")))
    }
}

/// Takes a line with its end, keeping not much more of it than shows that it is longer than [`MAX_LINE`]; the
/// number of bytes taken.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut taken = 0_u64;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(taken);
        }
        let end = memchr::memchr(b'\n', buffer).map(|at| at.saturating_add(1));
        let piece = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        if line.len() <= MAX_LINE {
            line.extend_from_slice(piece);
        }
        let len = piece.len();
        taken = taken.saturating_add(len as u64);
        input.consume(len);
        if end.is_some() {
            return Ok(taken);
        }
    }
}

/// Reads a shared file from a place of its own.
pub(super) struct At<'f> {
    pub(super) file: &'f File,
    pub(super) offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buf, self.offset)?;
        self.offset = self.offset.saturating_add(read as u64);
        Ok(read)
    }
}
