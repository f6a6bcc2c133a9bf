//! Whole lines in large pieces: decompression, hashing and the footer's proof.

use std::{
    fmt,
    io::{self, BufReader, Read},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    json::{self, Malformed},
    read::damaged,
    write::{LINE_MAX, footer},
};
use crate::{error::Result, text};

/// How many bytes of lines go together.
const BLOCK: usize = 128 << 10;

/// How many bytes are decompressed at once.
const PIECE: usize = 64 << 10;

/// No line but the footer begins so.
const FOOTER: &[u8] = b"{\"records\":";

/// The largest window that is accepted, as a power of two: 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// The file as it is read.
struct Compressed {
    file: Box<dyn Read + Send>,
    /// Of all that was read, where the file is to be proved as a whole.
    hash: Option<Sha256>,
}

impl Read for Compressed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buf)?;
        if let Some(hash) = &mut self.hash {
            hash.update(buf.get(..read).unwrap_or_default());
        }
        Ok(read)
    }
}

/// Some lines.
#[derive(Debug, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// Where the first line begins.
    start: usize,
    /// Where each line's newline is.
    ends: Vec<usize>,
}

impl Block {
    /// Lines.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all lines, newlines included.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// With room for so many bytes of lines.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Forgets all lines, and keeps the memory for others.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.start = 0;
    }

    /// Appends a line.
    pub(super) fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
        self.bytes.push(b'\n');
    }

    pub(super) fn line(&self, at: usize) -> &[u8] {
        let start = if at == 0 { self.start } else { self.ends[at - 1] + 1 };
        &self.bytes[start..self.ends[at]]
    }
}

/// Said of a manifest when the extents of another one were taken for its own.
pub(super) const NOT_ITS_EXTENTS: &str = "it is not the one that the extents beside it were kept with: remove those";

/// The lines of a manifest as they are decompressed.
pub(super) struct Blocks {
    pub(super) name: String,
    input: zstd::Decoder<'static, BufReader<Compressed>>,
    /// Of all lines so far; nothing where the file is proved as a whole.
    hash: Option<Sha256>,
    /// The SHA-256 that the file as a whole must have, in hexadecimal.
    whole: Option<String>,
    piece: Vec<u8>,
    /// The beginning of a line whose end was not there yet.
    rest: Vec<u8>,
    records: u64,
    records_max: u64,
    /// What the footer must hold, as somebody else knows it.
    expected: Option<[u8; 32]>,
    /// The SHA-256 in the footer, once that was reached and is right.
    proof: Option<[u8; 32]>,
}

#[derive(Deserialize)]
struct Footer {
    records: u64,
    sha256: String,
}

impl Blocks {
    pub(super) fn new(name: &str, file: Box<dyn Read + Send>, records_max: u64, whole: Option<&str>) -> Result<Self> {
        let file = Compressed { file, hash: whole.map(|_| Sha256::new()) };
        let mut input = zstd::Decoder::new(file).map_err(|error| damaged(name, error))?;
        input.window_log_max(WINDOW_LOG_MAX).map_err(|error| damaged(name, error))?;
        let (name, rest, piece) = (name.to_owned(), Vec::new(), vec![0; PIECE]);
        let (hash, whole) = (whole.is_none().then(Sha256::new), whole.map(str::to_owned));
        Ok(Self { name, input, hash, whole, piece, rest, records: 0, records_max, expected: None, proof: None })
    }

    /// The first line; the block holds those behind it.
    pub(super) fn header(&mut self, block: &mut Block) -> Result<Vec<u8>> {
        if !self.fill(block)? || block.len() == 0 {
            return Err(damaged(&self.name, "there is no header"));
        }
        let header = block.line(0).to_vec();
        block.start = block.ends.remove(0) + 1;
        Ok(header)
    }

