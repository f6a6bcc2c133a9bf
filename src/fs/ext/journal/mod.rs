//! The journal (JBD2). In comes a volume that was not unmounted cleanly, out comes an [`Overlay`]: where the journal
//! keeps newer content of which blocks. Nothing is written; readers look through the overlay.
//!
//! Three steps, as the kernel takes them: find the whole transactions (`log`), collect the blocks that they take back,
//! then let each block's last mention win. See "Journal (jbd2)" in the kernel's ext4 documentation.

mod block;
mod fast_commit;
mod log;
mod overlay;
mod superblock;

use std::collections::HashMap;

pub(super) use self::overlay::Overlay;
use self::{
    log::{JournalFile, Scan, precedes},
    superblock::JournalSuperblock,
};
use super::{LAYER, features, group::Groups, inode::Inode, volume::Volume};
use crate::error::{Error, Result};

/// Begins every block of the log that is not content.
pub(super) const MAGIC: u32 = 0xC03B_3998;
/// Blocks that are replayed or taken back; a journal of 4 GiB in blocks of 4 KiB holds no more.
const MAX_REPLAYED: usize = 1 << 20;

/// What the journal holds.
#[derive(Default)]
pub(super) struct Replay {
    pub(super) overlay: Overlay,
    pub(super) notes: Vec<String>,
    /// What of it could not be replayed, by damage: what only it knew is missing, names too.
    pub(super) gaps: Vec<String>,
    /// What is never replayed: then the disk is compared as it stood at the last full commit, or as it lies there.
    pub(super) unread: Vec<String>,
}

/// Replays the journal where it is needed: where the superblock says so, or, with a copy of the superblock, which
/// does not know, where the log is not empty.
pub(super) fn replay(volume: &Volume, from_copy: bool) -> Replay {
    let mut replay = Replay::default();
    let superblock = &volume.superblock;
    let needed = superblock.features.incompat(features::INCOMPAT_RECOVER);
    if !superblock.features.compat(features::COMPAT_HAS_JOURNAL) {
        if needed {
            replay.gaps.push(
                "the journal was not replayed: recovery is needed, and the superblock says that there is none"
                    .to_owned(),
            );
        }
        return replay;
    }
    if !(needed || from_copy) {
        replay.gaps.extend(forgotten(volume));
        return replay;
    }
    if superblock.journal_inode == 0 {
        let text = "the journal is on another device";
        match needed {
            true => replay.unread.push(format!("{LAYER}: {text} and was not replayed, though recovery is needed")),
            false => replay.notes.push(text.to_owned()),
        }
        return replay;
    }
    if let Err(error) = run(volume, &mut replay) {
        replay.gaps.push(format!("the journal was not replayed: {error}"));
    }
    replay
}

/// What a journal still holds of which the superblock says that nobody needs it. Whoever is done with a journal empties
/// it first.
fn forgotten(volume: &Volume) -> Option<String> {
    let inode = journal_inode(volume).ok()?;
    let file = JournalFile::new(volume, &inode).ok()?;
    let mut buf = Vec::new();
    file.read(0, &mut buf).ok()?;
    let start = JournalSuperblock::parse(&buf, file.len).ok()?.start;
    let what = format!("the superblock says that no recovery is needed, and the journal begins at its block {start}");
    (start != 0).then(|| what + ": it was not replayed")
}

fn run(volume: &Volume, replay: &mut Replay) -> Result<()> {
    let inode = journal_inode(volume)?;
    let file = JournalFile::new(volume, &inode)?;
    let mut buf = Vec::new();
    file.read(0, &mut buf)?;
    let journal = JournalSuperblock::parse(&buf, file.len)?;
    if journal.has_error {
        replay.notes.push("the journal is marked as having errors".to_owned());
    }
    if journal.start == 0 {
        return Ok(());
    }
    let scan = log::scan(&file, &journal)?;
    let revoked = revoked(&file, &journal, &scan)?;
    replay.overlay = Overlay::new(newest(volume, &file, &journal, &scan, &revoked, &mut replay.gaps)?);
    let transactions = scan.end.wrapping_sub(journal.sequence);
    if transactions > 0 {
        replay.notes.push(format!("journal replayed: {transactions} transactions, {} blocks", replay.overlay.len()));
    }
    if let Some(gap) = scan.gap {
        replay.gaps.push(format!("{LAYER}: journal: {gap}, what follows was not replayed"));
    }
    if let Some((first, _)) = journal.fast_commits {
        file.read(first, &mut buf)?;
        if fast_commit::follows(&buf, scan.end) {
            replay
                .unread
                .push(format!("{LAYER}: journal: fast commits after transaction {} were not replayed", scan.end));
        }
    }
    Ok(())
}

