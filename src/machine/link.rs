//! Where a link leads, as the machine's own system would take it.
//!
//! Windows follows the substitute name: `\??\C:\Users` ([MS-FSCC] 2.1.2.4 and 2.1.2.5), a path of a drive, of a
//! volume by its GUID, from the root of the same volume, or from the folder that holds the link.

use super::{Family, Machine, Mount, resolve::parts};
use crate::fs::Metadata;

/// Where a link leads; parts stand last first.
pub(super) enum Target<'m> {
    /// From the directory that holds the link.
    Relative(Vec<Vec<u8>>),
    /// From the root that the path began at.
    Root(Vec<Vec<u8>>),
    /// From the root of this volume.
    Mount(&'m Mount, Vec<Vec<u8>>),
    /// Out of the image: a share, a device, a drive that is not there.
    Outside,
}

/// The target of a link; `None` for what this system does not follow.
pub(super) fn target<'m>(machine: &'m Machine, metadata: &Metadata, separator: u8) -> Option<Target<'m>> {
    if machine.os.family == Family::Windows {
        return metadata.windows.as_ref()?.substitute.as_deref().map(|name| by_substitute_name(machine, name));
    }
    let target = metadata.target.as_deref()?;
    let parts = parts(target, separator);
    Some(if target.first() == Some(&separator) { Target::Root(parts) } else { Target::Relative(parts) })
}

/// The mount of a drive, by its letter in either case.
pub(super) fn drive(machine: &Machine, letter: u8) -> Option<&Mount> {
    machine.mount_at(&[letter.to_ascii_uppercase(), b':', b'\\'])
}

fn by_substitute_name<'m>(machine: &'m Machine, name: &[u8]) -> Target<'m> {
    const DEVICE_PREFIXES: [&[u8]; 4] = [br"\??\", br"\\?\", br"\\.\", br"\DosDevices\"];
    let parts = |path: &[u8]| parts(path, b'\\');
    let strip = |prefix: &[u8]| {
        let (start, rest) = name.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(rest)
    };
    let device = DEVICE_PREFIXES.iter().find_map(|prefix| strip(prefix));
    match device.unwrap_or(name) {
        [letter, b':'] | [letter, b':', b'\\' | b'/', ..] => {
            let rest = device.unwrap_or(name).get(2..).unwrap_or_default();
            drive(machine, *letter).map_or(Target::Outside, |mount| Target::Mount(mount, parts(rest)))
        }
        path if device.is_some() => by_volume_guid(machine, path),
        [b'\\' | b'/', b'\\' | b'/', ..] => Target::Outside,
        [b'\\' | b'/', ..] => Target::Root(parts(name)),
        _ => Target::Relative(parts(name)),
    }
}

/// `Volume{GUID}\path`: the partition's GUID, or one that the mount manager gave to the volume.
fn by_volume_guid<'m>(machine: &'m Machine, path: &[u8]) -> Target<'m> {
    let end = path.iter().position(|byte| *byte == b'\\').unwrap_or(path.len());
    let (name, rest) = path.split_at_checked(end).unwrap_or((path, &[]));
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let guid = name.strip_prefix("volume{").and_then(|name| name.strip_suffix('}'));
    let found = machine.volumes.iter().position(|volume| {
        guid.is_some() && (volume.part_uuid.as_deref() == guid || volume.device_names.contains(&name))
    });
    let mount = machine.mounts.iter().find(|mount| Some(mount.volume) == found);
    mount.map_or(Target::Outside, |mount| Target::Mount(mount, parts(rest, b'\\')))
}
