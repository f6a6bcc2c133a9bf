//! The history of one path: what happened to it, and when it could not be seen.

use std::{path::Path, process::Command};

use snapfim::{
    changelog::{Context, Event, PathFilter},
    diff::{ChangeKind, ScanChange},
    manifest::{Attribute, Kind},
};

use crate::support::{FROM, RUN, Scan, TO, change, event, named, publish, record, run_value, with_context};

fn lost(volume: &str, mount: Option<&str>) -> Event {
    let (volume, mount, why) = (volume.to_owned(), mount.map(str::to_owned), "no known magic".to_owned());
    let lost = ScanChange::CoverageLost { volume, mount, why, entities: 9 };
    with_context(|context: &Context<'_>| Event::from_scan_change(&lost, context))
}

#[test]
fn the_history_of_a_file_tells_when_its_volume_could_not_be_seen() {
    for (volume, mount, path, expected) in [
        ("@5d1e", Some("/boot/efi"), "/boot/efi/EFI/BOOT/BOOTX64.EFI", true),
        ("@5d1e", Some("/boot/efi"), "/boot/efi", true),
        ("@5d1e", Some("/boot/efi"), "/boot/efi2/x", false),
        ("@5d1e", Some("/boot/efi"), "/boot", false),
        ("@5d1e", Some("/boot/efi"), "@5d1e", false),
        ("@5d1e", Some("/"), "/etc/passwd", true),
        ("@5d1e", Some("/"), "/", true),
        ("@5d1e", Some("/"), r"C:\Windows", false),
        ("@5d1e", Some(r"C:\"), r"c:\Windows\win.ini", true),
        ("@5d1e", Some(r"C:\"), r"\Windows\win.ini", true),
        ("@5d1e", Some(r"C:\"), r"D:\Windows\win.ini", false),
        ("@5d1e", Some(r"D:\data"), r"D:\DATA\x", true),
        ("@5d1e", None, "@5d1e/boot/grub.cfg", true),
        ("@5d1e", None, "@5d1e", true),
        ("@5d1e", None, "@5d1e2/boot", false),
        ("@5d1e", None, "/boot", false),
    ] {
        let filter = PathFilter::exact(path.as_bytes());
        assert_eq!(filter.matches(&lost(volume, mount)), expected, "{mount:?} {path}");
    }
    let (what, sha256) = (Vec::new(), ["a".to_owned(), "b".to_owned()]);
    let policy = ScanChange::PolicyChanged { what, sha256, entered: 0, left: 0 };
    let policy = with_context(|context| Event::from_scan_change(&policy, context));
    assert!(!PathFilter::exact(b"/etc").matches(&policy) && !PathFilter::exact(b"/").matches(&policy));
}

#[test]
fn current_control_set_finds_what_stands_under_a_control_set() {
    let service = |set: &str| format!(r"HKLM\SYSTEM\{set}\Services\Lab");
    let made = |path: &str| event(&change(ChangeKind::Created, None, Some(record(path, Kind::Key, &[])), &[]));
    let wanted = service("CurrentControlSet");
    for (path, expected) in [
        (service("ControlSet001"), true),
        (service("controlset017"), true),
        (service("ControlSet1"), false),
        (service("ControlSet0011"), false),
        (service("ControlSetABC"), false),
        (r"HKLM\SOFTWARE\ControlSet001\Services\Lab".to_owned(), false),
    ] {
        let event = made(&path);
        assert_eq!(PathFilter::exact(wanted.as_bytes()).matches(&event), expected, "{path}");
        assert_eq!(PathFilter::exact(wanted.to_lowercase().as_bytes()).matches(&event), expected, "{path}");
        for pattern in [wanted.clone(), r"HKLM\SYSTEM\CurrentControlSet\Services\*".to_owned()] {
            assert_eq!(PathFilter::glob(&pattern).unwrap().matches(&event), expected, "{pattern} {path}");
        }
        assert!(PathFilter::exact(path.as_bytes()).matches(&event));
    }
    let value = named(record(service("ControlSet001"), Kind::Value, &[]), "Start");
    let value = event(&change(ChangeKind::Created, None, Some(value), &[]));
    assert!(PathFilter::glob(&format!(r"{wanted}\Start")).unwrap().matches(&value));
    assert!(!PathFilter::exact(service("ControlSet002").as_bytes()).matches(&value));
}

/// `ChangeType value` of what `snapfim history` prints.
fn history(state: &Path, path: &str) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapfim"));
    let output = command.args(["history", path, "--format", "ndjson", "--state"]).arg(state).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let events = lines.lines().map(|line| serde_json::from_str::<Event>(line).unwrap());
    events.map(|event| event.value_name().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_value_is_found_as_the_log_prints_it() {
    let dir = tempfile::tempdir().unwrap();
    let set = |value: &str| change(ChangeKind::Created, None, Some(run_value(value, "x")), &[]);
    let odd = r"HKLM\SOFTWARE\a [b]";
    let changes = vec![
        set("!cleanup"),
        set("Updater"),
        set("a [b] [c]"),
        set("bell\u{7}"),
        set(""),
        change(ChangeKind::Created, None, Some(record(odd, Kind::Key, &[(Attribute::Rules, "x")])), &[]),
        change(ChangeKind::Created, None, Some(named(record(r"HKLM\SOFTWARE\a", Kind::Value, &[]), "b")), &[]),
        change(ChangeKind::Created, None, Some(named(record(odd, Kind::Value, &[]), "in it")), &[]),
    ];
    publish(dir.path(), &Scan { machine: "win01", computer: "win01", start: FROM, changes: vec![] }, |_| {});
    publish(dir.path(), &Scan { machine: "win01", computer: "win01", start: TO, changes }, |_| {});
    for (path, expected) in [
        (format!("{RUN} [!cleanup]"), &["!cleanup"][..]),
        (format!("{} [!CLEANUP]", RUN.to_lowercase()), &["!cleanup"]),
        (format!("{RUN} [a [b] [c]]"), &["a [b] [c]"]),
        (format!(r"{RUN} [bell\x07]"), &["bell\u{7}"]),
        (format!("{RUN} [(Default)]"), &["(Default)"]),
        (format!("{RUN} [none]"), &[]),
        (RUN.replace("HKLM", "HKEY_LOCAL_MACHINE") + " [Updater]", &["Updater"]),
        // A key that is called so is meant by its name, and a value only where there is no such key.
        (odd.to_owned(), &["", "in it"]),
        (format!("{odd} [in it]"), &["in it"]),
    ] {
        assert_eq!(history(dir.path(), &path), expected, "{path}");
    }
}
