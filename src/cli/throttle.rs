//! Politeness beside production: a limit on the rate of reading, and the lowest priority.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::target::OnRead;

/// A limit of `rate` megabytes (10⁶ bytes) a second over all workers together. Each read waits for its turn on
/// one common schedule; time in which nothing was read is not saved up.
pub(super) fn limit(rate: u64) -> OnRead {
    let next = Mutex::new(Instant::now());
    let rate = rate.max(1).saturating_mul(1_000_000);
    Arc::new(move |bytes| {
        let now = Instant::now();
        let takes = Duration::from_nanos(
            u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(rate)).unwrap_or(u64::MAX),
        );
        let turn = {
            let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(now);
            *next = turn + takes;
            turn
        };
        std::thread::sleep(turn.saturating_duration_since(now));
    })
}

/// Takes the lowest priority for this process and all its threads to come. The kernel derives the priority of
/// reading from it too, where none was set (`ionice(1)`). A refusal is no reason not to scan.
pub(super) fn yield_to_others() {
    const LOWEST: i32 = 19;
    let _ = rustix::process::setpriority_process(None, LOWEST);
}
