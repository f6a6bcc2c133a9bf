//! One volume as all readers share it: its bytes, its geometry, the map of its MFT.

use std::sync::Arc;

use crate::{
    error::{Error, Result},
    fs::claims::Claims,
    image::Image,
};

use super::{
    LAYER,
    boot_sector::{BOOT_SECTOR_SIZE, BootSector},
    mft::Mft,
};

/// Sector sizes at which a backup boot sector at the end of a volume is looked for.
const BACKUP_SECTORS: [u64; 2] = [512, 4096];

/// What does not change while a volume is read.
pub(super) struct Volume {
    pub(super) image: Arc<dyn Image>,
    pub(super) boot: BootSector,
    pub(super) mft: Mft,
    pub(super) directories: Claims,
}

impl Volume {
    /// Finds the boot sector and maps the MFT. What is worth knowing goes to `notes`, what cannot be read to `gaps`.
    pub(super) fn open(image: Arc<dyn Image>, notes: &mut Vec<String>, gaps: &mut Vec<String>) -> Result<Self> {
        let (boot, from_backup) = boot_sector(image.as_ref())?;
        if from_backup {
            notes.push("the first boot sector is damaged; its backup at the end of the volume was read".to_owned());
        }
        if boot.volume_size() > image.len() {
            let (said, found) = (boot.volume_size(), image.len());
            gaps.push(format!("the volume has {said:#x} bytes, of which {found:#x} are there"));
        }
        let mft = Mft::open(image.as_ref(), &boot, notes, gaps)?;
        Ok(Self { image, boot, mft, directories: Claims::of_directories() })
    }

    /// The clusters of which the image holds at least a part.
    pub(super) fn clusters_held(&self) -> u64 {
        self.image.len().div_ceil(self.boot.cluster_size.max(1))
    }
}

/// The boot sector, and whether it is the backup.
pub(super) fn boot_sector(image: &dyn Image) -> Result<(BootSector, bool)> {
    let first = boot_sector_at(image, 0);
    match first {
        Ok(boot) => Ok((boot, false)),
        Err(error) => backup(image).map(|boot| (boot, true)).ok_or(error),
    }
}

/// A backup boot sector counts only where it leads to a `$MFT`: it outlives the volume when something else is made
/// in its place.
fn backup(image: &dyn Image) -> Option<BootSector> {
    BACKUP_SECTORS.iter().find_map(|sector| {
        let boot = boot_sector_at(image, image.len().checked_sub(*sector)?).ok()?;
        Mft::open(image, &boot, &mut Vec::new(), &mut Vec::new()).ok()?;
        Some(boot)
    })
}

fn boot_sector_at(image: &dyn Image, at: u64) -> Result<BootSector> {
    if image.len().saturating_sub(at) < 512 {
        return Err(Error::corrupt(LAYER, format!("boot sector at {at:#x}"), "the volume is shorter than a sector"));
    }
    let mut bytes = [0; BOOT_SECTOR_SIZE];
    image.read_at(at, &mut bytes)?;
    BootSector::parse(&bytes)
}
