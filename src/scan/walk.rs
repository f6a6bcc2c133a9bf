//! The parallel walk: directories are the unit of work, depth first, the metadata of a directory in the order of
//! its nodes, big files split off so that no worker waits for one.
//!
//! What is walked, and under which path, does not depend on the order in which workers come by: a directory is
//! entered only through the parent that it names itself. One that is reached through another is put aside and
//! looked at when the rest is done, in the order of paths.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError, atomic::Ordering},
};

use super::{
    budget::Budgets,
    directory::{Entry, Names},
    entity::{self, Context},
    hash::{self, Hashed},
    progress::Progress,
    queue::Queue,
    reuse::{Digest, Footprint, Reuse},
};
use crate::{
    error::{Error, Fault, Result},
    fs::{self, Listed, Metadata, NodeId, Stream, Times},
    machine::{Machine, Sessions, join},
    manifest::{Attribute, Kind, Record, Value, attribute::Part},
    policy::{EffectivePolicy, EntityPath, Matcher, State, Verdict},
};

/// Entries of one directory that are worked on together.
const BATCH: usize = 512;

/// Files larger than this, in bytes, are hashed as tasks of their own.
const BIG_FILE: u64 = 4 << 20;

/// Hashes of files with several names that are remembered, so that they are read once.
const LINKED_HASHES: usize = 1 << 16;

/// Where a worker's records go.
pub(super) trait Records {
    /// Takes one record.
    fn push(&mut self, record: Record) -> Result<()>;
    /// Takes the hash of a content and where its bytes are, for the next scan.
    fn keep(&mut self, footprint: &Footprint, digest: &Digest) -> Result<()>;
}

/// A directory to be walked.
pub(super) struct Dir {
    pub(super) volume: usize,
    pub(super) node: NodeId,
    /// The directory that it was found in; `None` for the root of a mount.
    pub(super) found_in: Option<NodeId>,
    pub(super) path: Vec<u8>,
    pub(super) state: State,
    pub(super) depth: usize,
}

/// Entries of one directory.
struct Batch {
    dir: std::sync::Arc<Dir>,
    entries: Vec<Entry>,
}

#[allow(clippy::large_enum_variant, reason = "few tasks wait at a time: the walk goes depth first")]
enum Task {
    Dir(Dir),
    Batch(Batch),
    /// A file whose record is complete but for the hash.
    Hash {
        volume: usize,
        node: NodeId,
        links: u64,
        record: Record,
    },
}

/// What all workers share.
pub(super) struct Walk<'m> {
    machine: &'m Machine,
    policy: &'m EffectivePolicy,
    matcher: &'m Matcher,
    budgets: Budgets,
    progress: &'m Progress,
    reuse: Option<&'m Reuse>,
    queue: Queue<Task>,
    threads: usize,
    mounts: HashMap<&'m [u8], usize>,
    /// Directories that were entered, by volume and number.
    entered: Mutex<HashSet<(usize, u64)>>,
    /// Directories that were reached through a directory which they do not name as their parent.
    aside: Mutex<Vec<Dir>>,
    linked: Mutex<HashMap<(usize, NodeId), String>>,
}

impl<'m> Walk<'m> {
    pub(super) fn new(
        machine: &'m Machine,
        policy: &'m EffectivePolicy,
        matcher: &'m Matcher,
        budgets: Budgets,
        threads: usize,
        progress: &'m Progress,
        reuse: Option<&'m Reuse>,
    ) -> Self {
        Self {
            machine,
            policy,
            matcher,
            budgets,
            progress,
            reuse,
            queue: Queue::new(Vec::new()),
            threads: threads.max(1),
            mounts: machine.mounts.iter().map(|mount| (mount.path.as_slice(), mount.volume)).collect(),
            entered: Mutex::default(),
            aside: Mutex::default(),
            linked: Mutex::default(),
        }
    }

