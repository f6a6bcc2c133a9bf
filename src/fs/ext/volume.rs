//! The volume's bytes as the filesystem means them: the image, and over it the blocks that the journal holds newer.
//! Everything in this room reads through here.

use std::sync::Arc;

use super::{
    LAYER,
    bytes::wide,
    journal::{MAGIC as JOURNAL_MAGIC, Overlay},
    superblock::Superblock,
};
use crate::{
    error::{Error, Result},
    fs::claims::Claims,
    image::Image,
};

/// A volume with its geometry.
pub(super) struct Volume {
    image: Arc<dyn Image>,
    pub(super) superblock: Superblock,
    overlay: Overlay,
    pub(super) directories: Claims,
    pub(super) attributes: Claims,
    pub(super) maps: Claims,
}

impl Volume {
    pub(super) fn new(image: Arc<dyn Image>, superblock: Superblock) -> Self {
        Self {
            maps: Claims::of_maps(image.len()),
            image,
            superblock,
            overlay: Overlay::default(),
            directories: Claims::of_directories(),
            attributes: Claims::of_attributes(),
        }
    }

    pub(super) fn set_overlay(&mut self, overlay: Overlay) {
        self.overlay = overlay;
    }

    pub(super) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    pub(super) fn image_len(&self) -> u64 {
        self.image.len()
    }

    /// The blocks that one file can lie in: those of the filesystem, and of the image. A superblock can say anything.
    pub(super) fn blocks(&self) -> u64 {
        let held = self.image.len().checked_div(self.superblock.block_bytes()).unwrap_or(0);
        held.min(self.superblock.blocks_count)
    }

    /// Fills `buf` from a byte offset of the volume.
    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.image.read_at(offset, buf)?;
        if self.overlay.is_empty() {
            return Ok(());
        }
        self.patch(offset, buf)
    }

    /// One whole block; it must lie inside the filesystem.
    pub(super) fn read_block(&self, block: u64, buf: &mut Vec<u8>) -> Result<()> {
        let superblock = &self.superblock;
        if !superblock.holds(block, 1) {
            let what = format!("lies outside the filesystem of {:#x} blocks", superblock.blocks_count);
            return Err(Error::corrupt(LAYER, format!("block {block:#x}"), what));
        }
        buf.clear();
        buf.resize(superblock.block_len(), 0);
        self.read_at(block.saturating_mul(superblock.block_bytes()), buf)
    }

    /// Puts the journal's blocks over what was read from the image.
    fn patch(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let block_bytes = self.superblock.block_bytes();
        let end = offset.saturating_add(wide(buf.len()));
        let first = offset.checked_div(block_bytes).unwrap_or(0);
        let last = end.div_ceil(block_bytes);
        for replayed in self.overlay.range(first, last) {
            let start = replayed.block.saturating_mul(block_bytes);
            let from = start.max(offset);
            let to = start.saturating_add(block_bytes).min(end);
            let source = replayed.source.saturating_mul(block_bytes).saturating_add(from.saturating_sub(start));
            if let Some(part) = part(buf, offset, from, to) {
                self.image.read_at(source, part)?;
            }
            // The journal blanks the first word of a block that begins with its own magic number.
            if replayed.escaped {
                for (at, byte) in (start..to).zip(JOURNAL_MAGIC.to_be_bytes()) {
                    if let Some([slot]) = part(buf, offset, at, at.saturating_add(1)) {
                        *slot = byte;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The bytes of `buf`, which begins at `offset`, between two offsets of the volume.
fn part(buf: &mut [u8], offset: u64, from: u64, to: u64) -> Option<&mut [u8]> {
    let begin = usize::try_from(from.checked_sub(offset)?).ok()?;
    let end = usize::try_from(to.checked_sub(offset)?).ok()?;
    buf.get_mut(begin..end)
}
