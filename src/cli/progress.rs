//! How far the work has come, on a terminal: entities, bytes, the directory at hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    report::{escape, human},
    scan::Progress,
};

/// How often the line is drawn anew.
const INTERVAL: Duration = Duration::from_millis(120);

/// A line on standard error that follows a scan until it is dropped.
pub(super) struct Follow {
    stop: Arc<AtomicBool>,
    drawer: Option<JoinHandle<()>>,
}

impl Follow {
    /// Follows `progress` of the work on `what`; does nothing unless there is a terminal.
    pub(super) fn start(what: &str, progress: &Arc<Progress>, terminal: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        if !terminal {
            return Self { stop, drawer: None };
        }
        let (progress, seen, what) = (Arc::clone(progress), Arc::clone(&stop), escape::escaped(what).into_owned());
        let drawer = std::thread::spawn(move || {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}") {
                bar.set_style(style);
            }
            while !seen.load(Ordering::Relaxed) {
                let (entities, bytes) = (human::count(progress.entities()), human::size(progress.bytes()));
                let current = progress.current();
                let current = escape::escaped_bytes(&current);
                bar.set_message(format!("{what}: {entities} entities, {bytes}, {current}"));
                bar.tick();
                std::thread::park_timeout(INTERVAL);
            }
            bar.finish_and_clear();
        });
        Self { stop, drawer: Some(drawer) }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(drawer) = self.drawer.take() {
            drawer.thread().unpark();
            let _ = drawer.join();
        }
    }
}
