//! The lines of a new manifest in their order: those that the workers made, and those of the manifest before that
//! still hold, which are taken over as they stand. Whatever differs between the two goes to two streams besides, so
//! that a comparison need not look at lines that are the same on both sides.

use std::cmp::Ordering;

use super::{
    attribute::Attribute,
    block::{Block, NOT_ITS_EXTENTS},
    json::{self, Head},
    key,
    merge::Merged,
    read::{Reader, damaged},
    record::Class,
    sorter::{RunWriter, Runs, Sorter, merge},
    write::Counts,
};
use crate::error::Result;

/// The longest trace of a record, in bytes: its length stands in one.
pub const TRACE_MAX: usize = u8::MAX as usize;

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// A worker made it, and kept this trace of what it was made of; empty where it kept none.
    Scan(&'a [u8]),
    /// It is that record of the manifest before, counted from 0.
    Before(u64),
}

/// Is told of every line as it is written, in order.
pub trait Follow: Send {
    /// Takes the next line's origin.
    ///
    /// # Errors
    /// What the follower likes; it ends the writing.
    fn take(&mut self, origin: Origin<'_>) -> Result<()>;
}

/// Follows nothing.
impl Follow for () {
    fn take(&mut self, _: Origin<'_>) -> Result<()> {
        Ok(())
    }
}

/// Which lines of the manifest before still hold.
#[derive(Debug)]
pub struct Holding {
    /// Bit `n % 64` of word `n / 64` for record `n`. Those beyond the last word do not hold.
    pub bits: Vec<u64>,
    /// How many records the manifest must have for those bits to mean what they say. That it is the one, its reader
    /// checks: [`Reader::kept_with`].
    pub records: u64,
}

/// Lines of the manifest before that still hold.
#[derive(Debug)]
pub struct Kept {
    /// The manifest before.
    pub before: Reader,
    /// Which of its lines hold.
    pub holding: Holding,
    /// How many of each kind.
    pub counts: Counts,
    /// Where what differs is kept.
    pub sorter: Sorter,
    /// Whether times of access are compared. Where not, lines that differ in nothing else do not count as different: a
    /// night of reading makes more of them than all else.
    pub access_times: bool,
    /// Whether a thread of its own decompresses the manifest before. Where only two are to work, those that write the
    /// new one share that work: three on two processors take turns, and one waits.
    pub threaded: bool,
}

/// What the manifest before and the new one do not have in common.
#[derive(Debug)]
pub struct Differing {
    /// Lines of the manifest before.
    pub before: Reader,
    /// Lines of the new one.
    pub now: Reader,
}

/// The lines of a new manifest.
#[derive(Debug)]
pub struct Lines {
    made: Merged,
    made_live: bool,
    before: Option<Before>,
    /// Whether the current line is one of the manifest before.
    from_before: bool,
    started: bool,
    counts: Counts,
    memory: usize,
}

/// The manifest before, at a line that holds.
#[derive(Debug)]
struct Before {
    kept: Kept,
    /// The number of its current record.
    at: u64,
    live: bool,
    /// The path of the record before the current one, to see that they are in order.
    last: Vec<u8>,
    /// The encoded key of that record, where it was needed.
    key: Option<(u64, Vec<u8>)>,
    /// A path at which the new scan has a fault: what stands there and beneath must be seen by a comparison, which
    /// tells what is hidden from what is gone.
    covered: Option<Vec<u8>>,
    /// The last lines that do not hold: what was made in their place may not count as different.
    waiting: Waiting,
    only_before: Stream,
    only_now: Stream,
}

/// How many lines wait at most, and how many bytes of them.
const WAITING: usize = 16;
const WAITING_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
struct Waiting {
    lines: Block,
    /// Those before this one wait no longer.
    from: usize,
}

impl Waiting {
    /// The line at whose path that one stands, if it differs from it in the time of access alone.
    fn same_but_for_access(&self, line: &[u8]) -> Option<usize> {
        let path = plain_path(line)?;
        let same = |old: &[u8]| plain_path(old) == Some(path) && json::differ_only_in(Attribute::Atime, old, line);
        (self.from..self.lines.len()).find(|at| same(self.lines.line(*at)))
    }
}

/// Lines in the order in which they came.
#[derive(Debug)]
struct Stream {
    run: RunWriter,
    lines: u64,
}

impl Stream {
    fn new(sorter: &Sorter) -> Self {
        Self { run: sorter.writer(), lines: 0 }
    }

