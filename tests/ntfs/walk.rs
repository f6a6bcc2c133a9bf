//! Walks a volume into rows that look like those of the oracle's tables.

use std::{
    collections::BTreeMap, fmt::Write as _, fs::File, ops::ControlFlow, os::unix::fs::FileExt, path::Path, sync::Arc,
};

use sha2::{Digest, Sha256};
use snapfim::{
    error::{Error, Result},
    fs::{
        Extent, FileSystem, Kind, Link, Listed, Metadata, NodeId, Place, Session, Sink, Stream, Timestamp, ntfs::Ntfs,
    },
    image::{Image, past_end},
};

/// An image in a file of this host.
pub(crate) struct Raw {
    file: File,
    len: u64,
}

impl Raw {
    pub(crate) fn open(path: &Path) -> Self {
        let file = File::open(path).expect("an image");
        let len = file.metadata().expect("metadata").len();
        Self { file, len }
    }
}

impl Image for Raw {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset.saturating_add(buf.len() as u64) > self.len {
            return Err(past_end("raw", offset, buf.len() as u64, self.len));
        }
        self.file.read_exact_at(buf, offset).map_err(|error| Error::io("raw", "read", error))
    }
}

/// Hashes a stream and counts its bytes.
pub(crate) struct Hash {
    digest: Sha256,
    pub(crate) len: u64,
    pub(crate) data: u64,
    most: u64,
}

impl Hash {
    /// Stops behind `most` bytes.
    pub(crate) fn up_to(most: u64) -> Self {
        Self { digest: Sha256::new(), len: 0, data: 0, most }
    }

