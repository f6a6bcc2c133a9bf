//! "Snapshots": the table of internal snapshots; each has an L1 table of its own.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 + 4 | L1 table: offset, entries |
//! | 12, 14 | 2, 2 | length of the id, of the name |
//! | 16, 20 | 4, 4 | time in seconds, nanoseconds |
//! | 36 | 4 | length of the extra data, which begins at 40; 8 bytes at 8 in it are the size of the disk |
//!
//! Then come the id and the name; each entry is padded to 8 bytes.

use super::{
    LAYER,
    header::{Header, L1},
};
use crate::{
    error::{Error, Result},
    field::{narrow, wide},
    image::{
        Image,
        structure::{Structure, read_vec},
    },
};

const ENTRY: u64 = 40;
/// As QEMU.
const MAX_SNAPSHOTS: u32 = 65_536;
/// As QEMU; it is 16 today.
const MAX_EXTRA: u32 = 1024;
/// All entries together; each has at most 129 KiB, and real ones some 70 bytes.
const MAX_TABLE: u64 = 16 << 20;

/// A snapshot inside an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id, a number in practice; unique.
    pub id: String,
    /// Its name, chosen by a person; may occur twice.
    pub name: String,
    /// When it was taken, in seconds since 1970, and nanoseconds behind that.
    pub seconds: u32,
    /// See [`Self::seconds`].
    pub nanos: u32,
    /// Size of the disk when it was taken, where it is recorded.
    pub size: Option<u64>,
    pub(crate) l1: L1,
}

/// The snapshot with this id, else the first with this name, as QEMU looks for it.
pub(crate) fn find<'a>(snapshots: &'a [Snapshot], wanted: &str) -> Option<&'a Snapshot> {
    snapshots.iter().find(|s| s.id == wanted).or_else(|| snapshots.iter().find(|s| s.name == wanted))
}

/// All snapshots, in the order of the table.
pub(super) fn read(file: &dyn Image, header: &Header) -> Result<Vec<Snapshot>> {
    if header.snapshots > MAX_SNAPSHOTS {
        return Err(Error::budget(LAYER, format!("{} snapshots: at most {MAX_SNAPSHOTS} are read", header.snapshots)));
    }
    let mut snapshots = Vec::new();
    let mut at = header.snapshots_at;
    for _ in 0..header.snapshots {
        let fixed = read_vec(file, at, narrow(ENTRY))?;
        let s = Structure::new(LAYER, "snapshot", at, &fixed);
        let (id_length, name_length, extra_length) = (s.be16(12)?, s.be16(14)?, s.be32(36)?);
        if extra_length > MAX_EXTRA {
            return Err(s.wrong(format!("{extra_length} bytes of extra data: at most {MAX_EXTRA}")));
        }
        let [extra, id, name] = [extra_length, id_length.into(), name_length.into()].map(narrow);
        let length = extra.saturating_add(id).saturating_add(name);
        let rest_at = at.saturating_add(ENTRY);
        let rest = read_vec(file, rest_at, length)?;
        let r = Structure::new(LAYER, "snapshot", rest_at, &rest);
        let text = |at, len| r.slice(at, len).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        snapshots.push(Snapshot {
            id: text(extra, id)?,
            name: text(extra.saturating_add(id), name)?,
            seconds: s.be32(16)?,
            nanos: s.be32(20)?,
            size: (extra >= 16).then(|| r.be64(8)).transpose()?.filter(|size| *size > 0),
            l1: L1 { at: s.be64(0)?, entries: s.be32(8)?.into() },
        });
        let used = ENTRY.saturating_add(wide(length)).div_ceil(8).saturating_mul(8);
        at = at.saturating_add(used);
        if at.saturating_sub(header.snapshots_at) > MAX_TABLE {
            return Err(Error::budget(LAYER, format!("the snapshot table is larger than {MAX_TABLE:#x} bytes")));
        }
    }
    Ok(snapshots)
}
