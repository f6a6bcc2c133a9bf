//! Asking the log, and the history of one path.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value as Json;
use snapfim::{
    changelog::{ChangeType, EntityType, Event, Order, PathFilter, Query, Reading, State, cadence, column},
    diff::ChangeKind,
    manifest::Kind,
    severity::Severity,
};

use crate::support::{NOW, Scan, at, change, event, file_change, fleet, log, name, named, publish, record};

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
        ("/windows/System32", r"C:\Windows\System32\x.dll", Kind::File, true),
        ("/windows/System32", "/Windows/System32/x.dll", Kind::File, false),
        ("/system32", r"C:\Windows\System32\x.dll", Kind::File, false),
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
            .history(PathFilter::exact(path.as_bytes()), Some(name("web01")), &mut |event| {
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
fn the_history_of_a_windows_path_is_found_with_slashes_and_without_its_drive() {
    let made = |path: &str, kind| event(&change(ChangeKind::Created, None, Some(record(path, kind, &[])), &[]));
    let ini = made(r"C:\Windows\system.ini", Kind::File);
    for (path, expected) in [
        (r"C:\Windows\System.ini", true),
        ("C:/Windows/system.ini", true),
        (r"\WINDOWS\system.ini", true),
        (r"\Windows/system.ini", true),
        (r"D:\Windows\system.ini", false),
        (r"\system.ini", false),
        ("/Windows/system.ini", true),
        ("/Windows/", false),
        ("/Users/system.ini", false),
    ] {
        assert_eq!(PathFilter::exact(path.as_bytes()).matches(&ini), expected, "{path}");
    }
    let key = made(r"HKLM\SOFTWARE\a/b", Kind::Key);
    assert!(PathFilter::exact(br"HKEY_LOCAL_MACHINE\SOFTWARE\a/b").matches(&key), "keys have slashes in their names");
    let directory = |path: &str| Some(record(path, Kind::Dir, &[]));
    let mut moved = change(ChangeKind::Renamed, directory(r"C:\old"), directory(r"C:\new"), &[]);
    moved.moved_along = 1;
    assert!(PathFilter::exact(br"\OLD\x").matches(&event(&moved)));
    assert!(PathFilter::exact(b"/old/x").matches(&event(&moved)));
    let linux = made("/Windows/system.ini", Kind::File);
    assert!(!PathFilter::exact(br"\Windows\system.ini").matches(&linux));
    assert!(!PathFilter::exact(b"/windows/system.ini").matches(&linux), "case counts there");
}

#[test]
fn a_pattern_for_streams_does_not_take_the_drive_for_one() {
    let made = |path: &str, kind| event(&change(ChangeKind::Created, None, Some(record(path, kind, &[])), &[]));
    let stream = |path: &str, name: &str| {
        let record = named(record(path, Kind::Stream, &[]), name);
        event(&change(ChangeKind::Created, None, Some(record), &[]))
    };
    let (file, zone) = (made(r"C:\Users\a.exe", Kind::File), stream(r"C:\Users\a.exe", "Zone.Identifier"));
    for (pattern, of_file, of_zone) in [
        (r"**\*:*", false, true),
        ("**/*:*", false, true),
        ("*:Zone.*", false, true),
        (r"**\a.exe", true, true),
        (r"**\Users", true, true),
        ("**", true, true),
        (r"C:\**\*:*", false, true),
        ("C:", true, true),
        (r"c:\", true, true),
        (r"\", true, true),
        ("/", true, true),
        ("/**", true, true),
    ] {
        let filter = PathFilter::glob(pattern).unwrap();
        assert_eq!((filter.matches(&file), filter.matches(&zone)), (of_file, of_zone), "{pattern}");
    }
    assert!(PathFilter::glob(r"**\Run").unwrap().matches(&made(r"HKLM\SOFTWARE\Run", Kind::Key)));
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
