//! The machine in the snapshot: which volume is `/`, `/boot` or `C:`, which system it runs and what it calls
//! itself, who its accounts are, and where a path leads inside the image. In come the volumes of all its disks,
//! out comes one [`Machine`]: a tree of mounts to walk. Nothing here hashes anything, and nothing outside the
//! image is ever looked at.

pub mod accounts;
mod caseless;
pub mod fstab;
pub(crate) mod hive;
mod link;
pub mod linux;
mod loose_hive;
pub mod resolve;
mod text;
mod unmounted;
mod volume;
mod windows;

use crate::{
    error::{Error, Result},
    fs::{NodeId, Session},
    text::cut,
};
use caseless::caseless;

pub use crate::image::{Behind, DiskPlace};
pub use accounts::Accounts;
pub use hive::HiveFile;
pub use resolve::{Resolution, Resolver};
pub use volume::{State, Volume};

/// The longest name of a system or a host, in bytes: it stands in a manifest's first line, in the scan record and in every
/// event.
const MAX_NAME: usize = 1024;

/// The system that a machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Paths are bytes, separated by `/`.
    Linux,
    /// Paths begin with a drive letter, are separated by `\`, and match without case.
    Windows,
    /// No system was found: a data disk.
    None,
}

impl Family {
    /// The name in a manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::None => "none",
        }
    }
}

/// What the system says about itself. It is the guest's word, shown and never trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Os {
    /// The kind of system.
    pub family: Family,
    /// Its name and version, as `Debian GNU/Linux 12 (bookworm)`.
    pub name: Option<String>,
    /// Its host name.
    pub host: Option<String>,
}

/// A volume in its place in the machine's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The path of its root: `/`, `/boot`, `C:\`, or `@volume/` where nothing places it.
    pub path: Vec<u8>,
    /// Its index in [`Machine::volumes`].
    pub volume: usize,
    /// Whether the system mounts it when it is told to, not when it starts: until then what it hides is in use.
    pub by_hand: bool,
}

/// A path whose volume is missing or unreadable: what lies there is hidden, not gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// The mount point.
    pub path: Vec<u8>,
    /// The id of the volume, where it is there and cannot be read; else empty.
    pub volume: String,
    /// How the mount table names the volume, and what became of it.
    pub why: String,
}

/// A machine, assembled.
pub struct Machine {
    /// The system.
    pub os: Os,
    /// All volumes of all disks, in the order of disks and offsets.
    pub volumes: Vec<Volume>,
    /// Every readable volume exactly once; mount points before what is mounted beneath them.
    pub mounts: Vec<Mount>,
    /// Mount points whose volume cannot be read.
    pub missing: Vec<Missing>,
    /// Why the table that says what is mounted where could not be read, where it could not.
    pub unplaced: Option<String>,
    /// Account names of the image.
    pub accounts: Accounts,
    /// The registry's hives, at the paths of their root keys, each path once.
    pub hives: Vec<HiveFile>,
    /// The control set that `CurrentControlSet` means, as `ControlSet001`.
    pub control_set: Option<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

impl Machine {
    /// Finds the system among `volumes` and puts every volume in its place. `root` names the volume of `/` or
    /// `C:` where there are several systems: an id (`@…`), a UUID or a label.
    ///
    /// # Errors
    /// [`Error::Policy`] when there are two systems and `root` names none, or when `root` names no volume.
    pub fn assemble(volumes: Vec<Volume>, root: Option<&str>) -> Result<Self> {
        Self::assemble_within(volumes, root, 0)
    }

    /// The same; hives that tell of the machine may have `hive_bytes` bytes with their logs, where that is more than
    /// 512 MiB.
    ///
    /// # Errors
    /// As [`Machine::assemble`].
    pub fn assemble_within(mut volumes: Vec<Volume>, root: Option<&str>, hive_bytes: usize) -> Result<Self> {
        let system = find_root(&mut volumes, root)?;
        let mut machine = Self::of(volumes);
        match system {
            Some((volume, Family::Windows)) => {
                let fs = machine.volumes[volume].fs.take();
                machine.volumes[volume].fs = fs.as_ref().map(caseless);
                windows::assemble(&mut machine, volume, hive_bytes.max(hive::LEARN_CAP));
            }
            Some((volume, _)) => linux::assemble(&mut machine, volume),
            None => {}
        }
        for name in [&mut machine.os.name, &mut machine.os.host].into_iter().flatten() {
            cut(name, MAX_NAME);
        }
        for (index, volume) in machine.volumes.iter().enumerate() {
            if volume.fs.is_some() && !machine.mounts.iter().any(|mount| mount.volume == index) {
                let path = format!("{}/", volume.id).into_bytes();
                machine.mounts.push(Mount { path, volume: index, by_hand: false });
            }
        }
        Ok(machine)
    }

    /// A machine of which nothing is known but its volumes.
    fn of(volumes: Vec<Volume>) -> Self {
        Self {
            os: Os { family: Family::None, name: None, host: None },
            volumes,
            mounts: Vec::new(),
            missing: Vec::new(),
            unplaced: None,
            accounts: Accounts::default(),
            hives: Vec::new(),
            control_set: None,
            notes: Vec::new(),
        }
    }

    /// The separator in the paths beneath a mount, by the form of any path there.
    #[must_use]
    pub fn separator(path: &[u8]) -> u8 {
        if matches!(path, [b'/' | b'@', ..]) { b'/' } else { b'\\' }
    }

