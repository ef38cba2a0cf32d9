//! What is logged, and how.

use std::fmt;

use serde::Deserialize;

use super::Layers;

/// Section `[log]`.
#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    /// `text` for people, `json` for programs, `auto` chooses by whether standard error is a terminal.
    pub(crate) format: LogFormat,
    /// Least level that is logged, `error`, `warn`, `info`, `debug` or `trace`; by module as in `info,wharf_blobs=debug`.
    pub(crate) level: String,
    /// One line per request: `on`, `off`, or `sampled` (every failure, and each `sample_every`th of the others).
    pub(crate) access: AccessLog,
    /// Of how many successful requests one is logged when `access` is `sampled`.
    pub(crate) sample_every: u32,
}

impl LogConfig {
    pub(super) fn layer(layers: &mut Layers<'_>, flags: &LogFlags, file: LogSection) -> Self {
        Self {
            format: layers.pick("log.format", "log_format", flags.log_format, file.format, || LogFormat::Auto),
            level: layers.pick("log.level", "log_level", flags.log_level.clone(), file.level, || "info".to_owned()),
            access: layers.pick("log.access", "access_log", flags.access_log, file.access, || AccessLog::On),
            sample_every: layers.pick("log.sample_every", "sample_every", None, file.sample_every, || 100).max(1),
        }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For programs, one object per line.
    Json,
}

/// Which requests leave a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AccessLog {
    /// All.
    On,
    /// None.
    Off,
    /// Failures, and some of the others.
    Sampled,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl fmt::Display for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Sampled => "sampled",
        })
    }
}

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct LogFlags {
    /// How log lines look [default: auto]
    #[arg(long, value_name = "FORMAT", env = "WHARF_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// Least level that is logged, also by module: info,wharf_blobs=debug [default: info]
    #[arg(long, value_name = "LEVEL", env = "WHARF_LOG_LEVEL")]
    log_level: Option<String>,
    /// One line per request, none, or failures and a sample of the others [default: on]
    #[arg(long, value_name = "WHICH", env = "WHARF_ACCESS_LOG")]
    access_log: Option<AccessLog>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogSection {
    format: Option<LogFormat>,
    level: Option<String>,
    access: Option<AccessLog>,
    sample_every: Option<u32>,
}
