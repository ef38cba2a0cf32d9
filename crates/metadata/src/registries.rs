//! Registries.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use wharf_model::{RegistryId, RegistryName, RegistryUid, ResourceId, Timestamp};

use crate::changes::{self, Kind, NewChange};
use crate::connection::on_engine;
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error};

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
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            role_assignment_mode: RoleAssignmentMode::LegacyRegistryPermissions,
            accepts_arm_tokens: true,
            public_network_access: true,
            allows_other_addresses: true,
            allowed_addresses: Vec::new(),
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

/// Lists registries in the order of their names, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list(c: &mut Connection, after: Option<&RegistryName>, limit: i64) -> Result<Vec<RegistryRow>, Error> {
    const SQL: &str = "SELECT id, uid, name, sku, admin_user_enabled, anonymous_pull_enabled, admin_password_1,
            admin_password_2, credentials_generation, created_at, updated_at, resource_id, settings FROM registries
         WHERE name > $1 ORDER BY name LIMIT $2";
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
            .bind(false)
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

/// Replaces the admin user's switch and passwords, and starts a new generation of credentials.
///
/// # Errors
/// When the database fails.
pub async fn update_admin(
    c: &mut Connection,
    id: RegistryId,
    enabled: bool,
    passwords: &[Vec<u8>; 2],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE registries SET admin_user_enabled = $2, admin_password_1 = $3, admin_password_2 = $4,
            credentials_generation = credentials_generation + 1, updated_at = $5 WHERE id = $1";
    let rows = on_engine!(&mut *c, c => {
        sqlx::query(SQL)
            .bind(id.0)
            .bind(enabled)
            .bind(&passwords[0])
            .bind(&passwords[1])
            .bind(now.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    log_update(c, id, rows, now).await
}

/// Switches anonymous pull.
///
/// # Errors
/// When the database fails.
pub async fn update_anonymous_pull(c: &mut Connection, id: RegistryId, on: bool, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "UPDATE registries SET anonymous_pull_enabled = $2, updated_at = $3 WHERE id = $1";
    let rows = on_engine!(&mut *c, c => {
        sqlx::query(SQL).bind(id.0).bind(on).bind(now.0).execute(c).await?.rows_affected()
    });
    log_update(c, id, rows, now).await
}

/// Tells whoever remembers the registry that it changed, if it was there to be changed.
async fn log_update(c: &mut Connection, id: RegistryId, rows: u64, now: Timestamp) -> Result<(), Error> {
    if rows == 0 {
        return Ok(());
    }
    let kind = Kind::RegistryUpdate;
    let change = NewChange { kind, actor: "operator", repository: None, tag: None, digest: None, changed_at: now };
    changes::append(c, id, &[change]).await
}

/// Deletes a registry with everything in it. Its blobs become garbage that the collector removes.
/// Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, id: RegistryId) -> Result<bool, Error> {
    // From the leaves to the root, since not every reference cascades.
    const STEPS: [&str; 6] = [
        "DELETE FROM tags WHERE repository_id IN (SELECT id FROM repositories WHERE registry_id = $1)",
        "DELETE FROM manifests WHERE repository_id IN (SELECT id FROM repositories WHERE registry_id = $1)",
        "INSERT INTO doomed_objects (storage_key, size_bytes, doomed_at)
            SELECT u.storage_key, u.offset_bytes, u.expires_at FROM uploads u
            JOIN repositories r ON r.id = u.repository_id WHERE r.registry_id = $1
            ON CONFLICT (storage_key) DO NOTHING",
        "DELETE FROM repositories WHERE registry_id = $1",
        "DELETE FROM tokens WHERE registry_id = $1",
        "DELETE FROM scope_maps WHERE registry_id = $1",
    ];
    for step in STEPS {
        on_engine!(&mut *c, c => { sqlx::query(step).bind(id.0).execute(c).await?; });
    }
    const SQL: &str = "DELETE FROM registries WHERE id = $1";
    let deleted = on_engine!(c, c => sqlx::query(SQL).bind(id.0).execute(c).await?.rows_affected());
    Ok(deleted > 0)
}
