//! Drives, name and users of the fixture's machine, and where paths lead on it.

use std::sync::Arc;

use snapfim::{
    fs::memory::MemoryFs,
    machine::{Family, Machine, Resolution, Resolver, Volume},
    manifest::{Attribute, Kind},
};

use crate::support::{FULL, disk, open, scan, scan_machine, table};

#[test]
fn drives_name_and_hives() {
    let (_folder, path) = disk();
    let machine = open(&path).machine;
    assert_eq!(machine.os.family, Family::Windows);
    assert_eq!(machine.os.name.as_deref(), Some("Windows 11 Pro 23H2 (build 22631.2861)"));
    assert_eq!(machine.os.host.as_deref(), Some("FIXTURE-PC"), "of the current control set");
    assert_eq!(machine.control_set.as_deref(), Some("ControlSet002"));
    let mounts: Vec<_> = machine.mounts.iter().map(|mount| (mount.path.as_slice(), mount.volume)).collect();
    assert_eq!(mounts, [(&b"C:\\"[..], 0), (b"E:\\", 1)]);
    assert!(machine.missing.is_empty(), "{:?}", machine.missing);
    assert!(machine.notes.iter().any(|note| note.contains("F:")), "a drive that is not there: {:?}", machine.notes);
    let bare = r"C:\Windows\system32\config\systemprofile: the profile of S-1-5-18 holds no NTUSER.DAT";
    assert!(machine.notes.iter().any(|note| note == bare), "a profile without a hive: {:?}", machine.notes);
    let alice = machine.accounts.sid("S-1-5-21-1-2-3-1001");
    assert_eq!(alice, Some(r"FIXTURE-PC\alice"), "by SAM, before the profile's folder");
}

fn resolved(machine: &Machine, path: &str) -> String {
    let mut sessions = machine.sessions();
    match Resolver::new(&mut sessions).resolve(path.as_bytes()).unwrap() {
        Resolution::Found(place) => String::from_utf8(place.path).unwrap(),
        Resolution::Missing(path) => format!("missing {}", String::from_utf8(path).unwrap()),
        Resolution::Loop => "loop".to_owned(),
    }
}

#[test]
fn paths_lead_where_windows_would_take_them() {
    let (_folder, path) = disk();
    let machine = open(&path).machine;
    for (spelled, leads_to) in [
        (r"c:\USERS\Alice\SETUP.exe", r"C:\Users\alice\setup.exe"),
        ("C:/windows/system32/CONFIG", r"C:\Windows\System32\Config"),
        (r"C:\progra~1\LONG name\Tool.EXE", r"C:\Program Files\Long Name\tool.exe"),
        (r"C:\documents and settings\alice\setup.exe", r"C:\Users\alice\setup.exe"),
        (r"C:\Users\default user\ntuser.dat", r"C:\Users\Bob\NTUSER.DAT"),
        (r"C:\Users\from root\drivers", r"C:\Windows\System32\Drivers"),
        (r"C:\Users\alice\up\explorer.exe", r"C:\Windows\explorer.exe"),
        (r"C:\Users\alice\data\REPORT.TXT", r"E:\Data\report.txt"),
        (r"e:\back\explorer.exe", r"C:\Windows\explorer.exe"),
        (r"C:\Users\alice\share\x", r"missing C:\Users\alice\share"),
        (r"C:\Users\alice\gone", r"missing C:\Users\alice\gone"),
        (r"C:\Users\alice\round", "loop"),
        (r"C:\..\..\Users\.\alice", r"C:\Users\alice"),
        (r"C:\Users\alice\setup.exe\x", r"missing C:\Users\alice\setup.exe\x"),
        (r"D:\x", r"missing D:\x"),
    ] {
        assert_eq!(resolved(&machine, spelled), leads_to, "{spelled}");
    }
}

