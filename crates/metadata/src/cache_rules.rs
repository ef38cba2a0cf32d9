//! Cache rules and credential sets, as the data plane reads them.

use wharf_model::{RegistryId, Timestamp};

use crate::changes::{self, Kind, NewChange};
use crate::connection::on_engine;
use crate::scope_maps::key;
use crate::{Connection, Error};

/// A cache rule with what its credential set says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRuleRow {
    /// Its name, in lower case.
    pub name: String,
    /// Where it takes from: `docker.io/library/ubuntu`, `docker.io/library/*`.
    pub source: String,
    /// The repositories that it fills: `ubuntu`, `hub/*`, `*`.
    pub target: String,
    /// Its credential set, if it has one and that is still there.
    pub credential_set: Option<CredentialSetRow>,
}

/// A credential set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialSetRow {
    /// Its name, in lower case.
    pub name: String,
    /// The host whose credentials it holds.
    pub login_server: String,
    /// The identifier of the secret that is the user name.
    pub username: String,
    /// The identifier of the secret that is the password.
    pub password: String,
    /// What came of the last attempt to sign in; `None` while there was none since it was written.
    pub health: Option<CredentialHealth>,
}

/// What came of an attempt to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialHealth {
    /// When it was tried.
    pub checked_at: Timestamp,
    /// Why it did not work, if so.
    pub error: Option<CredentialError>,
}

/// Why credentials do not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialError {
    /// A word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

#[derive(sqlx::FromRow)]
struct RuleColumns {
    name: String,
    source: String,
    target: String,
    set_name: Option<String>,
    login_server: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

#[derive(sqlx::FromRow)]
struct SetColumns {
    name: String,
    login_server: String,
    username: String,
    password: String,
    checked_at: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl From<RuleColumns> for CacheRuleRow {
    fn from(row: RuleColumns) -> Self {
        let set = (row.set_name, row.login_server, row.username, row.password);
        let credential_set = match set {
            (Some(name), Some(login_server), Some(username), Some(password)) => {
                Some(CredentialSetRow { name, login_server, username, password, health: None })
            }
            _ => None,
        };
        Self { name: row.name, source: row.source, target: row.target, credential_set }
    }
}

impl From<SetColumns> for CredentialSetRow {
    fn from(row: SetColumns) -> Self {
        let error = row.error_code.map(|code| CredentialError { code, message: row.error_message.unwrap_or_default() });
        Self {
            name: row.name,
            login_server: row.login_server,
            username: row.username,
            password: row.password,
            health: row.checked_at.map(|at| CredentialHealth { checked_at: Timestamp(at), error }),
        }
    }
}

/// The rules of a registry with their credential sets, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(c: &mut Connection, registry: RegistryId) -> Result<Vec<CacheRuleRow>, Error> {
    const SQL: &str = "SELECT r.name, r.source, r.target, s.name AS set_name, s.login_server, s.username, s.password
         FROM cache_rules r LEFT JOIN credential_sets s ON s.registry_id = r.registry_id AND s.name = r.credential_set
         WHERE r.registry_id = $1 ORDER BY r.name";
    let rows: Vec<RuleColumns> = on_engine!(c, c => sqlx::query_as(SQL).bind(registry.0).fetch_all(c).await?);
    Ok(rows.into_iter().map(Into::into).collect())
}

/// The names and targets of the rules of a registry, by name.
///
/// # Errors
/// When the database fails.
pub async fn list_targets(c: &mut Connection, registry: RegistryId) -> Result<Vec<(String, String)>, Error> {
    const SQL: &str = "SELECT name, target FROM cache_rules WHERE registry_id = $1 ORDER BY name";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(registry.0).fetch_all(c).await?))
}

/// Creates a rule, or gives it another credential set. What else it says stays as it is.
///
/// # Errors
/// When the database fails.
pub async fn put(
    c: &mut Connection,
    registry: RegistryId,
    name: &str,
    source: &str,
    target: &str,
    credential_set: Option<&str>,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO cache_rules (registry_id, name, source, target, credential_set)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (registry_id, name) DO UPDATE SET credential_set = excluded.credential_set";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(registry.0)
            .bind(key(name))
            .bind(source)
            .bind(target)
            .bind(credential_set.map(key))
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Removes a rule. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, registry: RegistryId, name: &str) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM cache_rules WHERE registry_id = $1 AND name = $2";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(registry.0).bind(key(name)).execute(c).await?.rows_affected()) > 0)
}

