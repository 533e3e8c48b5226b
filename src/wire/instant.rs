//! Instants as clients read them: ISO 8601 in UTC with milliseconds. Does not know what they mark.

use crate::engine::Timestamp;

/// Length of the text in bytes, for years of four digits.
pub(super) const TEXT_LEN: usize = 24;

const DAY_MS: u64 = 86_400_000;
/// The last instant of the year 9999: nothing later can be written with four digits.
pub(super) const MAX_MS: u64 = 253_402_300_799_999;

/// `2026-01-31T12:00:00.000Z`. The civil date comes from the day number by counting 400-year cycles that
/// start on 1 March (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
pub(super) fn text(at: Timestamp) -> [u8; TEXT_LEN] {
    let ms = at.as_ms().min(MAX_MS);
    let (day, ms) = (ms / DAY_MS + 719_468, ms % DAY_MS);
    let (cycle, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + 400 * cycle + u64::from(month <= 2);

    let mut text = *b"0000-00-00T00:00:00.000Z";
    for (position, value) in [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, ms / 3_600_000),
        (14, ms / 60_000 % 60),
        (17, ms / 1_000 % 60),
        (20, ms % 1_000 / 10),
    ] {
        text[position] = b'0' + (value / 10) as u8;
        text[position + 1] = b'0' + (value % 10) as u8;
    }
    text[22] = b'0' + (ms % 10) as u8;
    text
}

/// The same as a string.
pub fn instant_text(at: Timestamp) -> String {
    text(at).iter().map(|byte| char::from(*byte)).collect()
}

/// Reads what [`text`] writes; `None` for anything else. The inverse of the above (`days_from_civil`).
pub(super) fn parse(written: &str) -> Option<Timestamp> {
    let bytes = written.as_bytes();
    let number = |position: usize, digits: usize| {
        let digits = bytes.get(position..position + digits)?;
        let all = digits.iter().all(u8::is_ascii_digit);
        all.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let year = year.checked_sub(u64::from(month <= 2))?;
    let month = if month > 2 { month - 3 } else { month + 9 };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    let time = number(11, 2)? * 3_600_000 + number(14, 2)? * 60_000 + number(17, 2)? * 1_000 + number(20, 3)?;
    let at = Timestamp::from_ms(days.checked_sub(719_469)? * DAY_MS + time);
    (text(at) == *bytes).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::{parse, text};
    use crate::engine::Timestamp;

    #[test]
    fn writes_instants_as_date_does() {
        // Each pair checked with `date -u -d @SECONDS +%FT%TZ`.
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
            (1_769_860_800_000, "2026-01-31T12:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(std::str::from_utf8(&text(Timestamp::from_ms(ms))), Ok(expected));
            assert_eq!(parse(expected), Some(Timestamp::from_ms(ms.min(super::MAX_MS))));
        }
    }

    #[test]
    fn reads_nothing_but_what_it_writes() {
        for written in [
            "",
            "0000-00-00T00:00:00.000Z",
            "0000-03-01T00:00:00.000Z",
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-01-31T24:00:00.000Z",
            "2026-01-31T12:00:00Z",
            "2026-01-31T12:00:00.000+",
            "2026-01-31 12:00:00.000Z",
            "2026-01-31T12:00:00.000ZZ",
        ] {
            assert_eq!(parse(written), None, "{written}");
        }
    }
}
