//! A changed byte of a FAT volume that hides what is there: the listing says so.

use snapfim::fs::{Fat, FileSystem};

use crate::{
    fat_hostile::{Volume, one_fault},
    support::{image, walk},
};

const LONG: &str = "a long name with spaces and more than thirteen letters.text";

#[test]
fn a_directory_that_the_copy_of_the_table_continues() {
    let many = Volume::new().first_cluster("many");
    let second = Volume::new().next(many);
    let fault = one_fault(&Volume::new().link(second, 0xffff), Some("/many/"));
    let told = "the tables differ in what follows: nothing in the one that is in use, cluster";
    assert!(fault.starts_with("/many: ") && fault.contains(told), "{fault}");
    // Another mark for the end of a chain is no difference.
    let boot = Volume::new().first_cluster("EFI/BOOT");
    assert_eq!(Volume::new().next(boot) & 0xfff8, 0xfff8);
    assert_eq!(Volume::new().link(boot, 0xfff9).walk().all_faults(), [""; 0]);
}

#[test]
fn a_directory_that_begins_elsewhere() {
    let volume = Volume::new();
    let boot = volume.offset(volume.first_cluster("EFI/BOOT"));
    let fault = one_fault(&volume.put(boot + 26, &[9]), None);
    assert!(fault.starts_with("/EFI/BOOT: ") && fault.contains("does not begin with `.`"), "{fault}");
    // A cluster of zeros is a directory without entries but for that.
    let fault = one_fault(&Volume::new().put(boot, &[0; 1024]), Some("/EFI/BOOT/"));
    assert!(fault.starts_with("/EFI/BOOT: ") && fault.contains("does not begin with `.`"), "{fault}");
}

#[test]
fn a_directory_that_is_a_file_by_its_attributes() {
    let volume = Volume::new();
    let deep = volume.entry("deep");
    let fault = one_fault(&volume.put(deep + 11, &[0x20]), Some("/deep"));
    assert!(fault.starts_with(": ") && fault.contains("a file without bytes, where a directory is"), "{fault}");
}

#[test]
fn a_directory_whose_entry_is_marked_as_deleted_and_that_is_not_empty() {
    // Systems delete empty ones only.
    let volume = Volume::new();
    let deep = volume.entry("deep");
    let volume = volume.put(deep, &[0xe5]);
    let seen = volume.walk();
    assert!(!seen.entries.contains_key("/deep"));
    let faults = seen.all_faults();
    let told = "a directory that is not empty is marked as deleted";
    assert!(faults.len() == 1 && faults[0].starts_with(": ") && faults[0].contains(told), "{faults:?}");
    // One that was moved is where it was moved to, and one whose clusters are free was deleted.
    let grub = Volume::new().entry("EFI/debian/grub.cfg");
    let moved = volume.image.get(deep + 1, 31);
    let seen = Volume::new().put(deep, &[0xe5]).put(grub, b"D").put(grub + 1, &moved).walk();
    assert!(seen.all_faults().iter().all(|fault| !fault.contains(told)), "{:?}", seen.all_faults());
    let first = Volume::new().first_cluster("deep");
    let freed = Volume::new().put(deep, &[0xe5]).link(first, 0);
    assert_eq!(freed.walk().all_faults(), [""; 0]);
}

#[test]
fn an_entry_that_became_something_else() {
    let readme = Volume::new().entry("README.TXT");
    let long = Volume::new().entry(LONG);
    let cases: &[(u64, &[u8], &str, &str)] = &[
        (readme + 11, &[0x28], "README.TXT", "a volume label"),
        (readme, &[0], "README.TXT", "behind the mark"),
        (long, &[0xe5], LONG, "a long name, or a part of one"),
        (long - 32, &[0xe5], LONG, "a long name, or a part of one"),
        (long - 32, &[2], LONG, "a long name, or a part of one"),
        (long - 32 + 13, &[0], LONG, "a long name, or a part of one"),
        (long - 64, &[0xe5], LONG, "a long name, or a part of one"),
        (long - 32 + 3, &[0, 0], LONG, "a long name, or a part of one"),
    ];
    for (at, bytes, path, told) in cases {
        let seen = Volume::new().put(*at, bytes).walk();
        let faults = seen.all_faults();
        assert!(!seen.entries.contains_key(&format!("/{path}")), "{at:#x}");
        assert!(faults.iter().any(|fault| fault.starts_with(": ") && fault.contains(told)), "{at:#x}: {faults:?}");
    }
}

#[test]
fn the_last_entry_that_became_the_mark_which_ends_the_directory() {
    let volume = Volume::new();
    let end = (0..).map(|slot| volume.offset(volume.first_cluster("EFI/debian")) + 32 * slot);
    let end = end.clone().find(|&at| volume.image.get(at, 1) == [0]).unwrap();
    let seen = volume.put(end - 32, &[0]).walk();
    let faults = seen.all_faults();
    assert!(faults.iter().any(|fault| fault.starts_with("/EFI/debian: ") && fault.contains("the mark")), "{faults:?}");
}

#[test]
fn a_boot_sector_that_the_volume_contradicts() {
    // FAT12 and FAT16 have no copy of it.
    let cases: [(&str, u64, &[u8]); 9] = [
        ("fat16.raw", 14, &[3]),
        ("fat16.raw", 11, &[0, 4]),
        ("fat16.raw", 16, &[3]),
        ("fat16.raw", 17, &[0x10, 0]),
        ("fat16.raw", 22, &[0xff]),
        ("fat12.raw", 14, &[3]),
        ("fat12.raw", 16, &[3]),
        ("fat12.raw", 17, &[0x10, 0]),
        ("fat12.raw", 22, &[1]),
    ];
    for (name, at, bytes) in cases {
        let fat = Fat::open(image(name).put(at, bytes).shared()).unwrap();
        let gaps = &fat.info().gaps;
        assert!(
            gaps.iter().any(|gap| gap.contains("the boot sector may give another layout")),
            "{name} {at}: {gaps:?}"
        );
        let faults = walk(&fat).faults;
        assert!(faults.iter().any(|fault| fault.starts_with(": fat: root directory")), "{name} {at}: {faults:?}");
        let fat = Fat::open(image(name).shared()).unwrap();
        assert_eq!((fat.info().gaps.len(), walk(&fat).all_faults()), (0, Vec::new()), "{name}");
    }
}