fn journal_inode(volume: &Volume) -> Result<Inode> {
    let superblock = &volume.superblock;
    let number = superblock.journal_inode;
    let (group, slot) = super::place(superblock, number)?;
    let table = Groups::read_one(volume, group)?.saturating_mul(superblock.block_bytes());
    let at = table.saturating_add(u64::from(slot).saturating_mul(u64::from(superblock.inode_size)));
    let mut raw = vec![0; usize::from(superblock.inode_size)];
    volume.read_at(at, &mut raw)?;
    let inode = Inode::parse(superblock, number, &raw)?;
    match &inode.mismatch {
        Some(fault) => Err(Error::corrupt(LAYER, inode.at(), fault.error.clone())),
        None if inode.is_unused() => Err(Error::corrupt(LAYER, inode.at(), "is not in use")),
        None => Ok(inode),
    }
}

/// The last transaction that takes a block back, for each such block: what that one and earlier ones hold is void.
fn revoked(file: &JournalFile<'_>, journal: &JournalSuperblock, scan: &Scan) -> Result<HashMap<u64, u32>> {
    let mut revoked = HashMap::new();
    let mut buf = Vec::new();
    for place in &scan.revokes {
        file.read(place.at, &mut buf)?;
        let records = block::revoked(journal, &buf).ok_or_else(|| {
            Error::corrupt(LAYER, format!("journal block {}", place.at), "its revoke records leave the block")
        })?;
        for block in records {
            let last = revoked.entry(block).or_insert(place.sequence);
            if precedes(*last, place.sequence) {
                *last = place.sequence;
            }
        }
        check_budget(revoked.len())?;
    }
    Ok(revoked)
}

/// For each block the place of its newest content, and whether that is escaped.
fn newest(
    volume: &Volume,
    file: &JournalFile<'_>,
    journal: &JournalSuperblock,
    scan: &Scan,
    revoked: &HashMap<u64, u32>,
    gaps: &mut Vec<String>,
) -> Result<HashMap<u64, (u64, bool)>> {
    let mut newest = HashMap::new();
    let (mut buf, mut content) = (Vec::new(), Vec::new());
    let mut lost: u32 = 0;
    for place in &scan.descriptors {
        file.read(place.at, &mut buf)?;
        for (tag, step) in block::tags(journal, &buf).zip(1..) {
            if revoked.get(&tag.block).is_some_and(|last| !precedes(*last, place.sequence)) {
                continue;
            }
            let at = journal.advance(place.at, step);
            let source = file.locate(at)?;
            if journal.checks_blocks() {
                file.read(at, &mut content)?;
            }
            // Block 0 of a volume with blocks of more than 1 KiB holds the superblock.
            let inside = tag.block < volume.superblock.blocks_count;
            if !inside || !tag.checksum_matches(journal, place.sequence, &content) {
                lost = lost.saturating_add(1);
                continue;
            }
            newest.insert(tag.block, (source, tag.escaped));
            check_budget(newest.len())?;
        }
    }
    if lost > 0 {
        gaps.push(format!("{LAYER}: journal: {lost} blocks are damaged and were not replayed"));
    }
    Ok(newest)
}

fn check_budget(blocks: usize) -> Result<()> {
    if blocks > MAX_REPLAYED {
        return Err(Error::budget(LAYER, format!("journal of more than {MAX_REPLAYED} blocks")));
    }
    Ok(())
}
