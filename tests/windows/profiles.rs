//! Where the hives of a user lie: behind links, and those of mandatory profiles.

use std::{collections::BTreeSet, sync::Arc};

use snapfim::{
    fs::memory::MemoryFs,
    machine::{Machine, Volume},
    manifest::Kind,
    target::{self, Options},
};

use crate::{
    hives,
    support::{FULL, Found, scan_machine},
};

fn hive(name: &str) -> Vec<u8> {
    hives::all().into_iter().find(|(found, _)| *found == name).unwrap().1
}

/// A machine with the profile folder of alice, which ProfileList names.
fn profile(fill: impl FnOnce(&mut MemoryFs)) -> Found {
    let mut fs = MemoryFs::new("id", "label");
    fs.dir("/Users/alice");
    for name in ["SYSTEM", "SOFTWARE", "SAM", "SECURITY", "DEFAULT"] {
        fs.file(&format!("/Windows/System32/config/{name}"), hive(name));
    }
    fill(&mut fs);
    scan_machine(&Machine::assemble(vec![Volume::alone("@id", Arc::new(fs))], None).unwrap(), FULL)
}

/// What of alice's registry is there, or is lost.
fn paths(found: &Found, kind: Kind) -> BTreeSet<String> {
    let paths = found.of(kind).into_keys().map(|(path, _)| path);
    paths.filter_map(|path| Some(path.strip_prefix(r"HKU\S-1-5-21-1-2-3-1001")?.to_owned())).collect()
}

const ALICE: &str = "alice.NTUSER.DAT";
const CLASSES: &str = "alice.UsrClass.dat";

#[test]
fn the_classes_of_a_user_are_found_behind_a_junction() {
    for (link, target, moved) in [
        ("/Users/alice/AppData", r"\??\C:\redir", "/redir/Local/Microsoft/Windows/UsrClass.dat"),
        ("/Users/alice/AppData/Local/Microsoft", r"..\..\redir", "/Users/alice/redir/Windows/UsrClass.dat"),
    ] {
        let found = profile(|fs| {
            fs.file("/Users/alice/NTUSER.DAT", hive(ALICE)).junction(link, target).file(moved, hive(CLASSES));
        });
        assert!(paths(&found, Kind::Key).contains(r"_Classes\CLSID"), "{link}");
        assert_eq!(paths(&found, Kind::Fault), BTreeSet::new(), "{link}");
    }
}

#[test]
fn the_classes_of_a_user_behind_a_link_that_leads_away_are_a_fault_and_not_gone() {
    let away = |fill: fn(&mut MemoryFs) -> &mut MemoryFs| {
        profile(|fs| {
            fill(fs.file("/Users/alice/NTUSER.DAT", hive(ALICE)));
        })
    };
    let share = away(|fs| fs.junction("/Users/alice/AppData", r"\??\UNC\server\share"));
    // As ntfs-3g mounts a junction.
    let mounted = away(|fs| fs.symlink("/Users/alice/AppData/Local", "/mnt/redir"));
    for found in [share, mounted] {
        assert_eq!(paths(&found, Kind::Fault), BTreeSet::from(["_Classes".to_owned()]));
    }
    let old = away(|fs| fs.dir("/Users/alice/AppData/Local").symlink("/Users/alice/Local Settings", "/mnt/x"));
    assert_eq!(paths(&old, Kind::Fault), BTreeSet::new(), "there is no such hive");
}

#[test]
fn a_folder_of_the_new_name_hides_no_classes_at_the_old_place() {
    let old = "/Users/alice/Local Settings/Application Data/Microsoft/Windows/UsrClass.dat";
    for planted in ["/Users/alice/AppData/x", "/Users/alice/AppData", "/Users/alice/AppData/Local/Microsoft/Windows/x"]
    {
        let found = profile(|fs| {
            fs.file("/Users/alice/NTUSER.DAT", hive(ALICE)).file(old, hive(CLASSES)).file(planted, "x");
        });
        assert!(paths(&found, Kind::Key).contains(r"_Classes\CLSID"), "{planted}");
    }
}

#[test]
fn the_hive_of_a_mandatory_profile_is_that_of_the_user() {
    let run = r"\Software\Microsoft\Windows\CurrentVersion\Run";
    let found = profile(|fs| {
        fs.file("/Users/alice/ntuser.man", hive(ALICE));
    });
    assert!(paths(&found, Kind::Key).contains(run));
    // Windows loads NTUSER.MAN where there are both.
    let found = profile(|fs| {
        fs.file("/Users/alice/NTUSER.DAT", hive("DEFAULT")).file("/Users/alice/NTUSER.MAN", hive(ALICE));
    });
    assert!(paths(&found, Kind::Key).contains(run));
    assert!(!paths(&found, Kind::Key).contains(r"\Control Panel"));
    assert!(found.has_note(r"C:\Users\alice: a mandatory profile"), "{:?}", found.notes);
}

#[test]
fn the_list_of_profiles_may_be_in_a_hive_as_long_as_the_flag_allows() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("Windows/System32/config");
    std::fs::create_dir_all(&config).unwrap();
    // No hive, which it takes to be read for.
    let software = std::fs::File::create(config.join("SOFTWARE")).unwrap();
    software.set_len((512 << 20) + 1).unwrap();
    let notes = |hive_bytes| {
        let options = Options { hive_bytes, ..Options::default() };
        target::open(folder.path().as_os_str(), &options).unwrap().machine.notes.join("\n")
    };
    assert!(notes(0).contains("hive and logs of more than 536870912 bytes"));
    assert!(!notes((512 << 20) + 1).contains("hive and logs of more than"));
}
