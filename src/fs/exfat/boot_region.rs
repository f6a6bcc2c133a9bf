//! The boot region of twelve sectors, of which the last holds a checksum over the others (3.4), and its backup behind
//! it.

use super::{
    LAYER,
    boot_sector::{BootSector, NAME},
    checksum::sum32,
};
use crate::{error::Result, field::has, fs::VolumeInfo, image::Image};

/// Sectors of a region, the checksum's among them.
const SECTORS: u64 = 12;

/// Bytes of the boot sector that the checksum leaves out: flags, and how much of the volume is in use.
const CHANGING: [usize; 3] = [106, 107, 112];

const SECTOR_SIZES: [u64; 4] = [512, 1024, 2048, 4096];

/// Whether one of the two regions is that of exFAT.
pub(super) fn claims(image: &dyn Image) -> bool {
    has_name(image) || backup(image).is_some()
}

fn has_name(image: &dyn Image) -> bool {
    let mut bytes = [0; 11];
    image.read_at(0, &mut bytes).is_ok() && has(&bytes, 3, NAME)
}

/// The boot sector to go by. The main region counts when its checksum holds, then the backup, then the main one all
/// the same.
pub(super) fn find(image: &dyn Image, info: &mut VolumeInfo) -> Result<BootSector> {
    let main = BootSector::read(image, 0);
    if let Ok(boot) = &main
        && region(image, 0, boot.sector_size).is_some()
    {
        return main;
    }
    if let Some(backup) = backup(image) {
        info.notes.push("the main boot region is damaged; its backup was read".to_owned());
        return Ok(backup);
    }
    let boot = main?;
    info.gaps.push(format!("{LAYER}: neither boot region has the checksum that it states; the main one was read"));
    Ok(boot)
}

/// A backup whose checksum holds. It outlives the volume when something else is made in its place: where the main
/// boot sector is none of exFAT, the sectors behind it must still be the same in both regions.
fn backup(image: &dyn Image) -> Option<BootSector> {
    SECTOR_SIZES.iter().find_map(|&size| {
        let start = SECTORS.checked_mul(size)?;
        let boot = BootSector::read(image, start).ok().filter(|boot| boot.sector_size == size)?;
        let bytes = region(image, start, size)?;
        if !has_name(image) {
            let mut main = vec![0; bytes.len()];
            image.read_at(0, &mut main).ok()?;
            let behind = usize::try_from(size).ok()?;
            if main.get(behind..) != bytes.get(behind..) {
                return None;
            }
        }
        Some(boot)
    })
}

/// The bytes of a region whose checksum holds.
fn region(image: &dyn Image, start: u64, sector_size: u64) -> Option<Vec<u8>> {
    let sector = usize::try_from(sector_size).ok()?;
    let mut bytes = vec![0; sector.checked_mul(usize::try_from(SECTORS).ok()?)?];
    image.read_at(start, &mut bytes).ok()?;
    let (summed, sums) = bytes.split_at_checked(bytes.len().checked_sub(sector)?)?;
    let counted = summed.iter().enumerate().filter(|(at, _)| !CHANGING.contains(at)).map(|(_, &byte)| byte);
    let sum = sum32(0, counted).to_le_bytes();
    sums.as_chunks().0.iter().all(|stated| *stated == sum).then_some(bytes)
}
