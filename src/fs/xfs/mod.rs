//! XFS, versions 4 and 5. In comes an [`Image`] of one volume, out come directory entries, metadata and bytes as the
//! kernel would show them after it replayed the log; nothing is ever written.
//!
//! - `superblock`, `features`: the geometry; `verify`: what metadata says about itself
//! - `log`: what the log holds newer than the volume; `volume` reads through it
//! - `inode`, `extent`, `dir_shortform`, `dir_block`, `attr_shortform`, `attr_leaf`, `da_node`, `acl`: on-disk
//!   structures; `map`: the extents of a fork, from a list or a tree
//! - `reader`, with `content`, `directory`, `symlink`, `attributes` and `attr_remote`: one worker's session
//!
//! Version 5 has checksums and owners in all metadata; a mismatch is told beside the data, which is given where it
//! can be decoded. To support a feature: its bit in `features`, and the structure that it changes.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod acl;
mod attr_leaf;
mod attr_remote;
mod attr_shortform;
mod attributes;
mod content;
mod da_node;
mod dir_block;
mod dir_data;
mod dir_shortform;
mod directory;
mod extent;
mod features;
mod inode;
mod log;
mod map;
mod reader;
mod superblock;
mod symlink;
mod verify;
mod volume;

use std::sync::Arc;

use self::{reader::Reader, volume::Volume};
use super::ext::bytes;
use crate::{
    error::Result,
    fs::{FileSystem, Session, VolumeInfo},
    guid,
    image::Image,
};

/// The layer that errors and faults name.
const LAYER: &str = "xfs";

/// An XFS filesystem.
pub struct Xfs {
    volume: Volume,
    info: VolumeInfo,
}

impl Xfs {
    /// Opens a volume: finds a superblock, replays the log in memory.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::error::Error::Corrupt) when no superblock is sane,
    /// [`Error::Unsupported`](crate::error::Error::Unsupported) when it has features that would be misread,
    /// [`Error::Io`](crate::error::Error::Io) from the image.
    pub fn open(image: Arc<dyn Image>) -> Result<Self> {
        let found = superblock::find(&*image)?;
        let from_copy = found.note.is_some();
        let mut notes = Vec::from_iter(found.note);
        let mut volume = Volume::new(image, found.superblock);
        let replayed = log::replay(&mut volume, from_copy)?;
        notes.extend(replayed.notes);
        let unreplayed = replayed.unreplayed;
        let mut gaps: Vec<String> = unreplayed.iter().cloned().chain(replayed.unread).collect();
        let superblock = &volume.superblock;
        if superblock.features.needs_repair() {
            notes.push("the filesystem is marked as needing xfs_repair".to_owned());
        }
        if superblock.features.ascii_ci {
            notes.push("names were created to match without case (ascii-ci)".to_owned());
        }
        if superblock.bytes() > volume.image_len() {
            let (image, end) = (volume.image_len(), superblock.bytes());
            gaps.push(format!("{LAYER}: the image ends at {image:#x}, the filesystem at {end:#x}"));
        }
        let info = VolumeInfo {
            fs: LAYER,
            id: guid::given(superblock.uuid).map(guid::uuid),
            label: label(&superblock.label),
            size: superblock.bytes(),
            notes,
            gaps,
            unreplayed,
        };
        Ok(Self { volume, info })
    }

    /// Whether an image looks like this filesystem. Cheap: some reads of a sector.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub fn probe(image: &dyn Image) -> Result<bool> {
        superblock::probe(image)
    }
}

impl FileSystem for Xfs {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Reader::new(&self.volume)))
    }
}

fn label(bytes: &[u8; 12]) -> Option<String> {
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::claims::{Claims, tests::is_bounded};

    #[test]
    fn directories_that_claim_the_same_blocks_are_not_listed_for_ever() {
        let packed = include_bytes!("../../../fixtures/xfs/blocks-64k.img.zst");
        is_bounded(packed, Claims::of_directories, |image, claims| {
            let mut fs = Xfs::open(image).unwrap();
            fs.volume.directories = claims;
            fs
        });
    }

    #[test]
    fn inodes_that_claim_the_same_values_are_not_read_for_ever() {
        let packed = include_bytes!("../../../fixtures/xfs/v5-1k.img.zst");
        is_bounded(packed, Claims::of_attributes, |image, claims| {
            let mut fs = Xfs::open(image).unwrap();
            fs.volume.attributes = claims;
            fs
        });
    }
}
