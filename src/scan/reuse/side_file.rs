//! The side file: a zstd stream of a header, one JSON line, and records in the order of their places.
//!
//! A record is the length of its footprint (4 bytes, little endian), the footprint, and the SHA-256 of the content.
//! Behind the last one stand a length of 2^32-1, the number of records (8 bytes, little endian), and the SHA-256 of
//! all before. Without that end the file proves nothing.

use std::io::{self, BufReader, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Digest, footprint::MAX_ENCODED, layout::Layout};
use crate::error::{Error, Result};

/// The version of this form.
const VERSION: u32 = 1;
/// The fastest: hashes do not shrink.
const LEVEL: i32 = 1;
/// The largest window that is accepted, as a power of two: 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;
/// The longest header, in bytes.
const MAX_HEADER: u64 = 16 << 20;
const TOOL: &str = concat!("snapfim ", env!("CARGO_PKG_VERSION"));
/// Stands where a record's length would be.
const END: u32 = u32::MAX;

/// What stands first in a side file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideHeader {
    version: u32,
    /// Name and version of the program: another one may read the same bytes differently.
    tool: String,
    /// The scan that it belongs to.
    pub scan: String,
    /// What its places mean.
    pub layout: Layout,
}

impl SideHeader {
    /// The header of a scan.
    pub fn new(scan: impl Into<String>, layout: Layout) -> Self {
        Self { version: VERSION, tool: TOOL.to_owned(), scan: scan.into(), layout }
    }
}

fn failed(error: io::Error) -> Error {
    Error::State(format!("extents: {error}"))
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::State(format!("extents of the scan before: {what}"))
}

pub(super) struct Writer<W: Write> {
    out: zstd::Encoder<'static, W>,
    hash: Sha256,
    records: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W, header: &SideHeader) -> Result<Self> {
        let mut line = serde_json::to_vec(header).map_err(|error| Error::Bug(format!("a layout: {error}")))?;
        line.push(b'\n');
        let out = zstd::Encoder::new(out, LEVEL).map_err(failed)?;
        let mut writer = Self { out, hash: Sha256::new(), records: 0 };
        writer.put(&line)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.out.write_all(bytes).map_err(failed)
    }

    pub(super) fn push(&mut self, encoded: &[u8], digest: &[u8]) -> Result<()> {
        let len = u32::try_from(encoded.len()).unwrap_or(END);
        if encoded.len() > MAX_ENCODED || digest.len() != size_of::<Digest>() {
            return Err(Error::Bug(format!("a footprint of {len} bytes, a hash of {}", digest.len())));
        }
        self.records = self.records.saturating_add(1);
        self.put(&len.to_le_bytes())?;
        self.put(encoded)?;
        self.put(digest)
    }

    pub(super) fn finish(mut self) -> Result<W> {
        self.put(&END.to_le_bytes())?;
        self.put(&self.records.to_le_bytes())?;
        let digest = self.hash.finalize();
        self.out.write_all(&digest).map_err(failed)?;
        self.out.finish().map_err(failed)
    }
}

pub(super) struct Reader<R: Read> {
    input: BufReader<zstd::Decoder<'static, BufReader<R>>>,
    hash: Sha256,
    encoded: Vec<u8>,
    records: u64,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(file: R) -> Result<(SideHeader, Self)> {
        let mut input = zstd::Decoder::new(file).map_err(damaged)?;
        input.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
        let mut reader = Self { input: BufReader::new(input), hash: Sha256::new(), encoded: Vec::new(), records: 0 };
        let mut line = Vec::new();
        let mut limited = Read::take(&mut reader.input, MAX_HEADER);
        io::BufRead::read_until(&mut limited, b'\n', &mut line).map_err(damaged)?;
        reader.hash.update(&line);
        let header: SideHeader = serde_json::from_slice(&line).map_err(damaged)?;
        if header.version != VERSION {
            return Err(damaged(format!("version {}, expected {VERSION}", header.version)));
        }
        if header.tool != TOOL {
            return Err(damaged(format!("made by {}, this is {TOOL}", header.tool.escape_default())));
        }
        Ok((header, reader))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(damaged)?;
        self.hash.update(bytes);
        Ok(bytes)
    }

    /// The next record; `None` behind the last one, when the end has proved the file whole.
    pub(super) fn next(&mut self) -> Result<Option<(&[u8], Digest)>> {
        let len = u32::from_le_bytes(self.array()?);
        if len == END {
            return self.end().map(|()| None);
        }
        let len = usize::try_from(len).ok().filter(|len| *len <= MAX_ENCODED);
        let len = len.ok_or_else(|| damaged("a footprint is too long"))?;
        self.encoded.resize(len, 0);
        self.input.read_exact(&mut self.encoded).map_err(damaged)?;
        self.hash.update(&self.encoded);
        let digest = self.array()?;
        self.records = self.records.saturating_add(1);
        Ok(Some((&self.encoded, digest)))
    }

    fn end(&mut self) -> Result<()> {
        let said = u64::from_le_bytes(self.array()?);
        let found: Digest = std::mem::take(&mut self.hash).finalize().into();
        let proof: Digest = self.array()?;
        let mut more = [0];
        if said != self.records || proof != found || self.input.read(&mut more).map_err(damaged)? > 0 {
            return Err(damaged("its end does not fit to what stands before it"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SideHeader {
        SideHeader::new("20261121T190000Z", Layout { disks: Vec::new(), volumes: Vec::new() })
    }

    fn written() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &header()).unwrap();
        for number in 0..100_u8 {
            writer.push(&[number; 9], &[number; 32]).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<u64> {
        let (found, mut reader) = Reader::new(bytes)?;
        if found != header() {
            return Err(damaged("another header"));
        }
        let mut records = 0;
        while let Some((encoded, digest)) = reader.next()? {
            assert_eq!(encoded.first(), digest.first());
            records += 1;
        }
        Ok(records)
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(&written()).unwrap(), 100);
    }

    #[test]
    fn damage_anywhere_is_found() {
        let whole = written();
        let plain = zstd::decode_all(whole.as_slice()).unwrap();
        for at in 0..plain.len() {
            let mut bytes = plain.clone();
            bytes[at] ^= 0x10;
            let packed = zstd::encode_all(bytes.as_slice(), 1).unwrap();
            let result = std::panic::catch_unwind(|| read(&packed).is_err());
            assert!(result.unwrap_or(true), "a flipped bit at {at}");
        }
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "cut at {end}");
        }
    }
}
