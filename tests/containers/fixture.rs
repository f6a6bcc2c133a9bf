//! The images of `fixtures/containers`, unpacked into a directory of the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use snapfim::{
    error::{Error, Result},
    image::{
        Image,
        probe::{self, OpenOptions, Opened},
    },
};

/// A directory with some of the fixtures in it.
pub(crate) struct Fixtures {
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn packed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/containers")
}

impl Fixtures {
    pub(crate) fn all() -> Self {
        let names: Vec<String> = fs::read_dir(packed())
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".zst").map(str::to_owned))
            .collect();
        Self::of(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn of(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let bytes = zstd::decode_all(fs::File::open(packed().join(format!("{name}.zst"))).unwrap()).unwrap();
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Writes over the bytes at `at`.
    pub(crate) fn patch(&self, name: &str, at: usize, bytes: &[u8]) {
        let mut all = self.bytes(name);
        all[at..at + bytes.len()].copy_from_slice(bytes);
        self.put(name, &all);
    }

    pub(crate) fn open(&self, name: &str) -> Result<Opened> {
        self.open_at(name, None)
    }

    pub(crate) fn open_at(&self, name: &str, snapshot: Option<&str>) -> Result<Opened> {
        probe::open(&self.path(name), &OpenOptions { image_root: None, snapshot: snapshot.map(str::to_owned) })
    }

    pub(crate) fn error(&self, name: &str) -> String {
        match self.open(name) {
            Ok(opened) => match content(&*opened.image) {
                Ok(_) => panic!("{name} can be read"),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        }
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        content(&*self.open(name).unwrap().image).unwrap()
    }
}

/// All bytes of a disk, read in pieces that fit no cluster.
pub(crate) fn content(image: &dyn Image) -> Result<Vec<u8>, Error> {
    let mut all = vec![0; usize::try_from(image.len()).unwrap()];
    for (n, piece) in all.chunks_mut(100_003).enumerate() {
        image.read_at(n as u64 * 100_003, piece)?;
    }
    Ok(all)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The rows of a table, without its head.
pub(crate) fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}
