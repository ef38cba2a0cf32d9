//! One line per request.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use wharf_model::{Clock, Timestamp};

use super::escape::{json_string, text_value};
use super::{BatchWriter, Format};
use crate::config::{AccessLog, LogConfig};

/// What is told about a request when its last byte has gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessLine<'a> {
    /// Names the request, as its answer does too; the server's own answers have none.
    pub(crate) request_id: Option<uuid::Uuid>,
    /// `GET`, `PUT` …
    pub(crate) method: &'a str,
    /// The endpoint, by the name in the table of routes.
    pub(crate) route: &'static str,
    /// The status; 499 when the client went away before it had an answer.
    pub(crate) status: u16,
    /// The registry that the host named.
    pub(crate) registry: Option<&'a str>,
    /// The repository in the path.
    pub(crate) repository: Option<&'a str>,
    /// The digest in the path.
    pub(crate) digest: Option<&'a str>,
    /// The upload in the path.
    pub(crate) upload: Option<uuid::Uuid>,
    /// Who called.
    pub(crate) caller: Option<&'a str>,
    /// Bytes of the request's body that arrived.
    pub(crate) received_bytes: u64,
    /// Bytes of the answer's body that were sent.
    pub(crate) sent_bytes: u64,
    /// Whether the client went away, or the answer failed, before all of it was sent.
    pub(crate) is_cut_short: bool,
    /// From the request's head to the answer's last byte.
    pub(crate) duration: Duration,
}

/// Writes access lines, without ever waiting.
pub(crate) struct AccessLogger {
    which: AccessLog,
    sample_every: u32,
    successes: AtomicU32,
    format: Format,
    clock: Arc<dyn Clock>,
    writer: BatchWriter,
}

impl AccessLogger {
    /// A logger as configured, to `writer`.
    pub(crate) fn new(config: &LogConfig, format: Format, clock: Arc<dyn Clock>, writer: BatchWriter) -> Self {
        Self {
            which: config.access,
            sample_every: config.sample_every,
            successes: AtomicU32::new(0),
            format,
            clock,
            writer,
        }
    }

    /// Logs a request, if it is one of those that are logged.
    pub(crate) fn log(&self, line: &AccessLine<'_>) {
        if self.is_wanted(line) {
            let now = self.clock.now();
            self.writer.append(|buffer| write_line(buffer, self.format, now, line));
        }
    }

    fn is_wanted(&self, line: &AccessLine<'_>) -> bool {
        match self.which {
            AccessLog::On => true,
            AccessLog::Off => false,
            AccessLog::Sampled => {
                let has_failed = line.is_cut_short || (line.status >= 400 && line.status != 401);
                has_failed || self.successes.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.sample_every)
            }
        }
    }
}

fn write_line(buffer: &mut Vec<u8>, format: Format, now: Timestamp, line: &AccessLine<'_>) {
    let mut out = Bytes(buffer);
    match format {
        Format::Json => write_json(&mut out, now, line),
        Format::Text { is_colored } => write_text(&mut out, now, line, is_colored),
    }
    .expect("writing into memory cannot fail");
}

fn write_json(out: &mut Bytes<'_>, now: Timestamp, line: &AccessLine<'_>) -> fmt::Result {
    out.write_str("{\"timestamp\":\"")?;
    write_instant(out, now)?;
    out.write_str("\",\"level\":\"INFO\",\"target\":\"access\",\"message\":\"")?;
    // Method and route are words of ours, but a method may also be the client's invention.
    for part in [line.method, " ", line.route, " "] {
        part.bytes()
            .filter(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\') || *b == b' ')
            .for_each(|b| out.0.push(b));
    }
    write_number(out, line.status.into());
    out.write_str("\",\"method\":")?;
    json_string(out, line.method)?;
    out.write_str(",\"route\":")?;
    json_string(out, line.route)?;
    out.write_str(",\"status\":")?;
    write_number(out, line.status.into());
    for (name, value) in [
        (",\"registry\":", line.registry),
        (",\"repository\":", line.repository),
        (",\"digest\":", line.digest),
        (",\"caller\":", line.caller),
    ] {
        if let Some(value) = value {
            out.write_str(name)?;
            json_string(out, value)?;
        }
    }
    for (name, id) in [(",\"upload\":\"", line.upload), (",\"request_id\":\"", line.request_id)] {
        if let Some(id) = id {
            out.write_str(name)?;
            write_id(out, id)?;
            out.write_char('"')?;
        }
    }
    out.write_str(",\"received_bytes\":")?;
    write_number(out, line.received_bytes);
    out.write_str(",\"sent_bytes\":")?;
    write_number(out, line.sent_bytes);
    if line.is_cut_short {
        out.write_str(",\"cut_short\":true")?;
    }
    out.write_str(",\"duration_us\":")?;
    write_number(out, microseconds(line.duration));
    out.write_str("}\n")
}

fn write_text(out: &mut Bytes<'_>, now: Timestamp, line: &AccessLine<'_>, is_colored: bool) -> fmt::Result {
    let (color, plain) = match line.status {
        _ if !is_colored => ("", ""),
        500.. => ("\x1b[31m", "\x1b[0m"),
        400.. => ("\x1b[33m", "\x1b[0m"),
        _ => ("\x1b[32m", "\x1b[0m"),
    };
    write_instant(out, now)?;
    write!(out, "  {color}{}{plain} ", line.status)?;
    text_value(out, line.method)?;
    out.write_char(' ')?;
    text_value(out, line.route)?;
    for (name, value) in [
        (" registry=", line.registry),
        (" repository=", line.repository),
        (" digest=", line.digest),
        (" caller=", line.caller),
    ] {
        if let Some(value) = value {
            out.write_str(name)?;
            text_value(out, value)?;
        }
    }
    if line.received_bytes > 0 {
        write!(out, " received_bytes={}", line.received_bytes)?;
    }
    write!(out, " sent_bytes={} duration_us={}", line.sent_bytes, microseconds(line.duration))?;
    if line.is_cut_short {
        out.write_str(" cut_short=true")?;
    }
    for (name, id) in [(" upload=", line.upload), (" request_id=", line.request_id)] {
        if let Some(id) = id {
            out.write_str(name)?;
            write_id(out, id)?;
        }
    }
    out.write_char('\n')
}

/// `2026-09-21T14:13:20.123456Z`. A line per request is worth doing the calendar by hand: the general formatter takes
/// longer than the rest of the line.
fn write_instant(out: &mut Bytes<'_>, now: Timestamp) -> fmt::Result {
    let (days, of_day) = (now.0.div_euclid(86_400_000_000), now.0.rem_euclid(86_400_000_000));
    // From days to a date of the Gregorian calendar, with years that begin in March so that leap days come last.
    // Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let parts = [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (of_day / 3_600_000_000, 2, b':'),
        (of_day / 60_000_000 % 60, 2, b':'),
        (of_day / 1_000_000 % 60, 2, b'.'),
        (of_day % 1_000_000, 6, b'Z'),
    ];
    for (value, width, after) in parts {
        let end = out.0.len() + width;
        out.0.resize(end, b'0');
        let mut rest = value.unsigned_abs();
        for digit in out.0[end - width..].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        out.0.push(after);
    }
    Ok(())
}

