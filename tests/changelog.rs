//! The change log from changes to what a person reads: events, the state directory, queries and reports.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here is the test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use snapfim::changelog::{
    ChangeType, Context, Coverage, CoverageState, EntityType, Event, MachineName, Order, PathFilter, Query, Reading,
    ScanRecord, State, Window, cadence, column, write_json,
};
use snapfim::diff::{Change, ChangeKind, Finding, ScanChange};
use snapfim::error::Fault;
use snapfim::manifest::attribute::Part;
use snapfim::manifest::{Attribute, Kind, Record, Value, XattrSummary};
use snapfim::report::{self, Style};
use snapfim::severity::Severity;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn name(text: &str) -> MachineName {
    MachineName::given(text).unwrap()
}

/// A record with attributes that are text, or numbers where the table says so.
fn record(path: impl Into<Vec<u8>>, kind: Kind, attributes: &[(Attribute, &str)]) -> Record {
    let mut record = Record::new(path, kind);
    for (attribute, value) in attributes {
        let value = match attribute {
            Attribute::Size | Attribute::Uid | Attribute::Gid => Value::Number(value.parse().unwrap()),
            Attribute::Rules => Value::List([(*value).to_owned()].into()),
            Attribute::Target | Attribute::As => Value::Bytes(value.as_bytes().to_vec()),
            _ => Value::Text((*value).to_owned()),
        };
        record.set(*attribute, value);
    }
    record
}

fn named(mut record: Record, name: &str) -> Record {
    record.name = name.as_bytes().to_vec();
    record
}

fn change(kind: ChangeKind, old: Option<Record>, new: Option<Record>, fields: &[Attribute]) -> Change {
    let (fields, findings) = (fields.to_vec(), Vec::new());
    Change { kind, old, new, fields, findings, fault: None, owner_changed: None, moved_along: 0 }
}

fn severity(record: &Record) -> Severity {
    record.rules().iter().filter_map(|rule| Severity::by_name(rule)).max().unwrap_or_default()
}

const FROM: &str = "2026-11-20T19:00:00Z";
const TO: &str = "2026-11-21T19:00:00Z";

fn with_context<T>(each: impl FnOnce(&Context<'_>) -> T) -> T {
    let machine = name("web01");
    let window = Window { from: Some(at(FROM)), to: at(TO) };
    let scan_id = "20261121T190000Z".parse().unwrap();
    each(&Context { machine: &machine, computer: "web01.lan", scan_id, window, clock: None, severity: &severity })
}

fn event(change: &Change) -> Event {
    with_context(|context| Event::from_change(change, context)).unwrap()
}

fn json(event: &Event) -> Json {
    let mut line = Vec::new();
    write_json(&mut line, event).unwrap();
    let read: Event = serde_json::from_slice(&line).unwrap();
    assert_eq!(read, *event, "an event is read back as it was written");
    serde_json::from_slice(&line).unwrap()
}

fn passwd(sha256: &str, ctime: &str) -> Record {
    use Attribute::{Ctime, Mode, Rules, Sha256, Size, Volume};
    let attributes =
        [(Size, "68248"), (Sha256, sha256), (Mode, "04755"), (Ctime, ctime), (Volume, "@5d1e"), (Rules, "high")];
    record("/usr/bin/passwd", Kind::File, &attributes)
}

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

const RUN: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run";

fn run_value(value: &str, data: &str) -> Record {
    let attributes = [(Attribute::Type, "REG_SZ"), (Attribute::Size, "40"), (Attribute::Data, data)];
    named(record(RUN, Kind::Value, &attributes), value)
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
    let policy = of(&ScanChange::PolicyChanged { what: vec!["rule added: web".into()], entered: 12, left: 3 });
    assert_eq!((&policy["Ext"]["Entered"], &policy["Ext"]["Left"]), (&12.into(), &3.into()));
    let machine = of(&ScanChange::MachineChanged { what: vec![("host".into(), "a".into(), "b".into())] });
    assert_eq!((&machine["Ext"]["Old"]["host"], &machine["Ext"]["New"]["host"]), (&"a".into(), &"b".into()));
    assert_eq!(machine["Ext"]["Findings"][0], "machine-changed");
}

/// Scans a machine: what happened, and when.
struct Scan<'a> {
    machine: &'a str,
    computer: &'a str,
    start: &'a str,
    changes: Vec<Change>,
}

