//! The mount table of a Linux system, see `fstab(5)`.

use super::Volume;

/// A line of `/etc/fstab` that mounts something of this machine's disks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What is mounted, as written: `UUID=…`, `/dev/sda1`.
    pub spec: String,
    /// Where.
    pub path: Vec<u8>,
    /// The filesystem type, as written.
    pub fs: String,
    /// Whether the system starts without it: `noauto` or `nofail`.
    pub optional: bool,
    /// Whether it is mounted by hand only: `noauto`, and no automount.
    pub by_hand: bool,
}

/// More lines than this are not read.
const LINE_CAP: usize = 4096;

/// Lines of more bytes are not read: Linux mounts at paths of less than 4096, each of which takes four where it is octal.
const LINE_BYTES: usize = 32 << 10;

/// What no disk of the machine holds: kernel filesystems, memory, the network.
const NOT_ON_DISK: &[&str] = &[
    "swap",
    "tmpfs",
    "ramfs",
    "proc",
    "sysfs",
    "devpts",
    "devtmpfs",
    "cgroup",
    "cgroup2",
    "debugfs",
    "tracefs",
    "securityfs",
    "pstore",
    "efivarfs",
    "hugetlbfs",
    "mqueue",
    "configfs",
    "fusectl",
    "bpf",
    "binfmt_misc",
    "autofs",
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "virtiofs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "davfs",
    "overlay",
    "aufs",
    "unionfs",
    "ignore",
];

/// Reads the table: the entries that name a volume, and notes about those that are not followed.
#[must_use]
pub fn parse(file: &[u8]) -> (Vec<Entry>, Vec<String>) {
    let (mut entries, mut notes) = (Vec::new(), Vec::new());
    let mut lines = file.split(|byte| *byte == b'\n');
    for (number, line) in lines.by_ref().take(LINE_CAP).enumerate() {
        if line.len() > LINE_BYTES {
            notes.push(format!("/etc/fstab: line {} of {} bytes is not read: too long", number + 1, line.len()));
            continue;
        }
        let mut fields = line.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty()).map(unescape);
        let (Some(spec), Some(path)) = (fields.next(), fields.next()) else { continue };
        let spec = String::from_utf8_lossy(&spec).into_owned();
        if spec.starts_with('#') || !path.starts_with(b"/") {
            continue;
        }
        let fs = fields.next().map(|field| String::from_utf8_lossy(&field).into_owned()).unwrap_or_default();
        let options = fields.next().map(|field| String::from_utf8_lossy(&field).into_owned()).unwrap_or_default();
        let has = |name: &str| options.split(',').any(|option| option == name);
        if has("bind") || has("rbind") || fs == "overlay" {
            notes.push(format!(
                "/etc/fstab: {spec} on {} is a bind or overlay mount and is not followed",
                String::from_utf8_lossy(&path)
            ));
            continue;
        }
        // `nas:/export` and `//nas/share`; a label may look like that, too.
        let is_remote = spec.starts_with("//") || (spec.contains(":/") && !is_local(&spec));
        if NOT_ON_DISK.contains(&fs.as_str()) || is_remote {
            continue;
        }
        let (optional, by_hand) = (has("noauto") || has("nofail"), has("noauto") && !has("x-systemd.automount"));
        entries.push(Entry { spec, path, fs, optional, by_hand });
    }
    if lines.next().is_some() {
        notes.push(format!("/etc/fstab: only the first {LINE_CAP} lines were read"));
    }
    (entries, notes)
}

