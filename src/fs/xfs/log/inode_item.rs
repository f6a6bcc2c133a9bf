//! Items that hold inodes: the core in the writer's byte order, and what was changed of the forks as the disk has it.
//! See "Inode Log Item" in *XFS Algorithms & Data Structures*, `struct xfs_log_dinode` of
//! `fs/xfs/libxfs/xfs_log_format.h` for bigtime and nrext64, and `fs/xfs/xfs_inode_item_recover.c`.

use super::{
    super::{
        bytes::{array, be16, be64, capped, le16, le32, le64, put, u8_at},
        inode::{CORE_V2, CORE_V3, CRC_AT, FLAG2_BIGTIME, FLAG2_NREXT64, MAGIC},
        verify::{self, BASIC_BLOCK},
    },
    replay::Replay,
    transaction::Item,
};

/// Lengths of what describes an inode, of 64-bit systems and of 32-bit ones, which have no padding at 12.
const FORMAT: usize = 56;
const FORMAT_32: usize = 52;

const FIELD_DATA: u32 = 0x2;
const FIELD_EXTENTS: u32 = 0x4;
const FIELD_TREE: u32 = 0x8;
const FIELD_DEVICE: u32 = 0x10;
const FIELDS_DATA: u32 = FIELD_DATA | FIELD_EXTENTS | FIELD_TREE;
const FIELD_ATTR_TREE: u32 = 0x100;
const FIELDS_ATTR: u32 = 0x1C0;
const FIELDS_OWNER: u32 = 0x600;

/// Length of a core in the log, versions 1 and 2, and 3.
const LOGGED_V2: usize = 96;
/// The largest buffer of inodes: a block of 64 KiB, or 32 inodes of 2 KiB.
const MAX_SECTORS: u64 = 128;
const FLUSH_AT: usize = 30;
const MAX_FLUSH: u16 = u16::MAX;
const LSN_AT: usize = 112;
/// Header of a tree's root in memory, versions 4 and 5, and in the inode; of a key, or of a pointer.
const ROOT_V4: usize = 24;
const ROOT_V5: usize = 72;
const ROOT: usize = 4;
const WORD: usize = 8;

/// Offset and width of the core's numbers that do not depend on features; what is not named is bytes.
const NUMBERS: [(usize, usize); 15] = [
    (0, 2),
    (2, 2),
    (6, 2),
    (8, 4),
    (12, 4),
    (16, 4),
    (20, 2),
    (22, 2),
    (56, 8),
    (64, 8),
    (72, 4),
    (84, 4),
    (88, 2),
    (90, 2),
    (92, 4),
];
/// As above, of version 3: count of changes, flags, CoW hint, number.
const NUMBERS_V3: [(usize, usize); 4] = [(104, 8), (120, 8), (128, 4), (152, 8)];
const UUID_AT: usize = 160;
const TIMES: [usize; 3] = [32, 40, 48];
const TIME_CREATED: usize = 144;

/// What describes an inode.
struct Format {
    fields: u32,
    inode: u64,
    device: u32,
    /// First sector and number of sectors of the buffer that holds it.
    place: (u64, u64),
    /// Where it is in that, in bytes.
    offset: u64,
}

impl Format {
    fn parse(format: &[u8]) -> Result<Self, String> {
        let (at, place) = match format.len() {
            FORMAT => (16, 40),
            FORMAT_32 => (12, 36),
            other => return Err(format!("an inode described in {other} bytes")),
        };
        Ok(Self {
            fields: le32(format, 4),
            inode: le64(format, at),
            device: le32(format, at.saturating_add(8)),
            place: (le64(format, place), u64::from(le32(format, place.saturating_add(8)))),
            offset: u64::from(le32(format, place.saturating_add(12))),
        })
    }
}

/// Replays an inode where it is older than the transaction `lsn`.
pub(super) fn replay(replay: &mut Replay<'_>, item: &Item<'_>, lsn: u64) -> Result<(), String> {
    let format = Format::parse(item.region(0))?;
    // The buffer was freed later on.
    if replay.is_cancelled(format.place) {
        return Ok(());
    }
    let bad = |what: String| Err(format!("inode {}: {what}", format.inode));
    let len = replay.superblock.inode_bytes();
    let end = format.place.1.saturating_mul(BASIC_BLOCK);
    if format.place.1 > MAX_SECTORS || format.offset.saturating_add(len) > end {
        return bad(format!("lies at {:#x} in a buffer of {} sectors", format.offset, format.place.1));
    }
    let place = format.place.0.saturating_mul(BASIC_BLOCK).saturating_add(format.offset);
    let mut disk = vec![0; capped(len, usize::MAX)];
    replay.read(place, &mut disk)?;
    if be16(&disk, 0) != MAGIC {
        return bad(format!("magic {:#06x} at {place:#x} on the volume", be16(&disk, 0)));
    }
    let (core, v3) = (item.region(1), replay.superblock.features.v5);
    if le16(core, 0) != MAGIC || core.len() < if v3 { CORE_V3 } else { LOGGED_V2 } || (u8_at(core, 4) >= 3) != v3 {
        let (magic, version) = (le16(core, 0), u8_at(core, 4));
        return bad(format!("{} bytes with magic {magic:#06x}, version {version} in the log", core.len()));
    }
    if format.fields & FIELDS_OWNER != 0 {
        replay.overlay.reown(format.inode).map_err(|error| error.to_string())?;
    }
    if v3 {
        replay.check_age(be64(&disk, LSN_AT), place)?;
    }
    if is_newer(&disk, core, v3, lsn) {
        return Ok(());
    }
    convert_core(core, &mut disk, v3, lsn);
    forks(&format, item, &mut disk, v3).or_else(bad)?;
    if v3 {
        verify::seal(&mut disk, CRC_AT);
    }
    replay.write(place, &disk)
}