fn publish(path: &Path, scan: &Scan<'_>, prepare: impl FnOnce(&mut ScanRecord)) -> ScanRecord {
    let state = State::create(path).unwrap();
    let machine = name(scan.machine);
    let mut locked = state.machine(&machine, at(scan.start)).unwrap();
    let latest = locked.latest_record().unwrap().and_then(|record| record.window);
    let window = cadence::window(latest, at(scan.start), false).unwrap();
    let mut publish = locked.begin(at(scan.start)).unwrap();
    let mut manifest = publish.manifest().unwrap();
    manifest.write_all(scan.start.as_bytes()).unwrap();
    publish.prove(manifest.proof());
    let scan_id = publish.scan_id();
    let context =
        Context { machine: &machine, computer: scan.computer, scan_id, window, clock: None, severity: &severity };
    for change in &scan.changes {
        publish.event(&Event::from_change(change, &context).unwrap()).unwrap();
    }
    let mut record = ScanRecord::new(machine.clone(), scan_id, at(scan.start), format!("{}.raw", scan.machine));
    record.computer = Some(scan.computer.to_owned());
    record.window = Some(window);
    record.entities = BTreeMap::from([("file".to_owned(), 45_000), ("dir".to_owned(), 913)]);
    record.end(at(scan.start).checked_add(SignedDuration::from_secs(90)).unwrap());
    prepare(&mut record);
    publish.commit(record).unwrap().0
}

fn file_change(kind: ChangeKind, path: &str, ctime: &str, rule: &str) -> Change {
    let one = |sha256| {
        let attributes = [(Attribute::Sha256, sha256), (Attribute::Ctime, ctime), (Attribute::Rules, rule)];
        record(path, Kind::File, &attributes)
    };
    match kind {
        ChangeKind::Created => change(kind, None, Some(one("bb")), &[]),
        ChangeKind::Deleted => change(kind, Some(one("aa")), None, &[]),
        _ => change(kind, Some(one("aa")), Some(one("bb")), &[Attribute::Sha256]),
    }
}

/// Three machines over a month.
fn fleet(path: &Path) {
    let value = |name: &str, time| {
        let mut value = run_value(name, "x");
        value.set(Attribute::LastWrite, Value::Text(time));
        change(ChangeKind::Created, None, Some(value), &[])
    };
    for day in 1..=28 {
        let start = format!("2026-11-{day:02}T19:00:00Z");
        let inside = |hour: u32| format!("2026-11-{day:02}T{hour:02}:30:00Z");
        for (machine, computer) in [("web01", "WEB01.lan"), ("web010", "web010"), ("win01", "DC-1")] {
            let changes = match (machine, day) {
                (_, 1) => vec![],
                ("win01", day) => vec![
                    value(&format!("Updater{day}"), inside(2)),
                    file_change(ChangeKind::Modified, r"C:\Windows\win.ini", &inside(12), "low"),
                ],
                (machine, day) if day % 3 == 0 => vec![
                    file_change(ChangeKind::Modified, "/etc/passwd", &inside(3), "high"),
                    file_change(ChangeKind::Created, &format!("/tmp/{machine}-{day}"), &inside(1), "info"),
                    file_change(ChangeKind::Deleted, &format!("/srv/www/{day}"), &inside(2), "medium"),
                ],
                _ => vec![],
            };
            publish(path, &Scan { machine, computer, start: &start, changes }, |_| {});
        }
    }
}

const NOW: &str = "2026-11-28T20:00:00Z";

/// Every line of the log as the files have it, parsed by nothing of ours.
fn raw_lines(path: &Path) -> Vec<Json> {
    let mut lines = Vec::new();
    for file in walkdir::WalkDir::new(path.join("changes")) {
        let file = file.unwrap();
        if file.file_type().is_file() {
            let text = fs::read_to_string(file.path()).unwrap();
            lines.extend(text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()));
        }
    }
    lines
}

