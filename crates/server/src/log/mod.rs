//! Logs on standard error: events of `tracing`, and one access line per request.
//!
//! ```text
//! tracing event ── format ──► one write, at once
//! access line   ── formatted by the request's own task ──► buffer ── a thread ──► one write per batch
//! ```
//!
//! Text for people on a terminal, JSON for programs otherwise. Whatever a client supplied is escaped, so that a line
//! is always one line and says nothing that we did not.

mod access;
mod escape;
mod format;
mod writer;

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use wharf_model::Clock;

pub(crate) use self::access::{AccessLine, AccessLogger};
pub(crate) use self::writer::BatchWriter;
use crate::config::{Config, LogConfig, LogFormat};

/// Begins to log events, and makes the logger of requests. Drop the result last: it writes what is buffered.
///
/// # Errors
/// When the level is not understood.
pub(crate) fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<AccessLogger, anyhow::Error> {
    let format = Format::of(&config.log);
    start_events(&config.log.level, format, clock.clone())?;
    Ok(AccessLogger::new(&config.log, format, clock, BatchWriter::new(std::io::stderr())))
}

/// Logs events of commands other than `serve`: warnings, on a terminal or not as text.
pub(crate) fn start_for_command(clock: Arc<dyn Clock>) {
    let level = std::env::var("WHARF_LOG_LEVEL").unwrap_or_else(|_| "warn".to_owned());
    // A level that is not understood must not keep a command from doing its work.
    let _ = start_events(&level, Format::Text { is_colored: std::io::stderr().is_terminal() }, clock);
}

fn start_events(level: &str, format: Format, clock: Arc<dyn Clock>) -> Result<(), anyhow::Error> {
    let filter = EnvFilter::try_new(level).map_err(|error| {
        anyhow!("log.level is {level:?}, which is not understood ({error}); write it as info or info,wharf_blobs=debug")
    })?;
    let subscriber = tracing_subscriber::registry().with(filter).with(
        tracing_subscriber::fmt::layer()
            .event_format(format::EventFormat::new(format, clock))
            .with_writer(std::io::stderr),
    );
    tracing::subscriber::set_global_default(subscriber).context("logging was started twice")
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text {
        /// Whether levels are coloured.
        is_colored: bool,
    },
    /// For programs.
    Json,
}

impl Format {
    fn of(config: &LogConfig) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        match config.format {
            LogFormat::Auto if is_terminal => Self::Text { is_colored: true },
            LogFormat::Text => Self::Text { is_colored: is_terminal },
            LogFormat::Auto | LogFormat::Json => Self::Json,
        }
    }
}
