//! Logs of the old form: a base block, a bitmap of pages, the pages.
//!
//! \[regf\] "Dirty vector": `DIRT` at offset 512, then one bit for each 512 bytes of the hive bins, lowest bit of a
//! byte first; the pages whose bits are set follow from the next multiple of 512, in order.

use super::{
    super::{base_block, base_block::BaseBlock, hive_bin},
    LOG_HEADER, Log, LogFormat, Replay,
};
use crate::field::{le32, len32, narrow};

const PAGE: usize = 512;
pub(super) const SIGNATURE: &[u8] = b"DIRT";

/// Applies the log that belongs to the hive's interrupted write; whether there was one.
pub(super) fn apply(
    hive: &mut Vec<u8>,
    base: Option<BaseBlock>,
    logs: &[Log<'_>],
    capacity: usize,
    replay: &mut Replay,
) -> bool {
    let bins = hive.get(base_block::LEN..).unwrap_or_default();
    let Some(written) = base.map(|base| base.last_written).or_else(|| hive_bin::timestamp(bins)) else {
        return false;
    };
    for log in choose(logs, written, base.is_some(), replay) {
        match recover(hive, log, capacity) {
            Ok((recovered, pages, note)) => {
                *hive = recovered;
                if let Some(note) = note {
                    replay.fault(format!("log {}", log.index), note);
                }
                replay.format = Some(LogFormat::DirtyVector);
                replay.logs.push(log.index);
                replay.entries = 1;
                replay.pages = pages;
                return true;
            }
            // Its base block says that it was written in full, and for this write of the hive.
            Err(why) => replay.fault(format!("log {}", log.index), format!("not used, {why}")),
        }
    }
    false
}

/// The logs to try, best first: \[regf\] "Multiple transaction log files", "Old format".
///
/// A log belongs to the write whose time the hive bears. A second log is used after a failed write and holds
/// all that the first held: it comes first when it is later than the hive and than the first. Without a base block
/// the time is that of the first bin, which may be older than the interrupted write.
fn choose<'a, 'l>(logs: &'a [Log<'l>], written: u64, exact: bool, replay: &mut Replay) -> Vec<&'a Log<'l>> {
    let (mut matching, mut later) = (Vec::new(), Vec::new());
    let first = logs.first().map(|log| (log.index, log.base.last_written));
    for log in logs {
        let time = log.base.last_written;
        if time == written {
            matching.push(log);
        } else if time > written
            && (!exact || log.index > 0 && first.is_some_and(|(index, t)| index == log.index || time > t))
        {
            later.push(log);
        } else {
            replay.notes.push(format!("log {}: not used, it belongs to another write of the hive", log.index));
        }
    }
    later.sort_by_key(|log| std::cmp::Reverse(log.base.last_written));
    later.extend(matching);
    later
}

/// The recovered hive, the number of pages, and a note where recovery stopped early.
fn recover(hive: &[u8], log: &Log<'_>, capacity: usize) -> Result<(Vec<u8>, usize, Option<String>), String> {
    let bins_size = narrow(log.base.bins_size);
    let end = base_block::LEN.saturating_add(bins_size);
    if !bins_size.is_multiple_of(hive_bin::PAGE) || bins_size == 0 || end > capacity {
        return Err(format!("hive bins of {bins_size:#x} bytes would outgrow it, or are no whole bins"));
    }
    let bits = bins_size.checked_div(PAGE).unwrap_or(0);
    let vector = log.bytes.get(LOG_HEADER..).and_then(|rest| rest.strip_prefix(SIGNATURE)).ok_or("DIRT expected")?;
    let bitmap = vector.get(..bits.div_ceil(8)).ok_or("its dirty vector is cut")?;
    let start = LOG_HEADER.saturating_add(SIGNATURE.len()).saturating_add(bitmap.len()).next_multiple_of(PAGE);
    let is_dirty = |page: usize| {
        let byte = page.checked_div(8).and_then(|at| bitmap.get(at)).copied().unwrap_or(0);
        byte.checked_shr(u32::try_from(page & 7).unwrap_or(0)).unwrap_or(0) & 1 == 1
    };
    let dirty: Vec<usize> = (0..bits).filter(|page| is_dirty(*page)).collect();
    let pages = log.bytes.get(start..).unwrap_or_default();
    if pages.len() < dirty.len().saturating_mul(PAGE) {
        return Err(format!("{} pages expected, {} bytes found", dirty.len(), pages.len()));
    }

    let mut recovered = hive.to_vec();
    if recovered.len() < end {
        recovered.resize(end, 0);
    }
    let mut note = None;
    // Where the next bin begins; those before it are complete, since pages come in rising order.
    let mut next_bin = 0_usize;
    let mut written = 0_usize;
    for (page, bytes) in dirty.iter().zip(pages.chunks_exact(PAGE)) {
        let at = page.saturating_mul(PAGE);
        let bins = recovered.get_mut(base_block::LEN..).unwrap_or_default();
        while let Some(size) = hive_bin::size_at(bins, next_bin).filter(|_| next_bin < at) {
            next_bin = next_bin.saturating_add(size);
        }
        if at == next_bin && !is_bin_header(bytes, at) {
            note = Some(format!("replay ends at page {at:#x}, which is no hive bin"));
            break;
        }
        if let Some(place) = bins.get_mut(at..at.saturating_add(PAGE)) {
            place.copy_from_slice(bytes);
            written = written.saturating_add(1);
        }
    }
    base_block::restore(&mut recovered, log.bytes);
    base_block::finish(&mut recovered, log.base.primary_sequence, bins_size);
    Ok((recovered, written, note))
}

/// What Windows checks of a logged bin: signature, offset, and at least one page.
fn is_bin_header(page: &[u8], at: usize) -> bool {
    page.starts_with(b"hbin")
        && len32(page, 4) == Some(at)
        && le32(page, 8).is_some_and(|size| narrow(size) >= hive_bin::PAGE)
}
