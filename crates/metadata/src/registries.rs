//! Registries.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use wharf_model::{RegistryId, RegistryName, RegistryUid, RepositoryId, ResourceId, Timestamp};

use crate::changes::{self, Kind, NewChange};
use crate::connection::on_engine;
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error, repositories};

/// A registry as kept.
#[derive(Clone, Debug)]
pub struct RegistryRow {
    /// Its row.
    pub id: RegistryId,
    /// Its public id.
    pub uid: RegistryUid,
    /// Its name, unique in the installation.
    pub name: RegistryName,
    /// Its tier: `Basic`, `Standard` or `Premium`.
    pub sku: String,
    /// Whether the admin user may sign in.
    pub admin_user_enabled: bool,
    /// Whether everybody may pull.
    pub anonymous_pull_enabled: bool,
    /// The two admin passwords, sealed by `identity`.
    pub admin_passwords: [Vec<u8>; 2],
    /// Goes up whenever the admin user is switched or gets another password; tokens of older generations are void.
    pub credentials_generation: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its settings changed last.
    pub updated_at: Timestamp,
    /// Its id as an ARM resource: the scope of role assignments.
    pub resource_id: ResourceId,
    /// What the data plane acts on beside.
    pub settings: Arc<RegistrySettings>,
}

/// Those of a registry's ARM properties that the data plane acts on and that have no column of their own. Stored as
/// JSON; a member that is missing has its documented default (`acr/semantics.md` 18).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RegistrySettings {
    /// Which roles count.
    pub role_assignment_mode: RoleAssignmentMode,
    /// Whether a token for Azure Resource Manager may be exchanged for one of the registry
    /// (`azureADAuthenticationAsArmPolicy`).
    pub accepts_arm_tokens: bool,
    /// `publicNetworkAccess`: whether clients that do not come over the private endpoint are let in at all.
    pub public_network_access: bool,
    /// `networkRuleSet.defaultAction` is `Allow`: whether addresses that no rule names are let in.
    pub allows_other_addresses: bool,
    /// `networkRuleSet.ipRules`: addresses that are let in.
    pub allowed_addresses: Vec<IpNet>,
    /// What follows the registry's name in its host, `<name>-<label>.<domain>`. Without it the host is `<name>.<domain>`.
    pub domain_label: Option<String>,
    /// `policies.retentionPolicy`, while it is on.
    pub retention: Option<Retention>,
    /// `policies.softDeletePolicy`, while it is on.
    pub soft_delete: Option<SoftDelete>,
    /// `policies.quarantinePolicy` is on: new manifests wait until they are passed.
    pub quarantine: bool,
    /// `policies.exportPolicy` is on: artifacts may leave by import into other registries.
    pub allows_export: bool,
    /// `writableCacheRepos`: whether repositories that a cache rule fills may be pushed to.
    pub writable_cache_repositories: bool,
    /// Tags that are set once and never moved or overwritten: patterns, beside those that a repository has.
    pub write_once_tags: Vec<String>,
}

/// For how long manifests stay that have lost their last tag. Source: `acr/semantics.md` 4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Days, 0 to 365.
    pub days: i64,
    /// Since when the policy is on, in microseconds since 1970. Manifests that were untagged before stay.
    pub since: i64,
}

/// For how long what is deleted can be restored. Source: `acr/semantics.md` 4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SoftDelete {
    /// Days, 1 to 90.
    pub days: i64,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            role_assignment_mode: RoleAssignmentMode::LegacyRegistryPermissions,
            accepts_arm_tokens: true,
            public_network_access: true,
            allows_other_addresses: true,
            allowed_addresses: Vec::new(),
            domain_label: None,
            retention: None,
            soft_delete: None,
            quarantine: false,
            allows_export: true,
            writable_cache_repositories: false,
            write_once_tags: Vec::new(),
        }
    }
}

impl RegistrySettings {
    /// Whether a client with this address, not over the private endpoint, is let in. Source: `acr/semantics.md` 5.
    #[must_use]
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.public_network_access
            && (self.allows_other_addresses || self.allowed_addresses.iter().any(|net| net.contains(&address)))
    }
}

/// Which roles count in a registry. Source: `acr/semantics.md` 3.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoleAssignmentMode {
    /// Roles on the whole registry.
    #[default]
    LegacyRegistryPermissions,
    /// Roles on repositories, with conditions.
    AbacRepositoryPermissions,
}

