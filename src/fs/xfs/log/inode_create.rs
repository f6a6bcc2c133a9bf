//! Items that say that inodes were made, without their content: each is empty then, and items of their own follow.
//! See "Inode Creation Log Item" in *XFS Algorithms & Data Structures*, and `xfs_ialloc_inode_init` of the kernel.

use super::{
    super::{
        bytes::{be32, capped, put},
        inode::{CRC_AT, MAGIC},
        verify::{self, BASIC_BLOCK},
    },
    replay::Replay,
    transaction::Item,
};

const FORMAT: usize = 28;
/// An inode of version 3: its generation, the end of the list of those without names, number and filesystem.
const VERSION_AT: usize = 4;
const GENERATION_AT: usize = 92;
const UNLINKED_AT: usize = 96;
const NUMBER_AT: usize = 152;
const UUID_AT: usize = 160;

/// Makes the inodes; a later item freed them again where their place is cancelled.
pub(super) fn replay(replay: &mut Replay<'_>, item: &Item<'_>) -> Result<(), String> {
    let format = item.region(0);
    let field = |at: usize| u64::from(be32(format, at));
    let (group, block, count, size, length) = (field(4), field(8), field(12), field(16), field(20));
    let superblock = &replay.superblock;
    let per_block = superblock.block_bytes().checked_div(superblock.inode_bytes()).unwrap_or(0);
    let first = group.checked_shl(superblock.ag_block_log).unwrap_or(0) | block;
    let place = superblock.block_place(first, length).filter(|_| block < u64::from(superblock.ag_blocks));
    let bytes = length.saturating_mul(superblock.block_bytes());
    // A chunk is 64 inodes, or a block where that holds more.
    let sane = format.len() >= FORMAT
        && size == superblock.inode_bytes()
        && count == length.saturating_mul(per_block)
        && (1..=per_block.max(64)).contains(&count)
        && superblock.features.v5;
    let Some(place) = place.filter(|_| sane) else {
        return Err(format!("{count} new inodes of {size} bytes in {length} blocks at {block:#x} of group {group}"));
    };
    let sector = place.checked_div(BASIC_BLOCK).unwrap_or(0);
    if replay.cancels_within(sector, bytes.checked_div(BASIC_BLOCK).unwrap_or(0)) {
        return Ok(());
    }
    let (uuid, generation) = (superblock.meta_uuid, be32(format, 24));
    replay.count_chunk()?;
    let number = first.saturating_mul(per_block);
    let mut inode = vec![0; capped(size, usize::MAX)];
    for index in 0..count {
        inode.fill(0);
        put(&mut inode, 0, MAGIC.to_be_bytes());
        put(&mut inode, VERSION_AT, [3]);
        put(&mut inode, GENERATION_AT, generation.to_be_bytes());
        put(&mut inode, UNLINKED_AT, [0xFF; 4]);
        put(&mut inode, NUMBER_AT, number.saturating_add(index).to_be_bytes());
        put(&mut inode, UUID_AT, uuid);
        verify::seal(&mut inode, CRC_AT);
        replay.write(place.saturating_add(index.saturating_mul(size)), &inode)?;
    }
    Ok(())
}
