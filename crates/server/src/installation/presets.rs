//! Secrets that the environment presets for the first start.

use anyhow::{Context as _, anyhow};
use secrecy::{ExposeSecret as _, SecretString};

use super::Installation;

/// Secrets that the environment presets for the first start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Presets {
    /// `WHARF_ADMIN_PASSWORD`: the first admin password of the default registry.
    pub(crate) admin_password: Option<SecretString>,
    /// `WHARF_OWNER_SECRET`: the owner's secret.
    pub(crate) owner_secret: Option<SecretString>,
}

impl Presets {
    /// Reads the presets. Each variable may also be given as `…_FILE`, the path of a file that holds the value.
    ///
    /// # Errors
    /// When a value is not text or such a file cannot be read.
    pub(crate) fn from_environment() -> Result<Self, anyhow::Error> {
        let read = |name: &str| -> Result<Option<SecretString>, anyhow::Error> {
            if let Some(value) = std::env::var_os(name) {
                let value = value.into_string().map_err(|_| anyhow!("{name} is not UTF-8 text"))?;
                return Ok(Some(value.into()));
            }
            let variable = format!("{name}_FILE");
            let Some(path) = std::env::var_os(&variable) else { return Ok(None) };
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}, the file that {variable} names", path.to_string_lossy()))?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).into()))
        };
        Ok(Self { admin_password: read("WHARF_ADMIN_PASSWORD")?, owner_secret: read("WHARF_OWNER_SECRET")? })
    }

    /// Says which presets came too late: they are for the first start, and one that does nothing must not go unnoticed.
    pub(crate) fn warn_of_unused(&self, installation: &Installation, admin_passwords: &[SecretString; 2]) {
        let differs = |preset: &Option<SecretString>, used: &[&SecretString]| {
            preset
                .as_ref()
                .is_some_and(|preset| used.iter().all(|secret| secret.expose_secret() != preset.expose_secret()))
        };
        if differs(&self.admin_password, &admin_passwords.each_ref()) {
            tracing::warn!(
                "WHARF_ADMIN_PASSWORD is not used, since it presets the password of the first start only; \
                 `wharf registry credentials` changes passwords"
            );
        }
        if differs(&self.owner_secret, &[&installation.owner_secret]) {
            tracing::warn!("WHARF_OWNER_SECRET is not used, since it presets the secret of the first start only");
        }
    }
}
