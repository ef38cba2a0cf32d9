//! Users, groups, service principals and managed identities.

use uuid::Uuid;
use wharf_model::{PrincipalId, PrincipalKind, ResourceId, Timestamp};

use super::{Page, Properties, key};
use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error};

/// A principal as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct PrincipalRow {
    /// Its object id.
    pub id: PrincipalId,
    /// What it is.
    pub kind: PrincipalKind,
    /// The tenant that it is in.
    pub tenant_id: Uuid,
    /// What people call it.
    pub display_name: String,
    /// The user principal name, unique in any case; users alone have one.
    pub user_name: Option<String>,
    /// The application (client) id, unique; service principals and managed identities have one.
    pub app_id: Option<Uuid>,
    /// The resource that a managed identity belongs to.
    pub resource_id: Option<ResourceId>,
    /// Whether it may sign in.
    pub is_enabled: bool,
    /// Goes up when it is switched off or loses a credential; tokens of older generations are void.
    pub generation: i64,
    /// What Graph keeps of it beside.
    pub properties: Properties,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// Kinds of principals that are listed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// People.
    Users,
    /// Groups.
    Groups,
    /// Service principals, and managed identities, which are such to whoever does not look closer.
    ServicePrincipals,
}

impl Family {
    /// The family of a kind.
    #[must_use]
    pub fn of(kind: PrincipalKind) -> Self {
        match kind {
            PrincipalKind::User => Self::Users,
            PrincipalKind::Group => Self::Groups,
            PrincipalKind::ServicePrincipal | PrincipalKind::ManagedIdentity => Self::ServicePrincipals,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Users => "User",
            Self::Groups => "Group",
            Self::ServicePrincipals => "ServicePrincipal",
        }
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct Columns {
    id: String,
    kind: String,
    tenant_id: String,
    display_name: String,
    user_name: Option<String>,
    app_id: Option<String>,
    resource_id: Option<String>,
    is_enabled: bool,
    generation: i64,
    properties: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Columns> for PrincipalRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        let kind = PrincipalKind::from_word(&row.kind);
        Ok(Self {
            id: parse("principal id", &row.id)?,
            kind: kind.ok_or_else(|| Error::Malformed { what: "kind of principal", value: row.kind })?,
            tenant_id: parse("tenant id", &row.tenant_id)?,
            display_name: row.display_name,
            user_name: row.user_name,
            app_id: row.app_id.map(|id| parse("application id", &id)).transpose()?,
            resource_id: row.resource_id.map(|id| parse("resource id", &id)).transpose()?,
            is_enabled: row.is_enabled,
            generation: row.generation,
            properties: parse_json("properties of a principal", &row.properties)?,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
        })
    }
}

/// Adds a principal. Returns `false`, having done nothing, when its id, application id or user name is taken.
///
/// # Errors
/// When the database fails.
pub async fn insert(c: &mut Connection, row: &PrincipalRow) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO principals (id, kind, family, tenant_id, display_name, name_key, user_name,
            user_name_key, app_id, resource_id, resource_key, is_enabled, generation, properties, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING";
    let inserted = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(row.kind.as_str())
            .bind(Family::of(row.kind).word())
            .bind(row.tenant_id.to_string())
            .bind(&row.display_name)
            .bind(key(&row.display_name))
            .bind(&row.user_name)
            .bind(row.user_name.as_deref().map(key))
            .bind(row.app_id.map(|id| id.to_string()))
            .bind(row.resource_id.as_ref().map(ResourceId::as_str))
            .bind(row.resource_id.as_ref().map(ResourceId::key))
            .bind(row.is_enabled)
            .bind(row.generation)
            .bind(to_json(&row.properties))
            .bind(row.created_at.0)
            .bind(row.updated_at.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(inserted > 0)
}

/// Finds a principal by its object id.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, id: PrincipalId) -> Result<Option<PrincipalRow>, Error> {
    find_where(c, "id = $1", id.to_string()).await
}

/// Finds a service principal or managed identity by its application id.
///
/// # Errors
/// When the database fails.
pub async fn find_by_app(c: &mut Connection, app_id: Uuid) -> Result<Option<PrincipalRow>, Error> {
    find_where(c, "app_id = $1", app_id.to_string()).await
}

/// Finds a user by the user principal name, in any case.
///
/// # Errors
/// When the database fails.
pub async fn find_by_user_name(c: &mut Connection, user_name: &str) -> Result<Option<PrincipalRow>, Error> {
    find_where(c, "user_name_key = $1", key(user_name)).await
}

/// Finds the managed identity that belongs to a resource.
///
/// # Errors
/// When the database fails.
pub async fn find_by_resource(c: &mut Connection, resource: &ResourceId) -> Result<Option<PrincipalRow>, Error> {
    find_where(c, "resource_key = $1", resource.key().to_owned()).await
}

async fn find_where(c: &mut Connection, condition: &str, value: String) -> Result<Option<PrincipalRow>, Error> {
    let sql = format!("{SELECT} WHERE {condition}");
    let row: Option<Columns> = on_engine!(c, c => {
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(value).fetch_optional(c).await?
    });
    row.map(TryInto::try_into).transpose()
}

/// Finds those of many principals that there are, in no particular order.
///
/// # Errors
/// When the database fails.
pub async fn find_many(c: &mut Connection, ids: &[PrincipalId]) -> Result<Vec<PrincipalRow>, Error> {
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(VALUES_PER_STATEMENT) {
        let sql = format!("{SELECT} WHERE id IN ({})", placeholder_list(1, ids.len()));
        let rows: Vec<Columns> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
            for id in ids {
                query = query.bind(id.to_string());
            }
            query.fetch_all(c).await?
        });
        for row in rows {
            found.push(row.try_into()?);
        }
    }
    Ok(found)
}

