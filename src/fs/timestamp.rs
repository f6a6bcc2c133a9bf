//! A point in time as filesystems keep it, and its text form.

use std::fmt;

/// A point in time: seconds since 1970-01-01 UTC (negative before), and nanoseconds, 0 to 999,999,999.
///
/// Wider than what calendars of most libraries hold: NTFS counts until the year 60056. Its text is RFC 3339 in UTC
/// with nanoseconds; years outside 0 to 9999 have a sign and six digits (ISO 8601, "expanded representation").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since the epoch, rounded down.
    pub seconds: i64,
    /// Nanoseconds after `seconds`.
    pub nanos: u32,
}

/// 100 ns intervals from 1601-01-01, where a `FILETIME` begins, to 1970-01-01 ([MS-DTYP] 2.3.3).
const FILETIME_EPOCH: i128 = 116_444_736_000_000_000;

impl Timestamp {
    /// A Windows `FILETIME`: 100 ns intervals since 1601-01-01 UTC.
    #[must_use]
    pub fn from_filetime(filetime: u64) -> Self {
        let ticks = i128::from(filetime) - FILETIME_EPOCH;
        let seconds = ticks.div_euclid(10_000_000);
        let nanos = ticks.rem_euclid(10_000_000) * 100;
        // A u64 of 100 ns intervals is at most 1.9e12 seconds.
        Self { seconds: i64::try_from(seconds).unwrap_or(i64::MAX), nanos: u32::try_from(nanos).unwrap_or(0) }
    }
}

impl Timestamp {
    /// Its text form.
    #[must_use]
    pub fn text(self) -> String {
        let days = self.seconds.div_euclid(86_400);
        let second = self.seconds.rem_euclid(86_400);
        let (year, month, day) = civil(days);
        // Four of these stand in every record: the digits are set by hand, which is several times as fast.
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let mut pair = |at: usize, number: u32| {
            if let Some(digits) = text.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                *digits = two_digits(number);
            }
        };
        // All but the year are below 100 here; a year that is longer is written anew below.
        let [year_low, month, day, second] = [year, month, day, second].map(|n| u32::try_from(n).unwrap_or_default());
        pair(0, year_low / 100 % 100);
        pair(2, year_low % 100);
        pair(5, month);
        pair(8, day);
        pair(11, second / 3600);
        pair(14, second / 60 % 60);
        pair(17, second % 60);
        pair(20, self.nanos / 10_000_000 % 100);
        pair(22, self.nanos / 100_000 % 100);
        pair(24, self.nanos / 1_000 % 100);
        pair(26, self.nanos / 10 % 100);
        text[28] = two_digits(self.nanos % 10)[1];
        let text = std::str::from_utf8(&text).unwrap_or_default();
        if (0..=9999).contains(&year) { text.to_owned() } else { format!("{year:+07}{}", &text[4..]) }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

fn two_digits(number: u32) -> [u8; 2] {
    let digit = |number: u32| b'0' + (number % 10).to_le_bytes()[0];
    [digit(number / 10), digit(number)]
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Counts from 1 March of the year 0, so that the leap day ends a year, in cycles of 400 years of 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097;
    let days = days.saturating_add(719_468);
    let (cycle, day) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let year = (day - day / 1_460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (cycle * 400 + year + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seconds: i64, nanos: u32) -> String {
        Timestamp { seconds, nanos }.to_string()
    }

    /// Expected values from `date -u -d @SECONDS +%FT%TZ`.
    #[test]
    fn text_is_rfc_3339() {
        assert_eq!(text(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(-1, 999_999_999), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(text(951_782_400, 5), "2000-02-29T00:00:00.000000005Z");
        assert_eq!(text(4_107_542_399, 0), "2100-02-28T23:59:59.000000000Z");
        assert_eq!(text(15_032_385_535, 0), "2446-05-10T22:38:55.000000000Z");
        assert_eq!(text(-2_147_483_648, 0), "1901-12-13T20:45:52.000000000Z");
        assert_eq!(text(253_402_300_800, 0), "+010000-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn a_filetime_counts_from_1601() {
        assert_eq!(Timestamp::from_filetime(0).to_string(), "1601-01-01T00:00:00.000000000Z");
        assert_eq!(Timestamp::from_filetime(132_538_464_000_000_001).to_string(), "2020-12-31T00:00:00.000000100Z");
        let _ = Timestamp::from_filetime(u64::MAX).to_string();
    }
}
