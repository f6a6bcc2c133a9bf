//! One worker's way to MFT records: the table is read in windows, which are kept.

use std::rc::Rc;

use crate::{
    error::{Error, Result},
    field::{narrow, slice, wide},
};

use super::{
    LAYER,
    file::File,
    record::{Record, Reference},
    volume::Volume,
};

/// Bytes of the table that are read at once; a multiple of every record size.
const WINDOW: usize = 64 << 10;
/// Windows that are kept, 8 MiB of the table in all.
const WINDOWS: u64 = 128;
/// Files that are kept as they were parsed: listing a directory and asking for metadata come close together.
const RECENT_FILES: usize = 8;
/// Of files of more records than this one is kept, the last: each of its streams asks for it again.
const MAX_SMALL_RECORDS: usize = 256;

/// Reads records and assembles files, with caches of fixed size.
pub(super) struct Reader<'v> {
    pub(super) volume: &'v Volume,
    windows: Vec<Option<(u64, Vec<u8>)>>,
    recent: Recent,
}

/// The files that were asked for last.
#[derive(Default)]
struct Recent {
    small: Vec<(Reference, Rc<File>)>,
    oldest: usize,
    large: Option<(Reference, Rc<File>)>,
}

impl Recent {
    fn get(&self, reference: Reference) -> Option<Rc<File>> {
        let kept = self.small.iter().chain(&self.large).find(|(kept, _)| *kept == reference);
        kept.map(|(_, file)| Rc::clone(file))
    }

    fn keep(&mut self, reference: Reference, file: Rc<File>) {
        if file.records() > MAX_SMALL_RECORDS {
            self.large = Some((reference, file));
            return;
        }
        match self.small.get_mut(self.oldest) {
            Some(slot) => *slot = (reference, file),
            None => self.small.push((reference, file)),
        }
        self.oldest = self.oldest.saturating_add(1).checked_rem(RECENT_FILES).unwrap_or(0);
    }
}

impl<'v> Reader<'v> {
    pub(super) fn new(volume: &'v Volume) -> Self {
        Self { volume, windows: vec![None; narrow(WINDOWS)], recent: Recent::default() }
    }

    /// Record `number`, in use and with its update sequence checked.
    pub(super) fn record(&mut self, number: u64) -> Result<Record> {
        let bytes = self.record_bytes(number)?;
        Record::parse(number, bytes).map_err(|what| Error::corrupt(LAYER, format!("record {number}"), what))
    }

    /// The file that a reference means, assembled from all its records.
    pub(super) fn file(&mut self, reference: Reference) -> Result<Rc<File>> {
        if let Some(file) = self.recent.get(reference) {
            return Ok(file);
        }
        let file = Rc::new(File::load(self, reference)?);
        self.recent.keep(reference, Rc::clone(&file));
        Ok(file)
    }

    /// The reference with the record's own sequence number, where it has none: a file is one node, whichever entry
    /// leads to it.
    pub(super) fn in_full(&mut self, reference: Reference) -> Reference {
        if reference.sequence() != 0 {
            return reference;
        }
        self.file(reference).map_or(reference, |file| file.reference)
    }

    fn record_bytes(&mut self, number: u64) -> Result<Vec<u8>> {
        let Volume { image, boot, mft, .. } = self.volume;
        let at = number.saturating_mul(wide(boot.record_size));
        let window = wide(WINDOW);
        let index = at.checked_div(window).unwrap_or(0);
        let start = index.saturating_mul(window);
        let slot = index.checked_rem(WINDOWS).and_then(|slot| self.windows.get_mut(narrow(slot)));
        if let Some(slot) = slot {
            if slot.as_ref().is_none_or(|(kept, _)| *kept != index) {
                // A window that cannot be read as a whole is read record by record below.
                *slot = mft.window(image.as_ref(), boot, start, WINDOW).ok().map(|bytes| (index, bytes));
            }
            let skip = narrow(at.saturating_sub(start));
            let bytes = slot.as_ref().and_then(|(_, bytes)| slice(bytes, skip, boot.record_size));
            if let Some(bytes) = bytes {
                return Ok(bytes.to_vec());
            }
        }
        mft.record_bytes(image.as_ref(), boot, number)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "this is a test")]
mod tests {
    use super::*;

    /// One in use, without attributes.
    fn record() -> Record {
        let mut bytes = vec![0; 512];
        bytes[..8].copy_from_slice(b"FILE\x30\0\x02\0");
        bytes[0x14..0x19].copy_from_slice(&[0x38, 0, 1, 0, 0x40]);
        Record::parse(0, bytes).unwrap()
    }

    #[test]
    fn the_last_large_file_is_kept_beside_the_small_ones() {
        let mut recent = Recent::default();
        let mut keep = |number, records| {
            let file = File::of_records((0..records).map(|_| record()).collect());
            recent.keep(Reference(number), Rc::new(file));
        };
        keep(1, MAX_SMALL_RECORDS + 1);
        keep(2, MAX_SMALL_RECORDS + 1);
        for number in 3..12 {
            keep(number, MAX_SMALL_RECORDS);
        }
        let kept: Vec<u64> = (0..20).filter(|number| recent.get(Reference(*number)).is_some()).collect();
        assert_eq!(kept, [2, 4, 5, 6, 7, 8, 9, 10, 11]);
    }
}