    /// The mount at exactly this path.
    #[must_use]
    pub fn mount_at(&self, path: &[u8]) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.path == path)
    }

    /// Readers of all volumes for one worker.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions { machine: self, open: self.volumes.iter().map(|_| None).collect() }
    }
}

/// One worker's readers, each opened when it is first needed.
pub struct Sessions<'m> {
    machine: &'m Machine,
    open: Vec<Option<Box<dyn Session + 'm>>>,
}

impl<'m> Sessions<'m> {
    /// The reader of a volume.
    ///
    /// # Errors
    /// When the volume has no filesystem that can be read.
    pub fn of(&mut self, volume: usize) -> Result<&mut (dyn Session + 'm)> {
        let unreadable = || Error::Bug(format!("volume {volume} has no reader"));
        let slot = self.open.get_mut(volume).ok_or_else(unreadable)?;
        if slot.is_none() {
            let fs = self.machine.volumes.get(volume).and_then(|v| v.fs.as_ref()).ok_or_else(unreadable)?;
            *slot = Some(fs.session()?);
        }
        slot.as_deref_mut().ok_or_else(unreadable)
    }

    /// The machine that is read.
    #[must_use]
    pub fn machine(&self) -> &'m Machine {
        self.machine
    }
}

/// Joins a name to a directory's path; a mount's root already ends with the separator.
#[must_use]
pub fn join(dir: &[u8], name: &[u8], separator: u8) -> Vec<u8> {
    let mut path = Vec::with_capacity(dir.len() + name.len() + 1);
    path.extend_from_slice(dir);
    if path.last() != Some(&separator) {
        path.push(separator);
    }
    path.extend_from_slice(name);
    path
}

/// What system a volume holds, and how people may be told of it. Where names match without case, a Windows is looked for
/// first: folders called `usr` and `bin` make no Linux of it.
fn recognise(volume: &Volume) -> Result<Option<(Family, String)>> {
    let Some(fs) = &volume.fs else { return Ok(None) };
    let windows = || windows::recognise(&*caseless(fs)).then(|| (Family::Windows, "a Windows system".to_owned()));
    let linux = || linux::recognise(&**fs).map(|system| system.map(|system| (Family::Linux, system)));
    if fs.folds_case() {
        return windows().map_or_else(linux, |system| Ok(Some(system)));
    }
    match linux() {
        Ok(Some(system)) => Ok(Some(system)),
        other => windows().map_or(other, |system| Ok(Some(system))),
    }
}

/// The volume that holds the system, if any does, and of which kind it is. Of which volume that cannot be told, it is a
/// gap: rules of a system's paths would reach nothing there.
fn find_root(volumes: &mut [Volume], wanted: Option<&str>) -> Result<Option<(usize, Family)>> {
    if let Some(wanted) = wanted {
        let named = |v: &Volume| {
            v.id == wanted
                || v.id.strip_prefix('@') == Some(wanted)
                || [&v.uuid, &v.label].iter().any(|name| name.as_deref() == Some(wanted))
                || v.device_names.iter().any(|name| name == wanted)
        };
        let found = volumes.iter().position(|v| v.fs.is_some() && named(v));
        let family = |index: usize| match recognise(&volumes[index]) {
            Ok(Some((family, _))) => family,
            _ => Family::Linux,
        };
        return found.map(|index| Some((index, family(index)))).ok_or_else(|| {
            let known: Vec<_> = volumes.iter().filter(|v| v.fs.is_some()).map(|v| v.id.as_str()).collect();
            Error::Policy(format!("--root {wanted}: no readable volume has this id; known are {}", known.join(", ")))
        });
    }
    let mut found: Option<(usize, Family, String)> = None;
    let mut doubts = Vec::new();
    for (index, volume) in volumes.iter().enumerate() {
        let (family, system) = match recognise(volume) {
            Ok(Some(system)) => system,
            Ok(None) => continue,
            Err(error) => {
                doubts.push((index, format!("whether it holds a system cannot be told: {error}")));
                continue;
            }
        };
        if let Some((first, _, other)) = &found {
            return Err(Error::Policy(format!(
                "two systems in one target: {other} on {} and {system} on {}; choose one with --root {} or --root {}",
                volumes[*first].id, volume.id, volumes[*first].id, volume.id
            )));
        }
        found = Some((index, family, system));
    }
    for (index, why) in doubts {
        volumes[index].gaps.push(why);
    }
    Ok(found.map(|(index, family, _)| (index, family)))
}

/// The node at a path of one volume, each part as the volume finds its names, no links.
pub(crate) fn node_at(session: &mut dyn Session, path: &[&[u8]]) -> Result<Option<NodeId>> {
    let mut node = session.root();
    for part in path {
        match session.lookup(&node, part)? {
            Some(child) => node = child,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

#[cfg(test)]
pub(crate) use test_double::{test_machine, test_volume};

#[cfg(test)]
mod test_double {
    use std::sync::Arc;

    use super::*;
    use crate::fs::memory::MemoryFs;

    /// A volume in memory with this id, which is its UUID and its label too.
    pub(crate) fn test_volume(id: &str, fill: impl FnOnce(&mut MemoryFs)) -> Volume {
        let mut fs = MemoryFs::new(id, id);
        fill(&mut fs);
        Volume::alone(&format!("@{id}"), Arc::new(fs))
    }

    /// A machine of two volumes in memory, `root` and `data`.
    pub(crate) fn test_machine(root: impl FnOnce(&mut MemoryFs), data: impl FnOnce(&mut MemoryFs)) -> Machine {
        Machine::assemble(vec![test_volume("root", root), test_volume("data", data)], None).unwrap()
    }
}
