//! A scan's name: the second at which it started, in UTC.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const FORM: &str = "%Y%m%dT%H%M%SZ";

/// A scan's name, `20261121T190000Z`; later scans of a machine have greater ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScanId(Timestamp);

impl ScanId {
    /// The id of a scan that started at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        let second = start.as_nanosecond().div_euclid(1_000_000_000);
        let whole = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
        Self(whole.unwrap_or(start))
    }

    /// The second that the id names.
    #[must_use]
    pub fn time(self) -> Timestamp {
        self.0
    }

    /// The day that the id names, `2026-11-21`.
    #[must_use]
    pub fn date(self) -> String {
        self.0.strftime("%Y-%m-%d").to_string()
    }

    /// The id of the next second.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(SignedDuration::from_secs(1)).unwrap_or(self.0))
    }
}

impl fmt::Display for ScanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime(FORM))
    }
}

impl FromStr for ScanId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::State(format!("not a scan-id, which looks like 20261121T190000Z: {text:?}"));
        let civil = DateTime::strptime(FORM, text).map_err(|_| wrong())?;
        let id = Self(TimeZone::UTC.to_timestamp(civil).map_err(|_| wrong())?);
        if id.to_string() == text { Ok(id) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for ScanId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ScanId> for String {
    fn from(id: ScanId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_nothing_else_is_taken() {
        let id: ScanId = "20261121T190000Z".parse().unwrap();
        assert_eq!(id.to_string(), "20261121T190000Z");
        assert_eq!(id.time().to_string(), "2026-11-21T19:00:00Z");
        assert_eq!(id.date(), "2026-11-21");
        assert_eq!(id.next().to_string(), "20261121T190001Z");
        assert_eq!(ScanId::at("2026-11-21T19:00:00.9Z".parse().unwrap()), id);
        for wrong in ["", "2026-11-21", "20261121T190000", "20261321T190000Z", "20261121T190000Z ", "../../../etc/x"] {
            assert!(wrong.parse::<ScanId>().is_err(), "{wrong}");
        }
    }
}
