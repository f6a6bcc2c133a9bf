//! `$LogFile`: only whether it holds something that was not replayed; replay is not done.
//!
//! Reference: ntfs-3g `logfile.h` (`RESTART_PAGE_HEADER`, `RESTART_AREA`).

use crate::{
    error::Result,
    field::{le16, le64, len16, len32, narrow},
};

use super::{attribute, fixup, reader::Reader, record::Reference, value::Value};

/// Record of `$LogFile`.
const RECORD: u64 = 2;
/// Pages of these sizes are met; the restart pages are the first two.
const MAX_PAGE: usize = 64 << 10;
const MIN_PAGE: usize = 512;
/// `client_in_use_list` when nobody uses the log.
const NO_CLIENT: u16 = 0xFFFF;
/// `flags`: the volume was unmounted.
const VOLUME_IS_CLEAN: u16 = 2;

/// What the log says of the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing to replay.
    Clean,
    /// The volume was in use: records may be waiting.
    Dirty,
    /// Neither restart page parses.
    Unknown,
}

impl State {
    /// The line for the coverage list.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Self::Clean => None,
            Self::Dirty => Some(
                "$LogFile was not replayed: the volume was in use, the latest changes of its metadata may be missing",
            ),
            Self::Unknown => Some("$LogFile was not replayed: its restart pages do not parse"),
        }
    }
}

/// Reads the two restart pages.
pub(super) fn state(reader: &mut Reader<'_>) -> Result<State> {
    let file = reader.file(Reference(RECORD))?;
    let Some(Value::Clusters(log)) = file.value(reader.volume, attribute::DATA, &[])? else {
        return Ok(State::Unknown);
    };
    let mut pages = vec![0; MAX_PAGE.saturating_mul(2).min(narrow(log.size))];
    log.read_at(reader.volume, 0, &mut pages)?;
    if pages.iter().all(|byte| *byte == 0xFF) {
        // As mkntfs and chkdsk leave it.
        return Ok(State::Clean);
    }
    let size = len32(&pages, 0x10).filter(|size| size.is_power_of_two() && (MIN_PAGE..=MAX_PAGE).contains(size));
    let found = pages.chunks(size.unwrap_or(4096)).take(2).filter_map(restart_page);
    Ok(found.max_by_key(|(lsn, _)| *lsn).map_or(State::Unknown, |(_, state)| state))
}

/// The current LSN and the state of a page (0x18 offset of the restart area; there 0x00 LSN, 0x0c clients in use,
/// 0x0e flags).
fn restart_page(page: &[u8]) -> Option<(u64, State)> {
    let mut bytes = page.to_vec();
    fixup::apply(&mut bytes, b"RSTR").or_else(|_| fixup::apply(&mut bytes, b"CHKD")).ok()?;
    let area = bytes.get(len16(&bytes, 0x18)?..)?;
    let in_use = le16(area, 0x0C)? != NO_CLIENT;
    let clean = le16(area, 0x0E)? & VOLUME_IS_CLEAN != 0;
    Some((le64(area, 0)?, if in_use && !clean { State::Dirty } else { State::Clean }))
}
