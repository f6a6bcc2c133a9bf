//! The inode core (`xfs_dinode`), versions 1 to 3, and its two forks. Big-endian but for the checksum.
//! See "On-disk Inode" in *XFS Algorithms & Data Structures*; `fs/xfs/libxfs/xfs_format.h` for bigtime and nrext64.

use super::{
    LAYER,
    bytes::{array, be16, be32, be64, u8_at},
    superblock::Superblock,
    verify,
};
use crate::{
    error::{Error, Fault, Result},
    fs::{Kind, Times, Timestamp, unix::kind_of_mode},
};

pub(super) const MAGIC: u16 = 0x494E;
pub(super) const CRC_AT: usize = 100;
/// Where the forks begin in versions 1 and 2, and in version 3.
pub(super) const CORE_V2: usize = 100;
pub(super) const CORE_V3: usize = 176;

const FLAG_REALTIME: u16 = 0x1;
pub(super) const FLAG2_BIGTIME: u64 = 0x8;
pub(super) const FLAG2_NREXT64: u64 = 0x10;
const FLAG2_DAX: u64 = 0x1;
/// `di_flags` bits and what `FS_IOC_GETFLAGS` shows for them.
const SHOWN: [(u16, u32); 6] =
    [(0x8, 0x10), (0x10, 0x20), (0x20, 0x8), (0x40, 0x80), (0x80, 0x40), (0x200, 0x2000_0000)];
const SHOWN_DAX: u32 = 0x0200_0000;
/// Seconds before 1970 at which the time of bigtime inodes begins.
const BIGTIME_EPOCH: i64 = 1 << 31;
const NANOSECONDS: u64 = 1_000_000_000;

/// How a fork keeps what it holds (`xfs_dinode_fmt`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A device number.
    Device,
    /// In the inode itself.
    Local,
    /// A list of extents in the inode.
    Extents,
    /// The root of a tree of extents.
    Btree,
    /// Something else, which nothing writes.
    Other(u8),
}

impl Format {
    fn parse(byte: u8) -> Self {
        match byte {
            0 => Self::Device,
            1 => Self::Local,
            2 => Self::Extents,
            3 => Self::Btree,
            other => Self::Other(other),
        }
    }
}

/// Content, or attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Data,
    Attr,
}

/// One of an inode's forks.
pub(super) struct Fork<'a> {
    pub(super) format: Format,
    pub(super) extents: u64,
    pub(super) bytes: &'a [u8],
    pub(super) name: &'static str,
}

/// A decoded inode.
#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) number: u64,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) size: u64,
    pub(super) generation: u32,
    pub(super) times: Times,
    /// Checksum, number or filesystem are not what they should be.
    pub(super) mismatch: Option<Fault>,
    flags: u16,
    flags2: u64,
    data_format: Format,
    attr_format: Format,
    extents: u64,
    attr_extents: u64,
    /// Both forks.
    literal: Vec<u8>,
    /// Where the attribute fork begins in `literal`; 0 where there is none.
    attr_at: usize,
}

impl Inode {
    /// Decodes the inode `number` from its bytes.
    pub(super) fn parse(superblock: &Superblock, number: u64, raw: &[u8]) -> Result<Self> {
        let at = || format!("inode {number}");
        let bad = |what: String| Err(Error::corrupt(LAYER, at(), what));
        if be16(raw, 0) != MAGIC {
            return bad(format!("magic {:#06x} instead of {MAGIC:#06x}", be16(raw, 0)));
        }
        let version = u8_at(raw, 4);
        let expected = if superblock.features.v5 { 3..=3 } else { 1..=2 };
        if !expected.contains(&version) {
            return bad(format!("version {version} instead of {}", expected.end()));
        }
        let v3 = version == 3;
        let flags2 = if v3 { be64(raw, 120) } else { 0 };
        let time = |at: usize| time(raw, at, flags2 & FLAG2_BIGTIME != 0);
        let (extents, attr_extents) = if flags2 & FLAG2_NREXT64 != 0 {
            (be64(raw, 24), u64::from(be32(raw, 76)))
        } else {
            (u64::from(be32(raw, 76)), u64::from(be16(raw, 80)))
        };
        let literal = raw.get(if v3 { CORE_V3 } else { CORE_V2 }..).unwrap_or_default().to_vec();
        let attr_at = usize::from(u8_at(raw, 82)).saturating_mul(8);
        if attr_at >= literal.len() {
            return bad(format!("the attribute fork begins at {attr_at} of {} bytes", literal.len()));
        }
        let mismatch = if v3 { mismatch(superblock, number, raw) } else { None };
        Ok(Self {
            number,
            mode: be16(raw, 2),
            uid: be32(raw, 8),
            gid: be32(raw, 12),
            links: if version == 1 { u32::from(be16(raw, 6)) } else { be32(raw, 16) },
            size: be64(raw, 56),
            generation: be32(raw, 92),
            times: Times {
                atime: Some(time(32)),
                mtime: Some(time(40)),
                ctime: Some(time(48)),
                crtime: v3.then(|| time(144)),
            },
            mismatch: mismatch.map(|what| Fault::new(LAYER, at(), what)),
            flags: be16(raw, 90),
            flags2,
            data_format: Format::parse(u8_at(raw, 5)),
            attr_format: Format::parse(u8_at(raw, 83)),
            extents,
            attr_extents,
            literal,
            attr_at,
        })
    }

