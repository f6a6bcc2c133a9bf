//! Writing a manifest while somebody reads it: one thread merges, one compresses, either hashes, and the lines go to a
//! [`Reader`] besides, so that a comparison need not decompress again what was at hand a moment ago.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, Scope, ScopedJoinHandle},
};

use sha2::Sha256;

use super::{
    block::Block,
    hashing::{Ahead, Hashing},
    header::Header,
    lines::{Differing, Follow, Lines},
    read::{Reader, damaged},
    write::{Writer, Written},
};
use crate::{
    error::{Error, Result},
    threads::{self, Patience, Spread},
};

/// How many blocks wait at most on either side: enough for who compresses to have something to do while a directory's
/// worth of lines is new.
const DEPTH: usize = 8;

/// How many blocks wait at most to be hashed: those, and behind them the one that finds no room.
const UNHASHED: usize = DEPTH + 1;

/// What the new manifest is called in messages.
const NAME: &str = "the new manifest";

/// How many bytes of lines go together.
const BLOCK: usize = 128 << 10;

/// What the near end is told.
#[derive(Debug)]
enum Next {
    Block(Arc<Block>),
    /// All lines were handed over.
    End,
}

/// The near end.
#[derive(Debug)]
pub(super) struct Live {
    name: String,
    blocks: Receiver<Next>,
    block: Arc<Block>,
    ended: bool,
}

impl Live {
    /// The lines at hand.
    pub(super) fn block(&self) -> &Block {
        &self.block
    }

    /// Goes to the next lines; `false` behind the last.
    pub(super) fn fill(&mut self) -> Result<bool> {
        self.block = Arc::default();
        if self.ended {
            return Ok(false);
        }
        match self.blocks.recv() {
            Ok(Next::Block(block)) => {
                self.block = block;
                Ok(true)
            }
            Ok(Next::End) => {
                self.ended = true;
                Ok(false)
            }
            // The writer says why; what was read so far is no manifest.
            Err(_) => Err(damaged(&self.name, "its writer ended early")),
        }
    }
}

/// Writes a whole manifest, compressing it in a thread of its own. `follow` is told of every line. What differs from
/// the manifest before goes to `compare` while the rest is compressed, where lines of that were to be taken over.
///
/// # Errors
/// When a temporary file cannot be read, the manifest before is damaged, `out` cannot be written or the host gives no
/// thread, and those of `follow` and `compare`.
pub fn write_lines<W: Write + Send>(
    out: W,
    header: &Header,
    lines: Lines,
    follow: &mut dyn Follow,
    compare: impl FnOnce(Differing) -> Result<()>,
) -> Result<Written<W>> {
    thread::scope(|scope| {
        let (hands, writer) = begin(scope, out, header, &lines, None)?;
        let merged = hand_over(lines, hands, follow).and_then(|lines| {
            let differing = lines.map(Lines::differing).transpose()?.flatten();
            differing.map_or(Ok(()), compare)
        });
        let written = joined(writer);
        merged?;
        let (writer, hash) = written?;
        writer.finish_with(hash)
    })
}

/// As [`write_lines`], and lets `read` read it meanwhile.
///
/// # Errors
/// As [`write_lines`], and those of `read`.
pub fn write_live<W: Write + Send, T>(
    out: W,
    header: &Header,
    lines: Lines,
    follow: &mut dyn Follow,
    read: impl FnOnce(Reader) -> Result<T>,
) -> Result<(Written<W>, T)> {
    thread::scope(|scope| {
        let (to_reader, for_reader) = sync_channel(DEPTH);
        let (hands, writer) = begin(scope, out, header, &lines, Some(to_reader))?;
        let merge = move || hand_over(lines, hands, follow);
        let merger = thread::Builder::new().name("merge".to_owned()).spawn_scoped(scope, merge).map_err(no_thread)?;
        let live = Live { name: NAME.to_owned(), blocks: for_reader, block: Arc::default(), ended: false };
        let read = read(Reader::live(NAME, header.clone(), live));
        let (merged, written) = (joined(merger), joined(writer));
        merged?;
        let (writer, hash) = written?;
        Ok((writer.finish_with(hash)?, read?))
    })
}

type Compressor<'s, W> = ScopedJoinHandle<'s, Result<(Writer<W>, Sha256)>>;

/// Begins with the header, and compresses what is handed over in a thread of its own.
fn begin<'s, W: Write + Send + 's>(
    scope: &'s Scope<'s, '_>,
    out: W,
    header: &Header,
    lines: &Lines,
    reader: Option<SyncSender<Next>>,
) -> Result<(Hands, Compressor<'s, W>)> {
    let mut writer = Writer::new(out, header)?.counted(lines.counts());
    let hashing = Arc::new(Hashing::new(writer.begin()?));
    let (to_writer, for_writer) = sync_channel::<Arc<Block>>(DEPTH);
    let (used, free) = sync_channel(DEPTH);
    let hands = Hands { writer: to_writer, free, reader, ahead: Ahead::new(Arc::clone(&hashing), UNHASHED) };
    let spread = Spread::of(2);
    let compress = move || {
        let mut seat = spread.seat(1);
        let mut number = 0;
        while let Some(block) = threads::receive(&for_writer) {
            seat.keep();
            hashing.try_hash(number, &block);
            writer.compress(block.as_bytes())?;
            hashing.hash(number, &block);
            number += 1;
            if let Some(block) = Arc::into_inner(block) {
                let _ = used.try_send(block);
            }
        }
        Ok((writer, hashing.finish()))
    };
    let thread = thread::Builder::new().name("compress".to_owned()).spawn_scoped(scope, compress).map_err(no_thread)?;
    Ok((hands, thread))
}

