//! When a machine is due for a scan, when it is overdue, and which window a scan covers.

use jiff::{SignedDuration, Timestamp, civil::Date, civil::DateTime, tz::TimeZone};

use super::Window;
use crate::error::{Error, Result};

/// How much earlier than asked a scan is due, and how much later it is overdue: a tenth, so that a timer that
/// fires a little early does not skip a day.
const TOLERANCE_PART: i64 = 10;

/// A span of time as people write it: `90m`, `24h`, `14d`, `1w`, `1d12h`; days have 24 hours.
///
/// # Errors
/// [`Error::Usage`] when it is none, or zero.
pub fn parse_span(text: &str) -> Result<SignedDuration> {
    let wrong = || Error::Usage(format!("not a span of time like 90m, 24h, 14d or 1w: {text:?}"));
    let mut seconds = 0_i64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let unit = match tail.chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            Some('w') => 7 * 86_400,
            _ => return Err(wrong()),
        };
        seconds = number.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
        rest = tail.get(1..).unwrap_or_default();
    }
    if seconds == 0 { Err(wrong()) } else { Ok(SignedDuration::from_secs(seconds)) }
}

/// A point in time as people write it: RFC 3339, a date and a time or a date alone (both UTC, a date from its
/// midnight), or a span before `now`.
///
/// # Errors
/// [`Error::Usage`] when it is none.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp> {
    parse_moment(text, now).map(|(time, _)| time)
}

/// The last point in time of what people write so: of a date alone the end of its day, else as [`parse_time`].
///
/// # Errors
/// [`Error::Usage`] when it is none.
pub fn parse_end(text: &str, now: Timestamp) -> Result<Timestamp> {
    let (time, is_date) = parse_moment(text, now)?;
    if !is_date {
        return Ok(time);
    }
    let day = SignedDuration::from_hours(24).saturating_sub(SignedDuration::from_nanos(1));
    Ok(time.checked_add(day).unwrap_or(Timestamp::MAX))
}

/// A point in time, and whether it was written as a date alone.
fn parse_moment(text: &str, now: Timestamp) -> Result<(Timestamp, bool)> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok((time, false));
    }
    // A date's own parser takes a date and time too, and drops the time.
    let date = text.parse::<Date>().ok().filter(|_| text.len() <= "2026-11-21".len());
    let civil = date.map(|date| date.at(0, 0, 0, 0)).or_else(|| text.parse::<DateTime>().ok());
    if let Some(time) = civil.and_then(|civil| TimeZone::UTC.to_timestamp(civil).ok()) {
        return Ok((time, date.is_some()));
    }
    parse_span(text)
        .ok()
        .and_then(|span| now.checked_sub(span).ok())
        .map(|time| (time, false))
        .ok_or_else(|| Error::Usage(format!("not a time like 2026-11-21T03:00Z, 2026-11-21 or 14d: {text:?}")))
}

/// So far ahead of the clock a last scan counts as one of now: of several scans in one second, each has an id that is
/// a second later than the one before.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

/// Whether a machine whose newest complete scan started at `last` is to be scanned now. A last scan that lies in
/// the future (a clock was wrong) does not keep a machine from being scanned.
#[must_use]
pub fn is_due(last: Option<Timestamp>, every: SignedDuration, now: Timestamp) -> bool {
    let tolerance = every.checked_div(TOLERANCE_PART as i32).unwrap_or_default();
    let Some(last) = last else { return true };
    let age = now.duration_since(last);
    age < -AHEAD || age.max(SignedDuration::ZERO) >= every.saturating_sub(tolerance)
}

/// Whether a machine that is to be scanned every so often has missed its time.
#[must_use]
pub fn is_overdue(last: Option<Timestamp>, every: SignedDuration, now: Timestamp) -> bool {
    let tolerance = every.checked_div(TOLERANCE_PART as i32).unwrap_or_default();
    last.is_none_or(|last| now.duration_since(last) > every.saturating_add(tolerance))
}

/// Without a word on how often a machine is scanned, a snapshot that was this old at its scan is stale.
const STALE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Whether a snapshot was so old when it was scanned that it is most likely none of a new night: twice as old as the
/// machine is to be scanned.
#[must_use]
pub fn is_stale(snapshot: Timestamp, scanned: Timestamp, every: Option<SignedDuration>) -> bool {
    let limit = every.map_or(STALE, |every| every.saturating_add(every));
    scanned.duration_since(snapshot) > limit
}

/// The time of a snapshot: what the person says, else the image's modification time, never later than the start
/// of the scan, never from inside the image.
///
/// # Errors
/// [`Error::Usage`] when the person names a time after the start of the scan.
pub fn snapshot_time(given: Option<Timestamp>, modified: Option<Timestamp>, start: Timestamp) -> Result<Timestamp> {
    match given {
        Some(given) if given > start => {
            let what = "name when the snapshot was taken, or leave it out and the image's modification time says";
            Err(Error::Usage(format!("--snapshot-time {given} lies after the start of the scan, {start}: {what}")))
        }
        Some(given) => Ok(given),
        None => Ok(modified.map_or(start, |modified| modified.min(start))),
    }
}

