//! What a person reads.

use std::{fs, ops::ControlFlow};

use snapfim::{
    changelog::{
        Coverage, CoverageState, Event, EventFile, EventWriter, Order, Query, ScanRecord, State,
        event_file::{Line, MAX_LINE},
    },
    diff::ChangeKind,
    manifest::{Attribute, Kind, Value, XattrSummary},
    report,
    report::Style,
    severity::Severity,
};

use crate::support::{FROM, Scan, TO, at, change, event, file_change, log, name, named, one_of_each, publish, record};

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
fn the_report_counts_values_under_a_renamed_key_as_the_scan_record_does() {
    let dir = tempfile::tempdir().unwrap();
    let key = |path: &str| Some(record(path, Kind::Key, &[]));
    let value = |path: &str, name: &str| Some(named(record(path, Kind::Value, &[]), name));
    let renamed = |old, new| change(ChangeKind::Renamed, old, new, &[]);
    let changes = vec![
        renamed(key(r"HKLM\SOFTWARE\App"), key(r"HKLM\SOFTWARE\APP")),
        renamed(value(r"HKLM\SOFTWARE\App", "a"), value(r"HKLM\SOFTWARE\APP", "a")),
        renamed(value(r"HKLM\SOFTWARE\App", "b"), value(r"HKLM\SOFTWARE\APP", "B")),
    ];
    let scan = Scan { machine: "win01", computer: "win01", start: TO, changes };
    let record = publish(dir.path(), &scan, |_| {});
    let counted: Vec<_> = record.changes.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
    assert_eq!(counted, [("RegistryKeyRenamed", 1), ("RegistryValueSet", 2)]);
    let state = State::open(dir.path()).unwrap();
    let events = state.events(&state.scans(None, None).unwrap()[0]).unwrap();
    let mut out = Vec::new();
    report::text::write(&mut out, &record, events.as_ref(), Style::default()).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("created 0   modified 2   deleted 0   renamed 1"), "{text}");
    assert!(text.contains(r"M  HKLM\SOFTWARE\App [b] → HKLM\SOFTWARE\APP [B]"), "{text}");
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
        r#"2026-11-21 19:00:00Z  web01             high    A  /etc/ld.so.preload  file 22 B root:root 0644
2026-11-21T19:00:00Z,"'=web01",File,Created,ld.so.preload,/etc/,file,22,,,,,,,,,,,,,MDCFileIntegrityMonitoringEvents,high,web01,20261121T190000Z,2026-11-20T19:00:00Z,2026-11-21T19:00:00Z,high,,,,"{""gid"":0,""group"":""root"",""kind"":""file"",""mode"":""0644"",""size"":22,""uid"":0,""user"":""root""}",,,,,,,,,,,,,ID
2026-11-21 19:00:00Z  web01             high    M  /usr/bin/passwd  content  sha256 9f2c… → 41ab…   timestomp: content changed, mtime did not
2026-11-21T19:00:00Z,"'=web01",File,Modified,passwd,/usr/bin/,file,,,,41ab02,,,,,,,,,,MDCFileIntegrityMonitoringEvents,high,web01,20261121T190000Z,2026-11-20T19:00:00Z,2026-11-21T19:00:00Z,high,timestomp,sha256,"{""sha256"":""9f2c01""}","{""sha256"":""41ab02""}",,,,,,,,,,,,,ID
"#
    );
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
fn a_report_of_events_at_hand_is_that_of_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events");
    let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    let mut writer = EventWriter::new(file, "events");
    // More than stay in memory.
    for round in 0..400 {
        for change in one_of_each() {
            let mut event = event(&change);
            event.ext.why = Some(format!("{round}: {}", "x".repeat(300)));
            writer.write(event).unwrap();
        }
    }
    let (at_hand, _) = writer.finish().unwrap();
    let read = EventFile::new(std::fs::File::open(&path).unwrap(), "events");
    let lines = |events: &EventFile| {
        let mut lines = Vec::new();
        let each = &mut |offset, line: Line<'_>| {
            let Line::Event(event) = line else { panic!("damage at {offset}") };
            lines.push((offset, event.clone()));
            Ok(ControlFlow::Continue(()))
        };
        events.read(each).unwrap();
        lines
    };
    let expected = lines(&read);
    assert!(expected.len() == 4_000 && path.metadata().unwrap().len() > 2 << 20);
    assert!(lines(&at_hand) == expected);
    for (offset, event) in expected.iter().step_by(97) {
        assert_eq!(*at_hand.event_at(*offset).unwrap(), *event);
    }
}

/// Descriptors and attributes that are longer on both sides than a line may be: what is written is
/// read back, and a line that is too long all the same hides no other.
#[test]
fn an_event_of_values_longer_than_a_line_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events");
    let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    let side = |directory: u8, text: &str| {
        let mut record = record([b"/".as_slice(), &[directory; 900_000], b"/x"].concat(), Kind::File, &[]);
        let long = |len: usize, seed: &str| seed.repeat(len / seed.len());
        record.set(Attribute::Sddl, Value::Text(long(9 << 20, text)));
        record.set(Attribute::Acl, Value::Text(long(1 << 18, "\u{1}\u{202e}")));
        record.set(Attribute::Target, Value::Bytes(long(1 << 18, "\u{1}").into_bytes()));
        let summary = XattrSummary { size: 1, sha256: format!("{:064x}", text.len()) };
        let xattrs = (0..5_000).map(|number| (format!("user.{number:06}").into_bytes(), summary.clone()));
        record.set(Attribute::Xattrs, Value::Xattrs(xattrs.collect()));
        record
    };
    let fields = [Attribute::Sddl, Attribute::Acl, Attribute::Target, Attribute::Xattrs];
    let long = change(ChangeKind::Renamed, Some(side(0xff, "a%0022")), Some(side(0xfe, "ä%0022")), &fields);
    let mut writer = EventWriter::new(file, "events");
    writer.write(event(&long)).unwrap();
    writer.finish().unwrap();
    let lines = std::fs::read(&path).unwrap();
    assert!(lines.len() < MAX_LINE / 2, "{} bytes", lines.len());
    let written: Event = serde_json::from_slice(&lines).unwrap();
    let text = |name: &str| written.ext.new[name].as_str().unwrap();
    assert!(text("sddl").starts_with("ä%0022ä") && text("sddl").ends_with('…') && text("sddl").len() > 60_000);
    let xattrs = written.ext.new["xattrs"].as_object().unwrap();
    assert_eq!(xattrs["…"]["left_out"], 5_000 - (xattrs.len() - 1));
    assert_eq!(written.file_name.as_deref(), Some("x"));

    std::fs::write(&path, [&lines, vec![b' '; MAX_LINE + 1].as_slice(), b"\n", &lines].concat()).unwrap();
    let mut seen = Vec::new();
    let each = &mut |_, line: Line<'_>| {
        seen.push(matches!(line, Line::Event(event) if *event == written));
        Ok(ControlFlow::Continue(()))
    };
    EventFile::new(std::fs::File::open(&path).unwrap(), "events").read(each).unwrap();
    assert_eq!(seen, [true, false, true]);
}