    /// The next lines, of which there may be none; `false` behind the footer.
    pub(super) fn fill(&mut self, block: &mut Block) -> Result<bool> {
        block.clear();
        if self.proof.is_some() {
            return Ok(false);
        }
        block.bytes.append(&mut self.rest);
        let newline = loop {
            let searched = block.bytes.len();
            let read = self.read(&mut block.bytes)?;
            if let Some(at) = memchr::memrchr(b'\n', &block.bytes[searched..]) {
                break searched + at;
            }
            if read == 0 {
                return Err(damaged(&self.name, "it ends without a footer"));
            }
            self.check_length(block.bytes.len())?;
        };
        self.rest.extend_from_slice(&block.bytes[newline + 1..]);
        block.bytes.truncate(newline + 1);
        self.split(block)?;
        Ok(true)
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<usize> {
        let start = bytes.len();
        while bytes.len() - start < BLOCK {
            let read = match self.input.read(&mut self.piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|error| damaged(&self.name, error))?,
            };
            if read == 0 {
                break;
            }
            bytes.extend_from_slice(&self.piece[..read]);
        }
        Ok(bytes.len() - start)
    }

    fn split(&mut self, block: &mut Block) -> Result<()> {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &block.bytes) {
            self.check_length(end - start)?;
            if block.bytes[start..end].starts_with(FOOTER) {
                self.update(&block.bytes[..start]);
                return self.end(&block.bytes[start..end], &block.bytes[end + 1..]);
            }
            block.ends.push(end);
            // The header is counted here too.
            self.records += 1;
            if self.records - 1 > self.records_max {
                return Err(damaged(&self.name, format!("more than {} records", self.records_max)));
            }
            start = end + 1;
        }
        self.update(&block.bytes);
        Ok(())
    }

    fn update(&mut self, lines: &[u8]) {
        if let Some(hash) = &mut self.hash {
            hash.update(lines);
        }
    }

    fn end(&mut self, line: &[u8], behind: &[u8]) -> Result<()> {
        let said: Footer =
            serde_json::from_slice(line).map_err(|error| damaged(&self.name, format!("footer: {error}")))?;
        let records = self.records.saturating_sub(1);
        if said.records != records {
            let what = format!("its footer says {} records, found {records}", said.records);
            return Err(damaged(&self.name, what));
        }
        let hash: [u8; 32] = match self.hash.take() {
            Some(hash) => hash.finalize().into(),
            None => {
                let mut bytes = Vec::new();
                json::decode_hex(said.sha256.as_bytes(), &mut bytes)
                    .map_err(|Malformed(what)| damaged(&self.name, format!("footer: {what}")))?;
                bytes.try_into().map_err(|_| damaged(&self.name, "its footer holds no SHA-256"))?
            }
        };
        let right = footer(records, &text::hex(&hash));
        if right.trim_end().as_bytes() != line {
            let what = format!("its footer says SHA-256 {}, found {}", said.sha256, right.trim_end());
            return Err(damaged(&self.name, what));
        }
        let mut more = Vec::new();
        if !behind.is_empty() || !self.rest.is_empty() || self.read(&mut more)? > 0 {
            return Err(damaged(&self.name, "it goes on behind its footer"));
        }
        let read = self.input.get_ref().get_ref().hash.clone().map(|hash| text::hex(&hash.finalize()));
        if let (Some(read), Some(whole)) = (&read, &self.whole)
            && read != whole
        {
            return Err(damaged(&self.name, format!("it has SHA-256 {read}, its scan wrote {whole}")));
        }
        self.proof = Some(hash);
        self.check_expected()
    }

    /// The footer must hold this SHA-256: extents say that they belong to that manifest. A small one was read with its
    /// header.
    pub(super) fn expect(&mut self, sha256: [u8; 32]) -> Result<()> {
        self.expected = Some(sha256);
        self.check_expected()
    }

    fn check_expected(&self) -> Result<()> {
        match (self.expected, self.proof) {
            (Some(expected), Some(proof)) if expected != proof => Err(damaged(&self.name, NOT_ITS_EXTENTS)),
            _ => Ok(()),
        }
    }

    fn check_length(&self, length: usize) -> Result<()> {
        if length <= LINE_MAX {
            return Ok(());
        }
        Err(damaged(&self.name, format!("line {} is longer than {LINE_MAX} bytes", self.records + 1)))
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("name", &self.name).finish_non_exhaustive()
    }
}