    fn push(&mut self, line: &[u8]) -> Result<()> {
        self.lines += 1;
        self.run.push(&self.lines.to_be_bytes(), line)
    }
}

impl Lines {
    /// What the workers hand over, merged through `memory` bytes of buffers, and what of the manifest before holds.
    ///
    /// # Errors
    /// When a temporary file cannot be read, or the manifest before is damaged.
    pub fn new(made: Vec<Runs>, kept: Option<Kept>, memory: usize) -> Result<Self> {
        let mut counts = Counts::sum(&made);
        let before = kept.map(|kept| -> Result<Before> {
            counts.add_all(&kept.counts);
            let sorter = kept.sorter.share(2);
            let (only_before, only_now) = (Stream::new(&sorter), Stream::new(&sorter));
            let kept = if kept.threaded { Kept { before: kept.before.ahead()?, ..kept } } else { kept };
            let last = Vec::new();
            let (key, covered, waiting) = (None, None, Waiting::default());
            Ok(Before { kept, at: 0, live: true, last, key, covered, waiting, only_before, only_now })
        });
        let (made, before) = (merge(made, memory)?, before.transpose()?);
        Ok(Self { made, made_live: true, before, from_before: false, started: false, counts, memory })
    }

    /// How many records there are of each kind.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Goes to the next line; `false` behind the last.
    pub(super) fn advance(&mut self) -> Result<bool> {
        if !self.started || !self.from_before {
            self.made_live = self.made.advance()?;
        }
        if let Some(before) = &mut self.before {
            if !self.started || self.from_before {
                before.advance(!self.started)?;
            }
            self.from_before = before.live && (!self.made_live || before.stands_before(&self.made)?);
            match self.from_before {
                true => before.show_covered()?,
                false if self.made_live => before.show_made(&self.made)?,
                false => {}
            }
        }
        self.started = true;
        Ok(self.made_live || self.from_before)
    }

    /// The current line and where it comes from.
    pub(super) fn line(&self) -> (&[u8], Origin<'_>) {
        match &self.before {
            Some(before) if self.from_before => (before.kept.before.line(), Origin::Before(before.at)),
            _ => {
                let (line, trace) = detach(self.made.pair().1);
                (line, Origin::Scan(trace))
            }
        }
    }

    /// What differs between both manifests; `None` where no line was to be taken over.
    pub(super) fn differing(self) -> Result<Option<Differing>> {
        let Some(mut before) = self.before else { return Ok(None) };
        before.show_waiting(before.waiting.lines.len())?;
        let reader = |stream: Stream, of: &Reader| {
            let merged = merge(vec![stream.run.finish()], self.memory)?;
            Ok(Reader::sorted(of.name(), of.header().clone(), merged))
        };
        let of = &before.kept.before;
        Ok(Some(Differing { before: reader(before.only_before, of)?, now: reader(before.only_now, of)? }))
    }
}

impl Before {
    /// Goes to the next line that holds; the others go to the comparison.
    fn advance(&mut self, first: bool) -> Result<()> {
        let mut next = if first { 0 } else { self.at.saturating_add(1) };
        loop {
            self.live = self.kept.before.advance()?;
            if !self.live {
                return self.check(next);
            }
            self.at = next;
            if self.holds() {
                return Ok(());
            }
            self.wait()?;
            next = next.saturating_add(1);
        }
    }

    /// Keeps the current line for what may be made in its place.
    fn wait(&mut self) -> Result<()> {
        let bytes = self.waiting.lines.bytes().saturating_add(self.kept.before.line().len());
        if self.waiting.lines.len() >= WAITING || bytes > WAITING_BYTES {
            self.show_waiting(self.waiting.lines.len())?;
        }
        self.waiting.lines.push(self.kept.before.line());
        Ok(())
    }

    /// Shows the lines that wait before that one to the comparison.
    fn show_waiting(&mut self, end: usize) -> Result<()> {
        for at in self.waiting.from..end {
            self.only_before.push(self.waiting.lines.line(at))?;
        }
        self.wait_behind(end);
        Ok(())
    }

    /// Forgets the lines that wait before that one.
    fn wait_behind(&mut self, end: usize) {
        self.waiting.from = end;
        if end >= self.waiting.lines.len() {
            self.waiting.lines.clear();
            self.waiting.from = 0;
        }
    }

    fn holds(&self) -> bool {
        let word = usize::try_from(self.at / 64).ok().and_then(|word| self.kept.holding.bits.get(word));
        word.is_some_and(|word| word >> (self.at % 64) & 1 == 1)
    }

