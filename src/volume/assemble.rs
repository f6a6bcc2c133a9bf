//! Volumes out of volumes: arrays, volume groups and what is behind a key, over all disks of a machine, until nothing new is found.

use std::collections::BTreeSet;

use super::{
    Volume,
    crypt::{Keys, Unlocking},
    lvm, md,
};

/// Volumes that lie in volumes that lie in volumes: no deeper than this.
const MAX_ROUNDS: usize = 8;

/// Whether an array or group is put together although parts of it are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Only what is complete: what is missing may still be found.
    Complete,
    /// What there is.
    Partial,
}

/// What has been done so far.
#[derive(Default)]
pub(super) struct Progress {
    /// What is worth knowing.
    pub(super) notes: Vec<String>,
    /// The ids of the arrays and groups that were put together: what has the same id is a copy.
    pub(super) done: BTreeSet<String>,
}

/// Puts together what lies on several volumes, and appends it to them. The parts are marked as such, or with the
/// reason why they could not be put together. What is encrypted is opened with `keys`. Returns what is worth knowing.
pub fn assemble(volumes: &mut Vec<Volume>, keys: &Keys) -> Vec<String> {
    let mut progress = Progress::default();
    let mut unlocking = Unlocking::new(keys);
    for _ in 0..MAX_ROUNDS {
        let more = md::assemble(volumes, Pass::Complete, &mut progress)
            || lvm::assemble(volumes, Pass::Complete, &mut progress)
            || md::assemble(volumes, Pass::Partial, &mut progress)
            || unlocking.assemble(volumes, &mut progress)
            || lvm::assemble(volumes, Pass::Partial, &mut progress)
            || md::release_shown(volumes);
        if !more {
            break;
        }
    }
    md::explain_rest(volumes);
    lvm::explain_rest(volumes);
    unlocking.finish(&mut progress);
    progress.notes
}
