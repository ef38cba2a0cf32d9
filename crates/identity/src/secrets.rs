//! Secrets that resources name but do not hold, such as what a credential set signs in with at another registry.
//!
//! A resource names a secret as Azure does, by the address of one in a Key Vault. Nothing is ever fetched from there: the
//! address is a name, and what stands for it on this machine is looked for in this order:
//!
//! ```text
//! https://contoso.vault.azure.net/secrets/hub-user/5f1c…
//!         └──── vault ──────────┘         └ name ┘ └ version
//!
//! 1. the store of secrets     hub-user of this vault, else of any; of this version, else of any    `wharf secret set`
//! 2. the environment          WHARF_SECRET_HUB_USER
//! 3. the directory            <directory>/hub-user                                                 `[secrets] directory`
//! ```
//!
//! Which secrets there are is the operator's matter. Whoever may write a credential set may have any of them sent to the
//! host that the set names, unless the secret was stored with the hosts that it may be sent to.

mod id;

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use wharf_metadata::Database;
use wharf_metadata::secrets::{self, SecretRow};
use wharf_model::Timestamp;

use crate::SealingKey;
pub use id::{ParseSecretIdError, SecretId};

/// What reads a variable of the environment.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where secrets are looked for. Clones share everything.
#[derive(Clone)]
pub struct Secrets(Arc<Places>);

struct Places {
    database: Database,
    sealing: Arc<SealingKey>,
    directory: Option<PathBuf>,
    environment: Environment,
}

/// What is told of a stored secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// What it stands for.
    pub id: SecretId,
    /// The hosts that it may be sent to; none for all.
    pub login_servers: Vec<String>,
    /// When it was set.
    pub updated_at: Timestamp,
}

/// Why there is no value for a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Nothing stands for it.
    #[error(
        "nothing on the server stands for the secret {id}; the operator can store it with `wharf secret set {}`, set the \
         variable {}, or put it into a file {} of the directory of secrets",
        .id.name(), variable(id), .id.name()
    )]
    Missing {
        /// What was asked for.
        id: SecretId,
    },
    /// It was stored for other hosts.
    #[error("the secret {id} was not stored for {login_server}; the operator can allow it with `wharf secret set {} --login-server {login_server}`", .id.name())]
    NotAllowed {
        /// What was asked for.
        id: SecretId,
        /// Whom it was to be sent to.
        login_server: String,
    },
    /// Something stands for it that is no secret.
    #[error("what stands for the secret {id} cannot be used: {reason}")]
    Unusable {
        /// What was asked for.
        id: SecretId,
        /// Why.
        reason: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] wharf_metadata::Error),
}

impl Secrets {
    /// The store in this database, the variables of this environment and the files of this directory.
    #[must_use]
    pub fn new(
        database: Database,
        sealing: Arc<SealingKey>,
        directory: Option<PathBuf>,
        environment: Environment,
    ) -> Self {
        Self(Arc::new(Places { database, sealing, directory, environment }))
    }

    /// The value of a secret that is to be sent to `login_server`.
    ///
    /// # Errors
    /// [`SecretError`], in words for whoever looks at a credential set's health.
    pub async fn resolve(&self, id: &SecretId, login_server: &str) -> Result<SecretString, SecretError> {
        let (vault, name, version) = id.key();
        let found =
            self.0.database.read(move |c| Box::pin(async move { secrets::find(c, &vault, &name, &version).await }));
        if let Some(row) = found.await? {
            if !row.login_servers.is_empty() && !row.login_servers.iter().any(|host| host == login_server) {
                return Err(SecretError::NotAllowed { id: id.clone(), login_server: login_server.to_owned() });
            }
            return self.unseal(&row);
        }
        if let Some(value) = (self.0.environment)(&variable(id)) {
            return usable(id, value);
        }
        if let Some(directory) = self.0.directory.clone() {
            let wanted = id.clone();
            let read = tokio::task::spawn_blocking(move || read_file(&directory, &wanted)).await;
            let unusable = |reason: String| SecretError::Unusable { id: id.clone(), reason };
            if let Some(value) = read.map_err(|error| unusable(error.to_string()))?? {
                return usable(id, value);
            }
        }
        Err(SecretError::Missing { id: id.clone() })
    }

