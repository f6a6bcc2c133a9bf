//! Compares a volume, entry by entry, with a table that another tool made.

use std::{collections::BTreeMap, fmt::Write as _, ops::ControlFlow, path::Path};

use sha2::{Digest, Sha256};
use snapfim::fs::{FileSystem, Kind, Listed, NodeId, Session, Sink, Stream, Timestamp};

/// Longer files are not read.
const LONGEST: u64 = 1 << 30;

/// One line of a table: column name to text.
pub(crate) type Row = BTreeMap<String, String>;

/// Reads a table of tab-separated columns, named by its first line; by path, only rows of `volume`.
pub(crate) fn read(path: &Path, volume: &str) -> BTreeMap<String, Row> {
    parse(&std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())), volume)
}

/// As [`read`], from text.
pub(crate) fn parse(text: &str, volume: &str) -> BTreeMap<String, Row> {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            let fields = line.split('\t').map(str::to_owned);
            columns.iter().map(|c| (*c).to_owned()).zip(fields).collect::<Row>()
        })
        .filter(|row| row.get("volume").is_none_or(|v| v == volume))
        .map(|row| (row["path"].clone(), row))
        .collect()
}

/// All that a walk met: rows by path, and faults and errors as lines.
#[derive(Default)]
pub(crate) struct Walked {
    pub(crate) rows: BTreeMap<String, Row>,
    pub(crate) faults: Vec<String>,
}

/// Printable ASCII as it is, anything else and the backslash as `\xNN`.
pub(crate) fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'\\' | 0..32 | 127.. => write!(text, "\\x{byte:02x}").unwrap(),
            _ => text.push(char::from(*byte)),
        }
        text
    })
}

/// Takes a stream's hash and length.
pub(crate) struct Hash(pub(crate) Sha256, pub(crate) u64);

impl Hash {
    pub(crate) fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

impl Sink for Hash {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.0.update(bytes);
        self.1 += bytes.len() as u64;
        ControlFlow::Continue(())
    }

    fn hole(&mut self, mut len: u64) -> ControlFlow<()> {
        self.1 += len;
        while len > 0 {
            let n = len.min(1 << 16);
            self.0.update(&[0; 1 << 16][..n as usize]);
            len -= n;
        }
        ControlFlow::Continue(())
    }
}

