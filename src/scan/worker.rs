//! One worker of the walk: it takes a directory off the stack, lists it (`listing.rs`), and records its entries in
//! batches, in the order of their nodes.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    descriptor::{Descriptors, Shared},
    directory::{Entries, Entry, Names, Waiting},
    entity::{self, Context},
    hash::Hashed,
    label::Labels,
    queue::Need,
    reuse::{Basis, Fingerprint, Trace},
    walk::{Batch, Dir, FileTask, Records, Task, Walk, interesting, node_name},
};
use crate::{
    error::{Fault, Result},
    fs::{self, Evidence, Link, Metadata, NodeId, Stream},
    machine::{DiskPlace, Machine, Sessions, join},
    manifest::{Attribute, Kind, Record, Value, attribute::Part},
    policy::{State, Verdict},
    threads::Seat,
};

/// Files larger than this, in bytes, are hashed as tasks of their own.
pub(super) const BIG_FILE: u64 = 4 << 20;

/// Files of more than that are handed to a worker that has nothing to do: a policy may take of all directories but few,
/// which fewer workers list.
const SMALL_FILE: u64 = 16 << 10;

/// One worker: its readers, and where its records go.
pub(super) struct Worker<'w, 'm, R: Records> {
    pub(super) walk: &'w Walk<'m>,
    seat: Seat<'w>,
    pub(super) sessions: Sessions<'m>,
    /// A second set of readers, so that entries can be worked on while a listing goes on; lent to the listing.
    pub(super) lister: Option<Sessions<'m>>,
    pub(super) sink: &'w mut R,
    labels: Labels<'m>,
    descriptors: Descriptors<Shared>,
    /// What fingerprints are made on, by volume.
    pub(super) bases: BTreeMap<usize, Basis>,
    /// Of the entity at hand.
    pub(super) evidence: Evidence,
    /// Where its content is stored.
    pub(super) places: Vec<DiskPlace>,
    /// What the content of the entity at hand was hashed to, where it might have kept its line and did not.
    pub(super) hashed: Option<Hashed>,
    /// Directories that this worker goes on with, the last one first.
    pub(super) own: Vec<Waiting>,
    /// Room for the entries of the next directory, and for their names.
    pub(super) entries: Entries,
    pub(super) names: Option<Names>,
    /// Lines that were taken over and are not counted yet, and the bytes of their contents.
    pub(super) kept: (u64, u64),
    /// The record of the manifest before that was found last: the next one often follows it.
    pub(super) last_record: usize,
}

/// An entity that was found, and what stands for all that its record rests on, with its kind, where that can be told.
pub(super) struct Found<'f> {
    pub(super) volume: usize,
    pub(super) node: &'f NodeId,
    pub(super) path: &'f [u8],
    pub(super) evidence: Option<(Fingerprint, fs::Kind)>,
}

impl<'w, 'm, R: Records> Worker<'w, 'm, R> {
    pub(super) fn new(walk: &'w Walk<'m>, sink: &'w mut R, seat: Seat<'w>) -> Self {
        Self {
            walk,
            seat,
            sessions: walk.machine.sessions(),
            lister: None,
            sink,
            labels: Labels::new(walk.policy, walk.matcher),
            descriptors: Descriptors::default(),
            bases: BTreeMap::new(),
            evidence: Evidence::default(),
            places: Vec::new(),
            hashed: None,
            own: Vec::new(),
            entries: Entries::default(),
            names: None,
            kept: (0, 0),
            last_record: 0,
        }
    }

    pub(super) fn work(&mut self) -> Result<()> {
        while let Some(task) = self.walk.queue.take() {
            let result = self.guarded(task).and_then(|()| self.own_tasks());
            self.walk.queue.done();
            result?;
        }
        Ok(())
    }

    /// Does what a task has left for this worker, depth first; where others wait, they get what lies highest.
    fn own_tasks(&mut self) -> Result<()> {
        loop {
            self.seat.keep();
            match self.walk.queue.need(self.walk.threads) {
                Need::Nothing => {}
                Need::More => {
                    let shared = self.own.len() / 2;
                    self.walk.queue.push(self.own.drain(..shared).map(Task::Dir));
                }
                Need::Stop => self.own.clear(),
            }
            let Some(waiting) = self.own.pop() else { return Ok(()) };
            self.guarded(Task::Dir(waiting))?;
        }
    }