    /// Stores a secret, in place of what was stored under the same name. `login_servers` are the hosts that it may be sent
    /// to; none for all.
    ///
    /// # Errors
    /// When the value is none that could be sent, or the database fails.
    pub async fn set(
        &self,
        id: &SecretId,
        value: &SecretString,
        login_servers: Vec<String>,
        now: Timestamp,
    ) -> Result<(), SecretError> {
        usable(id, value.expose_secret().to_owned())?;
        let (vault, name, version) = id.key();
        let sealed = self.0.sealing.seal(&context(&vault, &name, &version), value.expose_secret().as_bytes());
        let row = SecretRow { name, vault, version, sealed, login_servers, updated_at: now };
        Ok(self.0.database.write(move |c| Box::pin(async move { secrets::put(c, &row).await })).await?)
    }

    /// The secrets that are stored, without their values.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(&self) -> Result<Vec<StoredSecret>, SecretError> {
        let rows = self.0.database.read(|c| Box::pin(secrets::list(c))).await?;
        Ok(rows.iter().map(StoredSecret::of).collect())
    }

    /// What is stored under exactly this name, and its value.
    ///
    /// # Errors
    /// When the database fails, or the value does not open.
    pub async fn show(&self, id: &SecretId) -> Result<Option<(StoredSecret, SecretString)>, SecretError> {
        let (vault, name, version) = id.key();
        let found =
            self.0.database.read(move |c| Box::pin(async move { secrets::get(c, &vault, &name, &version).await }));
        match found.await? {
            Some(row) => Ok(Some((StoredSecret::of(&row), self.unseal(&row)?))),
            None => Ok(None),
        }
    }

    /// Removes what is stored under exactly this name. Returns whether there was anything.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete(&self, id: &SecretId) -> Result<bool, SecretError> {
        let (vault, name, version) = id.key();
        let removed =
            self.0.database.write(move |c| Box::pin(async move { secrets::delete(c, &vault, &name, &version).await }));
        let removed: bool = removed.await?;
        Ok(removed)
    }

    fn unseal(&self, row: &SecretRow) -> Result<SecretString, SecretError> {
        let context = context(&row.vault, &row.name, &row.version);
        let id = || SecretId::of_key(&row.vault, &row.name, &row.version);
        let opened = self.0.sealing.unseal(&context, &row.sealed);
        let opened = opened.map_err(|error| SecretError::Unusable { id: id(), reason: error.to_string() })?;
        let bytes = SecretSlice::from(opened);
        let text = std::str::from_utf8(bytes.expose_secret());
        let text = text.map_err(|_| SecretError::Unusable { id: id(), reason: "it is no text".to_owned() })?;
        Ok(text.into())
    }
}

impl StoredSecret {
    fn of(row: &SecretRow) -> Self {
        Self {
            id: SecretId::of_key(&row.vault, &row.name, &row.version),
            login_servers: row.login_servers.clone(),
            updated_at: row.updated_at,
        }
    }
}

/// The variable that stands for a secret: `WHARF_SECRET_HUB_USER`.
fn variable(id: &SecretId) -> String {
    let name = id.name().chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    format!("WHARF_SECRET_{}", name.collect::<String>())
}

/// What a stored secret is sealed for, so that it opens nowhere else.
fn context(vault: &str, name: &str, version: &str) -> String {
    format!("secret/{vault}/{name}/{version}")
}

/// Reads the file that stands for a secret, without the line end behind its text. Blocks.
fn read_file(directory: &Path, id: &SecretId) -> Result<Option<String>, SecretError> {
    // A name is made of letters, digits and hyphens: it leads nowhere but into the directory.
    let path = directory.join(id.name());
    let unusable = |reason: String| SecretError::Unusable { id: id.clone(), reason };
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(format!("{} cannot be read: {error}", path.display()))),
    };
    let mut text = String::new();
    let read = file.take(LONGEST as u64 + 3).read_to_string(&mut text);
    read.map_err(|error| unusable(format!("{} cannot be read: {error}", path.display())))?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Some(line.to_owned()))
}

/// A value, if it can be sent as part of credentials.
fn usable(id: &SecretId, value: String) -> Result<SecretString, SecretError> {
    let reason = if value.is_empty() {
        "it is empty"
    } else if value.len() > LONGEST {
        "it is longer than 25 KiB"
    } else if value.chars().any(char::is_control) {
        "it holds a line end or another control character"
    } else {
        return Ok(value.into());
    };
    Err(SecretError::Unusable { id: id.clone(), reason: reason.to_owned() })
}

/// The longest secret that a Key Vault takes.
const LONGEST: usize = 25 << 10;

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("directory", &self.0.directory).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
