//! Functions on dates: `dateTimeAdd`, and the formats of `utcNow`.

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Duration, Months, NaiveDateTime, Utc};
use serde_json::Value;
use wharf_model::Timestamp;

use super::super::error::Fault;
use super::arguments::{integer, text};

type Outcome = Result<Value, Fault>;

/// `utcNow()`, without a format or with one.
pub(crate) fn now_as_text(now: Timestamp, format: Option<&str>) -> Result<String, Fault> {
    let now = DateTime::<Utc>::from_timestamp_micros(now.0).unwrap_or_default();
    format_date(now, format.unwrap_or("yyyyMMddTHHmmssZ"))
}

pub(super) fn date_time_add(arguments: Vec<Value>) -> Outcome {
    let base = parse_date(text(&arguments, 0)?)?;
    let beyond = || Fault::wrong("comes to a date that cannot be written");
    let added = add_duration(base, text(&arguments, 1)?)?.ok_or_else(beyond)?;
    let format = if arguments.len() > 2 { text(&arguments, 2)? } else { "yyyy-MM-ddTHH:mm:ssZ" };
    Ok(format_date(added, format)?.into())
}

pub(super) fn date_time_from_epoch(arguments: Vec<Value>) -> Outcome {
    let instant = DateTime::<Utc>::from_timestamp(integer(&arguments, 0)?, 0);
    let instant = instant.ok_or_else(|| Fault::wrong("comes to a date that cannot be written"))?;
    Ok(format_date(instant, "yyyy-MM-ddTHH:mm:ssZ")?.into())
}

pub(super) fn date_time_to_epoch(arguments: Vec<Value>) -> Outcome {
    Ok(parse_date(text(&arguments, 0)?)?.timestamp().into())
}

/// A date as templates write them; without a zone it is in UTC.
fn parse_date(text: &str) -> Result<DateTime<Utc>, Fault> {
    const NAIVE: &[&str] = &["%Y-%m-%d %H:%M:%SZ", "%Y%m%dT%H%M%SZ", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"];
    if let Ok(date) = DateTime::parse_from_rfc3339(text) {
        return Ok(date.to_utc());
    }
    let with_time = NAIVE.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let date_alone = || chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let date = with_time.or_else(date_alone).ok_or_else(|| Fault::wrong("was given what is no date in ISO 8601"))?;
    Ok(date.and_utc())
}

/// Adds an ISO 8601 duration such as `P3Y`, `-P9D` or `PT1H30M`. `None` when the calendar ends.
fn add_duration(base: DateTime<Utc>, text: &str) -> Result<Option<DateTime<Utc>>, Fault> {
    let wrong = || Fault::wrong("was given what is no duration in ISO 8601, such as P3D or PT1H");
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (days, time) = match unsigned.strip_prefix('P').ok_or_else(wrong)?.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return Err(wrong()),
        None => (&unsigned[1..], ""),
    };
    let mut months = 0_u32;
    let mut seconds = 0_i64;
    for (part, is_time) in [(days, false), (time, true)] {
        let mut rest = part;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let count: u32 = rest[..end].parse().map_err(|_| wrong())?;
            let unit = rest[end..].chars().next().ok_or_else(wrong)?;
            let unit_seconds = match (is_time, unit) {
                (false, 'Y') => {
                    months = count.checked_mul(12).and_then(|more| months.checked_add(more)).ok_or_else(wrong)?;
                    0
                }
                (false, 'M') => {
                    months = months.checked_add(count).ok_or_else(wrong)?;
                    0
                }
                (false, 'W') => 604_800,
                (false, 'D') => 86_400,
                (true, 'H') => 3_600,
                (true, 'M') => 60,
                (true, 'S') => 1,
                _ => return Err(wrong()),
            };
            seconds += i64::from(count) * unit_seconds;
            rest = &rest[end + 1..];
        }
    }
    if days.is_empty() && time.is_empty() {
        return Err(wrong());
    }
    let (months, duration) = (Months::new(months), Duration::seconds(seconds));
    Ok(if is_negative {
        base.checked_sub_months(months).and_then(|date| date.checked_sub_signed(duration))
    } else {
        base.checked_add_months(months).and_then(|date| date.checked_add_signed(duration))
    })
}

/// A date in one of .NET's standard formats (`u`, `s`, `o` …) or in a custom one (`yyyy-MM-dd`).
fn format_date(date: DateTime<Utc>, format: &str) -> Result<String, Fault> {
    let unsupported =
        || Fault::Unsupported(format!("the date format '{}'", format.chars().take(60).collect::<String>()));
    let custom = match format {
        "u" => "yyyy-MM-dd HH:mm:ssZ",
        "s" => "yyyy-MM-ddTHH:mm:ss",
        "o" | "O" => "yyyy-MM-ddTHH:mm:ss.fffffffZ",
        "d" => "M/d/yyyy",
        "D" => "dddd, MMMM d, yyyy",
        "t" => "h:mm tt",
        "T" => "h:mm:ss tt",
        "r" | "R" => "ddd, dd MMM yyyy HH:mm:ss 'GMT'",
        _ if format.chars().count() < 2 => return Err(unsupported()),
        _ => format,
    };
    if custom.len() > 200 {
        return Err(unsupported());
    }
    let mut written = String::new();
    let mut rest = custom;
    while let Some(letter) = rest.chars().next() {
        let count = rest.chars().take_while(|c| *c == letter).count();
        let strftime = match (letter, count) {
            ('y', 4) => "%Y",
            ('y', 2) => "%y",
            ('M', 4) => "%B",
            ('M', 3) => "%b",
            ('M', 2) => "%m",
            ('M', 1) => "%-m",
            ('d', 4) => "%A",
            ('d', 3) => "%a",
            ('d', 2) => "%d",
            ('d', 1) => "%-d",
            ('H', 2) => "%H",
            ('H', 1) => "%-H",
            ('h', 2) => "%I",
            ('h', 1) => "%-I",
            ('m', 2) => "%M",
            ('m', 1) => "%-M",
            ('s', 2) => "%S",
            ('s', 1) => "%-S",
            ('t', 2) => "%p",
            ('K', 1) => "Z",
            ('z', 3) => "+00:00",
            ('f', 1..=7) => {
                written.push_str(&format!("{:07}", date.timestamp_subsec_nanos() / 100)[..count]);
                ""
            }
            ('\'', 1) => {
                let (literal, after) = rest[1..].split_once('\'').ok_or_else(unsupported)?;
                written.push_str(literal);
                rest = after;
                continue;
            }
            ('\\', _) => {
                let literal = rest[1..].chars().next().ok_or_else(unsupported)?;
                written.push(literal);
                rest = &rest[1 + literal.len_utf8()..];
                continue;
            }
            (c, _) if !"yMdHhmstKzfFgq\"%".contains(c) => {
                written.extend(std::iter::repeat_n(c, count));
                ""
            }
            _ => return Err(unsupported()),
        };
        let items: Vec<Item<'_>> = StrftimeItems::new(strftime).collect();
        written.push_str(&date.format_with_items(items.into_iter()).to_string());
        rest = &rest[count * letter.len_utf8()..];
    }
    Ok(written)
}
