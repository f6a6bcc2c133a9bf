//! The side file: a zstd stream of a header, one JSON line, and for each record of the manifest, in its order, what
//! is kept of it. Numbers are little endian.
//!
//! - A record: a byte that says which parts follow. 1: what the record rests on (20 bytes). 2: the places of its content
//!   (20 bytes), the content's SHA-256 (32 bytes).
//! - The end: a byte of 255, the number of records (8 bytes), the SHA-256 in the manifest's footer, and the CRC-32C of
//!   all before. Without it the file proves nothing.
//!
//! Damage is found by that sum and by the stream's own, a part of XXH64 (RFC 8878, 3.1.1): 64 bits, by two different
//! ways. Against somebody who writes to the state no sum in it would help.

use std::io::{self, BufRead, BufReader, Read, Write};

use crc32c::crc32c_append;
use serde::{Deserialize, Serialize};

use super::{Digest, layout::Layout, trace::Trace};
use crate::error::{Error, Result};

/// The version of this form.
const VERSION: u32 = 5;
/// Hashes do not shrink: the compressor is to skip them in long steps.
const LEVEL: i32 = -1000;
/// The window, as a power of two: nothing repeats, so the least memory will do.
const WINDOW_LOG: u32 = 16;
/// The largest window that is accepted, as a power of two: 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;
/// The longest header, in bytes.
const MAX_HEADER: u64 = 16 << 20;
const TOOL: &str = concat!("snapfim ", env!("CARGO_PKG_VERSION"));
/// Stands where a record would begin.
const END: u8 = u8::MAX;
/// Bytes that are summed and compressed at once.
const BUFFER: usize = 64 << 10;

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
    /// What else records were made of: all that [`Seen::context`](crate::scan::Seen::context) stands for.
    #[serde(default)]
    pub context: String,
}

impl SideHeader {
    /// The header of a scan.
    pub fn new(scan: impl Into<String>, layout: Layout) -> Self {
        Self { version: VERSION, tool: TOOL.to_owned(), scan: scan.into(), layout, context: String::new() }
    }

    /// With the context in which its records were made.
    #[must_use]
    pub fn within(self, context: String) -> Self {
        Self { context, ..self }
    }
}

/// What the end of a side file says of the manifest that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) records: u64,
    pub(super) manifest: Digest,
}

fn failed(error: io::Error) -> Error {
    Error::State(format!("extents: {error}"))
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::State(format!("extents of the scan before: {what}"))
}

pub(super) struct Writer<W: Write> {
    out: zstd::Encoder<'static, W>,
    sum: u32,
    buffer: Vec<u8>,
    records: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W, header: &SideHeader) -> Result<Self> {
        let mut buffer = serde_json::to_vec(header).map_err(|error| Error::Bug(format!("a layout: {error}")))?;
        buffer.push(b'\n');
        let mut out = zstd::Encoder::new(out, LEVEL).map_err(failed)?;
        out.window_log(WINDOW_LOG).map_err(failed)?;
        out.include_checksum(true).map_err(failed)?;
        Ok(Self { out, sum: 0, buffer, records: 0 })
    }

    /// Takes the next record's encoded trace; an empty one says nothing.
    pub(super) fn push(&mut self, trace: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(if trace.is_empty() { &[0] } else { trace });
        self.count()
    }

    /// Takes the next record's trace.
    pub(super) fn push_trace(&mut self, trace: &Trace) -> Result<()> {
        let before = self.buffer.len();
        trace.encode(&mut self.buffer);
        if self.buffer.len() == before {
            self.buffer.push(0);
        }
        self.count()
    }

    fn count(&mut self) -> Result<()> {
        self.records = self.records.saturating_add(1);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.sum = crc32c_append(self.sum, &self.buffer);
        self.out.write_all(&self.buffer).map_err(failed)?;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the file of the manifest whose footer holds that SHA-256.
    pub(super) fn finish(mut self, manifest: &Digest) -> Result<W> {
        self.buffer.push(END);
        self.buffer.extend_from_slice(&self.records.to_le_bytes());
        self.buffer.extend_from_slice(manifest);
        self.flush()?;
        self.out.write_all(&self.sum.to_le_bytes()).map_err(failed)?;
        self.out.finish().map_err(failed)
    }
}

pub(super) struct Reader<R: Read> {
    input: BufReader<zstd::Decoder<'static, BufReader<R>>>,
    sum: u32,
    records: u64,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(file: R) -> Result<(SideHeader, Self)> {
        let mut input = zstd::Decoder::new(file).map_err(damaged)?;
        input.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
        let mut reader = Self { input: BufReader::with_capacity(BUFFER, input), sum: 0, records: 0 };
        let mut line = Vec::new();
        let mut limited = Read::take(&mut reader.input, MAX_HEADER);
        limited.read_until(b'\n', &mut line).map_err(damaged)?;
        reader.sum = crc32c_append(reader.sum, &line);
        let header: SideHeader = serde_json::from_slice(&line).map_err(damaged)?;
        if header.version != VERSION {
            return Err(damaged(format!("version {}, expected {VERSION}", header.version)));
        }
        if header.tool != TOOL {
            return Err(damaged(format!("made by {}, this is {TOOL}", header.tool.escape_default())));
        }
        Ok((header, reader))
    }

