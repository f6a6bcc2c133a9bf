//! That a manifest, or a file of events, is the one that a scan has written.

use std::fs::File;
use std::io::{self, BufReader, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event_file::At;
use crate::text::hex;

/// How many bytes are read at once.
const BUFFER: usize = 256 * 1024;

/// Size and hash of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FileProof {
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl FileProof {
    /// What a file is, from its start to its end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let mut proving = Proving::new(io::sink());
        io::copy(&mut BufReader::with_capacity(BUFFER, At { file, offset: 0 }), &mut proving)?;
        Ok(proving.proof())
    }
}

/// A manifest's file as it is written, with the proof of what was.
#[derive(Debug)]
pub struct Proving<W> {
    out: W,
    size: u64,
    hash: Sha256,
}

impl<W> Proving<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, size: 0, hash: Sha256::new() }
    }

    /// Of all that was written.
    pub fn proof(self) -> FileProof {
        FileProof { size: self.size, sha256: hex(&self.hash.finalize()) }
    }
}

impl<W: Write> Write for Proving<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or(bytes));
        self.size = self.size.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most three bytes at a time.
    struct Slow(File);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(&bytes[..bytes.len().min(3)])
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    #[test]
    fn what_is_proved_in_writing_is_what_the_file_holds() {
        let file = tempfile::tempfile().unwrap();
        let mut proving = Proving::new(Slow(file.try_clone().unwrap()));
        proving.write_all(b"abc").unwrap();
        proving.write_all(b"dbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").unwrap();
        let proof = proving.proof();
        // FIPS 180-2, B.2.
        assert_eq!(proof.sha256, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
        assert_eq!(FileProof::of(&file).unwrap(), proof);
    }
}
