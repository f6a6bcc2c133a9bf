//! The volume's bytes as the filesystem means them: the image, and over it what the log holds newer. Everything in
//! this room reads through here.

use std::sync::Arc;

use super::{log::Overlay, superblock::Superblock};
use crate::{error::Result, fs::claims::Claims, image::Image};

/// A volume with its geometry.
pub(super) struct Volume {
    image: Arc<dyn Image>,
    pub(super) superblock: Superblock,
    pub(super) overlay: Overlay,
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

    pub(super) fn image_len(&self) -> u64 {
        self.image.len()
    }

    /// The blocks that content can lie in: those of the filesystem, and of the image. A superblock can say anything.
    pub(super) fn blocks(&self) -> u64 {
        let held = self.image.len().checked_div(self.superblock.block_bytes()).unwrap_or(0);
        held.min(self.superblock.blocks)
    }

    /// Fills `buf` from a byte offset of the volume.
    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.image.read_at(offset, buf)?;
        self.overlay.patch(offset, buf);
        Ok(())
    }
}