#[test]
fn files_equal_ntfs_3g() {
    let (_folder, path) = disk();
    let found = scan(&open(&path), FULL);
    let mut files = std::collections::BTreeMap::new();
    for kind in [Kind::File, Kind::Dir, Kind::Symlink] {
        files.extend(found.of(kind));
    }
    let truth = table("tree.tsv");
    assert_eq!(truth.len(), files.len(), "as many files");
    for row in truth {
        let record = files.get(&(row[0].clone(), String::new())).unwrap_or_else(|| panic!("{} is missing", row[0]));
        if record.kind == Kind::File {
            assert_eq!(record.text(Attribute::Sha256), Some(row[2].as_str()), "{}", row[0]);
            assert_eq!(record.number(Attribute::Size), row[1].parse().ok(), "{}", row[0]);
        }
    }
    let streams = found.of(Kind::Stream);
    let zone = streams[&(r"C:\Users\alice\setup.exe".to_owned(), "Zone.Identifier".to_owned())];
    assert_eq!(zone.number(Attribute::Size), Some(26));
}

#[test]
fn a_difference_in_case_alone_is_no_link() {
    let (_folder, path) = disk();
    let found = scan(
        &open(&path),
        "version = 1\n[[monitor]]\nname = \"r\"\npaths = ['c:\\WINDOWS\\EXPLORER.EXE', 'C:\\documents and settings\\ALICE\\setup.exe']\n",
    );
    let files = found.of(Kind::File);
    let explorer = files[&(r"C:\Windows\explorer.exe".to_owned(), String::new())];
    assert_eq!(explorer.get(Attribute::As), None);
    let setup = files[&(r"C:\Users\alice\setup.exe".to_owned(), String::new())];
    assert!(setup.get(Attribute::As).is_some(), "a junction was followed: {setup:?}");
    assert_eq!(files.len(), 2);
}

/// A machine of one volume in memory whose partition is the first of an MBR disk with the signature 1.
pub(crate) fn in_memory(fill: impl FnOnce(&mut MemoryFs)) -> Machine {
    let mut fs = MemoryFs::new("id", "label");
    fill(&mut fs);
    let volume = Volume {
        content: "ntfs".to_owned(),
        part_uuid: Some("00000001-01".to_owned()),
        place: Some((0, 1)),
        offset: 1 << 20,
        start: Some((0, 1 << 20)),
        disk_id: Some("00000001".to_owned()),
        ..Volume::alone("@id", Arc::new(fs))
    };
    Machine::assemble(vec![volume], None).unwrap()
}

#[test]
fn amcache_is_a_hive_of_its_own_that_a_rule_can_ask_for() {
    let software = crate::hives::all().into_iter().find(|(name, _)| *name == "SOFTWARE").unwrap().1;
    let machine = in_memory(|fs| {
        fs.dir("/Windows/System32/config").file("/Windows/AppCompat/Programs/Amcache.hve", software);
    });
    let rule = "version = 1\n[[monitor]]\nname = \"r\"\nregistry = ['HKLM\\AMCACHE\\**']\n";
    let keys = scan_machine(&machine, rule).of(Kind::Key).into_keys().map(|(path, _)| path).collect::<Vec<_>>();
    assert!(keys.iter().any(|key| key == r"HKLM\Amcache\Microsoft"), "{keys:?}");
    let other = "version = 1\n[[monitor]]\nname = \"r\"\nregistry = ['HKLM\\SYSTEM']\n";
    assert!(scan_machine(&machine, other).of(Kind::Key).is_empty(), "nobody asked");
}

#[test]
fn hives_that_are_absent_or_broken_are_faults_and_the_files_are_still_read() {
    let machine = in_memory(|fs| {
        fs.file("/Windows/System32/config/SOFTWARE", "no hive").file("/Users/eve/NTUSER.DAT", "regf, but not really");
    });
    assert_eq!(machine.mounts[0].path, b"C:\\", "where \\Windows is");
    let found = scan_machine(&machine, FULL);
    let faults: Vec<_> = found.of(Kind::Fault).into_keys().map(|(path, _)| path).collect();
    assert_eq!(
        faults,
        [r"HKLM\SAM", r"HKLM\SECURITY", r"HKLM\SOFTWARE", r"HKLM\SYSTEM", "HKU", r"HKU\.DEFAULT", r"HKU\@Users\eve",]
    );
    assert!(found.of(Kind::File).contains_key(&(r"C:\Users\eve\NTUSER.DAT".to_owned(), String::new())));
}
