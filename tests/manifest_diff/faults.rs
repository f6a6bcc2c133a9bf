//! What could not be read is lost and not deleted, and is compared again when it returns.

use snapfim::{
    diff::{ChangeKind, Collected, ScanChange},
    error::Fault,
    manifest::{Attribute, Kind, Record, VolumeState, attribute::Part},
};

use crate::support::{
    Scan, check, diff, diff_with, dir, entity, fault, file, header, lines, on, root, stream, text, volume, with,
    without,
};

#[test]
fn a_fault_hides_what_is_beneath_it_and_does_not_delete() {
    let old = [dir("/", "0"), dir("/d", "1"), file("/d-", "9", "k"), file("/d/a", "2", "x"), file("/e", "3", "y")];
    for part in [Part::Entity, Part::Listing] {
        let scan = Scan::of(&[dir("/", "0"), dir("/d", "1"), fault("/d", part)]);
        let out = diff(&Scan::of(&old), &scan);
        assert_eq!(lines(&out), ["Deleted /d- -", "Unreadable /d/a /d", "Deleted /e -"], "{part:?}");
        assert_eq!(out.carried, [old[3].clone()]);
        assert_eq!(out.changes[1].new.as_ref().unwrap().kind, Kind::Fault);

        // Still unreadable: nothing new, and still carried. Then it comes back, changed.
        let scan = scan.carrying(&out);
        let again = diff(&scan, &scan);
        assert_eq!((lines(&again), &again.carried), (vec![], &out.carried));
        let healed = Scan::of(&[dir("/", "0"), dir("/d", "1"), file("/d/a", "2", "z")]);
        assert_eq!(lines(&diff(&scan, &healed)), ["Modified /d/a /d/a sha256"]);
        let gone = Scan::of(&[dir("/", "0"), dir("/d", "1")]);
        assert_eq!(lines(&diff(&scan, &gone)), ["Deleted /d/a -"]);
    }
    let named =
        Scan::of(&[dir("/", "0"), dir("/d", "1"), file("/d-", "9", "k"), fault("/d", Part::Name), old[4].clone()]);
    assert_eq!(lines(&diff(&Scan::of(&old), &named)), ["Deleted /d/a -"]);
}

#[test]
fn what_was_beneath_a_directory_that_is_another_under_damage_stays_lost_in_the_nights_after() {
    let old = [dir("/", "0"), dir("/d", "1"), file("/d/a", "2", "x"), dir("/e", "3")];
    let now = [fault("/", Part::Listing), dir("/", "0"), dir("/d", "3")];
    let damaged = Scan::of(&now);
    let first = diff(&Scan::of(&old), &damaged);
    assert!(lines(&first).contains(&"Unreadable /d/a /".to_owned()), "{:?}", lines(&first));
    let mut damaged = damaged.carrying(&first);
    for night in 2..4 {
        let out = diff(&damaged, &damaged);
        assert_eq!((lines(&out), &out.carried), (vec![], &first.carried), "night {night}");
        damaged = Scan::of(&now).carrying(&out);
    }
    assert!(lines(&diff(&damaged, &Scan::of(&old))).iter().all(|line| !line.contains("/d/a")));
    let gone = Scan::of(&[dir("/", "0"), dir("/d", "1"), dir("/e", "3")]);
    assert!(lines(&diff(&damaged, &gone)).contains(&"Deleted /d/a -".to_owned()));
}

#[test]
fn a_fault_of_any_part_keeps_what_is_missing_from_being_deleted() {
    let old = [file("/a", "1", "x"), stream("/a", "s", "y")];
    for (part, expected) in [
        (Part::Content, ["Deleted /a:s -", "Unreadable /a /a"]),
        (Part::Attributes, ["Unreadable /a /a", "Unreadable /a:s /a"]),
    ] {
        let mut lines = lines(&diff(&Scan::of(&old), &Scan::of(&[fault("/a", part)])));
        lines.sort();
        assert_eq!(lines, expected);
    }
}

