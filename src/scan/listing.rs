//! A worker's way into a directory: whether it is entered here, what its listing gives, what a mount hides of it.

use std::{
    ops::ControlFlow,
    sync::{Arc, PoisonError},
};

use super::{
    directory::{Entries, ListingFaults, Names, Waiting},
    faults::MACHINE,
    walk::{Batch, Dir, Records, Task, interesting, node_name},
    worker::{Found, Worker},
};
use crate::{
    error::{Error, Fault, Result},
    fs::{self, Listed},
    machine::{Machine, Mount},
    manifest::attribute::Part,
    policy::State,
};

/// Entries of one directory that are worked on together.
const BATCH: usize = 512;

impl<R: Records> Worker<'_, '_, R> {
    /// Walks a directory, unless it says that it belongs elsewhere, or was entered before. One that cannot say where it
    /// belongs waits too: two entries may lead to it.
    pub(super) fn enter(&mut self, mut waiting: Waiting) -> Result<()> {
        let mut lister = self.lister.take().unwrap_or_else(|| self.walk.machine.sessions());
        let volume = waiting.above.volume;
        let parent = lister.of(volume).and_then(|session| session.parent(&waiting.node));
        self.lister = Some(lister);
        let denied = match parent {
            Ok(None) => false,
            Ok(Some(parent)) => parent != waiting.above.node,
            Err(error) => {
                waiting.silent = Some(Box::new(error.into()));
                true
            }
        };
        let too_deep = waiting.above.depth >= self.walk.budgets.depth;
        if !too_deep && (denied || !self.walk.mark(volume, &waiting.node)) {
            return self.walk.put_aside(waiting, self.sink);
        }
        self.dir(waiting.enter())
    }

    /// Lists a directory and works on its entries in batches.
    pub(super) fn dir(&mut self, dir: Dir) -> Result<()> {
        let walk = self.walk;
        walk.progress.enter(&dir.path);
        if dir.depth > walk.budgets.depth {
            let limit = walk.budgets.depth;
            let fault =
                Fault::new("scan", "", format!("directories lie deeper than {limit}; raise it with --max-depth"));
            return self.fault(&dir.path, b"", Part::Listing, fault, dir.volume);
        }
        let mut lister = self.lister.take().unwrap_or_else(|| walk.machine.sessions());
        let dir = Arc::new(dir);
        let mut names = self.names.take().map_or_else(|| Names::new(walk.budgets.entries), Names::again);
        let mut pending = std::mem::take(&mut self.entries);
        pending.clear();
        let mut failed: Option<Error> = None;
        let mut faults = ListingFaults::default();
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
        self.names = Some(names);
        if let Some(error) = failed {
            return Err(error);
        }
        for (part, fault) in faults.into_all() {
            self.fault(&dir.path, b"", part, fault, dir.volume)?;
        }
        if let Err(error) = listed {
            self.fault(&dir.path, b"", Part::Listing, error.into(), dir.volume)?;
        }
        self.batch(Batch { dir, entries: pending })
    }

    /// Takes one thing that the listing hands out.
    fn listed(
        &mut self,
        dir: &Arc<Dir>,
        listed: Listed<'_>,
        separator: u8,
        names: &mut Names,
        pending: &mut Entries,
        faults: &mut ListingFaults,
    ) -> Result<ControlFlow<()>> {
        let entry = match listed {
            Listed::Fault(fault) => {
                faults.push(Part::Listing, fault);
                return Ok(ControlFlow::Continue(()));
            }
            Listed::Entry(entry) => entry,
        };
        if let Err(fault) = names.check(entry.name, separator) {
            let (over, impossible) = (names.is_over(), names.is_impossible(entry.name, separator));
            // What has a name that no path can hold is not recorded, and may have had another.
            faults.push(if over || impossible { Part::Listing } else { Part::Name }, fault);
            if over {
                return Ok(ControlFlow::Break(()));
            }
            if impossible {
                return Ok(ControlFlow::Continue(()));
            }
        }
        let state = self.child(&dir.state, entry.name);
        let as_container = state.as_deref().unwrap_or(&dir.state);
        if !interesting(as_container) && !self.is_interesting_file(&dir.state, entry.name) {
            return Ok(ControlFlow::Continue(()));
        }
        // Only the first of two names for one directory is entered at once, and none that denies being one: so it
        // does not matter which worker comes by first.
        let aside = match entry.kind {
            None | Some(fs::Kind::Dir) => !names.is_first_of(&entry.node),
            Some(_) => true,
        };
        let says_dir = entry.kind == Some(fs::Kind::Dir);
        if says_dir && aside {
            // Which of them is its name cannot be told, nor what the other one led to.
            let why = format!("a second entry, \"{}\", leads to this directory", entry.name.escape_ascii());
            faults.push(Part::Listing, Fault::new("scan", node_name(&entry.node), why));
        }
        pending.push(entry.name, entry.node, entry.link, state, [aside, says_dir]);
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

    /// What the policy says about a name that may be a container, where that may differ from what it says about the
    /// directory.
    fn child(&self, dir: &State, name: &[u8]) -> Option<Box<State>> {
        (!dir.is_settled()).then(|| Box::new(self.walk.matcher.child(dir, name, true)))
    }

    /// Whether the walk has to look at a name should it be no container: excludes that end with a separator are for
    /// containers only.
    fn is_interesting_file(&self, dir: &State, name: &[u8]) -> bool {
        let matcher = self.walk.matcher;
        matcher.tells_containers() && !dir.is_settled() && interesting(&matcher.child(dir, name, false))
    }

    /// A directory on which something is mounted: whether it hides anything. Until something is mounted by hand, what it
    /// would hide is what the system uses, and then it is a gap.
    pub(super) fn beneath(&mut self, mount: &Mount, found: &Found<'_>) -> Result<()> {
        let session = self.sessions.of(found.volume)?;
        let mut any = false;
        let listed = session.list(found.node, &mut |_| {
            any = true;
            ControlFlow::Break(())
        });
        if !any && listed.is_ok() {
            return Ok(());
        }
        if mount.by_hand {
            let why = format!(
                "fstab mounts {} here by hand only, and what lies beneath is not read",
                self.walk.volume_id(mount.volume)
            );
            return self.fault(found.path, b"", Part::Listing, Fault::new(MACHINE, "", why), found.volume);
        }
        self.walk.hidden.lock().unwrap_or_else(PoisonError::into_inner).insert(found.path.to_vec());
        Ok(())
    }
}
