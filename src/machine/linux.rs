//! A Linux system: its mount table, its name, its accounts.

use super::{Accounts, Family, Machine, Missing, Mount, Resolution, Resolver, State, fstab, node_at, text};
use crate::{
    error::{Error, Result},
    fs::{FileSystem, Kind, Session, Stream, read_small},
};

/// A one-line name is not read past this many bytes.
const NAME_CAP: usize = 1 << 16;

/// What marks the root of a system: a mount table or a release file.
const MARKS: [&[&[u8]]; 3] = [&[b"etc", b"fstab"], &[b"etc", b"os-release"], &[b"usr", b"lib", b"os-release"]];

/// What system a volume holds, where it looks like the root of one: it has a mount table or a release file, or `/usr`
/// beside `/sbin` or `/bin`, whatever became of `/etc`. Damage on the way does not make it a data disk: then all its
/// files would go by other names than the night before.
///
/// # Errors
/// When the volume cannot be read far enough to tell.
pub(super) fn recognise(fs: &dyn FileSystem) -> Result<Option<String>> {
    let mut session = fs.session()?;
    let mut there = |path: &[&[u8]]| is_there(&mut *session, path);
    let marks: Vec<Result<bool>> = MARKS.into_iter().map(&mut there).collect();
    if !marks.iter().any(|mark| matches!(mark, Ok(true))) {
        let [usr, sbin, bin] = [b"usr".as_slice(), b"sbin", b"bin"].map(|name| there(&[name]));
        let is_system = matches!(usr, Ok(true)) && matches!((&sbin, &bin), (Ok(true), _) | (_, Ok(true)));
        let damaged = marks.into_iter().chain([usr, sbin, bin]).find_map(Result::err);
        match damaged {
            _ if is_system => {}
            Some(error) => return Err(error),
            None => return Ok(None),
        }
    }
    let host = node_at(&mut *session, &[b"etc", b"hostname"]).ok().flatten();
    let host = host.and_then(|node| read_small(&mut *session, &node, &Stream::Content, NAME_CAP).ok());
    Ok(Some(match host.as_deref().and_then(first_line) {
        Some(host) => format!("a Linux system that calls itself {}", host.escape_debug()),
        None => "a Linux system".to_owned(),
    }))
}

/// Whether something is at a path, of directories and no links.
fn is_there(session: &mut dyn Session, path: &[&[u8]]) -> Result<bool> {
    let mut node = session.root();
    for (depth, part) in path.iter().enumerate() {
        if depth > 0 && session.metadata(&node)?.kind != Some(Kind::Dir) {
            return Ok(false);
        }
        match session.lookup(&node, part)? {
            Some(child) => node = child,
            None => return Ok(false),
        }
    }
    Ok(true)
}

fn first_line(file: &[u8]) -> Option<String> {
    let lines = file.split(|byte| *byte == b'\n').map(|line| line.trim_ascii());
    let line = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with(b"#"))?;
    Some(String::from_utf8_lossy(line).into_owned())
}

/// Reads the mount table before anything else and places what it names, then asks the system who it is.
pub(super) fn assemble(machine: &mut Machine, root: usize) {
    machine.os.family = Family::Linux;
    machine.mounts.push(Mount { path: b"/".to_vec(), volume: root, by_hand: false });
    name_mappings(machine);
    let notes = machine.notes.len();
    let table = read(machine, b"/etc/fstab");
    machine.unplaced = machine.notes.get(notes).cloned();
    let (mut entries, notes) = fstab::parse(&table.unwrap_or_default());
    machine.notes.extend(notes);
    // What is mounted on `/usr` may hold the mount point of what is mounted on `/usr/local`.
    entries.sort_by_key(|entry| entry.path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).count());
    for entry in entries {
        place(machine, &entry, root);
    }
    machine.os.name = read(machine, b"/etc/os-release")
        .or_else(|| read(machine, b"/usr/lib/os-release"))
        .and_then(|file| pretty_name(&file));
    machine.os.host = read(machine, b"/etc/hostname").as_deref().and_then(first_line);
    let passwd = read(machine, b"/etc/passwd").unwrap_or_default();
    let group = read(machine, b"/etc/group").unwrap_or_default();
    machine.accounts = Accounts::parse(&passwd, &group);
}

/// A file of the system; when it cannot be read, a note says so and the machine is taken to be without it.
fn read(machine: &mut Machine, path: &[u8]) -> Option<Vec<u8>> {
    let result = {
        let mut sessions = machine.sessions();
        text::read(&mut Resolver::new(&mut sessions), path)
    };
    result.unwrap_or_else(|error: Error| {
        machine.notes.push(format!("{} could not be read: {error}", String::from_utf8_lossy(path)));
        None
    })
}

