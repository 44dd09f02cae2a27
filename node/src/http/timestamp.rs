//! Moments as people write them (RFC 3339, UTC) against Unix milliseconds. No time zones beyond
//! the offset in the text, no leap seconds. Used by the HTTP bodies and by `onsale ctl`'s tables.

const DAY_MS: i64 = 86_400_000;

/// `2026-09-01T19:30:00Z`; milliseconds appear only when there are any.
pub fn show(unix_ms: i64) -> String {
    let (day, rest) = (unix_ms.div_euclid(DAY_MS), unix_ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil(day);
    let (second, ms) = (rest / 1000, rest % 1000);
    let time = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
    match ms {
        0 => format!("{time}Z"),
        ms => format!("{time}.{ms:03}Z"),
    }
}

/// Reads `2026-09-01`, `2026-09-01T19:30`, with seconds, a fraction, `Z` or an offset; without
/// either the time is UTC. `None` for anything else.
pub fn read(text: &str) -> Option<i64> {
    if !text.is_ascii() {
        return None;
    }
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00"),
    };
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (
        number(parts.next()?, 4)?,
        number(parts.next()?, 2)?,
        number(parts.next()?, 2)?,
    );
    let days = days_of(year, month, day);
    if civil(days) != (year, month, day) {
        return None;
    }
    let (time, offset_min) = match time.strip_suffix(['Z', 'z']) {
        Some(time) => (time, 0),
        None => match time.rfind(['+', '-']) {
            Some(at) => (time.get(..at)?, offset_min(time.get(at..)?)?),
            None => (time, 0),
        },
    };
    let unix_ms = days * DAY_MS + time_of_day_ms(time)? - offset_min * 60_000;
    // The offset may lead into a year that has no four digits.
    let (year, ..) = civil(unix_ms.div_euclid(DAY_MS));
    (0..=9999).contains(&year).then_some(unix_ms)
}

fn time_of_day_ms(time: &str) -> Option<i64> {
    let mut parts = time.splitn(3, ':');
    let hour = number(parts.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = number(parts.next()?, 2).filter(|minute| *minute < 60)?;
    let (second, fraction) = match parts.next() {
        None => (0, 0),
        Some(text) => match text.split_once('.') {
            None => (number(text, 2)?, 0),
            Some((second, fraction)) => (number(second, 2)?, thousandths(fraction)?),
        },
    };
    (second < 60).then_some(((hour * 60 + minute) * 60 + second) * 1000 + fraction)
}

fn thousandths(fraction: &str) -> Option<i64> {
    let known = fraction.get(..fraction.len().min(3))?;
    number(fraction.get(known.len()..)?, fraction.len() - known.len())?;
    let scale = 10_i64.pow(3 - known.len() as u32);
    (!known.is_empty()).then_some(number(known, known.len())? * scale)
}

fn offset_min(text: &str) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let all_digits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "" if digits == 0 => Some(0),
        _ if all_digits && digits <= 4 => text.parse().ok(),
        // Digits of a fraction beyond the third only have to be digits.
        _ if all_digits => Some(0),
        _ => None,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (Howard Hinnant, "chrono-compatible
/// low-level date algorithms").
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day since 1970-01-01; the inverse of `days_of`.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::{read, show};

    #[test]
    fn moments_are_written_and_read_back() {
        assert_eq!(show(0), "1970-01-01T00:00:00Z");
        assert_eq!(show(1_788_291_000_000), "2026-09-01T19:30:00Z");
        assert_eq!(show(-1), "1969-12-31T23:59:59.999Z");
        for ms in (-5_000_000_000_000..9_000_000_000_000).step_by(86_399_873_001) {
            assert_eq!(read(&show(ms)), Some(ms));
        }
    }

    #[test]
    fn the_usual_forms_are_understood() {
        let moment = Some(1_788_291_000_000);
        for text in [
            "2026-09-01T19:30:00Z",
            "2026-09-01T19:30",
            "2026-09-01 19:30:00.000Z",
            "2026-09-01T21:30:00+02:00",
            "2026-09-01T14:00:00-05:30",
        ] {
            assert_eq!(read(text), moment, "{text}");
        }
        assert_eq!(
            read("2024-02-29").map(show),
            Some("2024-02-29T00:00:00Z".into())
        );
        assert_eq!(
            read("2026-09-01T00:00:00.1239999Z").map(|ms| ms % 1000),
            Some(123)
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-02-29",
            "2026-13-01",
            "2026-09-01T24:00",
            "2026-09-01T12:60",
            "2026-9-1",
            "2026-09-01T12:00:00.Z",
            "2026-09-01T12:00+2",
            "２026-09-01",
            "+026-09-01",
            "0000-01-01T00:00+00:01",
            "9999-12-31T23:59-00:01",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