fn log(path: &Path, query: &Query, order: Order) -> (Vec<Event>, Reading) {
    let mut events = Vec::new();
    let reading = State::open(path)
        .unwrap()
        .log(query, order, &mut |event| {
            events.push(event);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    (events, reading)
}

fn ids(events: &[Event]) -> Vec<String> {
    let mut ids: Vec<String> = events.iter().map(|event| event.ext.event_id.clone()).collect();
    ids.sort();
    ids
}

fn raw_ids(lines: &[Json], wanted: impl Fn(&Json) -> bool) -> Vec<String> {
    let wanted = lines.iter().filter(|line| wanted(line));
    let mut ids: Vec<String> = wanted.map(|line| line["Ext"]["EventId"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn time(line: &Json) -> Timestamp {
    at(line["TimeGenerated"].as_str().unwrap())
}

#[test]
fn the_tables_example_queries_mean_the_same_here() {
    let dir = tempfile::tempdir().unwrap();
    fleet(dir.path());
    let lines = raw_lines(dir.path());
    assert_eq!(lines.len(), 27 * 2 + 9 * 3 * 2);

    // | where Computer contains "web01" | where MonitoredEntityType in("File", "Registry") | order by TimeGenerated
    let both = vec![EntityType::File, EntityType::Registry];
    let query = Query { computer: Some("web01".into()), entities: both.clone(), ..Query::default() };
    let (events, reading) = log(dir.path(), &query, Order::NewestFirst);
    assert_eq!(reading, Reading::default());
    let contains = |line: &Json| line["Computer"].as_str().unwrap().to_lowercase().contains("web01");
    assert_eq!(ids(&events), raw_ids(&lines, contains));
    assert_eq!(events.len(), 54);
    assert!(events.is_sorted_by(|one, next| one.time_generated >= next.time_generated));

    // | where TimeGenerated > ago(14d) | where MonitoredEntityType in ('Registry', 'File')
    // | summarize count() by Computer, MonitoredEntityType
    let since = cadence::parse_time("14d", at(NOW)).unwrap();
    let query = Query { since: Some(since), entities: both, ..Query::default() };
    let columns = ["computer", "MonitoredEntityType"].map(|name| column::by_name(name).unwrap());
    let (groups, _) = State::open(dir.path()).unwrap().count_by(&query, &columns).unwrap();
    let mut expected: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    for line in lines.iter().filter(|line| time(line) > at("2026-11-14T20:00:00Z")) {
        let group = ["Computer", "MonitoredEntityType"].map(|name| line[name].as_str().unwrap().to_owned());
        *expected.entry(group.to_vec()).or_default() += 1;
    }
    assert_eq!(groups.iter().cloned().collect::<BTreeMap<_, _>>(), expected);
    // What DuckDB counts, reading the partitioned folder as it lies.
    let counted: Vec<_> = groups.iter().map(|(group, count)| (group[0].as_str(), group[1].as_str(), *count)).collect();
    let expected = [("WEB01.lan", "File", 15), ("web010", "File", 15), ("DC-1", "File", 14), ("DC-1", "Registry", 14)];
    assert_eq!(counted, expected);

    // | where TimeGenerated > ago(14d) | where MonitoredEntityType == 'Registry' | order by Computer, RegistryKey
    let query = Query { since: Some(since), entities: vec![EntityType::Registry], ..Query::default() };
    let (mut events, _) = log(dir.path(), &query, Order::NewestFirst);
    events.sort_by(|one, next| (&next.computer, &next.registry_key).cmp(&(&one.computer, &one.registry_key)));
    let wanted = |line: &Json| time(line) > at("2026-11-14T20:00:00Z") && line["MonitoredEntityType"] == "Registry";
    assert_eq!(ids(&events), raw_ids(&lines, wanted));
    assert_eq!(events.len(), 14);
}

#[test]
fn every_filter_takes_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    fleet(dir.path());
    let lines = raw_lines(dir.path());
    let glob = |pattern: &str| Some(PathFilter::glob(pattern).unwrap());
    let count = |query: Query, wanted: &dyn Fn(&Json) -> bool| {
        let expected = raw_ids(&lines, wanted);
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let (events, _) = log(dir.path(), &query, order);
            assert_eq!(ids(&events), expected, "{query:?}");
        }
        expected.len()
    };
    let path =
        |line: &Json| format!("{}{}", line["FilePath"].as_str().unwrap_or(""), line["FileName"].as_str().unwrap_or(""));
    let machine = Query { machine: Some(name("web01")), ..Query::default() };
    assert_eq!(count(machine, &|line| line["Ext"]["Machine"] == "web01"), 27);
    let types = Query { types: vec![ChangeType::Deleted], ..Query::default() };
    assert_eq!(count(types, &|line| line["ChangeType"] == "Deleted"), 18);
    let severe = Query { severity: Some(Severity::Medium), ..Query::default() };
    assert_eq!(count(severe, &|line| ["medium", "high"].contains(&line["Ext"]["Severity"].as_str().unwrap())), 63);
    let until = Query { until: Some(at("2026-11-06T03:30:00Z")), ..Query::default() };
    assert_eq!(count(until, &|line| time(line) <= at("2026-11-06T03:30:00Z")), 19);
    let between =
        Query { since: Some(at("2026-11-06T00:00:00Z")), until: Some(at("2026-11-07T00:00:00Z")), ..Query::default() };
    let inside = |line: &Json| time(line) > at("2026-11-06T00:00:00Z") && time(line) <= at("2026-11-07T00:00:00Z");
    assert_eq!(count(between, &inside), 8);
    let etc = Query { path: glob("/etc"), ..Query::default() };
    assert_eq!(count(etc, &|line| path(line).starts_with("/etc/")), 18);
    let temporary = Query { path: glob("/tmp/web01-*"), ..Query::default() };
    assert_eq!(count(temporary, &|line| path(line).starts_with("/tmp/web01-")), 9);
    let ini = Query { path: glob(r"c:\WINDOWS\*.ini"), ..Query::default() };
    assert_eq!(count(ini, &|line| line["FileName"] == "win.ini"), 27);
    let any = Query { path: glob("*.ini"), ..Query::default() };
    assert_eq!(count(any, &|line| line["FileName"] == "win.ini"), 27);
    let key = Query { path: glob(r"HKEY_LOCAL_MACHINE\software\**\Run"), ..Query::default() };
    assert_eq!(count(key, &|line| line["MonitoredEntityType"] == "Registry"), 27);
    let value = Query { path: glob(r"HKLM\**\Run\Updater1?"), ..Query::default() };
    assert_eq!(count(value, &|line| line["NewValueName"].as_str().is_some_and(|v| v.starts_with("Updater1"))), 10);
    assert_eq!(count(Query { path: glob("/ETC"), ..Query::default() }, &|_| false), 0);
    assert!(PathFilter::glob("/a[").is_err());
}

#[test]
fn patterns_take_braces_and_brackets_as_they_are_meant() {
    let made = |path: &str, kind| event(&change(ChangeKind::Created, None, Some(record(path, kind, &[])), &[]));
    for (pattern, path, kind, expected) in [
        (r"HKLM\SOFTWARE\Classes\CLSID\{0000-AB}", r"HKLM\SOFTWARE\Classes\CLSID\{0000-ab}\InProc", Kind::Key, true),
        (r"C:\Program Files (x86)\**", r"C:\Program Files (x86)\a\b.dll", Kind::File, true),
        (r"\Windows\System32", r"C:\Windows\System32\x.dll", Kind::File, true),
        ("/srv/[*]", "/srv/*", Kind::File, true),
        ("/srv/[*]", "/srv/a", Kind::File, false),
        ("/srv/*", "/srv/a/b", Kind::File, true),
        ("/srv/*.conf", "/srv/a/b.conf", Kind::File, false),
        ("/srv/**/b.conf", "/srv/a/c/b.conf", Kind::File, true),
        ("/", "/anything", Kind::File, true),
        ("@5d1e/boot/", "@5d1e/boot/x", Kind::File, true),
        ("/tmp/a,b", "/tmp/a,b", Kind::File, true),
    ] {
        let filter = PathFilter::glob(pattern).unwrap();
        assert_eq!(filter.matches(&made(path, kind)), expected, "{pattern} {path}");
    }
}

#[test]
fn history_is_all_of_one_path_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let scan =
        |start, changes| publish(dir.path(), &Scan { machine: "web01", computer: "web01", start, changes }, |_| {});
    let directory = |path: &str| Some(record(path, Kind::Dir, &[]));
    scan("2026-11-01T19:00:00Z", vec![]);
    scan("2026-11-02T19:00:00Z", vec![file_change(ChangeKind::Created, "/srv/www/a", "2026-11-02T01:00:00Z", "x")]);
    let mut moved = change(ChangeKind::Renamed, directory("/srv/www"), directory("/srv/old"), &[]);
    moved.moved_along = 1;
    scan(
        "2026-11-03T19:00:00Z",
        vec![moved, file_change(ChangeKind::Created, "/srv/www2", "2026-11-03T01:00:00Z", "x")],
    );
    let mut stream = file_change(ChangeKind::Created, "/srv/old/a", "2026-11-04T01:00:00Z", "x");
    stream.new = stream.new.map(|_| named(record("/srv/old/a", Kind::Stream, &[]), "s"));
    scan("2026-11-04T19:00:00Z", vec![stream]);

    let history = |path: &str| {
        let mut found = Vec::new();
        State::open(dir.path())
            .unwrap()
            .history(path.as_bytes(), Some(name("web01")), &mut |event| {
                found.push(format!("{} {}", event.change_type.as_str(), event.path()));
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        found
    };
    assert_eq!(history("/srv/www/a"), ["Created /srv/www/a", "Renamed /srv/old"]);
    assert_eq!(history("/srv/old/a"), ["Renamed /srv/old", "Created /srv/old/a:s"]);
    assert_eq!(history("/srv/www2/"), ["Created /srv/www2"]);
    assert_eq!(history("/srv"), [""; 0]);
}

#[test]
fn a_damaged_line_is_named_and_the_rest_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    fleet(dir.path());
    let file = dir.path().join("changes/date=2026-11-06/web01_20261106T190000Z.ndjson");
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&file, format!("{}\n{{\"TimeGenerated\":1}}\n{}", lines[0], &lines[2][..50])).unwrap();
    let (events, reading) = log(dir.path(), &Query::default(), Order::NewestFirst);
    assert_eq!(events.len(), 106);
    let problems: Vec<String> = reading.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2);
    assert!(problems[0].starts_with("changes/date=2026-11-06/web01_20261106T190000Z.ndjson: line 2: not an event"));
    assert!(problems[1].ends_with("line 3: cut off: the line has no end"), "{}", problems[1]);
}

#[test]
fn only_days_in_range_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    fleet(dir.path());
    let early = dir.path().join("changes/date=2026-11-03/web01_20261103T190000Z.ndjson");
    let late = dir.path().join("changes/date=2026-11-27/web01_20261127T190000Z.ndjson");
    fs::write(&early, "damage\n").unwrap();
    let (_, reading) =
        log(dir.path(), &Query { since: Some(at("2026-11-04T00:00:00Z")), ..Query::default() }, Order::NewestFirst);
    assert_eq!(reading.problems, []);
    // What lies after the end is left at its first line.
    let first = fs::read_to_string(&late).unwrap().lines().next().unwrap().to_owned();
    fs::write(&late, format!("{first}\ndamage\n")).unwrap();
    let query =
        Query { since: Some(at("2026-11-04T00:00:00Z")), until: Some(at("2026-11-20T00:00:00Z")), ..Query::default() };
    assert_eq!(log(dir.path(), &query, Order::NewestFirst).1.problems, []);
}

