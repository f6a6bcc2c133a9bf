//! The coverage list: everything monitored that could not be read, and what is worth knowing besides.

use crate::{
    changelog::{ABSENT, Coverage, CoverageState, ScanRecord, UNMONITORED},
    machine::{Family, State},
    manifest::{Header, VolumeState},
    policy::EffectivePolicy,
    scan::{Faults, Note},
    target::Target,
};

/// Notes where a scan that has its counts recorded nothing.
pub(super) fn unmonitored(record: &mut ScanRecord) {
    if record.entities.is_empty() && record.faults == 0 {
        let why = "nothing that can be read of this target is monitored by the policy: --profile full takes everything, \
                   --policy FILE what its rules name";
        record.cover(Coverage { state: CoverageState::Note, name: UNMONITORED.to_owned(), why: why.to_owned() });
    }
}

/// Fills a scan record's coverage list. A gap that the policy accepts by its name is listed as accepted.
pub(super) fn fill(
    record: &mut ScanRecord,
    target: &Target,
    policy: &EffectivePolicy,
    faults: &Faults,
    notes: &[Note],
) {
    let mut gap = |name: String, why: String| gap(record, policy, name, why);
    for why in &target.gaps {
        gap("disk".to_owned(), why.clone());
    }
    for volume in &target.machine.volumes {
        let name = || format!("volume:{}", volume.id);
        if let State::Gap(why) = &volume.state {
            gap(name(), why.clone());
        }
        let own = volume.fs.iter().flat_map(|fs| &fs.info().gaps);
        for why in volume.gaps.iter().chain(own) {
            gap(name(), why.clone());
        }
    }
    self::faults(record, faults);
    let mut note = |name: &str, why: &str| {
        record.cover(Coverage { state: CoverageState::Note, name: name.to_owned(), why: why.to_owned() });
    };
    for volume in &target.machine.volumes {
        let name = format!("volume:{}", volume.id);
        if let State::Note(why) = &volume.state {
            note(&name, why);
        }
        for why in volume.fs.iter().flat_map(|fs| &fs.info().notes) {
            note(&name, why);
        }
    }
    for why in &target.notes {
        note("target", why);
    }
    if target.machine.os.family == Family::None && target.machine.hives.is_empty() {
        note(
            "target",
            "no operating system was found: of a rule's paths only those beneath a volume's id are looked for",
        );
    }
    for told in notes {
        match told {
            Note::Other(why) => note("target", why),
            Note::Absent(what) => note(ABSENT, what),
            Note::Volume(id, why) => note(&format!("volume:{id}"), why),
        }
    }
}

/// Lists a gap, as accepted where the policy accepts it by its name.
fn gap(record: &mut ScanRecord, policy: &EffectivePolicy, name: String, why: String) {
    record.cover(Coverage { state: gap_state(policy.accepts_gap(name.as_bytes())), name, why });
}

fn gap_state(accepted: bool) -> CoverageState {
    if accepted { CoverageState::Accepted } else { CoverageState::Gap }
}

/// Lists what could not be read of a scan, and counts the rest.
pub(super) fn faults(record: &mut ScanRecord, faults: &Faults) {
    for fault in faults.listed() {
        record.cover(Coverage { state: gap_state(fault.accepted), name: fault.name(), why: fault.why.clone() });
    }
    for accepted in [false, true] {
        record.cover_unlisted(gap_state(accepted), faults.unlisted(accepted));
    }
}

/// Lists what the header of a manifest says of the volumes of its scan.
pub(super) fn volumes(record: &mut ScanRecord, header: &Header, policy: &EffectivePolicy) {
    for volume in &header.volumes {
        let name = format!("volume:{}", volume.volume);
        let why = volume.why.clone().unwrap_or_else(|| volume.fs.clone());
        match volume.state {
            VolumeState::Read => {
                if let Some(why) = &volume.unreplayed {
                    gap(record, policy, name, why.clone());
                }
            }
            VolumeState::Note => record.cover(Coverage { state: CoverageState::Note, name, why }),
            VolumeState::Gap => gap(record, policy, name, why),
        }
    }
}

/// Lists the volumes of which earlier scans knew entities that this one could not look for, unless something says
/// already why: a scan is not whole again because the loss is a day old.
pub(super) fn hidden(record: &mut ScanRecord, volumes: &[(String, u64)], policy: &EffectivePolicy) {
    for (id, entities) in volumes {
        let name = format!("volume:{id}");
        if record.coverage.iter().any(|row| row.name == name && row.state != CoverageState::Note) {
            continue;
        }
        let why = format!("{entities} entities of earlier scans were on it and cannot be compared: it is lost");
        gap(record, policy, name, why);
    }
}

/// The exit bits of a complete scan: 4 for a gap that is not accepted, 1 for changes.
pub(super) fn exit(record: &ScanRecord, changes: u64) -> u8 {
    let gaps = record.coverage_count(CoverageState::Gap) > 0;
    (if gaps { 4 } else { 0 }) | u8::from(changes > 0)
}