#[test]
fn what_is_missing_beneath_a_directory_names_the_fault_of_its_listing() {
    let old = Scan::of(&[dir("/d", "1"), file("/d/a", "2", "x")]);
    let attributes = Record::fault(*br"/d", Vec::new(), Part::Attributes, Fault::new("ext4", "a", "stands before"));
    let out = diff(&old, &Scan::of(&[attributes, fault("/d", Part::Listing), dir("/d", "1")]));
    assert_eq!(lines(&out), ["Unreadable /d/a /d"]);
    assert_eq!(out.changes[0].new.as_ref().unwrap().text(Attribute::Part), Some("listing"));
}

#[test]
fn beneath_a_directory_that_was_read_a_fault_further_up_hides_nothing() {
    let old = [dir("/", "0"), dir("/d", "1"), file("/d/a", "2", "x"), dir("/e", "3"), file("/e/b", "4", "y")];
    let new = [dir("/", "0"), fault("/", Part::Listing), dir("/d", "1")];
    check(&old, &new, &["Deleted /d/a -", "Unreadable /e /", "Unreadable /e/b /"]);
}

#[test]
fn a_fault_of_the_whole_hides_what_is_beneath_what_was_read_too() {
    let old = [dir("/", "0"), dir("/d", "1"), dir("/d/a", "2"), file("/d/a/b", "3", "x"), file("/e", "4", "y")];
    let new = [dir("/", "0"), dir("/d", "1"), fault("/d", Part::Entity), dir("/d/a", "2")];
    check(&old, &new, &["Unreadable /d/a/b /d", "Deleted /e -"]);
}

#[test]
fn what_is_damaged_beneath_a_directory_that_was_renamed_is_lost_and_not_deleted() {
    let old = [
        dir("/", "0"),
        dir("/a", "1"),
        dir("/a/d", "3"),
        dir("/a/d/e", "6"),
        file("/a/d/e/v", "7", "v"),
        file("/a/d/y", "4", "y"),
        file("/a/x", "2", "x"),
        stream("/a/x", "s", "stream"),
        file("/a/z", "5", "z"),
    ];
    let now = [
        dir("/", "0"),
        dir("/b", "1"),
        dir("/b/d", "3"),
        fault("/b/d", Part::Listing),
        dir("/b/d/e", "6"),
        fault("/b/x", Part::Entity),
    ];
    let damaged = Scan::of(&now);
    let first = diff(&Scan::of(&old), &damaged);
    // `z` is gone, and so is `v`: what was above them was read.
    let expected = [
        "Deleted /a/d/e/v -",
        "Deleted /a/z -",
        "Renamed /a /b +2",
        "Unreadable /b/d/y /b/d",
        "Unreadable /b/x /b/x",
        "Unreadable /b/x:s /b/x",
    ];
    assert_eq!(lines(&first), expected);

    // It is said once, and what returns is compared where it stands now.
    let carrying = damaged.carrying(&first);
    let again = diff(&carrying, &carrying);
    assert_eq!((lines(&again), &again.carried), (vec![], &first.carried));
    let healed = [
        dir("/", "0"),
        dir("/b", "1"),
        dir("/b/d", "3"),
        dir("/b/d/e", "6"),
        file("/b/d/y", "4", "y"),
        file("/b/x", "2", "X"),
        stream("/b/x", "s", "stream"),
    ];
    assert_eq!(lines(&diff(&carrying, &Scan::of(&healed))), ["Modified /b/x /b/x sha256"]);
}

