//! Filesystems by their superblocks. Offsets are bytes from the volume's beginning.

use super::signature::{Found, View};
use crate::field::{be32, le16, le32, le64};

/// ext2, ext3, ext4 (kernel documentation, "ext4 Data Structures and Algorithms", 4.1): the superblock at 1024 has
/// its magic at 56, features at 92, UUID at 104, label at 120.
pub(super) fn ext(view: &View) -> Option<Found> {
    const HAS_JOURNAL: u32 = 0x4;
    const JOURNAL_DEV: u32 = 0x8;
    /// What ext3 knows: filetype, recover, meta_bg.
    const INCOMPAT_EXT3: u32 = 0x2 | 0x4 | 0x10;
    /// What ext3 knows: sparse_super, large_file, btree_dir.
    const RO_COMPAT_EXT3: u32 = 0x1 | 0x2 | 0x4;
    if !view.has(1080, b"\x53\xef") {
        return None;
    }
    let (compat, incompat, ro_compat) = (le32(&view.head, 1116)?, le32(&view.head, 1120)?, le32(&view.head, 1124)?);
    if incompat & JOURNAL_DEV != 0 {
        return None;
    }
    let kind = match (incompat & !INCOMPAT_EXT3 == 0 && ro_compat & !RO_COMPAT_EXT3 == 0, compat & HAS_JOURNAL != 0) {
        (true, true) => "ext3",
        (true, false) => "ext2",
        (false, _) => "ext4",
    };
    Some(Found::filesystem(kind).id(view.id(1128)).label(view.bytes(1144, 16)))
}

/// XFS ("XFS Algorithms & Data Structures", 3rd edition, 13.1 "Superblocks"): UUID at 32, label at 108.
pub(super) fn xfs(view: &View) -> Option<Found> {
    view.has(0, b"XFSB").then(|| Found::filesystem("xfs").id(view.id(32)).label(view.bytes(108, 12)))
}

/// NTFS (libfsntfs, "New Technologies File System", 3 "Volume header"): serial number at 72.
pub(super) fn ntfs(view: &View) -> Option<Found> {
    view.has(3, b"NTFS    ")
        .then(|| Found::filesystem("ntfs").id(le64(&view.head, 72).map(|serial| format!("{serial:016X}"))))
}

/// exFAT (Microsoft, "exFAT file system specification", 3.1): serial number at 100.
pub(super) fn exfat(view: &View) -> Option<Found> {
    let serial = le32(&view.head, 100).map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff));
    view.has(3, b"EXFAT   ").then(|| Found::filesystem("exfat").id(serial))
}

/// Btrfs ("On-disk Format", "Superblock", at 64 KiB): fsid at 32, magic at 64, label at 299.
pub(super) fn btrfs(view: &View) -> Option<Found> {
    view.has(0x10040, b"_BHRfS_M")
        .then(|| Found::filesystem("btrfs").id(view.id(0x10020)).label(view.bytes(0x1012b, 256)))
}

/// F2FS (`include/linux/f2fs_fs.h`, `struct f2fs_super_block`, at 1024): UUID at 108.
pub(super) fn f2fs(view: &View) -> Option<Found> {
    view.has(1024, b"\x10\x20\xf5\xf2").then(|| Found::filesystem("f2fs").id(view.id(1132)))
}

/// ReFS (libfsrefs, "Resilient File System", "Volume header"): serial number at 56.
pub(super) fn refs(view: &View) -> Option<Found> {
    view.has(3, b"ReFS\0\0\0\0")
        .then(|| Found::filesystem("ReFS").id(le64(&view.head, 56).map(|serial| format!("{serial:016X}"))))
}

/// APFS ("Apple File System Reference", "Container"): magic at 32, UUID at 72.
pub(super) fn apfs(view: &View) -> Option<Found> {
    view.has(32, b"NXSB").then(|| Found::filesystem("apfs").id(view.id(72)))
}

/// HFS+ and HFSX (Apple, TN1150, "Volume Header", at 1024).
pub(super) fn hfs(view: &View) -> Option<Found> {
    (view.has(1024, b"H+\0\x04") || view.has(1024, b"HX\0\x05")).then(|| Found::filesystem("hfsplus"))
}

/// UFS1 and UFS2 (FreeBSD, `sys/ufs/ffs/fs.h`): the magic is at 1372 of the superblock.
pub(super) fn ufs(view: &View) -> Option<Found> {
    let magics = [(8192_usize, 0x0001_1954_u32), (65536, 0x1954_0119), (65536, 0x0001_1954), (0, 0x0001_1954)];
    let stands = |&(at, magic): &(usize, u32)| {
        let at = at.saturating_add(1372);
        le32(&view.head, at) == Some(magic) || be32(&view.head, at) == Some(magic)
    };
    magics.iter().any(stands).then(|| Found::filesystem("ufs"))
}

