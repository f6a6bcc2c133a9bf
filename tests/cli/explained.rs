//! What is said about a policy, and about what cannot be done.

use std::fs::{self, File};

use crate::support::{Folder, Run, fixture, snapfim};

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

/// What the record of the only scan in the state of a folder says under a name.
fn coverage(folder: &Folder, name: &str) -> Vec<String> {
    let files = walkdir::WalkDir::new(folder.path("state/scans")).into_iter().map(|entry| entry.unwrap().into_path());
    let record = fs::read(files.filter(|path| path.is_file()).last().unwrap()).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let rows = record["Coverage"].as_array().unwrap().iter();
    rows.filter(|row| row["Name"] == name).map(|row| row["Why"].as_str().unwrap().to_owned()).collect()
}

/// What is said of a path under a policy of these lines, behind its version.
fn explained(lines: &str, args: &[&str]) -> Run {
    let folder = Folder::new();
    let policy = folder.path("p.toml");
    fs::write(&policy, format!("version = 1\n{lines}")).unwrap();
    snapfim(["policy", "explain", "--policy", policy.to_str().unwrap()].iter().chain(args)).exits(0)
}

#[test]
fn links_can_bring_a_rule_to_a_path_that_another_takes_already() {
    let two = "[[monitor]]\nname = 'one'\npaths = ['/usr/bin']\n[[monitor]]\nname = 'two'\npaths = ['/bin/passwd']\n";
    explained(two, &["/usr/bin/passwd"])
        .prints("monitored by one")
        .prints("links inside an image can bring more rules");
    explained(two, &["/srv"]).prints("not monitored").prints("links inside an image can bring more rules");
    let one = "exclude = ['/proc']\n[[monitor]]\nname = 'one'\npaths = ['/usr/bin', '/bin']\n[[monitor]]\nname = 'w'\npaths = ['C:\\x']\n";
    // No rule is left, none may take it, and none leads from a drive to a tree.
    for path in ["/usr/bin/passwd", "/proc/1", r"HKLM\SOFTWARE"] {
        let run = explained(one, &[path]);
        assert!(!run.out.contains("links"), "{}", run.out);
    }
}

#[test]
fn what_holds_for_directories_alone_is_said_beside_what_holds_for_all_else() {
    let rules = "[[monitor]]\nname = 'r'\npaths = ['/p/a.conf/', '/srv/www']\nexclude = ['/srv/www/cache/']\n";
    let run = explained(rules, &["/p/a.conf"]).prints("/p/a.conf, a directory or link: monitored by r\n");
    run.prints("/p/a.conf, anything else: not monitored: no rule reaches it\n");
    let run = explained(rules, &["/srv/www/cache"]).prints("/srv/www/cache, a directory or link: not monitored\n");
    run.prints("/srv/www/cache, anything else: monitored by r\n");
    explained(rules, &["/p/a.conf/"]).prints("/p/a.conf: monitored by r\n");
    explained(rules, &["/srv/www/x"]).prints("/srv/www/x: monitored by r\n");
    let drives = "[[monitor]]\nname = 'r'\npaths = ['\\x\\']\n";
    explained(drives, &[r"\x"]).prints("\\x, a directory or link: monitored by r\n");
}

#[test]
fn rules_of_some_machines_are_named_where_no_machine_is() {
    let rules = "[[monitor]]\nname = 'web'\npaths = ['/etc']\nmachines = ['web-*']\n[[monitor]]\nname = 'all'\npaths = ['/srv']\n";
    let run = explained(rules, &["/etc/x"])
        .prints("no rule reaches it")
        .prints("for some machines only: web; --machine NAME");
    assert!(!run.out.contains("all"), "{}", run.out);
    let run = explained(rules, &["/etc/x", "--machine", "web-1"]).prints("monitored by web");
    assert!(!run.out.contains("machines"), "{}", run.out);
}

#[test]
fn a_drive_is_shown_with_one_colon_and_an_exclude_of_every_rule_as_that() {
    let rules = "exclude = ['C:\\']\n[[monitor]]\nname = 'r'\npaths = ['C:\\x']\n";
    let run = explained(rules, &[r"C:\"]).prints("C:\\: not monitored\n").prints("(names it; every rule, ");
    assert!(!run.out.contains("rule every rule"), "{}", run.out);
}

#[test]
fn the_effective_policy_says_that_it_is_no_policy_file() {
    let shown = snapfim(["policy", "show"]).exits(0).out;
    assert!(shown.starts_with("# The effective policy") && shown.lines().next().unwrap().contains("not a policy file"));
    let rules = toml::from_str::<toml::Table>(&shown).unwrap();
    assert!(rules["rules"].as_array().is_some_and(|rules| !rules.is_empty()));
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

    let absent = coverage(&folder, "absent");
    assert_eq!(absent.len(), 10, "{absent:?}");
    assert!((0..10).all(|at| absent.iter().any(|why| why.starts_with(&format!("/srv/absent{at}: ")))), "{absent:?}");
}

#[test]
fn a_monitored_directory_that_is_a_file_is_noted_as_one_that_is_absent() {
    let folder = Folder::new();
    let (disk, policy) = (folder.disk("day0.raw", 0), folder.path("p.toml"));
    let paths = "'/etc/passwd/', '/etc/passwd/**', '/etc/passwd/*.d', '/etc/passwd', '/etc/cron.d/'";
    fs::write(&policy, format!("version = 1\n[[monitor]]\nname = 'x'\npaths = [{paths}]\n")).unwrap();
    folder.night(&disk, 0, &["--policy", policy.to_str().unwrap()]).exits(0);
    assert_eq!(
        coverage(&folder, "absent"),
        ["/etc/passwd/", "/etc/passwd/**", "/etc/passwd/*.d"]
            .map(|pattern| format!("/etc/passwd: monitored by {pattern}, is not a directory"))
    );
}

#[test]
fn a_scan_of_which_the_policy_takes_nothing_says_so() {
    let folder = Folder::new();
    let (tree, disk) = (folder.path("tree"), folder.disk("day0.raw", 0));
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("file"), "x").unwrap();
    let nothing = "nothing that can be read of this target is monitored by the policy";
    let run = folder.night(&tree, 0, &["--profile", "recommended"]).exits(0).says(nothing).says("--profile full");
    assert!(run.out.is_empty(), "{}", run.out);
    assert_eq!(coverage(&folder, "policy").len(), 1);
    let tree = tree.to_str().unwrap();
    let text = snapfim(["diff", tree, tree, "--profile", "recommended"]).exits(0).says(nothing).prints(nothing);
    text.prints("0 entities");
    for run in [snapfim(["diff", tree, tree]), folder.night(&disk, 1, &["--profile", "recommended"])] {
        assert!(!run.err.contains(nothing) && !run.out.contains(nothing), "{run:?}");
    }
}
