//! Writing a manifest while somebody reads it: one thread merges and hashes, one compresses, and the lines go to a
//! [`Reader`] besides, so that a comparison need not decompress again what was at hand a moment ago.

use std::{
    io::Write,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use sha2::{Digest, Sha256};

use super::{
    block::Block,
    header::Header,
    read::{Reader, damaged},
    sorter::{Runs, merge},
    write::{Counts, Writer},
};
use crate::error::{Error, Result};

/// How many blocks wait at most on either side.
const DEPTH: usize = 3;

/// How many bytes of lines go together.
const BLOCK: usize = 256 << 10;

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

/// Writes a whole manifest as [`write`](super::write::write) does, and lets `read` read it meanwhile.
///
/// # Errors
/// When a temporary file cannot be read, `out` cannot be written or the host gives no threads, and those of `read`.
pub fn write_live<W: Write + Send, T>(
    out: W,
    header: &Header,
    runs: Vec<Runs>,
    memory: usize,
    read: impl FnOnce(Reader) -> Result<T>,
) -> Result<(W, Counts, T)> {
    const NAME: &str = "the new manifest";
    let mut writer = Writer::new(out, header)?.counted(Counts::sum(&runs));
    let hash = writer.begin()?;
    let (to_writer, for_writer) = sync_channel(DEPTH);
    let (to_reader, for_reader) = sync_channel(DEPTH);
    thread::scope(|scope| {
        let start = |error| Error::State(format!("{NAME}: no thread to write it: {error}"));
        let merger = thread::Builder::new()
            .name("merge".to_owned())
            .spawn_scoped(scope, move || hand_over(runs, memory, hash, &to_writer, &to_reader))
            .map_err(start)?;
        let writer = thread::Builder::new()
            .name("compress".to_owned())
            .spawn_scoped(scope, move || {
                for block in for_writer {
                    let block: Arc<Block> = block;
                    writer.compress(block.as_bytes())?;
                }
                Ok(writer)
            })
            .map_err(start)?;
        let live = Live { name: NAME.to_owned(), blocks: for_reader, block: Arc::default(), ended: false };
        let read = read(Reader::live(NAME, header.clone(), live));
        let gone = |_| Err(Error::Bug("a thread that writes the manifest died".to_owned()));
        let merged = merger.join().unwrap_or_else(gone);
        let written = writer.join().unwrap_or_else(|_| Err(Error::Bug("the thread that compresses died".to_owned())));
        let hash = merged?;
        let (out, counts) = written?.finish_with(hash)?;
        Ok((out, counts, read?))
    })
}

/// Merges, and hands the lines to both; returns `hash` with all of them. A writer that gave up says why itself; a reader
/// that has seen enough is let go.
fn hand_over(
    runs: Vec<Runs>,
    memory: usize,
    mut hash: Sha256,
    writer: &SyncSender<Arc<Block>>,
    reader: &SyncSender<Next>,
) -> Result<Sha256> {
    let mut merged = merge(runs, memory)?;
    loop {
        let mut block = Block::default();
        let more = loop {
            let Some((_, line)) = merged.next()? else { break false };
            block.push(line);
            if block.bytes() >= BLOCK {
                break true;
            }
        };
        if block.len() > 0 {
            let block = Arc::new(block);
            if writer.send(Arc::clone(&block)).is_err() {
                return Ok(hash);
            }
            hash.update(block.as_bytes());
            let _ = reader.send(Next::Block(block));
        }
        if !more {
            let _ = reader.send(Next::End);
            return Ok(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Attribute, Collector, Kind, Os, Record, Sorter, Value, write::write};

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
        let (out, counts, lines) = write_live(Vec::new(), &header(), runs(), 1 << 20, read_all).unwrap();
        let (other, other_counts) = write(Vec::new(), &header(), runs(), 1 << 20).unwrap();
        assert_eq!((counts, counts.records()), (other_counts, RECORDS));
        assert!(zstd::decode_all(out.as_slice()).unwrap() == zstd::decode_all(other.as_slice()).unwrap());
        assert_eq!(read_all(Reader::new("m", std::io::Cursor::new(out)).unwrap()).unwrap(), lines);
    }

    #[test]
    fn a_reader_that_gives_up_or_has_seen_enough_holds_nobody_up() {
        let enough = |mut reader: Reader| reader.advance();
        let (out, ..) = write_live(Vec::new(), &header(), runs(), 1 << 20, enough).unwrap();
        assert_eq!(Reader::new("m", std::io::Cursor::new(out)).unwrap().verify().unwrap(), RECORDS);
        let gives_up = |_: Reader| Err::<(), _>(Error::State("no".to_owned()));
        assert_eq!(write_live(Vec::new(), &header(), runs(), 1 << 20, gives_up).unwrap_err().to_string(), "no");
    }

    #[test]
    fn a_writer_that_fails_says_why_and_its_reader_ends() {
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
        for room in [0, 1000, 20_000] {
            let read_all = |reader: Reader| reader.verify();
            let error = write_live(Full(room), &header(), runs(), 1 << 20, read_all).map(|_| ()).unwrap_err();
            assert!(error.to_string().starts_with("the manifest cannot be written: "), "{room}: {error}");
        }
    }
}
