//! A difference in the scan as a whole becomes an event.

use super::{ChangeType, Context, EntityType, Event};
use crate::diff::ScanChange;
use crate::severity::Severity;

/// Under what the hash of a policy stands.
const POLICY: &str = "policy_sha256";

/// No rule causes these events, so they have a severity of their own: less is watched than before, or something
/// else is watched under the machine's name.
fn severity(change: ChangeType) -> Severity {
    match change {
        ChangeType::CoverageLost | ChangeType::MachineChanged => Severity::High,
        ChangeType::CoverageRestored => Severity::Info,
        _ => Severity::Medium,
    }
}

impl Event {
    /// The event of a change of the scan as a whole.
    #[must_use]
    pub fn from_scan_change(change: &ScanChange, context: &Context<'_>) -> Self {
        let of = |change_type| {
            let mut event = context.event(EntityType::Scan, change_type);
            event.ext.severity = severity(change_type);
            event
        };
        let mut event = match change {
            ScanChange::CoverageLost { volume, mount, why, entities } => {
                let mut event = of(ChangeType::CoverageLost);
                event.ext.volume = Some(volume.clone());
                event.ext.mount.clone_from(mount);
                event.ext.why = Some(why.clone());
                event.ext.entities = Some(*entities);
                event
            }
            ScanChange::CoverageRestored { volume, mount, entities } => {
                let mut event = of(ChangeType::CoverageRestored);
                event.ext.volume = Some(volume.clone());
                event.ext.mount.clone_from(mount);
                event.ext.entities = Some(*entities);
                event
            }
            ScanChange::PolicyChanged { what, sha256: [old, new], entered, left } => {
                let mut event = of(ChangeType::PolicyChanged);
                event.ext.what.clone_from(what);
                if old != new {
                    event.ext.old.insert(POLICY.to_owned(), old.clone().into());
                    event.ext.new.insert(POLICY.to_owned(), new.clone().into());
                }
                event.ext.entered = Some(*entered);
                event.ext.left = Some(*left);
                event
            }
            ScanChange::MachineChanged { what } => {
                let mut event = of(ChangeType::MachineChanged);
                for (name, old, new) in what {
                    event.ext.fields_changed.push(name.clone());
                    event.ext.old.insert(name.clone(), old.clone().into());
                    event.ext.new.insert(name.clone(), new.clone().into());
                }
                event.ext.findings.push(crate::diff::Finding::MachineChanged.as_str().to_owned());
                event
            }
        };
        let volume = event.ext.volume.clone().unwrap_or_default();
        event.ext.event_id = context.event_id(event.change_type, &[volume.as_bytes()], &event.ext);
        event
    }
}
