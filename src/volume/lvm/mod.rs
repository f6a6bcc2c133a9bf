//! LVM2. In come volumes that claim to be physical volumes, out come the logical volumes on them.
//!
//! The way: `label` → `pv_header` → `mda` (where the text is) → `text` (its grammar) → `metadata` (what it says) →
//! `group` (the newest copy of all physical volumes) → `logical` (each logical volume as an image). What a segment
//! type maps to is in `logical`; to add one: its fields in `segment`, an arm there.
//!
//! References are to the source of LVM2, as it has no other specification: `lib/format_text/layout.h`,
//! `lib/format_text/import_vsn1.c`, and to the manual pages lvm(8), lvmthin(7), lvmraid(7).
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod dm_raid;
mod group;
mod label;
mod logical;
mod mda;
mod metadata;
mod pv_header;
mod segment;
mod text;
mod thin;

use std::collections::BTreeMap;

use self::{
    group::{Group, Physical},
    logical::Logical,
};
use super::{
    Volume,
    assemble::{Pass, Progress},
    content::State,
    md, partitioned,
};

const LAYER: &str = "lvm2";

/// Logical volumes of one group that are looked into; each costs up to 1 GiB of reads where it is all zeros.
const MAX_SHOWN: usize = 1024;

/// What content calls a physical volume.
const MEMBER: &str = "LVM2_member";

/// The volumes that claim to be physical volumes and are part of nothing yet.
fn candidates(volumes: &[Volume]) -> Vec<Physical> {
    // A member of an array is none, whatever stands at its beginning.
    let alone = |volume: &Volume| volume.is_open(MEMBER) && !volume.content.claims.contains(&md::MEMBER);
    let open = volumes.iter().enumerate().filter(|(_, volume)| alone(volume));
    open.map(|(index, volume)| Physical::read(index, &volume.image)).collect()
}

/// Puts volume groups together; says whether there was one.
pub(super) fn assemble(volumes: &mut Vec<Volume>, pass: Pass, progress: &mut Progress) -> bool {
    let physical = candidates(volumes);
    let mut more = false;
    for group in group::find(&physical) {
        let waits = pass == Pass::Complete && !group.missing.is_empty();
        if waits || !progress.done.insert(group.metadata.id.clone()) {
            continue;
        }
        progress.notes.extend(group.notes());
        take_parts(volumes, &group);
        let images: BTreeMap<_, _> =
            group.present.iter().map(|(name, physical)| (name.as_str(), &physical.image)).collect();
        let in_pool = |physical: &&Physical| volumes.get(physical.index).is_some_and(|volume| volume.is_pooled);
        let in_pool = group.present.values().any(in_pool);
        let mut logical = Logical::new(&group.metadata, images, &group.missing);
        for (count, name) in logical.shown().into_iter().enumerate() {
            let Some(lv) = group.metadata.logical.get(name) else { continue };
            let image = if count < MAX_SHOWN {
                logical.image(name)
            } else {
                Err(format!("only {MAX_SHOWN} of the group's logical volumes are read"))
            };
            let mut volume = match image {
                Ok(image) => Volume::assembled(image, &lv.id),
                Err(why) => {
                    Volume::refused(&lv.id, format!("{LAYER}: logical volume {}/{name}: {why}", group.metadata.name))
                }
            };
            if let (State::Gap(why), Some(table)) =
                (&mut volume.content.state, partitioned::describe_table(&volume.image))
            {
                *why = format!(
                    "{LAYER}: logical volume {}/{name} has a partition table ({table}), as a virtual machine's disk does: copy it to a file and scan that",
                    group.metadata.name
                );
            }
            volume.is_pooled = in_pool || lv.is_thin();
            volume.names = device_names(&group.metadata.name, name);
            volumes.push(volume);
        }
        progress.notes.extend(logical.into_notes());
        more = true;
    }
    more
}

/// The names beneath `/dev/` (lvm(8), "Valid names"): a hyphen is doubled in the mapper's.
fn device_names(group: &str, name: &str) -> Vec<String> {
    let doubled = |name: &str| name.replace('-', "--");
    vec![format!("{group}/{name}"), format!("mapper/{}-{}", doubled(group), doubled(name))]
}

fn take_parts(volumes: &mut [Volume], group: &Group) {
    for physical in group.present.values().copied().chain(group.former.iter().copied()) {
        let Some(volume) = volumes.get_mut(physical.index) else { continue };
        let former = if group.former.iter().any(|former| former.index == physical.index) { "formerly " } else { "" };
        let what = format!("LVM2 physical volume, {former}part of volume group {}", group.metadata.name);
        // One that looks like a filesystem too is read as that besides.
        if volume.content.kind == MEMBER {
            volume.content.state = State::Note(what.clone());
            volume.closed = true;
        }
        volume.part_of = Some(what);
    }
}

/// Says of each physical volume that is part of nothing why it is not.
pub(super) fn explain_rest(volumes: &mut [Volume]) {
    for physical in candidates(volumes) {
        let Some(volume) = volumes.get_mut(physical.index) else { continue };
        match physical.why_alone() {
            State::Gap(why) if volume.content.kind != MEMBER => {
                volume.content.ambiguous.get_or_insert_default().push_str(&format!("; {why}"));
            }
            state if volume.content.kind == MEMBER => {
                volume.content.state = state;
                volume.closed = true;
            }
            _ => {}
        }
    }
}
