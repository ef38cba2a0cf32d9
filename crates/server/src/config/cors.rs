//! Which web pages may call the registry from a browser.

use anyhow::bail;
use serde::Deserialize;

use super::{Config, Layers};

/// Section `[cors]`.
#[derive(Clone, Debug)]
pub(crate) struct CorsConfig {
    /// Origins whose pages may call the registry, such as `https://portal.example.com`. None by default.
    pub(crate) allowed_origins: Vec<String>,
}

impl CorsConfig {
    pub(super) fn layer(layers: &mut Layers<'_>, file: CorsSection) -> Self {
        Self { allowed_origins: layers.pick("cors.allowed_origins", "cors", None, file.allowed_origins, Vec::new) }
    }

    pub(super) fn validate(&self, config: &Config) -> Result<(), anyhow::Error> {
        for origin in &self.allowed_origins {
            let is_origin = url::Url::parse(origin)
                .is_ok_and(|url| url.has_host() && url.origin().ascii_serialization() == *origin);
            if !is_origin {
                bail!(
                    "{} has {origin:?}, which is no origin; write scheme, host and port as in https://portal.example.com",
                    config.place("cors.allowed_origins")
                );
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CorsSection {
    allowed_origins: Option<Vec<String>>,
}
