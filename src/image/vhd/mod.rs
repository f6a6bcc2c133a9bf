//! VHD, the format of Virtual PC, Hyper-V and Azure: fixed, dynamic and differencing disks. In comes a file,
//! out comes the disk, on top of its parent where it has one.
//!
//! Reference: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0, named in this room by its
//! section titles. All numbers are big-endian.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod block;
mod dynamic_header;
mod footer;
mod parent;

use std::sync::Arc;

use self::{
    block::Blocks,
    dynamic_header::DynamicHeader,
    footer::{Footer, Kind},
};
use crate::{
    error::{Error, Result},
    image::{
        beneath::Place,
        layer::{Findings, Layer},
        mapped::{Layered, Mapped, Window},
        tables::Tables,
    },
};

const LAYER: &str = "vhd";

/// Opens the disk in `file`.
pub(crate) fn open(file: Arc<dyn Layered>, place: &Place) -> Result<Layer> {
    let mut findings = Findings::default();
    let footer = Footer::read(&*file)?;
    if footer.from_copy {
        findings.notes.push(format!("vhd: {}: the footer is damaged; its copy at the front is used", place.shown()));
    }
    let kind = match footer.kind {
        Kind::Fixed => {
            let image = Window::new(LAYER, file, 0, footer.size)?;
            return Ok(findings.with(LAYER, Arc::new(image)));
        }
        other => other,
    };
    let header = DynamicHeader::read(&*file, footer.data_at)?;
    header.check(&footer)?;
    let below = match kind {
        Kind::Differencing => Some(findings.stand_on(parent::open(&*file, place, &footer, &header)?)),
        _ => None,
    };
    let blocks = Blocks {
        size: footer.size,
        block: header.block,
        table_at: header.table_at,
        tables: Tables::new(LAYER, file),
        below,
    };
    Ok(findings.with(LAYER, Arc::new(Mapped(blocks))))
}

/// The one's complement of the sum of all bytes but those of the checksum itself, which lies at `at`.
fn checksum(bytes: &[u8], at: usize) -> u32 {
    let own = at..at.saturating_add(4);
    let sum = bytes
        .iter()
        .enumerate()
        .filter(|(i, _)| !own.contains(i))
        .fold(0_u32, |sum, (_, b)| sum.wrapping_add((*b).into()));
    !sum
}

fn wrong_checksum(what: &'static str, at: u64, found: u32, expected: u32) -> Error {
    Error::corrupt(
        LAYER,
        format!("{what} at {at:#x}"),
        format!("its checksum is {found:#010x}: expected {expected:#010x}"),
    )
}
