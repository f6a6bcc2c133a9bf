//! What is a change, and which one.

use snapfim::{
    diff::{ChangeKind, Finding, PolicyDiff, ScanChange},
    manifest::{Attribute, Kind, Record, Value, VolumeState},
};

use crate::support::{Scan, check, diff, diff_with, dir, entity, file, header, lines, on, stream, text, volume, with};

#[test]
fn created_modified_and_deleted_come_in_the_order_of_paths() {
    let old = [file("/a", "1", "x"), file("/b", "2", "y"), file("/d", "3", "z")];
    let new = [file("/b", "2", "Y"), file("/c", "4", "w"), with(&old[2], Attribute::Mode, text("0777"))];
    check(&old, &new, &["Deleted /a -", "Modified /b /b sha256", "Created - /c", "Modified /d /d mode"]);
}

#[test]
fn what_is_not_compared_is_no_change_unless_a_rule_says_so() {
    let old = with(&file("/a", "1", "x"), Attribute::Nlink, Value::Number(1));
    let new = with(&old, Attribute::Mtime, text("2027-01-01T00:00:00.000000000Z"));
    check(&[old.clone()], &[with(&new, Attribute::Nlink, Value::Number(2))], &[]);
    check(&[with(&old, Attribute::Id, text("9"))], &[new.clone()], &[]);
    let rules = Value::List(["times".into()].into());
    check(&[old.clone()], &[with(&new, Attribute::Rules, rules.clone())], &["Modified /a /a mtime"]);
    check(&[with(&old, Attribute::Rules, rules)], &[new], &["Modified /a /a mtime"]);
}

#[test]
fn directory_sizes_and_layout_flags_are_compared_where_a_rule_asks_alone() {
    let sized = |size| with(&dir("/d", "1"), Attribute::Size, Value::Number(size));
    check(&[sized(4096)], &[sized(8192)], &[]);
    let flagged = |flags| with(&file("/a", "1", "x"), Attribute::Flags, text(flags));
    check(&[flagged("Extents")], &[flagged("Inline_Data")], &[]);
    check(&[flagged("Extents")], &[file("/a", "1", "x")], &[]);
    check(&[flagged("Extents")], &[flagged("Immutable,Extents")], &["Modified /a /a flags"]);
    // Where rules overlap, what any of them compares.
    let all = |record| with(&record, Attribute::Rules, Value::List(["plain".into(), "all".into()].into()));
    check(&[all(sized(4096))], &[all(sized(8192))], &["Modified /d /d size"]);
    check(&[all(flagged("Extents"))], &[flagged("Inline_Data")], &["Modified /a /a flags"]);
    check(&[all(file("/a", "1", "x"))], &[all(flagged("Extents"))], &["Modified /a /a flags"]);
    check(&[all(flagged("Extents"))], &[all(flagged("Extents"))], &[]);
}

/// A descriptor of which one side keeps the hash alone, for want of room, is the same by it.
#[test]
fn a_descriptor_without_its_text_is_compared_by_its_hash() {
    let bare = |hash| with(&file("/a", "1", "x"), Attribute::SdSha256, text(hash));
    let full = |hash| with(&bare(hash), Attribute::Sddl, text("O:SY"));
    check(&[full("1")], &[bare("1")], &[]);
    check(&[bare("1")], &[full("1")], &[]);
    check(&[bare("1")], &[bare("2")], &["Modified /a /a sd_sha256"]);
    check(&[full("1")], &[bare("2")], &["Modified /a /a sddl,sd_sha256"]);
}

#[test]
fn another_kind_is_a_modification() {
    let link = with(&entity("/a", Kind::Symlink, "1"), Attribute::Target, Value::Bytes(b"/x".to_vec()));
    check(&[file("/a", "1", "x")], &[link], &["Modified /a /a kind,size,sha256,target"]);
}