    pub(crate) fn hex(self) -> String {
        hex(&self.digest.finalize())
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.len >= self.most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Sink for Hash {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.digest.update(bytes);
        self.len += bytes.len() as u64;
        self.data += bytes.len() as u64;
        self.flow()
    }

    fn hole(&mut self, len: u64) -> ControlFlow<()> {
        let zeros = [0; 65536];
        let mut left = len.min(self.most.saturating_sub(self.len));
        self.len += len;
        while left > 0 {
            let take = left.min(zeros.len() as u64);
            self.digest.update(&zeros[..take as usize]);
            left -= take;
        }
        self.flow()
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The inverse of the reader's conversion, written on its own: FILETIME of a point in time.
pub(crate) fn filetime(time: Timestamp) -> u64 {
    ((i128::from(time.seconds) + 11_644_473_600) * 10_000_000 + i128::from(time.nanos / 100)) as u64
}

/// One entity as it was found.
pub(crate) struct Row {
    pub(crate) meta: Metadata,
    pub(crate) kind: Kind,
    pub(crate) sha256: String,
    /// Name, size, hash.
    pub(crate) streams: Vec<(Vec<u8>, u64, String)>,
    pub(crate) link: Option<Link>,
    pub(crate) extents: Vec<Extent>,
    pub(crate) faults: Vec<String>,
}

/// Everything under the root by path, the root as `/`; paths are WTF-8.
pub(crate) fn walk(ntfs: &Ntfs) -> BTreeMap<Vec<u8>, Row> {
    let mut session = ntfs.session().expect("a session");
    let mut rows = BTreeMap::new();
    let mut todo = vec![(Vec::new(), session.root(), None)];
    while let Some((path, node, link)) = todo.pop() {
        let row = row(session.as_mut(), &node, link);
        let is_dir = row.kind == Kind::Dir;
        let key = if path.is_empty() { b"/".to_vec() } else { path.clone() };
        assert!(rows.insert(key, row).is_none(), "listed twice: {}", String::from_utf8_lossy(&path));
        if is_dir {
            let mut faults = Vec::new();
            let listed = session.list(&node, &mut |listed| {
                match listed {
                    Listed::Entry(entry) => {
                        todo.push(([&path, &b"/"[..], entry.name].concat(), entry.node, entry.link))
                    }
                    Listed::Fault(fault) => faults.push(fault.to_string()),
                }
                ControlFlow::Continue(())
            });
            faults.extend(listed.err().map(|error| error.to_string()));
            assert_eq!(faults, [""; 0], "{}", String::from_utf8_lossy(&path));
        }
    }
    rows
}

fn row(session: &mut dyn Session, node: &NodeId, link: Option<Link>) -> Row {
    let meta = session.metadata(node).expect("metadata");
    let kind = meta.kind.expect("a kind");
    let mut faults: Vec<String> = meta.faults.iter().map(ToString::to_string).collect();
    let mut content = |stream: &Stream, size: u64| {
        let mut hash = Hash::up_to(u64::MAX);
        match session.read(node, stream, &mut hash) {
            Ok(()) => assert_eq!(hash.len, size, "bytes handed out and length"),
            Err(error) => faults.push(error.to_string()),
        }
        hash.hex()
    };
    let sha256 = if kind == Kind::File { content(&Stream::Content, meta.size) } else { String::new() };
    let windows = meta.windows.as_ref().expect("what NTFS keeps");
    let mut streams: Vec<_> = windows
        .streams
        .iter()
        .map(|stream| (stream.name.clone(), stream.size, content(&Stream::Named(stream.name.clone()), stream.size)))
        .collect();
    streams.sort();
    let extents =
        if kind == Kind::File { session.extents(node, &Stream::Content).unwrap_or_default() } else { Vec::new() };
    Row { kind, sha256, streams, link, extents, faults, meta }
}

/// Extents must cover the content from 0 to its length, and what lies on the volume must be what is read.
pub(crate) fn check_extents(image: &dyn Image, row: &Row) {
    let mut at = 0;
    for extent in &row.extents {
        assert_eq!(extent.start, at, "{:?}", row.extents);
        assert!(extent.len > 0);
        at += extent.len;
    }
    assert_eq!(at, row.meta.size, "{:?}", row.extents);
    if row.extents.iter().any(|extent| matches!(extent.place, Place::Encoded { .. } | Place::Metadata)) {
        return;
    }
    let mut hash = Hash::up_to(u64::MAX);
    for extent in &row.extents {
        match extent.place {
            Place::Volume(offset) => {
                let mut bytes = vec![0; extent.len as usize];
                image.read_at(offset, &mut bytes).expect("an extent on the volume");
                let _ = hash.data(&bytes);
            }
            _ => {
                let _ = hash.hole(extent.len);
            }
        }
    }
    assert_eq!(hash.hex(), row.sha256);
}

/// A table of the oracle by path; the first line names the columns.
pub(crate) fn table(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = text.lines();
    let columns: Vec<_> = lines.next().expect("columns").split('\t').collect();
    lines
        .map(|line| columns.iter().map(ToString::to_string).zip(line.split('\t').map(str::to_owned)).collect())
        .collect()
}

/// A path as the oracle's tables print it.
pub(crate) fn printed(path: &[u8]) -> String {
    let escaped = |c: char| if "\t\n\r\\".contains(c) { format!("\\x{:02x}", c as u32) } else { c.to_string() };
    match std::str::from_utf8(path) {
        Ok(text) => text.chars().map(escaped).collect(),
        Err(_) => path
            .iter()
            .map(|b| if (32..127).contains(b) && *b != 92 { (*b as char).to_string() } else { format!("\\x{b:02x}") })
            .collect(),
    }
}

/// Opens the volume and walks it.
pub(crate) fn open(image: Arc<dyn Image>) -> (Ntfs, BTreeMap<Vec<u8>, Row>) {
    assert!(Ntfs::probe(image.as_ref()).expect("a probe"));
    let ntfs = Ntfs::open(image).expect("an NTFS volume");
    let rows = walk(&ntfs);
    (ntfs, rows)
}

/// All columns of `truth_ntfs.py`'s table that a row differs in, each as `column: expected, found`.
pub(crate) fn differences(expected: &BTreeMap<String, String>, row: &Row) -> Vec<String> {
    let windows = row.meta.windows.as_ref().expect("what NTFS keeps");
    let time = |time: Option<Timestamp>| filetime(time.expect("a time")).to_string();
    let descriptor = windows.descriptor.as_deref().map(hex).unwrap_or_default();
    let reparse = windows.reparse.as_ref().map(|(tag, data)| {
        let length = if tag & 0x8000_0000 == 0 { data.len().saturating_sub(16) } else { data.len() };
        hex(&[&tag.to_le_bytes()[..], &(length as u16).to_le_bytes(), &[0, 0], data].concat())
    });
    let streams: Vec<_> =
        row.streams.iter().map(|(name, size, sha)| format!("{}:{size}:{sha}", printed(name))).collect();
    let kind = match row.kind {
        Kind::File => "file",
        Kind::Dir => "dir",
        Kind::Symlink => "link",
        _ => "other",
    };
    let found = [
        ("type", kind.to_owned()),
        ("size", if row.kind == Kind::File { row.meta.size.to_string() } else { String::new() }),
        ("attrib", format!("{:#x}", windows.attributes)),
        ("crtime", time(row.meta.times.crtime)),
        ("mtime", time(row.meta.times.mtime)),
        ("atime", time(row.meta.times.atime)),
        ("ctime", time(row.meta.times.ctime)),
        ("nlink", row.meta.nlink.unwrap_or(0).to_string()),
        ("mft", row.meta.id.as_deref().and_then(|id| id.split(':').next()).unwrap_or_default().to_owned()),
        ("sha256", row.sha256.clone()),
        ("streams", streams.join(";")),
        ("acl_hex", descriptor),
        ("reparse_tag", windows.reparse.as_ref().map(|(tag, _)| format!("{tag:#010x}")).unwrap_or_default()),
        ("reparse_hex", reparse.unwrap_or_default()),
        ("dosname", row.link.as_ref().and_then(|link| link.short_name.clone()).unwrap_or_default()),
    ];
    let differs = |(column, found): &(&str, String)| expected.get(*column).is_some_and(|expected| expected != found);
    let mut out: Vec<_> = found
        .iter()
        .filter(|pair| differs(pair))
        .map(|(column, found)| format!("{column}: {}, {found}", expected[*column]))
        .collect();
    out.extend(row.faults.iter().cloned());
    out
}

/// Compares a whole volume with a table of `truth_ntfs.py`, all columns.
pub(crate) fn compare(image: &Arc<dyn Image>, truth: &str) -> (usize, Vec<String>) {
    let (_, mut rows) = open(Arc::clone(image));
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut named: BTreeMap<String, Row> = BTreeMap::new();
    while let Some((path, row)) = rows.pop_first() {
        if row.faults.is_empty() && row.kind == Kind::File {
            check_extents(image.as_ref(), &row);
        }
        named.insert(printed(&path), row);
    }
    for expected in table(truth) {
        count += 1;
        match named.remove(&expected["path"]) {
            None => wrong.push(format!("{}: not listed", expected["path"])),
            Some(row) => wrong
                .extend(differences(&expected, &row).into_iter().map(|what| format!("{}: {what}", expected["path"]))),
        }
    }
    wrong.extend(named.keys().map(|path| format!("{path}: not in the truth")));
    (count, wrong)
}
