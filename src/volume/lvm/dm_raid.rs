//! What dm-raid writes on the metadata volume of each leg.
//!
//! `drivers/md/dm-raid.c`, `struct dm_raid_superblock`, little-endian: magic at 0, features at 4, number of devices
//! at 8, position of this one at 12, events at 16, bits of failed devices at 24, how far this device is rebuilt at 32
//! (all ones: wholly).

use crate::{
    field::{le32, le64},
    image::Image,
};

const MAGIC: u32 = 0x6452_6d44;

/// The state of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Superblock {
    events: u64,
    failed: u64,
    rebuilt: u64,
}

fn read(image: &dyn Image) -> Option<Superblock> {
    let mut bytes = [0; 512];
    image.read_at(0, &mut bytes).ok()?;
    (le32(&bytes, 0)? == MAGIC).then_some(())?;
    Some(Superblock { events: le64(&bytes, 16)?, failed: le64(&bytes, 24)?, rebuilt: le64(&bytes, 32)? })
}

/// Which legs hold what was written last, by their metadata volumes. Where none was ever written, all do.
pub(super) fn healthy(metadata: &[Option<&dyn Image>]) -> Vec<bool> {
    let states: Vec<_> = metadata.iter().map(|image| image.and_then(read)).collect();
    let Some(newest) = states.iter().flatten().max_by_key(|state| state.events).copied() else {
        return vec![true; states.len()];
    };
    // A leg that has failed is not told so itself: what any of the newest says of it counts.
    let newest_ones = states.iter().flatten().filter(|state| state.events == newest.events);
    let said_failed = newest_ones.fold(0, |bits, state| bits | state.failed);
    let failed = |leg: usize| said_failed.checked_shr(u32::try_from(leg).unwrap_or(u32::MAX)).unwrap_or(0) & 1 == 1;
    // One event behind is a change that was under way.
    let sound = |(leg, state): (usize, &Option<Superblock>)| {
        state.is_some_and(|state| state.events.saturating_add(1) >= newest.events && state.rebuilt == u64::MAX)
            && !failed(leg)
    };
    states.iter().enumerate().map(sound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Memory;

    fn superblock(events: u64, failed: u64, rebuilt: u64) -> Memory {
        let mut bytes = b"DmRd".to_vec();
        bytes.extend([0; 12]);
        for field in [events, failed, rebuilt] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.resize(4096, 0);
        Memory(bytes)
    }

    #[test]
    fn the_newest_decides() {
        let done = u64::MAX;
        let of = |legs: &[&Memory]| {
            let legs: Vec<Option<&dyn Image>> = legs.iter().map(|&leg| -> Option<&dyn Image> { Some(leg) }).collect();
            healthy(&legs)
        };
        assert_eq!(of(&[&superblock(7, 0, done), &superblock(6, 0, done)]), [true, true]);
        assert_eq!(of(&[&superblock(5, 0, done), &superblock(9, 0, done)]), [false, true]);
        assert_eq!(of(&[&superblock(9, 0, done), &superblock(9, 1, done)]), [false, true]);
        assert_eq!(of(&[&superblock(9, 2, done), &superblock(9, 0, done)]), [true, false]);
        assert_eq!(of(&[&superblock(8, 0, done), &superblock(9, 1, done)]), [false, true]);
        assert_eq!(of(&[&superblock(9, 0, 4096), &superblock(9, 0, done)]), [false, true]);
        assert_eq!(of(&[&Memory(vec![0; 4096]), &Memory(vec![0; 4096])]), [true, true]);
    }
}
