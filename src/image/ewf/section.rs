//! "Section descriptor": 76 bytes before each section; they form a list through the segment.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 16 | type |
//! | 16 | 8 | offset of the next section |
//! | 24 | 8 | size, with this descriptor |
//! | 72 | 4 | checksum |

use super::{LAYER, adler32, chunk::Table, hash::Stored, volume::Volume, wrong_checksum};
use crate::{
    error::{Error, Result},
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

pub(super) const LENGTH: u64 = 76;
/// A segment of 2 GB with the smallest tables has some hundred sections.
const MAX_SECTIONS: usize = 1 << 16;
/// Of all segments together.
const MAX_TABLES: usize = 1 << 18;

/// A section.
pub(super) struct Section {
    kind: Vec<u8>,
    next: u64,
    /// Where its data begins, and where it ends.
    data: u64,
    end: u64,
}

/// What the sections of all segments hold.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) volume: Option<Volume>,
    pub(super) tables: Vec<Table>,
    pub(super) hash: Stored,
    pub(super) bad_sectors: Option<u32>,
    /// Tables that are damaged, and whose copies are taken.
    pub(super) copies: u32,
    /// Chunks in the tables so far.
    chunks: u64,
    /// Where the data of the last sectors section ends, in its segment.
    sectors_end: u64,
}

impl Section {
    fn read(file: &dyn Image, at: u64) -> Result<Self> {
        let bytes = read_vec(file, at, 76)?;
        let s = Structure::new(LAYER, "section descriptor", at, &bytes);
        let (found, expected) = (s.le32(72)?, adler32(s.slice(0, 72)?));
        if found != expected {
            return Err(wrong_checksum(&s, found, expected));
        }
        let kind = s.slice(0, 16)?.split(|b| *b == 0).next().unwrap_or_default().to_vec();
        let (next, size) = (s.le64(16)?, s.le64(24)?);
        Ok(Self { kind, next, data: at.saturating_add(LENGTH), end: at.saturating_add(size) })
    }

    /// Follows the sections of a segment, which begins at `start` of all segments together; whether it is the last.
    pub(super) fn walk(file: &dyn Image, start: u64, contents: &mut Contents) -> Result<bool> {
        let mut at = 13;
        contents.sectors_end = 0;
        for _ in 0..MAX_SECTIONS {
            let section = Self::read(file, at)?;
            match section.kind.as_slice() {
                b"done" => return Ok(true),
                b"next" => return Ok(false),
                _ => section.take(file, start, contents)?,
            }
            if section.next <= at {
                return Err(Error::corrupt(
                    LAYER,
                    format!("section descriptor at {at:#x}"),
                    format!("the next section is at {:#x}, which is not behind it", section.next),
                ));
            }
            at = section.next;
        }
        Err(Error::budget(LAYER, format!("more than {MAX_SECTIONS} sections in a segment")))
    }

    fn table(&self, file: &dyn Image, start: u64, contents: &Contents, first: u64) -> Result<Table> {
        // Sections that lie over each other would have the same bytes summed again and again.
        let is_summed = self.end <= self.next && contents.volume.is_some_and(|volume| volume.is_encase);
        let sectors_end = Some(contents.sectors_end).filter(|end| *end > 0);
        Table::read(file, self.data..self.end, start, sectors_end, first, is_summed)
    }

    fn take(&self, file: &dyn Image, start: u64, contents: &mut Contents) -> Result<()> {
        match self.kind.as_slice() {
            b"volume" | b"disk" => contents.volume = Some(Volume::read(file, self.data, self.end)?),
            b"sectors" => contents.sectors_end = self.end,
            b"table" => {
                if contents.tables.len() >= MAX_TABLES {
                    return Err(Error::budget(LAYER, format!("more than {MAX_TABLES} tables of chunks")));
                }
                let table = self.table(file, start, contents, contents.chunks)?;
                contents.chunks = contents.chunks.saturating_add(table.count.into());
                contents.tables.push(table);
            }
            // The copy of it is for repair.
            b"table2" => {
                if let Some(last) = contents.tables.last().filter(|last| !last.is_whole)
                    && let Ok(copy) = self.table(file, start, contents, last.first)
                    && (copy.is_whole, copy.count) == (true, last.count)
                {
                    contents.tables.pop();
                    contents.tables.push(copy);
                    contents.copies = contents.copies.saturating_add(1);
                }
            }
            b"hash" => {
                let bytes = read_vec(file, self.data, 16)?;
                contents.hash.add_md5(Structure::new(LAYER, "hash", self.data, &bytes).array(0)?);
            }
            b"digest" => {
                let bytes = read_vec(file, self.data, 36)?;
                let s = Structure::new(LAYER, "digest", self.data, &bytes);
                contents.hash.add_md5(s.array(0)?);
                contents.hash.sha1 = Some(s.array(16)?).filter(|sha1| *sha1 != [0; 20]);
            }
            b"error2" => {
                let count = Structure::new(LAYER, "error2", self.data, &read_vec(file, self.data, 4)?).le32(0)?;
                contents.bad_sectors = (count > 0).then_some(count).or(contents.bad_sectors);
            }
            b"ltree" | b"ltypes" => {
                return Err(Error::unsupported(LAYER, "logical evidence: it holds files, not a disk"));
            }
            // Case data, sessions, encryption keys that apply to nothing here.
            _ => {}
        }
        Ok(())
    }
}
