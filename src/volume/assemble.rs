//! Volumes out of volumes: arrays and volume groups, over all disks of a machine, until nothing new is found.

use super::{Volume, lvm, md};

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

/// Puts together what lies on several volumes, and appends it to them. The parts are marked as such, or with the
/// reason why they could not be put together. Returns what is worth knowing.
pub fn assemble(volumes: &mut Vec<Volume>) -> Vec<String> {
    let mut notes = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let progress = md::assemble(volumes, Pass::Complete, &mut notes)
            || lvm::assemble(volumes, Pass::Complete, &mut notes)
            || md::assemble(volumes, Pass::Partial, &mut notes)
            || lvm::assemble(volumes, Pass::Partial, &mut notes);
        if !progress {
            break;
        }
    }
    md::explain_rest(volumes);
    lvm::explain_rest(volumes);
    notes
}
