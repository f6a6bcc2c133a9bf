//! A Windows system: its drives, its name and version, its accounts, and the files of its registry.
//!
//! What the hives say is the guest's word: it names things and says where profiles are, and nothing that it leaves
//! out drops a file from a scan.

mod accounts;
mod drives;
mod profiles;

use super::{Family, HiveFile, Machine, Missing, Mount, hive, node_at};
use crate::{
    error::Result,
    fs::{FileSystem, Kind},
    registry::{self, Hive, KeyId, Room, value},
};

/// Where the system keeps its hives.
const CONFIG: [&[u8]; 3] = [b"Windows", b"System32", b"config"];

/// The hives there, and the paths of their root keys.
const SYSTEM_HIVES: [(&str, &str); 5] = [
    ("SYSTEM", r"HKLM\SYSTEM"),
    ("SOFTWARE", r"HKLM\SOFTWARE"),
    ("SAM", r"HKLM\SAM"),
    ("SECURITY", r"HKLM\SECURITY"),
    ("DEFAULT", r"HKU\.DEFAULT"),
];

/// Where the record of programs that ran is, which no Windows loads by itself.
const PROGRAMS: [&[u8]; 3] = [b"Windows", b"AppCompat", b"Programs"];

/// Where boot configuration is: on a BIOS machine's boot volume, and on an EFI system partition.
const BOOT_FOLDERS: [&[&[u8]]; 2] = [&[b"Boot"], &[b"EFI", b"Microsoft", b"Boot"]];

/// The registry's first build that calls itself Windows 10 and is Windows 11.
const WINDOWS_11: u32 = 22_000;

/// Whether a volume looks like the system volume of a Windows. Damage on the way to its hives does not make it a data
/// disk: then all its files would go by other names than the night before.
pub(super) fn recognise(fs: &dyn FileSystem) -> bool {
    let Ok(mut session) = fs.session() else { return false };
    match node_at(&mut *session, &CONFIG) {
        Ok(Some(config)) => session.metadata(&config).map_or(true, |config| config.kind == Some(Kind::Dir)),
        Ok(None) => false,
        Err(_) => matches!(node_at(&mut *session, &CONFIG[..1]), Ok(Some(_))),
    }
}

/// Reads the system's hives, each at most `cap` bytes, gives the drives their letters, and finds all other hives.
pub(super) fn assemble(machine: &mut Machine, root: usize, cap: usize) {
    machine.os.family = Family::Windows;
    for (name, mount) in SYSTEM_HIVES {
        system_hive(machine, root, name, mount);
    }
    let system = open(machine, r"HKLM\SYSTEM", cap);
    drives::place(machine, root, system.as_ref());
    if let Some(system) = &system {
        machine.control_set = noted(machine, r"HKLM\SYSTEM", hive::control_set(system).map(Some));
        machine.os.host = noted(machine, r"HKLM\SYSTEM", host_name(machine, system));
    }
    drop(system);
    let software = open(machine, r"HKLM\SOFTWARE", cap);
    if let Some(software) = &software {
        machine.os.name = noted(machine, r"HKLM\SOFTWARE", product(software));
    }
    let sam = open(machine, r"HKLM\SAM", cap);
    if let Some(sam) = &sam {
        accounts::name(machine, sam);
    }
    drop(sam);
    profiles::find(machine, root, software.as_ref());
    programs(machine, root);
    boot_configuration(machine, root);
}

/// Amcache, where there is one. It stands at a path of its own, so that a rule has to ask for it.
fn programs(machine: &mut Machine, root: usize) {
    let mount = r"HKLM\Amcache";
    let found = (|| -> Result<Option<HiveFile>> {
        let mut sessions = machine.sessions();
        let session = sessions.of(root)?;
        let Some(folder) = node_at(session, &PROGRAMS)? else { return Ok(None) };
        HiveFile::find(session, root, &folder, b"Amcache.hve", mount.into())
    })();
    match found {
        Ok(None) => {}
        Ok(Some(file)) => machine.hives.push(file),
        Err(error) => {
            let why = format!("its hive cannot be read: {error}");
            machine.missing.push(Missing { path: mount.into(), why, ..Missing::default() });
        }
    }
}

/// Notes where a system hive is; one that is not there leaves a hole in the registry.
fn system_hive(machine: &mut Machine, root: usize, name: &str, mount: &str) {
    let found = (|| -> Result<Option<HiveFile>> {
        let mut sessions = machine.sessions();
        let session = sessions.of(root)?;
        let Some(config) = node_at(session, &CONFIG)? else { return Ok(None) };
        HiveFile::find(session, root, &config, name.as_bytes(), mount.into())
    })();
    let why = match found {
        Ok(Some(file)) => {
            machine.hives.push(file);
            return;
        }
        Ok(None) => format!(r"the hive is not there: \Windows\System32\config\{name}"),
        Err(error) => format!("its hive cannot be read: {error}"),
    };
    machine.missing.push(Missing { path: mount.into(), why, ..Missing::default() });
}

/// A hive that was found before, for what it says about the machine.
fn open(machine: &mut Machine, mount: &str, cap: usize) -> Option<Hive> {
    let file = machine.hives.iter().find(|file| file.mount == mount.as_bytes())?.clone();
    let opened = file.open(&mut machine.sessions(), cap);
    noted(machine, mount, opened.map(|opened| Some(opened.hive)))
}

