//! FILETIME: 100 ns since 1601-01-01 UTC, 64 bits, unsigned here.
//!
//! Reference: [MS-DTYP] section 2.3.3.

use crate::{
    field::le64,
    fs::{Times, Timestamp},
};

const PER_SECOND: u64 = 10_000_000;
/// Seconds from 1601-01-01 to 1970-01-01.
const TO_1970: i64 = 11_644_473_600;

/// The exact point in time; every FILETIME has one.
pub(super) fn timestamp(filetime: u64) -> Timestamp {
    let seconds = filetime.checked_div(PER_SECOND).and_then(|s| i64::try_from(s).ok()).unwrap_or(0);
    let ticks = filetime.checked_rem(PER_SECOND).and_then(|t| u32::try_from(t).ok()).unwrap_or(0);
    Timestamp { seconds: seconds.saturating_sub(TO_1970), nanos: ticks.saturating_mul(100) }
}

/// The four times that stand one behind the other in `$STANDARD_INFORMATION` and `$FILE_NAME`: creation, change of
/// the content, change of the record, access.
pub(super) fn times(bytes: &[u8], at: usize) -> Option<Times> {
    let time = |n: usize| le64(bytes, at.checked_add(n)?).map(timestamp);
    Some(Times { crtime: Some(time(0)?), mtime: Some(time(8)?), ctime: Some(time(16)?), atime: Some(time(24)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_to_100_ns() {
        assert_eq!(timestamp(0), Timestamp { seconds: -11_644_473_600, nanos: 0 });
        assert_eq!(timestamp(116_444_736_000_000_001), Timestamp { seconds: 0, nanos: 100 });
        assert_eq!(timestamp(116_444_735_999_999_999), Timestamp { seconds: -1, nanos: 999_999_900 });
        assert_eq!(timestamp(u64::MAX).nanos, 955_161_500);
    }
}
