//! Parts of something larger: physical volumes, members of a RAID, journals and hash trees of other volumes.

use super::signature::{Class, Found, View};
use crate::{
    field::{array, be32, has, le32, le64, len32},
    guid::{given, uuid},
};

/// LVM2 (`lib/format_text/layout.h`, `struct label_header`): the label is in one of the first four sectors, with
/// the offset of the physical volume's header, which begins with the id, at 20.
pub(super) fn lvm2(view: &View) -> Option<Found> {
    let at = [0, 512, 1024, 1536]
        .into_iter()
        .find(|&at: &usize| view.has(at, b"LABELONE") && view.has(at.saturating_add(24), b"LVM2 001"))?;
    let header = len32(&view.head, at.checked_add(20)?)?;
    let id = view.bytes(at.checked_add(header)?, 32).and_then(|id| std::str::from_utf8(id).ok());
    let groups = [0..6, 6..10, 10..14, 14..18, 18..22, 22..26, 26..32];
    let id = id.and_then(|id| groups.into_iter().map(|group| id.get(group)).collect::<Option<Vec<_>>>());
    Some(Found::new("LVM2_member", Class::Managed, "LVM2 physical volume").id(id.map(|groups| groups.join("-"))))
}

const MD_MAGIC: u32 = 0xa92b_4efc;

/// Level 1: each member holds all.
const MIRROR: u32 = 1;

fn raid(version: &str, level: u32, id: Option<String>, at_end: bool) -> Found {
    let found =
        Found::new("linux_raid_member", Class::Managed, format!("member of a Linux RAID, superblock {version}"));
    Found { transparent: level == MIRROR && at_end, ..found }.id(id)
}

/// Linux MD 0.90 (`include/uapi/linux/raid/md_p.h`, `mdp_superblock_s`): in the last 64 KiB but one that are
/// aligned to 64 KiB, in the byte order of the machine.
pub(super) fn md_0_90(view: &View) -> Option<Found> {
    const ALIGN: u64 = 65536;
    let at = view.len().checked_sub(view.len() % ALIGN)?.checked_sub(ALIGN)?;
    let block = view.tail_from(at)?;
    let field = if le32(block, 0)? == MD_MAGIC { le32 } else { be32 };
    if field(block, 0)? != MD_MAGIC {
        return None;
    }
    let words = [field(block, 20)?, field(block, 52)?, field(block, 56)?, field(block, 60)?];
    let [a, b, c, d] = words.map(u128::from);
    let id = given((a << 96 | b << 64 | c << 32 | d).to_be_bytes()).map(uuid);
    Some(raid("0.90", field(block, 28)?, id, true))
}

/// Linux MD 1.x (`md_p.h`, `mdp_superblock_1`): 1.0 near the end, 1.1 at the beginning, 1.2 at 4 KiB. At 144 it says in
/// which sector it stands: that of the last partition stands at the end of the disk too, and is not the disk's.
pub(super) fn md_1(view: &View) -> Option<Found> {
    // 8 KiB before the end, rounded down to 4 KiB.
    let at_end = view.len().checked_sub(8192).map(|at| at & !4095);
    let candidates = [
        ("1.0", at_end, at_end.and_then(|at| view.tail_from(at)), true),
        ("1.1", Some(0), view.head.get(..), false),
        ("1.2", Some(4096), view.head.get(4096..), false),
    ];
    candidates.into_iter().find_map(|(version, at, block, at_end)| {
        let block = block?;
        if le32(block, 0)? != MD_MAGIC || le32(block, 4)? != 1 || le64(block, 144)? != at? / 512 {
            return None;
        }
        let label = block.get(32..64);
        Some(raid(version, le32(block, 72)?, array(block, 16).and_then(given).map(uuid), at_end).label(label))
    })
}

/// bcache (`include/uapi/linux/bcache.h`, `struct cache_sb`): magic at 24 of the block at 4 KiB.
pub(super) fn bcache(view: &View) -> Option<Found> {
    const MAGIC: &[u8] = b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81";
    view.has(4120, MAGIC).then(|| Found::new("bcache", Class::Managed, "bcache device").id(view.id(4136)))
}

/// Ceph BlueStore begins with a line of text.
pub(super) fn ceph(view: &View) -> Option<Found> {
    view.has(0, b"bluestore block device")
        .then(|| Found::new("ceph_bluestore", Class::Managed, "Ceph BlueStore device"))
}

/// Stratis (design document, "Signature Block"): in sector 1, with a copy in sector 9; the magic is at 4.
pub(super) fn stratis(view: &View) -> Option<Found> {
    const MAGIC: &[u8] = b"!Stra0tis\x86\xff\x02^\x41rh";
    (view.has(516, MAGIC) || view.has(4612, MAGIC))
        .then(|| Found::new("stratis", Class::Managed, "Stratis block device"))
}

/// VDO (`drivers/md/dm-vdo/encodings.h`): the magic of the geometry block.
pub(super) fn vdo(view: &View) -> Option<Found> {
    view.has(0, b"dmvdo001").then(|| Found::new("vdo", Class::Managed, "VDO volume"))
}

/// dm-integrity (`drivers/md/dm-integrity.c`, `SB_MAGIC`).
pub(super) fn integrity(view: &View) -> Option<Found> {
    view.has(0, b"integrt\0").then(|| Found::new("DM_integrity", Class::Managed, "dm-integrity device"))
}

/// Intel Matrix RAID (mdadm, `super-intel.c`): in the last sector but one.
pub(super) fn intel_raid(view: &View) -> Option<Found> {
    let block = view.tail_from(view.len().checked_sub(1024)?)?;
    let mirror = Found::new("isw_raid_member", Class::Managed, "member of an Intel firmware RAID");
    has(block, 0, b"Intel Raid ISM Cfg Sig. ").then_some(mirror)
}

/// SNIA Disk Data Format 2.0, 5.5 "Anchor Header": the last sector.
pub(super) fn ddf_raid(view: &View) -> Option<Found> {
    let block = view.tail_from(view.len().checked_sub(512)?)?;
    (be32(block, 0)? == 0xde11_de11).then(|| Found::new("ddf_raid_member", Class::Managed, "member of a DDF RAID"))
}

/// Windows dynamic disks (Linux, `block/partitions/ldm.h`): the private header stands in sector 6 of an MBR disk.
pub(super) fn ldm(view: &View) -> Option<Found> {
    let last =
        view.len().checked_sub(512).and_then(|at| view.tail_from(at)).is_some_and(|block| has(block, 0, b"PRIVHEAD"));
    (last || view.has(0xc00, b"PRIVHEAD")).then(|| Found::new("ldm", Class::Managed, "Windows dynamic disk"))
}

/// A journal of ext4 that was given a device of its own: a superblock with the feature JOURNAL_DEV.
pub(super) fn ext_journal(view: &View) -> Option<Found> {
    const JOURNAL_DEV: u32 = 0x8;
    let superblock = view.head.get(1024..)?;
    let journal = has(superblock, 56, b"\x53\xef") && le32(superblock, 96)? & JOURNAL_DEV != 0;
    journal.then(|| {
        Found::new("jbd", Class::Harmless, "external journal of an ext4").id(view.id(1128)).label(view.bytes(1144, 16))
    })
}

/// dm-verity (cryptsetup, "DMVerity", superblock): the UUID is at 16.
pub(super) fn verity(view: &View) -> Option<Found> {
    view.has(0, b"verity\0\0")
        .then(|| Found::new("DM_verity_hash", Class::Harmless, "hash tree of dm-verity").id(view.id(16)))
}
