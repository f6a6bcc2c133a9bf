//! "Hosted Sparse Extents", the grain directory and the grain tables: from an offset of the extent to a grain of
//! the file. An entry 0 is the parent's, or zeros; 1 is zeros where the header says so; else it is a sector.

use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};

use super::{LAYER, SECTOR, sesparse::SeSparseHeader};
use crate::{
    error::{Error, Result},
    field::{narrow, wide},
    image::{
        mapped::{FileId, Layered, Map, Pack, Source, Stretch},
        structure::{Structure, read_vec},
        tables::{self, Cache, Tables},
    },
};

/// "Grain Marker": sector (8), size of the compressed data (4), the data.
const MARKER: usize = 12;
/// Unpacked grains that are kept, in bytes.
const CACHE: u64 = 2 << 20;

/// How table entries are written.
pub(super) enum Entries {
    /// 4 bytes, a sector; whether 1 means zeros.
    Sectors { zero_grains: bool },
    /// 8 bytes, kind and index.
    SeSparse(SeSparseHeader),
}

/// What a grain is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grain {
    Below,
    Zeros,
    At(u64),
}

/// The grains of one sparse extent.
pub(super) struct Grains {
    pub(super) size: u64,
    /// Bytes in a grain, a power of two.
    pub(super) grain: u64,
    pub(super) table_entries: u64,
    pub(super) directory_at: u64,
    pub(super) entries: Entries,
    pub(super) tables: Tables,
    pub(super) packed: Option<Packed>,
    pub(super) below: Option<Arc<dyn Layered>>,
}

/// The compressed grains of a file.
pub(super) struct Packed {
    file: Arc<dyn Layered>,
    id: FileId,
    grain: u64,
    unpacked: Cache<Arc<[u8]>>,
}

impl Packed {
    pub(super) fn new(file: Arc<dyn Layered>, id: FileId, grain: u64) -> Self {
        let capacity = narrow(CACHE.checked_div(grain).unwrap_or(1)).min(32);
        Self { file, id, grain, unpacked: Cache::new(capacity) }
    }

    fn unpack_now(&self, at: u64) -> Result<Arc<[u8]>> {
        let marker = read_vec(&*self.file, at, MARKER)?;
        let s = Structure::new(LAYER, "grain marker", at, &marker);
        let size = s.le32(8)?;
        // Deflate adds 5 bytes to 16 KiB that it cannot compress; twice the grain is no compression any more.
        if size == 0 || u64::from(size) > self.grain.saturating_mul(2).saturating_add(SECTOR) {
            return Err(s.wrong(format!("{size:#x} bytes of compressed data for a grain of {:#x}", self.grain)));
        }
        let packed = read_vec(&*self.file, at.saturating_add(wide(MARKER)), narrow(size))?;
        let mut grain = vec![0; narrow(self.grain)];
        let mut stream = Decompress::new(true);
        let outcome = stream.decompress(&packed, &mut grain, FlushDecompress::Finish);
        match outcome {
            // The last grain may be cut to the capacity.
            Ok(Status::StreamEnd) => grain.truncate(narrow(stream.total_out())),
            Ok(_) => return Err(s.wrong("its compressed data goes on past its end")),
            Err(error) => return Err(s.wrong(error.to_string())),
        }
        Ok(grain.into())
    }
}

impl Pack for Packed {
    fn file(&self) -> FileId {
        self.id
    }

    fn unpack(&self, at: u64, _len: u64) -> Result<Arc<[u8]>> {
        self.unpacked.get(at, || self.unpack_now(at))
    }
}

impl Grains {
    /// The byte of the grain table that covers this directory index, if it is there.
    fn table(&self, index: u64) -> Result<Option<u64>> {
        let at = |width: u64| self.directory_at.saturating_add(index.saturating_mul(width));
        match &self.entries {
            Entries::Sectors { .. } => {
                let sector = u32::from_le_bytes(self.tables.entry("grain directory", at(4))?);
                Ok((sector != 0).then(|| u64::from(sector).saturating_mul(SECTOR)))
            }
            Entries::SeSparse(header) => header.table(u64::from_le_bytes(self.tables.entry("grain directory", at(8))?)),
        }
    }

    /// The grains from this entry of a table on, as far as the table's page reaches.
    fn grains(&self, table: u64, index: u64) -> Result<Page<'_>> {
        let at = |width: u64| table.saturating_add(index.saturating_mul(width));
        let page = match &self.entries {
            Entries::Sectors { .. } => self.tables.entries::<4>("grain table", at(4))?,
            Entries::SeSparse(_) => self.tables.entries::<8>("grain table", at(8))?,
        };
        Ok(Page { page, entries: &self.entries })
    }
}

/// The entries of a grain table that are at hand.
struct Page<'a> {
    page: tables::Entries,
    entries: &'a Entries,
}

impl Page<'_> {
    fn get(&self, n: usize) -> Option<Result<Grain>> {
        match self.entries {
            Entries::Sectors { zero_grains } => Some(Ok(match self.page.array(n).map(u32::from_le_bytes)? {
                0 => Grain::Below,
                1 if *zero_grains => Grain::Zeros,
                sector => Grain::At(u64::from(sector).saturating_mul(SECTOR)),
            })),
            Entries::SeSparse(header) => {
                let entry = self.page.array(n).map(u64::from_le_bytes)?;
                Some(match entry >> 60 {
                    0 if entry == 0 => Ok(Grain::Below),
                    1 | 2 => Ok(Grain::Zeros),
                    3 => Ok(Grain::At(header.grain_at(entry))),
                    _ => Err(Error::corrupt(
                        LAYER,
                        "seSparse grain table",
                        format!("the entry {entry:#018x} is of no known kind"),
                    )),
                })
            }
        }
    }
}

impl Map for Grains {
    const LAYER: &'static str = LAYER;

    fn size(&self) -> u64 {
        self.size
    }

    fn below(&self) -> Option<&Arc<dyn Layered>> {
        self.below.as_ref()
    }

    fn stretch(&self, offset: u64, want: u64) -> Result<Stretch<'_>> {
        let number = offset.checked_div(self.grain).unwrap_or(0);
        let inside = offset.checked_rem(self.grain).unwrap_or(0);
        let directory = number.checked_div(self.table_entries).unwrap_or(0);
        let index = number.checked_rem(self.table_entries).unwrap_or(0);
        let left = self.table_entries.saturating_sub(index);
        let Some(table) = self.table(directory)? else {
            let len = left.saturating_mul(self.grain).saturating_sub(inside);
            return Ok(Stretch { len, source: Source::Below });
        };
        let grains = self.grains(table, index)?;
        let first = grains.get(0).ok_or_else(|| Error::Bug(format!("vmdk: no grain table entry at {table:#x}")))??;
        let mut len = self.grain.saturating_sub(inside);
        if let (Some(pack), Grain::At(at)) = (&self.packed, first) {
            return Ok(Stretch { len, source: Source::Packed { pack, at, len: 0, skip: inside } });
        }
        for n in 1..narrow(left) {
            let next = match first {
                Grain::At(at) => Grain::At(at.saturating_add(self.grain.saturating_mul(wide(n)))),
                other => other,
            };
            if len >= want || !matches!(grains.get(n), Some(Ok(grain)) if grain == next) {
                break;
            }
            len = len.saturating_add(self.grain);
        }
        let source = match first {
            Grain::Below => Source::Below,
            Grain::Zeros => Source::Zeros,
            Grain::At(at) => Source::Stored { file: &**self.tables.file(), at: at.saturating_add(inside) },
        };
        Ok(Stretch { len, source })
    }
}