/// Of volumes that have one name, so many are told.
const COPIES_SHOWN: usize = 8;

fn place(machine: &mut Machine, entry: &fstab::Entry, root: usize) {
    let shown = String::from_utf8_lossy(&entry.path).into_owned();
    let all = fstab::find_all(&entry.spec, &machine.volumes);
    let found = all.first().copied();
    if entry.path.iter().all(|byte| *byte == b'/') {
        if found.is_some() && !all.contains(&root) {
            machine.notes.push(format!(
                "/etc/fstab mounts {} on /, but the system was found on {}",
                entry.spec, machine.volumes[root].id
            ));
        }
        return;
    }
    let resolved = {
        let mut sessions = machine.sessions();
        Resolver::new(&mut sessions).resolve(&entry.path)
    };
    let path = match resolved {
        Ok(Resolution::Found(place)) => place.path,
        _ => trimmed(&entry.path),
    };
    if machine.mount_at(&path).is_some() {
        machine.notes.push(format!("/etc/fstab mounts {} on {shown}, where something is mounted already", entry.spec));
        return;
    }
    if let [first, _, ..] = *all {
        // Which of them the system mounts is decided when it starts.
        let ids: Vec<_> = all.iter().take(COPIES_SHOWN).map(|at| machine.volumes[*at].id.as_str()).collect();
        machine.notes.push(format!(
            "/etc/fstab mounts {} on {shown}, and {} volumes have that name: {}; {} is taken to be the one",
            entry.spec,
            all.len(),
            ids.join(", "),
            machine.volumes[first].id
        ));
    }
    match found {
        Some(volume) if machine.mounts.iter().any(|mount| mount.volume == volume) => {
            machine.notes.push(format!("/etc/fstab mounts {} a second time, on {shown}; it is read once", entry.spec));
        }
        Some(volume) if machine.volumes[volume].fs.is_some() => {
            machine.mounts.push(Mount { path, volume, by_hand: entry.by_hand });
        }
        Some(volume) => {
            let reason = match &machine.volumes[volume].state {
                State::Gap(why) | State::Note(why) => why.clone(),
                State::Read => "it has no reader".to_owned(),
            };
            let volume = machine.volumes[volume].id.clone();
            let why = format!("{} ({volume}) cannot be read: {reason}", entry.spec);
            machine.missing.push(Missing { path, volume, why });
        }
        None if entry.optional => {
            machine
                .notes
                .push(format!("/etc/fstab: {} for {shown} is not among the volumes (noauto or nofail)", entry.spec));
        }
        None => {
            let why = format!("/etc/fstab mounts {} here, and no volume of the target has that name", entry.spec);
            machine.missing.push(Missing { path, why, ..Missing::default() });
        }
    }
}

/// More lines of `/etc/crypttab` are not read.
const MAPPINGS_CAP: usize = 1024;

/// Gives what was opened of the volumes in `crypttab(5)` the names that it is mapped to: the first field, of the volume
/// in the second. Of a volume that was not opened, itself: what is mounted by that name cannot be read.
fn name_mappings(machine: &mut Machine) {
    let Some(table) = read(machine, b"/etc/crypttab") else { return };
    let table = String::from_utf8_lossy(&table).into_owned();
    for line in table.lines().map(str::trim).filter(|line| !line.starts_with('#')).take(MAPPINGS_CAP) {
        let mut fields = line.split_ascii_whitespace();
        let (Some(name), Some(spec)) = (fields.next(), fields.next()) else { continue };
        let Some(closed) = fstab::find(spec, &machine.volumes) else { continue };
        let uuid = machine.volumes[closed].uuid.as_deref().unwrap_or_default();
        let opened = format!("mapper/luks-{}", uuid.to_ascii_lowercase());
        let is_opened = machine.volumes.iter().any(|volume| volume.device_names.contains(&opened));
        for (at, volume) in machine.volumes.iter_mut().enumerate() {
            let is_meant = if is_opened { volume.device_names.contains(&opened) } else { at == closed };
            if is_meant {
                volume.device_names.push(format!("mapper/{name}"));
            }
        }
    }
}

/// A path without doubled or trailing separators.
fn trimmed(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    out
}

/// `PRETTY_NAME`, else `NAME`, of a file in the form of `os-release(5)`.
fn pretty_name(file: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(file);
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
        let value = line.trim().trim_matches(|c| c == '"' || c == '\'');
        (!value.is_empty()).then(|| value.to_owned())
    };
    value("PRETTY_NAME").or_else(|| value("NAME"))
}

