//! SHA-256 of a stream, fed by a filesystem's reader; holes are hashed as zeros without being read.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};

use super::work::{Limits, Work};
use crate::{
    error::{Error, Result},
    fs::{NodeId, Session, Sink, Stream},
    text,
};

/// Zeros to hash a hole with; large enough that the loop around it costs nothing.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// What one stream's hashing came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hashed {
    /// SHA-256 of its bytes.
    pub(super) sha256: [u8; 32],
    /// Bytes of the stream, holes included.
    pub(super) len: u64,
}

/// A stream that could not be hashed.
#[derive(Debug)]
pub(super) struct Unhashed {
    pub(super) why: Error,
    /// Whether it has more than the limits allow.
    pub(super) is_refused: bool,
}

impl Unhashed {
    /// One that has more than the limits allow.
    pub(super) fn refused(why: Error) -> Self {
        Self { why, is_refused: true }
    }
}

struct HashSink<'a> {
    /// Nothing where bytes are counted only.
    sha: Option<Sha256>,
    len: u64,
    holes: u64,
    limits: Limits,
    over: Result<()>,
    progress: &'a AtomicU64,
}

impl<'a> HashSink<'a> {
    fn new(sha: Option<Sha256>, limits: Limits, progress: &'a AtomicU64) -> Self {
        Self { sha, len: 0, holes: 0, limits, over: Ok(()), progress }
    }

    fn took(&mut self, len: u64) {
        self.len = self.len.saturating_add(len);
        if self.sha.is_some() {
            self.progress.fetch_add(len, Ordering::Relaxed);
        }
    }
}

impl Sink for HashSink<'_> {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let stored = self.len.saturating_sub(self.holes).saturating_add(bytes.len() as u64);
        self.over = self.limits.check(Work { holes: 0, stored });
        if self.over.is_err() {
            return ControlFlow::Break(());
        }
        if let Some(sha) = &mut self.sha {
            sha.update(bytes);
        }
        self.took(bytes.len() as u64);
        ControlFlow::Continue(())
    }

    fn hole(&mut self, len: u64) -> ControlFlow<()> {
        let holes = self.holes.saturating_add(len);
        self.over = self.limits.check(Work { holes, stored: 0 });
        if self.over.is_err() {
            return ControlFlow::Break(());
        }
        self.holes = holes;
        if let Some(sha) = &mut self.sha {
            let mut left = len;
            while left > 0 {
                let piece = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
                sha.update(&ZEROS[..piece]);
                left -= piece as u64;
            }
        }
        self.took(len);
        ControlFlow::Continue(())
    }
}

/// Hashes one stream. `progress` counts the bytes as they go by.
///
/// # Errors
/// When the stream cannot be read in full, and [`Error::Budget`] when it has more than the limits allow.
pub(super) fn stream(
    session: &mut dyn Session,
    node: &NodeId,
    which: &Stream,
    limits: Limits,
    progress: &AtomicU64,
) -> Result<Hashed, Unhashed> {
    read(session, node, which, HashSink::new(Some(Sha256::new()), limits, progress))
}

/// Looks whether a stream whose places are unknown has more than the limits allow before any of it is hashed.
///
/// # Errors
/// [`Error::Budget`] when it has. What cannot be read shows when it is hashed.
pub(super) fn check(session: &mut dyn Session, node: &NodeId, which: &Stream, limits: Limits) -> Result<()> {
    let nobody = AtomicU64::new(0);
    let mut sink = HashSink::new(None, limits, &nobody);
    let _ = session.read(node, which, &mut sink);
    sink.over
}

fn read(session: &mut dyn Session, node: &NodeId, which: &Stream, mut sink: HashSink<'_>) -> Result<Hashed, Unhashed> {
    let done = session.read(node, which, &mut sink);
    let HashSink { sha, len, over, .. } = sink;
    over.map_err(Unhashed::refused)?;
    match done {
        Ok(()) => Ok(Hashed { sha256: sha.map_or([0; 32], |sha| sha.finalize().into()), len }),
        Err(why) => Err(Unhashed { why, is_refused: false }),
    }
}

/// SHA-256 of bytes at hand, in lower-case hexadecimal.
pub(super) fn bytes(bytes: &[u8]) -> String {
    text::hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Budgets;

    /// From `sha256sum` of the bytes `abc`, and of a megabyte of zeros (`head -c 1048576 /dev/zero`).
    #[test]
    fn data_and_holes_hash_as_the_bytes_they_stand_for() {
        let progress = AtomicU64::new(0);
        let limits = Limits::new(&Budgets { hole_bytes: 1 << 20, ..Budgets::default() });
        assert_eq!(bytes(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let mut zeros = HashSink::new(Some(Sha256::new()), limits, &progress);
        assert!(zeros.hole(1 << 20).is_continue());
        assert_eq!(
            text::hex(&zeros.sha.clone().unwrap().finalize()),
            "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"
        );
        assert!(zeros.hole(1).is_break() && zeros.over.is_err(), "the budget of holes ends it");
        assert_eq!((zeros.holes, progress.into_inner()), (1 << 20, 1 << 20));
    }
}
