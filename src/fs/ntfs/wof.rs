//! Files that the Windows Overlay Filter compresses ("compact", system files since Windows 10): the content's length
//! is a hole in the unnamed stream, the content lies in the stream `WofCompressedData`, chunk by chunk.
//!
//! Reference: [MS-FSCC] section 2.1.2.1 (`IO_REPARSE_TAG_WOF`); `WOF_EXTERNAL_INFO` and
//! `FILE_PROVIDER_EXTERNAL_INFO` in Microsoft's documentation of `FSCTL_SET_EXTERNAL_BACKING`. The stream is laid out
//! as a resource of a WIM file ("Windows Imaging File Format", compressed resources): a table with the offset of each
//! chunk but the first, then the chunks; one that did not shrink is stored.

use std::ops::ControlFlow;

use crate::{
    error::{Error, Result},
    field::{le32, le64, narrow, slice, wide},
    fs::{Extent, Place, Sink},
};

use super::{
    LAYER,
    attribute::{self, Attribute},
    content::{inside_metadata, push_encoded},
    file::File,
    lzx,
    reparse_point::ReparsePoint,
    value::{Stored, Value},
    volume::Volume,
    xpress,
};

/// The stream that holds the compressed content.
pub(super) const STREAM: &str = "WofCompressedData";
/// `WOF_PROVIDER_FILE`: compressed in the file itself.
const PROVIDER_FILE: u32 = 2;
/// Contents longer than this have 8-byte offsets.
const SMALL_OFFSETS: u64 = 0xFFFF_FFFF;
/// Bytes of the stream that are read at once.
const WINDOW: usize = 256 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Xpress,
    Lzx,
}

/// The content of a WOF file.
pub(super) struct Wof<'f> {
    number: u64,
    algorithm: Algorithm,
    chunk_size: u64,
    /// Length of the content.
    size: u64,
    stored: Value<'f>,
    stored_size: u64,
}

impl<'f> Wof<'f> {
    /// Opens the content of a file with this reparse point (0x00 version, 0x04 provider, 0x08 the provider's version,
    /// 0x0c algorithm).
    pub(super) fn open(volume: &Volume, file: &'f File, point: &ReparsePoint) -> Result<Self> {
        let number = file.reference.number();
        let at = || format!("record {number}, WOF reparse point");
        let provider = le32(&point.data, 4);
        if provider != Some(PROVIDER_FILE) {
            let shown = provider.map_or("none".to_owned(), |provider| provider.to_string());
            return Err(Error::unsupported(
                LAYER,
                format!("{}: provider {shown}: the content is in another file (WIM boot)", at()),
            ));
        }
        let (algorithm, chunk_size) = match le32(&point.data, 12) {
            Some(0) => (Algorithm::Xpress, 4 << 10),
            Some(1) => (Algorithm::Lzx, 32 << 10),
            Some(2) => (Algorithm::Xpress, 8 << 10),
            Some(3) => (Algorithm::Xpress, 16 << 10),
            Some(other) => return Err(Error::unsupported(LAYER, format!("{}: algorithm {other}", at()))),
            None => return Err(Error::corrupt(LAYER, at(), format!("{} bytes, expected 16", point.data.len()))),
        };
        let size = file.all(attribute::DATA).find(|a| a.name.is_empty() && a.is_first()).map_or(0, Attribute::size);
        let name: Vec<u16> = STREAM.encode_utf16().collect();
        let stored = file.value(volume, attribute::DATA, &name)?;
        let stored = stored.ok_or_else(|| Error::corrupt(LAYER, at(), format!("the stream {STREAM} is not there")))?;
        let stored_size = match &stored {
            Value::Resident(bytes) => wide(bytes.len()),
            Value::Clusters(clusters) => clusters.size,
        };
        Ok(Self { number, algorithm, chunk_size, size, stored, stored_size })
    }

