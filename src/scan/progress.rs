//! How far a scan has come, for whoever watches.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// Counters that the workers move and anybody may read.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records made.
    pub(super) entities: AtomicU64,
    /// Bytes hashed, holes included.
    pub(super) bytes: AtomicU64,
    /// Bytes of content whose hash was taken over.
    pub(super) taken_over: AtomicU64,
    current: Mutex<Vec<u8>>,
}

impl Progress {
    /// Records made so far.
    #[must_use]
    pub fn entities(&self) -> u64 {
        self.entities.load(Ordering::Relaxed)
    }

    /// Bytes hashed so far, holes included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes of content whose hash was taken over so far.
    #[must_use]
    pub fn taken_over(&self) -> u64 {
        self.taken_over.load(Ordering::Relaxed)
    }

    /// The directory that was entered last.
    #[must_use]
    pub fn current(&self) -> Vec<u8> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The walk begins anew. What was hashed stays hashed.
    pub(super) fn restart(&self) {
        self.entities.store(0, Ordering::Relaxed);
        self.taken_over.store(0, Ordering::Relaxed);
    }

    /// Says where a worker is. Nobody waits for that: when another worker is saying so, this one does not.
    pub(super) fn enter(&self, path: &[u8]) {
        if let Ok(mut current) = self.current.try_lock() {
            current.clear();
            current.extend_from_slice(path);
        }
    }
}