#[test]
fn the_same_content_time_under_another_hash_is_a_timestomp() {
    let found = |old: Record, new: Record| diff(&Scan::of(&[old]), &Scan::of(&[new])).changes[0].findings.clone();
    assert_eq!(found(file("/a", "1", "x"), file("/a", "1", "y")), [Finding::Timestomp]);
    assert_eq!(found(file("/a", "1", "x"), file("/a", "2", "y")), []);
    let later = with(&file("/a", "1", "y"), Attribute::Mtime, text("2026-01-01T00:00:00.000000001Z"));
    assert_eq!(found(file("/a", "1", "x"), later), []);

    let late = with(&file("/a", "2", "y"), Attribute::FnCrtime, text("2026-01-01T00:00:01Z"));
    let late = with(&late, Attribute::Crtime, text("2026-01-01T00:00:00.9Z"));
    assert_eq!(found(file("/a", "1", "x"), late), [Finding::SiBeforeFn]);
}

#[test]
fn a_rename_is_known_by_its_id_else_by_its_content() {
    check(&[file("/a", "1", "x")], &[file("/b", "1", "x")], &["Renamed /a /b"]);
    check(&[file("/a", "1", "x")], &[file("/b", "1", "y")], &["Renamed /a /b sha256"]);
    check(&[file("/a", "1", "x")], &[file("/b", "2", "x")], &["Renamed /a /b"]);
    check(&[file("/a", "1", "")], &[file("/b", "2", "")], &["Deleted /a -", "Created - /b"]);
    check(&[file("/a", "1", "x")], &[dir("/b", "1")], &["Deleted /a -", "Created - /b"]);
    check(&[file(r"C:\A", "1", "x")], &[file(r"C:\a", "1", "x")], &[r"Renamed C:\A C:\a"]);
}

#[test]
fn a_number_that_another_file_was_given_is_no_rename() {
    let born = |record: &Record, time: &str| with(record, Attribute::Crtime, text(time));
    let (old, new) = ([born(&file("/a", "7", "x"), "1")], file("/b", "7", "y"));
    check(&old, &[born(&new, "2")], &["Deleted /a -", "Created - /b"]);
    check(&old, &[born(&new, "1")], &["Renamed /a /b sha256"]);
    // With a generation the id says it all; a time can be set.
    let (old, new) = (born(&file("/a", "7:1", "x"), "1"), born(&file("/b", "7:1", "y"), "2"));
    check(&[old], &[new], &["Renamed /a /b sha256"]);
}

#[test]
fn content_that_is_not_unique_is_no_rename_and_an_id_counts_on_its_volume_only() {
    let old = [file("/a", "1", "x"), file("/b", "2", "x")];
    check(&old, &[file("/c", "3", "x")], &["Deleted /a -", "Deleted /b -", "Created - /c"]);
    // The id settles one of two, after which the content of the other is unique.
    let new = [file("/c", "1", "x"), file("/d", "4", "x")];
    check(&old, &new, &["Renamed /a /c", "Renamed /b /d"]);
    let elsewhere = with(&file("/b", "1", "y"), Attribute::Volume, text("@2"));
    check(&[file("/a", "1", "x")], &[elsewhere], &["Deleted /a -", "Created - /b"]);
}

#[test]
fn what_moves_along_unchanged_is_counted() {
    let old = [
        dir("/p", "1"),
        file("/p/a", "2", "x"),
        stream("/p/a", "s", "stream"),
        dir("/p/d", "3"),
        file("/p/d/b", "4", ""),
        file("/p/d/c", "4", ""),
        file("/p/e", "6", "e"),
        file("/p-", "7", "q"),
    ];
    let new = [
        dir("/q", "1"),
        file("/q/a", "2", "x"),
        stream("/q/a", "s", "stream"),
        dir("/q/d", "3"),
        file("/q/d/b", "4", ""),
        file("/q/d/c", "4", ""),
        file("/q/e", "6", "E"),
        file("/p-", "7", "q"),
    ];
    // `b` and `c` are hard links: their id is not unique, their places are.
    check(&old, &new, &["Renamed /p /q +5", "Renamed /p/e /q/e sha256"]);
    let (out, summary) = diff_with(&Scan::of(&old), &Scan::of(&new), None);
    assert_eq!((summary.renamed, summary.moved_along, out.changes.len()), (2, 5, 2));
}