    /// Walks everything that the policy covers; each worker's records go to its own sink, which is handed back.
    pub(super) fn run<R: Records + Send>(self, sinks: Vec<R>) -> Result<Vec<R>> {
        let mut sinks = sinks;
        if let Some(first) = sinks.first_mut() {
            self.roots(first)?;
        }
        sinks = self.drain(sinks)?;
        loop {
            let mut aside = std::mem::take(&mut *self.aside.lock().unwrap_or_else(PoisonError::into_inner));
            if aside.is_empty() {
                return Ok(sinks);
            }
            aside.sort_by(|a, b| a.path.cmp(&b.path));
            for dir in aside {
                if let Some(first) = sinks.first_mut() {
                    self.enter_aside(dir, first)?;
                }
                sinks = self.drain(sinks)?;
            }
        }
    }

    /// Puts the root of every mount on the stack, last first, with a record of its own where it is covered.
    fn roots<R: Records>(&self, sink: &mut R) -> Result<()> {
        for missing in &self.machine.missing {
            let state = self.state_at(&missing.path)?;
            if interesting(&state) {
                let fault = Fault::new("machine", "", missing.why.clone());
                // What lies beneath a mount point is recorded all the same: a line in the mount table must not
                // be enough to hide a directory.
                let part = if missing.path.starts_with(b"/") { Part::Listing } else { Part::Entity };
                self.emit(sink, Record::fault(missing.path.as_slice(), b"", part, fault))?;
            }
        }
        let mut worker = Worker::new(self, sink);
        for mount in self.machine.mounts.iter().rev() {
            let state = self.state_at(&mount.path)?;
            if !interesting(&state) {
                continue;
            }
            let node = worker.sessions.of(mount.volume)?.root();
            let dir = Dir { volume: mount.volume, node, found_in: None, path: mount.path.clone(), state, depth: 0 };
            worker.root(&dir)?;
            self.mark(&dir);
            self.queue.push([Task::Dir(dir)]);
        }
        Ok(())
    }

    /// What the policy says about a container at a path.
    fn state_at(&self, path: &[u8]) -> Result<State> {
        Ok(state_at(self.matcher, &EntityPath::parse(path)?))
    }

