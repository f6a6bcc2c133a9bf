//! The table of signatures, and the bytes that they are looked for in.

use super::{encrypted, fat, filesystem, member, swap};
use crate::{
    error::Result,
    field::{array, has, slice, wide},
    guid,
    image::Image,
};

/// How much of a volume's beginning is looked at: the last thing in there are the uberblocks of ZFS.
const HEAD: u64 = 256 << 10;

/// How much of a volume's end is looked at: superblocks of RAID lie in the last 128 KiB.
const TAIL: u64 = 128 << 10;

/// What follows from a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// It holds files.
    Filesystem,
    /// It may hold files, behind a key.
    Encrypted,
    /// It may hold files, together with other volumes.
    Managed,
    /// It holds none.
    Harmless,
}

/// A signature that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) kind: &'static str,
    pub(super) class: Class,
    pub(super) id: Option<String>,
    pub(super) label: Option<String>,
    /// In words, for what is not a filesystem.
    pub(super) what: String,
    /// Whether a filesystem beside this signature is to be expected.
    pub(super) transparent: bool,
}

impl Found {
    pub(super) fn new(kind: &'static str, class: Class, what: impl Into<String>) -> Self {
        Self { kind, class, id: None, label: None, what: what.into(), transparent: false }
    }

    pub(super) fn filesystem(kind: &'static str) -> Self {
        Self::new(kind, Class::Filesystem, "")
    }

    pub(super) fn id(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    /// A label in bytes, cut at the first NUL.
    pub(super) fn label(self, bytes: Option<&[u8]>) -> Self {
        let text = bytes.and_then(|bytes| bytes.split(|&byte| byte == 0).next()).unwrap_or_default();
        let text = String::from_utf8_lossy(text).trim_end().to_owned();
        Self { label: (!text.is_empty()).then_some(text), ..self }
    }
}

/// The beginning and the end of a volume.
pub(super) struct View {
    pub(super) head: Vec<u8>,
    tail: Vec<u8>,
    len: u64,
}

impl View {
    pub(super) fn read(image: &dyn Image) -> Result<Self> {
        let part = |offset: u64, len: u64| {
            let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
            image.read_at(offset, &mut bytes).map(|()| bytes)
        };
        let len = image.len();
        let tail = len.min(TAIL);
        Ok(Self { head: part(0, len.min(HEAD))?, tail: part(len.saturating_sub(tail), tail)?, len })
    }

    /// Length of the volume in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn has(&self, at: usize, magic: &[u8]) -> bool {
        has(&self.head, at, magic)
    }

    pub(super) fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        slice(&self.head, at, len)
    }

    pub(super) fn id(&self, at: usize) -> Option<String> {
        array(&self.head, at).and_then(guid::given).map(guid::uuid)
    }

    /// The bytes from `offset` on, counted from the volume's beginning, where they lie in its last part.
    pub(super) fn tail_from(&self, offset: u64) -> Option<&[u8]> {
        let start = self.len.checked_sub(wide(self.tail.len()))?;
        self.tail.get(usize::try_from(offset.checked_sub(start)?).ok()?..)
    }
}

/// Looks for one format.
type Test = fn(&View) -> Option<Found>;

/// Every format that is told apart, one a row.
const SIGNATURES: &[Test] = &[
    filesystem::ext,
    filesystem::xfs,
    filesystem::ntfs,
    fat::fat,
    filesystem::exfat,
    filesystem::btrfs,
    filesystem::f2fs,
    filesystem::refs,
    filesystem::apfs,
    filesystem::hfs,
    filesystem::ufs,
    filesystem::zfs,
    filesystem::bcachefs,
    filesystem::squashfs,
    filesystem::erofs,
    filesystem::iso9660,
    filesystem::udf,
    filesystem::jfs,
    filesystem::reiserfs,
    filesystem::nilfs2,
    filesystem::ocfs2,
    filesystem::gfs2,
    encrypted::luks,
    encrypted::bitlocker,
    member::lvm2,
    member::md_0_90,
    member::md_1,
    member::bcache,
    member::ceph,
    member::stratis,
    member::vdo,
    member::integrity,
    member::intel_raid,
    member::ddf_raid,
    member::ldm,
    member::ext_journal,
    member::verity,
    swap::swap,
];

/// All that fits, filesystems first.
pub(super) fn find(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = SIGNATURES.iter().filter_map(|test| test(view)).collect();
    if found.is_empty() {
        found.extend(encrypted::luks_second(view));
    }
    found.sort_by_key(|found| found.class);
    found
}
