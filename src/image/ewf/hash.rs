//! "Hash section" and "Digest section": MD5 and SHA-1 of the disk, as it was when it was acquired.

use std::{path::Path, sync::Arc};

use md5::{Digest, Md5};
use sha1::Sha1;

use super::open_with_hash;
use crate::{
    error::Result,
    field::narrow,
    image::{Image, Raw, beneath::Place, host_file::HostFile, layer::Findings, mapped::Mapped},
};

/// Bytes that are hashed at once.
const PIECE: u64 = 1 << 20;

/// The stored hashes.
#[derive(Default)]
pub(super) struct Stored {
    /// In the hash section and in the digest section.
    pub(super) md5: Vec<[u8; 16]>,
    pub(super) sha1: Option<[u8; 20]>,
}

impl Stored {
    /// One more MD5; zeros stand where none was computed, and every segment may repeat the same one.
    pub(super) fn add_md5(&mut self, md5: [u8; 16]) {
        if md5 != [0; 16] && !self.md5.contains(&md5) && self.md5.len() < 2 {
            self.md5.push(md5);
        }
    }
}

/// Whether the disk is the one that was acquired; `None` for a hash that the image does not store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the stored MD5 is right.
    pub md5: Option<bool>,
    /// Whether the stored SHA-1 is right.
    pub sha1: Option<bool>,
}

/// Reads all of the E01 image whose first segment is `path`, and compares with the hashes that it stores.
///
/// # Errors
/// When the image cannot be opened, or a part of it cannot be read.
pub fn verify_stored_hash(path: &Path) -> Result<Verdict> {
    let file = HostFile::new(Raw::open(path)?)?;
    let place = Place::of(&file, None)?;
    let (chunks, stored) = open_with_hash(Arc::new(file), &place, &mut Findings::default())?;
    let image = Mapped(chunks);
    let (mut md5, mut sha1) = (Md5::new(), Sha1::new());
    let mut piece = vec![0; narrow(PIECE.min(image.len()))];
    let mut at = 0;
    while at < image.len() {
        let len = narrow(image.len().saturating_sub(at)).min(piece.len());
        let Some(part) = piece.get_mut(..len) else { break };
        image.read_at(at, part)?;
        md5.update(&*part);
        sha1.update(&*part);
        at = at.saturating_add(PIECE);
    }
    let (md5, sha1) = (md5.finalize(), sha1.finalize());
    Ok(Verdict {
        md5: (!stored.md5.is_empty()).then(|| stored.md5.iter().all(|stored| stored.as_slice() == md5.as_slice())),
        sha1: stored.sha1.map(|stored| stored.as_slice() == sha1.as_slice()),
    })
}
