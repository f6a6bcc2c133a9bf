//! The fixtures, scans without a state directory, and true lists of what changed.

use std::{
    fs::{self, File},
    io::{Cursor, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use snapfim::{
    changed::{self, ChangedRanges},
    diff::{self, Collected},
    error::Result,
    image::{Memory, changed::is_same},
    manifest::{self, AttributeSet, Differing, Kept, Lines, Reader, Sorter},
    policy::Policy,
    scan::{
        self, Budgets, Options, Progress,
        reuse::{self, AreSame, Layout, Previous, Reuse, Sample, SideHeader, SideWriter},
    },
    target,
};

/// Seeded and small: SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

pub(crate) fn fixture(path: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path);
    zstd::decode_all(File::open(path).unwrap()).unwrap()
}

pub(crate) fn put(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// The byte ranges in which two disks differ, in blocks of `unit` bytes.
pub(crate) fn differences(old: &[u8], new: &[u8], unit: usize) -> Vec<Range<u64>> {
    let blocks = old.chunks(unit).zip(new.chunks(unit)).enumerate();
    let changed = blocks.filter(|(_, (old, new))| old != new);
    changed.map(|(at, (_, new))| (at * unit) as u64..(at * unit + new.len()) as u64).collect()
}

/// The same as a list in one of the formats.
pub(crate) fn list(ranges: &[Range<u64>], size: u64, format: usize) -> String {
    let covered = |row: &dyn Fn(u64, u64, bool) -> String| {
        let (mut rows, mut at) = (Vec::new(), 0);
        for range in ranges {
            if at < range.start {
                rows.push(row(at, range.start - at, false));
            }
            rows.push(row(range.start, range.end - range.start, true));
            at = range.end;
        }
        if at < size {
            rows.push(row(at, size - at, false));
        }
        format!("[{}]", rows.join(",\n"))
    };
    match format {
        0 => covered(&|start, len, changed| {
            let (kind, description) = if changed { (1, "dirty") } else { (0, "clean") };
            format!(r#"{{"offset":{start},"length":{len},"type":{kind},"description":"{description}"}}"#)
        }),
        1 => covered(&|start, len, changed| {
            let depth = u8::from(!changed);
            format!(r#"{{"start":{start},"length":{len},"depth":{depth},"present":true,"zero":false,"data":true}}"#)
        }),
        2 => {
            let row = |range: &Range<u64>| {
                let (start, len) = (range.start, range.end - range.start);
                format!(r#"{{"offset":{start},"length":{len},"exists":"true"}}"#)
            };
            format!("[{}]", ranges.iter().map(row).collect::<Vec<_>>().join(","))
        }
        _ => {
            let row = |range: &Range<u64>| {
                let (start, last) = (range.start, range.end - 1);
                format!("<PageRange><Start>{start}</Start><End>{last}</End></PageRange>")
            };
            let rows: String = ranges.iter().map(row).collect();
            format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><PageList>{rows}<NextMarker/></PageList>")
        }
    }
}

/// make.sh: of day 1 only /etc/new and /many/7 were written, 1,501 and 8,000 lines of 7 bytes and 4 bytes more.
pub(crate) const WRITTEN: u64 = 1_501 * 7 + 8_000 * 7 + 4;

/// What a scan came to.
pub(crate) struct Scan {
    /// The manifest's lines.
    pub(crate) manifest: String,
    /// The manifest.
    packed: Vec<u8>,
    /// What it kept for the next.
    side: File,
    pub(crate) taken_over: u64,
    pub(crate) hashed: u64,
    /// Lines of the manifest before that were taken over.
    pub(crate) kept: u64,
}

/// What a rescan is given besides the list.
#[derive(Clone)]
pub(crate) struct Given<'a> {
    pub(crate) verify: Option<Sample>,
    /// Whether lines of the manifest before may be taken over.
    pub(crate) lines: bool,
    /// The disk as it was.
    pub(crate) old: Option<&'a [u8]>,
    /// The key of its encrypted volume.
    pub(crate) key: Option<&'a [u8]>,
    /// At most so much, and by so many.
    pub(crate) budgets: Budgets,
    pub(crate) threads: usize,
}

/// Nothing but the list.
pub(crate) const LIST: Given<'static> =
    Given { verify: None, lines: true, old: None, key: None, budgets: Budgets::DEFAULT, threads: 2 };

/// Scans a disk in full, or on top of an earlier scan and a list of changes.
pub(crate) fn scan(path: &Path, earlier: Option<(&Scan, &str)>, verify: Option<Sample>) -> Result<Scan> {
    scan_with(path, earlier, Given { verify, ..LIST })
}

/// As [`scan`], with more.
pub(crate) fn scan_with(path: &Path, earlier: Option<(&Scan, &str)>, given: Given) -> Result<Scan> {
    let Given { verify, lines, old, key, budgets, threads } = given;
    let mut options = target::Options::default();
    key.into_iter().for_each(|key| options.keys.add("key".to_owned(), key.to_vec()));
    let target = target::open(path.as_os_str(), &options)?;
    let previous = match earlier {
        Some((scan, list)) => {
            let mut file = scan.side.try_clone().unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            let (_, reader) = reuse::open(file)?;
            let list: ChangedRanges = changed::parse(list.as_bytes())?;
            list.check_size(target.disks[0].size)?;
            let now = target.disks[0].image.clone().unwrap();
            let are_same = old.map(|old| -> AreSame {
                let before = Memory(old.to_vec());
                Box::new(move |range| is_same(now.as_ref(), &before, range))
            });
            Some(Previous::new(reader.load()?, vec![list], lines).looking(are_same.into_iter().collect()))
        }
        None => None,
    };
    let reuse = Reuse { previous, verify };
    let temp = std::env::temp_dir();
    let options = Options { threads, budgets, temp: &temp, reuse: Some(&reuse) };
    let progress = Progress::default();
    let policy = Policy::built_in("full").unwrap().for_machine("m").unwrap();
    let seen = scan::see(&target.machine, policy, &options, &progress)?;
    let (kept, records) = (seen.kept.records(), seen.counts().records());
    let (holding, before) = reuse.previous.map(Previous::into_holding).unzip();
    let sorter = Sorter::new(&temp, 1 << 20);
    let holding = holding.flatten().map(|holding| {
        let before = Reader::new("before", Cursor::new(earlier.unwrap().0.packed.clone())).unwrap();
        Kept { before, holding, counts: seen.kept, sorter, access_times: false, threaded: threads % 2 == 1 }
    });
    assert_eq!(holding.is_some(), kept > 0);
    let header = SideHeader::new("scan", Layout { disks: Vec::new(), volumes: Vec::new() }).within(seen.context);
    let mut side = SideWriter::new(tempfile::tempfile().unwrap(), &header, before)?;
    let manifest = Lines::new(seen.records, holding, 1 << 20)?;
    let mut differing = None;
    let compare = |found| {
        differing = Some(found);
        Ok(())
    };
    let written = manifest::write_lines(Vec::new(), &seen.header, manifest, &mut side, compare)?;
    let side = side.finish(&written.sha256)?;
    assert_eq!(written.counts.records(), records);
    if let (Some(differing), Some((earlier, _))) = (differing, earlier) {
        same_difference(differing, &earlier.packed, &written.out);
    }
    let manifest = String::from_utf8(zstd::decode_all(written.out.as_slice()).unwrap()).unwrap();
    let (taken_over, hashed) = (progress.taken_over(), progress.bytes());
    Ok(Scan { manifest, packed: written.out, side, taken_over, hashed, kept })
}

/// What is said to differ gives the changes that the whole manifests give.
fn same_difference(differing: Differing, before: &[u8], now: &[u8]) {
    let changes = |old: Reader, new: Reader| {
        let mut collected = Collected::default();
        let input = diff::Input {
            old,
            carried: None,
            new,
            compared: &|_| AttributeSet::compared(),
            access_times: false,
            policy: None,
            sorter: Sorter::new(std::env::temp_dir(), 1 << 20),
        };
        diff::run(input, &mut collected).unwrap();
        collected
    };
    let [old, new] = [before, now].map(|bytes| Reader::new("whole", Cursor::new(bytes.to_vec())).unwrap());
    assert_eq!(changes(differing.before, differing.now), changes(old, new));
}

/// Fails at the first line that differs.
pub(crate) fn same(full: &str, rescan: &str, what: &str) {
    for (full, rescan) in full.lines().zip(rescan.lines()) {
        assert_eq!(full, rescan, "{what}");
    }
    assert_eq!(full.len(), rescan.len(), "{what}");
}
