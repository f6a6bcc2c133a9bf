//! Scans of records that are given, and their diff: from whole manifests, and from what is left of two where the rest
//! is the same.

use std::collections::HashMap;

use snapfim::{
    diff::{Change, Collected, Input, PolicyDiff, Summary, run},
    error::Fault,
    manifest::{
        self, Attribute, AttributeSet, Collector, Counts, Differing, Header, Holding, Kept, Kind, Os, Reader, Record,
        Sorter, Value, VolumeEntry, VolumeState, attribute::Part, write, write_lines,
    },
};

pub(crate) const VOLUME: &str = "@1";

pub(crate) fn volume(id: &str, mount: Option<&str>, state: VolumeState) -> VolumeEntry {
    VolumeEntry {
        volume: id.into(),
        fs: "ext4".into(),
        id: Some(id[1..].into()),
        label: None,
        mount: mount.map(str::to_owned),
        state,
        why: (state == VolumeState::Gap).then(|| "superblock is damaged".to_owned()),
        unreplayed: None,
    }
}

pub(crate) fn header(volumes: &[VolumeEntry]) -> Header {
    let os = Os { family: "linux".into(), name: None, host: Some("web01".into()) };
    Header { policy: serde_json::json!({}), os, volumes: volumes.to_vec() }
}

pub(crate) fn root() -> Header {
    header(&[volume(VOLUME, Some("/"), VolumeState::Read)])
}

/// A scan: its header, its records, and what is carried from before.
#[derive(Clone)]
pub(crate) struct Scan {
    pub(crate) header: Header,
    pub(crate) records: Vec<Record>,
    pub(crate) carried: Vec<Record>,
}

impl Scan {
    pub(crate) fn of(records: &[Record]) -> Self {
        Self { header: root(), records: records.to_vec(), carried: Vec::new() }
    }

    /// This scan, with what a diff says must be carried.
    pub(crate) fn carrying(mut self, out: &Collected) -> Self {
        self.carried = out.carried.clone();
        self
    }
}

pub(crate) fn sorter() -> Sorter {
    Sorter::new(std::env::temp_dir(), 0)
}

pub(crate) fn reader(header: &Header, records: &[Record]) -> Reader {
    let sorter = sorter();
    let mut collector = Collector::new(&sorter);
    records.iter().for_each(|record| assert_eq!(collector.push(record).unwrap(), []));
    let (bytes, _) = write(Vec::new(), header, vec![collector.finish()], 1 << 20).unwrap();
    Reader::new("m", std::io::Cursor::new(bytes)).unwrap()
}

pub(crate) fn diff_with(old: &Scan, new: &Scan, policy: Option<PolicyDiff<'_>>) -> (Collected, Summary) {
    diff_within(old, new, policy, sorter())
}

pub(crate) fn diff_within(
    old: &Scan,
    new: &Scan,
    policy: Option<PolicyDiff<'_>>,
    sorter: Sorter,
) -> (Collected, Summary) {
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
pub(crate) fn diff_of_what_was_read(old: &Scan, new: &Scan) -> (Collected, Summary) {
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
pub(crate) fn diff_of_what_differs(old: &Scan, new: &Scan, every: usize, access_times: bool) -> Collected {
    let whole = |scan: &Scan| {
        let mut collector = Collector::new(&sorter());
        scan.records.iter().for_each(|record| assert_eq!(collector.push(record).unwrap(), []));
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
                assert_eq!(kept.push(&record).unwrap(), []);
            }
            None => assert_eq!(made.push(&record).unwrap(), []),
        }
    }
    let counts = Counts::sum(&[kept.finish()]);
    let holding = Holding { bits, records: before.counts.records() };
    let kept =
        Kept { before: of(&before.out), holding, counts, sorter: sorter(), access_times, threaded: access_times };
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

pub(crate) fn diff(old: &Scan, new: &Scan) -> Collected {
    diff_with(old, new, None).0
}

pub(crate) fn compared(rules: &[String]) -> AttributeSet {
    let mut set = AttributeSet::compared();
    if rules.iter().any(|rule| rule == "times") {
        set.insert(Attribute::Mtime);
    }
    if rules.iter().any(|rule| rule == "all") {
        [Attribute::Size, Attribute::Flags].into_iter().for_each(|attribute| set.insert_wholly(attribute));
    }
    set
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub(crate) fn with(record: &Record, attribute: Attribute, value: Value) -> Record {
    let mut record = record.clone();
    record.set(attribute, value);
    record
}

pub(crate) fn without(record: &Record, attribute: Attribute) -> Record {
    let mut record = record.clone();
    record.attributes.retain(|(a, _)| *a != attribute);
    record
}

pub(crate) fn entity(path: &str, kind: Kind, id: &str) -> Record {
    let mut record = Record::new(path, kind);
    record.set(Attribute::Mode, text("0755"));
    record.set(Attribute::Volume, text(VOLUME));
    if !id.is_empty() {
        record.set(Attribute::Id, text(id));
    }
    record
}

pub(crate) fn dir(path: &str, id: &str) -> Record {
    entity(path, Kind::Dir, id)
}

pub(crate) fn file(path: &str, id: &str, content: &str) -> Record {
    let mut record = entity(path, Kind::File, id);
    record.set(Attribute::Size, Value::Number(content.len() as u64));
    record.set(Attribute::Sha256, text(content));
    record.set(Attribute::Mtime, text("2026-01-01T00:00:00.000000000Z"));
    record
}

pub(crate) fn stream(path: &str, name: &str, content: &str) -> Record {
    let mut record = Record { name: name.into(), ..Record::new(path, Kind::Stream) };
    record.set(Attribute::Size, Value::Number(content.len() as u64));
    record.set(Attribute::Sha256, text(content));
    record
}

pub(crate) fn fault(path: &str, part: Part) -> Record {
    Record::fault(path, Vec::new(), part, Fault::new("ext4", "inode 12", "bad checksum"))
}

/// A change in one line: kind, old path, new path, fields, count.
pub(crate) fn line(change: &Change) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let path = |record: &Option<Record>| match record {
        Some(record) if record.name.is_empty() => text(&record.path),
        Some(record) => format!("{}:{}", text(&record.path), text(&record.name)),
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

pub(crate) fn lines(out: &Collected) -> Vec<String> {
    out.changes.iter().map(line).collect()
}

#[track_caller]
pub(crate) fn check(old: &[Record], new: &[Record], expected: &[&str]) {
    assert_eq!(lines(&diff(&Scan::of(old), &Scan::of(new))), expected);
}

pub(crate) fn on(volume: &str, record: Record) -> Record {
    with(&record, Attribute::Volume, text(volume))
}
