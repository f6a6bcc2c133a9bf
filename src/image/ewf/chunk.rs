//! "Table section" and "Sectors section": for each chunk an offset of 31 bits, whose top bit says that the chunk is
//! compressed; a chunk that is not carries a checksum behind it.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | number of entries |
//! | 8 | 8 | base offset |
//! | 20 | 4 | checksum of these |
//! | 24 | n × 4 | entries |
//! | behind them | 4 | their checksum; SMART has none |

use std::{ops::Range, sync::Arc};

use flate2::{Decompress, FlushDecompress, Status};

use super::{Adler32, LAYER, adler32, volume::Volume, wrong_checksum};
use crate::{
    error::{Error, Result},
    field::{narrow, wide},
    image::{
        Image,
        mapped::{FileId, Layered, Map, Pack, Source, Stretch},
        structure::{Structure, read_vec},
        tables::{Cache, Tables},
    },
};

const ENTRIES_AT: u64 = 24;
const COMPRESSED: u32 = 1 << 31;
/// Unpacked chunks that are kept, in bytes.
const CACHE: u64 = 2 << 20;
const CHECKSUM: u64 = 4;
/// Bytes of entries that are read at once.
const PIECE: u64 = 64 << 10;

/// A table, with its places counted through all segments.
pub(super) struct Table {
    pub(super) first: u64,
    pub(super) count: u32,
    /// Whether its entries have their checksum, or have none.
    pub(super) is_whole: bool,
    entries_at: u64,
    base: u64,
    /// Where the data of its last chunk ends at the latest.
    end: u64,
}

impl Table {
    /// The table of the section that has its `data` there in a segment, which begins at `start` of all segments
    /// together; its first chunk has the number `first`. `is_summed` says that its entries have a checksum.
    pub(super) fn read(
        file: &dyn Image,
        data: Range<u64>,
        start: u64,
        sectors_end: Option<u64>,
        first: u64,
        is_summed: bool,
    ) -> Result<Self> {
        let bytes = read_vec(file, data.start, narrow(ENTRIES_AT))?;
        let s = Structure::new(LAYER, "table section", data.start, &bytes);
        let (found, expected) = (s.le32(20)?, adler32(s.slice(0, 20)?));
        if found != expected {
            return Err(wrong_checksum(&s, found, expected));
        }
        let count = s.le32(0)?;
        let entries_at = data.start.saturating_add(ENTRIES_AT);
        let entries_end = entries_at.saturating_add(u64::from(count).saturating_mul(4));
        if entries_end > file.len() {
            return Err(
                s.wrong(format!("{count} entries reach {entries_end:#x}: the segment has {:#x} bytes", file.len()))
            );
        }
        let has_sum = is_summed && entries_end.saturating_add(CHECKSUM) <= data.end.min(file.len());
        Ok(Self {
            first,
            count,
            is_whole: !has_sum || is_whole(file, entries_at..entries_end)?,
            entries_at: start.saturating_add(entries_at),
            base: start.saturating_add(s.le64(8)?),
            // EnCase 1, SMART and the first EWF have no sectors section: chunks lie in the table's, behind its entries.
            end: start.saturating_add(sectors_end.unwrap_or(data.end).min(file.len())),
        })
    }
}

/// Whether the checksum behind these entries is theirs. Two of them that lead to each other's chunks look well
/// otherwise: what is compressed ends by itself, wherever it begins.
fn is_whole(file: &dyn Image, entries: Range<u64>) -> Result<bool> {
    let mut sum = Adler32::default();
    let mut at = entries.start;
    while at < entries.end {
        let len = PIECE.min(entries.end.saturating_sub(at));
        sum.take(&read_vec(file, at, narrow(len))?);
        at = at.saturating_add(len);
    }
    let stored = read_vec(file, entries.end, narrow(CHECKSUM))?;
    Ok(Structure::new(LAYER, "table section", entries.end, &stored).le32(0)? == sum.value())
}

/// The chunks of a disk.
pub(super) struct Chunks {
    volume: Volume,
    list: Vec<Table>,
    tables: Tables,
    deflated: Packed,
    stored: Packed,
}

