//! One worker's way to MFT records: the table is read in windows, which are kept.

use std::rc::Rc;

use crate::error::{Error, Result};

use super::{
    LAYER,
    file::File,
    le,
    record::{Record, Reference},
    volume::Volume,
};

/// Bytes of the table that are read at once; a multiple of every record size.
const WINDOW: usize = 64 << 10;
/// Windows that are kept, 8 MiB of the table in all.
const WINDOWS: u64 = 128;
/// Files that are kept as they were parsed: listing a directory and asking for metadata come close together.
const RECENT_FILES: usize = 8;
/// Files of more records than this are not kept.
const MAX_KEPT_RECORDS: usize = 256;

/// Reads records and assembles files, with caches of fixed size.
pub(super) struct Reader<'v> {
    pub(super) volume: &'v Volume,
    windows: Vec<Option<(u64, Vec<u8>)>>,
    recent: Vec<(Reference, Rc<File>)>,
    oldest: usize,
}

impl<'v> Reader<'v> {
    pub(super) fn new(volume: &'v Volume) -> Self {
        Self { volume, windows: vec![None; le::to_usize(WINDOWS)], recent: Vec::new(), oldest: 0 }
    }

    /// Record `number`, in use and with its update sequence checked.
    pub(super) fn record(&mut self, number: u64) -> Result<Record> {
        let bytes = self.record_bytes(number)?;
        Record::parse(number, bytes).map_err(|what| Error::corrupt(LAYER, format!("record {number}"), what))
    }

    /// The file that a reference means, assembled from all its records.
    pub(super) fn file(&mut self, reference: Reference) -> Result<Rc<File>> {
        if let Some((_, file)) = self.recent.iter().find(|(kept, _)| *kept == reference) {
            return Ok(Rc::clone(file));
        }
        let file = Rc::new(File::load(self, reference)?);
        if file.records() > MAX_KEPT_RECORDS {
            return Ok(file);
        }
        let kept = (reference, Rc::clone(&file));
        match self.recent.get_mut(self.oldest) {
            Some(slot) => *slot = kept,
            None => self.recent.push(kept),
        }
        self.oldest = self.oldest.saturating_add(1).checked_rem(RECENT_FILES).unwrap_or(0);
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
        let Volume { image, boot, mft } = self.volume;
        let at = number.saturating_mul(le::to_u64(boot.record_size));
        let window = le::to_u64(WINDOW);
        let index = at.checked_div(window).unwrap_or(0);
        let start = index.saturating_mul(window);
        let slot = index.checked_rem(WINDOWS).and_then(|slot| self.windows.get_mut(le::to_usize(slot)));
        if let Some(slot) = slot {
            if slot.as_ref().is_none_or(|(kept, _)| *kept != index) {
                // A window that cannot be read as a whole is read record by record below.
                *slot = mft.window(image.as_ref(), boot, start, WINDOW).ok().map(|bytes| (index, bytes));
            }
            let skip = le::to_usize(at.saturating_sub(start));
            let bytes = slot.as_ref().and_then(|(_, bytes)| le::slice(bytes, skip, boot.record_size));
            if let Some(bytes) = bytes {
                return Ok(bytes.to_vec());
            }
        }
        mft.record_bytes(image.as_ref(), boot, number)
    }
}
