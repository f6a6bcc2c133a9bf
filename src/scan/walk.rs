//! The parallel walk: directories are the unit of work, depth first, the metadata of a directory in the order of
//! its nodes, big files split off so that no worker waits for one.
//!
//! What is walked, and under which path, does not depend on the order in which workers come by: a directory is
//! entered only through the parent that it names itself. One that is reached through another is put aside and
//! looked at when the rest is done, in the order of paths.

use std::{
    collections::{BTreeSet, BinaryHeap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use super::{
    Options,
    budget::Budgets,
    directory::{Entries, Waiting},
    entity,
    hash::Hashed,
    note::Note,
    plan::Plan,
    progress::Progress,
    queue::Queue,
    reuse::{Fingerprint, Previous, Reuse, Trace},
    work::{Known, Linked, Works},
    worker::Worker,
};
use crate::{
    error::{Error, Fault, Result},
    fs::NodeId,
    machine::{Machine, Mount, Volume},
    manifest::{Kind, Record, attribute::Part},
    policy::{EffectivePolicy, EntityPath, Matcher, State},
    threads::{self, Seat, Spread},
};

/// Where a worker's records go.
pub(super) trait Records {
    /// Takes one record, and what of it is kept for the next scan.
    fn push(&mut self, record: Record, trace: Trace) -> Result<()>;
    /// Counts an entity whose line of the manifest before is taken over.
    fn kept(&mut self, kind: Kind);
}

/// Directories that are put aside at once. Of more, those whose paths come last are faults.
const MAX_ASIDE: usize = 65_536;

/// A directory that is walked.
pub(super) struct Dir {
    pub(super) volume: usize,
    pub(super) node: NodeId,
    pub(super) path: Vec<u8>,
    pub(super) state: State,
    pub(super) depth: usize,
}

/// Entries of one directory.
pub(super) struct Batch {
    pub(super) dir: Arc<Dir>,
    pub(super) entries: Entries,
}

#[allow(clippy::large_enum_variant, reason = "few tasks wait at a time: the walk goes depth first")]
pub(super) enum Task {
    /// The root of a mount, or a directory of which it is settled that it is walked under this name.
    Root(Dir),
    Dir(Waiting),
    Batch(Batch),
    Hash(FileTask),
}

/// A file whose record is complete but for the hash.
pub(super) struct FileTask {
    pub(super) volume: usize,
    pub(super) node: NodeId,
    pub(super) links: u64,
    pub(super) record: Record,
    /// What all of the record rests on but for the content.
    pub(super) evidence: Option<Fingerprint>,
    /// What its content was hashed to, where that was done already.
    pub(super) hashed: Option<Hashed>,
}

/// What a walk came to.
pub(super) enum Walked<R> {
    /// All records, and what is worth knowing besides.
    Done(Vec<R>, Vec<Note>),
    /// There was too much to hash: it is to be done again with these limits.
    InVain(Works),
}

/// What all workers share.
pub(super) struct Walk<'m> {
    pub(super) machine: &'m Machine,
    pub(super) policy: &'m EffectivePolicy,
    pub(super) matcher: &'m Matcher,
    pub(super) budgets: Budgets,
    pub(super) progress: &'m Progress,
    pub(super) reuse: Option<&'m Reuse>,
    /// The scan before, where lines of its manifest may be taken over.
    pub(super) lines: Option<&'m Previous>,
    pub(super) queue: Queue<Task>,
    pub(super) threads: usize,
    pub(super) mounts: HashMap<&'m [u8], &'m Mount>,
    /// The directories that hold mount points.
    above_mounts: HashSet<&'m [u8]>,
    /// Directories that were entered, by volume and number.
    entered: Mutex<HashSet<(usize, u64)>>,
    /// Directories that were reached through a directory which they do not name as their parent.
    aside: Mutex<BinaryHeap<Waiting>>,
    pub(super) linked: Mutex<HashMap<Linked, Known>>,
    pub(super) works: Works,
    /// Mount points in which something lies that the mount hides.
    pub(super) hidden: Mutex<BTreeSet<Vec<u8>>>,
}

impl<'m> Walk<'m> {
    pub(super) fn new(
        machine: &'m Machine,
        plan: &'m Plan,
        options: &Options<'m>,
        threads: usize,
        progress: &'m Progress,
        lines: Option<&'m Previous>,
        works: Works,
    ) -> Self {
        Self {
            machine,
            policy: &plan.policy,
            matcher: &plan.matcher,
            budgets: options.budgets,
            progress,
            reuse: options.reuse,
            lines,
            queue: Queue::new(Vec::new()),
            threads: threads.max(1),
            mounts: machine.mounts.iter().map(|mount| (mount.path.as_slice(), mount)).collect(),
            above_mounts: machine.mounts.iter().flat_map(|mount| above(&mount.path)).collect(),
            entered: Mutex::default(),
            aside: Mutex::default(),
            linked: Mutex::default(),
            works,
            hidden: Mutex::default(),
        }
    }

    /// Walks everything that the policy covers; each worker's records go to its own sink.
    pub(super) fn run<R: Records + Send>(self, sinks: Vec<R>) -> Result<Walked<R>> {
        let mut sinks = sinks;
        if let Some(first) = sinks.first_mut() {
            self.roots(first)?;
        }
        sinks = self.drain(sinks)?;
        loop {
            let aside = std::mem::take(&mut *self.aside.lock().unwrap_or_else(PoisonError::into_inner));
            if aside.is_empty() {
                let notes = self.notes();
                return Ok(match self.works.lowered() {
                    Some(works) => Walked::InVain(works),
                    None => Walked::Done(sinks, notes),
                });
            }
            for waiting in aside.into_sorted_vec() {
                if let Some(first) = sinks.first_mut()
                    && self.enter_aside(waiting, first)?
                {
                    sinks = self.drain(sinks)?;
                }
            }
        }
    }

    fn notes(&self) -> Vec<Note> {
        let hidden = std::mem::take(&mut *self.hidden.lock().unwrap_or_else(PoisonError::into_inner));
        let hidden = hidden.into_iter().map(|path| {
            let path = String::from_utf8_lossy(&path).into_owned();
            Note::Other(format!("{path}: what lies beneath the volume that is mounted here is not read"))
        });
        let late = self.machine.volumes.iter().filter_map(|volume| volume.fs.as_ref()).flat_map(|fs| fs.late_notes());
        hidden.chain(late.map(Note::Other)).collect()
    }

    /// Puts the root of every mount on the stack, last first, with a record of its own where it is covered.
    fn roots<R: Records>(&self, sink: &mut R) -> Result<()> {
        let mut worker = Worker::new(self, sink, Seat::default());
        for mount in self.machine.mounts.iter().rev() {
            let state = self.state_at(&mount.path)?;
            if !interesting(&state) {
                continue;
            }
            let node = worker.sessions.of(mount.volume)?.root();
            let dir = Dir { volume: mount.volume, node, path: mount.path.clone(), state, depth: 0 };
            worker.root(&dir)?;
            self.mark(dir.volume, &dir.node);
            self.queue.push([Task::Root(dir)]);
        }
        Ok(())
    }

    /// What the policy says about a container at a path.
    fn state_at(&self, path: &[u8]) -> Result<State> {
        Ok(state_at(self.matcher, &EntityPath::parse(path)?))
    }

    /// Works until the stack is empty.
    fn drain<R: Records + Send>(&self, sinks: Vec<R>) -> Result<Vec<R>> {
        let spread = &Spread::of(sinks.len());
        std::thread::scope(|scope| {
            let workers: Vec<_> = sinks
                .into_iter()
                .enumerate()
                .map(|(nth, mut sink)| {
                    scope.spawn(move || {
                        let result = Worker::new(self, &mut sink, spread.seat(nth)).work();
                        if result.is_err() {
                            self.queue.stop();
                        }
                        result.map(|()| sink)
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| Err(Error::Bug("a worker died".to_owned()))))
                .collect()
        })
    }

    /// A directory that was reached through a parent which it does not name. When it was entered where it says
    /// that it belongs, it is not entered again; else this is its only name. Says whether it is to be walked.
    fn enter_aside<R: Records>(&self, mut waiting: Waiting, sink: &mut R) -> Result<bool> {
        let silent = waiting.silent.take();
        let dir = waiting.enter();
        let volume = &self.machine.volumes[dir.volume].id;
        let is_first = self.mark(dir.volume, &dir.node);
        let at = node_name(&dir.node);
        let fault = match (is_first, silent) {
            (true, Some(fault)) => *fault,
            (true, None) => {
                let why = "the directory and the entry that leads to it contradict each other: another parent, or no \
                           directory";
                Fault::new("scan", at, why)
            }
            (false, _) => {
                let why = "the directory was entered under another name already, and is listed there only";
                Fault::new("scan", at, why)
            }
        };
        self.emit(sink, entity::fault(&dir.path, b"", Part::Listing, fault, volume), Trace::default())?;
        if is_first {
            self.queue.push([Task::Root(dir)]);
        }
        Ok(is_first)
    }

    /// Notes that a directory is entered; false when it was before.
    pub(super) fn mark(&self, volume: usize, dir: &NodeId) -> bool {
        match dir {
            NodeId::Number(number) => threads::lock(&self.entered).insert((volume, *number)),
            // Paths are unique by themselves; loops end at the budget of depth.
            NodeId::Path(_) => true,
        }
    }

    /// Keeps a directory for later. Where there are too many, one is a fault instead: which ones that are does not
    /// depend on the order in which they come.
    pub(super) fn put_aside<R: Records>(&self, waiting: Waiting, sink: &mut R) -> Result<()> {
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        aside.push(waiting);
        let last = if aside.len() > MAX_ASIDE { aside.pop() } else { None };
        drop(aside);
        let Some(dir) = last.map(Waiting::enter) else { return Ok(()) };
        let why =
            format!("more than {MAX_ASIDE} entries lead to directories that deny them; this one is not looked at");
        let fault = Fault::new("scan", node_name(&dir.node), why);
        let record = entity::fault(&dir.path, b"", Part::Listing, fault, self.volume_id(dir.volume));
        self.emit(sink, record, Trace::default())
    }

    pub(super) fn emit<R: Records + ?Sized>(&self, sink: &mut R, record: Record, trace: Trace) -> Result<()> {
        self.count(1)?;
        sink.push(record, trace)
    }

    /// Counts so many more records.
    pub(super) fn count(&self, records: u64) -> Result<()> {
        count(self.progress, &self.budgets, records)
    }

    /// Whether an entry of a directory may be a mount point.
    pub(super) fn has_mounts_in(&self, path: &[u8]) -> bool {
        self.above_mounts.contains(path)
    }

    /// Whether this content is read although its hash could be taken over.
    pub(super) fn samples(&self, path: &[u8], name: &[u8]) -> bool {
        let sample = self.reuse.and_then(|reuse| reuse.verify.as_ref());
        sample.is_some_and(|sample| sample.takes(path, name))
    }

    /// A volume that lies on the disks.
    pub(super) fn places(&self, volume: usize) -> Option<&'m Volume> {
        self.machine.volumes.get(volume).filter(|volume| volume.image.is_some())
    }

    pub(super) fn volume_id(&self, volume: usize) -> &'m str {
        &self.machine.volumes[volume].id
    }
}

/// The directory that holds a path, with its last separator and without, whichever the separator is.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let last = |separator| path.iter().rposition(|byte| *byte == separator);
    [b'/', b'\\'].into_iter().filter_map(last).flat_map(|at| [&path[..at], &path[..=at]])
}

