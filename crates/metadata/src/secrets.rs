//! Secrets that the operator stored, sealed by `identity`.

use wharf_model::Timestamp;

use crate::connection::on_engine;
use crate::error::{parse_json, to_json};
use crate::{Connection, Error};

/// A stored secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRow {
    /// Its name, in lower case.
    pub name: String,
    /// The host of the vault that it stands for; empty for all.
    pub vault: String,
    /// The version that it stands for; empty for all.
    pub version: String,
    /// Its value, sealed.
    pub sealed: Vec<u8>,
    /// The hosts that it may be sent to; none for all.
    pub login_servers: Vec<String>,
    /// When it was set.
    pub updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Columns {
    name: String,
    vault: String,
    version: String,
    sealed: Vec<u8>,
    login_servers: String,
    updated_at: i64,
}

impl TryFrom<Columns> for SecretRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        Ok(Self {
            name: row.name,
            vault: row.vault,
            version: row.version,
            sealed: row.sealed,
            login_servers: parse_json("list of hosts", &row.login_servers)?,
            updated_at: Timestamp(row.updated_at),
        })
    }
}

/// Creates or replaces a secret.
///
/// # Errors
/// When the database fails.
pub async fn put(c: &mut Connection, secret: &SecretRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO secrets (name, vault, version, sealed, login_servers, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (name, vault, version) DO UPDATE SET sealed = excluded.sealed,
            login_servers = excluded.login_servers, updated_at = excluded.updated_at";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(&secret.name)
            .bind(&secret.vault)
            .bind(&secret.version)
            .bind(&secret.sealed)
            .bind(to_json(&secret.login_servers))
            .bind(secret.updated_at.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// The secret that stands for a name in a vault and a version (empty: none was asked for): the one of this vault before the
/// one for all vaults, the one of this version before the one for all.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, vault: &str, name: &str, version: &str) -> Result<Option<SecretRow>, Error> {
    // Whatever sorts last is the most particular; the empty text sorts first.
    const SQL: &str = "SELECT name, vault, version, sealed, login_servers, updated_at FROM secrets
         WHERE name = $1 AND (vault = $2 OR vault = '') AND (version = $3 OR version = '')
         ORDER BY vault DESC, version DESC LIMIT 1";
    let row: Option<Columns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(name).bind(vault).bind(version).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// Finds the secret that was stored under exactly this name, vault and version.
///
/// # Errors
/// When the database fails.
pub async fn get(c: &mut Connection, vault: &str, name: &str, version: &str) -> Result<Option<SecretRow>, Error> {
    const SQL: &str = "SELECT name, vault, version, sealed, login_servers, updated_at FROM secrets
         WHERE name = $1 AND vault = $2 AND version = $3";
    let row: Option<Columns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(name).bind(vault).bind(version).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// All secrets, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(c: &mut Connection) -> Result<Vec<SecretRow>, Error> {
    const SQL: &str = "SELECT name, vault, version, sealed, login_servers, updated_at FROM secrets
         ORDER BY name, vault, version";
    let rows: Vec<Columns> = on_engine!(c, c => sqlx::query_as(SQL).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Removes a secret. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, vault: &str, name: &str, version: &str) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM secrets WHERE name = $1 AND vault = $2 AND version = $3";
    Ok(on_engine!(c, c => {
        sqlx::query(SQL).bind(name).bind(vault).bind(version).execute(c).await?.rows_affected()
    }) > 0)
}
