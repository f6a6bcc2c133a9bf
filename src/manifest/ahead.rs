//! Reading ahead: a thread that decompresses and hashes while another one compares.

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use super::{
    block::{Block, Blocks},
    read::damaged,
};
use crate::error::{Error, Result};

/// How many blocks wait at most.
const DEPTH: usize = 3;

/// What the thread has read.
enum Next {
    Lines(Block),
    /// The footer, which is right.
    End,
}

/// The near end of the thread.
#[derive(Debug)]
pub(super) struct Ahead {
    name: String,
    full: Receiver<Result<Next>>,
    /// Blocks that were read, to be filled again.
    empty: SyncSender<Block>,
    ended: bool,
}

impl Ahead {
    pub(super) fn start(mut blocks: Blocks) -> Result<Self> {
        let name = blocks.name.clone();
        let (fill, full) = sync_channel(DEPTH);
        let (empty, emptied) = sync_channel::<Block>(DEPTH + 1);
        let thread = thread::Builder::new().name("manifest".to_owned());
        let work = move || {
            loop {
                let mut block = emptied.try_recv().unwrap_or_default();
                let next = match blocks.fill(&mut block) {
                    Ok(true) => Ok(Next::Lines(block)),
                    Ok(false) => Ok(Next::End),
                    Err(error) => Err(error),
                };
                let last = !matches!(next, Ok(Next::Lines(_)));
                // The other end hangs up when it has seen enough.
                if fill.send(next).is_err() || last {
                    return;
                }
            }
        };
        thread.spawn(work).map_err(|error| Error::State(format!("{name}: no thread to read it: {error}")))?;
        Ok(Self { name, full, empty, ended: false })
    }

    /// As [`Blocks::fill`].
    pub(super) fn fill(&mut self, block: &mut Block) -> Result<bool> {
        if self.ended {
            *block = Block::default();
            return Ok(false);
        }
        // A thread that dies without a word has not seen the footer.
        let next = self.full.recv().unwrap_or_else(|_| Err(damaged(&self.name, "its reader ended early")))?;
        match next {
            Next::Lines(next) => {
                let _ = self.empty.try_send(std::mem::replace(block, next));
                Ok(true)
            }
            Next::End => {
                self.ended = true;
                *block = Block::default();
                Ok(false)
            }
        }
    }
}
