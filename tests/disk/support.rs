//! Fixtures, an image that can be damaged cheaply, and a walk over a filesystem.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use snapfim::{
    error::Result,
    fs::{FileSystem, Kind, Listed, NodeId, Session, Sink, Stream},
    image::{Image, past_end},
};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/disk")
}

pub(crate) fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    zstd::decode_all(std::fs::File::open(folder().join(format!("{name}.zst"))).unwrap()).unwrap()
}

pub(crate) fn image(name: &str) -> Patched {
    Patched::new(bytes(name))
}

/// Bytes in memory with single bytes changed, which cost no copy.
#[derive(Clone)]
pub(crate) struct Patched {
    base: Arc<Vec<u8>>,
    edits: BTreeMap<u64, u8>,
    len: u64,
}

impl Patched {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        Self { base: Arc::new(bytes), edits: BTreeMap::new(), len }
    }

    pub(crate) fn put(mut self, offset: u64, bytes: &[u8]) -> Self {
        self.edits.extend((offset..).zip(bytes.iter().copied()));
        self
    }

    pub(crate) fn cut(self, len: u64) -> Self {
        Self { len: self.len.min(len), ..self }
    }

    /// With zeros behind its end.
    pub(crate) fn grown(self, len: u64) -> Self {
        Self { len: self.len.max(len), ..self }
    }

    pub(crate) fn get(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.read_at(offset, &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn shared(self) -> Arc<dyn Image> {
        Arc::new(self)
    }
}

impl Image for Patched {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|&end| end <= self.len);
        let Some(end) = end else { return Err(past_end("test", offset, buf.len() as u64, self.len)) };
        buf.fill(0);
        let stored = self.base.len() as u64;
        if offset < stored {
            let source = &self.base[offset as usize..end.min(stored) as usize];
            buf[..source.len()].copy_from_slice(source);
        }
        for (&at, &byte) in self.edits.range(offset..end) {
            buf[(at - offset) as usize] = byte;
        }
        Ok(())
    }
}

/// What a walk sees of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kind: Kind,
    pub(crate) size: u64,
    /// The content's hash, or the error.
    pub(crate) content: Result<String, String>,
    pub(crate) node: NodeId,
}

#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) entries: BTreeMap<String, Seen>,
    pub(crate) faults: Vec<String>,
}

impl Walk {
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// All faults, of listings and of contents.
    pub(crate) fn all_faults(&self) -> Vec<String> {
        let contents = self.entries.iter().filter_map(|(path, seen)| Some((path, seen.content.as_ref().err()?)));
        self.faults.iter().cloned().chain(contents.map(|(path, error)| format!("{path}: {error}"))).collect()
    }
}

/// More entries than any fixture has: a walk that reaches it runs in a loop.
const MAX_ENTRIES: usize = 20_000;

struct Hash {
    hash: Sha256,
    len: u64,
}

impl Sink for Hash {
    fn data(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        ControlFlow::Continue(())
    }

    fn hole(&mut self, len: u64) -> ControlFlow<()> {
        let zeros = [0; 4096];
        for at in (0..len).step_by(zeros.len()) {
            self.hash.update(&zeros[..zeros.len().min((len - at) as usize)]);
        }
        self.len += len;
        ControlFlow::Continue(())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn read(session: &mut dyn Session, node: &NodeId) -> Result<(String, u64), String> {
    let mut hash = Hash { hash: Sha256::new(), len: 0 };
    session.read(node, &Stream::Content, &mut hash).map_err(|error| error.to_string())?;
    Ok((hex(&hash.hash.finalize()), hash.len))
}

/// Goes through a whole filesystem and reads everything.
pub(crate) fn walk(filesystem: &dyn FileSystem) -> Walk {
    let mut session = filesystem.session().unwrap();
    let mut walk = Walk::default();
    let mut stack = vec![(String::new(), session.root())];
    while let Some((path, dir)) = stack.pop() {
        let mut listed = Vec::new();
        let result = session.list(&dir, &mut |entry| {
            match entry {
                Listed::Entry(entry) => listed.push((String::from_utf8_lossy(entry.name).into_owned(), entry.node)),
                Listed::Fault(fault) => walk.faults.push(format!("{path}: {fault}")),
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            walk.faults.push(format!("{path}: {error}"));
        }
        for (name, node) in listed {
            let path = format!("{path}/{name}");
            let metadata = match session.metadata(&node) {
                Ok(metadata) => metadata,
                Err(error) => {
                    walk.faults.push(format!("{path}: {error}"));
                    continue;
                }
            };
            let kind = metadata.kind.unwrap();
            let content = if kind == Kind::File {
                read(session.as_mut(), &node).map(|(hash, len)| {
                    assert_eq!(len, metadata.size, "{path}");
                    hash
                })
            } else {
                Ok(String::new())
            };
            if kind == Kind::Dir {
                stack.push((path.clone(), node.clone()));
            }
            assert!(walk.entries.len() < MAX_ENTRIES, "the walk does not end");
            walk.entries.insert(path, Seen { kind, size: metadata.size, content, node });
        }
    }
    walk
}

/// A generator of numbers that gives the same row on every machine (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}
