//! What the user named, opened: from a string on the command line to a [`Machine`] whose volumes are in their
//! places. This room joins images, volumes and filesystems; it reads no policy and hashes nothing.

mod hive;
mod images;
mod name;
mod volumes;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use crate::{
    error::{Error, Result},
    fs::HostDir,
    image::{self, Image, Metered, mapped::Layered, qcow2::Snapshot},
    machine::{Family, Machine, State, Volume},
    volume,
};

pub use name::{Disk as DiskName, parse};

/// What stands for the container of a directory.
const DIRECTORY: &str = "directory";

/// Is called before bytes are read of an image, with their number; may wait.
pub type OnRead = Arc<dyn Fn(u64) + Send + Sync>;

/// How a target is opened.
#[derive(Clone, Default)]
pub struct Options {
    /// The volume of `/` or `C:`, where there are several systems.
    pub root: Option<String>,
    /// Files that an image refers to are opened beneath this folder.
    pub image_root: Option<PathBuf>,
    /// Of a directory: also enter what is mounted beneath it.
    pub cross_devices: bool,
    /// A brake on reading.
    pub on_read: Option<OnRead>,
    /// Bytes of a hive that tells of the machine, where that is more than 512 MiB.
    pub hive_bytes: usize,
    /// Keys that are tried on every encrypted volume.
    pub keys: volume::Keys,
}

/// One disk of a target.
pub struct Disk {
    /// Its container: `raw`, `qcow2`, `directory`; `hive` for a single registry hive.
    pub container: &'static str,
    /// The files that hold its bytes, with their sizes, the one that was named first.
    pub files: Vec<(PathBuf, u64)>,
    /// Its size in bytes; 0 for a directory.
    pub size: u64,
    /// `gpt`, `mbr`, or nothing.
    pub table: Option<&'static str>,
    /// Its bytes; `None` for a directory.
    pub image: Option<Arc<dyn Image>>,
    /// The same disk, where it can say where its bytes come from.
    pub layered: Option<Arc<dyn Layered>>,
    /// The snapshot inside the first file that it is.
    pub snapshot: Option<Snapshot>,
}

/// A target, opened.
pub struct Target {
    /// As it was typed, for people.
    pub given: String,
    /// Its disks, in the order in which they were named.
    pub disks: Vec<Disk>,
    /// The machine on them.
    pub machine: Machine,
    /// What is worth knowing about containers and partition tables.
    pub notes: Vec<String>,
    /// What the containers and partition tables do not give.
    pub gaps: Vec<String>,
    /// The newest modification time of the files that hold it.
    pub modified: Option<SystemTime>,
    read: Arc<AtomicU64>,
    on_read: Option<OnRead>,
}

impl Target {
    /// Bytes read from its images so far; of a directory, nothing is known.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes of the files that hold it; of a directory nobody knows.
    #[must_use]
    pub fn bytes_held(&self) -> u64 {
        let sizes = self.disks.iter().map(|disk| match disk.container {
            "directory" => u64::MAX,
            _ => disk.files.iter().fold(0, |sum: u64, (_, size)| sum.saturating_add(*size)),
        });
        sizes.fold(0, u64::saturating_add)
    }

    /// Another image that is read beside the disk of this number: as much of the target's reading as the disk itself.
    #[must_use]
    pub fn beside(&self, disk: usize, image: Arc<dyn Image>) -> Arc<dyn Image> {
        Arc::new(Metered::new(image, disk, Arc::clone(&self.read), self.on_read.clone()))
    }

    /// That there is a filesystem, or a hive by itself, to read. A target of nothing but gaps can be inspected, and gives no verdict.
    ///
    /// # Errors
    /// [`Error::Target`], which says what was found instead.
    pub fn require_filesystem(&self) -> Result<()> {
        if !self.machine.mounts.is_empty() || !self.machine.hives.is_empty() {
            return Ok(());
        }
        let volume = |volume: &Volume| match &volume.state {
            State::Gap(why) | State::Note(why) => why.clone(),
            State::Read => volume.content.clone(),
        };
        let mut found: Vec<_> = self.gaps.iter().cloned().chain(self.machine.volumes.iter().map(volume)).collect();
        if found.is_empty() {
            found.push("no volume at all".to_owned());
        }
        let (given, found) = (&self.given, found.join(", "));
        Err(Error::Target(format!(
            "{given}: nothing of it can be read: expected at least one filesystem, found {found}"
        )))
    }
}

/// Opens a target.
///
/// # Errors
/// When an image cannot be opened or recognised, when it holds nothing at all, and when the system on it is
/// ambiguous.
pub fn open(given: &OsStr, options: &Options) -> Result<Target> {
    Opening::begin(given, options)?.finish()
}

/// A target whose containers are open, and whose volumes are still to be found.
pub struct Opening<'o> {
    given: String,
    options: &'o Options,
    /// A registry hive by itself.
    hive: Option<PathBuf>,
    disks: Vec<OpenDisk>,
    /// A directory of this host.
    volumes: Vec<Volume>,
    modified: Option<SystemTime>,
    read: Arc<AtomicU64>,
}

/// A disk, and what its container says.
struct OpenDisk {
    disk: Disk,
    notes: Vec<String>,
    gaps: Vec<String>,
}