    /// Does a task; a panic in a reader becomes a fault of the directory, and the reader is replaced.
    fn guarded(&mut self, task: Task) -> Result<()> {
        let (path, volume, part) = match &task {
            Task::Root(dir) => (dir.path.clone(), dir.volume, Part::Listing),
            Task::Dir(waiting) => (waiting.path(), waiting.above.volume, Part::Listing),
            Task::Batch(batch) => (batch.dir.path.clone(), batch.dir.volume, Part::Listing),
            Task::Hash(file) => (file.record.path.clone(), file.volume, Part::Content),
        };
        let done = catch_unwind(AssertUnwindSafe(|| match task {
            Task::Root(dir) => self.dir(dir),
            Task::Dir(waiting) => self.enter(waiting),
            Task::Batch(batch) => self.batch(batch),
            Task::Hash(file) => self.hash(file),
        }));
        self.count_kept()?;
        match done {
            Ok(result) => result,
            Err(_) => {
                self.sessions = self.walk.machine.sessions();
                let fault = Fault::new("scan", "", "the reader failed on these bytes (a defect, please report it)");
                self.fault(&path, b"", part, fault, volume)
            }
        }
    }

    pub(super) fn fault(&mut self, path: &[u8], name: &[u8], part: Part, fault: Fault, volume: usize) -> Result<()> {
        self.walk.emit(self.sink, entity::fault(path, name, part, fault, self.walk.volume_id(volume)), Trace::default())
    }

    /// The record of a mount's root.
    pub(super) fn root(&mut self, dir: &Dir) -> Result<()> {
        if !dir.state.verdict().is_taken() {
            return Ok(());
        }
        let found = Found { volume: dir.volume, node: &dir.node, path: &dir.path, evidence: None };
        match self.metadata(&found)? {
            Some(metadata) => self.entity(&found, &metadata, None, &dir.state).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Works on entries of one directory, in the order of their nodes, which is close to their order on disk.
    pub(super) fn batch(&mut self, mut batch: Batch) -> Result<()> {
        let dir = batch.dir;
        let mut path = join(&dir.path, b"", Machine::separator(&dir.path));
        let dir_len = path.len();
        let may_be_mounts = self.walk.has_mounts_in(&dir.path);
        let within = self.within(dir.volume, &path)?;
        let mut dirs = Vec::new();
        for (name, Entry { node, link, state, aside, says_dir, .. }) in batch.entries.drain() {
            path.truncate(dir_len);
            path.extend_from_slice(name);
            let may_be_dir = || interesting(state.as_deref().unwrap_or(&dir.state));
            // What the policy drops as a directory is looked at should it be none.
            if says_dir && !may_be_dir() {
                match self.sessions.of(dir.volume)?.metadata(&node) {
                    Ok(metadata) if metadata.kind != Some(fs::Kind::Dir) => {}
                    _ => continue,
                }
            }
            if may_be_mounts && let Some(mount) = self.walk.mounts.get(path.as_slice()) {
                if !may_be_dir() {
                    continue;
                }
                self.beneath(mount, &Found { volume: dir.volume, node: &node, path: &path, evidence: None })?;
                continue;
            }
            let evidence = within.as_ref().map(|within| self.evidence(within, &node, name)).transpose()?.flatten();
            let found = Found { volume: dir.volume, node: &node, path: &path, evidence };
            let metadata = if evidence.is_some() {
                None
            } else {
                let Some(metadata) = self.metadata(&found)? else { continue };
                Some(metadata)
            };
            let kind = evidence.map(|(_, kind)| kind).or(metadata.as_ref().and_then(|metadata| metadata.kind));
            if says_dir && kind.is_some_and(|kind| denies(&node, kind, link.is_some())) {
                let why = "the entry says that it is a directory, its inode that it is none";
                let fault = Fault::new("scan", node_name(&node), why);
                self.fault(&path, b"", Part::Listing, fault, dir.volume)?;
            }
            let is_container = matches!(kind, Some(fs::Kind::Dir | fs::Kind::Symlink));
            let mut own_state = state;
            if let Some(state) = &mut own_state
                && !is_container
                && self.walk.matcher.tells_containers()
            {
                // A pattern that ends with a separator takes containers only.
                **state = self.walk.matcher.child(&dir.state, name, false);
            }
            let state = own_state.as_deref().unwrap_or(&dir.state);
            let is_dir = if state.verdict().is_taken() && self.keep(&found)? {
                kind == Some(fs::Kind::Dir)
            } else {
                let metadata = if metadata.is_some() { metadata } else { self.metadata(&found)? };
                let Some(metadata) = metadata else { continue };
                self.entity(&found, &metadata, link.as_deref(), state)?
            };
            if !is_dir || !state.may_cover_below() {
                continue;
            }
            let child = Waiting { above: Arc::clone(&dir), name: name.into(), node, state: own_state, silent: None };
            if aside {
                self.walk.put_aside(child, self.sink)?;
            } else {
                dirs.push(child);
            }
        }
        // The stack gives the last one back first.
        self.own.extend(dirs.into_iter().rev());
        self.entries = batch.entries;
        Ok(())
    }

    /// What the filesystem says of an entity; what cannot be said is a fault.
    fn metadata(&mut self, found: &Found<'_>) -> Result<Option<Metadata>> {
        match self.sessions.of(found.volume)?.metadata(found.node) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) => {
                self.fault(found.path, b"", Part::Entity, error.into(), found.volume)?;
                Ok(None)
            }
        }
    }

