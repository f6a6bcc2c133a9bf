//! EWF, the Expert Witness format (E01) of EnCase and FTK Imager: compressed chunks with checksums, in one or more
//! segment files, and a hash of the whole disk. In comes the first segment, out comes the disk.
//!
//! Reference: libewf project, "Expert Witness Compression Format (EWF)", named in this room by its section
//! titles. All numbers are little-endian.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod chunk;
mod hash;
mod section;
mod segment;
mod volume;

use std::sync::Arc;

use self::{
    chunk::Chunks,
    section::{Contents, Section},
};
use crate::{
    error::{Error, Result},
    image::{
        beneath::Place,
        joined::{Joined, Part},
        layer::{Findings, Layer},
        mapped::{Layered, Mapped},
        structure::Structure,
    },
};

pub use self::hash::{Verdict, verify_stored_hash};

const LAYER: &str = "ewf";

/// Opens the disk whose first segment is `file`.
pub(crate) fn open(file: Arc<dyn Layered>, place: &Place) -> Result<Layer> {
    let mut findings = Findings::default();
    let (chunks, _) = open_with_hash(file, place, &mut findings)?;
    Ok(findings.with(LAYER, Arc::new(Mapped(chunks))))
}

/// The disk, and what is stored of its hash.
fn open_with_hash(file: Arc<dyn Layered>, place: &Place, findings: &mut Findings) -> Result<(Chunks, hash::Stored)> {
    let mut contents = Contents::default();
    let mut parts: Vec<Part> = Vec::new();
    let mut next = Some((file, place.shown()));
    while let Some((file, shown)) = next.take() {
        let start = Joined::end(&parts);
        let number = parts.len().saturating_add(1);
        let in_segment = |error| segment::within(error, &shown);
        segment::check_number(&*file, number).map_err(in_segment)?;
        let last = Section::walk(&*file, start, &mut contents).map_err(in_segment)?;
        let len = file.len();
        parts.push(Part { start, len, image: Some(file) });
        if !last {
            let (file, at) = segment::open_next(place, number)?;
            findings.files.push(at.used(&file));
            next = Some((Arc::new(file), at.shown()));
        }
    }
    let volume = contents.volume.ok_or_else(|| Error::corrupt(LAYER, place.shown(), "it has no volume section"))?;
    if let Some(errors) = contents.bad_sectors {
        findings.gaps.push(format!(
            "ewf: {}: {errors} ranges of sectors could not be read when the image was acquired, and are zeros in it",
            place.shown()
        ));
    }
    let damaged = contents.tables.iter().filter(|table| !table.is_whole).count();
    if damaged > 0 {
        findings.gaps.push(format!(
            "ewf: {}: {damaged} tables of chunks are damaged and have no whole copy; what is read may be wrong",
            place.shown()
        ));
    }
    if contents.copies > 0 {
        findings.notes.push(format!(
            "ewf: {}: {} tables of chunks are damaged; their copies are used",
            place.shown(),
            contents.copies
        ));
    }
    let joined: Arc<dyn Layered> = Arc::new(Mapped(Joined::new(LAYER, parts)?));
    Ok((Chunks::new(joined, place.id(), volume, contents.tables)?, contents.hash))
}

/// The error that a structure's checksum is not what its bytes come to.
fn wrong_checksum(s: &Structure<'_>, found: u32, expected: u32) -> Error {
    s.wrong(format!("its checksum is {found:#010x}: expected {expected:#010x}"))
}

/// The checksum of sections, of the entries of a table, and of chunks that are not compressed, as RFC 1950, 8.2.
fn adler32(bytes: &[u8]) -> u32 {
    let mut sum = Adler32::default();
    sum.take(bytes);
    sum.value()
}

/// The same over bytes that come in pieces.
struct Adler32 {
    a: u32,
    b: u32,
}

impl Default for Adler32 {
    fn default() -> Self {
        Self { a: 1, b: 0 }
    }
}

impl Adler32 {
    fn take(&mut self, bytes: &[u8]) {
        const MODULUS: u32 = 65_521;
        // The longest run whose sums cannot leave 32 bits.
        const RUN: usize = 5552;
        for run in bytes.chunks(RUN) {
            for byte in run {
                self.a = self.a.wrapping_add((*byte).into());
                self.b = self.b.wrapping_add(self.a);
            }
            self.a %= MODULUS;
            self.b %= MODULUS;
        }
    }

    fn value(&self) -> u32 {
        self.b << 16 | self.a
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn adler32_of_the_check_value() {
        // RFC 1950's algorithm over the usual example.
        assert_eq!(super::adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(super::adler32(b""), 1);
    }
}
