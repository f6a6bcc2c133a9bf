//! The up-case table: units of UTF-16, and runs of such as stay what they are (7.2.5.1).

use super::{checksum::sum32, corrupt};
use crate::{error::Result, field::units, fs::upcase::UpCase};

/// One unit for each of 16 bits.
const UNITS: u32 = 1 << 16;

/// The longest table: one that is not packed.
pub(super) const MAX_LEN: u64 = 2 * 65_536;

/// A unit that says how many units follow which map to themselves.
const RUN: u16 = 0xffff;

/// Unpacks the table if it has the checksum that its directory entry states.
pub(super) fn unpack(bytes: &[u8], checksum: u32) -> Result<UpCase> {
    let found = sum32(0, bytes.iter().copied());
    if found != checksum {
        return Err(corrupt("up-case table", format!("expected the checksum {checksum:#010x}, found {found:#010x}")));
    }
    let mut table: Vec<u16> = (0..=u16::MAX).collect();
    let mut index = 0_u32;
    let mut units = units(bytes);
    while let Some(unit) = units.next() {
        if unit == RUN && index != u32::from(RUN) {
            index = index.saturating_add(units.next().unwrap_or_default().into());
            continue;
        }
        if let Some(entry) = usize::try_from(index).ok().and_then(|index| table.get_mut(index)) {
            *entry = unit;
        }
        index = index.saturating_add(1);
    }
    if index > UNITS {
        return Err(corrupt("up-case table", format!("it has {index} units; expected at most {UNITS}")));
    }
    Ok(UpCase::new(table))
}