fn check(mut file: fs::File) -> snapfim::error::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    match bytes.as_slice() {
        b"damaged" => Err(snapfim::error::Error::State("manifest: no footer".into())),
        _ => Ok(45_913),
    }
}

/// What is to be found, and what is done to a state for it.
type Damage<'d> = (&'d str, &'d dyn Fn(&Path));

#[test]
fn verify_finds_what_is_missing_damaged_stray_or_open() {
    use std::os::unix::fs::PermissionsExt;
    let damage: [Damage<'_>; 9] = [
        ("machines/web01/20261128T190000Z.manifest.zst: manifest: no footer", &|dir| {
            fs::write(dir.join("machines/web01/20261128T190000Z.manifest.zst"), "damaged").unwrap();
        }),
        ("machines/web01/20261127T190000Z.manifest.zst: is not the manifest that the scan's record names", &|dir| {
            fs::write(dir.join("machines/web01/20261127T190000Z.manifest.zst"), "x").unwrap();
        }),
        ("machines/web01/latest: names 20261128T190000Z, whose manifest is missing", &|dir| {
            fs::remove_file(dir.join("machines/web01/20261128T190000Z.manifest.zst")).unwrap();
        }),
        ("scans/date=2026-11-06/web01_20261106T190000Z.json: names 3 events, which are missing", &|dir| {
            fs::remove_file(dir.join("changes/date=2026-11-06/web01_20261106T190000Z.ndjson")).unwrap();
        }),
        ("changes/date=2026-11-06/web01_20261106T190000Z.ndjson: belongs to a scan without a record", &|dir| {
            fs::remove_file(dir.join("scans/date=2026-11-06/web01_20261106T190000Z.json")).unwrap();
        }),
        (
            "changes/date=2026-11-06/web01_20261106T190000Z.ndjson: holds 1 events, and the scan's record names 3",
            &|dir| {
                let file = dir.join("changes/date=2026-11-06/web01_20261106T190000Z.ndjson");
                let text = fs::read_to_string(&file).unwrap();
                fs::write(file, format!("{}\n", text.lines().next().unwrap())).unwrap();
            },
        ),
        ("changes/date=2026-11-06/copy.ndjson: does not belong here", &|dir| {
            fs::write(dir.join("changes/date=2026-11-06/copy.ndjson"), "").unwrap();
        }),
        ("machines/web01/latest: can be reached by others than its owner: mode 0644", &|dir| {
            let mode = fs::Permissions::from_mode(0o644);
            fs::set_permissions(dir.join("machines/web01/latest"), mode).unwrap();
        }),
        ("machines/web01/20261128T190000Z.manifest.zst: is not a regular file", &|dir| {
            let file = dir.join("machines/web01/20261128T190000Z.manifest.zst");
            fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", file).unwrap();
        }),
    ];
    for (expected, damage) in damage {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        for day in ["06", "27", "28"] {
            let start = format!("2026-11-{day}T19:00:00Z");
            let changes = ["/a", "/b", "/c"].map(|path| file_change(ChangeKind::Modified, path, &start, "x")).to_vec();
            publish(&path, &Scan { machine: "web01", computer: "web01", start: &start, changes }, |_| {});
        }
        let state = State::open(&path).unwrap();
        let sound = state.verify(&mut check).unwrap();
        assert_eq!((sound.manifests, sound.scans, sound.events, sound.problems.len()), (3, 3, 9, 0));
        damage(&path);
        let problems: Vec<String> =
            state.verify(&mut check).unwrap().problems.iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem == expected), "{expected}\n{problems:#?}");
    }
}