/// A registry to be created.
#[derive(Clone, Debug)]
pub struct NewRegistry {
    /// Its public id.
    pub uid: RegistryUid,
    /// Its name.
    pub name: RegistryName,
    /// Its tier.
    pub sku: String,
    /// Whether the admin user may sign in.
    pub admin_user_enabled: bool,
    /// Whether everybody may pull.
    pub anonymous_pull_enabled: bool,
    /// The two admin passwords, sealed by `identity`.
    pub admin_passwords: [Vec<u8>; 2],
    /// When it is created.
    pub created_at: Timestamp,
    /// Its id as an ARM resource.
    pub resource_id: ResourceId,
    /// What the data plane acts on beside.
    pub settings: RegistrySettings,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    uid: String,
    name: String,
    sku: String,
    admin_user_enabled: bool,
    anonymous_pull_enabled: bool,
    admin_password_1: Vec<u8>,
    admin_password_2: Vec<u8>,
    credentials_generation: i64,
    created_at: i64,
    updated_at: i64,
    resource_id: String,
    settings: String,
}

impl TryFrom<Columns> for RegistryRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        Ok(Self {
            id: RegistryId(row.id),
            uid: parse("registry uid", &row.uid)?,
            name: parse("registry name", &row.name)?,
            sku: row.sku,
            admin_user_enabled: row.admin_user_enabled,
            anonymous_pull_enabled: row.anonymous_pull_enabled,
            admin_passwords: [row.admin_password_1, row.admin_password_2],
            credentials_generation: row.credentials_generation,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            resource_id: parse("resource id", &row.resource_id)?,
            settings: Arc::new(parse_json("registry settings", &row.settings)?),
        })
    }
}

/// Finds a registry by its name.
///
/// # Errors
/// When the database fails.
pub async fn find_by_name(c: &mut Connection, name: &RegistryName) -> Result<Option<RegistryRow>, Error> {
    const SQL: &str = "SELECT id, uid, name, sku, admin_user_enabled, anonymous_pull_enabled, admin_password_1,
            admin_password_2, credentials_generation, created_at, updated_at, resource_id, settings FROM registries WHERE name = $1";
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(name.as_str()).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// The registry that is this ARM resource. Others who ask for it like this wait until the transaction ends, so that what
/// is counted or looked up in it stays true that long.
///
/// # Errors
/// When the database fails.
pub async fn lock(c: &mut Connection, id: &ResourceId) -> Result<Option<RegistryRow>, Error> {
    const SQL: &str = "UPDATE registries SET updated_at = updated_at WHERE name = $1
         RETURNING id, uid, name, sku, admin_user_enabled, anonymous_pull_enabled, admin_password_1, admin_password_2,
            credentials_generation, created_at, updated_at, resource_id, settings";
    let name = id.name().unwrap_or_default().to_ascii_lowercase();
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(name).fetch_optional(c).await?);
    let row: Option<RegistryRow> = row.map(TryInto::try_into).transpose()?;
    Ok(row.filter(|row| row.resource_id == *id))
}

/// Finds the registry that is this ARM resource.
///
/// # Errors
/// When the database fails.
pub async fn find_by_resource(c: &mut Connection, id: &ResourceId) -> Result<Option<RegistryRow>, Error> {
    let Some(Ok(name)) = id.name().map(RegistryName::parse_any_case) else { return Ok(None) };
    Ok(find_by_name(c, &name).await?.filter(|row| row.resource_id == *id))
}

/// Finds a registry by its row, unless it was deleted.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, id: RegistryId) -> Result<Option<RegistryRow>, Error> {
    const SQL: &str = "SELECT id, uid, name, sku, admin_user_enabled, anonymous_pull_enabled, admin_password_1,
            admin_password_2, credentials_generation, created_at, updated_at, resource_id, settings FROM registries
         WHERE id = $1 AND deleted_at IS NULL";
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(id.0).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// The settings of a registry, as they are in this transaction. `None` when it was deleted.
///
/// # Errors
/// When the database fails.
pub async fn find_settings(c: &mut Connection, id: RegistryId) -> Result<Option<RegistrySettings>, Error> {
    const SQL: &str = "SELECT settings FROM registries WHERE id = $1 AND deleted_at IS NULL";
    let text: Option<String> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(id.0).fetch_optional(c).await?);
    text.map(|text| parse_json("registry settings", &text)).transpose()
}