fn nanoseconds(time: Option<Timestamp>) -> String {
    time.map_or(String::new(), |t| (i128::from(t.seconds) * 1_000_000_000 + i128::from(t.nanos)).to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Walks a whole volume and reads everything.
pub(crate) fn walk(fs: &dyn FileSystem) -> Walked {
    let mut session = fs.session().unwrap();
    let mut walked = Walked::default();
    let mut todo = vec![(String::new(), session.root())];
    while let Some((path, node)) = todo.pop() {
        let shown = if path.is_empty() { "/".to_owned() } else { path.clone() };
        let Some(row) = entity(session.as_mut(), &node, &shown, &mut walked.faults) else {
            walked.rows.insert(shown, Row::from([("type".to_owned(), "error".to_owned())]));
            continue;
        };
        if row["type"] == "dir" {
            let result = session.list(&node, &mut |listed| {
                match listed {
                    Listed::Entry(entry) => todo.push((format!("{path}/{}", escape(entry.name)), entry.node)),
                    Listed::Fault(fault) => walked.faults.push(format!("{shown}: list: {fault}")),
                }
                ControlFlow::Continue(())
            });
            if let Err(error) = result {
                walked.faults.push(format!("{shown}: list: {error}"));
            }
        }
        assert!(walked.rows.insert(shown.clone(), row).is_none(), "{shown} is listed twice");
    }
    walked
}

fn entity(session: &mut dyn Session, node: &NodeId, path: &str, faults: &mut Vec<String>) -> Option<Row> {
    let metadata = match session.metadata(node) {
        Ok(metadata) => metadata,
        Err(error) => {
            faults.push(format!("{path}: {error}"));
            return None;
        }
    };
    faults.extend(metadata.faults.iter().map(|fault| format!("{path}: {fault}")));
    let (name, bits) = match metadata.kind.unwrap() {
        Kind::File => ("file", 0o100_000),
        Kind::Dir => ("dir", 0o040_000),
        Kind::Symlink => ("link", 0o120_000),
        Kind::Char => ("char", 0o020_000),
        Kind::Block => ("block", 0o060_000),
        Kind::Fifo => ("fifo", 0o010_000),
        Kind::Socket => ("sock", 0o140_000),
        Kind::Reparse => unreachable!(),
    };
    let mut row = Row::new();
    let mut put = |column: &str, value: String| drop(row.insert(column.to_owned(), value));
    if name == "file" {
        let mut hash = Hash(Sha256::new(), 0);
        // The tables have no hash of longer files either.
        if metadata.size <= LONGEST {
            match session.read(node, &Stream::Content, &mut hash) {
                Ok(()) => assert_eq!(hash.1, metadata.size, "{path}"),
                Err(error) => faults.push(format!("{path}: read: {error}")),
            }
            put("sha256", hash.hex());
        }
        match session.extents(node, &Stream::Content) {
            Ok(extents) => {
                let end = extents.iter().fold(0, |at, extent| {
                    assert_eq!(at, extent.start, "{path}");
                    assert!(extent.len > 0, "{path}");
                    at + extent.len
                });
                assert_eq!(end, metadata.size, "{path}");
            }
            Err(error) => faults.push(format!("{path}: extents: {error}")),
        }
    } else {
        put("sha256", String::new());
    }
    put("type", name.to_owned());
    put("size", metadata.size.to_string());
    put("mode", format!("{:06o}", metadata.mode.unwrap() | bits));
    put("uid", metadata.uid.unwrap().to_string());
    put("gid", metadata.gid.unwrap().to_string());
    put("nlink", metadata.nlink.unwrap().to_string());
    put("inode", metadata.id.unwrap().split(':').next().unwrap().to_owned());
    put("mtime_ns", nanoseconds(metadata.times.mtime));
    put("ctime_ns", nanoseconds(metadata.times.ctime));
    put("atime_ns", nanoseconds(metadata.times.atime));
    put("crtime_ns", nanoseconds(metadata.times.crtime));
    put("target", escape(&metadata.target.unwrap_or_default()));
    put("rdev", metadata.rdev.map_or(String::new(), |(major, minor)| format!("{major},{minor}")));
    let mut xattrs: Vec<_> = metadata.xattrs.iter().map(|xattr| (escape(&xattr.name), hex(&xattr.value))).collect();
    xattrs.sort();
    let xattrs = xattrs.iter().map(|(name, value)| format!("{}={value}", name.replace(';', "\\x3b")));
    put("xattrs", xattrs.collect::<Vec<_>>().join(";"));
    let has_flags = matches!(name, "file" | "dir");
    put("flags", if has_flags { format!("{:#x}", metadata.flags.unwrap()) } else { String::new() });
    Some(row)
}

/// Every difference between what was walked and the table, in the columns that both have.
pub(crate) fn differences(walked: &BTreeMap<String, Row>, truth: &BTreeMap<String, Row>) -> Vec<String> {
    let mut differences = Vec::new();
    for path in truth.keys().filter(|path| !walked.contains_key(*path)) {
        differences.push(format!("{path}: only in the table"));
    }
    for (path, ours) in walked {
        let Some(theirs) = truth.get(path) else {
            differences.push(format!("{path}: not in the table"));
            continue;
        };
        for (column, value) in ours {
            if let Some(expected) = theirs.get(column).filter(|expected| *expected != value) {
                differences.push(format!("{path}: {column}: {value:.200} instead of {expected:.200}"));
            }
        }
    }
    differences
}