impl Chunks {
    pub(super) fn new(file: Arc<dyn Layered>, id: FileId, volume: Volume, list: Vec<Table>) -> Result<Self> {
        let chunks = list.iter().fold(0_u64, |sum, table| sum.saturating_add(table.count.into()));
        let needed = volume.size.div_ceil(volume.chunk);
        if chunks < needed {
            return Err(Error::corrupt(
                LAYER,
                "tables of chunks",
                format!(
                    "they have {chunks} chunks: {needed} are needed for {:#x} bytes; the image was cut",
                    volume.size
                ),
            ));
        }
        let packed = |deflated| Packed {
            file: Arc::clone(&file),
            id,
            volume,
            deflated,
            unpacked: Cache::new(narrow(CACHE.checked_div(volume.chunk).unwrap_or(1)).min(32)),
        };
        Ok(Self { volume, list, deflated: packed(true), stored: packed(false), tables: Tables::new(LAYER, file) })
    }
}

impl Map for Chunks {
    const LAYER: &'static str = LAYER;

    fn size(&self) -> u64 {
        self.volume.size
    }

    fn below(&self) -> Option<&Arc<dyn Layered>> {
        None
    }

    fn stretch(&self, offset: u64, _want: u64) -> Result<Stretch<'_>> {
        let number = offset.checked_div(self.volume.chunk).unwrap_or(0);
        let inside = offset.checked_rem(self.volume.chunk).unwrap_or(0);
        let behind = self.list.partition_point(|table| table.first <= number);
        let table = behind
            .checked_sub(1)
            .and_then(|n| self.list.get(n))
            .ok_or_else(|| Error::Bug(format!("ewf: no table of chunk {number}")))?;
        let in_table = number.saturating_sub(table.first);
        let at = |n: u64| table.entries_at.saturating_add(n.saturating_mul(4));
        let entry = u32::from_le_bytes(self.tables.entry("table entry", at(in_table))?);
        let start = table.base.saturating_add((entry & !COMPRESSED).into());
        let next = in_table.saturating_add(1);
        let end = if next < table.count.into() {
            let next = u32::from_le_bytes(self.tables.entry("table entry", at(next))?);
            table.base.saturating_add((next & !COMPRESSED).into())
        } else {
            table.end
        };
        let len = end.checked_sub(start).filter(|len| *len > 0).ok_or_else(|| {
            Error::corrupt(LAYER, format!("chunk {number}"), format!("it begins at {start:#x} and ends at {end:#x}"))
        })?;
        let pack = if entry & COMPRESSED != 0 { &self.deflated } else { &self.stored };
        let left = self.volume.chunk.saturating_sub(inside);
        Ok(Stretch { len: left, source: Source::Packed { pack, at: start, len, skip: inside } })
    }
}

/// The chunks that are stored in one of the two ways.
struct Packed {
    file: Arc<dyn Layered>,
    id: FileId,
    volume: Volume,
    deflated: bool,
    unpacked: Cache<Arc<[u8]>>,
}

impl Packed {
    fn unpack_now(&self, at: u64, len: u64) -> Result<Arc<[u8]>> {
        let wrong = |what: String| Error::corrupt(LAYER, format!("chunk at {at:#x}"), what);
        // Deflate makes a chunk at most a little longer; what is behind that is another one's.
        let most = self.volume.chunk.saturating_add(self.volume.chunk / 8).saturating_add(1024);
        let there = len.min(most).min(self.file.len().saturating_sub(at));
        let mut bytes = read_vec(&*self.file, at, narrow(there))?;
        if self.deflated {
            let mut chunk = vec![0; narrow(self.volume.chunk)];
            let mut stream = Decompress::new(true);
            return match stream.decompress(&bytes, &mut chunk, FlushDecompress::Finish) {
                Ok(Status::StreamEnd) => {
                    chunk.truncate(narrow(stream.total_out()));
                    Ok(chunk.into())
                }
                Ok(_) => Err(wrong("its compressed data has no end".to_owned())),
                Err(error) => Err(wrong(error.to_string())),
            };
        }
        bytes.truncate(narrow(self.volume.chunk.saturating_add(CHECKSUM)));
        let data = bytes.len().saturating_sub(narrow(CHECKSUM));
        let s = Structure::new(LAYER, "chunk", at, &bytes);
        let (found, expected) = (s.le32(data)?, adler32(s.slice(0, data)?));
        if found != expected {
            return Err(wrong(format!(
                "its checksum is {found:#010x}: expected {expected:#010x} over {:#x} bytes",
                wide(data)
            )));
        }
        bytes.truncate(data);
        Ok(bytes.into())
    }
}

impl Pack for Packed {
    fn file(&self) -> FileId {
        self.id
    }

    fn unpack(&self, at: u64, len: u64) -> Result<Arc<[u8]>> {
        self.unpacked.get(at, || self.unpack_now(at, len))
    }
}
