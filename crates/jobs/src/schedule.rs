//! Schedules: five fields of cron, in UTC.
//!
//! They are read as ACR reads the timers of tasks (`acr/semantics.md` 7.4): minute, hour, day of the month, month, day of
//! the week, each with `*`, numbers, lists, ranges and steps, and three letters for months and days. Where both days are
//! restricted, both must fit, as in NCrontab, which ACR uses; crontab(5) would be content with either.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use wharf_model::Timestamp;

/// When something is to happen again and again. Printed as it was written.
#[derive(Clone)]
pub struct Schedule {
    cron: Cron,
    text: String,
}

impl Schedule {
    /// The first time after an instant. `None` when there is none within the years that can be reckoned with.
    #[must_use]
    pub fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        let start = DateTime::<Utc>::from_timestamp_micros(instant.0)?;
        let next = self.cron.find_next_occurrence(&start, false).ok()?;
        Some(Timestamp::from_unix_seconds(next.timestamp()))
    }
}

impl FromStr for Schedule {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        let refuse = |reason: String| ParseScheduleError { schedule: text.chars().take(100).collect(), reason };
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(refuse(format!("it has {} fields", fields.len())));
        }
        for (field, (name, words)) in fields.iter().zip(FIELDS) {
            if field.len() > FIELD_LIMIT {
                return Err(refuse(format!("the {name} is too long")));
            }
            check_field(field, words).map_err(|reason| refuse(format!("the {name} {field:?} {reason}")))?;
        }
        let text = fields.join(" ");
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).dom_and_dow(true).build();
        let cron = parser.parse(&text).map_err(|error| refuse(told(&error)))?;
        let schedule = Self { cron, text };
        // Any instant does: what happens at all happens within 28 years, or 40 around a year like 2100.
        if schedule.next_after(Timestamp(0)).is_none() {
            return Err(refuse("there is no such day".to_owned()));
        }
        Ok(schedule)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({:?})", self.text)
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schedule {}

/// What croner reads beyond this (`L`, `W`, `#`, `?`, `@daily`) means nothing to ACR.
fn check_field(field: &str, words: &[&str]) -> Result<(), String> {
    if let Some(other) = field.chars().find(|c| !c.is_ascii_alphanumeric() && !"*,-/".contains(*c)) {
        return Err(format!("has a {other:?}, which means nothing here"));
    }
    if field.split(',').any(str::is_empty) {
        return Err("has nothing between two commas, or at an end".to_owned());
    }
    let unknown = field
        .split(|c: char| !c.is_ascii_alphabetic())
        .find(|word| !word.is_empty() && !words.iter().any(|known| known.eq_ignore_ascii_case(word)));
    match unknown {
        Some(word) => Err(format!("has {word:?}, which means nothing here")),
        None => Ok(()),
    }
}

fn told(error: &CronError) -> String {
    let text = match error {
        CronError::InvalidPattern(text) | CronError::IllegalCharacters(text) | CronError::ComponentError(text) => {
            text.clone()
        }
        other => other.to_string(),
    };
    text.trim_end_matches('.').to_owned()
}

/// The longest field: all minutes one by one.
const FIELD_LIMIT: usize = 170;

/// The fields, with the words that each knows.
const FIELDS: [(&str, &[&str]); 5] = [
    ("minute", &[]),
    ("hour", &[]),
    ("day of the month", &[]),
    ("month", &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]),
    ("day of the week", &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]),
];

