//! `strftime_now`: Python's `datetime.now().strftime(format)`, which is the C library's in the C locale, flags and widths included.

use crate::{
    budget::Budget,
    error::{Result, fail},
};

/// A moment as the reader's clock shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// Microseconds since 1970-01-01 00:00 on that clock.
    pub micros: i64,
    /// Minutes that the clock is ahead of UTC.
    pub ahead: i32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A moment in parts.
struct Parts {
    year: i64,
    /// From 1.
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    /// From Sunday.
    weekday: i64,
    /// From 0.
    yearday: i64,
}

impl LocalTime {
    pub(crate) fn seed(self) -> u64 {
        (self.micros as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn parts(self) -> Parts {
        let seconds = self.micros.div_euclid(1_000_000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        Parts {
            year,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            micros: self.micros.rem_euclid(1_000_000),
            weekday: (days + 4).rem_euclid(7),
            yearday: days - days_before(year),
        }
    }
}

/// Year, month and day of a count of days since 1970-01-01 (the proleptic Gregorian calendar, counted from March so that the leap
/// day comes last).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to the first of January.
fn days_before(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162
}

/// The year and week of ISO 8601: weeks begin on Monday, and a week belongs to the year of its Thursday.
fn iso_week(parts: &Parts) -> (i64, i64) {
    let monday_based = (parts.weekday + 6) % 7;
    let week = (parts.yearday - monday_based + 10) / 7;
    let weeks = |year: i64| {
        // A year has 53 weeks where it begins on a Thursday, or on a Wednesday with a leap day to come.
        let first = (days_before(year) + 3).rem_euclid(7);
        let leap = days_before(year + 1) - days_before(year) == 366;
        if first == 3 || (leap && first == 2) { 53 } else { 52 }
    };
    if week < 1 {
        (parts.year - 1, weeks(parts.year - 1))
    } else if week > weeks(parts.year) {
        (parts.year + 1, 1)
    } else {
        (parts.year, week)
    }
}

pub fn write(format: &str, now: LocalTime, out: &mut String, budget: &Budget) -> Result<()> {
    let parts = now.parts();
    let mut rest = format;
    while let Some((before, directive)) = rest.split_once('%') {
        budget.bytes(before.len() + 32)?;
        out.push_str(before);
        let mut chars = directive.chars();
        let (mut pad, mut case) = (None, None);
        while let Some(flag) = chars.clone().next().filter(|c| "_-0^#".contains(*c)) {
            match flag {
                '^' | '#' => case = Some(flag),
                _ => pad = Some(flag),
            }
            chars.next();
        }
        let digits = chars.as_str().bytes().take_while(u8::is_ascii_digit).count();
        let (width, after) = chars.as_str().split_at(digits);
        let width: usize = if digits == 0 { 0 } else { width.parse().or_else(|_| fail("a width is too large"))? };
        chars = after.chars();
        // Other calendars and digits, which the C locale has not.
        if chars.as_str().starts_with(['E', 'O']) && chars.as_str().len() > 1 {
            chars.next();
        }
        let Some(letter) = chars.next() else {
            out.push('%');
            out.push_str(directive);
            return Ok(());
        };
        rest = chars.as_str();
        budget.bytes(width)?;
        match of_letter(letter, &parts, now) {
            Some(Field::Number(number, least, filler)) => {
                let text = number.unsigned_abs().to_string();
                let sign = if number < 0 { "-" } else { "" };
                let (fill, least) = match pad {
                    Some('-') => ("", 0),
                    Some('_') => (" ", least),
                    Some(_) => ("0", least),
                    None => (filler, least),
                };
                let missing = least.max(width).saturating_sub(text.len() + sign.len());
                out.push_str(sign);
                out.push_str(&fill.repeat(missing));
                out.push_str(&text);
            }
            Some(Field::Text(text)) => {
                let text = match (case, letter) {
                    (Some('#'), 'p') => text.to_lowercase(),
                    (Some('#'), _) | (Some('^'), _) => text.to_uppercase(),
                    _ => text,
                };
                let fill = if pad == Some('0') { "0" } else { " " };
                let missing = if pad == Some('-') { 0 } else { width.saturating_sub(text.chars().count()) };
                out.push_str(&fill.repeat(missing));
                out.push_str(&text);
            }
            None => {
                out.push('%');
                out.push_str(&directive[..directive.len() - rest.len()]);
            }
        }
    }
    budget.bytes(rest.len())?;
    out.push_str(rest);
    Ok(())
}

enum Field {
    /// A number, its least count of digits, and what fills them.
    Number(i64, usize, &'static str),
    Text(String),
}

fn of_letter(letter: char, parts: &Parts, now: LocalTime) -> Option<Field> {
    let text = |text: &str| Some(Field::Text(text.into()));
    let two = |number: i64| Some(Field::Number(number, 2, "0"));
    let spaced = |number: i64| Some(Field::Number(number, 2, " "));
    let composed = |format: &str| {
        let mut out = String::new();
        write(format, now, &mut out, &Budget::default()).ok()?;
        Some(Field::Text(out))
    };
    let month = MONTHS.get((parts.month - 1) as usize).copied().unwrap_or_default();
    let day = DAYS.get(parts.weekday as usize).copied().unwrap_or_default();
    let hour12 = (parts.hour + 11) % 12 + 1;
    match letter {
        'a' => text(&day[..3]),
        'A' => text(day),
        'b' | 'h' => text(&month[..3]),
        'B' => text(month),
        'c' => composed("%a %b %e %H:%M:%S %Y"),
        'C' => two(parts.year.div_euclid(100)),
        'd' => two(parts.day),
        'D' | 'x' => composed("%m/%d/%y"),
        'e' => spaced(parts.day),
        'f' => Some(Field::Text(format!("{:06}", parts.micros))),
        'F' => composed("%Y-%m-%d"),
        'g' => two(iso_week(parts).0.rem_euclid(100)),
        'G' => Some(Field::Number(iso_week(parts).0, 0, "0")),
        'H' => two(parts.hour),
        'I' => two(hour12),
        'j' => Some(Field::Number(parts.yearday + 1, 3, "0")),
        'k' => spaced(parts.hour),
        'l' => spaced(hour12),
        'm' => two(parts.month),
        'M' => two(parts.minute),
        'n' => text("\n"),
        'p' => text(if parts.hour < 12 { "AM" } else { "PM" }),
        'P' => text(if parts.hour < 12 { "am" } else { "pm" }),
        'r' => composed("%I:%M:%S %p"),
        'R' => composed("%H:%M"),
        's' => Some(Field::Number((now.micros - i64::from(now.ahead) * 60_000_000).div_euclid(1_000_000), 1, "0")),
        'S' => two(parts.second),
        't' => text("\t"),
        'T' | 'X' => composed("%H:%M:%S"),
        'u' => Some(Field::Number((parts.weekday + 6) % 7 + 1, 1, "0")),
        'U' => two((parts.yearday + 7 - parts.weekday) / 7),
        'V' => two(iso_week(parts).1),
        'w' => Some(Field::Number(parts.weekday, 1, "0")),
        'W' => two((parts.yearday + 7 - (parts.weekday + 6) % 7) / 7),
        'y' => two(parts.year.rem_euclid(100)),
        'Y' => Some(Field::Number(parts.year, 0, "0")),
        // A naive `datetime` knows no zone.
        'z' | 'Z' => text(""),
        '%' => text("%"),
        _ => None,
    }
}
