//! Writing a manifest while somebody reads it: one thread merges, one hashes and compresses, and the lines go to a
//! [`Reader`] besides, so that a comparison need not decompress again what was at hand a moment ago.

use std::{
    io::Write,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

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

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Block(_) => "Block",
            Self::End => "End",
        })
    }
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
    let counts = Counts::sum(&runs);
    let (to_writer, for_writer) = sync_channel(DEPTH);
    let (to_reader, for_reader) = sync_channel(DEPTH);
    thread::scope(|scope| {
        let start = |error| Error::State(format!("{NAME}: no thread to write it: {error}"));
        let merger = thread::Builder::new()
            .name("merge".to_owned())
            .spawn_scoped(scope, move || hand_over(runs, memory, &to_writer, &to_reader))
            .map_err(start)?;
        let writer = thread::Builder::new()
            .name("compress".to_owned())
            .spawn_scoped(scope, move || {
                let mut writer = Writer::new(out, header)?;
                for block in for_writer {
                    let block: Arc<Block> = block;
                    writer.push_block(&block)?;
                }
                writer.counted(counts).finish()
            })
            .map_err(start)?;
        let live = Live { name: NAME.to_owned(), blocks: for_reader, block: Arc::default(), ended: false };
        let read = read(Reader::live(NAME, header.clone(), live));
        let gone = |_| Err(Error::Bug("a thread that writes the manifest died".to_owned()));
        let merged = merger.join().unwrap_or_else(gone);
        let written = writer.join().unwrap_or_else(|_| Err(Error::Bug("the thread that compresses died".to_owned())));
        merged?;
        let (out, counts) = written?;
        Ok((out, counts, read?))
    })
}

/// Merges, and hands the lines to both. A writer that gave up says why itself; a reader that has seen enough is let
/// go.
fn hand_over(runs: Vec<Runs>, memory: usize, writer: &SyncSender<Arc<Block>>, reader: &SyncSender<Next>) -> Result<()> {
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
                return Ok(());
            }
            let _ = reader.send(Next::Block(block));
        }
        if !more {
            let _ = reader.send(Next::End);
            return Ok(());
        }
    }
}