/// What a hive gave; when it could not be read, a note says so and the machine is taken to be without it.
fn noted<T>(machine: &mut Machine, mount: &str, result: Result<Option<T>>) -> Option<T> {
    result.unwrap_or_else(|error| {
        machine.notes.push(format!("{mount} could not be read for what it says of the machine: {error}"));
        None
    })
}

/// A value as text.
fn text(hive: &Hive, key: KeyId, name: &str) -> Result<Option<String>> {
    text_within(hive, key, name, &mut hive.room())
}

/// The same, while there is room in what is asked of one key after the other.
fn text_within(hive: &Hive, key: KeyId, name: &str, room: &mut Room) -> Result<Option<String>> {
    let Some(found) = hive.value_within(key, name, room)? else { return Ok(None) };
    let found = found.whole().map_err(registry::error)?;
    Ok(match value::render(found.kind, &found.data).text {
        value::Text::One(text) if !text.is_empty() => Some(text),
        _ => None,
    })
}

fn host_name(machine: &Machine, system: &Hive) -> Result<Option<String>> {
    let set = machine.control_set.as_deref().unwrap_or("ControlSet001");
    let places = [(r"Control\ComputerName\ComputerName", "ComputerName"), (r"Services\Tcpip\Parameters", "Hostname")];
    for (key, value) in places {
        if let Some(key) = system.lookup(&format!(r"{set}\{key}"))?
            && let Some(name) = text(system, key, value)?
        {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Name, version and build: `Windows 11 Pro 23H2 (build 22631.2861)`.
fn product(software: &Hive) -> Result<Option<String>> {
    let Some(key) = software.lookup(r"Microsoft\Windows NT\CurrentVersion")? else { return Ok(None) };
    let value = |name: &str| text(software, key, name);
    let mut name = value("ProductName")?.unwrap_or_else(|| "Windows".to_owned());
    let build = match value("CurrentBuild")? {
        Some(build) => Some(build),
        None => value("CurrentBuildNumber")?,
    };
    let number = build.as_deref().and_then(|build| build.parse::<u32>().ok());
    if number.is_some_and(|number| number >= WINDOWS_11) && name.starts_with("Windows 10") {
        name = name.replacen("Windows 10", "Windows 11", 1);
    }
    for version in ["DisplayVersion", "ReleaseId", "CSDVersion"] {
        if let Some(version) = value(version)? {
            name = format!("{name} {version}");
            break;
        }
    }
    let revision = software.value(key, "UBR")?.and_then(|value| value.data.get(..4)?.try_into().ok());
    let revision = revision.map(|bytes| format!(".{}", u32::from_le_bytes(bytes))).unwrap_or_default();
    Ok(Some(build.map_or(name.clone(), |build| format!("{name} (build {build}{revision})"))))
}

/// The stores of the boot manager. Windows knows one; where there are several, the others are numbered on.
fn boot_configuration(machine: &mut Machine, root: usize) {
    let mut volumes: Vec<_> =
        (0..machine.volumes.len()).filter(|volume| machine.volumes[*volume].fs.is_some()).collect();
    volumes.sort_by_key(|volume| *volume != root);
    let mut number = 0;
    for (volume, folder) in volumes.iter().flat_map(|volume| BOOT_FOLDERS.map(|folder| (*volume, folder))) {
        let mount = format!(r"HKLM\BCD{number:08}");
        let found = (|| -> Result<Option<HiveFile>> {
            let mut sessions = machine.sessions();
            let session = sessions.of(volume)?;
            match node_at(session, folder)? {
                Some(folder) => HiveFile::find(session, volume, &folder, b"BCD", mount.clone().into_bytes()),
                None => Ok(None),
            }
        })();
        match found {
            Ok(None) => continue,
            Ok(Some(file)) => machine.hives.push(file),
            Err(error) => {
                let why = format!("the boot configuration of {} cannot be read: {error}", machine.volumes[volume].id);
                machine.missing.push(Missing { path: mount.into_bytes(), why, ..Missing::default() });
            }
        }
        number += 1;
    }
}

/// Puts a volume at a drive's letter, or says that it is there and hidden.
fn mount(machine: &mut Machine, letter: char, volume: usize) {
    let path = format!("{letter}:\\").into_bytes();
    if machine.volumes[volume].fs.is_some() {
        machine.mounts.push(Mount { path, volume, by_hand: false });
    } else {
        let volume = machine.volumes[volume].id.clone();
        let why = format!("drive {letter}: ({volume}) cannot be read");
        machine.missing.push(Missing { path, volume, why });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{
        fs::{FileSystem, memory::MemoryFs},
        machine::{Family, Volume, caseless, recognise},
    };

    #[test]
    fn folders_called_usr_and_bin_make_no_linux_of_a_windows() {
        let family = |paths: &[&str]| {
            let mut fs = MemoryFs::new("c", "c");
            paths.iter().for_each(|path| {
                fs.dir(path);
            });
            let fs = caseless(&(Arc::new(fs) as Arc<dyn FileSystem>));
            recognise(&Volume::alone("@c", fs)).unwrap().map(|(family, _)| family)
        };
        assert_eq!(family(&["Windows/System32/config", "usr", "bin", "etc"]), Some(Family::Windows));
        assert_eq!(family(&["usr", "bin"]), Some(Family::Linux));
        assert_eq!(family(&["Users"]), None);
    }
}