#[test]
fn status_tells_who_is_overdue_and_what_failed() {
    let dir = tempfile::tempdir().unwrap();
    for (machine, start) in [("web01", "2026-11-27T19:00:00Z"), ("web02", "2026-11-20T19:00:00Z")] {
        publish(dir.path(), &Scan { machine, computer: machine, start, changes: vec![] }, |record| {
            record.every_seconds = Some(86_400);
            record.cover(Coverage { state: CoverageState::Gap, name: "volume:@1".into(), why: "encrypted".into() });
            record.cover(Coverage { state: CoverageState::Note, name: "volume:@2".into(), why: "swap".into() });
        });
    }
    let scan = Scan {
        machine: "web01",
        computer: "web01",
        start: "2026-11-28T18:00:00Z",
        changes: vec![file_change(ChangeKind::Created, "/a", "2026-11-28T01:00:00Z", "x")],
    };
    publish(dir.path(), &scan, |record| record.every_seconds = Some(86_400));
    let state = State::open(dir.path()).unwrap();
    for machine in ["web02", "web03"] {
        let mut locked = state.machine(&name(machine), at(NOW)).unwrap();
        let failing = locked.begin(at("2026-11-21T19:00:00Z")).unwrap();
        let mut record = ScanRecord::new(name(machine), failing.scan_id(), at("2026-11-21T19:00:00Z"), "x.raw");
        record.error = Some("qcow2: bad magic".into());
        failing.fail(record).unwrap();
        assert_eq!(locked.latest().is_some(), machine == "web02");
    }

    let rows = state.status(None, at(NOW)).unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.machine.as_str(), row.changes, row.gaps, row.overdue, row.failed.is_some()))
        .collect();
    assert_eq!(found, [("web01", 1, 0, false, false), ("web02", 0, 1, true, true), ("web03", 0, 0, true, true)]);
    let mut out = Vec::new();
    report::status::machines(&rows).write(&mut out, Style::default()).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "\
MACHINE  LAST SCAN           AGE  ENTITIES  CHANGES 7D  GAPS  STATE
web01    2026-11-28 18:00     2h    45,913           1     0  ok
web02    2026-11-20 19:00  8d 1h    45,913           0     1  overdue, wanted every 1d; scan 20261121T190000Z \
failed: qcow2: bad magic
web03    never                                       0     0  never scanned in full; scan 20261121T190000Z \
failed: qcow2: bad magic
"
    );
    // A failed scan does not stand in the way of the next one, and is not taken back.
    publish(dir.path(), &Scan { start: NOW, machine: "web02", computer: "web02", changes: vec![] }, |_| {});
    let scans = state.scans(Some(&name("web02")), None).unwrap();
    assert_eq!(scans.len(), 3);
    assert_eq!(state.status(None, at(NOW)).unwrap()[1].failed, None);
}