impl<'o> Opening<'o> {
    /// Opens the containers.
    ///
    /// # Errors
    /// When an image cannot be opened or recognised.
    pub fn begin(given: &OsStr, options: &'o Options) -> Result<Self> {
        let names = parse(given);
        let read = Arc::new(AtomicU64::new(0));
        let (disks, volumes) = (Vec::new(), Vec::new());
        let given = given.display().to_string();
        let mut opening = Self { given, options, hive: None, disks, volumes, modified: None, read };
        for name in &names {
            let is_alone = |what: &str| match names.len() {
                1 => Ok(()),
                _ => Err(Error::Usage(format!("{}: {what}", name.path.display()))),
            };
            if name.path.is_dir() {
                is_alone("a directory cannot be joined to other disks")?;
                let (disk, volume) = directory(name, options)?;
                opening.disks.push(OpenDisk { disk, notes: Vec::new(), gaps: Vec::new() });
                opening.volumes.push(volume);
            } else if name.snapshot.is_none() && hive::is_hive(&name.path) {
                is_alone("a hive cannot be joined to disks")?;
                opening.hive = Some(name.path.clone());
            } else {
                opening.image(name)?;
            }
        }
        Ok(opening)
    }

    fn image(&mut self, name: &DiskName) -> Result<()> {
        let image_root = self.options.image_root.clone();
        let open = image::probe::OpenOptions { image_root, snapshot: name.snapshot.clone() };
        let opened = image::probe::open(&name.path, &open)?;
        for file in &opened.files {
            self.modified = self.modified.max(modification_time(&file.path));
        }
        let (number, on_read) = (self.disks.len(), self.options.on_read.clone());
        let image: Arc<dyn Image> = Arc::new(Metered::new(opened.image, number, Arc::clone(&self.read), on_read));
        let disk = Disk {
            container: opened.container,
            files: opened.files.into_iter().map(|file| (file.path, file.size)).collect(),
            size: image.len(),
            table: None,
            image: Some(image),
            layered: opened.layered,
            snapshot: opened.snapshot,
        };
        self.disks.push(OpenDisk { disk, notes: opened.notes, gaps: opened.gaps });
        Ok(())
    }

    /// Its disks, in the order in which they were named; their partition tables are not read yet. A hive has none.
    pub fn disks(&self) -> impl Iterator<Item = &Disk> {
        self.disks.iter().map(|open| &open.disk)
    }

    /// Finds its volumes, and the machine on them.
    ///
    /// # Errors
    /// When it cannot be read, when it holds nothing at all, and when the system on it is ambiguous.
    pub fn finish(self) -> Result<Target> {
        let Self { given, options, hive, disks: open, mut volumes, modified, read } = self;
        if let Some(hive) = hive {
            return hive::open(&given, &hive, options.hive_bytes);
        }
        let mut disks = Vec::new();
        let (mut found_volumes, mut owners) = (Vec::new(), Vec::new());
        let (mut notes, mut gaps) = (Vec::new(), Vec::new());
        for (number, open) in open.into_iter().enumerate() {
            let mut disk = open.disk;
            notes.extend(open.notes);
            gaps.extend(open.gaps);
            if let Some(image) = &disk.image {
                let found = volume::discover(image)?;
                let partition = found.volumes.iter().find_map(|volume| volume.partition.as_ref());
                disk.table = partition.map(|partition| partition.table.name());
                notes.extend(found.notes.iter().cloned());
                gaps.extend(found.gaps.iter().map(|gap| gap.why.clone()));
                let owner = volumes::Owner::of(&found, number);
                owners.extend(found.volumes.iter().map(|_| owner.clone()));
                found_volumes.extend(found.volumes);
            }
            disks.push(disk);
        }
        notes.extend(volume::assemble(&mut found_volumes, &options.keys));
        let owned = owners.into_iter().map(Some).chain(std::iter::repeat(None));
        volumes.extend(found_volumes.iter().zip(owned).map(|(found, owner)| volumes::of_volume(found, owner)));
        volumes::make_ids_unique(&mut volumes);
        let machine = Machine::assemble_within(volumes, options.root.as_deref(), options.hive_bytes)?;
        let directory = disks.iter().find(|disk| disk.container == DIRECTORY && machine.os.family == Family::None);
        notes.extend(directory.and_then(|disk| images::mistaken(&disk.files.first()?.0)));
        let target = Target { given, disks, machine, notes, gaps, modified, read, on_read: options.on_read.clone() };
        let is_gap = |volume: &Volume| matches!(volume.state, State::Gap(_));
        if target.gaps.is_empty() && !target.machine.volumes.iter().any(is_gap) {
            target.require_filesystem()?;
        }
        Ok(target)
    }
}

fn modification_time(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// A directory of this host is a volume of its own, and the root of its machine whatever is in it.
fn directory(name: &DiskName, options: &Options) -> Result<(Disk, Volume)> {
    if name.snapshot.is_some() {
        return Err(Error::Usage(format!("{}: a directory has no snapshots inside", name.path.display())));
    }
    let host = HostDir::open(&name.path, options.cross_devices)?;
    let disk = Disk {
        container: DIRECTORY,
        files: vec![(name.path.clone(), 0)],
        size: 0,
        table: None,
        image: None,
        layered: None,
        snapshot: None,
    };
    Ok((disk, volumes::of_directory(Arc::new(host))))
}
