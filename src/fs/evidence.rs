//! What a record of a node rests on, as bytes: where they are what they were, the record is what it was, and a scan
//! need not make it again.

use std::ops::Range;

/// All metadata of one node that its record and the places of its content are read from, as it stands on the volume.
/// Names and content do not belong to it, nor does what is the same for all nodes:
/// [`Session::geometry`](super::Session::geometry).
#[derive(Debug, Default)]
pub struct Evidence {
    /// The metadata.
    pub bytes: Vec<u8>,
    /// Length of the content in bytes.
    pub size: u64,
    /// Where on the volume the content is stored, in bytes; the rest of it is zeros that are stored nowhere.
    pub stored: Vec<Range<u64>>,
}

impl Evidence {
    /// Forgets the last node, and keeps the memory for the next.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.size = 0;
        self.stored.clear();
    }

    /// Bytes of content that are stored nowhere.
    #[must_use]
    pub fn zeros(&self) -> u64 {
        let stored =
            self.stored.iter().fold(0_u64, |sum, range| sum.saturating_add(range.end.saturating_sub(range.start)));
        self.size.saturating_sub(stored)
    }
}
