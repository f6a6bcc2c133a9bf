//! Diffs of manifests: first by example, then the laws on generated trees.
#![allow(clippy::unwrap_used, clippy::cloned_ref_to_slice_refs)]

use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;
use snapfim::{
    diff::{Change, ChangeKind, Collected, Finding, Input, PolicyDiff, ScanChange, Summary, run},
    error::Fault,
    manifest::{
        self, Attribute, AttributeSet, Collector, Counts, Differing, Header, Holding, Kept, Kind, Os, Reader, Record,
        Sorter, Value, VolumeEntry, VolumeState, attribute::Part, write, write_lines,
    },
};

mod manifest_diff_tree;
use manifest_diff_tree::Lines;

const VOLUME: &str = "@1";

fn volume(id: &str, mount: Option<&str>, state: VolumeState) -> VolumeEntry {
    VolumeEntry {
        volume: id.into(),
        fs: "ext4".into(),
        id: Some(id[1..].into()),
        label: None,
        mount: mount.map(str::to_owned),
        state,
        why: (state == VolumeState::Gap).then(|| "superblock is damaged".to_owned()),
    }
}

fn header(volumes: &[VolumeEntry]) -> Header {
    let os = Os { family: "linux".into(), name: None, host: Some("web01".into()) };
    Header { policy: serde_json::json!({}), os, volumes: volumes.to_vec() }
}

fn root() -> Header {
    header(&[volume(VOLUME, Some("/"), VolumeState::Read)])
}

/// A scan: its header, its records, and what is carried from before.
#[derive(Clone)]
struct Scan {
    header: Header,
    records: Vec<Record>,
    carried: Vec<Record>,
}

impl Scan {
    fn of(records: &[Record]) -> Self {
        Self { header: root(), records: records.to_vec(), carried: Vec::new() }
    }

    /// This scan, with what a diff says must be carried.
    fn carrying(mut self, out: &Collected) -> Self {
        self.carried = out.carried.clone();
        self
    }
}

fn sorter() -> Sorter {
    Sorter::new(std::env::temp_dir(), 0)
}

fn reader(header: &Header, records: &[Record]) -> Reader {
    let sorter = sorter();
    let mut collector = Collector::new(&sorter);
    records.iter().for_each(|record| collector.push(record).unwrap());
    let (bytes, _) = write(Vec::new(), header, vec![collector.finish()], 1 << 20).unwrap();
    Reader::new("m", std::io::Cursor::new(bytes)).unwrap()
}

fn diff_with(old: &Scan, new: &Scan, policy: Option<PolicyDiff<'_>>) -> (Collected, Summary) {
    diff_within(old, new, policy, sorter())
}

fn diff_within(old: &Scan, new: &Scan, policy: Option<PolicyDiff<'_>>, sorter: Sorter) -> (Collected, Summary) {
    let input = Input {
        old: reader(&old.header, &old.records),
        carried: (!old.carried.is_empty()).then(|| reader(&old.header, &old.carried)),
        new: reader(&new.header, &new.records),
        compared: &compared,
        access_times: true,
        policy,
        sorter,
    };
    let plain = input.policy.is_none();
    let mut out = Collected::default();
    let summary = run(input, &mut out).unwrap();
    if plain && old.header == new.header && old.carried.is_empty() {
        for every in [1, 2, 3] {
            assert_eq!(diff_of_what_differs(old, new, every, true), out, "every {every}. line taken over");
        }
    }
    if plain {
        assert_eq!(
            diff_of_what_was_read(old, new),
            (out.clone(), summary.clone()),
            "when everything was read in between"
        );
    }
    (out, summary)
}