#[cfg(test)]
mod tests {
    use crate::machine::{Machine, Mount, test_machine, test_volume};

    fn mounted(machine: &Machine) -> Vec<(&[u8], usize)> {
        machine.mounts.iter().map(|Mount { path, volume, .. }| (path.as_slice(), *volume)).collect()
    }

    #[test]
    fn a_name_that_fills_a_file_is_cut() {
        let long = "\u{1}".repeat(4_000_000);
        let machine = test_machine(
            |root| {
                root.file("/etc/os-release", format!("NAME={long}\n")).file("/etc/hostname", long.clone());
            },
            |_| {},
        );
        for name in [&machine.os.name, &machine.os.host] {
            assert!(name.as_ref().is_some_and(|name| name.len() < 1_100 && name.ends_with('…')));
        }
    }

    #[test]
    fn crypttab_names_what_was_opened() {
        let mut machine = test_machine(
            |root| {
                root.file("/etc/os-release", "NAME=Debian\n");
                root.file("/etc/crypttab", "# c\nsrv_crypt UUID=DATA none luks\nbad\n");
            },
            |_| {},
        );
        let names = |machine: &super::Machine| machine.volumes[1].device_names.clone();
        assert_eq!(names(&machine), ["mapper/srv_crypt"], "what is mounted by that name cannot be read");
        machine.volumes[1].device_names = vec!["mapper/luks-data".to_owned()];
        super::name_mappings(&mut machine);
        assert_eq!(names(&machine), ["mapper/luks-data", "mapper/srv_crypt"]);
        assert_eq!(super::fstab::find("/dev/mapper/srv_crypt", &machine.volumes), Some(1));
    }

    #[test]
    fn volumes_are_placed_by_the_mount_table_and_the_rest_stands_by_its_id() {
        let machine = test_machine(
            |root| {
                root.file(
                    "/etc/fstab",
                    "UUID=root / ext4\nLABEL=data /srv/data ext4\nUUID=gone /var ext4\nUUID=usb /mnt ext4 nofail\n",
                );
                root.file("/usr/lib/os-release", "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
                root.symlink("/etc/os-release", "../usr/lib/os-release").file("/etc/hostname", "# c\nweb01\n");
                root.file("/etc/passwd", "root:x:0:0:::\n").dir("/srv/data");
            },
            |_| {},
        );
        assert_eq!(machine.os.name.as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(machine.os.host.as_deref(), Some("web01"));
        let mounts: Vec<_> =
            machine.mounts.iter().map(|m| (String::from_utf8_lossy(&m.path).into_owned(), m.volume)).collect();
        assert_eq!(mounts, [("/".to_owned(), 0), ("/srv/data".to_owned(), 1)]);
        assert_eq!(machine.missing.len(), 1, "only /var is missing, /mnt may be: {:?}", machine.missing);
        assert_eq!(machine.missing[0].path, b"/var");
        assert_eq!(machine.accounts.user(0), Some("root"));
    }

    #[test]
    fn a_filesystem_on_a_whole_disk_had_no_name() {
        let root = test_volume("root", |root| {
            root.file("/etc/os-release", "NAME=Debian\n").file("/etc/fstab", "/dev/vdb /data ext4\n/dev/vdc /x ext4\n");
        });
        let mut data = test_volume("data", |_| {});
        data.start = Some((1, 0));
        let machine = Machine::assemble(vec![root, data], None).unwrap();
        assert_eq!(mounted(&machine), [(b"/".as_slice(), 0), (b"/data", 1)]);
        assert_eq!(machine.missing.len(), 1, "{:?}", machine.missing);
    }

    #[test]
    fn copies_of_what_is_mounted_are_told() {
        let root = test_volume("root", |root| {
            root.file("/etc/os-release", "NAME=Debian\n")
                .file("/etc/fstab", "UUID=root / ext4\nUUID=data /data ext4\n");
        });
        let [data, mut copy] = ["data", "data"].map(|id| test_volume(id, |_| {}));
        copy.id = "@2".to_owned();
        let machine = Machine::assemble(vec![root, data, copy], None).unwrap();
        assert_eq!(mounted(&machine), [(b"/".as_slice(), 0), (b"/data", 1), (b"@2/", 2)]);
        let told = "/etc/fstab mounts UUID=data on /data, and 2 volumes have that name: @data, @2; @data is taken to be the \
                    one";
        assert!(machine.notes.iter().any(|note| note == told), "{:?}", machine.notes);
    }
}
