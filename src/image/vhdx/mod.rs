//! VHDX, the format of Hyper-V: fixed, dynamic and differencing disks. In comes a file, out comes the disk, its
//! log replayed in memory, on top of its parent where it has one. The file is never written.
//!
//! Reference: Microsoft, \[MS-VHDX\], named in this room by its section numbers. All numbers are little-endian.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod block;
mod crc32c;
mod header;
mod log;
mod metadata;
mod parent;
mod region;
mod replayed;

use std::sync::Arc;

use self::{block::Blocks, header::Header, metadata::Metadata, replayed::Replay};
use crate::{
    error::Result,
    image::{
        beneath::Place,
        layer::{Findings, Layer},
        mapped::{Layered, Mapped},
        tables::Tables,
    },
};

const LAYER: &str = "vhdx";

/// A GUID as it lies on disk: three little-endian groups, then eight bytes.
pub(super) type Guid = [u8; 16];

/// Opens the disk in `file`.
pub(crate) fn open(file: Arc<dyn Layered>, place: &Place) -> Result<Layer> {
    let mut findings = Findings::default();
    let header = Header::read(&*file)?;
    let replay = log::read(&*file, &header)?.unwrap_or_else(|| {
        findings.notes.push(format!(
            "vhdx: {}: no entry of its log was begun, though its header says that it is in use; nothing was replayed",
            place.shown()
        ));
        Replay::default()
    });
    if let Some(entries) = replay.entries() {
        findings.notes.push(format!("vhdx: {}: its log of {entries} entries is replayed in memory", place.shown()));
    }
    let file = replay.over(file);
    let regions = region::read(&*file)?;
    let metadata = Metadata::read(&*file, regions.metadata)?;
    let below = match &metadata.parent {
        Some(locator) => Some(findings.stand_on(parent::open(place, locator)?)),
        None => None,
    };
    let blocks = Blocks::new(&metadata, regions.bat, Tables::new(LAYER, file), below)?;
    Ok(findings.with(LAYER, Arc::new(Mapped(blocks))))
}

/// What a child calls its parent by: the id that changes whenever the parent's data is written.
fn data_write_guid(file: &dyn Layered) -> Result<Guid> {
    Ok(Header::read(file)?.data_write)
}