#[test]
fn streams_move_along_with_a_renamed_file() {
    let old = [file("/a", "1", "x"), stream("/a", "s", "1"), stream("/a", "t", "2"), stream("/a", "u", "3")];
    let new = [file("/b", "9", "x"), stream("/b", "s", "1"), stream("/b", "t", "9"), stream("/b", "v", "3")];
    let expected = ["Deleted /a:u -", "Renamed /a /b +1", "Renamed /a:t /b:t sha256", "Created - /b:v"];
    check(&old, &new, &expected);
}

#[test]
fn a_change_of_case_alone_is_a_rename_where_there_are_no_ids() {
    let key = |path: &str| entity(path, Kind::Key, "");
    let value = |key: &str, name: &str, data: &str| {
        let value = Record { name: name.into(), ..Record::new(key, Kind::Value) };
        with(&value, Attribute::Sha256, text(data))
    };
    let desktop = |metrics: &str, width: &str, data: &str| {
        let path = format!(r"HKU\S-1\Desktop\{metrics}");
        vec![key(&path), value(&path, "Shell", "x"), value(&path, width, data), key(&format!(r"{path}\Écran"))]
    };
    let old = desktop("WindowMetrics", "Width", "1");
    let renamed = r"Renamed HKU\S-1\Desktop\WindowMetrics HKU\S-1\Desktop\windowMetrics";
    check(&old, &desktop("windowMetrics", "Width", "1"), &[&format!("{renamed} +3")]);
    let value_of = |key: &str, name: &str| format!(r"HKU\S-1\Desktop\{key}:{name}");
    let set = format!("Renamed {} {} sha256", value_of("WindowMetrics", "Width"), value_of("windowMetrics", "Width"));
    check(&old, &desktop("windowMetrics", "Width", "2"), &[&format!("{renamed} +2"), &set]);
    let set = format!("Renamed {} {}", value_of("WindowMetrics", "Width"), value_of("WindowMetrics", "wIDTH"));
    check(&old, &desktop("WindowMetrics", "wIDTH", "1"), &[&set]);
    let other = [key(r"HKU\S-1\Desktop\XindowMetrics")];
    check(
        &[key(r"HKU\S-1\Desktop\Windowmetrics")],
        &other,
        &[r"Deleted HKU\S-1\Desktop\Windowmetrics -", r"Created - HKU\S-1\Desktop\XindowMetrics"],
    );
    // FAT has no ids, and contents that stand twice tell nothing.
    let fat = |dir_name: &str| {
        [dir(dir_name, ""), file(&format!("{dir_name}/a"), "", "x"), file(&format!("{dir_name}/b"), "", "x")]
    };
    check(&fat("/efi/Boot"), &fat("/efi/BOOT"), &["Renamed /efi/Boot /efi/BOOT +2"]);
    // Where there are ids, two names are two entities.
    check(&[dir("/Etc", "1")], &[dir("/etc", "2")], &["Deleted /Etc -", "Created - /etc"]);
    check(
        &[key(r"HKLM\A"), key(r"HKLM\a")],
        &[key(r"HKLM\Ä")],
        &[r"Deleted HKLM\A -", r"Deleted HKLM\a -", r"Created - HKLM\Ä"],
    );
}

