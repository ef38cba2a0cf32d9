//! The artifact cache, and the secrets that credential sets name.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use serde::Deserialize;
use wharf_replication::cache::CacheSettings;

use super::{Config, Layers};

/// Section `[cache]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheConfig {
    /// For how long a tag is served without asking where it comes from, in seconds.
    pub(crate) fresh_for: Duration,
    /// How many bytes what came through the cache may take, in all registries together; no bound without it.
    pub(crate) max_bytes: Option<u64>,
}

impl CacheConfig {
    pub(super) fn layer(layers: &mut Layers<'_>, file: CacheSection) -> Self {
        let fresh = file.fresh_seconds.map(Duration::from_secs);
        Self {
            fresh_for: layers.pick("cache.fresh_seconds", "cache", None, fresh, || CacheSettings::default().fresh_for),
            max_bytes: layers.pick_option("cache.max_bytes", "cache", None, file.max_bytes),
        }
    }

    pub(super) fn validate(&self, config: &Config) -> Result<(), anyhow::Error> {
        if self.max_bytes == Some(0) {
            bail!("{} is 0, which would keep nothing; leave it out for no bound", config.place("cache.max_bytes"));
        }
        if self.fresh_for > LONGEST {
            bail!(
                "{} is {}; it must be {} or less",
                config.place("cache.fresh_seconds"),
                self.fresh_for.as_secs(),
                LONGEST.as_secs()
            );
        }
        Ok(())
    }

    /// What the cache goes by.
    pub(crate) fn settings(&self) -> CacheSettings {
        CacheSettings { fresh_for: self.fresh_for, max_bytes: self.max_bytes }
    }
}

/// Section `[secrets]`.
#[derive(Clone, Debug)]
pub(crate) struct SecretsConfig {
    /// A directory with a file for each secret that credential sets name, such as one that Kubernetes mounts.
    pub(crate) directory: Option<PathBuf>,
}

impl SecretsConfig {
    pub(super) fn layer(layers: &mut Layers<'_>, file: SecretsSection) -> Self {
        Self { directory: layers.pick_option("secrets.directory", "secrets", None, file.directory) }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CacheSection {
    fresh_seconds: Option<u64>,
    max_bytes: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretsSection {
    directory: Option<PathBuf>,
}

/// A month: what is older is not fresh by anybody's word.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
