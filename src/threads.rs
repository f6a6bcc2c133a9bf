//! Threads that work together for some hundredths of a second: where they begin, and how they wait for each other.
//!
//! Linux wakes a thread on the processor of who wakes it, unless it knows a better one that is idle. On virtual machines
//! it does not: a virtual processor that halts counts as taken away (`vcpu_is_preempted`), so threads that sleep and wake
//! each other gather on one, and the kernel needs 20 ms and more to spread them again. What lasts longer does not notice.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        mpsc::{Receiver, TryRecvError},
    },
    thread,
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// How often who waits asks again before it sleeps: for about half a millisecond, in which most of what it waits for
/// comes; or as many turns where others want the processor, which then have it.
const PATIENCE: u32 = 2000;

/// How often a thread takes its processor again.
const SEATINGS: u32 = 16;

/// How long somebody has waited.
#[derive(Debug)]
pub(crate) struct Patience(u32);

impl Patience {
    pub(crate) fn new() -> Self {
        Self(PATIENCE)
    }

    /// Whether it is not yet time to sleep.
    pub(crate) fn is_left(&self) -> bool {
        self.0 > 0
    }

    /// Lets others work for a moment.
    pub(crate) fn wait(&mut self) {
        self.0 = self.0.saturating_sub(1);
        thread::yield_now();
    }
}

/// As [`Mutex::lock`], of what a panic of another thread leaves sound.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let mut patience = Patience::new();
    while patience.is_left() {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(error)) => return error.into_inner(),
            Err(TryLockError::WouldBlock) => patience.wait(),
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As [`Receiver::recv`].
pub(crate) fn receive<T>(from: &Receiver<T>) -> Option<T> {
    let mut patience = Patience::new();
    loop {
        match from.try_recv() {
            Ok(value) => return Some(value),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) if patience.is_left() => patience.wait(),
            Err(TryRecvError::Empty) => return from.recv().ok(),
        }
    }
}

/// How threads that take all processors together are spread over them.
#[derive(Debug)]
pub(crate) struct Spread {
    /// The processors that this process may use; none where there are more of them than threads: then the kernel
    /// chooses, which knows what else runs.
    allowed: Option<CpuSet>,
    /// That of who starts the threads.
    here: usize,
}

/// A thread's processor, to begin with; by default any.
#[derive(Debug, Default)]
pub(crate) struct Seat<'s> {
    allowed: Option<&'s CpuSet>,
    processor: usize,
    /// How often it may still be taken again.
    left: u32,
}

impl Spread {
    /// For so many threads, with the one that asks or instead of it.
    pub(crate) fn of(threads: usize) -> Self {
        let allowed = sched_getaffinity(None).ok();
        let takes_all = |allowed: &CpuSet| usize::try_from(allowed.count()).is_ok_and(|count| threads >= count);
        Self { allowed: allowed.filter(takes_all), here: sched_getcpu() }
    }

    /// The `nth` processor behind the one that this was made on.
    pub(crate) fn seat(&self, nth: usize) -> Seat<'_> {
        let is_allowed = |at: &usize| self.allowed.as_ref().is_some_and(|allowed| allowed.is_set(*at));
        let behind = (self.here..CpuSet::MAX_CPU).chain(0..self.here.min(CpuSet::MAX_CPU)).filter(is_allowed);
        let (allowed, processor) = match behind.cycle().nth(nth) {
            Some(processor) => (self.allowed.as_ref(), processor),
            None => (None, 0),
        };
        Seat { allowed, processor, left: SEATINGS }
    }
}

impl Seat<'_> {
    /// Moves the thread that asks to its processor where it is on another one, a few times. The kernel may move it on
    /// as it likes, and does where other programs want that processor. What it refuses is no reason not to work.
    pub(crate) fn keep(&mut self) {
        let Some(allowed) = self.allowed.filter(|_| self.left > 0 && sched_getcpu() != self.processor) else { return };
        self.left = self.left.saturating_sub(1);
        let mut only = CpuSet::new();
        only.set(self.processor);
        if sched_setaffinity(None, &only).is_ok() {
            let _ = sched_setaffinity(None, allowed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn what_is_sent_arrives_in_order_and_its_end_is_seen_also_by_who_sleeps() {
        let (to, from) = sync_channel(1);
        let sender = thread::spawn(move || {
            for value in 0..100 {
                to.send(value).unwrap();
                if value % 50 == 49 {
                    // Longer than the other's patience.
                    thread::sleep(std::time::Duration::from_millis(20));
                }
            }
        });
        let got: Vec<_> = std::iter::from_fn(|| receive(&from)).collect();
        assert_eq!(got, (0..100).collect::<Vec<_>>());
        sender.join().unwrap();
    }

    #[test]
    fn a_lock_is_waited_for_and_a_panic_beside_it_is_survived() {
        let value = std::sync::Arc::new(Mutex::new(0));
        let held = lock(&value);
        let other = std::sync::Arc::clone(&value);
        let waiting = thread::spawn(move || {
            *lock(&other) += 1;
            let _held = lock(&other);
            panic!("a thread that dies with the lock");
        });
        thread::sleep(std::time::Duration::from_millis(20));
        drop(held);
        assert!(waiting.join().is_err());
        assert_eq!(*lock(&value), 1);
    }

    #[test]
    fn a_thread_that_took_its_processor_may_go_anywhere_as_before() {
        let before = sched_getaffinity(None).unwrap();
        let count = usize::try_from(before.count()).unwrap();
        let spread = Spread::of(count);
        let mut taken: Vec<_> = (0..2 * count).map(|nth| spread.seat(nth).processor).collect();
        assert_eq!(taken[..count], taken[count..], "they go round");
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), count, "each processor once");
        for nth in 0..2 * count {
            let mut seat = spread.seat(nth);
            assert!(before.is_set(seat.processor));
            for _ in 0..2 * SEATINGS {
                seat.keep();
                assert_eq!(sched_getaffinity(None).unwrap(), before, "seat {nth}");
            }
        }
    }

    #[test]
    fn fewer_threads_than_processors_are_left_to_the_kernel() {
        let spread = Spread::of(0);
        let mut seat = spread.seat(0);
        seat.keep();
        assert_eq!((seat.allowed.is_some(), seat.left), (false, SEATINGS));
    }
}