#[test]
fn faults_reach_down_windows_and_registry_paths_too() {
    let value = |name: &str| Record { name: name.into(), ..Record::new(*br"HKLM\SOFTWARE\Run", Kind::Value) };
    let old = [Record::new(*br"HKLM\SOFTWARE\Run", Kind::Key), value(""), value("x")];
    check(
        &old,
        &[fault(r"HKLM\SOFTWARE", Part::Listing)],
        &[
            r"Unreadable HKLM\SOFTWARE\Run HKLM\SOFTWARE",
            r"Unreadable HKLM\SOFTWARE\Run HKLM\SOFTWARE",
            r"Unreadable HKLM\SOFTWARE\Run:x HKLM\SOFTWARE",
        ],
    );
    let one = Record::fault(*br"HKLM\SOFTWARE\Run", "x", Part::Entity, Fault::new("regf", "cell 1", "bad"));
    check(
        &old,
        &[old[0].clone(), one],
        &[r"Deleted HKLM\SOFTWARE\Run -", r"Unreadable HKLM\SOFTWARE\Run:x HKLM\SOFTWARE\Run:x"],
    );
    check(&[file(r"C:\d\a", "1", "x")], &[fault(r"C:\", Part::Entity)], &[r"Unreadable C:\d\a C:\"]);
}

#[test]
fn what_can_be_read_of_a_damaged_file_is_compared_and_the_rest_is_carried() {
    let old = file("/a", "1", "x");
    let partial = with(&without(&without(&old, Attribute::Sha256), Attribute::Size), Attribute::Mode, text("0777"));
    let damaged = Scan::of(&[partial.clone(), fault("/a", Part::Content)]);
    let out = diff(&Scan::of(&[old.clone()]), &damaged);
    assert_eq!(lines(&out), ["Modified /a /a mode", "Unreadable /a /a size,sha256"]);
    assert_eq!(out.carried, [with(&old, Attribute::Mode, text("0777"))]);

    let damaged = damaged.carrying(&out);
    let again = diff(&damaged, &damaged);
    assert_eq!((lines(&again), &again.carried), (vec![], &out.carried));
    // Healed with other content, and with the content of old.
    let healed = with(&file("/a", "1", "y"), Attribute::Mode, text("0777"));
    assert_eq!(lines(&diff(&damaged, &Scan::of(&[healed]))), ["Modified /a /a sha256"]);
    assert_eq!(lines(&diff(&damaged, &Scan::of(&out.carried))), [""; 0]);
    // Then the attributes are lost too: only they are news.
    let less = without(&partial, Attribute::Mode);
    let less = Scan::of(&[less, fault("/a", Part::Content), fault("/a", Part::Attributes)]);
    assert_eq!(lines(&diff(&damaged, &less)), ["Unreadable /a /a mode"]);
    // A fault of the attributes does not explain a missing hash.
    let unexplained = Scan::of(&[partial, fault("/a", Part::Attributes)]);
    assert_eq!(lines(&diff(&Scan::of(&[old]), &unexplained)), ["Modified /a /a size,sha256,mode"]);
}

#[test]
fn an_entity_that_lost_a_part_names_the_fault_that_cost_it_that() {
    let cell = |part| Record::fault(*br"/a", Vec::new(), part, Fault::new("ext4", "xattr block 7", "bad hash"));
    let partial = without(&file("/a", "1", "x"), Attribute::Sha256);
    let lost = Scan::of(&[cell(Part::Attributes), partial, fault("/a", Part::Content)]);
    // In place, and under another name.
    for (old, kinds) in [("/a", 1), ("/0", 2)] {
        let out = diff(&Scan::of(&[file(old, "1", "x")]), &lost);
        assert_eq!(out.changes.len(), kinds);
        let unreadable = out.changes.iter().find(|change| change.kind == ChangeKind::Unreadable).unwrap();
        let fault = unreadable.fault.as_ref().unwrap();
        assert_eq!(fault.text(Attribute::At), Some("inode 12"));
    }
    let value = |name: &str| Record { name: name.into(), ..entity(r"HKLM\SOFTWARE", Kind::Value, "") };
    let fault = Record::fault(*br"HKLM\SOFTWARE", "b", Part::Content, Fault::new("registry", "cell 1", "bad"));
    let whole = |name: &str| with(&value(name), Attribute::Sha256, text("0a"));
    let out = diff(&Scan::of(&[whole("a"), whole("b")]), &Scan::of(&[fault.clone(), whole("a"), value("b")]));
    assert_eq!(out.changes.len(), 1);
    assert_eq!(out.changes[0].fault.as_deref(), Some(&fault));
}

#[test]
fn what_was_never_read_is_no_change_when_it_first_is() {
    let whole = file("/a", "1", "x");
    let first = Scan::of(&[without(&whole, Attribute::Sha256), fault("/a", Part::Content)]);
    assert_eq!(lines(&diff(&first, &Scan::of(&[whole]))), [""; 0]);
    let out = diff(&Scan::of(&[]), &Scan::of(&[fault("/b", Part::Entity)]));
    assert_eq!(out, Collected::default());
}

#[test]
fn a_file_that_is_renamed_and_damaged_is_compared_when_it_heals() {
    let renamed = without(&file("/b", "1", "x"), Attribute::Sha256);
    let damaged = Scan::of(&[renamed, fault("/b", Part::Content)]);
    let out = diff(&Scan::of(&[file("/a", "1", "x")]), &damaged);
    assert_eq!(lines(&out), ["Unreadable /a /b sha256", "Renamed /a /b"]);
    assert_eq!(out.carried, [file("/b", "1", "x")]);
    let healed = Scan::of(&[file("/b", "1", "y")]);
    assert_eq!(lines(&diff(&damaged.carrying(&out), &healed)), ["Modified /b /b sha256"]);
}

#[test]
fn a_volume_that_no_rule_reaches_is_not_lost() {
    let data = |state| header(&[volume("@1", Some("/"), VolumeState::Read), volume("@2", Some("/data"), state)]);
    let scan = |header| Scan { header, ..Scan::of(&[file("/z", "9", "z")]) };
    for lost in [data(VolumeState::Gap), root()] {
        assert_eq!(diff(&scan(data(VolumeState::Read)), &scan(lost)), Collected::default());
    }
}

/// The store of the boot manager is on a volume without a letter, which is read on all nights.
#[test]
fn the_hives_of_other_volumes_are_lost_with_the_system_and_compared_when_it_returns() {
    let esp = volume("@2", None, VolumeState::Read);
    let system = |family: &str, mount| {
        let mut header = header(&[volume("@1", mount, VolumeState::Read), esp.clone()]);
        header.os.family = family.into();
        header
    };
    let (windows, none) = (|| system("windows", Some(r"C:\")), || system("none", None));
    let key = |path: &str| on("@2", Record::new(path, Kind::Key));
    let value = |data: &str| {
        let value = Record { name: "v".into(), ..Record::new(r"HKLM\BCD00000000", Kind::Value) };
        on("@2", with(&value, Attribute::Data, text(data)))
    };
    let [file_c, file_lost] = [r"C:\a", "@1/a"].map(|path| file(path, "1", "a"));
    let boot = on("@2", file("@2/BCD", "2", "b"));
    let keys = [key(r"HKLM\BCD00000000"), key(r"HKLM\BCD00000000\Objects")];
    let with_value = |data| [&keys[..], &[value(data), file_c.clone(), boot.clone()]].concat();
    let old = Scan { header: windows(), ..Scan::of(&with_value("old")) };
    let lost = Scan { header: none(), ..Scan::of(&[file_lost, boot.clone()]) };
    let out = diff(&old, &lost);
    let entities = |change: &ScanChange| match change {
        ScanChange::CoverageLost { volume, entities, .. } => (volume.clone(), "lost", *entities),
        ScanChange::CoverageRestored { volume, entities, .. } => (volume.clone(), "restored", *entities),
        other => panic!("{other:?}"),
    };
    let said = |out: &Collected| out.scan_changes.iter().map(entities).collect::<Vec<_>>();
    assert_eq!(lines(&out), [""; 0]);
    assert_eq!(said(&out), [("@1".to_owned(), "lost", 1), ("@2".to_owned(), "lost", 3)]);
    assert_eq!(out.carried.len(), 4);

    let lost = lost.carrying(&out);
    let (again, summary) = diff_with(&lost, &lost, None);
    assert_eq!(again, Collected { carried: out.carried.clone(), ..Collected::default() });
    assert_eq!(summary.hidden, [("@1".to_owned(), 1), ("@2".to_owned(), 3)]);

    let gone: Vec<_> = with_value("new").into_iter().filter(|record| !record.path.ends_with(b"Objects")).collect();
    let out = diff(&lost, &Scan { header: windows(), ..Scan::of(&gone) });
    assert_eq!(
        lines(&out),
        [r"Modified HKLM\BCD00000000:v HKLM\BCD00000000:v data", r"Deleted HKLM\BCD00000000\Objects -"]
    );
    assert_eq!(said(&out), [("@1".to_owned(), "restored", 1), ("@2".to_owned(), "restored", 3)]);
    assert_eq!(out.carried, []);

    // A disk that is another system's now has no such keys.
    let linux = Scan { header: system("linux", Some("/")), ..Scan::of(&[boot]) };
    assert_eq!(lines(&diff(&old, &linux)).iter().filter(|line| line.contains("BCD0")).count(), 3);
}

#[test]
fn a_lost_volume_is_one_event_and_its_entities_are_compared_when_it_returns() {
    let boot = |state| header(&[volume("@1", Some("/"), VolumeState::Read), volume("@2", Some("/boot"), state)]);
    let kernel = |content: &str| on("@2", file("/boot/vmlinuz", "2", content));
    let old = Scan {
        header: boot(VolumeState::Read),
        ..Scan::of(&[on("@2", dir("/boot", "1")), kernel("k"), file("/z", "9", "z")])
    };
    for lost in [boot(VolumeState::Gap), root()] {
        let why = lost.volumes.get(1).map_or("it is not there any more", |_| "superblock is damaged");
        // What `/boot` was mounted over appears, with a file that was hidden.
        let beneath = [with(&dir("/boot", "77"), Attribute::Mode, text("0700")), file("/z", "9", "z")];
        let scan = Scan { header: lost, ..Scan::of(&beneath) };
        let out = diff(&old, &scan);
        let mount = Some("/boot".to_owned());
        let event =
            ScanChange::CoverageLost { volume: "@2".into(), mount: mount.clone(), why: why.into(), entities: 2 };
        assert_eq!((lines(&out), &out.scan_changes), (vec![], &vec![event]));
        assert_eq!(out.carried, old.records[..2]);

        let scan = scan.carrying(&out);
        let again = diff(&scan, &scan);
        assert_eq!(again, Collected { carried: out.carried.clone(), ..Collected::default() });

        // Meanwhile what lies underneath changes: that is an entity of its own.
        let beneath = [with(&beneath[0], Attribute::Mode, text("0755")), beneath[1].clone()];
        let changed = Scan { records: beneath.to_vec(), ..scan.clone() };
        assert_eq!(lines(&diff(&scan, &changed)), ["Modified /boot /boot mode"]);

        let back = Scan {
            header: boot(VolumeState::Read),
            ..Scan::of(&[old.records[0].clone(), kernel("K"), file("/z", "9", "z")])
        };
        let out = diff(&scan, &back);
        let event = ScanChange::CoverageRestored { volume: "@2".into(), mount, entities: 2 };
        assert_eq!(
            (lines(&out), out.scan_changes),
            (vec!["Modified /boot/vmlinuz /boot/vmlinuz sha256".into()], vec![event])
        );
        assert_eq!(out.carried, []);
    }
}