/// Compares with a time of access in every record, which is another one in most of the new ones; and forgets them.
fn diff_of_what_was_read(old: &Scan, new: &Scan) -> (Collected, Summary) {
    let read = |records: &[Record], day: usize| -> Vec<Record> {
        let at = |number: usize| {
            text(&format!("2026-11-2{}T00:00:00.000000000Z", if number.is_multiple_of(5) { 0 } else { day }))
        };
        let entities = |record: &Record| record.kind != Kind::Fault;
        let one = |(number, record)| {
            if entities(record) { with(record, Attribute::Atime, at(number)) } else { record.clone() }
        };
        records.iter().enumerate().map(one).collect()
    };
    let scan = |scan: &Scan, day: usize| Scan {
        header: scan.header.clone(),
        records: read(&scan.records, day),
        carried: read(&scan.carried, day),
    };
    let (old, new) = (scan(old, 1), scan(new, 2));
    let input = Input {
        old: reader(&old.header, &old.records),
        carried: (!old.carried.is_empty()).then(|| reader(&old.header, &old.carried)),
        new: reader(&new.header, &new.records),
        compared: &compared,
        access_times: false,
        policy: None,
        sorter: sorter(),
    };
    let forget = |mut found: Collected| {
        let records = found.changes.iter_mut().flat_map(|change| [&mut change.old, &mut change.new]).flatten();
        records
            .chain(&mut found.carried)
            .for_each(|record| record.attributes.retain(|(attribute, _)| *attribute != Attribute::Atime));
        found
    };
    let mut out = Collected::default();
    let summary = run(input, &mut out).unwrap();
    if old.header == new.header && old.carried.is_empty() {
        for every in [1, 2] {
            let differing = diff_of_what_differs(&old, &new, every, false);
            assert_eq!(forget(differing), forget(out.clone()), "every {every}. line taken over, all read in between");
        }
    }
    (forget(out), summary)
}

/// Writes the new manifest with lines taken over from the old one, every n-th of those that are the same, and compares
/// only what is said to differ.
fn diff_of_what_differs(old: &Scan, new: &Scan, every: usize, access_times: bool) -> Collected {
    let whole = |scan: &Scan| {
        let mut collector = Collector::new(&sorter());
        scan.records.iter().for_each(|record| collector.push(record).unwrap());
        let lines = manifest::Lines::new(vec![collector.finish()], None, 1 << 20).unwrap();
        write_lines(Vec::new(), &scan.header, lines, &mut (), |_| Ok(())).unwrap()
    };
    let (before, now) = (whole(old), whole(new));
    let of = |bytes: &[u8]| Reader::new("m", std::io::Cursor::new(bytes.to_vec())).unwrap();
    let mut same: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    let mut reader = of(&before.out);
    for number in 0.. {
        if !reader.advance().unwrap() {
            break;
        }
        same.entry(reader.line().to_vec()).or_default().push(number);
    }
    let mut bits = vec![0_u64; old.records.len().div_ceil(64)];
    let (mut made, mut kept) = (Collector::new(&sorter()), Collector::new(&sorter()));
    let mut reader = of(&now.out);
    for number in 0.. {
        let Some(record) = reader.next_record().unwrap() else { break };
        let twin = if number % every == 0 && record.kind != Kind::Fault { same.get_mut(reader.line()) } else { None };
        match twin.and_then(Vec::pop) {
            Some(twin) => {
                bits[twin / 64] |= 1 << (twin % 64);
                kept.push(&record).unwrap();
            }
            None => made.push(&record).unwrap(),
        }
    }
    let counts = Counts::sum(&[kept.finish()]);
    let holding = Holding { bits, records: before.counts.records(), sha256: before.sha256 };
    let kept = Kept { before: of(&before.out), holding, counts, sorter: sorter(), access_times };
    let lines = manifest::Lines::new(vec![made.finish()], Some(kept), 1 << 20).unwrap();
    let mut out = Collected::default();
    let compare = |differing: Differing| {
        let (old, new) = (differing.before, differing.now);
        let input =
            Input { old, carried: None, new, compared: &compared, access_times, policy: None, sorter: sorter() };
        run(input, &mut out).map(|_| ())
    };
    let written = write_lines(Vec::new(), &new.header, lines, &mut (), compare).unwrap();
    let plain = |bytes: &[u8]| String::from_utf8(zstd::decode_all(bytes).unwrap()).unwrap();
    assert_eq!(plain(&written.out), plain(&now.out));
    assert_eq!((written.counts, written.sha256), (now.counts, now.sha256));
    out
}

fn diff(old: &Scan, new: &Scan) -> Collected {
    diff_with(old, new, None).0
}

