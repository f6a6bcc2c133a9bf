//! FAT12, FAT16 and FAT32 with long names: the EFI system partition, where boot kits live.
//!
//! In comes an [`Image`], out come the traits of [`crate::fs`]. A node is called by the byte offset of its
//! directory entry on the volume, so that it is found again without a walk, whatever its name is; the root is 0.
//!
//! Source of all layouts: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03, 2000.
//!
//! The reader is its own, and the crate fatfs only its second opinion in tests. Measured on fatfs 0.3.6: it lists a
//! directory whose chain runs in a loop for ever, ends a file whose chain is too short without an error, panics
//! on a chain that leads to cluster 1, and shows no chains.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod backup;
mod boot_sector;
mod code_page;
mod dir_entry;
mod layout;
mod long_name;
mod session;

use std::sync::Arc;

use self::{backup::Backup, boot_sector::BootSector, dir_entry::DirEntry, session::FatSession};
use super::{
    FileSystem, Session, VolumeInfo,
    clusters::{self, Child, Ownership, SLOT, Slot, Source, Table, Width},
};
use crate::{
    error::{Error, Fault, Result},
    image::Image,
};

const LAYER: &str = "fat";

/// A directory has at most 65,536 entries (section "FAT Directory Structure"); Linux and Windows stop there too.
const MAX_DIRECTORY: u64 = 65_536 * SLOT;

/// A FAT volume.
pub struct Fat {
    image: Arc<dyn Image>,
    boot: BootSector,
    ownership: Ownership,
    /// Why the root directory may be another one.
    doubt: Option<Fault>,
    info: VolumeInfo,
}

impl Fat {
    /// Whether the boot sector is one of FAT.
    #[must_use]
    pub fn claims(image: &dyn Image) -> bool {
        BootSector::read(image).is_ok()
    }

    /// Opens the volume and goes through its directories once, to find those that share clusters.
    ///
    /// # Errors
    /// When the boot sector cannot be read or contradicts itself.
    pub fn open(image: Arc<dyn Image>) -> Result<Self> {
        let boot = BootSector::read(image.as_ref())?;
        let mut info = VolumeInfo {
            fs: "vfat",
            id: boot.serial.map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)),
            label: None,
            size: boot.size,
            notes: Vec::new(),
            gaps: Vec::new(),
            unreplayed: None,
        };
        if boot.size > image.len() {
            info.gaps.push(format!("fat: the volume has {} bytes, and the image {} of them", boot.size, image.len()));
        }
        let doubt = match backup::compare(image.as_ref()) {
            Backup::Unnamed | Backup::Same => None,
            Backup::Absent => {
                info.notes.push("the backup of its boot sector is not there".to_owned());
                None
            }
            Backup::Other(fields) => {
                info.gaps.push(backup::gap(&fields));
                Some(Fault::new(LAYER, "root directory", "the boot sector and its backup give different layouts"))
            }
        };
        let doubt = doubt.or_else(|| {
            let why = layout::contradiction(&boot, image.as_ref())?;
            info.gaps.push(layout::gap(&why));
            Some(Fault::new(LAYER, "root directory", why))
        });
        let mut table = boot.table(image.as_ref());
        if is_dirty(&mut table, boot.width) {
            info.notes.push("it was not unmounted cleanly".to_owned());
        }
        info.label = label(boot.root(), &mut table);
        let ownership = Ownership::learn(&mut table, boot.root(), || |offset, bytes: &_| child(&boot, offset, bytes));
        Ok(Self { image, boot, ownership, doubt, info })
    }

    /// Whether a deleted entry is that of a directory that still has its clusters and entries, and no other name.
    /// Systems delete empty ones only, and free their clusters.
    fn is_lost(&self, entry: &DirEntry<'_>) -> bool {
        let first = entry.first_cluster(self.boot.width);
        let image = self.image.as_ref();
        entry.is_dir()
            && self.ownership.is_nobodys(first)
            && layout::holds_entries(&self.boot, image, first)
            && self.boot.table(image).raw(first).is_ok_and(|next| next != 0)
    }
}

/// The label is an entry of the root directory; the copy in the boot sector may be stale.
fn label(root: Source, table: &mut Table<'_>) -> Option<String> {
    let mut label = None;
    clusters::slots(table, root, &mut |_| Ok(()), &mut |slot| {
        if let Slot::Raw { bytes, .. } = slot {
            let entry = DirEntry::parse(bytes);
            if entry.is_end() {
                return std::ops::ControlFlow::Break(());
            }
            if entry.is_label() {
                label = Some(code_page::decode(entry.raw_name()).trim_end().to_owned());
                return std::ops::ControlFlow::Break(());
            }
        }
        std::ops::ControlFlow::Continue(())
    });
    label.filter(|label| !label.is_empty() && label != "NO NAME")
}

/// Whether entry 1 of the table says that the volume is in use (`ClnShutBitMask`). FAT12 does not keep it.
fn is_dirty(table: &mut Table<'_>, width: Width) -> bool {
    let clean = match width {
        Width::Bits16 => 0x8000,
        Width::Bits28 => 0x0800_0000,
        _ => return false,
    };
    table.raw(1).is_ok_and(|entry| entry & clean == 0)
}

/// What a slot tells of the tree.
fn child(boot: &BootSector, offset: u64, bytes: &[u8; 32]) -> Child {
    let entry = DirEntry::parse(bytes);
    if entry.is_end() {
        return Child::End;
    }
    if entry.leads_to_directory() { Child::Dir(offset, boot.source(&entry).dir) } else { Child::None }
}

impl FileSystem for Fat {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(FatSession::new(self)))
    }

    fn folds_case(&self) -> bool {
        true
    }
}

fn corrupt(at: impl Into<String>, what: impl Into<String>) -> Error {
    Error::corrupt(LAYER, at, what)
}
