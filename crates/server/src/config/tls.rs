//! The certificate that HTTPS shows.

use std::path::PathBuf;

use anyhow::bail;
use serde::Deserialize;

use super::{Config, Layers};

/// Section `[tls]`. Without it the server issues its own certificate from the authority in the data directory.
#[derive(Clone, Debug)]
pub(crate) struct TlsConfig {
    /// PEM file with the certificate and the intermediates after it. Read again when it changes.
    pub(crate) cert: Option<PathBuf>,
    /// PEM file with the certificate's private key. Read again when it changes.
    pub(crate) key: Option<PathBuf>,
}

impl TlsConfig {
    pub(super) fn layer(layers: &mut Layers<'_>, flags: &TlsFlags, file: TlsSection) -> Self {
        Self {
            cert: layers.pick_option("tls.cert", "tls_cert", flags.tls_cert.clone(), file.cert),
            key: layers.pick_option("tls.key", "tls_key", flags.tls_key.clone(), file.key),
        }
    }

    pub(super) fn validate(&self, config: &Config) -> Result<(), anyhow::Error> {
        match (&self.cert, &self.key) {
            (Some(_), None) => bail!("{} is given without tls.key; give both or neither", config.place("tls.cert")),
            (None, Some(_)) => bail!("{} is given without tls.cert; give both or neither", config.place("tls.key")),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct TlsFlags {
    /// Certificate of your own for HTTPS, PEM; read again when it changes
    #[arg(long, value_name = "FILE", env = "WHARF_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Private key of that certificate, PEM
    #[arg(long, value_name = "FILE", env = "WHARF_TLS_KEY")]
    tls_key: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSection {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}