fn compared(rules: &[String]) -> AttributeSet {
    let mut set = AttributeSet::compared();
    if rules.iter().any(|rule| rule == "times") {
        set.insert(Attribute::Mtime);
    }
    set
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn with(record: &Record, attribute: Attribute, value: Value) -> Record {
    let mut record = record.clone();
    record.set(attribute, value);
    record
}

fn without(record: &Record, attribute: Attribute) -> Record {
    let mut record = record.clone();
    record.attributes.retain(|(a, _)| *a != attribute);
    record
}

fn entity(path: &str, kind: Kind, id: &str) -> Record {
    let mut record = Record::new(path, kind);
    record.set(Attribute::Mode, text("0755"));
    record.set(Attribute::Volume, text(VOLUME));
    if !id.is_empty() {
        record.set(Attribute::Id, text(id));
    }
    record
}

fn dir(path: &str, id: &str) -> Record {
    entity(path, Kind::Dir, id)
}

fn file(path: &str, id: &str, content: &str) -> Record {
    let mut record = entity(path, Kind::File, id);
    record.set(Attribute::Size, Value::Number(content.len() as u64));
    record.set(Attribute::Sha256, text(content));
    record.set(Attribute::Mtime, text("2026-01-01T00:00:00.000000000Z"));
    record
}

fn stream(path: &str, name: &str, content: &str) -> Record {
    let mut record = Record { name: name.into(), ..Record::new(path, Kind::Stream) };
    record.set(Attribute::Size, Value::Number(content.len() as u64));
    record.set(Attribute::Sha256, text(content));
    record
}

fn fault(path: &str, part: Part) -> Record {
    Record::fault(path, Vec::new(), part, Fault::new("ext4", "inode 12", "bad checksum"))
}

/// A change in one line: kind, old path, new path, fields, count.
fn line(change: &Change) -> String {
    let path = |record: &Option<Record>| match record {
        Some(record) if record.name.is_empty() => String::from_utf8_lossy(&record.path).into_owned(),
        Some(record) => format!("{}:{}", record.path.escape_ascii(), record.name.escape_ascii()),
        None => "-".to_owned(),
    };
    let mut fields: Vec<_> = change.fields.iter().map(|field| field.name()).collect();
    if change.kind_changed() {
        fields.insert(0, "kind");
    }
    let line = format!("{:?} {} {} {}", change.kind, path(&change.old), path(&change.new), fields.join(","));
    format!(
        "{}{}",
        line.trim_end(),
        if change.moved_along > 0 { format!(" +{}", change.moved_along) } else { "".into() }
    )
}

fn lines(out: &Collected) -> Vec<String> {
    out.changes.iter().map(line).collect()
}

#[track_caller]
fn check(old: &[Record], new: &[Record], expected: &[&str]) {
    assert_eq!(lines(&diff(&Scan::of(old), &Scan::of(new))), expected);
}

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
fn directory_sizes_and_layout_flags_are_never_compared() {
    let sized = |size| with(&dir("/d", "1"), Attribute::Size, Value::Number(size));
    check(&[sized(4096)], &[sized(8192)], &[]);
    let flagged = |flags| with(&file("/a", "1", "x"), Attribute::Flags, text(flags));
    check(&[flagged("Extents")], &[flagged("Inline_Data")], &[]);
    check(&[flagged("Extents")], &[file("/a", "1", "x")], &[]);
    check(&[flagged("Extents")], &[flagged("Immutable,Extents")], &["Modified /a /a flags"]);
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
fn beneath_a_directory_that_was_read_a_fault_further_up_hides_nothing() {
    let old = [dir("/", "0"), dir("/d", "1"), file("/d/a", "2", "x"), dir("/e", "3"), file("/e/b", "4", "y")];
    let new = [dir("/", "0"), fault("/", Part::Listing), dir("/d", "1")];
    check(&old, &new, &["Deleted /d/a -", "Unreadable /e /", "Unreadable /e/b /"]);
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
            r"Unreadable HKLM\\SOFTWARE\\Run:x HKLM\SOFTWARE",
        ],
    );
    let one = Record::fault(*br"HKLM\SOFTWARE\Run", "x", Part::Entity, Fault::new("regf", "cell 1", "bad"));
    check(
        &old,
        &[old[0].clone(), one],
        &[r"Deleted HKLM\SOFTWARE\Run -", r"Unreadable HKLM\\SOFTWARE\\Run:x HKLM\\SOFTWARE\\Run:x"],
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

fn on(volume: &str, record: Record) -> Record {
    with(&record, Attribute::Volume, text(volume))
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
        old_scope: &|record| !record.path.starts_with(b"/srv"),
        new_scope: &|record| !record.path.starts_with(b"/home"),
    };
    let (out, _) = diff_with(&Scan::of(&old), &Scan::of(&new), Some(policy));
    assert_eq!(lines(&out), ["Modified /etc/a /etc/a sha256", "Deleted /usr/c -", "Created - /usr/e"]);
    let event = ScanChange::PolicyChanged { what: vec!["rule srv added".into()], entered: 1, left: 1 };
    assert_eq!(out.scan_changes, [event]);
}

#[test]
fn what_spills_to_disk_comes_out_as_what_does_not() {
    let (mut old, mut new) = (vec![dir("/p", "0")], vec![dir("/q", "0")]);
    for at in 0..4000 {
        let (path, id, content) = (format!("{at:04}"), format!("{}", at + 1), format!("content {at}"));
        match at % 5 {
            0 => old.push(file(&format!("/p/{path}"), &id, &content)),
            1 => new.push(file(&format!("/q/{path}"), &id, &content)),
            2 => {
                old.push(file(&format!("/p/{path}"), &id, &content));
                new.push(file(&format!("/q/{path}"), &id, &content));
            }
            3 => {
                old.push(file(&format!("/p/{path}"), &id, &content));
                new.push(file(&format!("/q/{path}"), &id, "other"));
            }
            _ => {
                old.push(file(&format!("/x/{path}"), "", &content));
                new.push(file(&format!("/a/{path}"), "", &content));
            }
        }
    }
    let (old, new) = (Scan::of(&old), Scan::of(&new));
    let spilling = diff_within(&old, &new, None, sorter());
    let in_memory = diff_within(&old, &new, None, Sorter::new("/nonexistent", 256 << 20));
    assert!(spilling == in_memory);
    let (out, summary) = spilling;
    assert_eq!((summary.deleted, summary.created, summary.renamed, summary.moved_along), (800, 800, 1601, 800));
    assert!(out.changes.is_sorted_by_key(|change| change.new.as_ref().or(change.old.as_ref()).unwrap().path.clone()));
}

#[test]
fn a_damaged_side_ends_the_diff() {
    let good = Scan::of(&[file("/a", "1", "x")]);
    let mut bytes = Vec::new();
    let mut writer = snapfim::manifest::Writer::new(&mut bytes, &good.header).unwrap();
    writer.push(&good.records[0]).unwrap();
    writer.finish().unwrap();
    bytes.truncate(bytes.len() - 3);
    let old = Reader::new("old", std::io::Cursor::new(bytes));
    let error = old.and_then(|old| {
        let new = reader(&good.header, &good.records);
        let input =
            Input { old, carried: None, new, compared: &compared, access_times: true, policy: None, sorter: sorter() };
        run(input, &mut Collected::default())
    });
    assert!(error.unwrap_err().to_string().starts_with("old is damaged: "));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_diff_with_itself_is_empty(Lines(scan) in manifest_diff_tree::scan()) {
        let scan = Scan::of(&scan);
        let (out, summary) = diff_with(&scan, &scan, None);
        prop_assert_eq!(out, Collected::default());
        prop_assert_eq!(summary.entities_old, summary.entities_new);
    }

    #[test]
    fn a_diff_applied_to_the_old_side_gives_the_new_one((Lines(a), Lines(b)) in manifest_diff_tree::two_scans()) {
        let (out, summary) = diff_with(&Scan::of(&a), &Scan::of(&b), None);
        let mut state = manifest_diff_tree::State::of(&a);
        state.apply(&out.changes);
        prop_assert_eq!(state.compared(), manifest_diff_tree::State::of(&b).compared());
        prop_assert_eq!(out.carried.len(), 0);
        let gone = summary.entities_old + summary.created - summary.deleted;
        prop_assert_eq!(gone, summary.entities_new);
    }

    #[test]
    fn nothing_is_lost_by_faults_that_come_and_go((Lines(a), Lines(damaged), Lines(b)) in manifest_diff_tree::damaged_scans()) {
        let damaged = Scan::of(&damaged);
        let first = diff(&Scan::of(&a), &damaged);
        let deleted: BTreeSet<_> = first.changes.iter().filter(|change| change.kind == ChangeKind::Deleted)
            .filter_map(|change| change.old.as_ref().map(manifest_diff_tree::place)).collect();
        for record in &b {
            prop_assert!(!deleted.contains(&manifest_diff_tree::place(record)), "{} is said to be deleted", record.path.escape_ascii());
        }
        let carrying = damaged.clone().carrying(&first);
        let still = diff(&carrying, &carrying);
        prop_assert_eq!(&still, &Collected { carried: first.carried.clone(), ..Collected::default() });

        let second = diff(&carrying, &Scan::of(&b));
        prop_assert_eq!(&second.carried, &vec![]);
        let mut state = manifest_diff_tree::State::of(&a);
        state.apply(&first.changes);
        state.apply(&second.changes);
        // Of what was created unreadable in part, the rest comes without an event: nothing is known to differ.
        state.learn(&damaged.records, &b);
        prop_assert_eq!(state.compared(), manifest_diff_tree::State::of(&b).compared());
    }
}