#[test]
fn a_directory_with_other_things_in_it_is_no_state() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(State::open(dir.path()).err().unwrap().exit_code(), 74);
    fs::write(dir.path().join("thesis.txt"), "x").unwrap();
    assert!(State::create(dir.path()).err().unwrap().to_string().contains("thesis.txt"));
    assert!(State::open(&dir.path().join("none")).is_err());
}

/// A scan with one change of each sort.
fn one_of_each() -> Vec<Change> {
    use Attribute::{Data, Gid, Group, Mode, Rules, Sddl, Sha256, Size, Uid, User};
    let owned =
        [(Size, "22"), (Uid, "0"), (Gid, "0"), (User, "root"), (Group, "root"), (Mode, "0644"), (Rules, "high")];
    let mut stomped = change(
        ChangeKind::Modified,
        Some(record("/usr/bin/passwd", Kind::File, &[(Sha256, "9f2c01"), (Rules, "high")])),
        Some(record("/usr/bin/passwd", Kind::File, &[(Sha256, "41ab02"), (Rules, "high")])),
        &[Sha256],
    );
    stomped.findings.push(Finding::Timestomp);
    let mut moved = change(
        ChangeKind::Renamed,
        Some(record("/srv/www", Kind::Dir, &[])),
        Some(record("/srv/old", Kind::Dir, &[])),
        &[],
    );
    moved.moved_along = 1312;
    let mode = |mode| record("/etc/cron.d", Kind::Dir, &[(Mode, mode)]);
    let owner = |uid, user| record("/etc/shadow", Kind::File, &[(Uid, uid), (User, user)]);
    let fault = Record::fault("/var/x", "", Part::Content, Fault::new("ext4", "inode 9123", "bad \x1b[2J extent"));
    vec![
        change(ChangeKind::Modified, Some(mode("0755")), Some(mode("0777")), &[Mode]),
        change(ChangeKind::Created, None, Some(record("/etc/ld.so.preload", Kind::File, &owned)), &[]),
        change(ChangeKind::Modified, Some(owner("0", "root")), Some(owner("1000", "alice")), &[Uid]),
        change(ChangeKind::Deleted, Some(record("/tmp/evil\u{202e}gpj", Kind::File, &owned[..5])), None, &[]),
        moved,
        stomped,
        change(ChangeKind::Unreadable, Some(record("/var/x", Kind::File, &[])), Some(fault), &[]),
        change(ChangeKind::Created, None, Some(run_value("Updater", r"C:\x.exe")), &[]),
        change(ChangeKind::Modified, Some(run_value("", "a")), Some(run_value("", "b")), &[Sha256, Data]),
        change(
            ChangeKind::Modified,
            Some(record(RUN, Kind::Key, &[(Sddl, "O:BA")])),
            Some(record(RUN, Kind::Key, &[(Sddl, "O:SY")])),
            &[Sddl],
        ),
    ]
}

