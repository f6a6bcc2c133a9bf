//! Whether a volume lies where its boot sector says. FAT12 and FAT16 keep no copy of it, and one wrong number in it
//! gives a volume without files; but each table begins with the medium, and each directory with an entry that leads to
//! itself (sections "FAT Data Structure", "FAT Directory Structure").

use std::ops::ControlFlow;

use super::{DirEntry, LAYER, MAX_DIRECTORY, boot_sector::BootSector};
use crate::{
    fs::clusters::{self, Dir, Slot, Source, Table},
    image::Image,
};

/// Why the volume may lie elsewhere.
pub(super) fn contradiction(boot: &BootSector, image: &dyn Image) -> Option<String> {
    let (tables, expected) = boot.tables(image);
    for (number, mut table) in (1_u8..).zip(tables) {
        match table.raw(0) {
            Ok(found) if found == expected => {}
            Ok(found) => return Some(format!("FAT {number} begins with {found:#x}, expected {expected:#x}")),
            // Past the end of the image, which is said.
            Err(_) => break,
        }
    }
    let mut table = boot.table(image);
    let (directories, sound) = directories(boot, image, &mut table);
    (directories > 0 && sound == 0)
        .then(|| format!("the root directory has {directories} directories, none of which begins with itself"))
}

/// How many directories the root directory has, and how many of them begin with themselves.
fn directories(boot: &BootSector, image: &dyn Image, table: &mut Table<'_>) -> (u32, u32) {
    let (mut directories, mut sound) = (0_u32, 0_u32);
    clusters::slots(table, boot.root(), &mut |_| Ok(()), &mut |slot| {
        let Slot::Raw { bytes, .. } = slot else { return ControlFlow::Continue(()) };
        let entry = DirEntry::parse(bytes);
        if entry.is_end() {
            return ControlFlow::Break(());
        }
        if entry.leads_to_directory() {
            directories = directories.saturating_add(1);
            sound = sound.saturating_add(u32::from(begins_with_itself(boot, image, entry.first_cluster(boot.width))));
        }
        // One that is in its place is enough.
        if sound > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (directories, sound)
}

/// Whether a directory is in this cluster.
pub(super) fn begins_with_itself(boot: &BootSector, image: &dyn Image, cluster: u32) -> bool {
    let mut bytes = [0; 32];
    let read = boot.heap.offset(cluster).and_then(|offset| image.read_at(offset, &mut bytes));
    read.is_ok() && is_itself(boot, &DirEntry::parse(&bytes), cluster)
}

/// Whether there is a directory in this cluster that is not empty, as far as its first cluster shows.
pub(super) fn holds_entries(boot: &BootSector, image: &dyn Image, cluster: u32) -> bool {
    let mut live = false;
    if begins_with_itself(boot, image, cluster) {
        let one = Source { dir: Dir::Contiguous { first: cluster, len: boot.heap.cluster_size }, max: MAX_DIRECTORY };
        clusters::slots(&mut boot.table(image), one, &mut |_| Ok(()), &mut |slot| {
            let Slot::Raw { bytes, .. } = slot else { return ControlFlow::Break(()) };
            let entry = DirEntry::parse(bytes);
            live = !entry.is_end() && !entry.is_deleted() && !entry.is_dot();
            if live || entry.is_end() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
    live
}

/// Whether this is the first entry of the directory that begins with this cluster.
pub(super) fn is_itself(boot: &BootSector, entry: &DirEntry<'_>, cluster: u32) -> bool {
    entry.raw_name() == b".          " && entry.is_dir() && entry.first_cluster(boot.width) == cluster
}

/// The gap of a volume that may lie elsewhere.
pub(super) fn gap(why: &str) -> String {
    format!("{LAYER}: the boot sector may give another layout than the volume has: {why}")
}
