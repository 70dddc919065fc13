//! XEP-0082 stamps from and to milliseconds since the UNIX epoch. Reads no clock.

use xmpp_parsers::date::DateTime;

/// Prints the DateTime profile in UTC, to the millisecond where there are any.
pub fn print(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000, unix_ms % 1000);
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Reads the DateTime profile; times before the epoch count as the epoch. `None` if it is no DateTime.
pub fn parse(text: &str) -> Option<u64> {
    let time: DateTime = text.trim().parse().ok()?;
    let ms: i64 = time.format("%s%3f").parse().ok()?;
    Some(u64::try_from(ms).unwrap_or(0))
}

/// Year, month and day of a day counted from 1970-01-01: the proleptic Gregorian calendar in eras of 400 years that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_OF_ERA: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_OF_ERA, days % DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_as_printed() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_418_223_045, "2026-11-23T07:17:03.045Z"),
            (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(print(ms), text);
            assert_eq!(parse(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn zones_are_heard_and_nonsense_is_not() {
        assert_eq!(parse("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(parse("1969-01-01T00:00:00Z"), Some(0));
        for text in ["", "yesterday", "20261123T07:17:03"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
