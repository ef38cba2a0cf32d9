//! `credentials.json`: what the first start generated, for people and scripts.
//!
//! The file is made from the database and follows it: at each start, and when a command changes a password. One that
//! somebody removed is not made again, since they may have had a reason.

use std::fs;
use std::io;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;
use wharf_identity::Identity;
use wharf_metadata::RegistryRow;

use crate::data_dir::{DataDir, Mode, write};
use crate::hosts::Hosts;
use crate::installation::Installation;

/// The file's content. Its fields are an interface: scripts read them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CredentialsFile {
    /// The tenant.
    pub(crate) tenant_id: Uuid,
    /// The subscription.
    pub(crate) subscription_id: Uuid,
    /// The owner service principal.
    pub(crate) client_id: Uuid,
    /// Its secret.
    #[serde(serialize_with = "expose")]
    pub(crate) client_secret: SecretString,
    /// The default registry.
    pub(crate) registry: RegistryCredentials,
}

/// How to sign in to a registry as its admin user.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RegistryCredentials {
    /// The registry.
    pub(crate) name: String,
    /// Its host, with the port where it is not 443.
    pub(crate) login_server: String,
    /// The admin user, named like the registry.
    pub(crate) username: String,
    /// Either will do.
    #[serde(serialize_with = "expose_both")]
    pub(crate) passwords: [SecretString; 2],
}

impl RegistryCredentials {
    /// The credentials of a registry.
    ///
    /// # Errors
    /// When its passwords were sealed under another key.
    pub(crate) fn of(registry: &RegistryRow, identity: &Identity, hosts: &Hosts) -> Result<Self, anyhow::Error> {
        let passwords =
            identity.reveal(registry).with_context(|| format!("cannot read the passwords of {}", registry.name))?;
        Ok(Self {
            name: registry.name.to_string(),
            login_server: hosts.login_server(registry),
            username: registry.name.to_string(),
            passwords,
        })
    }
}

impl CredentialsFile {
    /// Puts the content together.
    pub(crate) fn new(installation: &Installation, registry: RegistryCredentials) -> Self {
        Self {
            tenant_id: installation.ids.tenant_id,
            subscription_id: installation.ids.subscription_id,
            client_id: installation.ids.client_id,
            client_secret: installation.owner_secret.clone(),
            registry,
        }
    }

    /// Writes the file if it is there and says something else; also if it is not there, when the first start is not
    /// complete yet.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(crate) fn update(&self, data: &DataDir, is_announced: bool) -> Result<(), anyhow::Error> {
        let path = data.credentials_file();
        let mut text = serde_json::to_vec_pretty(self).context("credentials always serialise")?;
        text.push(b'\n');
        match fs::read(&path) {
            Ok(present) if present == text => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_announced => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
            _ => {}
        }
        write(&path, &text, Mode::Secret).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn expose_both<S: Serializer>(secrets: &[SecretString; 2], serializer: S) -> Result<S::Ok, S::Error> {
    secrets.each_ref().map(|secret| secret.expose_secret()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn credentials(password: &str) -> CredentialsFile {
        CredentialsFile {
            tenant_id: Uuid::from_u128(1),
            subscription_id: Uuid::from_u128(2),
            client_id: Uuid::from_u128(3),
            client_secret: "owner".into(),
            registry: RegistryCredentials {
                name: "wharf".to_owned(),
                login_server: "localhost:5443".to_owned(),
                username: "wharf".to_owned(),
                passwords: [password.into(), "second".into()],
            },
        }
    }

    #[test]
    fn the_file_has_the_fields_that_scripts_read() {
        let value = serde_json::to_value(credentials("first")).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "tenantId": "00000000-0000-0000-0000-000000000001",
                "subscriptionId": "00000000-0000-0000-0000-000000000002",
                "clientId": "00000000-0000-0000-0000-000000000003",
                "clientSecret": "owner",
                "registry": {
                    "name": "wharf", "loginServer": "localhost:5443", "username": "wharf",
                    "passwords": ["first", "second"],
                },
            })
        );
    }

    #[test]
    fn it_follows_changes_but_is_not_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::at(directory.path());
        let path = data.credentials_file();
        credentials("first").update(&data, false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        credentials("changed").update(&data, true).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("changed"));
        fs::remove_file(&path).unwrap();
        credentials("changed").update(&data, true).unwrap();
        assert!(!path.exists());
    }
}