    /// For messages.
    pub(super) fn at(&self) -> String {
        format!("inode {}", self.number)
    }

    /// Free inodes have no mode.
    pub(super) fn is_free(&self) -> bool {
        self.mode == 0
    }

    pub(super) fn kind(&self) -> Result<Kind> {
        let wrong = |what: &str| Error::corrupt(LAYER, self.at(), format!("mode {:#o} {what}", self.mode));
        let kind = kind_of_mode(self.mode).ok_or_else(|| wrong("has no known type"))?;
        // "Data Fork" in *XFS Algorithms & Data Structures*: devices, pipes and sockets have this form, and nothing else.
        let is_special = matches!(kind, Kind::Char | Kind::Block | Kind::Fifo | Kind::Socket);
        if is_special != (self.data_format == Format::Device) {
            return Err(wrong("does not fit the form of the data fork"));
        }
        Ok(kind)
    }

    /// The content lies on the realtime device.
    pub(super) fn is_realtime(&self) -> bool {
        self.flags & FLAG_REALTIME != 0
    }

    /// What `FS_IOC_GETFLAGS` shows.
    pub(super) fn visible_flags(&self) -> u32 {
        let shown = SHOWN.iter().filter(|(bit, _)| self.flags & bit != 0).fold(0, |flags, (_, shown)| flags | shown);
        if self.flags2 & FLAG2_DAX != 0 { shown | SHOWN_DAX } else { shown }
    }

    /// Major and minor number: 14 and 18 bits, at the start of the data fork.
    pub(super) fn device(&self) -> Option<(u32, u32)> {
        (self.data_format == Format::Device).then(|| {
            let device = be32(&self.literal, 0);
            (device.wrapping_shr(18), device & 0x3_FFFF)
        })
    }

    /// One of the forks; none where there is no attribute fork.
    pub(super) fn fork(&self, which: Which) -> Option<Fork<'_>> {
        let split = if self.attr_at == 0 { self.literal.len() } else { self.attr_at };
        let (data, attr) = self.literal.split_at_checked(split)?;
        match which {
            Which::Data => {
                Some(Fork { format: self.data_format, extents: self.extents, bytes: data, name: "data fork" })
            }
            Which::Attr => (self.attr_at != 0).then_some(Fork {
                format: self.attr_format,
                extents: self.attr_extents,
                bytes: attr,
                name: "attribute fork",
            }),
        }
    }

    /// The data fork.
    pub(super) fn data(&self) -> Fork<'_> {
        let empty = Fork { format: self.data_format, extents: 0, bytes: &[], name: "data fork" };
        self.fork(Which::Data).unwrap_or(empty)
    }
}

fn mismatch(superblock: &Superblock, number: u64, raw: &[u8]) -> Option<String> {
    if let Some(what) = verify::crc(raw, CRC_AT) {
        return Some(what);
    }
    if be64(raw, 152) != number {
        return Some(format!("it says it is inode {}", be64(raw, 152)));
    }
    (array::<16>(raw, 160) != superblock.meta_uuid).then(|| "the UUID is that of another filesystem".to_owned())
}

/// A time: signed seconds and nanoseconds, or with bigtime unsigned nanoseconds from 1901 on.
fn time(raw: &[u8], at: usize, bigtime: bool) -> Timestamp {
    if bigtime {
        let stored = be64(raw, at);
        let seconds = stored.checked_div(NANOSECONDS).and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(0);
        let nanos = stored.checked_rem(NANOSECONDS).and_then(|nanos| u32::try_from(nanos).ok()).unwrap_or(0);
        return Timestamp { seconds: seconds.saturating_sub(BIGTIME_EPOCH), nanos };
    }
    let seconds = i64::from(i32::from_be_bytes(array(raw, at)));
    Timestamp { seconds, nanos: be32(raw, at.saturating_add(4)).min(999_999_999) }
}
