//! The blocks that the journal holds newer than the volume.

use std::collections::HashMap;

/// A block of the filesystem, and the block of the volume where the journal keeps its newest content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fs::ext) struct Replayed {
    pub(in crate::fs::ext) block: u64,
    pub(in crate::fs::ext) source: u64,
    /// Its first word is blanked in the journal, because it looked like the journal's own magic number.
    pub(in crate::fs::ext) escaped: bool,
}

/// All replayed blocks, in order.
#[derive(Default)]
pub(in crate::fs::ext) struct Overlay {
    blocks: Vec<Replayed>,
}

impl Overlay {
    pub(super) fn new(newest: HashMap<u64, (u64, bool)>) -> Self {
        let mut blocks: Vec<_> =
            newest.into_iter().map(|(block, (source, escaped))| Replayed { block, source, escaped }).collect();
        blocks.sort_unstable_by_key(|replayed| replayed.block);
        Self { blocks }
    }

    pub(in crate::fs::ext) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// The replayed ones of the blocks from `first` to before `end`.
    pub(in crate::fs::ext) fn range(&self, first: u64, end: u64) -> &[Replayed] {
        let from = self.blocks.partition_point(|replayed| replayed.block < first);
        let to = self.blocks.partition_point(|replayed| replayed.block < end);
        self.blocks.get(from..to).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Overlay;

    #[test]
    fn ranges_are_half_open() {
        let overlay = Overlay::new([(9, (1, false)), (3, (2, true)), (5, (3, false))].into());
        let blocks = |first, end| overlay.range(first, end).iter().map(|r| r.block).collect::<Vec<_>>();
        assert_eq!(blocks(0, 100), [3, 5, 9]);
        assert_eq!(blocks(3, 5), [3]);
        assert!(blocks(4, 4).is_empty());
        assert!(blocks(10, 3).is_empty());
    }
}