/// Lists the principals of a family in the order of their names, then ids.
///
/// # Errors
/// When the database fails.
pub async fn list(
    c: &mut Connection,
    tenant_id: Uuid,
    family: Family,
    page: &Page,
) -> Result<Vec<PrincipalRow>, Error> {
    let sql = format!(
        "{SELECT} WHERE tenant_id = $1 AND family = $2 AND name_key >= $3 AND name_key < $4
            AND (name_key, id) > ($5, $6) ORDER BY name_key, id LIMIT $7"
    );
    let ((from, to), (name, id)) = (page.range(), page.start());
    let rows: Vec<Columns> = on_engine!(c, c => {
        sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(tenant_id.to_string())
            .bind(family.word())
            .bind(from)
            .bind(to)
            .bind(name)
            .bind(id)
            .bind(page.limit)
            .fetch_all(c)
            .await?
    });
    rows.into_iter().map(TryInto::try_into).collect()
}

/// How many principals of a family there are.
///
/// # Errors
/// When the database fails.
pub async fn count(c: &mut Connection, tenant_id: Uuid, family: Family) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM principals WHERE tenant_id = $1 AND family = $2";
    Ok(on_engine!(c, c => {
        sqlx::query_scalar(SQL).bind(tenant_id.to_string()).bind(family.word()).fetch_one(c).await?
    }))
}

/// Keeps others from changing a principal until the transaction ends, so that what is read of it now still holds when it
/// is written.
///
/// # Errors
/// When the database fails.
pub async fn lock(c: &mut Connection, id: PrincipalId) -> Result<(), Error> {
    // One text for both engines: writing a row locks it on PostgreSQL, and on SQLite there is one writer anyway.
    const SQL: &str = "UPDATE principals SET generation = generation WHERE id = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(id.to_string()).execute(c).await?; });
    Ok(())
}

/// Writes names, switch and properties of a principal as the row has them; neither its kind nor its generation.
/// Returns `false`, having done nothing, when there is no such principal or somebody else has the user name.
///
/// # Errors
/// When the database fails.
pub async fn update(c: &mut Connection, row: &PrincipalRow) -> Result<bool, Error> {
    const SQL: &str = "UPDATE principals SET display_name = $2, name_key = $3, user_name = $4, user_name_key = $5,
            is_enabled = $6, properties = $7, updated_at = $8
         WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM principals WHERE user_name_key = $5 AND id <> $1)";
    let updated = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(&row.display_name)
            .bind(key(&row.display_name))
            .bind(&row.user_name)
            .bind(row.user_name.as_deref().map(key))
            .bind(row.is_enabled)
            .bind(to_json(&row.properties))
            .bind(row.updated_at.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(updated > 0)
}

/// Starts a new generation of a principal's credentials.
///
/// # Errors
/// When the database fails.
pub async fn increment_generation(c: &mut Connection, id: PrincipalId) -> Result<(), Error> {
    const SQL: &str = "UPDATE principals SET generation = generation + 1 WHERE id = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(id.to_string()).execute(c).await?; });
    Ok(())
}

/// Deletes a principal with its credentials, memberships and ownerships. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, id: PrincipalId) -> Result<bool, Error> {
    const STEPS: [&str; 3] = [
        "DELETE FROM credentials WHERE owner_id = $1",
        "DELETE FROM group_members WHERE group_id = $1 OR member_id = $1",
        "DELETE FROM directory_owners WHERE object_id = $1 OR owner_id = $1",
    ];
    for step in STEPS {
        on_engine!(&mut *c, c => { sqlx::query(step).bind(id.to_string()).execute(c).await?; });
    }
    const SQL: &str = "DELETE FROM principals WHERE id = $1";
    let deleted = on_engine!(c, c => sqlx::query(SQL).bind(id.to_string()).execute(c).await?.rows_affected());
    Ok(deleted > 0)
}

/// The columns of a row, from `principals` alone or as `p`.
pub(super) const SELECT: &str =
    "SELECT p.id, p.kind, p.tenant_id, p.display_name, p.user_name, p.app_id, p.resource_id,
        p.is_enabled, p.generation, p.properties, p.created_at, p.updated_at FROM principals p";