/// Whether this is how volumes of this machine are named.
fn is_local(spec: &str) -> bool {
    ["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "/dev/"].iter().any(|prefix| spec.starts_with(prefix))
}

/// `\040` and its like, three octal digits, stand for a byte.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| *byte == b'\\').and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(text, 8).ok()
        });
        match (octal, tail.get(3..)) {
            (Some(byte), Some(tail)) => {
                out.push(byte);
                rest = tail;
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}

/// The first volume that an entry names.
#[must_use]
pub fn find(spec: &str, volumes: &[Volume]) -> Option<usize> {
    find_all(spec, volumes).first().copied()
}

/// The volumes that an entry names: more than one where some are copies of another.
#[must_use]
pub fn find_all(spec: &str, volumes: &[Volume]) -> Vec<usize> {
    let unquoted = |value: &str| value.trim_matches('"').to_owned();
    let by = |test: &dyn Fn(&Volume) -> bool| -> Vec<usize> {
        volumes.iter().enumerate().filter(|(_, volume)| test(volume)).map(|(at, _)| at).collect()
    };
    let same = |have: &Option<String>, want: &str| have.as_deref().is_some_and(|have| have.eq_ignore_ascii_case(want));
    let exact = |have: &Option<String>, want: &str| have.as_deref() == Some(want);
    if let Some((key, value)) = spec.split_once('=') {
        let value = unquoted(value);
        return match key {
            "UUID" => by(&|v| same(&v.uuid, &value)),
            "LABEL" => by(&|v| exact(&v.label, &value)),
            "PARTUUID" => by(&|v| same(&v.part_uuid, &value)),
            "PARTLABEL" => by(&|v| exact(&v.part_label, &value)),
            _ => Vec::new(),
        };
    }
    let Some(device) = spec.strip_prefix("/dev/") else { return Vec::new() };
    let by_name = || by(&|v| v.device_names.iter().any(|name| name == device));
    if let Some((folder, name)) = device.strip_prefix("disk/").and_then(|rest| rest.split_once('/')) {
        let name = udev_unescape(name);
        return match folder {
            "by-uuid" => by(&|v| same(&v.uuid, &name)),
            "by-label" => by(&|v| exact(&v.label, &name)),
            "by-partuuid" => by(&|v| same(&v.part_uuid, &name)),
            "by-partlabel" => by(&|v| exact(&v.part_label, &name)),
            _ => by_name(),
        };
    }
    let named = by_name();
    match device_place(device) {
        Some(_) if !named.is_empty() => named,
        Some((disk, Some(number))) => by(&|v| v.place == Some((disk, number))),
        // A filesystem on a disk without partitions.
        Some((disk, None)) => by(&|v| v.place.is_none() && v.start == Some((disk, 0))),
        None => named,
    }
}

/// udev writes special characters of a name as `\x20`.
fn udev_unescape(name: &str) -> String {
    let mut out = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let hex = tail.strip_prefix(b"x").filter(|_| *byte == b'\\').and_then(|tail| {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, tail.get(2..)?))
        });
        let (byte, tail) = hex.unwrap_or((*byte, tail));
        out.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Disk (from 0) and partition number of a kernel device name: `sda1`, `vdb2`, `xvda1`, `nvme0n1p3`, `mmcblk0p1`; of
/// `sdb` or `nvme1n1` no number, it is the whole disk.
fn device_place(device: &str) -> Option<(usize, Option<u32>)> {
    let number = |digits: &str| digits.parse().ok().map(Some);
    for prefix in ["xvd", "sd", "vd", "hd"] {
        if let Some(rest) = device.strip_prefix(prefix) {
            let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (letters, digits) = rest.split_at(digits);
            let disk = match letters.as_bytes() {
                [one] => one.checked_sub(b'a').filter(|n| *n < 26)?,
                _ => return None,
            };
            return Some((usize::from(disk), if digits.is_empty() { None } else { number(digits)? }));
        }
    }
    let (disk, rest) = match device.strip_prefix("nvme") {
        Some(rest) => rest.split_once("n1")?,
        None => {
            let rest = device.strip_prefix("mmcblk")?;
            rest.split_at(rest.find('p').unwrap_or(rest.len()))
        }
    };
    let partition = if rest.is_empty() { None } else { number(rest.strip_prefix('p')?)? };
    Some((disk.parse().ok()?, partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_mount_a_volume_are_entries_and_others_are_not() {
        let table = b"# comment\nUUID=ab-1 / ext4 errors=remount-ro 0 1\n\nLABEL=my\\040data /srv/my\\040data xfs nofail\n\
            /dev/sda2 none swap sw 0 0\ntmpfs /tmp tmpfs defaults\nnas:/export /mnt nfs defaults\nnas:/x /y auto\nLABEL=a:/b /c ext4\n/srv /var/x none bind\n";
        let (entries, notes) = parse(table);
        let paths: Vec<_> = entries.iter().map(|e| (e.spec.as_str(), e.path.as_slice(), e.optional)).collect();
        let expected = [
            ("UUID=ab-1", &b"/"[..], false),
            ("LABEL=my data", &b"/srv/my data"[..], true),
            ("LABEL=a:/b", &b"/c"[..], false),
        ];
        assert_eq!(paths, expected);
        assert_eq!(notes.len(), 1);
    }

    /// The path of a mount point stands in the first line of a manifest, which is read back.
    #[test]
    fn a_line_that_is_too_long_is_noted_and_hides_no_other() {
        let table = format!("LABEL=a /{} ext4\nLABEL=b /b ext4\n", "\u{1}".repeat(4_000_000));
        let (entries, notes) = parse(table.as_bytes());
        assert_eq!(entries.iter().map(|entry| entry.path.as_slice()).collect::<Vec<_>>(), [b"/b"]);
        assert_eq!(notes, ["/etc/fstab: line 1 of 4000014 bytes is not read: too long"]);
    }

    #[test]
    fn device_names_are_disks_and_partitions() {
        for (device, place) in [
            ("sda1", Some((0, Some(1)))),
            ("vdb12", Some((1, Some(12)))),
            ("xvdc3", Some((2, Some(3)))),
            ("nvme1n1p2", Some((1, Some(2)))),
            ("mmcblk0p1", Some((0, Some(1)))),
            ("sdb", Some((1, None))),
            ("nvme2n1", Some((2, None))),
            ("mmcblk1", Some((1, None))),
            ("sr0", None),
            ("sd1", None),
            ("sda1x", None),
            ("nvme0n1x", None),
            ("nvme0n12", None),
        ] {
            assert_eq!(device_place(device), place, "{device}");
        }
        assert_eq!(udev_unescape(r"EFI\x20System"), "EFI System");
    }
}