    /// Every part of the stream counts for the whole content.
    pub(super) fn extents(&self) -> Result<Vec<Extent>> {
        let Value::Clusters(clusters) = &self.stored else { return Ok(inside_metadata(self.size)) };
        let mut segments: Vec<(u64, u64)> = Vec::new();
        let mut other = false;
        clusters.pieces(&mut |piece| {
            match (piece.stored, segments.last_mut()) {
                (Stored::Plain(offset), Some((first, len))) if first.checked_add(*len) == Some(offset) => {
                    *len = len.saturating_add(piece.len)
                }
                (Stored::Plain(offset), _) => segments.push((offset, piece.len)),
                _ => other = true,
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let mut extents = Vec::new();
        if other && self.size > 0 {
            extents.push(Extent { start: 0, len: self.size, place: Place::Metadata });
        } else if self.size > 0 {
            push_encoded(&mut extents, 0, self.size, &segments);
        }
        Ok(extents)
    }

    /// Hands out the content chunk by chunk.
    pub(super) fn read(&self, volume: &Volume, sink: &mut dyn Sink) -> Result<()> {
        let chunk_size = self.chunk_size.max(1);
        let chunks = self.size.div_ceil(chunk_size);
        let width = if self.size > SMALL_OFFSETS { 8_u64 } else { 4 };
        let table = chunks.saturating_sub(1).saturating_mul(width);
        let (mut offsets, mut data) = (Window::default(), Window::default());
        let mut out = vec![0; narrow(chunk_size)];
        let mut start = 0_u64;
        for chunk in 0..chunks {
            let last = chunk.saturating_add(1) == chunks;
            let end = if last {
                self.stored_size.saturating_sub(table)
            } else {
                let entry = offsets.get(self, volume, chunk.saturating_mul(width), narrow(width))?;
                let small = || le32(entry, 0).map(u64::from);
                le64(entry, 0).or_else(small).unwrap_or(0)
            };
            let begin = chunk.saturating_mul(chunk_size);
            let len = self.size.saturating_sub(begin).min(chunk_size);
            let wrong = |what: String| {
                Error::corrupt(LAYER, format!("record {}, WOF chunk {chunk} of {chunks}", self.number), what)
            };
            let stored = end.checked_sub(start).filter(|stored| (1..=len).contains(stored));
            let stored = stored
                .ok_or_else(|| wrong(format!("stored from {start:#x} to {end:#x}, expected 1 to {len:#x} bytes")))?;
            let bytes = data.get(self, volume, table.saturating_add(start), narrow(stored))?;
            let out = out.get_mut(..narrow(len)).unwrap_or_default();
            if stored == len {
                out.copy_from_slice(bytes);
            } else {
                let (decoded, algorithm) = match self.algorithm {
                    Algorithm::Xpress => (xpress::decode(bytes, out), "XPRESS"),
                    Algorithm::Lzx => (lzx::decode(bytes, out), "LZX"),
                };
                decoded.ok_or_else(|| wrong(format!("its {stored:#x} bytes do not decode as {algorithm}")))?;
            }
            if sink.data(out).is_break() {
                return Ok(());
            }
            start = end;
        }
        Ok(())
    }

    fn read_at(&self, volume: &Volume, offset: u64, buf: &mut [u8]) -> Result<()> {
        match &self.stored {
            Value::Clusters(clusters) => clusters.read_at(volume, offset, buf),
            Value::Resident(bytes) => {
                let source = slice(bytes, narrow(offset), buf.len()).unwrap_or_default();
                buf.copy_from_slice(source);
                Ok(())
            }
        }
    }
}

/// A part of the stream that is kept, moving forwards.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn get(&mut self, wof: &Wof<'_>, volume: &Volume, offset: u64, len: usize) -> Result<&[u8]> {
        let end = offset.saturating_add(wide(len));
        if end > wof.stored_size {
            let at = format!("record {}, stream {STREAM}", wof.number);
            return Err(Error::corrupt(
                LAYER,
                at,
                format!("{len} bytes wanted at {offset:#x}, it has {:#x}", wof.stored_size),
            ));
        }
        let kept = self.start.saturating_add(wide(self.bytes.len()));
        if offset < self.start || end > kept {
            self.bytes = vec![0; WINDOW.max(len).min(narrow(wof.stored_size.saturating_sub(offset)))];
            self.start = offset;
            wof.read_at(volume, offset, &mut self.bytes)?;
        }
        let skip = narrow(offset.saturating_sub(self.start));
        Ok(slice(&self.bytes, skip, len).unwrap_or_default())
    }
}
