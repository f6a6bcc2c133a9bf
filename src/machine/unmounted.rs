//! Volumes of a Linux system that its mount table leaves out: a unit of systemd, a generator of one, an automounter or a
//! script may mount them.

use super::{Family, Machine, Volume, recognise};

/// Partition types whose place, where the system mounts them, is known: of the boot loader's, see the Discoverable
/// Partitions Specification; nobody mounts the recovery tools of a Windows.
const PLACES: [(&str, &[&str]); 6] = [
    ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", LOADER),
    ("ef", LOADER),
    ("bc13c2ff-59e6-4262-a352-b275fd6f7172", &["/boot"]),
    ("ea", &["/boot"]),
    ("de94bba4-06d1-4d40-a16a-bfd50179d6ac", &[]),
    ("27", &[]),
];
const LOADER: &[&str] = &["/efi", "/boot", "/boot/efi"];

/// Of the rest, anything may lie on it.
const ANYWHERE: &[&str] = &["/"];

impl Machine {
    /// The volumes that can be read and that the mount table of a Linux system leaves out, each with the places where
    /// the system may mount it. Copies of what is mounted are none of them (snapshots), nor are other systems.
    pub fn unmounted(&self) -> impl Iterator<Item = (usize, &Volume, &'static [&'static str])> {
        let is_placed = |path: &[u8]| !path.starts_with(b"@");
        let mounts = self.mounts.iter().filter(move |mount| self.os.family == Family::Linux && !is_placed(&mount.path));
        let found = mounts.filter_map(|mount| Some((mount.volume, self.volumes.get(mount.volume)?)));
        let is_copy = move |volume: &Volume| {
            let mut placed = self.mounts.iter().filter(|mount| is_placed(&mount.path));
            volume.uuid.is_some() && placed.any(|mount| self.volumes[mount.volume].uuid == volume.uuid)
        };
        let is_alone = move |volume: &Volume| !is_copy(volume) && !matches!(recognise(volume), Ok(Some(_)));
        found.filter(move |(_, volume)| is_alone(volume)).map(|(at, volume)| {
            let known = PLACES.iter().find(|(kind, _)| volume.part_kind.as_deref() == Some(*kind));
            (at, volume, known.map_or(ANYWHERE, |(_, places)| *places))
        })
    }
}
