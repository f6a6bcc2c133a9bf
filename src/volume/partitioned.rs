//! Partition tables on what was assembled. An array is a disk to its machine, and is partitioned like one (md(4)); of
//! a logical volume the machine reads no table, and one that has some is the disk of another machine.

use std::sync::Arc;

use super::{
    Disk, Gap, Volume,
    content::{Content, State},
    discover,
};
use crate::image::Image;

/// Where a target has more volumes than this, the partitions of its arrays are not read.
const MAX_VOLUMES: usize = 4096;

/// Appends an array with this id and these names: what lies on it, and behind it its partitions if it has any.
/// Returns what is worth knowing about their table.
pub(super) fn push_array(
    volumes: &mut Vec<Volume>,
    image: Arc<dyn Image>,
    array: &str,
    names: Vec<String>,
) -> Vec<String> {
    let Some((kind, mut disk)) = table(&image) else {
        volumes.push(Volume { names, ..Volume::assembled(image, array) });
        return Vec::new();
    };
    for volume in &mut disk.volumes {
        volume.waits = false;
        if let Some(shows) = volume.shows.take() {
            disk.gaps.extend(shows.gaps);
            let why = "it seems to be a member of another array besides, which is not put together".to_owned();
            disk.gaps.push(Gap { start: 0, len: image.len(), why });
        }
    }
    if volumes.len().saturating_add(disk.volumes.len()) > MAX_VOLUMES {
        let why = format!("more than {MAX_VOLUMES} volumes; these partitions are not read");
        disk.gaps.push(Gap { start: 0, len: image.len(), why });
        disk.volumes.clear();
    }
    volumes.push(Volume { names: names.clone(), ..disk_like(array, &image, kind, &disk) });
    for volume in disk.volumes {
        let Some(partition) = &volume.partition else { continue };
        let number = partition.number;
        let by_place = volume.start.is_some_and(|start| volume.id == format!("@{start}"));
        let id = if by_place { format!("@{array}p{number}") } else { volume.id.clone() };
        let names = names.iter().map(|name| partition_name(name, number)).collect();
        volumes.push(Volume { id, names, start: None, ..volume });
    }
    disk.notes
}

/// What the partition table of a logical volume is, if it has one.
pub(super) fn describe_table(image: &Arc<dyn Image>) -> Option<String> {
    let (kind, disk) = table(image)?;
    Some(format!("{kind}, {} partitions", disk.volumes.len()))
}

fn table(image: &Arc<dyn Image>) -> Option<(&'static str, Disk)> {
    let disk = discover(image).ok()?;
    let kind = disk.volumes.iter().find_map(|volume| volume.partition.as_ref())?.table.name();
    Some((kind, disk))
}

/// An array that holds nothing but partitions.
fn disk_like(array: &str, image: &Arc<dyn Image>, kind: &'static str, disk: &Disk) -> Volume {
    let what = format!("partitioned, {kind}");
    let state = if disk.gaps.is_empty() { State::Note(what) } else { State::Gap(Gap::list(what, &disk.gaps)) };
    let content = Content { kind, id: None, label: None, state, claims: Vec::new(), ambiguous: None };
    Volume { closed: true, ..Volume::bare(format!("@{array}"), Arc::clone(image), content) }
}

/// The name of a partition by that of its disk: `md0p1`, `md/data1` (`disk_name` in the kernel, mdadm's udev rules).
fn partition_name(disk: &str, number: u32) -> String {
    if disk.starts_with("disk/by-id/") {
        format!("{disk}-part{number}")
    } else if disk.ends_with(|last: char| last.is_ascii_digit()) {
        format!("{disk}p{number}")
    } else {
        format!("{disk}{number}")
    }
}
