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
fn a_windows_path_is_explained_without_its_drive_and_with_a_stream() {
    let folder = Folder::new();
    let policy = folder.path("p.toml");
    let rules = [("one", r"C:\Windows\System32\kernel32.dll"), ("all", r"\Tools"), ("two", r"D:\data\")];
    let rules = rules.map(|(name, path)| format!("[[monitor]]\nname = '{name}'\npaths = ['{path}']\n"));
    fs::write(&policy, format!("version = 1\n{}", rules.concat())).unwrap();
    let explain = |path: &str| snapfim(["policy", "explain", path, "--policy", policy.to_str().unwrap()]).exits(0);
    explain(r"C:\Windows\System32\kernel32.dll:cfg").prints(r"kernel32.dll:cfg: monitored by one");
    explain(r"C:/windows\System32/KERNEL32.dll").prints("monitored by one");
    explain(r"C:\Windows\System32\kernel32.dll2:cfg").prints("not monitored: no rule reaches it");
    let run = explain(r"\Windows\System32\kernel32.dll").prints(r"C:\Windows\System32\kernel32.dll: monitored by one");
    assert!(!run.out.contains(r"D:\"), "{}", run.out);
    assert!(explain(r"\tools\x:s").out.starts_with(r"\tools\x:s: monitored by all"));
    assert!(explain(r"\nothing").out.starts_with(r"\nothing: not monitored: no rule reaches it"));
    explain(r"\data\").prints(r"D:\data: monitored by two");
}

#[test]
fn a_rule_that_names_a_stream_is_refused() {
    let folder = Folder::new();
    let policy = folder.path("p.toml");
    let check = |field: &str, path: &str| {
        let other = if field == "paths" { "" } else { "paths = ['/etc']\n" };
        let text = format!("version = 1\n[[monitor]]\nname = 'x'\n{other}{field} = ['{path}']\n");
        fs::write(&policy, text).unwrap();
        snapfim(["policy", "check", policy.to_str().unwrap()])
    };
    for path in [r"C:\Windows\x.dll:part19", r"\Windows\x.dll:*", r"D:/a:b/c"] {
        check("paths", path).exits(78).says("expected a name without \":\" (streams go with their file)");
        check("exclude", path).exits(78).says("p.toml:");
    }
    check("paths", "/var/lib/x:y").exits(0);
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

#[test]
fn all_monitored_paths_that_are_absent_stand_in_the_scan_record_and_the_text_counts_them() {
    let folder = Folder::new();
    let (disk, policy, state) = (folder.disk("day0.raw", 0), folder.path("p.toml"), folder.path("state"));
    let paths: Vec<_> = (0..10).map(|at| format!("'/srv/absent{at}'")).collect();
    let text = format!("version = 1\n[[monitor]]\nname = 'x'\npaths = ['/etc', {}]\n", paths.join(", "));
    fs::write(&policy, text).unwrap();
    let [disk, policy, state] = [&disk, &policy, &state].map(|path| path.to_str().unwrap());
    let run = snapfim(["scan", disk, "--state", state, "--machine", "web01", "--policy", policy]).exits(0);
    let shown = run.out.lines().filter(|line| line.contains("/srv/absent")).count();
    assert!(shown == 4 && run.out.contains("and 6 more monitored paths are not there"), "{}", run.out);

    let record = walkdir::WalkDir::new(folder.path("state/scans")).into_iter().map(|entry| entry.unwrap().into_path());
    let record = fs::read(record.filter(|path| path.is_file()).last().unwrap()).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let rows = record["Coverage"].as_array().unwrap().iter();
    let absent: Vec<_> = rows.filter(|row| row["Name"] == "absent").map(|row| row["Why"].as_str().unwrap()).collect();
    assert_eq!(absent.len(), 10, "{record}");
    assert!((0..10).all(|at| absent.iter().any(|why| why.starts_with(&format!("/srv/absent{at}: ")))), "{absent:?}");
}
