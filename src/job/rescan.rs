//! What of the scan before may be taken over: whether there is a trustworthy list of what changed since, and whether
//! its places still mean the same. Every doubt is a full scan, said aloud.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, Scope, ScopedJoinHandle},
};

use jiff::{SignedDuration, Timestamp};

use super::input;
use crate::{
    changed::{self, ChangedRanges},
    changelog::{Machine, ScanId},
    error::{Error, Result},
    image::{
        changed::{changed_since, is_same},
        probe::{self, OpenOptions},
        qcow2::Snapshot,
    },
    machine::{DiskPlace, Volume},
    scan::reuse::{
        self, AreSame, DiskLayout, FileState, Layout, MAX_STRETCHES, Previous, Reuse, Sample, Side, SideHeader,
        SnapshotState, VolumeLayout,
    },
    target::{Disk, Target},
    text,
    threads::Spread,
};

/// What the reason begins with why nothing was taken over although it was asked for or looked possible.
pub const FULL_SCAN: &str = "full scan";

/// What a night is told about rescanning.
#[derive(Debug, Clone, Default)]
pub struct Rescan {
    /// Lists of changed blocks, one for each disk of the target, in their order.
    pub changed: Vec<PathBuf>,
    /// The scan since which the lists tell.
    pub since: Option<String>,
    /// Everything is read, whatever is known.
    pub no_reuse: bool,
    /// How much of what is taken over is read all the same, in percent.
    pub verify: Option<String>,
}

impl Rescan {
    /// That what was typed can be done, before anything of a target is touched.
    ///
    /// # Errors
    /// [`Error::Usage`] when it cannot.
    pub fn check(&self) -> Result<()> {
        self.verify.as_deref().map_or(Ok(()), |percent| Sample::parse(percent, String::new()).map(drop))
    }
}

/// A rescan, or a full scan that the next one can stand on.
pub(super) struct Prepared {
    pub(super) reuse: Reuse,
    pub(super) header: SideHeader,
    /// What is to be said about it.
    pub(super) said: Option<String>,
}

/// What is known of a rescan when the target's containers are open.
pub(super) struct Begun<'s> {
    /// The target's disks; `None` where their places are unknown.
    disks: Option<Vec<DiskLayout>>,
    kept: Result<Option<Kept<'s>>>,
}

/// What the scan before kept.
struct Kept<'s> {
    header: SideHeader,
    /// Is being loaded, unless it is of no use.
    side: Option<ScopedJoinHandle<'s, Result<Side>>>,
}

/// Begins to load what the scan before kept, in a thread of its own, where that may be of use for these disks.
pub(super) fn begin<'s, 'd>(
    scope: &'s Scope<'s, '_>,
    asked: &Rescan,
    disks: impl Iterator<Item = &'d Disk>,
    machine: &Machine<'_>,
    scan: Timestamp,
) -> Begun<'s> {
    let disks = disk_layouts(disks, scan);
    let kept = match &disks {
        Some(disks) if !asked.no_reuse => keep(scope, asked, disks, machine),
        _ => Ok(None),
    };
    Begun { disks, kept }
}

fn keep<'s>(
    scope: &'s Scope<'s, '_>,
    asked: &Rescan,
    disks: &[DiskLayout],
    machine: &Machine<'_>,
) -> Result<Option<Kept<'s>>> {
    let Some((latest, file)) = machine.latest().zip(machine.latest_extents()?) else { return Ok(None) };
    let (header, reader) = reuse::open(file)?;
    if header.scan != latest.to_string() {
        return Err(refused(format!("the extents kept for the scan {latest} are those of {}", header.scan)));
    }
    let is_of_use = !asked.changed.is_empty() || are_related(disks, &header.layout.disks);
    let spread = Spread::of(2);
    let load = move || {
        spread.seat(1).keep();
        reader.load()
    };
    let load = || thread::Builder::new().name("extents".to_owned()).spawn_scoped(scope, load);
    let no_thread = |error| Error::State(format!("no thread to read extents: {error}"));
    let side = is_of_use.then(load).transpose().map_err(no_thread)?;
    Ok(Some(Kept { header, side }))
}