fn no_thread(error: io::Error) -> Error {
    Error::State(format!("{NAME}: no thread to write it: {error}"))
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(Error::Bug("a thread that writes the manifest died".to_owned())))
}

/// Where lines go.
struct Hands {
    writer: SyncSender<Arc<Block>>,
    /// Blocks whose lines were written.
    free: Receiver<Block>,
    reader: Option<SyncSender<Next>>,
    ahead: Ahead,
}

impl Hands {
    /// Sends a block to who compresses it, hashing what was sent before while there is no room; `false` where nobody
    /// takes it.
    fn write(&mut self, block: &Arc<Block>) -> bool {
        self.ahead.push(block);
        let mut block = Arc::clone(block);
        let mut patience = Patience::new();
        loop {
            block = match self.writer.try_send(block) {
                Err(TrySendError::Full(block)) => block,
                sent => return sent.is_ok(),
            };
            if self.ahead.hash_one() {
                continue;
            }
            if !patience.is_left() {
                return self.writer.send(block).is_ok();
            }
            patience.wait();
        }
    }
}

/// Merges, and hands the lines on; returns them at their end, unless the writer gave up, which says why itself. A reader
/// that has seen enough is let go.
fn hand_over(mut lines: Lines, mut hands: Hands, follow: &mut dyn Follow) -> Result<Option<Lines>> {
    let reader = hands.reader.take();
    let to_reader = |next| reader.as_ref().map(|reader| reader.send(next));
    loop {
        let mut block = hands.free.try_recv().unwrap_or_else(|_| Block::with_capacity(BLOCK + BLOCK / 16));
        block.clear();
        let more = loop {
            if !lines.advance()? {
                break false;
            }
            let (line, origin) = lines.line();
            block.push(line);
            follow.take(origin)?;
            if block.bytes() >= BLOCK {
                break true;
            }
        };
        if block.len() > 0 {
            let block = Arc::new(block);
            if !hands.write(&block) {
                return Ok(None);
            }
            to_reader(Next::Block(block));
        }
        if !more {
            to_reader(Next::End);
            return Ok(Some(lines));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{
        Attribute, Collector, Holding, Kept, Kind, Origin, Os, Record, Runs, Sorter, Value, write::write,
    };

    const RECORDS: u64 = 20_000;

    fn header() -> Header {
        Header { policy: serde_json::json!({}), os: Os { family: "linux".into(), ..Os::default() }, volumes: vec![] }
    }

    /// Records in three workers' runs, more than a few blocks of them.
    fn runs() -> Vec<Runs> {
        let sorter = Sorter::new(std::env::temp_dir(), 0);
        let mut workers = [(); 3].map(|()| Collector::new(&sorter));
        for at in (0..RECORDS).rev() {
            let mut record = Record::new(format!("/f{at:06}"), Kind::File);
            record.set(Attribute::Size, Value::Number(at));
            record.set(Attribute::Error, Value::Text("x".repeat(60)));
            workers[at as usize % 3].push(&record).unwrap();
        }
        workers.into_iter().map(Collector::finish).collect()
    }

    fn lines() -> Lines {
        Lines::new(runs(), None, 1 << 20).unwrap()
    }

    #[test]
    fn what_is_read_meanwhile_is_what_is_written() {
        let read_all = |mut reader: Reader| {
            let mut lines = Vec::new();
            while reader.advance()? {
                lines.push(reader.line().to_vec());
            }
            assert!(!reader.advance()?, "the end stays the end");
            Ok(lines)
        };
        let (live, read) = write_live(Vec::new(), &header(), lines(), &mut (), read_all).unwrap();
        let alone = write_lines(Vec::new(), &header(), lines(), &mut (), |_| Ok(())).unwrap();
        let (other, other_counts) = write(Vec::new(), &header(), runs(), 1 << 20).unwrap();
        assert_eq!((live.counts, live.counts.records()), (other_counts, RECORDS));
        for written in [&live.out, &alone.out] {
            assert!(zstd::decode_all(written.as_slice()).unwrap() == zstd::decode_all(other.as_slice()).unwrap());
        }
        assert_eq!(live.sha256, alone.sha256);
        assert_eq!(read_all(Reader::new("m", std::io::Cursor::new(live.out)).unwrap()).unwrap(), read);
    }

    #[test]
    fn a_reader_that_gives_up_or_has_seen_enough_holds_nobody_up() {
        let enough = |mut reader: Reader| reader.advance().map(|_| ());
        let (written, ()) = write_live(Vec::new(), &header(), lines(), &mut (), enough).unwrap();
        assert_eq!(Reader::new("m", std::io::Cursor::new(written.out)).unwrap().verify().unwrap(), RECORDS);
        let gives_up = |_: Reader| Err::<(), _>(Error::State("no".to_owned()));
        assert_eq!(write_live(Vec::new(), &header(), lines(), &mut (), gives_up).unwrap_err().to_string(), "no");
    }

    /// Has room for so many bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_writer_that_fails_says_why_and_its_reader_ends() {
        for room in [0, 1000, 20_000] {
            let read_all = |reader: Reader| reader.verify();
            let error = write_live(Full(room), &header(), lines(), &mut (), read_all).map(|_| ()).unwrap_err();
            assert!(error.to_string().starts_with("the manifest cannot be written: "), "{room}: {error}");
        }
    }

    /// Lines that are all taken over from this manifest, which is read in a thread of its own or not.
    fn taken_over(manifest: &Written<Vec<u8>>, threaded: bool) -> Result<Lines> {
        let before = Reader::new("before", std::io::Cursor::new(manifest.out.clone()))?;
        let bits = vec![u64::MAX; (RECORDS / 64 + 1) as usize];
        let holding = Holding { bits, records: RECORDS };
        let sorter = Sorter::new(std::env::temp_dir(), 0);
        let kept = Kept { before, holding, counts: manifest.counts, sorter, access_times: false, threaded };
        Lines::new(Vec::new(), Some(kept), 1 << 20)
    }

    fn whole() -> Written<Vec<u8>> {
        write_lines(Vec::new(), &header(), lines(), &mut (), |_| Ok(())).unwrap()
    }

    #[test]
    fn a_writer_that_fails_says_why_and_what_was_read_till_then_is_not_compared() {
        let whole = whole();
        for (threaded, room) in [(false, 0), (false, 1000), (false, 20_000), (true, 0), (true, 1000), (true, 20_000)] {
            let compare = |_| Err(Error::State("compared".to_owned()));
            let lines = taken_over(&whole, threaded).unwrap();
            let error = write_lines(Full(room), &header(), lines, &mut (), compare).map(|_| ()).unwrap_err();
            assert!(error.to_string().starts_with("the manifest cannot be written: "), "{threaded} {room}: {error}");
        }
    }

    #[test]
    fn a_manifest_before_that_is_damaged_anywhere_is_not_compared() {
        let whole = whole();
        let len = whole.out.len();
        for threaded in [false, true] {
            let again = |manifest: Written<Vec<u8>>| {
                let compare = |_| Err(Error::State("compared".to_owned()));
                write_lines(Vec::new(), &header(), taken_over(&manifest, threaded)?, &mut (), compare)
            };
            for at in [len / 8, len / 2, len - 40] {
                let mut out = whole.out.clone();
                out[at] ^= 0x10;
                let damaged = Written { out, ..whole };
                let error = again(damaged).map(|_| ()).unwrap_err().to_string();
                assert!(error.starts_with("before is damaged: "), "{threaded} {at}: {error}");
                let short = Written { out: whole.out[..at].to_vec(), ..whole };
                let error = again(short).map(|_| ()).unwrap_err().to_string();
                assert!(error.starts_with("before is damaged: "), "{threaded} {at}, cut short: {error}");
            }
            assert_eq!(again(Written { out: whole.out.clone(), ..whole }).unwrap_err().to_string(), "compared");
        }
    }

    #[test]
    fn a_follower_that_fails_or_panics_ends_the_writing() {
        struct Until(u64, bool);
        impl Follow for Until {
            fn take(&mut self, _: Origin<'_>) -> Result<()> {
                self.0 -= 1;
                match self.0 {
                    0 if self.1 => panic!("a panic that this test is about"),
                    0 => Err(Error::State("no more".to_owned())),
                    _ => Ok(()),
                }
            }
        }
        let whole = whole();
        for (threaded, lines) in [(false, 1), (false, RECORDS), (true, 1), (true, RECORDS)] {
            let write = |panics| {
                let kept = taken_over(&whole, threaded).unwrap();
                write_lines(Vec::new(), &header(), kept, &mut Until(lines, panics), |_| Ok(())).map(|_| ())
            };
            assert_eq!(write(false).unwrap_err().to_string(), "no more", "{threaded} {lines}");
            assert!(std::panic::catch_unwind(|| write(true)).is_err(), "{threaded} {lines}");
            let live = |panics| {
                let read_all = |reader: Reader| reader.verify();
                write_live(Vec::new(), &header(), self::lines(), &mut Until(lines, panics), read_all).map(|_| ())
            };
            assert_eq!(live(false).unwrap_err().to_string(), "no more", "{lines}");
            let error = live(true).unwrap_err().to_string();
            assert!(error.contains("a thread that writes the manifest died"), "{lines}: {error}");
        }
    }
}
