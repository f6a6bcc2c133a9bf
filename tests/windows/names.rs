//! A Windows system in a directory of this host: the host tells case apart, the system does not.

use std::{collections::BTreeSet, path::Path};

use snapfim::manifest::Kind;

use crate::{
    hives,
    support::{FULL, Found, open, scan},
};

fn hive(name: &str) -> Vec<u8> {
    hives::all().into_iter().find(|(found, _)| *found == name).unwrap().1
}

/// A folder with these files.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, name) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, hive(name)).unwrap();
    }
    folder
}

fn scanned(folder: &Path, policy: &str) -> Found {
    scan(&open(folder.to_str().unwrap()), policy)
}

/// The root keys of the hives of users, and those of them of which something could not be read.
fn users(found: &Found) -> (BTreeSet<String>, BTreeSet<String>) {
    let roots = |kind| {
        let paths = found.of(kind).into_keys().map(|(path, _)| path).filter(|path| path.starts_with("HKU"));
        paths.map(|path| path.split('\\').take(2).collect::<Vec<_>>().join("\\")).collect()
    };
    (roots(Kind::Key), roots(Kind::Fault))
}

const BOB: &str = "bob.NTUSER.DAT";
const CONFIG: [(&str, &str); 5] = [
    ("Windows/System32/config/SYSTEM", "SYSTEM"),
    ("Windows/System32/config/SOFTWARE", "SOFTWARE"),
    ("Windows/System32/config/SAM", "SAM"),
    ("Windows/System32/config/SECURITY", "SECURITY"),
    ("Windows/System32/config/DEFAULT", "DEFAULT"),
];

#[test]
fn hives_and_logs_in_a_directory_are_found_in_any_spelling() {
    let folder = tree(
        &[
            &CONFIG[..],
            &[
                ("Windows/System32/config/system.log1", "SYSTEM.LOG1"),
                // ProfileList says `%systemroot%\system32\config\systemprofile`, and `%SystemDrive%\users\ALICE`.
                ("Windows/System32/config/systemprofile/ntuser.dat", BOB),
                ("Users/alice/ntuser.dat", "alice.NTUSER.DAT"),
                ("Users/alice/appdata/local/microsoft/windows/USRCLASS.DAT", "alice.UsrClass.dat"),
            ],
        ]
        .concat(),
    );
    let found = scanned(folder.path(), FULL);
    let (read, lost) = users(&found);
    let expected = [r"HKU\.DEFAULT", r"HKU\S-1-5-18", r"HKU\S-1-5-21-1-2-3-1001", r"HKU\S-1-5-21-1-2-3-1001_Classes"];
    assert_eq!(read.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(lost, BTreeSet::new());
    assert!(found.has_note(r"HKLM\SYSTEM: 1 transaction logs of the new form replayed"), "{:?}", found.notes);
    assert!(found.of(Kind::File).contains_key(&(r"C:\Users\alice\ntuser.dat".to_owned(), String::new())));
}

#[test]
fn a_windows_of_which_all_is_spelled_otherwise_is_a_windows() {
    let folder = tree(&CONFIG);
    std::fs::rename(folder.path().join("Windows"), folder.path().join("WINDOWS")).unwrap();
    let system32 = folder.path().join("WINDOWS/System32");
    std::fs::rename(system32.join("config/SOFTWARE"), system32.join("config/software")).unwrap();
    std::fs::rename(&system32, folder.path().join("WINDOWS/system32")).unwrap();
    let rule = "version = 1\n[[monitor]]\nname = 'r'\npaths = ['C:\\Windows\\System32\\config\\SOFTWARE']\n";
    let found = scanned(folder.path(), &format!("{rule}registry = ['HKLM\\SOFTWARE\\**']\n"));
    let key = (r"HKLM\SOFTWARE\Microsoft".to_owned(), String::new());
    assert!(found.of(Kind::Key).contains_key(&key));
    let file = (r"C:\WINDOWS\system32\config\software".to_owned(), String::new());
    assert!(found.of(Kind::File).contains_key(&file), "spelled as on disk");
    assert!(!found.has_note("monitored by"), "{:?}", found.notes);
}

#[test]
fn of_names_that_are_one_to_windows_the_exact_one_is_read_and_the_other_is_noted() {
    let names = |first, second| [(first, BOB), (second, "DEFAULT")];
    let folder = tree(&[&CONFIG[..], &names("Users/alice/NTUSER.DAT", "Users/alice/ntuser.dat")].concat());
    let found = scanned(folder.path(), FULL);
    let run = r"HKU\S-1-5-21-1-2-3-1001\Software\Microsoft\Windows\CurrentVersion\Run".to_owned();
    assert!(found.of(Kind::Key).contains_key(&(run.clone(), String::new())), "NTUSER.DAT is");
    assert!(found.has_note("NTUSER.DAT was taken"), "{:?}", found.notes);
    let folder = tree(&[&CONFIG[..], &names("Users/alice/NtUser.dat", "Users/alice/ntuser.dat")].concat());
    let found = scanned(folder.path(), FULL);
    assert!(found.of(Kind::Key).contains_key(&(run, String::new())), "the first is");
    assert!(found.has_note("NtUser.dat was taken"), "{:?}", found.notes);
}

#[test]
fn a_link_called_windows_makes_no_windows_of_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.path().join("windows")).unwrap();
    assert_eq!(open(folder.path().to_str().unwrap()).machine.os.family.as_str(), "none");
}
