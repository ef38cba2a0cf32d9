//! How old something must be: `[Nd][Nh][Nm][Ns]`, as in `acr purge --ago`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A span of time, written as `2d3h6m`. Whole milliseconds, 150 years at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(Duration);

/// A text that is no age.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no age: write days, hours, minutes and seconds in this order, such as '7d', '12h' or '2d3h6m'")]
pub struct AgeError(String);

impl Age {
    /// The span.
    #[must_use]
    pub fn span(self) -> Duration {
        self.0
    }
}

impl FromStr for Age {
    type Err = AgeError;

    /// Reads numbers with their units, each unit once, the largest first. Numbers but that of days may have a fraction, and
    /// `0` alone needs no unit. What is longer than 150 years is cut, as acr purge does.
    fn from_str(text: &str) -> Result<Self, AgeError> {
        let wrong = || AgeError(text.chars().take(40).collect());
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let (mut rest, mut units, mut total) = (text, UNITS.iter(), 0.0);
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
            let (number, behind) = rest.split_at(end);
            let (unit, seconds) = *units.find(|(unit, _)| behind.starts_with(unit)).ok_or_else(wrong)?;
            if unit == "d" && number.contains('.') {
                return Err(wrong());
            }
            let number: f64 = number.parse().map_err(|_| wrong())?;
            total += number * seconds;
            rest = &behind[unit.len()..];
        }
        if text.is_empty() || !total.is_finite() {
            return Err(wrong());
        }
        let milliseconds = (total.min(LONGEST_SECONDS) * 1e3).round();
        Ok(Self(Duration::from_millis(milliseconds as u64)))
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut seconds = self.0.as_secs();
        let mut is_written = false;
        for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60)] {
            if seconds >= length {
                write!(f, "{}{unit}", seconds / length)?;
                (seconds, is_written) = (seconds % length, true);
            }
        }
        match (seconds, self.0.subsec_millis()) {
            (0, 0) if is_written => Ok(()),
            (seconds, 0) => write!(f, "{seconds}s"),
            (seconds, millis) => write!(f, "{}s", format!("{seconds}.{millis:03}").trim_end_matches('0')),
        }
    }
}

impl Serialize for Age {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The units in seconds, in the order in which they may follow one another.
const UNITS: [(&str, f64); 4] = [("d", 86_400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];

/// 150 years of 365 days.
const LONGEST_SECONDS: f64 = 150.0 * 365.0 * 86_400.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        text.parse().ok().map(|age: Age| age.span().as_secs())
    }

    #[test]
    fn ages_are_read_as_acr_purge_reads_them() {
        for (text, wanted) in [
            ("1d", 86_400),
            ("0d", 0),
            ("0", 0),
            ("0m", 0),
            ("12h", 43_200),
            ("5m", 300),
            ("90s", 90),
            ("2d3h6m", 183_960),
            ("2d3h6m7s", 183_967),
            ("1d30s", 86_430),
            ("1.5h", 5400),
            ("365d", 31_536_000),
            ("1000000d", 4_730_400_000),
            ("99999999999999999999h", 4_730_400_000),
        ] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_age_is_refused() {
        for text in
            ["", "7", "d", "-1d", "1x", "3h2d", "1d1d", "1.5d", "1 d", "1d 2h", "1..5h", "one day", "1dd", "٣d", ".h"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(millis in 0u64..4_730_400_000_000) {
            let age = Age(Duration::from_millis(millis));
            prop_assert_eq!(age.to_string().parse::<Age>(), Ok(age));
        }

        #[test]
        fn whatever_is_given_is_answered(text in "\\PC{0,30}") {
            let _ = text.parse::<Age>();
        }
    }
}