/// Lists registries in the order of their names, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list(c: &mut Connection, after: Option<&RegistryName>, limit: i64) -> Result<Vec<RegistryRow>, Error> {
    const SQL: &str = "SELECT id, uid, name, sku, admin_user_enabled, anonymous_pull_enabled, admin_password_1,
            admin_password_2, credentials_generation, created_at, updated_at, resource_id, settings FROM registries
         WHERE name > $1 AND deleted_at IS NULL ORDER BY name LIMIT $2";
    let after = after.map_or("", RegistryName::as_str);
    let rows: Vec<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(after).bind(limit).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Creates a registry. Returns `None`, having done nothing, when the name is taken.
///
/// # Errors
/// When the database fails.
pub async fn insert(c: &mut Connection, new: &NewRegistry) -> Result<Option<RegistryId>, Error> {
    const SQL: &str = "INSERT INTO registries (uid, name, sku, admin_user_enabled, anonymous_pull_enabled,
            admin_password_1, admin_password_2, created_at, updated_at, resource_id, settings)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10) ON CONFLICT (name) DO NOTHING RETURNING id";
    let id: Option<i64> = on_engine!(c, c => {
        sqlx::query_scalar(SQL)
            .bind(new.uid.to_string())
            .bind(new.name.as_str())
            .bind(&new.sku)
            .bind(new.admin_user_enabled)
            .bind(new.anonymous_pull_enabled)
            .bind(&new.admin_passwords[0])
            .bind(&new.admin_passwords[1])
            .bind(new.created_at.0)
            .bind(new.resource_id.as_str())
            .bind(to_json(&new.settings))
            .fetch_optional(c)
            .await?
    });
    Ok(id.map(RegistryId))
}

