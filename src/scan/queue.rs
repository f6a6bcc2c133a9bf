//! The work that is left: a stack shared by the workers, last in, first out, so that a worker goes depth first
//! and what waits stays small.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::threads::{self, Patience};

/// A stack of tasks; it is finished when it is empty and nobody works.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    tasks: Vec<T>,
    working: usize,
    /// Set by the first worker that fails for good; the others then stop.
    stopped: bool,
}

/// What the queue needs of a worker with tasks of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// There is enough for others to do.
    Nothing,
    /// Others wait for work.
    More,
    /// Another worker has failed for good.
    Stop,
}

impl<T> Queue<T> {
    pub(super) fn new(tasks: Vec<T>) -> Self {
        Self { state: Mutex::new(State { tasks, working: 0, stopped: false }), changed: Condvar::new() }
    }

    /// A panic of a worker is turned into a fault where it happens, so a poisoned lock is still sound.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        threads::lock(&self.state)
    }

    pub(super) fn push(&self, tasks: impl IntoIterator<Item = T>) {
        let mut state = self.lock();
        let before = state.tasks.len();
        state.tasks.extend(tasks);
        match state.tasks.len() - before {
            0 => {}
            1 => self.changed.notify_one(),
            _ => self.changed.notify_all(),
        }
    }

    /// Whether tasks wait; then there is no need to hand out more.
    pub(super) fn has_at_least(&self, tasks: usize) -> bool {
        self.lock().tasks.len() >= tasks
    }

    /// Whether of so many workers one has nothing to do, and no task waits for it.
    pub(super) fn has_idle(&self, workers: usize) -> bool {
        let state = self.lock();
        !state.stopped && state.tasks.len().saturating_add(state.working) < workers
    }

    /// What a worker with tasks of its own is to do with them, when fewer than `enough` wait for others.
    pub(super) fn need(&self, enough: usize) -> Need {
        let state = self.lock();
        match state.stopped {
            true => Need::Stop,
            false if state.tasks.len() < enough => Need::More,
            false => Need::Nothing,
        }
    }

    /// The next task, waiting for one while others work; `None` when all is done. Each task taken must be
    /// given back with [`Queue::done`].
    pub(super) fn take(&self) -> Option<T> {
        let mut patience = Patience::new();
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(task) = state.tasks.pop() {
                state.working += 1;
                return Some(task);
            }
            if state.working == 0 {
                return None;
            }
            state = if patience.is_left() {
                drop(state);
                patience.wait();
                self.lock()
            } else {
                self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    pub(super) fn done(&self) {
        let mut state = self.lock();
        state.working = state.working.saturating_sub(1);
        if state.working == 0 && state.tasks.is_empty() {
            self.changed.notify_all();
        }
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_nothing_to_do_is_idle_until_a_task_waits_for_him() {
        let queue = Queue::new(vec![1]);
        assert!(!queue.has_idle(1) && queue.has_idle(2));
        assert_eq!(queue.take(), Some(1));
        assert!(!queue.has_idle(1) && queue.has_idle(2), "one works");
        queue.push([2]);
        assert!(!queue.has_idle(2) && queue.has_idle(3), "one works, and a task waits");
        assert_eq!(queue.take(), Some(2));
        assert!(!queue.has_idle(2), "both work");
        queue.done();
        assert!(queue.has_idle(2));
        queue.stop();
        assert!(!queue.has_idle(2), "who has stopped takes nothing");
    }
}
