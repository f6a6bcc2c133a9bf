//! SHA-256 of a stream, fed by a filesystem's reader; holes are hashed as zeros without being read.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};

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

struct HashSink<'a> {
    sha: Sha256,
    len: u64,
    holes: u64,
    hole_budget: u64,
    over: bool,
    progress: &'a AtomicU64,
}

impl Sink for HashSink<'_> {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.sha.update(bytes);
        self.len = self.len.saturating_add(bytes.len() as u64);
        self.progress.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        ControlFlow::Continue(())
    }

    fn hole(&mut self, len: u64) -> ControlFlow<()> {
        self.holes = self.holes.saturating_add(len);
        if self.holes > self.hole_budget {
            self.over = true;
            return ControlFlow::Break(());
        }
        let mut left = len;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.sha.update(&ZEROS[..piece]);
            left -= piece as u64;
        }
        self.len = self.len.saturating_add(len);
        self.progress.fetch_add(len, Ordering::Relaxed);
        ControlFlow::Continue(())
    }
}

/// Hashes one stream. `progress` counts the bytes as they go by.
///
/// # Errors
/// When the stream cannot be read in full, and [`Error::Budget`] when its holes exceed `hole_budget` bytes.
pub(super) fn stream(
    session: &mut dyn Session,
    node: &NodeId,
    which: &Stream,
    hole_budget: u64,
    progress: &AtomicU64,
) -> Result<Hashed> {
    let mut sink = HashSink { sha: Sha256::new(), len: 0, holes: 0, hole_budget, over: false, progress };
    session.read(node, which, &mut sink)?;
    if sink.over {
        return Err(Error::budget(
            "scan",
            format!("more than {hole_budget} bytes of holes in one file; raise it with --max-hole-bytes"),
        ));
    }
    Ok(Hashed { sha256: sink.sha.finalize().into(), len: sink.len })
}

/// SHA-256 of bytes at hand, in lower-case hexadecimal.
pub(super) fn bytes(bytes: &[u8]) -> String {
    text::hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `sha256sum` of the bytes `abc`, and of a megabyte of zeros (`head -c 1048576 /dev/zero`).
    #[test]
    fn data_and_holes_hash_as_the_bytes_they_stand_for() {
        let count = AtomicU64::new(0);
        let sink =
            || HashSink { sha: Sha256::new(), len: 0, holes: 0, hole_budget: 1 << 20, over: false, progress: &count };
        assert_eq!(bytes(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let mut zeros = sink();
        assert!(zeros.hole(1 << 20).is_continue());
        assert_eq!(
            text::hex(&zeros.sha.clone().finalize()),
            "30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58"
        );
        assert!(zeros.hole(1).is_break() && zeros.over, "the budget of holes ends it");
    }
}
