//! Whether the log holds changes that the volume lacks.

use super::volume::Volume;

/// What to tell about the log, if anything.
pub(super) fn gap(volume: &Volume) -> Option<String> {
    let _ = volume;
    None
}
