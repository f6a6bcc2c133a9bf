//! The log. In comes a volume that was not unmounted cleanly, out comes an [`Overlay`]: the sectors as they are after
//! what the log holds was replayed. Nothing is written; readers look through the overlay.
//!
//! - `ring`, `header`, `record`: the ring of records; `head`: what of it is to be replayed
//! - `transaction`: what was committed; `replay`: the two passes over it, and what is free again
//! - `buffer`, `inode_item`, `inode_create`, `intent`: what a transaction holds; `overlay`: what comes of it
//!
//! Replayed is all or nothing: where a part is unclear, the volume stays as it is, with a gap that says why. The
//! rules are the kernel's, since what it would show is what counts. See "Journaling Log" in *XFS Algorithms & Data
//! Structures*.

mod buffer;
mod head;
mod header;
mod inode_create;
mod inode_item;
mod intent;
mod overlay;
mod record;
mod replay;
mod ring;
mod transaction;

pub(super) use self::overlay::Overlay;
use self::{head::Left, ring::Ring};
use super::{
    LAYER,
    superblock::{self, Superblock},
    volume::Volume,
};
use crate::error::{Error, Result};

/// What to tell of the log.
#[derive(Default)]
pub(super) struct Replayed {
    pub(super) notes: Vec<String>,
    /// Why it could not be replayed: what only it knows is missing, names too.
    pub(super) unreplayed: Option<String>,
    /// What it begins and does not finish, which is in the extents and attributes of inodes that it names; and a log
    /// that is never at hand.
    pub(super) unread: Option<String>,
}

/// Replays the log over the volume where it is needed, its superblock included, but where that is a copy.
///
/// # Errors
/// [`Error::Unsupported`] when the log gives the volume features that would be misread.
pub(super) fn replay(volume: &mut Volume, from_copy: bool) -> Result<Replayed> {
    let gap = |text: String| Ok(Replayed { unreplayed: Some(format!("{LAYER}: {text}")), ..Replayed::default() });
    if volume.superblock.log_start == 0 {
        let text = format!("{LAYER}: the log is on another device; whether it is clean cannot be told");
        return Ok(Replayed { unread: Some(text), ..Replayed::default() });
    }
    let run = run(volume, from_copy);
    match run.and_then(|(overlay, replayed)| adopt(volume, overlay, from_copy).map(|()| replayed)) {
        Err(error @ Error::Unsupported { .. }) if !volume.overlay.is_empty() => Err(error),
        Err(error) => {
            volume.overlay = Overlay::default();
            let lost = "the latest changes to names and metadata may be missing";
            gap(format!("the log was not clean and was not replayed, {lost}: {error}"))
        }
        Ok(replayed) => Ok(replayed),
    }
}

/// Puts what was replayed over the volume.
fn adopt(volume: &mut Volume, overlay: Overlay, from_copy: bool) -> Result<()> {
    volume.overlay = overlay;
    if from_copy || !volume.overlay.touches(0, superblock::MIN_SECTOR) {
        return Ok(());
    }
    let mut sector = [0; superblock::MIN_SECTOR];
    volume.read_at(0, &mut sector)?;
    volume.superblock = renewed(&volume.superblock, &sector)?;
    Ok(())
}

/// What the log makes of the superblock: it may grow the volume, and not change what numbers mean.
fn renewed(old: &Superblock, sector: &[u8]) -> Result<Superblock> {
    let new = Superblock::parse(sector, 0)?;
    let geometry = |superblock: &Superblock| {
        let groups = (superblock.ag_blocks, superblock.ag_block_log);
        (superblock.block_log, superblock.inode_log, groups, superblock.dir_block_log, superblock.features.v5)
    };
    if geometry(old) != geometry(&new) {
        return Err(Error::corrupt(LAYER, "log", "it would change the sizes of blocks, inodes or groups"));
    }
    Ok(new)
}

fn run(volume: &Volume, from_copy: bool) -> Result<(Overlay, Replayed)> {
    let ring = Ring::new(volume)?;
    let (left, torn) = head::left(&ring)?;
    let torn = torn.map(|torn| torn.note());
    let Left::Dirty { tail, head, next } = left else {
        return Ok((Overlay::default(), Replayed { notes: Vec::from_iter(torn), ..Replayed::default() }));
    };
    let unknown = volume.superblock.features.log_incompat_unknown();
    if unknown != 0 {
        return Err(Error::unsupported(LAYER, format!("the log has features that are not supported: {unknown:#x}")));
    }
    let replay = replay::run(&ring, tail, head, next, from_copy)?;
    let (transactions, sectors) = (replay.transactions, replay.overlay.len());
    let notes = [format!("log replayed: {transactions} transactions, {sectors} sectors")];
    let notes = notes.into_iter().chain(torn).collect();
    Ok((replay.overlay, Replayed { notes, unreplayed: None, unread: replay.pending.gap() }))
}