/// Decides what may be taken over. `None` for a target whose places on disk nobody knows: a directory.
pub(super) fn prepare(
    asked: &Rescan,
    image_root: Option<&Path>,
    target: &Target,
    machine: &Machine<'_>,
    scan: ScanId,
    begun: Begun<'_>,
) -> Result<Option<Prepared>> {
    let verify = asked.verify.as_deref().map(|percent| Sample::parse(percent, scan.to_string())).transpose()?;
    let Begun { disks, kept } = begun;
    let Some(layout) = disks.map(|disks| layout(target, disks)) else {
        let said = (!asked.changed.is_empty()).then_some("a directory has no blocks");
        return said.map_or(Ok(None), |why| Err(Error::Usage(format!("--changed: {why}"))));
    };
    let since = machine.latest();
    let found = if asked.no_reuse { Ok(None) } else { previous(asked, image_root, target, &layout, machine, kept) };
    let (previous, said) = match (found, since) {
        (Ok(Some((previous, from))), Some(since)) => {
            let left_out = match previous.left_out() {
                0 => String::new(),
                more => format!("; {more} contents did not fit into memory and are read"),
            };
            (Some(previous), Some(format!("since {since} by {from}{left_out}")))
        }
        (Ok(_), _) => (None, None),
        (Err(error), _) => (None, Some(format!("{FULL_SCAN}: {error}"))),
    };
    let header = SideHeader::new(scan.to_string(), layout);
    Ok(Some(Prepared { reuse: Reuse { previous, verify }, header, said }))
}

fn refused(why: impl Into<String>) -> Error {
    Error::Target(why.into())
}

fn previous(
    asked: &Rescan,
    image_root: Option<&Path>,
    target: &Target,
    layout: &Layout,
    machine: &Machine<'_>,
    kept: Result<Option<Kept<'_>>>,
) -> Result<Option<(Previous, String)>> {
    let listed = !asked.changed.is_empty();
    if !listed && asked.since.is_some() {
        return Err(refused("--changed-since is given without --changed"));
    }
    let Some(latest) = machine.latest() else {
        return if listed { Err(refused("there is no scan before this one")) } else { Ok(None) };
    };
    if listed {
        match asked.since.as_deref() {
            None => return Err(refused("--changed is not used without --changed-since, which says since which scan")),
            Some(since) if since != latest.to_string() => {
                return Err(refused(format!("--changed-since {since} is not the scan before this one, {latest}")));
            }
            Some(_) => {}
        }
    }
    let Some(Kept { header, side }) = kept? else {
        let why = format!("it is not kept where the contents of the scan {latest} were");
        // Of an image that stands on another one a rescan is expected.
        let is_layered = layout.disks.iter().any(|disk| disk.files.len() > 1 || disk.snapshot.is_some());
        return if listed || is_layered { Err(refused(why)) } else { Ok(None) };
    };
    let Some(side) = side else { return Ok(None) };
    let layers = || match are_related(&layout.disks, &header.layout.disks) {
        true => from_layers(target, &header.layout, image_root),
        false => Ok(None),
    };
    let lists = match listed {
        true => from_files(&asked.changed, target.disks.len()).and_then(|lists| Ok(Some(joined(lists, layers()?)))),
        false => layers().map(|told| told.map(|told| told.into_iter().unzip())),
    };
    let Some((lists, are_same)) = lists? else { return Ok(None) };
    if let Some(why) = layout.differs(&header.layout) {
        return Err(refused(why));
    }
    for (list, disk) in lists.iter().zip(&target.disks) {
        list.check_size(disk.size)?;
    }
    let bytes = lists.iter().fold(0_u64, |sum, list| sum.saturating_add(list.bytes()));
    let ranges: usize = lists.iter().map(|list| list.ranges().len()).sum();
    let provenance = lists.first().map_or("nothing", |list| list.provenance);
    let from = format!("{provenance}, {ranges} changed ranges of {bytes} bytes");
    // What is carried stands in no manifest, and must be compared with what is there now.
    let lines = machine.latest_carried()?.is_none();
    let side = side.join().unwrap_or_else(|_| Err(Error::Bug("the reader of extents died".to_owned())))?;
    Ok(Some((Previous::new(side, lists, lines).looking(are_same), from)))
}

