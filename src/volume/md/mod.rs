//! Linux MD arrays. In come volumes that claim to be members, out come the arrays: level 1 by its first member that is
//! up to date, and linear.
//!
//! `superblock_0` and `superblock_1` decode what a member says, `array` makes an image of what the newest of them
//! says. To add a level: an arm in `array`. References are to `include/uapi/linux/raid/md_p.h` and `drivers/md/md.c`
//! of Linux, and to md(4).
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod array;
mod superblock;
mod superblock_0;
mod superblock_1;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use self::{
    array::{Array, Member},
    superblock::Superblock,
};
use super::{
    Gap, Volume,
    assemble::{Pass, Progress},
    content::{Content, State},
    partitioned,
};
use crate::image::Image;

const LAYER: &str = "md";

/// What content calls a member.
pub(super) const MEMBER: &str = "linux_raid_member";

/// The superblock of a member, newest format first.
fn read(image: &dyn Image) -> Result<Superblock, String> {
    let mut wrong = Vec::new();
    for read in [superblock_1::read, superblock_0::read] {
        match read(image) {
            Ok(Some(superblock)) => return Ok(superblock),
            Ok(None) => {}
            Err(error) => wrong.push(error.to_string()),
        }
    }
    Err(if wrong.is_empty() { format!("{LAYER}: no superblock") } else { wrong.join("; ") })
}

/// Where a member keeps what, in bytes from its beginning.
pub(super) struct Places {
    pub(super) superblock: u64,
    pub(super) data: u64,
}

/// The places of a member whose superblock is sound.
pub(super) fn place(image: &dyn Image) -> Option<Places> {
    let superblock = read(image).ok()?;
    Some(Places { superblock: superblock.at, data: superblock.data_offset })
}

/// The members among the volumes that are part of nothing yet, and what is wrong with others that seem to be some.
fn candidates(volumes: &[Volume]) -> impl Iterator<Item = (usize, Result<Member, String>)> {
    let open = volumes.iter().enumerate().filter(|(_, volume)| volume.is_open(MEMBER));
    open.map(|(index, volume)| {
        let superblock = read(volume.image.as_ref());
        (index, superblock.map(|superblock| Member { index, image: Arc::clone(&volume.image), superblock }))
    })
}

/// The arrays of these members, by id.
fn arrays(volumes: &[Volume]) -> Vec<Array> {
    let members: Vec<Member> = candidates(volumes).filter_map(|(_, member)| member.ok()).collect();
    let ids: BTreeSet<[u8; 16]> = members.iter().map(|member| member.superblock.array).collect();
    ids.into_iter()
        .filter_map(|id| Array::of(members.iter().filter(|member| member.superblock.array == id).cloned().collect()))
        .collect()
}

/// Puts arrays together; says whether there was one.
pub(super) fn assemble(volumes: &mut Vec<Volume>, pass: Pass, progress: &mut Progress) -> bool {
    let mut more = false;
    for array in arrays(volumes) {
        if pass == Pass::Complete && !array.is_complete() {
            continue;
        }
        let Ok(image) = array.image() else { continue };
        if !progress.done.insert(array.id()) {
            continue;
        }
        let name = array.name();
        progress.notes.extend(array.notes());
        let used = array.used();
        for member in &array.members {
            if let Some(volume) = volumes.get_mut(member.index) {
                take_part(volume, member, &name, array.begins_like(member));
                if used.contains(&member.index) {
                    hide_shown(volumes, member.index, &name);
                } else {
                    let_go(volumes, member.index, &name);
                }
            }
        }
        let remarks = partitioned::push_array(volumes, image, &array.id(), array.device_names());
        progress.notes.extend(remarks.into_iter().map(|what| format!("{LAYER}: array {name}: {what}")));
        more = true;
    }
    more
}

/// A member that begins like the array shows what the array shows when its data begin where it begins itself; one that
/// looks like a filesystem and does not is read as that besides.
fn take_part(volume: &mut Volume, member: &Member, name: &str, begins_like: bool) {
    let what = format!("member of the Linux RAID {name}");
    let same = begins_like && member.superblock.data_offset == 0;
    if volume.content.kind == MEMBER || same {
        volume.rename_by_place();
        volume.closed = true;
        let id = member.superblock.array_id();
        let claims = std::mem::take(&mut volume.content.claims);
        volume.content =
            Content { kind: MEMBER, id, label: None, state: State::Note(what.clone()), claims, ambiguous: None };
    }
    volume.part_of = Some(what);
}

/// The partitions that a member shows are read on the array.
fn hide_shown(volumes: &mut [Volume], member: usize, name: &str) {
    for volume in shown(volumes, member) {
        let what = format!("partition of the Linux RAID {name}, as a member shows it");
        volume.rename_by_place();
        volume.id = volume.start.map_or_else(|| volume.id.clone(), |start| format!("@{start}"));
        volume.closed = true;
        volume.waits = false;
        volume.content.state = State::Note(what.clone());
        volume.content.ambiguous = None;
        volume.part_of = Some(what);
    }
}

/// The partitions of a disk that the array has no use for are not the array's: a superblock that was left behind, or
/// written by somebody, must not hide them.
fn let_go(volumes: &mut [Volume], member: usize, name: &str) {
    for volume in shown(volumes, member) {
        volume.waits = false;
    }
    let Some(volume) = volumes.get_mut(member) else { return };
    if let Some(shows) = volume.shows.take() {
        let why = format!(
            "the disk has partitions and, over them, a superblock of the Linux RAID {name}, which does not use it; the partitions were read"
        );
        volume.content.state = State::Gap(Gap::list(why, &shows.gaps));
    }
}

/// The partitions that the disk with this index shows, if it is a member as a whole.
fn shown(volumes: &mut [Volume], member: usize) -> &mut [Volume] {
    let count = volumes.get(member).and_then(|volume| volume.shows.as_ref()).map_or(0, |shows| shows.partitions);
    let first = member.saturating_add(1);
    volumes.get_mut(first..first.saturating_add(count)).unwrap_or_default()
}

/// No more arrays will be found: partitions that a member shows are taken for what they seem to be. Says whether
/// there were some.
pub(super) fn release_shown(volumes: &mut [Volume]) -> bool {
    let mut more = false;
    for member in 0..volumes.len() {
        for volume in shown(volumes, member) {
            more |= std::mem::take(&mut volume.waits);
        }
        // What was let go is not hidden any more, whatever turns up.
        if let Some(shows) = volumes.get_mut(member).and_then(|volume| volume.shows.as_mut()) {
            shows.partitions = 0;
        }
    }
    more
}

/// Says of each member that is part of nothing why it is not.
pub(super) fn explain_rest(volumes: &mut [Volume]) {
    let mut reasons: BTreeMap<usize, String> =
        candidates(volumes).filter_map(|(index, member)| Some((index, member.err()?))).collect();
    for array in arrays(volumes) {
        let why = array.image().err();
        let why =
            why.unwrap_or_else(|| format!("{LAYER}: another array with the id of this member's was put together"));
        reasons.extend(array.members.iter().map(|member| (member.index, why.clone())));
    }
    for (index, why) in reasons {
        let Some(volume) = volumes.get_mut(index) else { continue };
        if volume.content.state == State::Filesystem {
            volume.content.ambiguous.get_or_insert_default().push_str(&format!("; {why}"));
        } else {
            let shows = volume.shows.take();
            volume.content.state = State::Gap(Gap::list(why, shows.iter().flat_map(|shows| &shows.gaps)));
            volume.closed = true;
        }
    }
}
