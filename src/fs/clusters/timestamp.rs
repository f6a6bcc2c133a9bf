//! Date and time as DOS packed them.

use crate::fs::Timestamp;

/// Date: day in bits 0 to 4, month in 5 to 8, year since 1980 in 9 to 15. Time: seconds halved in bits 0 to 4,
/// minute in 5 to 10, hour in 11 to 15. `hundredths` are added, at most 199. Taken as UTC; `None` for what is no
/// date.
pub(in crate::fs) fn dos_timestamp(date: u16, time: u16, hundredths: u8) -> Option<Timestamp> {
    let (day, month, year) = (date & 0x1f, date >> 5 & 0xf, (date >> 9).checked_add(1980)?);
    let (second, minute, hour) = ((time & 0x1f).checked_mul(2)?, time >> 5 & 0x3f, time >> 11);
    let part = |value: u16| i8::try_from(value).ok();
    let moment = jiff::civil::DateTime::new(
        i16::try_from(year).ok()?,
        part(month)?,
        part(day)?,
        part(hour)?,
        part(minute)?,
        part(second)?,
        0,
    );
    let seconds = moment.ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    let hundredths = hundredths.min(199);
    Some(Timestamp {
        seconds: seconds.checked_add(i64::from(hundredths / 100))?,
        nanos: u32::from(hundredths % 100).checked_mul(10_000_000)?,
    })
}