/// ZFS ("ZFS On-Disk Specification", 1.3 "Vdev Labels"): uberblocks of 1 KiB and more from 128 KiB on.
pub(super) fn zfs(view: &View) -> Option<Found> {
    const MAGIC: u64 = 0x00ba_b10c;
    let ring = view.bytes(128 << 10, 128 << 10)?;
    let uberblock =
        |block: &[u8; 1024]| matches!(le64(block, 0), Some(magic) if magic == MAGIC || magic.swap_bytes() == MAGIC);
    ring.as_chunks().0.iter().any(uberblock).then(|| Found::filesystem("zfs_member"))
}

/// bcachefs (`fs/bcachefs/bcachefs_format.h`, `struct bch_sb`, at 4 KiB): magic at 24, UUID of the user at 56, label
/// at 72.
pub(super) fn bcachefs(view: &View) -> Option<Found> {
    const MAGIC: &[u8] = b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef";
    view.has(4120, MAGIC).then(|| Found::filesystem("bcachefs").id(view.id(4152)).label(view.bytes(4168, 32)))
}

/// Squashfs (kernel documentation, "Squashfs 4.0"): magic in either byte order; the version is at 28.
pub(super) fn squashfs(view: &View) -> Option<Found> {
    (view.has(0, b"hsqs") || view.has(0, b"sqsh")).then(|| Found::filesystem("squashfs"))
}

/// EROFS (`fs/erofs/erofs_fs.h`, `struct erofs_super_block`, at 1024): UUID at 48, label at 64.
pub(super) fn erofs(view: &View) -> Option<Found> {
    view.has(1024, b"\xe2\xe1\xf5\xe0")
        .then(|| Found::filesystem("erofs").id(view.id(1072)).label(view.bytes(1088, 16)))
}

/// ISO 9660 (ECMA-119, 8.4): the first volume descriptor in sector 16, label at 40.
pub(super) fn iso9660(view: &View) -> Option<Found> {
    view.has(0x8001, b"CD001").then(|| Found::filesystem("iso9660").label(view.bytes(0x8028, 32)))
}

/// UDF (ECMA-167, 2/9.1): a volume recognition sequence with a descriptor NSR02 or NSR03.
pub(super) fn udf(view: &View) -> Option<Found> {
    let sequence = view.has(0x8001, b"BEA01") || view.has(0x8001, b"CD001");
    let descriptor = (0x8801..0x10000).step_by(0x800).any(|at| view.has(at, b"NSR02") || view.has(at, b"NSR03"));
    (sequence && descriptor).then(|| Found::filesystem("udf"))
}

/// JFS (`fs/jfs/jfs_superblock.h`, at 32 KiB): UUID at 136, label at 152.
pub(super) fn jfs(view: &View) -> Option<Found> {
    view.has(0x8000, b"JFS1").then(|| Found::filesystem("jfs").id(view.id(0x8088)).label(view.bytes(0x8098, 16)))
}

/// ReiserFS (`fs/reiserfs/reiserfs.h`, at 64 KiB or 8 KiB): magic at 52, UUID at 84, label at 100.
pub(super) fn reiserfs(view: &View) -> Option<Found> {
    let at = [0x10000_usize, 0x2000].into_iter().find(|at| {
        let magic = at.saturating_add(52);
        view.has(magic, b"ReIsErFs") || view.has(magic, b"ReIsEr2Fs") || view.has(magic, b"ReIsEr3Fs")
    })?;
    Some(Found::filesystem("reiserfs").id(view.id(at.checked_add(84)?)).label(view.bytes(at.checked_add(100)?, 16)))
}

/// NILFS2 (`include/uapi/linux/nilfs2_ondisk.h`, at 1024): magic at 6, size of the superblock at 8, UUID at 152,
/// label at 168.
pub(super) fn nilfs2(view: &View) -> Option<Found> {
    let size = le16(&view.head, 1032)?;
    (view.has(1030, b"\x34\x34") && (200..=1024).contains(&size))
        .then(|| Found::filesystem("nilfs2").id(view.id(1176)).label(view.bytes(1192, 80)))
}

/// OCFS2 (`fs/ocfs2/ocfs2_fs.h`): the superblock is block 2, of 512 bytes up to 4 KiB.
pub(super) fn ocfs2(view: &View) -> Option<Found> {
    [1024, 2048, 4096, 8192].into_iter().any(|at| view.has(at, b"OCFSV2")).then(|| Found::filesystem("ocfs2"))
}

/// GFS2 (`include/uapi/linux/gfs2_ondisk.h`, at 64 KiB): magic and type 1.
pub(super) fn gfs2(view: &View) -> Option<Found> {
    view.has(0x10000, b"\x01\x16\x19\x70\0\0\0\x01").then(|| Found::filesystem("gfs2").id(view.id(0x10088)))
}
