//! A change becomes an event with the columns of the table.

use serde_json::Value as Json;
use snapfim::{
    changelog::{ChangeType, Context, Event},
    diff::{Change, ChangeKind, Finding, ScanChange},
    error::Fault,
    manifest::attribute::Part,
    manifest::{Attribute, Kind, Record, Value, XattrSummary},
};

use crate::support::{RUN, TO, at, change, event, json, name, named, passwd, record, run_value, with_context};

#[test]
fn a_modified_file_has_the_columns_of_the_table() {
    let old = passwd("9f2c", "2026-11-01T00:00:00Z");
    let new = passwd("41ab", "2026-11-21T03:12:44.1Z");
    let mut change = change(ChangeKind::Modified, Some(old), Some(new), &[Attribute::Sha256]);
    change.findings.push(Finding::Timestomp);
    let mut found = json(&event(&change));
    let id = found["Ext"]["EventId"].take();
    assert!(id.as_str().is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    let expected: Json = serde_json::from_str(
        r#"{"TimeGenerated":"2026-11-21T03:12:44.1Z","Computer":"web01.lan","MonitoredEntityType":"File",
        "ChangeType":"Modified","FileName":"passwd","FilePath":"/usr/bin/","FileType":"file","FileSize":68248,
        "FileSha256":"41ab","Type":"MDCFileIntegrityMonitoringEvents","Ext":{"Version":1,"EventId":null,
        "Machine":"web01","ScanId":"20261121T190000Z","Window":{"From":"2026-11-20T19:00:00Z",
        "To":"2026-11-21T19:00:00Z"},"Rules":["high"],"Severity":"high","Volume":"@5d1e","FieldsChanged":["sha256"],
        "Old":{"sha256":"9f2c"},"New":{"sha256":"41ab"},"Findings":["timestomp"]}}"#,
    )
    .unwrap();
    assert_eq!(found, expected);
}

#[test]
fn a_time_outside_the_window_is_not_believed() {
    for (ctime, expected) in [
        ("2026-11-20T19:00:00Z", TO),
        ("2026-11-20T19:00:00.000000001Z", "2026-11-20T19:00:00.000000001Z"),
        (TO, TO),
        ("2026-11-21T19:00:01Z", TO),
        ("+30000-01-01T00:00:00Z", TO),
        ("nonsense", TO),
    ] {
        let change = change(ChangeKind::Created, None, Some(passwd("41ab", ctime)), &[]);
        assert_eq!(event(&change).time_generated, at(expected), "{ctime}");
    }
    let deleted = change(ChangeKind::Deleted, Some(passwd("41ab", "2026-11-21T03:00:00Z")), None, &[]);
    assert_eq!(event(&deleted).time_generated, at(TO), "the last known time is not the time of deletion");
    // A value has no time of its own.
    for (last_write, expected) in [("2026-11-21T03:00:00Z", "2026-11-21T03:00:00Z"), ("2026-11-20T03:00:00Z", TO)] {
        for kind in [ChangeKind::Created, ChangeKind::Modified, ChangeKind::Deleted, ChangeKind::Unreadable] {
            let of_key = Some(last_write.to_owned());
            let change = change(kind, Some(run_value("Updater", "a")), Some(run_value("Updater", "b")), &[]);
            let found = event(&Change { owner_changed: of_key, ..change }).time_generated;
            assert_eq!(found, at(if kind == ChangeKind::Unreadable { TO } else { expected }), "{kind:?}");
        }
    }
}

