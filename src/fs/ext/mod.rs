//! ext2, ext3 and ext4. In comes an [`Image`] of one volume, out come directory entries, metadata and bytes as the
//! kernel would show them after it replayed the journal; nothing is ever written.
//!
//! - `superblock`, `features`, `group`: the geometry, and where inode tables are; `inode_tables`: what was read of them
//! - `journal`: what the journal holds newer than the volume; `volume` reads through it
//! - `inode`, `xattr`, `acl`, `dir_block`: on-disk structures; `map` with `extent` and `indirect`: the block maps
//! - `reader`, with `content`, `inline`, `directory`, `attributes` and `evidence`: one worker's session
//!
//! Checksums are verified where the filesystem has them; a mismatch is told beside the data, which is given where it
//! can be decoded. To support a feature: its bit in `features`, and the structure that it changes.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod acl;
mod attributes;
pub(super) mod bytes;
mod checksum;
mod content;
mod dir_block;
mod directory;
mod evidence;
mod extent;
mod features;
mod group;
mod indirect;
mod inline;
mod inode;
mod inode_tables;
mod journal;
mod map;
mod orphan;
mod reader;
mod superblock;
mod volume;
mod xattr;

use std::sync::Arc;

use self::{group::Groups, inode_tables::InodeTables, reader::Reader, superblock::Superblock, volume::Volume};
use crate::{
    error::{Error, Result},
    fs::{FileSystem, Session, VolumeInfo},
    guid,
    image::Image,
};

/// The layer that errors and faults name, whichever of the three it is.
const LAYER: &str = "ext4";

/// An ext2, ext3 or ext4 filesystem.
pub struct Ext {
    volume: Volume,
    groups: Groups,
    /// Pieces of the inode tables.
    tables: InodeTables,
    info: VolumeInfo,
}

impl Ext {
    /// Opens a volume: finds a superblock, replays the journal in memory, reads the group descriptors.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when no superblock is sane, [`Error::Unsupported`] when it has features that would be
    /// misread, [`Error::Budget`] when it has more groups than anyone has, [`Error::Io`] from the image.
    pub fn open(image: Arc<dyn Image>) -> Result<Self> {
        let found = superblock::find(&*image)?;
        let from_copy = found.note.is_some();
        let (mut notes, mut gaps) = (Vec::from_iter(found.note), Vec::from_iter(found.gap));
        let mut volume = Volume::new(image, found.superblock);
        let replay = journal::replay(&volume, from_copy);
        notes.extend(replay.notes);
        let unreplayed = (!replay.gaps.is_empty()).then(|| replay.gaps.join("; "));
        gaps.extend(replay.gaps.into_iter().chain(replay.unread));
        if !replay.overlay.is_empty() {
            volume.set_overlay(replay.overlay);
            if !from_copy {
                let replayed = superblock::read_first(|offset, buf| volume.read_at(offset, buf))?;
                if replayed.block_size != volume.superblock.block_size {
                    return Err(Error::corrupt(LAYER, "journal", "it would change the block size"));
                }
                volume.superblock = replayed;
            }
        }
        let groups = Groups::read(&volume, &mut notes, &mut gaps)?;
        let superblock = &volume.superblock;
        if superblock.bytes() > volume.image_len() {
            gaps.push(format!(
                "{LAYER}: the image ends at {:#x}, the filesystem at {:#x}",
                volume.image_len(),
                superblock.bytes()
            ));
        }
        if superblock.has_errors {
            notes.push("the filesystem is marked as having errors".to_owned());
        }
        let info = VolumeInfo {
            fs: superblock.features.generation(),
            id: guid::given(superblock.uuid).map(guid::uuid),
            label: label(&superblock.label),
            size: superblock.bytes(),
            notes,
            gaps,
            unreplayed,
        };
        let tables = InodeTables::new(reader::WINDOW.max(u64::from(superblock.inode_size)), reader::TABLES);
        let mut ext = Self { volume, groups, tables, info };
        match orphan::count(&ext) {
            0 => {}
            orphans => ext.info.notes.push(format!("{orphans} inodes were deleted or truncated while open")),
        }
        Ok(ext)
    }

    /// Whether an image begins with a sane superblock. Cheap: one read.
    ///
    /// # Errors
    /// When the image cannot be read.
    pub fn probe(image: &dyn Image) -> Result<bool> {
        superblock::probe(image)
    }
}

impl FileSystem for Ext {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Reader::new(self)))
    }
}

/// The group of an inode, and its place in the group's table.
fn place(superblock: &Superblock, number: u32) -> Result<(u32, u32)> {
    let outside = || {
        let what = format!("lies outside the {} inodes of the filesystem", superblock.inodes_count);
        Error::corrupt(LAYER, format!("inode {number}"), what)
    };
    let index = number.checked_sub(1).filter(|_| number <= superblock.inodes_count).ok_or_else(outside)?;
    let group = index.checked_div(superblock.inodes_per_group).ok_or_else(outside)?;
    Ok((group, index.checked_rem(superblock.inodes_per_group).unwrap_or(0)))
}

fn label(bytes: &[u8; 16]) -> Option<String> {
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::claims::{Claims, tests::is_bounded};

    #[test]
    fn directories_that_claim_the_same_blocks_are_not_listed_for_ever() {
        let packed = include_bytes!("../../../fixtures/ext/directories.img.zst");
        is_bounded(packed, Claims::of_directories, |image, claims| {
            let mut fs = Ext::open(image).unwrap();
            fs.volume.directories = claims;
            fs
        });
    }

    #[test]
    fn inodes_that_claim_the_same_values_are_not_read_for_ever() {
        let packed = include_bytes!("../../../fixtures/ext/ea-inode.img.zst");
        is_bounded(packed, Claims::of_attributes, |image, claims| {
            let mut fs = Ext::open(image).unwrap();
            fs.volume.attributes = claims;
            fs
        });
    }
}
