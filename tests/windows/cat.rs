//! Files out of a Windows disk, by every spelling of their paths, and what is said where there is none.

use std::process::{Command, Output};

use crate::support::disk;

fn cat(disk: &str, path: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_snapfim")).args(["cat", disk, path]).output().unwrap()
}

#[test]
fn a_windows_path_may_have_slashes_and_no_drive() {
    let (_folder, disk) = disk();
    let hosts = cat(&disk, r"C:\Windows\System32\Drivers\etc\hosts");
    assert_eq!((hosts.status.code(), hosts.stdout.len()), (Some(0), 20));
    for path in ["/Windows/System32/drivers/etc/hosts", r"/windows\system32\drivers/ETC/hosts"] {
        assert_eq!(cat(&disk, path).stdout, hosts.stdout, "{path}");
    }
    assert_eq!(cat(&disk, "/Users/alice/setup.exe:Zone.Identifier").stdout, b"[ZoneTransfer]\r\nZoneId=3\r\n");
    assert_eq!(cat(&disk, "/Data/report.txt").stdout, cat(&disk, r"E:\Data\report.txt").stdout, "any drive");
}

#[test]
fn what_is_no_file_is_named() {
    let (_folder, disk) = disk();
    for (path, says) in [
        (r"C:\Users", r"C:\Users: expected a file, found a directory"),
        ("/users", "/users: expected a file, found a directory"),
        (r"C:\Users\absent", r"C:\Users\absent: no such file in the target"),
        (r"C:\Users\alice\gone", r"C:\Users\alice\gone: it is a link to"),
        (r"C:\Users\alice\gone", "which does not exist in the target"),
        ("/Users/alice/share", "/Users/alice/share: it is a link to"),
        (r"C:\Users\alice\round", "links lead round in circles"),
        (
            r"C:\users\alice\setup.exe:nosuch",
            r"C:\users\alice\setup.exe:nosuch: no such stream in the file; it has Zone.Identifier",
        ),
        (r"C:\Windows\explorer.exe:nosuch", r"explorer.exe:nosuch: no such stream in the file; it has none"),
    ] {
        let output = cat(&disk, path);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(says) && said.lines().count() == 1, "{path}: {said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(65), 0), "{path}");
    }
}
