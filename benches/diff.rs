//! Diffs of two manifests of a million records each, about 400 bytes a line: `cargo bench --bench diff [RECORDS]`.
//! Prints wall time, CPU time and peak memory of each case, which runs in a process of its own.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::{
    fs::{self, File},
    io::BufWriter,
    path::Path,
    process::Command,
    time::Instant,
};

use sha2::{Digest, Sha256};
use snapfim::{
    diff::{Change, Input, Output, ScanChange, run},
    error::Result,
    manifest::{Attribute, AttributeSet, Collector, Header, Kind, Os, Reader, Record, Sorter, Value, Writer, write},
};

/// Memory for everything that waits, in bytes.
const MEMORY: usize = 64 << 20;

/// What differs between the two sides.
#[derive(Clone, Copy, PartialEq)]
enum Case {
    /// Nothing.
    Same,
    /// One entity in a thousand.
    Few,
    /// Every line, in what is not compared.
    Touched,
    /// Every content.
    Changed,
    /// The directory above all.
    Renamed,
}

const CASES: [(Case, &str); 5] = [
    (Case::Same, "same"),
    (Case::Few, "few"),
    (Case::Touched, "touched"),
    (Case::Changed, "changed"),
    (Case::Renamed, "renamed"),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    if let [dir, case, ..] = args.as_slice()
        && let Some((case, _)) = CASES.iter().find(|(_, name)| name == case)
    {
        return measure(Path::new(dir), *case);
    }
    let records: u64 = args.first().map_or(1_000_000, |records| records.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    generate(dir.path(), records, None);
    println!("{:8} {:>8} {:>8} {:>8} {:>9} {:>9}", "", "wall s", "cpu s", "MiB", "changes", "moved");
    for (case, name) in CASES {
        generate(dir.path(), records, Some(case));
        let program = std::env::current_exe().unwrap();
        assert!(Command::new(program).arg(dir.path()).args([name, "--bench"]).status().unwrap().success());
    }
    sort(dir.path(), records);
}

fn header() -> Header {
    let os = Os { family: "linux".into(), ..Os::default() };
    Header { policy: serde_json::json!({}), os, volumes: vec![] }
}

fn hex(seed: u64) -> String {
    Sha256::digest(seed.to_le_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record(at: u64, case: Option<Case>) -> Record {
    let few = case == Some(Case::Few) && at.is_multiple_of(1000);
    let all = |wanted| case == Some(wanted);
    let top = if all(Case::Renamed) { "usr2" } else { "usr" };
    let path = if at == 0 { format!("/{top}") } else { format!("/{top}/share/package-{:05}/file-{at:08}", at / 100) };
    let mut record = Record::new(path, if at == 0 { Kind::Dir } else { Kind::File });
    let content = if few || all(Case::Changed) { at + (1 << 40) } else { at };
    let mtime = 1_000_000 + at * 7919 % 1_000_000;
    let atime = if all(Case::Touched) { mtime + 1 } else { mtime };
    record.set(Attribute::Size, Value::Number(at * 7919 % 1_000_003 + 1));
    record.set(Attribute::Sha256, Value::Text(hex(content)));
    for (attribute, text) in [
        (Attribute::Mode, "0644".to_owned()),
        (Attribute::User, "root".to_owned()),
        (Attribute::Group, "root".to_owned()),
        (Attribute::Id, format!("{at}:{}", at * 7_919 % 4_294_967_291)),
        (Attribute::Mtime, format!("2026-01-01T00:00:00.{:09}Z", mtime)),
        (Attribute::Ctime, format!("2026-01-01T00:00:00.{:09}Z", mtime)),
        (Attribute::Atime, format!("2026-01-01T00:00:00.{:09}Z", atime)),
        (Attribute::Volume, "@5d1e0a3c-8a5b-4c39-9d3e-2f6b1f3f9a10".to_owned()),
    ] {
        record.set(attribute, Value::Text(text));
    }
    for attribute in [Attribute::Uid, Attribute::Gid] {
        record.set(attribute, Value::Number(0));
    }
    record.set(Attribute::Rules, Value::List(["recommended".into()].into()));
    record
}

fn generate(dir: &Path, records: u64, case: Option<Case>) {
    let file = File::create(dir.join(if case.is_some() { "new" } else { "old" })).unwrap();
    let mut writer = Writer::new(BufWriter::new(file), &header()).unwrap();
    for at in 0..records {
        writer.push(&record(at, case)).unwrap();
    }
    writer.finish().unwrap();
}

/// Counts what comes.
#[derive(Default)]
struct Count {
    moved: u64,
    changes: u64,
}

impl Output for Count {
    fn scan_change(&mut self, _: ScanChange) -> Result<()> {
        Ok(())
    }

    fn change(&mut self, change: Change) -> Result<()> {
        self.changes += 1;
        self.moved += change.moved_along;
        Ok(())
    }

    fn carry(&mut self, _: Record) -> Result<()> {
        Ok(())
    }
}

fn measure(dir: &Path, case: Case) {
    let start = Start::now();
    let input = Input {
        old: Reader::open(&dir.join("old")).unwrap(),
        carried: None,
        new: Reader::open(&dir.join("new")).unwrap(),
        compared: &|_| AttributeSet::compared(),
        access_times: false,
        policy: None,
        sorter: Sorter::new(dir, MEMORY),
    };
    let mut count = Count::default();
    run(input, &mut count).unwrap();
    let name = CASES.iter().find(|(c, _)| *c == case).unwrap().1;
    report(name, start, &count.changes.to_string(), &count.moved.to_string());
}

/// The sort that a scan needs: two workers, records in an order of their own.
fn sort(dir: &Path, records: u64) {
    let start = Start::now();
    let sorter = Sorter::new(dir, MEMORY / 2);
    let work = &|worker: u64| {
        let mut collector = Collector::new(&sorter);
        for at in (worker..records).step_by(2) {
            collector.push(&record(at * 7919 % records, None)).unwrap();
        }
        collector.finish()
    };
    let runs = std::thread::scope(|scope| {
        let workers = [0, 1].map(|worker| scope.spawn(move || work(worker)));
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    report("collect", start, "", "");
    let start = Start::now();
    let file = File::create(dir.join("new")).unwrap();
    write(BufWriter::new(file), &header(), runs, MEMORY).unwrap();
    let size = fs::metadata(dir.join("new")).unwrap().len();
    report("write", start, &format!("{} KiB", size >> 10), "");
}

/// When a case began.
struct Start {
    wall: Instant,
    cpu: f64,
}

impl Start {
    fn now() -> Self {
        Self { wall: Instant::now(), cpu: cpu() }
    }
}

/// CPU seconds of this process, as `proc_pid_stat(5)` tells them at 100 ticks a second.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat.split(' ').skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// Times, and the peak memory as `proc_pid_status(5)` tells it.
fn report(name: &str, start: Start, changes: &str, moved: &str) {
    let (wall, cpu) = (start.wall.elapsed().as_secs_f64(), cpu() - start.cpu);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    println!("{name:8} {wall:>8.2} {cpu:>8.2} {:>8} {changes:>9} {moved:>9}", peak.unwrap_or(0) >> 10);
}
