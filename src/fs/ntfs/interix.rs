//! Symbolic links as Interix, Cygwin and ntfs-3g made them before reparse points: system files whose content says so.
//! All of the content is the link's target, so that nothing hides behind one.
//!
//! Reference: ntfs-3g `layout.h` (`INTX_FILE`).

use crate::{
    error::Result,
    field::{narrow, units, wide},
};

use super::{
    attribute,
    file::File,
    value::{Clusters, Value},
    volume::Volume,
    wtf8,
};

const SYMLINK: &[u8] = b"IntxLNK\x01";
const FILE_ATTRIBUTE_SYSTEM: u32 = 4;
/// The longest target, in bytes.
const MAX_TARGET: u64 = 8 << 10;

/// The target of a file that is such a link.
pub(super) fn target(volume: &Volume, file: &File, attributes: u32, size: u64) -> Result<Option<Vec<u8>>> {
    let header = wide(SYMLINK.len());
    let fits = size.is_multiple_of(2) && (header.saturating_add(2)..=MAX_TARGET.saturating_add(header)).contains(&size);
    if file.directory || attributes & FILE_ATTRIBUTE_SYSTEM == 0 || !fits {
        return Ok(None);
    }
    let bytes = match file.value(volume, attribute::DATA, &[])? {
        Some(Value::Resident(bytes)) => bytes.to_vec(),
        Some(Value::Clusters(clusters)) if !clusters.is_compressed() => first_bytes(volume, &clusters, size)?,
        _ => return Ok(None),
    };
    Ok(bytes.strip_prefix(SYMLINK).map(|target| wtf8::encode(units(target))))
}

fn first_bytes(volume: &Volume, clusters: &Clusters, size: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; narrow(size)];
    clusters.read_at(volume, 0, &mut bytes)?;
    Ok(bytes)
}
