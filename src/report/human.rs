//! Numbers and times as people read them.

use jiff::{SignedDuration, Timestamp};

/// A number with commas between thousands.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len().saturating_mul(4).div_ceil(3));
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and what it counts: `1 change`, `41 changes`, `2 entities`.
#[must_use]
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A size in bytes: `22 B`, `66.6 KiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (u128::from(bytes).saturating_mul(10) / 1024, 0);
    while tenths >= 10_240 && unit < UNITS.len().saturating_sub(1) {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS.get(unit).copied().unwrap_or_default())
}

/// A time to the minute, without its zone, which is UTC.
#[must_use]
pub fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// A span of time in its two greatest units: `3d 4h`, `12m`.
#[must_use]
pub fn span(span: SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    let seconds = span.as_secs().unsigned_abs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let first = parts.iter().position(|(number, _)| *number > 0).unwrap_or(3);
    let shown = parts.iter().skip(first).take(2).filter(|(number, _)| *number > 0);
    let text = shown.map(|(number, unit)| format!("{number}{unit}")).collect::<Vec<_>>().join(" ");
    if text.is_empty() { "0s".to_owned() } else { format!("{sign}{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!([0, 999, 1000, 45_913, 1_000_000].map(count), ["0", "999", "1,000", "45,913", "1,000,000"]);
        assert_eq!(counted(1, "entity", "entities"), "1 entity");
        assert_eq!([22, 1023, 1024, 68_248, 1 << 40].map(size), ["22 B", "1023 B", "1.0 KiB", "66.6 KiB", "1.0 TiB"]);
        assert_eq!(size(u64::MAX), "15.9 EiB");
        let spans = [0, 59, 60, 3700, 86_400 * 3 + 3600 * 4 + 7, -90];
        assert_eq!(spans.map(|s| span(SignedDuration::from_secs(s))), ["0s", "59s", "1m", "1h 1m", "3d 4h", "-1m 30s"]);
        assert_eq!(minute("2026-11-20T19:00:59Z".parse().unwrap()), "2026-11-20 19:00");
    }
}