/// Replaces the admin user's passwords on behalf of `actor`, and starts a new generation of credentials.
///
/// # Errors
/// When the database fails.
pub async fn update_passwords(
    c: &mut Connection,
    id: RegistryId,
    passwords: &[Vec<u8>; 2],
    actor: &str,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE registries SET admin_password_1 = $2, admin_password_2 = $3,
            credentials_generation = credentials_generation + 1, updated_at = $4 WHERE id = $1";
    let rows = on_engine!(&mut *c, c => {
        sqlx::query(SQL)
            .bind(id.0)
            .bind(&passwords[0])
            .bind(&passwords[1])
            .bind(now.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    log(c, id, rows, Kind::RegistryUpdate, actor, now).await
}

/// What of a registry its ARM resource says and the data plane acts on.
#[derive(Clone, Debug)]
pub struct RegistryChange {
    /// Its tier.
    pub sku: String,
    /// Whether the admin user may sign in. A switch starts a new generation of credentials.
    pub admin_user_enabled: bool,
    /// Whether everybody may pull.
    pub anonymous_pull_enabled: bool,
    /// The rest.
    pub settings: RegistrySettings,
}

impl From<&RegistryRow> for RegistryChange {
    fn from(row: &RegistryRow) -> Self {
        Self {
            sku: row.sku.clone(),
            admin_user_enabled: row.admin_user_enabled,
            anonymous_pull_enabled: row.anonymous_pull_enabled,
            settings: (*row.settings).clone(),
        }
    }
}

/// Brings a registry in line with its ARM resource, on behalf of `actor`.
///
/// # Errors
/// When the database fails.
pub async fn update(
    c: &mut Connection,
    id: RegistryId,
    change: &RegistryChange,
    actor: &str,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE registries SET sku = $2,
            credentials_generation = credentials_generation + CASE WHEN admin_user_enabled = $3 THEN 0 ELSE 1 END,
            admin_user_enabled = $3, anonymous_pull_enabled = $4, settings = $5, updated_at = $6 WHERE id = $1";
    let rows = on_engine!(&mut *c, c => {
        sqlx::query(SQL)
            .bind(id.0)
            .bind(&change.sku)
            .bind(change.admin_user_enabled)
            .bind(change.anonymous_pull_enabled)
            .bind(to_json(&change.settings))
            .bind(now.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    log(c, id, rows, Kind::RegistryUpdate, actor, now).await
}

/// Tells whoever remembers the registry what became of it, if it was there to be changed.
async fn log(
    c: &mut Connection,
    id: RegistryId,
    rows: u64,
    kind: Kind,
    actor: &str,
    now: Timestamp,
) -> Result<(), Error> {
    if rows == 0 {
        return Ok(());
    }
    let change = NewChange { kind, actor, repository: None, tag: None, digest: None, changed_at: now };
    changes::append(c, id, &[change]).await
}

/// Puts a registry out of sight, on behalf of `actor`: its name is free, and no one finds it any more. What it held is
/// removed by [`remove_some`]. Returns whether it was there.
///
/// # Errors
/// When the database fails.
pub async fn hide(c: &mut Connection, id: RegistryId, actor: &str, now: Timestamp) -> Result<bool, Error> {
    // No registry can have such a name.
    const SQL: &str = "UPDATE registries SET deleted_at = $2, name = 'deleted/' || CAST(id AS TEXT)
         WHERE id = $1 AND deleted_at IS NULL";
    let rows = on_engine!(&mut *c, c => sqlx::query(SQL).bind(id.0).bind(now.0).execute(c).await?.rows_affected());
    log(c, id, rows, Kind::RegistryDelete, actor, now).await?;
    Ok(rows > 0)
}

/// Registries that are out of sight and not removed yet.
///
/// # Errors
/// When the database fails.
pub async fn list_hidden(c: &mut Connection) -> Result<Vec<RegistryId>, Error> {
    const SQL: &str = "SELECT id FROM registries WHERE deleted_at IS NOT NULL ORDER BY id";
    let ids: Vec<i64> = on_engine!(c, c => sqlx::query_scalar(SQL).fetch_all(c).await?);
    Ok(ids.into_iter().map(RegistryId).collect())
}

/// How far the removal of a registry has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// There is more to be removed.
    Some,
    /// All that it held is gone. Its row and its log stay for a while, so that everybody hears that it was deleted.
    Content,
    /// It is gone.
    All,
}

/// Removes about `most` rows of what a registry that is out of sight holds. Its blobs become garbage that the collector
/// removes. Once nothing is left, and the registry is out of sight since `before` or longer, its row goes too.
///
/// # Errors
/// When the database fails.
pub async fn remove_some(c: &mut Connection, id: RegistryId, most: i64, before: Timestamp) -> Result<Removed, Error> {
    const REPOSITORIES: &str = "SELECT id FROM repositories WHERE registry_id = $1 ORDER BY name LIMIT 100";
    let repositories: Vec<i64> =
        on_engine!(&mut *c, c => sqlx::query_scalar(REPOSITORIES).bind(id.0).fetch_all(c).await?);
    if repositories.is_empty() {
        return remove_row(c, id, most, before).await;
    }
    let repositories: Vec<RepositoryId> = repositories.into_iter().map(RepositoryId).collect();
    repositories::remove_some(c, &repositories, most).await?;
    Ok(Removed::Some)
}

/// Removes the log of a registry that holds nothing, then its row.
async fn remove_row(c: &mut Connection, id: RegistryId, most: i64, before: Timestamp) -> Result<Removed, Error> {
    const IS_OLD: &str = "SELECT deleted_at <= $2 FROM registries WHERE id = $1 AND deleted_at IS NOT NULL";
    let is_old: Option<bool> =
        on_engine!(&mut *c, c => sqlx::query_scalar(IS_OLD).bind(id.0).bind(before.0).fetch_optional(c).await?);
    match is_old {
        None => return Ok(Removed::All),
        Some(false) => return Ok(Removed::Content),
        Some(true) => {}
    }
    const LOG: &str = "DELETE FROM changes WHERE id IN
        (SELECT id FROM changes WHERE registry_id = $1 ORDER BY sequence LIMIT $2)";
    let rows = on_engine!(&mut *c, c => sqlx::query(LOG).bind(id.0).bind(most).execute(c).await?.rows_affected());
    if rows > 0 {
        return Ok(Removed::Some);
    }
    // A push that was under way may have made a repository meanwhile; the next call finds it.
    const ROW: &str = "DELETE FROM registries WHERE id = $1
        AND NOT EXISTS (SELECT 1 FROM repositories WHERE registry_id = $1)";
    for step in TOKENS {
        on_engine!(&mut *c, c => { sqlx::query(step).bind(id.0).execute(c).await?; });
    }
    let rows = on_engine!(c, c => sqlx::query(ROW).bind(id.0).execute(c).await?.rows_affected());
    Ok(if rows > 0 { Removed::All } else { Removed::Some })
}

/// What a registry keeps outside its repositories.
const TOKENS: [&str; 4] = [
    "DELETE FROM tokens WHERE registry_id = $1",
    "DELETE FROM scope_maps WHERE registry_id = $1",
    "DELETE FROM cache_rules WHERE registry_id = $1",
    "DELETE FROM credential_sets WHERE registry_id = $1",
];

/// Deletes a registry with everything in it, in one go: for small ones. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, id: RegistryId) -> Result<bool, Error> {
    let there_was = hide(c, id, "system", Timestamp(0)).await?;
    while remove_some(c, id, i64::MAX, Timestamp(0)).await? == Removed::Some {}
    Ok(there_was)
}