#[test]
fn values_and_streams_changed_when_their_key_or_file_did() {
    let run = |time: &str| with(&entity(r"HKLM\Run", Kind::Key, ""), Attribute::LastWrite, text(time));
    let value = |key: &str, name: &str, data: &str| {
        let value = Record { name: name.into(), ..Record::new(key, Kind::Value) };
        with(&value, Attribute::Sha256, text(data))
    };
    let changed = |old: &[Record], new: &[Record]| -> Vec<_> {
        let changes = diff(&Scan::of(old), &Scan::of(new)).changes;
        changes.into_iter().map(|change| (change.kind, change.owner_changed)).collect()
    };
    let of = |names: &[(&str, &str)]| -> Vec<_> { names.iter().map(|(n, d)| value(r"HKLM\Run", n, d)).collect() };
    let old = [vec![run("1")], of(&[("gone", "x"), ("set", "x")])].concat();
    let new = [vec![run("2")], of(&[("new", "y"), ("set", "y")]), vec![value(r"HKLM\Run2", "other", "z")]].concat();
    let then = Some("2".to_owned());
    assert_eq!(
        changed(&old, &new),
        [
            (ChangeKind::Deleted, then.clone()),
            (ChangeKind::Created, then.clone()),
            (ChangeKind::Modified, then.clone()),
            (ChangeKind::Created, None),
        ]
    );
    // A key that is as it was did not change when the value did.
    let new = [vec![run("1")], of(&[("gone", "x"), ("set", "y")])].concat();
    assert_eq!(changed(&old, &new), [(ChangeKind::Modified, None)]);
    let old = [file(r"C:\a", "1", "x"), stream(r"C:\a", "s", "x")];
    let new = [with(&old[0], Attribute::Ctime, text("2")), stream(r"C:\a", "s", "y")];
    assert_eq!(changed(&old, &new), [(ChangeKind::Modified, then)]);
}

#[test]
fn a_name_that_stands_twice_is_matched_by_id() {
    let twice = [file("/a", "1", "x"), file("/a", "2", "y")];
    check(&twice, &twice, &[]);
    check(&twice, &twice[1..], &["Deleted /a -"]);
    check(&twice, &[twice[0].clone(), file("/a", "2", "z")], &["Modified /a /a sha256"]);
}

#[test]
fn a_new_id_on_an_old_disk_hides_nothing() {
    let renumbered = |records: &[Record]| Scan {
        header: header(&[volume("@2", Some("/"), VolumeState::Read)]),
        ..Scan::of(&records.iter().map(|record| on("@2", record.clone())).collect::<Vec<_>>())
    };
    let old = [file("/a", "1", "x"), file("/b", "2", "y"), file("/c", "3", "z")];
    let out = diff(&Scan::of(&old), &renumbered(&[file("/a", "1", "X"), old[1].clone()]));
    assert_eq!(lines(&out), ["Modified /a /a sha256", "Deleted /c -"]);
    let what = vec![("volume".to_owned(), "1".to_owned(), "2".to_owned())];
    assert_eq!(out.scan_changes, [ScanChange::MachineChanged { what }]);
}

#[test]
fn a_change_of_policy_is_counted_not_listed() {
    let old = [file("/etc/a", "1", "x"), file("/home/b", "2", "y"), file("/usr/c", "3", "z")];
    let new = [file("/etc/a", "1", "X"), file("/srv/d", "4", "w"), file("/usr/e", "5", "v")];
    let policy = PolicyDiff {
        what: vec!["rule srv added".into()],
        sha256: ["aa".into(), "bb".into()],
        old_scope: &|record| !record.path.starts_with(b"/srv"),
        new_scope: &|record| !record.path.starts_with(b"/home"),
    };
    let (out, _) = diff_with(&Scan::of(&old), &Scan::of(&new), Some(policy));
    assert_eq!(lines(&out), ["Modified /etc/a /etc/a sha256", "Deleted /usr/c -", "Created - /usr/e"]);
    let (what, sha256) = (vec!["rule srv added".into()], ["aa".into(), "bb".into()]);
    let event = ScanChange::PolicyChanged { what, sha256, entered: 1, left: 1 };
    assert_eq!(out.scan_changes, [event]);
}