/// The window from the newest complete scan's snapshot to this one.
///
/// # Errors
/// [`Error::Target`] when this snapshot is older and that is not wanted.
pub fn window(latest: Option<Window>, snapshot: Timestamp, allow_older: bool) -> Result<Window> {
    match latest {
        Some(latest) if snapshot < latest.to && !allow_older => Err(Error::Target(format!(
            "the snapshot of {snapshot} is older than the one scanned last, of {}; --allow-older compares them all \
             the same",
            latest.to
        ))),
        latest => Ok(Window { from: latest.map(|latest| latest.to), to: snapshot }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn spans_are_read_as_people_write_them() {
        let hours = |text| parse_span(text).map(|span| span.as_secs() / 3600).ok();
        assert_eq!(hours("24h"), Some(24));
        assert_eq!(hours("14d"), Some(336));
        assert_eq!(hours("1w"), Some(168));
        assert_eq!(hours("1d12h"), Some(36));
        assert_eq!(parse_span("90m").unwrap().as_secs(), 5400);
        for wrong in ["", "0h", "h", "24", "24x", "-1h", "1.5h", "99999999999999999999d", "9223372036854775807w", "1ä"]
        {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_read_in_utc() {
        let now = at("2026-11-21T12:00:00Z");
        for (text, expected) in [
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20T03:00", "2026-11-20T03:00:00Z"),
            ("2026-11-20 03:00:01", "2026-11-20T03:00:01Z"),
            ("2026-11-20T03:00:00+01:00", "2026-11-20T02:00:00Z"),
            ("1d", "2026-11-20T12:00:00Z"),
        ] {
            assert_eq!(parse_time(text, now).unwrap(), at(expected), "{text}");
        }
        assert!(parse_time("yesterday", now).is_err());
    }

    #[test]
    fn a_date_ends_with_its_day() {
        let now = at("2026-11-21T12:00:00Z");
        for (text, expected) in [
            ("2026-11-20", "2026-11-20T23:59:59.999999999Z"),
            ("2026-11-20T00:00", "2026-11-20T00:00:00Z"),
            ("2026-11-20T03:00:00+01:00", "2026-11-20T02:00:00Z"),
            ("1d", "2026-11-20T12:00:00Z"),
        ] {
            assert_eq!(parse_end(text, now).unwrap(), at(expected), "{text}");
        }
        assert!(parse_end("yesterday", now).is_err());
    }

    #[test]
    fn a_tenth_early_is_due_and_a_tenth_late_is_overdue() {
        let every = parse_span("24h").unwrap();
        let last = Some(at("2026-11-20T19:00:00Z"));
        assert!(!is_due(last, every, at("2026-11-21T16:35:59Z")));
        assert!(is_due(last, every, at("2026-11-21T16:36:00Z")));
        assert!(is_due(last, every, at("2026-11-20T18:00:00Z")), "a clock that was ahead does not stop scans");
        assert!(is_due(None, every, at("2026-11-20T18:00:00Z")));
        assert!(!is_overdue(last, every, at("2026-11-21T21:24:00Z")));
        assert!(is_overdue(last, every, at("2026-11-21T21:24:01Z")));
        assert!(is_overdue(None, every, at("2026-11-21T21:24:01Z")));
    }

    #[test]
    fn a_scan_whose_id_runs_ahead_of_the_clock_is_one_of_now() {
        let every = parse_span("1s").unwrap();
        let last = Some(at("2026-11-20T19:00:02Z"));
        assert!(!is_due(last, every, at("2026-11-20T19:00:00.5Z")));
        assert!(!is_due(last, every, at("2026-11-20T18:59:02Z")));
        assert!(is_due(last, every, at("2026-11-20T18:59:01.9Z")));
        assert!(is_due(last, every, at("2026-11-20T19:00:03Z")));
    }

    #[test]
    fn a_snapshot_that_missed_two_scans_is_stale() {
        let (day, scanned) = (Some(parse_span("24h").unwrap()), at("2026-11-21T19:00:00Z"));
        assert!(!is_stale(at("2026-11-19T19:00:00Z"), scanned, day));
        assert!(is_stale(at("2026-11-19T18:59:59Z"), scanned, day));
        assert!(!is_stale(at("2026-11-14T19:00:00Z"), scanned, None));
        assert!(is_stale(at("2026-11-14T18:59:59Z"), scanned, None));
        assert!(!is_stale(scanned, at("2026-11-14T18:59:59Z"), day), "a clock that was ahead");
    }

    #[test]
    fn the_window_ends_at_the_snapshot_and_goes_forward() {
        let start = at("2026-11-21T19:00:00Z");
        let (early, late) = (at("2026-11-21T03:00:00Z"), at("2026-11-22T00:00:00Z"));
        assert_eq!(snapshot_time(Some(early), Some(late), start).unwrap(), early);
        assert_eq!(snapshot_time(None, Some(early), start).unwrap(), early);
        assert_eq!(snapshot_time(None, Some(late), start).unwrap(), start);
        assert_eq!(snapshot_time(None, None, start).unwrap(), start);
        assert!(snapshot_time(Some(late), None, start).is_err());

        let last = Window { from: None, to: early };
        assert_eq!(window(Some(last), start, false).unwrap(), Window { from: Some(early), to: start });
        assert_eq!(window(Some(last), early, false).unwrap(), Window { from: Some(early), to: early });
        let older = at("2026-11-20T00:00:00Z");
        assert_eq!(window(Some(last), older, false).unwrap_err().exit_code(), 65);
        let backwards = window(Some(last), older, true).unwrap();
        assert!(!backwards.contains(older) && !backwards.contains(early));
    }
}