#[test]
fn a_report_is_for_a_tired_administrator() {
    let dir = tempfile::tempdir().unwrap();
    let base = Scan { machine: "deb-web01", computer: "web01", start: FROM, changes: vec![] };
    let first = publish(dir.path(), &base, |_| {});
    let mut out = Vec::new();
    report::text::write(&mut out, &first, None, Style::default()).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "deb-web01 (web01)   2026-11-20 19:00 UTC   45,913 entities, first scan, nothing to compare with \
         yet, coverage complete\n"
    );

    let scan = Scan { start: TO, changes: one_of_each(), ..base };
    let second = publish(dir.path(), &scan, |record| {
        let mut cover = |state, name: &str, why: &str| {
            record.cover(Coverage { state, name: name.into(), why: why.into() });
        };
        cover(CoverageState::Note, "volume:@7", "swap");
        cover(CoverageState::Gap, "path:/var/x", "ext4: inode 9123: bad extent");
    });
    let state = State::open(dir.path()).unwrap();
    let scans = state.scans(None, None).unwrap();
    let events = state.events(&scans[1]).unwrap();
    let mut out = Vec::new();
    let problems = report::text::write(&mut out, &second, events.as_ref(), Style::default()).unwrap();
    assert_eq!(problems, []);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"deb-web01 (web01)   2026-11-20 19:00 → 2026-11-21 19:00 UTC   45,913 entities, 10 changes, 1 coverage gap

  high    A  /etc/ld.so.preload                       file 22 B root:root 0644
  high    M  /usr/bin/passwd                          content  sha256 9f2c… → 41ab…   timestomp: content changed, mtime did not
  medium  M  /etc/cron.d                              mode 0755 → 0777
  medium  M  /etc/shadow                              uid 0 → 1000  user root → alice
  medium  R  /srv/www → /srv/old (and 1,312 beneath)
  medium  D  /tmp/evil\u{202e}gpj                     was file 22 B root:root
  medium  U  /var/x                                   ext4: inode 9123: bad \x1b[2J extent
  medium  A  HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run [Updater]  REG_SZ "C:\x.exe"
  medium  M  HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run [(Default)]  data "a" → "b"
  medium  M  HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run  sddl O:BA → O:SY

  gap        path:/var/x  ext4: inode 9123: bad extent
  note       volume:@7    swap

  created 2   modified 5   deleted 1   renamed 1   unreadable 1
"#
    );

    let mut coloured = Vec::new();
    report::text::write(&mut coloured, &second, events.as_ref(), Style { colour: true }).unwrap();
    let coloured = String::from_utf8(coloured).unwrap();
    assert!(coloured.contains("\u{1b}[31mhigh    \u{1b}[0m") && !coloured.contains("[2J\u{1b}"));
}

#[test]
fn a_failed_scan_says_so() {
    let mut record = ScanRecord::new(name("web01"), "20261121T190000Z".parse().unwrap(), at(TO), "web01.raw");
    record.error = Some("qcow2: L2 entry at 0x30000 points past the end".into());
    let mut out = Vec::new();
    report::text::write(&mut out, &record, None, Style::default()).unwrap();
    assert_eq!(out, b"web01   failed: qcow2: L2 entry at 0x30000 points past the end\n");
}

