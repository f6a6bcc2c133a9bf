//! The bytes of a stream: plain, compressed by LZNT1 or WOF, or not on this volume at all.

use std::ops::ControlFlow;

use crate::{
    error::{Error, Result},
    field::{narrow, wide},
    fs::{Extent, Place, Sink, Stream, pieces},
};

use super::{
    LAYER, UpCase, attribute,
    file::File,
    lznt1,
    reparse_point::{self, ReparsePoint},
    value::{Clusters, Piece, Stored, Value},
    volume::Volume,
    wof::Wof,
    wtf8,
};

/// `FILE_ATTRIBUTE_OFFLINE` and `FILE_ATTRIBUTE_RECALL_ON_DATA_ACCESS`: the content is with a cloud provider.
const NOT_HERE: u32 = 0x1000 | 0x40_0000;

/// A stream that can be read.
pub(super) enum Content<'f> {
    /// As its attribute says.
    Value(Value<'f>),
    /// Compressed by the Windows Overlay Filter, in another stream.
    Wof(Wof<'f>),
}

impl<'f> Content<'f> {
    /// Opens a stream of a file whose attributes are `attributes`.
    pub(super) fn open(
        volume: &'f Volume,
        upcase: &UpCase,
        file: &'f File,
        attributes: u32,
        stream: &Stream,
    ) -> Result<Self> {
        let number = file.reference.number();
        let absent = |what: &str| Error::corrupt(LAYER, format!("record {number}"), what.to_owned());
        let name = match stream {
            Stream::Named(name) => stream_name(file, upcase, name).ok_or_else(|| absent("it has no such stream"))?,
            Stream::Content => Vec::new(),
        };
        let point = if name.is_empty() { reparse_point(volume, file)? } else { None };
        if let Some(point) = point {
            let elsewhere = |why: &str| Err(Error::unsupported(LAYER, format!("record {number}: {why}")));
            match point.tag {
                reparse_point::WOF => return Wof::open(volume, file, &point).map(Self::Wof),
                reparse_point::DEDUP => return elsewhere("deduplicated by Windows, its content is in the chunk store"),
                _ if point.is_cloud() && attributes & NOT_HERE != 0 => {
                    return elsewhere("a cloud placeholder, its content is not on this volume");
                }
                _ => {}
            }
        }
        match file.value(volume, attribute::DATA, &name)? {
            Some(value) => Ok(Self::Value(value)),
            // With damage about, what is missing may be what was damaged.
            None if file.faults.is_empty() => Ok(Self::Value(Value::Resident(&[]))),
            None => Err(absent("no $DATA was found, and a part of its attributes does not parse")),
        }
    }

    /// Where its bytes are, up to its length.
    pub(super) fn extents(&self) -> Result<Vec<Extent>> {
        match self {
            Self::Wof(wof) => wof.extents(),
            Self::Value(Value::Resident(bytes)) => Ok(inside_metadata(wide(bytes.len()))),
            Self::Value(Value::Clusters(clusters)) => {
                let mut extents: Vec<Extent> = Vec::new();
                clusters.pieces(&mut |piece| {
                    push_piece(&mut extents, piece);
                    Ok(ControlFlow::Continue(()))
                })?;
                Ok(extents)
            }
        }
    }

    /// Hands out its bytes.
    pub(super) fn read(&self, volume: &Volume, sink: &mut dyn Sink) -> Result<()> {
        match self {
            Self::Wof(wof) => wof.read(volume, sink),
            Self::Value(Value::Resident(bytes)) => {
                if !bytes.is_empty() {
                    let _ = sink.data(bytes);
                }
                Ok(())
            }
            Self::Value(Value::Clusters(clusters)) => read_clusters(volume, clusters, sink),
        }
    }
}

/// The reparse point of a file, if it has one.
pub(super) fn reparse_point(volume: &Volume, file: &File) -> Result<Option<ReparsePoint>> {
    let Some(value) = file.small_value(volume, attribute::REPARSE_POINT, &[], reparse_point::MAX_SIZE)? else {
        return Ok(None);
    };
    let at = || format!("record {}, reparse point", file.reference.number());
    ReparsePoint::parse(&value)
        .map(Some)
        .ok_or_else(|| Error::corrupt(LAYER, at(), format!("{} bytes, expected at least 8", value.len())))
}

/// The stream's name as it is on disk: the same unit for unit, else without case.
fn stream_name(file: &File, upcase: &UpCase, name: &[u8]) -> Option<Vec<u16>> {
    let wanted = wtf8::decode(name)?;
    let same = |found: &[u16]| {
        found.len() == wanted.len() && found.iter().zip(&wanted).all(|(a, b)| upcase.fold(*a) == upcase.fold(*b))
    };
    let names = || file.all(attribute::DATA).filter(|a| !a.name.is_empty()).map(|a| &a.name);
    names().find(|found| **found == wanted).or_else(|| names().find(|found| same(found))).cloned()
}

/// One extent of bytes that lie in metadata; none where there are no bytes.
pub(super) fn inside_metadata(len: u64) -> Vec<Extent> {
    if len == 0 { Vec::new() } else { vec![Extent { start: 0, len, place: Place::Metadata }] }
}

fn push_piece(extents: &mut Vec<Extent>, piece: Piece) {
    let Piece { start, len, stored } = piece;
    let place = match stored {
        Stored::Unit(segments) => return push_encoded(extents, start, len, &segments),
        Stored::Plain(offset) => Place::Volume(offset),
        Stored::Hole => Place::Hole,
        Stored::Unwritten => Place::Unwritten,
    };
    let follows = |last: &&mut Extent| match (last.place, place) {
        (Place::Volume(before), Place::Volume(offset)) => before.checked_add(last.len) == Some(offset),
        (before, place) => before == place,
    };
    match extents.last_mut().filter(follows) {
        Some(last) => last.len = last.len.saturating_add(len),
        None => extents.push(Extent { start, len, place }),
    }
}

/// The extents of `len` bytes that all segments together encode. An extent has one place, so each segment but the
/// last stands for one byte; where there are fewer bytes than segments, for none: read it afresh.
pub(super) fn push_encoded(extents: &mut Vec<Extent>, start: u64, len: u64, segments: &[(u64, u64)]) {
    let others = wide(segments.len().saturating_sub(1));
    if segments.is_empty() || len <= others {
        extents.push(Extent { start, len, place: Place::Metadata });
        return;
    }
    let mut at = start;
    let mut left = others;
    for (offset, stored) in segments {
        let share = if left > 0 { 1 } else { len.saturating_sub(others) };
        extents.push(Extent { start: at, len: share, place: Place::Encoded { offset: *offset, len: *stored } });
        at = at.saturating_add(share);
        left = left.saturating_sub(1);
    }
}

fn read_clusters(volume: &Volume, clusters: &Clusters, sink: &mut dyn Sink) -> Result<()> {
    let mut buffer = Vec::new();
    let mut decoded = vec![0; clusters.unit_size()];
    clusters.pieces(&mut |piece| match &piece.stored {
        Stored::Hole | Stored::Unwritten => Ok(sink.hole(piece.len)),
        Stored::Plain(offset) => {
            let read = |offset, buf: &mut [u8]| volume.image.read_at(offset, buf);
            pieces::hand_out(read, *offset, piece.len, &mut buffer, sink)
        }
        Stored::Unit(segments) => {
            buffer.clear();
            for (offset, len) in segments {
                let from = buffer.len();
                buffer.resize(from.saturating_add(narrow(*len)), 0);
                volume.image.read_at(*offset, buffer.get_mut(from..).unwrap_or_default())?;
            }
            let at = segments.first().map_or(0, |(offset, _)| *offset);
            lznt1::decode(&buffer, &mut decoded).map_err(|what| {
                Error::corrupt(LAYER, format!("compression unit of offset {:#x}, stored at {at:#x}", piece.start), what)
            })?;
            Ok(sink.data(decoded.get(..narrow(piece.len)).unwrap_or(&decoded)))
        }
    })
}
