//! When the collector runs and what it spares.

use std::time::Duration;

use anyhow::bail;
use serde::Deserialize;

use super::{Config, Layers};

/// Section `[gc]`.
#[derive(Clone, Debug)]
pub(crate) struct GcConfig {
    /// Time between two collections, in seconds; 0 leaves it to `wharf gc`.
    pub(crate) interval: Duration,
    /// How long a blob that nothing refers to is kept, in seconds: the time a client may take between the upload of a
    /// layer and the manifest that names it.
    pub(crate) grace: Duration,
    /// How long an upload session may rest before it is given up, in seconds.
    pub(crate) upload_ttl: Duration,
}

impl GcConfig {
    pub(super) fn layer(layers: &mut Layers<'_>, file: GcSection) -> Self {
        let seconds = |value: Option<u64>| value.map(Duration::from_secs);
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Self {
            interval: layers.pick("gc.interval_seconds", "gc", None, seconds(file.interval_seconds), || hours(1)),
            grace: layers.pick("gc.grace_seconds", "gc", None, seconds(file.grace_seconds), || hours(24)),
            upload_ttl: layers
                .pick("gc.upload_ttl_seconds", "gc", None, seconds(file.upload_ttl_seconds), || hours(24)),
        }
    }

    pub(super) fn validate(&self, config: &Config) -> Result<(), anyhow::Error> {
        if self.upload_ttl < Duration::from_secs(60) {
            bail!(
                "{} is {}; uploads need at least 60 seconds between two requests",
                config.place("gc.upload_ttl_seconds"),
                self.upload_ttl.as_secs()
            );
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GcSection {
    interval_seconds: Option<u64>,
    grace_seconds: Option<u64>,
    upload_ttl_seconds: Option<u64>,
}
