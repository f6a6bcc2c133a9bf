//! What is said about a policy, and about what cannot be done.

use std::fs::{self, File};

use crate::support::{Folder, fixture, snapfim};

#[test]
fn a_key_as_the_log_spells_it_is_explained_for_the_current_control_set_too() {
    let explain = |path: &str| snapfim(["policy", "explain", path, "--profile", "extended"]).exits(0);
    explain(r"HKLM\SYSTEM\CurrentControlSet\Services\x").prints("Services\\x: monitored by");
    let run = explain(r"HKLM\SYSTEM\ControlSet001\Services\x").prints("not monitored");
    run.prints("unless its control set is the current one").prints("ControlSet001 may be").prints("Then: monitored by");
    let plain = explain(r"HKLM\SYSTEM\ControlSet001\Nothing").prints("no rule reaches it");
    assert!(!plain.out.contains("unless"), "{}", plain.out);
    assert!(!explain(r"HKLM\SYSTEM\Setup").out.contains("unless"));
}

#[test]
fn a_file_of_an_image_of_which_nothing_can_be_read_is_not_called_missing() {
    let folder = Folder::new();
    let image = folder.path("locked.raw");
    let packed = File::open(fixture("../crypt/luks1.zst")).unwrap();
    fs::write(&image, zstd::decode_all(packed).unwrap()).unwrap();
    let run = snapfim(["cat", image.to_str().unwrap(), "/etc/passwd"]).exits(65).says("nothing of it can be read");
    assert!(!run.err.contains("no such file"), "{}", run.err);
}

#[test]
fn a_dry_run_is_ndjson_where_that_is_asked_for() {
    let folder = Folder::new();
    let (disk, tree) = (folder.disk("day0.raw", 0), folder.path("tree"));
    fs::create_dir(&tree).unwrap();
    let [disk, tree] = [&disk, &tree].map(|path| path.to_str().unwrap());
    let dry = ["scan", disk, tree, "--state", "s", "--dry-run", "--format"];
    let rows = snapfim(dry.iter().chain(&["ndjson"])).exits(0).json();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0]["target"].as_str(), rows[0]["os"]["host"].as_str()), (Some(disk), Some("deb-web01")));
    let paths = rows[0]["would_scan"].as_array().unwrap().iter().map(|row| row["path"].as_str().unwrap());
    assert_eq!(paths.collect::<Vec<_>>(), ["/", "/boot", "/boot/efi"]);
    let text = snapfim(dry.iter().chain(&["text"])).exits(0).prints("would scan /boot/efi (vfat on");
    text.prints("tree: no operating system found");
}
