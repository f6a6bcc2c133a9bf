//! That a manifest is the one that a scan has written.

use std::fs::File;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::entity_path::hex;
use super::event_file::At;

/// Size and hash of a manifest's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ManifestProof {
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl ManifestProof {
    /// What a file is, from its start to its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let mut input = At { file, offset: 0 };
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let read = input.read(&mut buffer)?;
            match buffer.get(..read) {
                Some(bytes) if !bytes.is_empty() => hash.update(bytes),
                _ => return Ok(Self { size: input.offset, sha256: hex(&hash.finalize()) }),
            }
        }
    }
}