fn from_files(paths: &[PathBuf], disks: usize) -> Result<Vec<ChangedRanges>> {
    if paths.len() != disks {
        return Err(refused(format!("--changed is given {} times for {disks} disks", paths.len())));
    }
    let read = |path: &PathBuf| {
        let named = |error: &dyn std::fmt::Display| refused(format!("{}: {error}", input::shown(path)));
        let bytes = input::read(path, changed::MAX_LIST).map_err(|error| named(&error))?;
        changed::parse(&bytes).map_err(|error| named(&error))
    };
    paths.iter().map(read).collect()
}

/// Lists, and what the layers of the target tell besides: a list of one layer does not know of those between.
fn joined(mut lists: Vec<ChangedRanges>, layers: Option<Vec<Told>>) -> (Vec<ChangedRanges>, Vec<AreSame>) {
    let told = |(list, (layers, are_same)): (&mut ChangedRanges, Told)| {
        list.join(layers);
        are_same
    };
    let are_same = lists.iter_mut().zip(layers.into_iter().flatten()).map(told).collect();
    (lists, are_same)
}

/// Whether the target may stand on the image of the scan before, or both may be snapshots of one image. Not where they
/// have nothing to do with each other, or are the same file: what was written in place leaves no trace.
fn are_related(now: &[DiskLayout], before: &[DiskLayout]) -> bool {
    let related = |(now, before): (&DiskLayout, &DiskLayout)| {
        let same = now.snapshot == before.snapshot && path_of(now) == path_of(before);
        !same && before.files.iter().all(|file| now.files.iter().any(|other| other.path == file.path))
    };
    now.len() == before.len() && now.iter().zip(before).all(related)
}

/// What the layers of one disk tell: where it may have changed, and whether it did.
type Told = (ChangedRanges, AreSame);

/// What the containers of related disks tell; `None` where they are of a kind that tells nothing.
fn from_layers(target: &Target, before: &Layout, image_root: Option<&Path>) -> Result<Option<Vec<Told>>> {
    let disks = (0..target.disks.len()).zip(&before.disks);
    disks.map(|(disk, before)| of_disk(target, disk, before, image_root)).collect()
}

fn path_of(disk: &DiskLayout) -> Option<&str> {
    disk.files.first().map(|file| file.path.as_str())
}

fn of_disk(target: &Target, number: usize, before: &DiskLayout, image_root: Option<&Path>) -> Result<Option<Told>> {
    let Some(disk) = target.disks.get(number) else { return Ok(None) };
    let (Some(newer), Some(now), Some(path)) = (&disk.layered, &disk.image, path_of(before)) else { return Ok(None) };
    for (number, file) in before.files.iter().enumerate() {
        // The clusters of an internal snapshot stay as they are while its file is written to.
        let is_frozen = number == 0 && before.snapshot.is_some();
        if !is_frozen && (file.modified.is_none() || file_state(Path::new(&file.path)) != *file) {
            return Err(refused(format!("{} was modified since, or may have been", file.path)));
        }
    }
    let snapshot = before.snapshot.as_ref().map(|snapshot| snapshot.id.clone());
    let options = OpenOptions { image_root: image_root.map(Path::to_owned), snapshot };
    let older = probe::open(Path::new(path), &options)?;
    if older.snapshot.as_ref().map(snapshot_state) != before.snapshot {
        return Err(refused(format!("{path}: the snapshot that was scanned is gone, and another has its id")));
    }
    let files: Vec<_> = older.files.iter().map(|file| file_state(&file.path).path).collect();
    if files.len() != before.files.len() || before.files.iter().any(|file| !files.contains(&file.path)) {
        return Err(refused(format!("{path} stands on other files than before")));
    }
    let Some(layered) = &older.layered else { return Ok(None) };
    let ranges = changed_since(newer.as_ref(), layered.as_ref())?;
    let (now, before) = (Arc::clone(now), target.beside(number, older.image));
    let are_same: AreSame = Box::new(move |range| is_same(now.as_ref(), before.as_ref(), range));
    Ok(Some((ChangedRanges::of_layers(ranges, disk.size), are_same)))
}

