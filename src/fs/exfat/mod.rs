//! exFAT: cards, sticks and data disks that several systems share.
//!
//! In comes an [`Image`], out come the traits of [`crate::fs`]. `boot_region` finds the boot sector, `system` what the
//! root directory says of the volume, `entry_set` puts a file's entries together; clusters, chains and directories
//! are those of [`super::clusters`]. A node is called by the byte offset of its first directory entry; the root is 0.
//!
//! Source of all layouts: Microsoft, "exFAT file system specification", 1.00, 2019; sections are named by number.
//! Why not a crate: decision 11.
#![warn(clippy::arithmetic_side_effects, clippy::as_conversions, clippy::indexing_slicing)]

mod boot_region;
mod boot_sector;
mod checksum;
mod entry_set;
mod session;
mod system;
mod upcase;

use std::sync::Arc;

use self::{
    boot_sector::BootSector,
    entry_set::{Sets, Told},
    session::ExFatSession,
    system::System,
};
use super::{
    FileSystem, Session, VolumeInfo,
    clusters::{Child, Ownership},
    upcase::UpCase,
};
use crate::{
    error::{Error, Result},
    image::Image,
};

const LAYER: &str = "exfat";

/// A directory has at most 256 MiB (6.2.2, 7.6.7).
const MAX_DIRECTORY: u64 = 256 << 20;

/// An exFAT volume.
pub struct ExFat {
    image: Arc<dyn Image>,
    boot: BootSector,
    ownership: Ownership,
    upcase: UpCase,
    info: VolumeInfo,
}

impl ExFat {
    /// Whether one of the two boot regions is that of exFAT.
    #[must_use]
    pub fn claims(image: &dyn Image) -> bool {
        boot_region::claims(image)
    }

    /// Opens the volume and goes through its directories once, to find those that share clusters.
    ///
    /// # Errors
    /// When neither boot region can be read, or they contradict themselves.
    pub fn open(image: Arc<dyn Image>) -> Result<Self> {
        let mut info = VolumeInfo { fs: "exfat", ..VolumeInfo::default() };
        let boot = boot_region::find(image.as_ref(), &mut info)?;
        info.id = Some(format!("{:04X}-{:04X}", boot.serial >> 16, boot.serial & 0xffff));
        info.size = boot.size;
        boot.judge(image.len(), &mut info);
        let mut table = boot.table(image.as_ref());
        let system = System::read(&boot, &mut table);
        let upcase = system.describe(&boot, &mut table, &mut info);
        let ownership = Ownership::learn(&mut table, boot.root(), || {
            let mut sets = Sets::default();
            move |offset, bytes: &_| match sets.push(offset, bytes).1 {
                Told::Set(set) if set.is_dir() => Child::Dir(set.offset, set.source().dir),
                Told::End => Child::End,
                _ => Child::None,
            }
        });
        Ok(Self { image, boot, ownership, upcase, info })
    }
}

impl FileSystem for ExFat {
    fn info(&self) -> &VolumeInfo {
        &self.info
    }

    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(ExFatSession::new(self)))
    }

    fn folds_case(&self) -> bool {
        true
    }
}

fn corrupt(at: impl Into<String>, what: impl Into<String>) -> Error {
    Error::corrupt(LAYER, at, what)
}