/// The rules that use a credential set: name and source of each.
///
/// # Errors
/// When the database fails.
pub async fn list_users_of_set(
    c: &mut Connection,
    registry: RegistryId,
    set: &str,
) -> Result<Vec<(String, String)>, Error> {
    const SQL: &str =
        "SELECT name, source FROM cache_rules WHERE registry_id = $1 AND credential_set = $2 ORDER BY name";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(registry.0).bind(key(set)).fetch_all(c).await?))
}

/// Creates or replaces a credential set. What was known of its health is forgotten.
///
/// # Errors
/// When the database fails.
pub async fn put_set(c: &mut Connection, registry: RegistryId, set: &CredentialSetRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO credential_sets (registry_id, name, login_server, username, password)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (registry_id, name) DO UPDATE SET login_server = excluded.login_server,
            username = excluded.username, password = excluded.password,
            checked_at = NULL, error_code = NULL, error_message = NULL";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(registry.0)
            .bind(key(&set.name))
            .bind(&set.login_server)
            .bind(&set.username)
            .bind(&set.password)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Finds a credential set by its name, in any casing.
///
/// # Errors
/// When the database fails.
pub async fn find_set(c: &mut Connection, registry: RegistryId, name: &str) -> Result<Option<CredentialSetRow>, Error> {
    const SQL: &str = "SELECT name, login_server, username, password, checked_at, error_code, error_message
         FROM credential_sets WHERE registry_id = $1 AND name = $2";
    let row: Option<SetColumns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(registry.0).bind(key(name)).fetch_optional(c).await?);
    Ok(row.map(Into::into))
}

/// The credential sets of a registry with names from `first` to `last`, by name.
///
/// # Errors
/// When the database fails.
pub async fn list_sets(
    c: &mut Connection,
    registry: RegistryId,
    first: &str,
    last: &str,
) -> Result<Vec<CredentialSetRow>, Error> {
    const SQL: &str = "SELECT name, login_server, username, password, checked_at, error_code, error_message
         FROM credential_sets WHERE registry_id = $1 AND name >= $2 AND name <= $3 ORDER BY name";
    let rows: Vec<SetColumns> = on_engine!(c, c => {
        sqlx::query_as(SQL).bind(registry.0).bind(key(first)).bind(key(last)).fetch_all(c).await?
    });
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Notes what came of an attempt to sign in with what a credential set says. Nothing happens if it says something else now.
///
/// # Errors
/// When the database fails.
pub async fn note_health(
    c: &mut Connection,
    registry: RegistryId,
    tried: &CredentialSetRow,
    health: &CredentialHealth,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE credential_sets SET checked_at = $6, error_code = $7, error_message = $8
         WHERE registry_id = $1 AND name = $2 AND login_server = $3 AND username = $4 AND password = $5";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(registry.0)
            .bind(key(&tried.name))
            .bind(&tried.login_server)
            .bind(&tried.username)
            .bind(&tried.password)
            .bind(health.checked_at.0)
            .bind(health.error.as_ref().map(|error| &error.code))
            .bind(health.error.as_ref().map(|error| &error.message))
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Removes a credential set. Returns whether there was one. Whoever calls makes sure that no rule has it.
///
/// # Errors
/// When the database fails.
pub async fn delete_set(c: &mut Connection, registry: RegistryId, name: &str) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM credential_sets WHERE registry_id = $1 AND name = $2";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(registry.0).bind(key(name)).execute(c).await?.rows_affected()) > 0)
}

/// Tells everybody that the rules of a registry changed, on behalf of `actor`: the registry's row gets a time of change that
/// it never had, and the log a row.
///
/// # Errors
/// When the database fails.
pub async fn announce(c: &mut Connection, registry: RegistryId, actor: &str, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE registries
         SET updated_at = CASE WHEN updated_at >= $2 THEN updated_at + 1 ELSE $2 END WHERE id = $1";
    on_engine!(&mut *c, c => { sqlx::query(SQL).bind(registry.0).bind(now.0).execute(c).await?; });
    let change =
        NewChange { kind: Kind::RegistryUpdate, actor, repository: None, tag: None, digest: None, changed_at: now };
    changes::append(c, registry, &[change]).await
}