fn write_number(out: &mut Bytes<'_>, mut value: u64) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + u8::try_from(value % 10).unwrap_or_default();
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.0.extend_from_slice(&digits[from..]);
}

fn write_id(out: &mut Bytes<'_>, id: uuid::Uuid) -> fmt::Result {
    let mut buffer = uuid::Uuid::encode_buffer();
    out.write_str(id.hyphenated().encode_lower(&mut buffer))
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Bytes as a destination of text.
struct Bytes<'a>(&'a mut Vec<u8>);

impl Write for Bytes<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line<'a>() -> AccessLine<'a> {
        AccessLine {
            request_id: Some(uuid::Uuid::from_u128(0x1234)),
            method: "GET",
            route: "get_manifest",
            status: 200,
            registry: Some("wharf"),
            repository: Some("team/app"),
            digest: None,
            upload: None,
            caller: Some("wharf"),
            received_bytes: 0,
            sent_bytes: 527,
            is_cut_short: false,
            duration: Duration::from_micros(42),
        }
    }

    fn written(format: Format, line: &AccessLine<'_>) -> String {
        let mut buffer = Vec::new();
        write_line(&mut buffer, format, Timestamp(1_790_000_000_123_456), line);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn json_has_every_field() {
        let text = written(Format::Json, &line());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "timestamp": "2026-09-21T14:13:20.123456Z", "level": "INFO", "target": "access",
                "message": "GET get_manifest 200", "request_id": "00000000-0000-0000-0000-000000001234",
                "method": "GET", "route": "get_manifest", "status": 200, "registry": "wharf", "repository": "team/app",
                "caller": "wharf", "received_bytes": 0, "sent_bytes": 527, "duration_us": 42,
            })
        );
    }

    #[test]
    fn text_reads_at_a_glance() {
        assert_eq!(
            written(Format::Text { is_colored: false }, &line()),
            "2026-09-21T14:13:20.123456Z  200 GET get_manifest registry=wharf repository=team/app caller=wharf \
             sent_bytes=527 duration_us=42 request_id=00000000-0000-0000-0000-000000001234\n"
        );
    }

    #[test]
    fn sampling_keeps_every_failure() {
        let (sender, receiver) = std::sync::mpsc::channel();
        struct Lines(std::sync::mpsc::Sender<Vec<u8>>);
        impl std::io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let config = LogConfig {
            format: crate::config::LogFormat::Json,
            level: "info".to_owned(),
            access: AccessLog::Sampled,
            sample_every: 10,
        };
        let clock = Arc::new(wharf_model::SystemClock);
        let logger = AccessLogger::new(&config, Format::Json, clock, BatchWriter::new(Lines(sender)));
        for _ in 0..20 {
            logger.log(&line());
            logger.log(&AccessLine { status: 503, ..line() });
        }
        drop(logger);
        let text = String::from_utf8(receiver.into_iter().flatten().collect()).unwrap();
        assert_eq!(text.matches("\"status\":503").count(), 20);
        assert_eq!(text.matches("\"status\":200").count(), 2);
    }

    proptest! {
        #[test]
        fn whatever_clients_send_stays_one_line_of_json(method in "(?s).{0,8}", repository in "(?s).{0,30}", caller in "(?s).{0,20}") {
            let line = AccessLine { method: &method, repository: Some(&repository), caller: Some(&caller), ..line() };
            let text = written(Format::Json, &line);
            prop_assert_eq!(text.bytes().filter(|b| *b == b'\n' || *b == b'\r').count(), 1);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(value["repository"].as_str(), Some(repository.as_str()));
            prop_assert_eq!(value["caller"].as_str(), Some(caller.as_str()));
            let text = written(Format::Text { is_colored: false }, &line);
            prop_assert!(!text.trim_end_matches('\n').chars().any(char::is_control));
        }

        #[test]
        fn instants_are_those_of_the_calendar(microseconds in 0i64..4_000_000_000_000_000) {
            let mut buffer = Vec::new();
            write_instant(&mut Bytes(&mut buffer), Timestamp(microseconds)).unwrap();
            let instant = chrono::DateTime::from_timestamp_micros(microseconds).unwrap();
            prop_assert_eq!(String::from_utf8(buffer).unwrap(), instant.to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
        }
    }
}