#[test]
fn every_change_has_its_type_and_columns() {
    let file = || record("/etc/ld.so.preload", Kind::File, &[(Attribute::Size, "22"), (Attribute::Uid, "0")]);
    let created = event(&change(ChangeKind::Created, None, Some(file()), &[]));
    assert_eq!((created.change_type, created.ext.new["size"].as_u64()), (ChangeType::Created, Some(22)));
    assert!(created.ext.old.is_empty() && created.ext.fields_changed.is_empty());

    let deleted = event(&change(ChangeKind::Deleted, Some(file()), None, &[]));
    assert_eq!((deleted.change_type, deleted.file_size), (ChangeType::Deleted, Some(22)));
    assert_eq!((deleted.ext.old["size"].as_u64(), deleted.ext.new.len()), (Some(22), 0));

    let mut moved = change(
        ChangeKind::Renamed,
        Some(record("/srv/www", Kind::Dir, &[])),
        Some(record("/srv/www.old", Kind::Dir, &[])),
        &[],
    );
    moved.moved_along = 312;
    let moved = json(&event(&moved));
    assert_eq!(moved["OriginalFilePath"], "/srv/");
    assert_eq!(moved["OriginalFileName"], "www");
    assert_eq!(moved["FileName"], "www.old");
    assert_eq!(moved["Ext"]["Count"], 312);

    let stream = named(record(r"C:\Users\alice\setup.exe", Kind::Stream, &[]), "Zone.Identifier");
    let stream = event(&change(ChangeKind::Created, None, Some(stream), &[]));
    assert_eq!(stream.file_name.as_deref(), Some("setup.exe:Zone.Identifier"));
    assert_eq!(stream.file_path.as_deref(), Some(r"C:\Users\alice\"));
    assert_eq!(stream.file_type.as_deref(), Some("stream"));

    let fault = Record::fault("/etc/ld.so.preload", "", Part::Content, Fault::new("ext4", "inode 12", "bad extent"));
    let partial = Some(record("/etc/ld.so.preload", Kind::File, &[]));
    let in_part = change(ChangeKind::Unreadable, Some(file()), partial, &[Attribute::Sha256]);
    let in_part = event(&Change { fault: Some(Box::new(fault.clone())), ..in_part });
    assert_eq!(in_part.ext.why.as_deref(), Some("ext4: inode 12: bad extent"));
    assert_eq!(in_part.ext.fields_changed, ["sha256"]);

    let lost = event(&change(ChangeKind::Unreadable, Some(file()), Some(fault), &[]));
    assert_eq!((lost.change_type, lost.file_size), (ChangeType::Unreadable, None));
    assert_eq!(lost.ext.why.as_deref(), Some("ext4: inode 12: bad extent"));
    assert_eq!((lost.ext.old["size"].as_u64(), lost.ext.new["part"].as_str()), (Some(22), Some("content")));
    assert_eq!(lost.file_type.as_deref(), Some("file"));

    let replaced =
        event(&change(ChangeKind::Modified, Some(file()), Some(record("/etc/ld.so.preload", Kind::Dir, &[])), &[]));
    assert_eq!(replaced.ext.fields_changed, ["kind"]);
    assert_eq!((&replaced.ext.old["kind"], &replaced.ext.new["kind"]), (&"file".into(), &"dir".into()));
}

#[test]
fn registry_events_have_the_registry_columns() {
    let set = json(&event(&change(ChangeKind::Created, None, Some(run_value("Updater", r"C:\x.exe")), &[])));
    assert_eq!(set["MonitoredEntityType"], "Registry");
    assert_eq!(set["ChangeType"], "RegistryValueSet");
    assert_eq!(set["RegistryHive"], "HKEY_LOCAL_MACHINE");
    assert_eq!(set["RegistryKey"], r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run");
    assert_eq!(set["NewValueName"], "Updater");
    assert_eq!(set["NewValueType"], "REG_SZ");
    assert_eq!(set["NewValueData"], r"C:\x.exe");
    assert!(set.get("OldValueName").is_none() && set.get("FileName").is_none() && set.get("FileSize").is_none());

    let fields = [Attribute::Data];
    let both = change(ChangeKind::Modified, Some(run_value("", "a")), Some(run_value("", "b")), &fields);
    let both = event(&both);
    assert_eq!(both.change_type, ChangeType::RegistryValueSet);
    assert_eq!(both.old_value_name.as_deref(), Some("(Default)"));
    assert_eq!((both.old_value_data.as_deref(), both.new_value_data.as_deref()), (Some("a"), Some("b")));
    assert_eq!(
        both.old_value_full_registry_key.as_deref(),
        Some(r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run")
    );
    assert!(!both.is_rename());

    let gone = event(&change(ChangeKind::Deleted, Some(run_value("Updater", "a")), None, &[]));
    assert_eq!(gone.change_type, ChangeType::RegistryValueDeleted);
    assert_eq!((gone.old_value_name.as_deref(), gone.new_value_name), (Some("Updater"), None));

    let key = |path: &str| Some(record(path, Kind::Key, &[(Attribute::LastWrite, "2026-11-21T01:00:00Z")]));
    for (kind, old, new, expected) in [
        (ChangeKind::Created, None, key(RUN), ChangeType::RegistryKeyCreated),
        (ChangeKind::Deleted, key(RUN), None, ChangeType::RegistryKeyDeleted),
        (ChangeKind::Modified, key(RUN), key(RUN), ChangeType::RegistryKeyModified),
        (ChangeKind::Renamed, key(r"HKU\S-1-5-18\A"), key(r"HKU\S-1-5-18\B"), ChangeType::RegistryKeyRenamed),
    ] {
        let deleted = new.is_none();
        let event = event(&change(kind, old, new, &[]));
        assert_eq!(event.change_type, expected);
        assert_eq!(event.time_generated, at(if deleted { TO } else { "2026-11-21T01:00:00Z" }));
        if kind == ChangeKind::Renamed {
            assert_eq!(event.old_value_full_registry_key.as_deref(), Some(r"HKEY_USERS\S-1-5-18\A"));
            assert_eq!(
                (event.path(), event.original_path().unwrap()),
                (r"HKU\S-1-5-18\B".into(), r"HKU\S-1-5-18\A".into())
            );
        }
    }
}

#[test]
fn names_that_are_not_unicode_keep_their_bytes() {
    let found = json(&event(&change(ChangeKind::Created, None, Some(record(*b"/tmp/a\xff", Kind::File, &[])), &[])));
    assert_eq!(found["FileName"], "a\\xff");
    assert_eq!(found["Ext"]["PathHex"], "2f746d702f61ff");
    let plain = json(&event(&change(ChangeKind::Created, None, Some(record("/tmp/ä", Kind::File, &[])), &[])));
    assert!(plain["Ext"].get("PathHex").is_none());
}

#[test]
fn extended_attributes_show_only_what_differs() {
    let with = |values: &[(&str, u64)]| {
        let mut record = record("/x", Kind::File, &[]);
        let summary = |size: &u64| XattrSummary { size: *size, sha256: format!("{size:064x}") };
        let map = values.iter().map(|(name, size)| (name.as_bytes().to_vec(), summary(size))).collect();
        record.set(Attribute::Xattrs, Value::Xattrs(map));
        record
    };
    let (old, new) = (with(&[("user.a", 1), ("user.b", 1)]), with(&[("user.a", 1), ("user.b", 2), ("user.c", 3)]));
    let event = event(&change(ChangeKind::Modified, Some(old), Some(new), &[Attribute::Xattrs]));
    let keys = |side: &Json| side["xattrs"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&Json::Object(event.ext.old)), ["user.b"]);
    assert_eq!(keys(&Json::Object(event.ext.new)), ["user.b", "user.c"]);
}

#[test]
fn an_event_id_is_the_same_when_a_run_is_repeated_and_different_else() {
    let changes = [
        change(ChangeKind::Created, None, Some(record("/a", Kind::File, &[])), &[]),
        change(ChangeKind::Deleted, Some(record("/a", Kind::File, &[])), None, &[]),
        change(ChangeKind::Created, None, Some(record("/a", Kind::File, &[(Attribute::Id, "12:1")])), &[]),
        change(ChangeKind::Created, None, Some(named(record("/a", Kind::Stream, &[]), "b")), &[]),
        change(ChangeKind::Created, None, Some(record("/ab", Kind::File, &[])), &[]),
        // There and back within one snapshot's time.
        change(ChangeKind::Modified, Some(passwd("aa", TO)), Some(passwd("bb", TO)), &[Attribute::Sha256]),
        change(ChangeKind::Modified, Some(passwd("bb", TO)), Some(passwd("aa", TO)), &[Attribute::Sha256]),
    ];
    let mut ids: Vec<String> = changes.iter().map(|change| event(change).ext.event_id).collect();
    let again: Vec<String> = changes
        .iter()
        .map(|change| {
            with_context(|context| {
                let scan_id = context.scan_id.next();
                Event::from_change(change, &Context { scan_id, computer: "other", ..*context }).unwrap().ext.event_id
            })
        })
        .collect();
    assert_eq!(ids, again);
    let elsewhere = with_context(|context| {
        let machine = name("web02");
        Event::from_change(&changes[0], &Context { machine: &machine, ..*context }).unwrap().ext.event_id
    });
    ids.push(elsewhere);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), changes.len() + 1);
}

#[test]
fn the_scan_itself_has_events() {
    let of = |change: &ScanChange| json(&with_context(|context| Event::from_scan_change(change, context)));
    let lost = of(&ScanChange::CoverageLost {
        volume: "@5d1e".into(),
        mount: Some("/data".into()),
        why: "encrypted (LUKS)".into(),
        entities: 312,
    });
    assert_eq!(lost["MonitoredEntityType"], "Scan");
    assert_eq!(lost["ChangeType"], "CoverageLost");
    assert_eq!((&lost["Ext"]["Volume"], &lost["Ext"]["Why"]), (&"@5d1e".into(), &"encrypted (LUKS)".into()));
    assert_eq!((&lost["Ext"]["Entities"], &lost["Ext"]["Severity"]), (&312.into(), &"high".into()));
    let (what, sha256) = (vec!["rule web added".into()], ["aa".into(), "bb".into()]);
    let policy = of(&ScanChange::PolicyChanged { what, sha256, entered: 12, left: 3 });
    assert_eq!(
        (&policy["Ext"]["Old"]["policy_sha256"], &policy["Ext"]["New"]["policy_sha256"]),
        (&"aa".into(), &"bb".into())
    );
    assert_eq!((&policy["Ext"]["Entered"], &policy["Ext"]["Left"]), (&12.into(), &3.into()));
    let machine = of(&ScanChange::MachineChanged { what: vec![("host".into(), "a".into(), "b".into())] });
    assert_eq!((&machine["Ext"]["Old"]["host"], &machine["Ext"]["New"]["host"]), (&"a".into(), &"b".into()));
    assert_eq!(machine["Ext"]["Findings"][0], "machine-changed");
}
