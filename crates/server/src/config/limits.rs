//! Bounds on what a client may take.

use std::time::Duration;

use anyhow::bail;
use serde::Deserialize;

use super::{Config, Layers};

/// Section `[limits]`.
#[derive(Clone, Debug)]
pub(crate) struct LimitsConfig {
    /// Connections open at once over all listeners. Further clients wait in the kernel's queue.
    pub(crate) connections: usize,
    /// Largest request head in bytes; 431 above. A token that names many repositories may take 20 KiB.
    pub(crate) header_bytes: usize,
    /// How long a connection may take until its next request has fully arrived, in seconds: bounds idle connections,
    /// slow heads and slow TLS handshakes alike.
    pub(crate) idle_timeout: Duration,
    /// How long a body may stand still in either direction, in seconds, before its connection is closed.
    pub(crate) stall_timeout: Duration,
    /// How long requests in flight may go on after the signal to stop, in seconds.
    pub(crate) shutdown_grace: Duration,
}

impl LimitsConfig {
    pub(super) fn layer(layers: &mut Layers<'_>, flags: &LimitsFlags, file: LimitsSection) -> Self {
        let seconds = Duration::from_secs;
        let idle = file.idle_timeout_seconds.map(seconds);
        let stall = file.stall_timeout_seconds.map(seconds);
        let grace = (flags.shutdown_grace.map(seconds), file.shutdown_grace_seconds.map(seconds));
        Self {
            connections: layers.pick("limits.connections", "connections", None, file.connections, || 10_000),
            header_bytes: layers.pick("limits.header_bytes", "header_bytes", None, file.header_bytes, || 64 * 1024),
            idle_timeout: layers.pick("limits.idle_timeout_seconds", "idle_timeout", None, idle, || seconds(75)),
            stall_timeout: layers.pick("limits.stall_timeout_seconds", "stall_timeout", None, stall, || seconds(120)),
            shutdown_grace: layers
                .pick("limits.shutdown_grace_seconds", "shutdown_grace", grace.0, grace.1, || seconds(30)),
        }
    }

    pub(super) fn validate(&self, config: &Config) -> Result<(), anyhow::Error> {
        if self.connections == 0 {
            bail!("{} is 0, so nobody could connect; give a number of connections", config.place("limits.connections"));
        }
        if !(8 * 1024..=1024 * 1024).contains(&self.header_bytes) {
            bail!(
                "{} is {}; give between 8192 and 1048576 bytes",
                config.place("limits.header_bytes"),
                self.header_bytes
            );
        }
        for (key, span) in
            [("limits.idle_timeout_seconds", self.idle_timeout), ("limits.stall_timeout_seconds", self.stall_timeout)]
        {
            if span.is_zero() || span > Duration::from_secs(24 * 3600) {
                bail!("{} is {}; give between 1 and 86400 seconds", config.place(key), span.as_secs());
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct LimitsFlags {
    /// Seconds that requests in flight may go on after the signal to stop [default: 30]
    #[arg(long, value_name = "SECONDS", env = "WHARF_SHUTDOWN_GRACE")]
    shutdown_grace: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsSection {
    connections: Option<usize>,
    header_bytes: Option<usize>,
    idle_timeout_seconds: Option<u64>,
    stall_timeout_seconds: Option<u64>,
    shutdown_grace_seconds: Option<u64>,
}