    /// Records one entity where a rule covers it. Says whether it is a directory.
    fn entity(&mut self, found: &Found<'_>, metadata: &Metadata, link: Option<&Link>, state: &State) -> Result<bool> {
        let Found { volume, node, path, evidence } = *found;
        let hashed = self.hashed.take();
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
        let (mut record, faults) = entity::record(path, kind, metadata, link, &context, &mut self.descriptors);
        // A record beside which there are faults is made again.
        let evidence = evidence.filter(|_| faults.is_empty()).map(|(evidence, _)| evidence);
        for fault in faults {
            self.fault(path, b"", Part::Attributes, fault, volume)?;
        }
        self.labels.label(&mut record, &verdict);
        self.streams(volume, node, path, metadata, &verdict)?;
        let has_content = kind == Kind::File || (kind == Kind::Reparse && metadata.size > 0);
        if !has_content {
            walk.emit(self.sink, record, Trace { evidence, content: None })?;
            return Ok(is_dir);
        }
        let links = metadata.nlink.unwrap_or(1);
        let is_others = walk.threads > 1
            && hashed.is_none()
            && if metadata.size > BIG_FILE {
                !walk.queue.has_at_least(64 * walk.threads)
            } else {
                metadata.size > SMALL_FILE && walk.queue.has_idle(walk.threads)
            };
        let file = FileTask { volume, node: node.clone(), links, record, evidence, hashed };
        if is_others {
            walk.queue.push([Task::Hash(file)]);
        } else {
            self.hash(file)?;
        }
        Ok(is_dir)
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
            self.labels.label(&mut record, verdict);
            let which = Stream::Named(stream.name.clone());
            let content = self.content(volume, node, &which, &mut record, None, None)?.content;
            self.walk.emit(self.sink, record, Trace { evidence: None, content })?;
        }
        Ok(())
    }
}

/// Whether what is of that kind cannot be what an entry calls a directory. On NTFS, whose links have times, a directory
/// may since have become a link; in a directory of the host, whose nodes are paths, anything may be something else by now.
fn denies(node: &NodeId, kind: fs::Kind, has_link: bool) -> bool {
    match (node, kind) {
        (NodeId::Path(_), _) | (_, fs::Kind::Dir) => false,
        (_, fs::Kind::Symlink | fs::Kind::Reparse) => !has_link,
        _ => true,
    }
}
