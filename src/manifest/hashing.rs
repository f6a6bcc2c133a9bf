//! The hash of all lines of a manifest, made block by block by whichever of two threads has nothing better to do.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use sha2::{Digest, Sha256};

use super::block::Block;
use crate::threads;

/// The hash as far as it was made.
#[derive(Debug)]
pub(super) struct Hashing {
    hash: Mutex<Sha256>,
    /// How many blocks it is of. Only who holds the hash adds to it.
    blocks: AtomicU64,
}

impl Hashing {
    /// Goes on from what was hashed before the first block.
    pub(super) fn new(hash: Sha256) -> Self {
        Self { hash: Mutex::new(hash), blocks: AtomicU64::new(0) }
    }

    /// Hashes a block where it is the next one and nobody is at it; whether it is hashed now.
    pub(super) fn try_hash(&self, number: u64, block: &Block) -> bool {
        if self.is_hashed(number) {
            return true;
        }
        let hash = match self.hash.try_lock() {
            Ok(hash) => hash,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        self.go_on(hash, number, block);
        self.is_hashed(number)
    }

    /// Hashes a block where it is the next one, and waits for who is at it.
    pub(super) fn hash(&self, number: u64, block: &Block) {
        if !self.is_hashed(number) {
            self.go_on(threads::lock(&self.hash), number, block);
        }
    }

    /// The hash of all blocks, once all are hashed.
    pub(super) fn finish(&self) -> Sha256 {
        self.hash.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_hashed(&self, number: u64) -> bool {
        self.blocks.load(Ordering::Acquire) > number
    }

    fn go_on(&self, mut hash: MutexGuard<'_, Sha256>, number: u64, block: &Block) {
        if number == self.blocks.load(Ordering::Acquire) {
            hash.update(block.as_bytes());
            self.blocks.store(number + 1, Ordering::Release);
        }
    }
}

/// Blocks that one thread sent to the other one and may hash meanwhile.
#[derive(Debug)]
pub(super) struct Ahead {
    hashing: Arc<Hashing>,
    /// Those that may wait to be hashed; gone are those that were compressed.
    sent: VecDeque<(u64, Weak<Block>)>,
    /// How many wait at most.
    depth: usize,
    /// How many were sent.
    blocks: u64,
}

impl Ahead {
    /// For at most so many blocks that wait at once.
    pub(super) fn new(hashing: Arc<Hashing>, depth: usize) -> Self {
        Self { hashing, sent: VecDeque::with_capacity(depth), depth, blocks: 0 }
    }

    /// Takes the next block into account, before it is sent.
    pub(super) fn push(&mut self, block: &Arc<Block>) {
        while self.sent.len() >= self.depth {
            self.sent.pop_front();
        }
        self.sent.push_back((self.blocks, Arc::downgrade(block)));
        self.blocks += 1;
    }

    /// Hashes the next block; `false` where the other thread is at it, or none waits.
    pub(super) fn hash_one(&mut self) -> bool {
        while let Some((number, sent)) = self.sent.front() {
            match sent.upgrade() {
                Some(block) if !self.hashing.is_hashed(*number) => {
                    let hashed = self.hashing.try_hash(*number, &block);
                    if hashed {
                        self.sent.pop_front();
                    }
                    return hashed;
                }
                _ => drop(self.sent.pop_front()),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Arc<Block> {
        let mut block = Block::with_capacity(16);
        block.push(text.as_bytes());
        Arc::new(block)
    }

    #[test]
    fn all_blocks_that_wait_are_hashed_ahead_and_the_hash_is_that_of_all_in_order() {
        const DEPTH: usize = 9;
        let hashing = Arc::new(Hashing::new(Sha256::new()));
        let mut ahead = Ahead::new(Arc::clone(&hashing), DEPTH);
        let blocks: Vec<_> = (0..=DEPTH).map(|at| block(&format!("line {at}"))).collect();
        // The first one is compressed and was hashed by who does that; all places behind it are taken.
        for block in &blocks {
            ahead.push(block);
        }
        hashing.hash(0, &blocks[0]);
        for waiting in 1..=DEPTH {
            assert!(ahead.hash_one(), "{waiting}");
        }
        assert!(!ahead.hash_one());
        for (number, block) in (0..).zip(&blocks) {
            hashing.hash(number, block);
        }
        let whole: String = (0..=DEPTH).map(|at| format!("line {at}\n")).collect();
        assert_eq!(hashing.finish().finalize(), Sha256::digest(whole));
    }

    #[test]
    fn a_block_is_hashed_in_its_turn_only_and_by_one_thread() {
        let hashing = Arc::new(Hashing::new(Sha256::new()));
        let mut ahead = Ahead::new(Arc::clone(&hashing), 2);
        let blocks = [block("a"), block("b"), block("c")];
        assert!(!hashing.try_hash(1, &blocks[1]), "the first one comes first");
        let held = threads::lock(&hashing.hash);
        ahead.push(&blocks[0]);
        assert!(!ahead.hash_one() && !hashing.try_hash(0, &blocks[0]), "another thread is at it");
        drop(held);
        assert!(ahead.hash_one() && hashing.try_hash(0, &blocks[0]));
        // Of three that wait where two may, the first is left to who compresses.
        ahead.push(&blocks[1]);
        ahead.push(&blocks[1]);
        ahead.push(&blocks[2]);
        assert!(!ahead.hash_one());
        hashing.hash(1, &blocks[1]);
        assert_eq!(hashing.finish().finalize(), Sha256::digest("a\nb\n"));
    }
}