/// Whether what is on the volume is newer than the log's: by the last transaction, or in old versions by a counter
/// of the times it was written, which wraps.
fn is_newer(disk: &[u8], core: &[u8], v3: bool, lsn: u64) -> bool {
    if v3 {
        let newest = be64(disk, LSN_AT);
        return newest != u64::MAX && newest > lsn;
    }
    let (disk, log) = (be16(disk, FLUSH_AT), le16(core, FLUSH_AT));
    log < disk && !(disk == MAX_FLUSH && log < MAX_FLUSH.wrapping_shr(1))
}

/// Puts a number of the log's byte order in that of the disk.
fn swap(core: &[u8], disk: &mut [u8], at: usize, width: usize) {
    let range = at..at.saturating_add(width);
    if let (Some(from), Some(to)) = (core.get(range.clone()), disk.get_mut(range)) {
        for (to, byte) in to.iter_mut().zip(from.iter().rev()) {
            *to = *byte;
        }
    }
}

fn copy(core: &[u8], disk: &mut [u8], at: usize, len: usize) {
    let range = at..at.saturating_add(len);
    if let (Some(from), Some(to)) = (core.get(range.clone()), disk.get_mut(range)) {
        to.copy_from_slice(from);
    }
}

/// `xfs_log_dinode_to_disk`.
fn convert_core(core: &[u8], disk: &mut [u8], v3: bool, lsn: u64) {
    let flags2 = if v3 { le64(core, 120) } else { 0 };
    // Version and format; start and format of the attribute fork.
    for at in [4, 5, 82, 83] {
        copy(core, disk, at, 1);
    }
    for (at, width) in NUMBERS.iter().chain(if v3 { NUMBERS_V3.as_slice() } else { &[] }) {
        swap(core, disk, *at, *width);
    }
    for at in TIMES.iter().chain(v3.then_some(&TIME_CREATED)) {
        if flags2 & FLAG2_BIGTIME != 0 {
            swap(core, disk, *at, 8);
        } else {
            swap(core, disk, *at, 4);
            swap(core, disk, at.saturating_add(4), 4);
        }
    }
    if flags2 & FLAG2_NREXT64 != 0 {
        swap(core, disk, 24, 8);
        swap(core, disk, 76, 4);
        swap(core, disk, 80, 2);
    } else {
        disk.get_mut(24..32).unwrap_or_default().fill(0);
        swap(core, disk, 76, 4);
        swap(core, disk, 80, 2);
    }
    if v3 {
        copy(core, disk, UUID_AT, 16);
        put(disk, LSN_AT, lsn.to_be_bytes());
    } else {
        // The counter begins anew, as the kernel has it.
        disk.get_mut(6..8).unwrap_or_default().fill(0);
    }
}

fn forks(format: &Format, item: &Item<'_>, disk: &mut [u8], v3: bool) -> Result<(), String> {
    let attr_at = usize::from(u8_at(disk, 82)).saturating_mul(8);
    let literal = disk.get_mut(if v3 { CORE_V3 } else { CORE_V2 }..).unwrap_or_default();
    let split = if attr_at == 0 { literal.len() } else { attr_at };
    let whole = literal.len();
    let Some((data, attr)) = literal.split_at_mut_checked(split) else {
        return Err(format!("the attribute fork begins at {attr_at} of {whole} bytes"));
    };
    if format.fields & FIELD_DEVICE != 0 {
        put(data, 0, format.device.to_be_bytes());
    }
    let mut region = 2;
    if format.fields & FIELDS_DATA != 0 {
        fork(data, item.region(region), format.fields & FIELD_TREE != 0, v3)?;
        region = 3;
    }
    if format.fields & FIELDS_ATTR != 0 {
        fork(attr, item.region(region), format.fields & FIELD_ATTR_TREE != 0, v3)?;
    }
    Ok(())
}

/// Puts a fork in its place.
fn fork(disk: &mut [u8], logged: &[u8], is_tree: bool, v5: bool) -> Result<(), String> {
    if is_tree {
        return root(disk, logged, v5);
    }
    let room = disk.len();
    let target = disk.get_mut(..logged.len()).ok_or_else(|| format!("a fork of {} bytes in {room}", logged.len()))?;
    target.copy_from_slice(logged);
    Ok(())
}

/// A tree's root is logged as it is in memory, with the header of a whole block; keys and pointers are in halves of
/// what follows (`xfs_bmbt_to_bmdr`).
fn root(disk: &mut [u8], logged: &[u8], v5: bool) -> Result<(), String> {
    let body = logged.get(if v5 { ROOT_V5 } else { ROOT_V4 }..).unwrap_or_default();
    let count = usize::from(be16(logged, 6));
    let room = |len: usize| len.checked_div(WORD.saturating_mul(2)).unwrap_or(0);
    let (from_room, to_room) = (room(body.len()), room(disk.len().saturating_sub(ROOT)));
    if count == 0 || count > from_room || count > to_room {
        return Err(format!(
            "a tree's root with {count} pointers, room for {from_room} in the log, for {to_room} here"
        ));
    }
    let (head, target) = disk.split_at_mut_checked(ROOT).unwrap_or_default();
    put(head, 0, array::<ROOT>(logged, 4));
    let len = count.saturating_mul(WORD);
    for (from, to) in [(0, 0), (from_room.saturating_mul(WORD), to_room.saturating_mul(WORD))] {
        let from = body.get(from..).and_then(|rest| rest.get(..len)).unwrap_or_default();
        let to = target.get_mut(to..).and_then(|rest| rest.get_mut(..len)).unwrap_or_default();
        if from.len() == to.len() {
            to.copy_from_slice(from);
        }
    }
    Ok(())
}