/// A text that is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{schedule:?} is no schedule: {reason}; expected five fields in UTC: minute, hour, day of the month, month, day of the \
     week, such as \"30 3 * * 1-5\""
)]
pub struct ParseScheduleError {
    schedule: String,
    reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<DateTime<Utc>>().unwrap().timestamp_micros())
    }

    #[test]
    fn the_next_time_is_the_first_after_the_instant() {
        for (schedule, after, next) in [
            ("* * * * *", "2026-11-21T10:00:00Z", "2026-11-21T10:01:00Z"),
            ("* * * * *", "2026-11-21T10:00:59.999999Z", "2026-11-21T10:01:00Z"),
            ("*/15 * * * *", "2026-11-21T10:01:00Z", "2026-11-21T10:15:00Z"),
            ("*/15 * * * *", "2026-11-21T23:45:00Z", "2026-11-22T00:00:00Z"),
            ("0 1 * * *", "2026-11-21T01:00:00Z", "2026-11-22T01:00:00Z"),
            ("0 1 * * *", "2026-11-21T00:59:59Z", "2026-11-21T01:00:00Z"),
            ("30 3 * * 1-5", "2026-11-20T12:00:00Z", "2026-11-23T03:30:00Z"),
            ("30 3 * * mon-FRI", "2026-11-20T12:00:00Z", "2026-11-23T03:30:00Z"),
            ("0 0 1 jan *", "2026-11-21T10:00:00Z", "2027-01-01T00:00:00Z"),
            ("0 12 1,15 * *", "2026-11-02T00:00:00Z", "2026-11-15T12:00:00Z"),
            ("5-10/5 0 * * *", "2026-11-21T00:05:00Z", "2026-11-21T00:10:00Z"),
            ("0 0 * * 0", "2026-11-21T10:00:00Z", "2026-11-22T00:00:00Z"),
            ("0 0 31 * *", "2026-11-21T10:00:00Z", "2026-12-31T00:00:00Z"),
            ("59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
            // Leap days; 2100 has none.
            ("0 0 29 2 *", "2026-11-21T10:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 29 2 *", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"),
            // Both days must fit.
            ("0 0 13 * 5", "2026-11-14T00:00:00Z", "2027-08-13T00:00:00Z"),
            ("0 0 29 2 1", "2026-11-21T10:00:00Z", "2044-02-29T00:00:00Z"),
            // An hour that clocks in many places skip or repeat: not in UTC.
            ("30 2 29 3 *", "2026-03-29T00:00:00Z", "2026-03-29T02:30:00Z"),
            ("  0   1  *  * * ", "2026-11-21T10:00:00Z", "2026-11-22T01:00:00Z"),
        ] {
            let parsed: Schedule = schedule.parse().unwrap_or_else(|error| panic!("{schedule}: {error}"));
            assert_eq!(parsed.next_after(at(after)).unwrap().to_string(), at(next).to_string(), "{schedule} {after}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_and_told_why() {
        for (schedule, reason) in [
            ("", "it has 0 fields"),
            ("* * * *", "it has 4 fields"),
            ("0 * * * * *", "it has 6 fields"),
            ("@daily", "it has 1 fields"),
            ("60 * * * *", "60"),
            ("* 24 * * *", "24"),
            ("* * 0 * *", "0"),
            ("* * 32 * *", "32"),
            ("* * * 13 *", "13"),
            ("* * * * 8", "8"),
            ("* * * foo *", "the month \"foo\" has \"foo\""),
            ("mon * * * *", "the minute \"mon\" has \"mon\""),
            ("* * L * *", "the day of the month \"L\""),
            ("* * 15W * *", "\"W\""),
            ("* * * * 5#2", "'#'"),
            ("? * * * *", "'?'"),
            ("*/0 * * * *", "0"),
            ("5-1 * * * *", ""),
            ("1, * * * *", ""),
            ("- * * * *", ""),
            ("99999999999999999999 * * * *", ""),
            ("0 0 30 2 *", "there is no such day"),
            ("0 0 31 4,6 *", "there is no such day"),
            ("* * * * é", "'é'"),
        ] {
            let error = schedule.parse::<Schedule>().expect_err(schedule).to_string();
            assert!(error.contains(reason), "{schedule}: {error}");
            assert!(error.contains("expected five fields"), "{error}");
        }
        let long = format!("{} * * * *", "1,".repeat(10_000));
        assert!(long.parse::<Schedule>().unwrap_err().to_string().len() < 400);
    }

    #[test]
    fn a_schedule_is_printed_as_it_was_written() {
        assert_eq!(" 0 1  * * MON".parse::<Schedule>().unwrap().to_string(), "0 1 * * MON");
    }
}
