//! How an event of `tracing` becomes a line.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use wharf_model::Clock;

use super::Format;
use super::escape::{json_string, message, text_value};

/// Formats events.
pub(super) struct EventFormat {
    format: Format,
    clock: Arc<dyn Clock>,
}

impl EventFormat {
    pub(super) fn new(format: Format, clock: Arc<dyn Clock>) -> Self {
        Self { format, clock }
    }
}

impl<S, N> FormatEvent<S, N> for EventFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut fields = Fields { format: self.format, ..Fields::default() };
        event.record(&mut fields);
        let now = self.clock.now();
        match self.format {
            Format::Json => {
                write!(out, "{{\"timestamp\":\"{now}\",\"level\":\"{}\",\"target\":", metadata.level())?;
                json_string(&mut out, metadata.target())?;
                out.write_str(",\"message\":")?;
                json_string(&mut out, &fields.message)?;
                writeln!(out, "{}}}", fields.others)
            }
            Format::Text { is_colored } => {
                let (color, plain) = if is_colored { (color(*metadata.level()), "\x1b[0m") } else { ("", "") };
                write!(out, "{now} {color}{:>5}{plain} {}: ", metadata.level(), metadata.target())?;
                message(&mut out, &fields.message)?;
                writeln!(out, "{}", fields.others)
            }
        }
    }
}

fn color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG | Level::TRACE => "\x1b[2m",
    }
}

/// An event's message, and its other fields as they stand in the line.
struct Fields {
    format: Format,
    message: String,
    others: String,
}

impl Default for Fields {
    fn default() -> Self {
        Self { format: Format::Json, message: String::new(), others: String::new() }
    }
}

impl Fields {
    /// Appends a field; `write` writes a value that is valid JSON.
    fn name_value(&mut self, name: &str, write: impl FnOnce(&mut String) -> fmt::Result) {
        let name = name.strip_prefix("r#").unwrap_or(name);
        let result = match self.format {
            Format::Json => write!(self.others, ",\"{name}\":"),
            Format::Text { .. } => write!(self.others, " {name}="),
        };
        result.and_then(|()| write(&mut self.others)).expect("writing into a string cannot fail");
    }

    fn text(&mut self, name: &str, text: &str) {
        if name == "message" {
            self.message.push_str(text);
            return;
        }
        let format = self.format;
        self.name_value(name, |out| match format {
            Format::Json => json_string(out, text),
            Format::Text { .. } => text_value(out, text),
        });
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        self.text(field.name(), &text);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name_value(field.name(), |out| write!(out, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name_value(field.name(), |out| write!(out, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name_value(field.name(), |out| write!(out, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON knows no NaN and no infinity.
        if value.is_finite() {
            self.name_value(field.name(), |out| write!(out, "{value}"));
        } else {
            self.text(field.name(), &value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt as _;
    use wharf_model::{FakeClock, Timestamp};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let clock = Arc::new(FakeClock::at(Timestamp(1_790_000_000_123_456)));
        let subscriber = tracing_subscriber::registry().with(
            tracing_subscriber::fmt::layer()
                .event_format(EventFormat::new(format, clock))
                .with_writer(move || writer.clone()),
        );
        tracing::subscriber::with_default(subscriber, || {
            let error = anyhow::anyhow!("disk\nfull").context("cannot write");
            tracing::warn!(
                target: "wharf",
                repository = "team/app",
                agent = "evil\r\nline",
                size_bytes = 5,
                error = AsRef::<dyn std::error::Error + 'static>::as_ref(&error),
                "Stored {}",
                "a\nb"
            );
        });
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_parse_and_hold_every_field() {
        let line = logged(Format::Json);
        assert_eq!(line.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["timestamp"], "2026-09-21T14:13:20.1234560Z");
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["message"], "Stored a\nb");
        assert_eq!(value["size_bytes"], 5);
        assert_eq!(value["agent"], "evil\r\nline");
        assert_eq!(value["error"], "cannot write: disk\nfull");
    }

    #[test]
    fn text_lines_stay_one_line() {
        let line = logged(Format::Text { is_colored: false });
        assert_eq!(
            line,
            "2026-09-21T14:13:20.1234560Z  WARN wharf: Stored a\\nb repository=team/app agent=\"evil\\r\\nline\" \
             size_bytes=5 error=\"cannot write: disk\\nfull\"\n"
        );
    }
}