/// What the policy says about a container at a path.
pub(super) fn state_at(matcher: &Matcher, path: &EntityPath) -> State {
    let root = matcher.root(&path.root);
    path.segments.iter().fold(root, |state, name| matcher.child(&state, name, true))
}

/// Hands over a record of which nothing is kept, within the budget.
pub(super) fn emit<R: Records + ?Sized>(
    progress: &Progress,
    budgets: &Budgets,
    sink: &mut R,
    record: Record,
) -> Result<()> {
    count(progress, budgets, 1)?;
    sink.push(record, Trace::default())
}

/// Counts so many more records, within the budget.
fn count(progress: &Progress, budgets: &Budgets, records: u64) -> Result<()> {
    let before = progress.entities.fetch_add(records, Ordering::Relaxed);
    if before.saturating_add(records) > budgets.records {
        let limit = budgets.records;
        return Err(Error::budget("scan", format!("more than {limit} records; raise it with --max-records")));
    }
    Ok(())
}

/// Whether the walk has to look at what is there.
pub(super) fn interesting(state: &State) -> bool {
    state.verdict().is_taken() || state.may_cover_below()
}

/// How messages call a node.
pub(super) fn node_name(node: &NodeId) -> String {
    match node {
        NodeId::Number(number) => format!("inode {number}"),
        NodeId::Path(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::above;

    #[test]
    fn the_directory_above_a_mount_point_is_known_however_it_is_spelled() {
        for (mount, dir) in [
            ("/boot", "/"),
            ("/boot/efi", "/boot"),
            (r"/mnt/a\b", "/mnt"),
            (r"C:\mnt", r"C:\"),
            (r"C:\a\mnt", r"C:\a"),
            ("@id/mnt", "@id/"),
        ] {
            assert!(above(mount.as_bytes()).any(|above| above == dir.as_bytes()), "{mount} in {dir}");
        }
    }
}