    /// The numbers of records mean nothing where there are more or fewer.
    fn check(&self, records: u64) -> Result<()> {
        let Kept { before, holding, .. } = &self.kept;
        if records == holding.records {
            return Ok(());
        }
        Err(damaged(before.name(), NOT_ITS_EXTENTS))
    }

    /// Whether the current line stands before what a worker made. Checks that it stands behind the one before it.
    fn stands_before(&mut self, made: &Merged) -> Result<bool> {
        let line = self.kept.before.line();
        let (key, value) = made.pair();
        let order = match plain_path(line) {
            Some(path) => {
                if path < self.last.as_slice() {
                    return Err(damaged(self.kept.before.name(), format!("record {} is out of order", self.at)));
                }
                self.last.clear();
                self.last.extend_from_slice(path);
                compare_path(path, key)
            }
            None => Ordering::Equal,
        };
        match order {
            Ordering::Equal => {
                let own = match self.key.take().filter(|(record, _)| *record == self.at) {
                    Some((_, own)) => own,
                    None => {
                        let malformed = |malformed| self.kept.before.malformed(malformed);
                        let mut own = Vec::new();
                        key::encode(&json::decode(line).map_err(malformed)?.key(), &mut own);
                        own
                    }
                };
                let order = (own.as_slice(), line) < (key, detach(value).0);
                self.key = Some((self.at, own));
                Ok(order)
            }
            order => Ok(order.is_lt()),
        }
    }

    /// Shows a line that is the same on both sides to the comparison, where that needs it.
    fn show_covered(&mut self) -> Result<()> {
        let Some(covered) = &self.covered else { return Ok(()) };
        let line = self.kept.before.line();
        let mut path = Vec::new();
        let head = Head::of(line).and_then(|head| head.path(&mut path));
        head.map_err(|malformed| self.kept.before.malformed(malformed))?;
        if !path.starts_with(covered) {
            self.covered = None;
            return Ok(());
        }
        self.show_waiting(self.waiting.lines.len())?;
        self.only_before.push(self.kept.before.line())?;
        self.only_now.push(self.kept.before.line())
    }

    /// Shows what a worker made to the comparison.
    fn show_made(&mut self, made: &Merged) -> Result<()> {
        let (key, value) = made.pair();
        let path_end = key.windows(2).position(|pair| pair == [0, 0]).unwrap_or(key.len());
        let (path, rest) = key.split_at(path_end);
        if rest.get(2) == Some(&(Class::Fault as u8))
            && self.covered.as_ref().is_none_or(|covered| !path.starts_with(covered))
        {
            // As it is encoded: with a NUL in it, which no path of a filesystem has, too much is shown, never too little.
            let plain = memchr::memchr(0, path).unwrap_or(path.len());
            self.covered = path.get(..plain).map(<[u8]>::to_vec);
        }
        let line = detach(value).0;
        // Beneath a fault, what is there must be seen.
        let ignored = !self.kept.access_times && self.covered.is_none();
        match ignored.then(|| self.waiting.same_but_for_access(line)).flatten() {
            Some(at) => {
                self.show_waiting(at)?;
                self.wait_behind(at.saturating_add(1));
                Ok(())
            }
            None => self.only_now.push(line),
        }
    }
}

/// The path of a line whose path stands there as it is.
fn plain_path(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"{\"path\":\"")?;
    let end = memchr::memchr2(b'"', b'\\', rest)?;
    let (path, behind) = rest.split_at_checked(end)?;
    (behind.first() == Some(&b'"') && !behind.starts_with(b"\",\"path_hex\"")).then_some(path)
}

/// How a path without NUL stands to that of an encoded key.
fn compare_path(path: &[u8], key: &[u8]) -> Ordering {
    let (head, rest) = key.split_at(path.len().min(key.len()));
    path.cmp(head).then_with(|| if rest.starts_with(&[0, 0]) { Ordering::Equal } else { Ordering::Less })
}

/// Puts a trace behind a line.
pub(super) fn attach(line: &mut Vec<u8>, trace: &[u8]) {
    let trace = trace.get(..TRACE_MAX).unwrap_or(trace);
    line.extend_from_slice(trace);
    line.push(u8::try_from(trace.len()).unwrap_or(u8::MAX));
}

/// The line and the trace behind it.
fn detach(value: &[u8]) -> (&[u8], &[u8]) {
    let Some((len, rest)) = value.split_last() else { return (value, &[]) };
    rest.split_at_checked(rest.len().saturating_sub(usize::from(*len))).unwrap_or((rest, &[]))
}
