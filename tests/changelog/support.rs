//! Records, changes, events, and a state of three machines.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;
use snapfim::{
    changelog::{Context, Event, MachineName, Order, Query, Reading, ScanRecord, State, Window, cadence, write_json},
    diff::{Change, ChangeKind, Finding},
    error::Fault,
    manifest::attribute::Part,
    manifest::{Attribute, Kind, Record, Value},
    severity::Severity,
};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn name(text: &str) -> MachineName {
    MachineName::given(text).unwrap()
}

/// A record with attributes that are text, or numbers where the table says so.
pub(crate) fn record(path: impl Into<Vec<u8>>, kind: Kind, attributes: &[(Attribute, &str)]) -> Record {
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

pub(crate) fn named(mut record: Record, name: &str) -> Record {
    record.name = name.as_bytes().to_vec();
    record
}

pub(crate) fn change(kind: ChangeKind, old: Option<Record>, new: Option<Record>, fields: &[Attribute]) -> Change {
    let (fields, findings) = (fields.to_vec(), Vec::new());
    Change { kind, old, new, fields, findings, fault: None, owner_changed: None, moved_along: 0 }
}

pub(crate) fn severity(record: &Record) -> Severity {
    record.rules().iter().filter_map(|rule| Severity::by_name(rule)).max().unwrap_or_default()
}

pub(crate) const FROM: &str = "2026-11-20T19:00:00Z";
pub(crate) const TO: &str = "2026-11-21T19:00:00Z";

pub(crate) fn with_context<T>(each: impl FnOnce(&Context<'_>) -> T) -> T {
    let machine = name("web01");
    let window = Window { from: Some(at(FROM)), to: at(TO) };
    let scan_id = "20261121T190000Z".parse().unwrap();
    each(&Context {
        machine: &machine,
        computer: "web01.lan",
        scan_id,
        window,
        clock: None,
        previous: None,
        severity: &severity,
    })
}

pub(crate) fn event(change: &Change) -> Event {
    with_context(|context| Event::from_change(change, context)).unwrap()
}

pub(crate) fn json(event: &Event) -> Json {
    let mut line = Vec::new();
    write_json(&mut line, event).unwrap();
    let read: Event = serde_json::from_slice(&line).unwrap();
    assert_eq!(read, *event, "an event is read back as it was written");
    serde_json::from_slice(&line).unwrap()
}

pub(crate) fn passwd(sha256: &str, ctime: &str) -> Record {
    use Attribute::{Ctime, Mode, Rules, Sha256, Size, Volume};
    let attributes =
        [(Size, "68248"), (Sha256, sha256), (Mode, "04755"), (Ctime, ctime), (Volume, "@5d1e"), (Rules, "high")];
    record("/usr/bin/passwd", Kind::File, &attributes)
}

pub(crate) const RUN: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run";

pub(crate) fn run_value(value: &str, data: &str) -> Record {
    let attributes = [(Attribute::Type, "REG_SZ"), (Attribute::Size, "40"), (Attribute::Data, data)];
    named(record(RUN, Kind::Value, &attributes), value)
}

/// Scans a machine: what happened, and when.
pub(crate) struct Scan<'a> {
    pub(crate) machine: &'a str,
    pub(crate) computer: &'a str,
    pub(crate) start: &'a str,
    pub(crate) changes: Vec<Change>,
}

pub(crate) fn publish(path: &Path, scan: &Scan<'_>, prepare: impl FnOnce(&mut ScanRecord)) -> ScanRecord {
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
    let context = Context {
        machine: &machine,
        computer: scan.computer,
        scan_id,
        window,
        clock: None,
        previous: None,
        severity: &severity,
    };
    for change in &scan.changes {
        publish.event(Event::from_change(change, &context).unwrap()).unwrap();
    }
    let mut record = ScanRecord::new(machine.clone(), scan_id, at(scan.start), format!("{}.raw", scan.machine));
    record.computer = Some(scan.computer.to_owned());
    record.window = Some(window);
    record.entities = BTreeMap::from([("file".to_owned(), 45_000), ("dir".to_owned(), 913)]);
    record.end(at(scan.start).checked_add(SignedDuration::from_secs(90)).unwrap());
    prepare(&mut record);
    publish.commit(record).unwrap().0
}

pub(crate) fn file_change(kind: ChangeKind, path: &str, ctime: &str, rule: &str) -> Change {
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
pub(crate) fn fleet(path: &Path) {
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

pub(crate) const NOW: &str = "2026-11-28T20:00:00Z";

pub(crate) fn log(path: &Path, query: &Query, order: Order) -> (Vec<Event>, Reading) {
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

pub(crate) fn check(mut file: fs::File) -> snapfim::error::Result<u64> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    match bytes.as_slice() {
        b"damaged" => Err(snapfim::error::Error::State("manifest: no footer".into())),
        _ => Ok(45_913),
    }
}

/// A scan with one change of each sort.
pub(crate) fn one_of_each() -> Vec<Change> {
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
