//! Drive letters, from `SYSTEM\MountedDevices`.
//!
//! Values `\DosDevices\X:` and `\??\Volume{GUID}` hold what the mount manager knows a volume by: of an MBR disk its
//! signature (32 bits) and the partition's offset in bytes (64 bits, both little-endian), of a GPT disk
//! `DMIO:ID:` and the partition's GUID; of removable media a device's path, which says nothing here.

use std::ops::ControlFlow;

use super::mount;
use crate::{
    error::{Fault, Result},
    guid::{given, guid},
    machine::Machine,
    registry::{self, Hive, Value},
};

const LAYER: &str = "registry";
const KEY: &str = "MountedDevices";
/// Values of `MountedDevices` that are looked at.
const DEVICE_CAP: usize = 4096;
/// Bytes that say which volume of an MBR disk it is: no data is shorter.
const MBR_LEN: usize = 12;

/// A volume as the mount manager knows it.
enum Device {
    Gpt(String),
    Mbr { signature: String, offset: u64 },
}

impl Device {
    /// The volume that a value's data tells of, if it is one of a disk.
    fn parse(data: &[u8]) -> Result<Option<Self>, Fault> {
        let short = || Fault::new(LAYER, KEY, format!("a volume expected, found {} bytes", data.len()));
        match data.strip_prefix(b"DMIO:ID:") {
            Some(id) => id.try_into().map(|id| given(id).map(|id| Self::Gpt(guid(id)))).map_err(|_| short()),
            None if data.len() < MBR_LEN => Err(short()),
            None => Ok(Self::mbr(data)),
        }
    }

    fn mbr(data: &[u8]) -> Option<Self> {
        let (signature, offset) = data.split_at_checked(4)?;
        let signature = u32::from_le_bytes(signature.try_into().ok()?);
        let offset = u64::from_le_bytes(offset.try_into().ok()?);
        Some(Self::Mbr { signature: format!("{signature:08x}"), offset })
    }

    fn find(&self, machine: &Machine) -> Option<usize> {
        machine.volumes.iter().position(|volume| match self {
            Self::Gpt(id) => volume.part_uuid.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(id)),
            Self::Mbr { signature, offset } => {
                volume.disk_id.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(signature))
                    && volume.offset == *offset
                    && volume.place.is_some()
            }
        })
    }
}

/// Gives every volume that has one its letter; the system's volume is `C:` where nothing says otherwise.
pub(super) fn place(machine: &mut Machine, root: usize, system: Option<&Hive>) {
    let mut letters = Vec::new();
    let unread = match system.map(|system| devices(machine, system, &mut letters)) {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(format!(r"HKLM\SYSTEM\MountedDevices could not be read: {error}")),
        None => Some(r"HKLM\SYSTEM could not be read, which says which volume has which letter".to_owned()),
    };
    machine.notes.extend(unread.clone());
    // What another letter hides is not deleted.
    machine.unplaced = unread;
    letters.sort_unstable();
    letters.dedup();
    let mut drives: Vec<(char, usize)> = Vec::new();
    for (letter, volume) in letters {
        if drives.iter().any(|(known, of)| *known == letter || *of == volume) {
            let id = &machine.volumes[volume].id;
            machine.notes.push(format!("drive {letter}: of {id} is left out: letter or volume is taken"));
        } else {
            drives.push((letter, volume));
        }
    }
    if !drives.iter().any(|(_, volume)| *volume == root) {
        let free = ('C'..='Z').chain('A'..='B').find(|letter| drives.iter().all(|(taken, _)| taken != letter));
        drives.push((free.unwrap_or('C'), root));
        drives.sort_unstable();
    }
    for (letter, volume) in drives {
        mount(machine, letter, volume);
    }
}

/// Collects letters with their volumes, and the mount manager's names of volumes.
fn devices(machine: &mut Machine, system: &Hive, letters: &mut Vec<(char, usize)>) -> Result<()> {
    let Some(key) = system.lookup(KEY)? else { return Ok(()) };
    let (mut seen, mut absent, mut damage) = (0, Vec::new(), None);
    system.values(key, &mut |value| {
        seen += 1;
        if seen > DEVICE_CAP {
            damage = Some(Fault::new(LAYER, KEY, format!("more than {DEVICE_CAP} values")));
            return ControlFlow::Break(());
        }
        // Of what is neither a letter nor a volume, by a name that is whole, nothing is learned.
        let is_other = |value: &Value<'_>| {
            !value.name_is_cut && ![&br"\DosDevices\"[..], br"\??\"].iter().any(|start| value.name.starts_with(start))
        };
        if value.as_ref().is_ok_and(is_other) {
            return ControlFlow::Continue(());
        }
        let parsed = value.and_then(Value::whole).and_then(|value| Ok((Device::parse(&value.data)?, value)));
        let (device, value) = match parsed {
            Ok((Some(device), value)) => (device, value),
            Ok((None, _)) => return ControlFlow::Continue(()),
            Err(fault) => {
                damage = Some(fault);
                return ControlFlow::Continue(());
            }
        };
        let volume = device.find(machine);
        let name = String::from_utf8_lossy(&value.name);
        match (name.strip_prefix(r"\DosDevices\").map(str::as_bytes), volume) {
            (Some([letter, b':']), Some(volume)) if letter.is_ascii_alphabetic() => {
                letters.push((char::from(letter.to_ascii_uppercase()), volume));
            }
            (Some(drive), None) => absent.push(String::from_utf8_lossy(drive).into_owned()),
            (None, Some(volume)) => {
                let name = name.strip_prefix(r"\??\").map(str::to_ascii_lowercase);
                machine.volumes[volume].device_names.extend(name);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    if !absent.is_empty() {
        absent.sort_unstable();
        let drives = absent.join(", ");
        machine.notes.push(format!(r"HKLM\SYSTEM\MountedDevices names drives of no volume of the target: {drives}"));
    }
    damage.map_or(Ok(()), |fault| Err(registry::error(fault)))
}

#[cfg(test)]
mod tests {
    use crate::machine::test_machine;

    #[test]
    fn letters_that_nobody_can_tell_are_said_so_that_what_moves_is_lost_and_not_deleted() {
        let machine = test_machine(
            |root| {
                root.dir("/Windows/System32/config");
            },
            |data| {
                data.file("/file", "x");
            },
        );
        let paths: Vec<_> = machine.mounts.iter().map(|mount| String::from_utf8_lossy(&mount.path)).collect();
        assert_eq!(paths, [r"C:\", "@data/"]);
        assert_eq!(
            machine.unplaced.as_deref(),
            Some(r"HKLM\SYSTEM could not be read, which says which volume has which letter")
        );
    }
}