#[test]
fn the_log_reads_as_lines_and_as_csv() {
    let dir = tempfile::tempdir().unwrap();
    publish(dir.path(), &Scan { machine: "web01", computer: "=web01", start: FROM, changes: vec![] }, |_| {});
    publish(dir.path(), &Scan { machine: "web01", computer: "=web01", start: TO, changes: one_of_each() }, |_| {});
    let (events, _) =
        log(dir.path(), &Query { severity: Some(Severity::High), ..Query::default() }, Order::NewestFirst);
    let mut out = Vec::new();
    report::csv::write_header(&mut out).unwrap();
    for event in &events {
        report::text::write_log_line(&mut out, event, Style::default()).unwrap();
        report::csv::write(&mut out, event).unwrap();
    }
    let ids = [0, 1].map(|at: usize| events[at].ext.event_id.clone());
    let text = ids.iter().fold(String::from_utf8(out).unwrap(), |text, id| text.replace(id.as_str(), "ID"));
    let (head, lines) = text.split_once('\n').unwrap();
    assert!(
        head.starts_with("TimeGenerated,Computer,MonitoredEntityType,ChangeType,FileName,")
            && head.ends_with("EventId")
    );
    assert_eq!(
        lines,
        r#"2026-11-21 19:00:00  web01             high    A  /etc/ld.so.preload  file 22 B root:root 0644
2026-11-21T19:00:00Z,"'=web01",File,Created,ld.so.preload,/etc/,file,22,,,,,,,,,,,,,MDCFileIntegrityMonitoringEvents,high,web01,20261121T190000Z,2026-11-20T19:00:00Z,2026-11-21T19:00:00Z,high,,,,"{""gid"":0,""group"":""root"",""kind"":""file"",""mode"":""0644"",""size"":22,""uid"":0,""user"":""root""}",,,,,,,,,,,,,ID
2026-11-21 19:00:00  web01             high    M  /usr/bin/passwd  content  sha256 9f2c… → 41ab…   timestomp: content changed, mtime did not
2026-11-21T19:00:00Z,"'=web01",File,Modified,passwd,/usr/bin/,file,,,,41ab02,,,,,,,,,,MDCFileIntegrityMonitoringEvents,high,web01,20261121T190000Z,2026-11-20T19:00:00Z,2026-11-21T19:00:00Z,high,timestomp,sha256,"{""sha256"":""9f2c01""}","{""sha256"":""41ab02""}",,,,,,,,,,,,,ID
"#
    );
}

/// A seeded generator of numbers, for damage that is the same in every run.
struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn a_report_of_many_changes_is_in_order_and_whole() {
    // More events than a report keeps in memory, and written in another order than it shows them.
    let count = 4000;
    let path = |number: usize| format!("/srv/{:04}", number * 1237 % count);
    let changes = (0..count).map(|number| file_change(ChangeKind::Created, &path(number), FROM, "high")).collect();
    let dir = tempfile::tempdir().unwrap();
    let state_path = dir.path().join("state");
    let record = publish(&state_path, &Scan { machine: "web01", computer: "web01", start: FROM, changes }, |_| {});
    let state = State::open(&state_path).unwrap();
    let scan = &state.scans(None, None).unwrap()[0];
    let events = state.events(scan).unwrap();
    let file = state_path.join("changes").join("date=2026-11-20").join("web01_20261120T190000Z.ndjson");
    assert!(fs::metadata(file).unwrap().len() > 3 << 19, "too few to tell");
    let mut out = Vec::new();
    assert_eq!(report::text::write(&mut out, &record, events.as_ref(), Style::default()).unwrap(), []);
    let out = String::from_utf8(out).unwrap();
    let shown: Vec<_> =
        out.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with("/srv/"))).collect();
    assert_eq!(shown, (0..count).map(|number| format!("/srv/{number:04}")).collect::<Vec<_>>());
}

#[test]
fn damage_anywhere_in_the_state_ends_in_an_answer_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    publish(&path, &Scan { machine: "web01", computer: "web01", start: FROM, changes: vec![] }, |_| {});
    publish(&path, &Scan { machine: "web01", computer: "web01", start: TO, changes: one_of_each() }, |_| {});
    let state = State::open(&path).unwrap();
    let mut random = Xorshift(0x5eed);
    for file in [
        "changes/date=2026-11-21/web01_20261121T190000Z.ndjson",
        "scans/date=2026-11-21/web01_20261121T190000Z.json",
        "machines/web01/latest",
    ] {
        let file = path.join(file);
        let sound = fs::read(&file).unwrap();
        for _ in 0..300 {
            let mut damaged = sound.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(damaged.len());
                damaged[at] = damaged[at].wrapping_add(1 + random.below(255) as u8);
            }
            if random.below(4) == 0 {
                damaged.truncate(random.below(damaged.len()));
            }
            fs::write(&file, &damaged).unwrap();
            let mut events = 0;
            let logged = state.log(&Query::default(), Order::NewestFirst, &mut |_| {
                events += 1;
                Ok(ControlFlow::Continue(()))
            });
            let reading = logged.unwrap();
            if file.extension().is_some_and(|extension| extension == "ndjson") {
                let lines = damaged.split_inclusive(|byte| *byte == b'\n').count();
                assert_eq!(events + reading.problems.len(), lines, "every line is an event or a problem");
            }
            state.status(None, at(NOW)).unwrap();
            let verified = state.verify(&mut check).unwrap();
            assert!(verified.problems.len() < 100);
            if let Ok(Some(record)) = state.record(&state.scans(None, None).unwrap()[1]) {
                let events = state.events(&state.scans(None, None).unwrap()[1]).unwrap();
                report::text::write(&mut Vec::new(), &record, events.as_ref(), Style::default()).unwrap();
            }
        }
        fs::write(&file, sound).unwrap();
    }
    assert_eq!(state.verify(&mut check).unwrap().problems, []);
}
