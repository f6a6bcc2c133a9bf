//! Extents: the parts that a disk is put together of: how each holds its sectors.

use std::sync::Arc;

use super::{
    LAYER,
    cowd::{self, CowdHeader},
    descriptor::{self, ExtentKind, ExtentLine},
    grain::{Entries, Grains, Packed},
    sesparse::{self, SeSparseHeader},
    sparse_header::{self, SparseHeader},
};
use crate::{
    error::{Error, Result},
    field::narrow,
    image::{
        Image,
        beneath::Place,
        mapped::{FileId, Layered, Mapped, Window},
        structure::read_vec,
        tables::Tables,
    },
};

/// Compressed extents of one disk, each of which keeps unpacked grains; real disks have one.
const MAX_COMPRESSED: usize = 64;

/// The descriptor inside a sparse file, empty where it has none; `None` when the file is no sparse extent.
pub(super) fn embedded_descriptor(file: &dyn Image) -> Result<Option<Vec<u8>>> {
    let magic = read_vec(file, 0, narrow(file.len().min(8)))?;
    if magic.starts_with(sparse_header::MAGIC) {
        let header = SparseHeader::read(file)?;
        return match (header.descriptor_at, header.descriptor_length) {
            (0, _) | (_, 0) => Ok(Some(Vec::new())),
            (at, len) => descriptor::embedded(file, at, len).map(Some),
        };
    }
    let other = magic.starts_with(cowd::MAGIC) || magic.starts_with(sesparse::MAGIC);
    Ok(other.then(Vec::new))
}

/// The extent that a line of a descriptor names, one of so many `extents`; `part` of the disk is where it begins and
/// how many bytes it has.
pub(super) fn open_named(
    file: Arc<dyn Layered>,
    at: &Place,
    line: &ExtentLine,
    extents: usize,
    part: (u64, u64),
    below: Option<&Arc<dyn Layered>>,
) -> Result<Arc<dyn Layered>> {
    let (start, len) = part;
    if line.kind == ExtentKind::Flat {
        let from = line.offset.saturating_mul(super::SECTOR);
        return Ok(Arc::new(Window::new(LAYER, file, from, len).map_err(|_| short(at, line, len))?));
    }
    let below = below.map(|below| -> Arc<dyn Layered> { Arc::new(Window::tail(Arc::clone(below), start)) });
    let image = open_sparse(file, at.id(), extents, below)?;
    // The header counts the same sectors; the line may leave out what the grain's rounding adds.
    if image.len() < len {
        return Err(short(at, line, len));
    }
    Ok(image)
}

fn short(at: &Place, line: &ExtentLine, len: u64) -> Error {
    Error::corrupt(
        LAYER,
        format!("extent '{}'", at.shown()),
        format!("the descriptor gives it {} sectors, {len:#x} bytes, which it does not have", line.sectors),
    )
}

/// A sparse extent of any of the three formats, one of so many `extents` of its disk.
pub(super) fn open_sparse(
    file: Arc<dyn Layered>,
    id: FileId,
    extents: usize,
    below: Option<Arc<dyn Layered>>,
) -> Result<Arc<dyn Layered>> {
    let magic = read_vec(&*file, 0, narrow(file.len().min(8)))?;
    let grains = if magic.starts_with(cowd::MAGIC) {
        let header = CowdHeader::read(&*file)?;
        Grains {
            size: header.capacity,
            grain: header.grain,
            table_entries: cowd::TABLE_ENTRIES,
            directory_at: header.directory_at,
            entries: Entries::Sectors { zero_grains: false },
            packed: None,
            tables: Tables::one_of(extents, LAYER, file),
            below,
        }
    } else if magic.starts_with(sesparse::MAGIC) {
        let header = SeSparseHeader::read(&*file)?;
        Grains {
            size: header.capacity,
            grain: header.grain,
            table_entries: sesparse::TABLE_ENTRIES,
            directory_at: header.directory_at,
            entries: Entries::SeSparse(header),
            packed: None,
            tables: Tables::one_of(extents, LAYER, file),
            below,
        }
    } else {
        let header = SparseHeader::read(&*file)?;
        if header.compressed && extents > MAX_COMPRESSED {
            return Err(Error::budget(
                LAYER,
                format!("{extents} compressed extents: at most {MAX_COMPRESSED} are read"),
            ));
        }
        Grains {
            size: header.capacity,
            grain: header.grain,
            table_entries: header.table_entries.into(),
            directory_at: header.directory_at,
            entries: Entries::Sectors { zero_grains: header.zero_grains },
            packed: header.compressed.then(|| Packed::new(Arc::clone(&file), id, header.grain)),
            tables: Tables::one_of(extents, LAYER, file),
            below,
        }
    };
    Ok(Arc::new(Mapped(grains)))
}