    /// Works until the stack is empty.
    fn drain<R: Records + Send>(&self, sinks: Vec<R>) -> Result<Vec<R>> {
        std::thread::scope(|scope| {
            let workers: Vec<_> = sinks
                .into_iter()
                .map(|mut sink| {
                    scope.spawn(move || {
                        let result = Worker::new(self, &mut sink).work();
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
    /// that it belongs, it is not entered again; else this is its only name.
    fn enter_aside<R: Records>(&self, dir: Dir, sink: &mut R) -> Result<()> {
        let volume = &self.machine.volumes[dir.volume].id;
        let (part, why) = if self.mark(&dir) {
            (
                Part::Attributes,
                "the directory and the entry that leads to it contradict each other: another parent, or no directory",
            )
        } else {
            (Part::Listing, "the directory was entered under another name already, and is listed there only")
        };
        let fault = Fault::new("scan", node_name(&dir.node), why);
        self.emit(sink, entity::fault(&dir.path, b"", part, fault, volume))?;
        if part == Part::Attributes {
            self.queue.push([Task::Dir(Dir { found_in: None, ..dir })]);
        }
        Ok(())
    }

    /// Notes that a directory is entered; false when it was before.
    fn mark(&self, dir: &Dir) -> bool {
        match dir.node {
            NodeId::Number(number) => {
                self.entered.lock().unwrap_or_else(PoisonError::into_inner).insert((dir.volume, number))
            }
            // Paths are unique by themselves; loops end at the budget of depth.
            NodeId::Path(_) => true,
        }
    }

    fn put_aside(&self, dir: Dir) {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner).push(dir);
    }

    fn emit<R: Records + ?Sized>(&self, sink: &mut R, record: Record) -> Result<()> {
        emit(self.progress, &self.budgets, sink, record)
    }

    /// Whether this content is read although its hash could be taken over.
    fn samples(&self, record: &Record) -> bool {
        let sample = self.reuse.and_then(|reuse| reuse.verify.as_ref());
        sample.is_some_and(|sample| sample.takes(&record.path, &record.name))
    }

    fn volume_id(&self, volume: usize) -> &'m str {
        &self.machine.volumes[volume].id
    }
}

/// What the policy says about a container at a path.
pub(super) fn state_at(matcher: &Matcher, path: &EntityPath) -> State {
    let root = matcher.root(&path.root);
    path.segments.iter().fold(root, |state, name| matcher.child(&state, name, true))
}

/// Says which rules cover a record, and how they spell it.
pub(super) fn label(policy: &EffectivePolicy, matcher: &Matcher, record: &mut Record, verdict: &Verdict) {
    let names = policy.names(verdict.all());
    record.set(Attribute::Rules, Value::List(names.into_iter().map(str::to_owned).collect()));
    let spelled = verdict.route.and_then(|_| {
        let path = EntityPath::parse(&record.path).ok()?;
        matcher.spelled(verdict, &path)
    });
    if let Some(spelled) = spelled {
        record.set(Attribute::As, Value::Bytes(spelled));
    }
}

/// Hands over a record, within the budget.
pub(super) fn emit<R: Records + ?Sized>(
    progress: &Progress,
    budgets: &Budgets,
    sink: &mut R,
    record: Record,
) -> Result<()> {
    let before = progress.entities.fetch_add(1, Ordering::Relaxed);
    if before >= budgets.records {
        let limit = budgets.records;
        return Err(Error::budget("scan", format!("more than {limit} records; raise it with --max-records")));
    }
    sink.push(record)
}

/// Whether the walk has to look at what is there.
pub(super) fn interesting(state: &State) -> bool {
    state.verdict().is_taken() || state.may_cover_below()
}

/// How messages call a node.
fn node_name(node: &NodeId) -> String {
    match node {
        NodeId::Number(number) => format!("inode {number}"),
        NodeId::Path(_) => String::new(),
    }
}

/// One worker: its readers, and where its records go.
struct Worker<'w, 'm, R: Records> {
    walk: &'w Walk<'m>,
    sessions: Sessions<'m>,
    /// A second set of readers, so that entries can be worked on while a listing goes on; lent to the listing.
    lister: Option<Sessions<'m>>,
    sink: &'w mut R,
}

impl<'w, 'm, R: Records> Worker<'w, 'm, R> {
    fn new(walk: &'w Walk<'m>, sink: &'w mut R) -> Self {
        Self { walk, sessions: walk.machine.sessions(), lister: None, sink }
    }

    fn work(&mut self) -> Result<()> {
        while let Some(task) = self.walk.queue.take() {
            let result = self.guarded(task);
            self.walk.queue.done();
            result?;
        }
        Ok(())
    }

    /// Does a task; a panic in a reader becomes a fault of the directory, and the reader is replaced.
    fn guarded(&mut self, task: Task) -> Result<()> {
        let (path, volume, part) = match &task {
            Task::Dir(dir) => (dir.path.clone(), dir.volume, Part::Listing),
            Task::Batch(batch) => (batch.dir.path.clone(), batch.dir.volume, Part::Listing),
            Task::Hash { record, volume, .. } => (record.path.clone(), *volume, Part::Content),
        };
        let done = catch_unwind(AssertUnwindSafe(|| match task {
            Task::Dir(dir) => self.dir(dir),
            Task::Batch(batch) => self.batch(batch),
            Task::Hash { volume, node, links, record } => self.hash(volume, &node, links, record),
        }));
        match done {
            Ok(result) => result,
            Err(_) => {
                self.sessions = self.walk.machine.sessions();
                let fault = Fault::new("scan", "", "the reader failed on these bytes (a defect, please report it)");
                self.fault(&path, b"", part, fault, volume)
            }
        }
    }

    fn fault(&mut self, path: &[u8], name: &[u8], part: Part, fault: Fault, volume: usize) -> Result<()> {
        self.walk.emit(self.sink, entity::fault(path, name, part, fault, self.walk.volume_id(volume)))
    }

    /// The record of a mount's root.
    fn root(&mut self, dir: &Dir) -> Result<()> {
        if !dir.state.verdict().is_taken() {
            return Ok(());
        }
        match self.sessions.of(dir.volume)?.metadata(&dir.node) {
            Ok(metadata) => self.entity(dir.volume, &dir.node, &dir.path, &metadata, None, &dir.state).map(|_| ()),
            Err(error) => self.fault(&dir.path, b"", Part::Entity, error.into(), dir.volume),
        }
    }

    /// Lists a directory and works on its entries in batches.
    fn dir(&mut self, dir: Dir) -> Result<()> {
        let walk = self.walk;
        walk.progress.enter(&dir.path);
        if dir.depth > walk.budgets.depth {
            let limit = walk.budgets.depth;
            let fault =
                Fault::new("scan", "", format!("directories lie deeper than {limit}; raise it with --max-depth"));
            return self.fault(&dir.path, b"", Part::Listing, fault, dir.volume);
        }
        let mut lister = self.lister.take().unwrap_or_else(|| walk.machine.sessions());
        if let Some(expected) = &dir.found_in {
            let parent = lister.of(dir.volume).and_then(|session| session.parent(&dir.node));
            let denied = matches!(parent, Ok(Some(parent)) if parent != *expected);
            if denied || !walk.mark(&dir) {
                self.lister = Some(lister);
                walk.put_aside(dir);
                return Ok(());
            }
        }
        let dir = std::sync::Arc::new(dir);
        let mut names = Names::new(walk.budgets.entries);
        let mut pending: Vec<Entry> = Vec::new();
        let mut failed: Option<Error> = None;
        let mut faults: Vec<(Vec<u8>, Part, Fault)> = Vec::new();
        let separator = Machine::separator(&dir.path);
        let listed = lister.of(dir.volume)?.list(&dir.node, &mut |listed| {
            let step = self.listed(&dir, listed, separator, &mut names, &mut pending, &mut faults);
            match step {
                Ok(flow) => flow,
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        self.lister = Some(lister);
        if let Some(error) = failed {
            return Err(error);
        }
        for (path, part, fault) in faults {
            self.fault(&path, b"", part, fault, dir.volume)?;
        }
        if let Err(error) = listed {
            self.fault(&dir.path, b"", Part::Listing, error.into(), dir.volume)?;
        }
        self.batch(Batch { dir, entries: pending })
    }

    /// Takes one thing that the listing hands out.
    fn listed(
        &mut self,
        dir: &std::sync::Arc<Dir>,
        listed: Listed<'_>,
        separator: u8,
        names: &mut Names,
        pending: &mut Vec<Entry>,
        faults: &mut Vec<(Vec<u8>, Part, Fault)>,
    ) -> Result<ControlFlow<()>> {
        let entry = match listed {
            Listed::Fault(fault) => {
                faults.push((dir.path.clone(), Part::Listing, fault));
                return Ok(ControlFlow::Continue(()));
            }
            Listed::Entry(entry) => entry,
        };
        if let Err(fault) = names.check(entry.name, separator) {
            let over = names.is_over();
            let part = if over { Part::Listing } else { Part::Name };
            faults.push((dir.path.clone(), part, fault));
            if over {
                return Ok(ControlFlow::Break(()));
            }
            if names.is_impossible(entry.name, separator) {
                return Ok(ControlFlow::Continue(()));
            }
        }
        let state = self.walk.matcher.child(&dir.state, entry.name, true);
        if !interesting(&state) {
            return Ok(ControlFlow::Continue(()));
        }
        // Only the first of two names for one directory is entered at once, and none that denies being one: so it
        // does not matter which worker comes by first.
        let aside = match entry.kind {
            None | Some(fs::Kind::Dir) => !names.is_first_of(&entry.node),
            Some(_) => true,
        };
        let name = entry.name.to_vec();
        pending.push(Entry { name, node: entry.node, link_times: entry.link_times, state, aside });
        if pending.len() >= BATCH {
            let batch = Batch { dir: dir.clone(), entries: std::mem::take(pending) };
            if self.walk.threads > 1 && !self.walk.queue.has_at_least(2 * self.walk.threads) {
                self.walk.queue.push([Task::Batch(batch)]);
            } else {
                self.batch(batch)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Works on entries of one directory, in the order of their nodes, which is close to their order on disk.
    fn batch(&mut self, mut batch: Batch) -> Result<()> {
        batch.entries.sort_by(|a, b| a.node.cmp(&b.node));
        let dir = batch.dir;
        let separator = Machine::separator(&dir.path);
        let mut dirs = Vec::new();
        for entry in batch.entries {
            let path = join(&dir.path, &entry.name, separator);
            if self.walk.mounts.contains_key(path.as_slice()) {
                continue;
            }
            let metadata = match self.sessions.of(dir.volume)?.metadata(&entry.node) {
                Ok(metadata) => metadata,
                Err(error) => {
                    self.fault(&path, b"", Part::Entity, error.into(), dir.volume)?;
                    continue;
                }
            };
            let state = match metadata.kind {
                Some(fs::Kind::Dir | fs::Kind::Symlink) => entry.state,
                // A pattern that ends with a separator takes containers only.
                _ => self.walk.matcher.child(&dir.state, &entry.name, false),
            };
            let is_dir = self.entity(dir.volume, &entry.node, &path, &metadata, entry.link_times.as_ref(), &state)?;
            if !is_dir || !state.may_cover_below() {
                continue;
            }
            let child = Dir {
                volume: dir.volume,
                node: entry.node,
                found_in: Some(dir.node.clone()),
                path,
                state,
                depth: dir.depth + 1,
            };
            if entry.aside {
                self.walk.put_aside(child);
            } else {
                dirs.push(Task::Dir(child));
            }
        }
        // The stack gives the last one back first.
        self.walk.queue.push(dirs.into_iter().rev());
        Ok(())
    }

    /// Records one entity where a rule covers it. Says whether it is a directory.
    fn entity(
        &mut self,
        volume: usize,
        node: &NodeId,
        path: &[u8],
        metadata: &Metadata,
        link_times: Option<&Times>,
        state: &State,
    ) -> Result<bool> {
        let walk = self.walk;
        let is_dir = metadata.kind == Some(fs::Kind::Dir);
        let verdict = state.verdict();
        if !verdict.is_taken() {
            return Ok(is_dir);
        }
        let context = Context {
            accounts: &walk.machine.accounts,
            volume: walk.volume_id(volume),
            sid_names: &|sid| walk.machine.accounts.sid(sid).map(str::to_owned),
        };
        let Some(kind) = metadata.kind.map(entity::kind) else {
            let fault = Fault::new("scan", node_name(node), "neither a file nor anything else that has a name");
            self.fault(path, b"", Part::Entity, fault, volume)?;
            return Ok(false);
        };
        let (mut record, faults) = entity::record(path, kind, metadata, link_times, &context);
        for fault in faults {
            self.fault(path, b"", Part::Attributes, fault, volume)?;
        }
        self.label(&mut record, &verdict);
        self.streams(volume, node, path, metadata, &verdict)?;
        let has_content = kind == Kind::File || (kind == Kind::Reparse && metadata.size > 0);
        if !has_content {
            walk.emit(self.sink, record)?;
            return Ok(is_dir);
        }
        let links = metadata.nlink.unwrap_or(1);
        if metadata.size > BIG_FILE && walk.threads > 1 && !walk.queue.has_at_least(64 * walk.threads) {
            walk.queue.push([Task::Hash { volume, node: node.clone(), links, record }]);
        } else {
            self.hash(volume, node, links, record)?;
        }
        Ok(is_dir)
    }

    /// Says which rules cover a record, and how they spell it.
    fn label(&self, record: &mut Record, verdict: &Verdict) {
        label(self.walk.policy, self.walk.matcher, record, verdict);
    }

    /// Named streams are entities of their own.
    fn streams(
        &mut self,
        volume: usize,
        node: &NodeId,
        path: &[u8],
        metadata: &Metadata,
        verdict: &Verdict,
    ) -> Result<()> {
        let Some(windows) = &metadata.windows else { return Ok(()) };
        for stream in &windows.streams {
            let mut record = Record { name: stream.name.clone(), ..Record::new(path, Kind::Stream) };
            record.set(Attribute::Size, Value::Number(stream.size));
            record.set(Attribute::Volume, Value::Text(self.walk.volume_id(volume).to_owned()));
            self.label(&mut record, verdict);
            let which = Stream::Named(stream.name.clone());
            self.content(volume, node, &which, &mut record)?;
            self.walk.emit(self.sink, record)?;
        }
        Ok(())
    }

    /// Completes a file's record with its hash. A file of several names is read once, as long as it is remembered.
    fn hash(&mut self, volume: usize, node: &NodeId, links: u64, mut record: Record) -> Result<()> {
        let linked = (links > 1).then(|| (volume, node.clone()));
        let known = linked
            .as_ref()
            .and_then(|key| self.walk.linked.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned());
        if let Some(sha256) = known {
            record.set(Attribute::Sha256, Value::Text(sha256));
            return self.walk.emit(self.sink, record);
        }
        self.content(volume, node, &Stream::Content, &mut record)?;
        if let (Some(key), Some(sha256)) = (linked, record.text(Attribute::Sha256)) {
            let mut known = self.walk.linked.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= LINKED_HASHES {
                known.clear();
            }
            known.insert(key, sha256.to_owned());
        }
        self.walk.emit(self.sink, record)
    }

    /// Hashes a stream into its record; what cannot be read is a fault beside the record, which then has no hash.
    fn content(&mut self, volume: usize, node: &NodeId, which: &Stream, record: &mut Record) -> Result<()> {
        let walk = self.walk;
        let footprint = self.footprint(volume, node, which)?;
        let known = footprint.as_ref().and_then(|footprint| self.known(footprint));
        let sampled = known.is_some_and(|_| walk.samples(record));
        let hashed = match (known, &footprint) {
            (Some(sha256), Some(footprint)) if !sampled => {
                walk.progress.taken_over.fetch_add(footprint.len(), Ordering::Relaxed);
                Ok(Hashed { sha256, len: footprint.len() })
            }
            _ => {
                let session = self.sessions.of(volume)?;
                hash::stream(session, node, which, walk.budgets.hole_bytes, &walk.progress.bytes)
            }
        };
        let hashed = match hashed {
            Ok(hashed) => hashed,
            Err(error) => {
                let (path, name) = (record.path.clone(), record.name.clone());
                return self.fault(&path, &name, Part::Content, error.into(), volume);
            }
        };
        if let Some(known) = known.filter(|known| *known != hashed.sha256) {
            return Err(contradiction(record, &known, &hashed.sha256));
        }
        if let Some(footprint) = footprint.filter(|footprint| footprint.len() == hashed.len) {
            self.sink.keep(&footprint, &hashed.sha256)?;
        }
        record.set(Attribute::Sha256, Value::Text(hash::hex(&hashed.sha256)));
        record.set(Attribute::Size, Value::Number(hashed.len));
        Ok(())
    }

    /// Where a content's bytes are, when that is asked for and known: what has none is read, now and the next time.
    fn footprint(&mut self, volume: usize, node: &NodeId, which: &Stream) -> Result<Option<Footprint>> {
        let place = self.walk.machine.volumes.get(volume).and_then(|volume| Some((volume.start?, volume.size)));
        let (Some(_), Some((start, size))) = (self.walk.reuse, place) else { return Ok(None) };
        let extents = self.sessions.of(volume)?.extents(node, which);
        Ok(extents.ok().and_then(|extents| Footprint::new(&extents, start, size)))
    }

    /// The hash that the scan before made of the same bytes. More holes than a scan would hash are left to it.
    fn known(&self, footprint: &Footprint) -> Option<Digest> {
        let previous = self.walk.reuse.and_then(|reuse| reuse.previous.as_ref())?;
        (footprint.zeros() <= self.walk.budgets.hole_bytes).then(|| previous.hash_of(footprint))?
    }
}

/// What was taken over is not what is there: the list of changes is wrong, and nothing that rests on it holds.
fn contradiction(record: &Record, known: &Digest, found: &Digest) -> Error {
    let path = String::from_utf8_lossy(&record.path);
    let stream = if record.name.is_empty() { String::new() } else { format!(":{}", record.name.escape_ascii()) };
    Error::State(format!(
        "rescan: {path}{stream}: the scan before has SHA-256 {} and its blocks are said not to have changed, read {}: \
         the changed ranges are wrong; scan with --no-reuse",
        hash::hex(known),
        hash::hex(found)
    ))
}