fn disk_layouts<'d>(disks: impl Iterator<Item = &'d Disk>, scan: Timestamp) -> Option<Vec<DiskLayout>> {
    let layout = |disk: &Disk| {
        disk.image.as_ref()?;
        Some(DiskLayout {
            size: disk.size,
            files: disk.files.iter().map(|(path, _)| settled(file_state(path), scan)).collect(),
            snapshot: disk.snapshot.as_ref().map(snapshot_state),
        })
    };
    let layouts: Vec<_> = disks.map(layout).collect::<Option<_>>()?;
    (!layouts.is_empty()).then_some(layouts)
}

fn layout(target: &Target, disks: Vec<DiskLayout>) -> Layout {
    let volumes = target.machine.volumes.iter().map(|volume| VolumeLayout {
        id: volume.id.clone(),
        content: volume.content.clone(),
        start: volume.start,
        size: volume.size,
        stretches: if volume.start.is_none() && !volume.is_pooled { stretches(volume) } else { Vec::new() },
        behind: volume.behind.as_ref().map(|mark| text::hex(mark)),
    });
    Layout { disks, volumes: volumes.collect() }
}

/// Where an assembled volume lies, as far as it lies on the disks as it is.
fn stretches(volume: &Volume) -> Vec<DiskPlace> {
    let mut stretches = Vec::new();
    let mut at = 0_u64;
    while stretches.len() < MAX_STRETCHES
        && let Some(place) = volume.disk_place(at)
    {
        stretches.push(place);
        at = at.saturating_add(place.len.max(1));
    }
    stretches
}

fn snapshot_state(snapshot: &Snapshot) -> SnapshotState {
    let Snapshot { id, name, seconds, nanos, l1, .. } = snapshot;
    SnapshotState { id: id.clone(), name: name.clone(), seconds: *seconds, nanos: *nanos, table: l1.at }
}

/// A file as it is now.
fn file_state(path: &Path) -> FileState {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let metadata = path.metadata().ok();
    let regular = metadata.as_ref().filter(|metadata| metadata.is_file());
    let modified = regular.and_then(|metadata| metadata.modified().ok());
    let inode = regular.map(MetadataExt::ino);
    FileState {
        path: path.to_string_lossy().into_owned(),
        size: metadata.map_or(0, |metadata| metadata.len()),
        modified: modified.and_then(|time| Timestamp::try_from(time).ok()),
        inode,
    }
}

/// Where a host's filesystem keeps times in whole seconds, a file of the scan's own second may be written to once more
/// and look the same: nothing is known of it.
fn settled(file: FileState, scan: Timestamp) -> FileState {
    let is_coarse = |time: &Timestamp| time.subsec_nanosecond() == 0;
    let is_now = |time: &Timestamp| time.duration_since(scan).abs() <= SignedDuration::from_secs(1);
    let modified = file.modified.filter(|time| !(is_coarse(time) && is_now(time)));
    FileState { modified, ..file }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_second_of_its_scan_may_have_been_written_to_since_where_times_are_whole_seconds() {
        let state = |modified: &str| FileState {
            path: "/a.raw".to_owned(),
            size: 1,
            modified: Some(modified.parse().unwrap()),
            inode: Some(1),
        };
        let scan = "2026-11-21T19:00:00Z".parse().unwrap();
        for (modified, is_known) in [
            ("2026-11-21T19:00:00Z", false),
            ("2026-11-21T18:59:59Z", false),
            ("2026-11-21T19:00:00.000000001Z", true),
            ("2026-11-21T18:59:57Z", true),
            ("2026-12-01T00:00:00Z", true),
        ] {
            assert_eq!(settled(state(modified), scan).modified.is_some(), is_known, "{modified}");
        }
    }
}