    /// Hands out all records in their order, and believes nothing of them before the end has proved the file whole.
    pub(super) fn read(mut self, mut each: impl FnMut(Trace)) -> Result<End> {
        loop {
            let available = self.input.fill_buf().map_err(damaged)?;
            if available.is_empty() {
                return Err(damaged("it ends early"));
            }
            let mut at = 0;
            while let Some(first) = available.get(at).filter(|first| **first != END) {
                let len = Trace::encoded_len(*first).ok_or_else(|| damaged("a record of no known form"))?;
                let Some(trace) = available.get(at..at + len) else { break };
                each(Trace::decode(trace).unwrap_or_default());
                self.records = self.records.saturating_add(1);
                at += len;
            }
            self.sum = crc32c_append(self.sum, &available[..at]);
            let next = available.get(at).copied();
            self.input.consume(at);
            match next {
                None => {}
                Some(END) => return self.end(),
                Some(first) => self.across(first, &mut each)?,
            }
        }
    }

    /// A record that the buffer does not hold in one piece.
    fn across(&mut self, first: u8, each: &mut impl FnMut(Trace)) -> Result<()> {
        let mut trace = vec![0; Trace::encoded_len(first).unwrap_or(0)];
        self.input.read_exact(&mut trace).map_err(damaged)?;
        self.sum = crc32c_append(self.sum, &trace);
        each(Trace::decode(&trace).unwrap_or_default());
        self.records = self.records.saturating_add(1);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(damaged)?;
        self.sum = crc32c_append(self.sum, &bytes);
        Ok(bytes)
    }

    fn end(&mut self) -> Result<End> {
        let _: [u8; 1] = self.array()?;
        let end = End { records: u64::from_le_bytes(self.array()?), manifest: self.array()? };
        let found = self.sum;
        let expected = u32::from_le_bytes(self.array()?);
        let mut more = [0];
        if end.records != self.records || expected != found || self.input.read(&mut more).map_err(damaged)? > 0 {
            return Err(damaged("its end does not fit to what stands before it"));
        }
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SideHeader {
        SideHeader::new("20261121T190000Z", Layout { disks: Vec::new(), volumes: Vec::new() })
    }

    fn trace(number: u64) -> Trace {
        let byte = number.to_le_bytes()[0];
        Trace {
            evidence: (!number.is_multiple_of(3)).then_some([byte; 20]),
            content: (!number.is_multiple_of(2)).then_some(([byte; 20], [byte; 32])),
        }
    }

    fn written(records: u64) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &header()).unwrap();
        for number in 0..records {
            if number % 5 == 0 {
                let mut bytes = Vec::new();
                trace(number).encode(&mut bytes);
                writer.push(&bytes).unwrap();
            } else {
                writer.push_trace(&trace(number)).unwrap();
            }
        }
        writer.finish(&[7; 32]).unwrap()
    }

    fn read(bytes: &[u8]) -> Result<u64> {
        let (found, reader) = Reader::new(bytes)?;
        if found != header() {
            return Err(damaged("another header"));
        }
        let (mut number, mut wrong) = (0, 0);
        let end = reader.read(|found| {
            wrong += u64::from(trace(number) != found);
            number += 1;
        })?;
        // What is handed out before the end proves it may be anything.
        assert_eq!((end.manifest, wrong), ([7; 32], 0));
        Ok(end.records)
    }

    #[test]
    fn what_was_written_is_read_wherever_buffers_end() {
        for records in [0, 1, 100, 5000] {
            assert_eq!(read(&written(records)).unwrap(), records);
        }
    }

    #[test]
    fn what_another_version_kept_is_refused_by_its_number() {
        let line = r#"{"version":1,"tool":"snapfim 0.1.0","scan":"a","layout":{"disks":[],"volumes":[]}}"#;
        let packed = zstd::encode_all(format!("{line}\n").as_bytes(), 1).unwrap();
        let error = Reader::new(packed.as_slice()).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "extents of the scan before: version 1, expected 5");
    }

    #[test]
    fn damage_anywhere_is_found() {
        let whole = written(100);
        let plain = zstd::decode_all(whole.as_slice()).unwrap();
        let refused = |bytes: &[u8]| std::panic::catch_unwind(|| read(bytes).is_err()).unwrap_or(false);
        for at in 0..plain.len() {
            // A stream without a sum of its own.
            let mut bytes = plain.clone();
            bytes[at] ^= 0x10;
            assert!(refused(&zstd::encode_all(bytes.as_slice(), 1).unwrap()), "a flipped bit at {at}");
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let same = zstd::decode_all(bytes.as_slice()).is_ok_and(|found| found == plain);
                assert!(same || refused(&bytes), "bit {bit} of byte {at} of the packed file");
            }
        }
        for end in 0..whole.len() {
            assert!(refused(&whole[..end]), "cut at {end}");
        }
    }

    #[test]
    fn the_stream_has_a_sum_of_its_own() {
        // RFC 8878, 3.1.1.1.1: the Content_Checksum_Flag is bit 2 of the descriptor behind the magic number.
        assert_eq!(written(1)[4] & 4, 4);
    }
}
