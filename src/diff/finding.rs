//! What deserves a look about a change.

use jiff::Timestamp;

use super::change::{ChangeKind, Finding};
use crate::manifest::{Attribute, Record};

/// The findings of a change.
pub(super) fn findings(kind: ChangeKind, old: Option<&Record>, new: Option<&Record>) -> Vec<Finding> {
    let (Some(new), ChangeKind::Created | ChangeKind::Modified | ChangeKind::Renamed) = (new, kind) else {
        return Vec::new();
    };
    let timestomp = old.is_some_and(|old| is_timestomp(old, new)).then_some(Finding::Timestomp);
    let si_before_fn = is_si_before_fn(new).then_some(Finding::SiBeforeFn);
    timestomp.into_iter().chain(si_before_fn).collect()
}

/// The same id, other content, the same modification time.
fn is_timestomp(old: &Record, new: &Record) -> bool {
    let both = |attribute| Some((old.text(attribute)?, new.text(attribute)?));
    both(Attribute::Id).is_some_and(|(old, new)| old == new)
        && both(Attribute::Sha256).is_some_and(|(old, new)| old != new)
        && both(Attribute::Mtime).is_some_and(|(old, new)| old == new)
}

/// Tools that set times set those of `$STANDARD_INFORMATION`; the kernel alone sets those of `$FILE_NAME`.
fn is_si_before_fn(new: &Record) -> bool {
    let time = |attribute| new.text(attribute)?.parse::<Timestamp>().ok();
    [(Attribute::Crtime, Attribute::FnCrtime), (Attribute::Mtime, Attribute::FnMtime)]
        .into_iter()
        .any(|(si, file_name)| matches!((time(si), time(file_name)), (Some(si), Some(file_name)) if si < file_name))
}
