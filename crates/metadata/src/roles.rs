//! Role assignments, and the roles that users defined.

use uuid::Uuid;
use wharf_model::{PrincipalId, ResourceId, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error};

/// A role assignment as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleAssignmentRow {
    /// Its name, which whoever made it chose.
    pub id: Uuid,
    /// Where it counts, with all that is in there.
    pub scope: ResourceId,
    /// To whom the role is given.
    pub principal_id: PrincipalId,
    /// What they are, in the words of `principalType`.
    pub principal_type: String,
    /// The role.
    pub role_id: Uuid,
    /// The condition, as written.
    pub condition: Option<String>,
    /// The version of its language.
    pub condition_version: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The object id of who made it, or empty.
    pub created_by: String,
    /// The object id of who changed it last, or empty.
    pub updated_by: String,
}

/// A role that somebody has, with as much as deciding needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRoleRow {
    /// Where it counts, as the key of a [`ResourceId`].
    pub scope_key: String,
    /// The role.
    pub role_id: Uuid,
    /// The condition, as written.
    pub condition: Option<String>,
    /// The role's permissions as JSON, if it is one that users defined.
    pub permissions: Option<String>,
    /// Where that may be assigned, as JSON.
    pub assignable_scopes: Option<String>,
}

/// A role that users defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDefinitionRow {
    /// Its name as a resource.
    pub id: Uuid,
    /// What people call it; unique in any casing.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its permissions, as JSON.
    pub permissions: String,
    /// Where it may be assigned.
    pub assignable_scopes: Vec<ResourceId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The object id of who made it, or empty.
    pub created_by: String,
    /// The object id of who changed it last, or empty.
    pub updated_by: String,
}

/// Which assignments to list.
#[derive(Clone, Copy, Debug)]
pub struct AssignmentFilter<'a> {
    /// Those at this scope and at all that it is in.
    pub scope: &'a ResourceId,
    /// Those at what is in the scope, too.
    pub includes_below: bool,
    /// Only those to these.
    pub principals: Option<&'a [PrincipalId]>,
    /// Only those after this one: the key of its scope, and its name.
    pub after: Option<(&'a str, Uuid)>,
    /// This many at most.
    pub limit: i64,
}

macro_rules! select_assignments {
    () => {
        "SELECT id, scope, principal_id, principal_type, role_id, condition, condition_version, description,
            created_at, updated_at, created_by, updated_by FROM role_assignments"
    };
}

macro_rules! select_definitions {
    () => {
        "SELECT id, name, description, permissions, assignable_scopes, created_at, updated_at, created_by, updated_by
         FROM role_definitions"
    };
}

#[derive(sqlx::FromRow)]
struct AssignmentColumns {
    id: String,
    scope: String,
    principal_id: String,
    principal_type: String,
    role_id: String,
    condition: Option<String>,
    condition_version: Option<String>,
    description: Option<String>,
    created_at: i64,
    updated_at: i64,
    created_by: String,
    updated_by: String,
}

impl TryFrom<AssignmentColumns> for RoleAssignmentRow {
    type Error = Error;

    fn try_from(row: AssignmentColumns) -> Result<Self, Error> {
        Ok(Self {
            id: parse("role assignment id", &row.id)?,
            scope: parse("scope", &row.scope)?,
            principal_id: parse("principal id", &row.principal_id)?,
            principal_type: row.principal_type,
            role_id: parse("role id", &row.role_id)?,
            condition: row.condition,
            condition_version: row.condition_version,
            description: row.description,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            created_by: row.created_by,
            updated_by: row.updated_by,
        })
    }
}

#[derive(sqlx::FromRow)]
struct HeldColumns {
    scope_key: String,
    role_id: String,
    condition: Option<String>,
    permissions: Option<String>,
    assignable_scopes: Option<String>,
}

impl TryFrom<HeldColumns> for HeldRoleRow {
    type Error = Error;

    fn try_from(row: HeldColumns) -> Result<Self, Error> {
        Ok(Self {
            scope_key: row.scope_key,
            role_id: parse("role id", &row.role_id)?,
            condition: row.condition,
            permissions: row.permissions,
            assignable_scopes: row.assignable_scopes,
        })
    }
}

#[derive(sqlx::FromRow)]
struct DefinitionColumns {
    id: String,
    name: String,
    description: String,
    permissions: String,
    assignable_scopes: String,
    created_at: i64,
    updated_at: i64,
    created_by: String,
    updated_by: String,
}

impl TryFrom<DefinitionColumns> for RoleDefinitionRow {
    type Error = Error;

    fn try_from(row: DefinitionColumns) -> Result<Self, Error> {
        Ok(Self {
            id: parse("role id", &row.id)?,
            name: row.name,
            description: row.description,
            permissions: row.permissions,
            assignable_scopes: parse_json("list of scopes", &row.assignable_scopes)?,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            created_by: row.created_by,
            updated_by: row.updated_by,
        })
    }
}

/// The roles that these principals have at these scopes, which are given by their keys. Costs as many look-ups as there
/// are pairs of both, however many assignments there are.
///
/// # Errors
/// When the database fails.
pub async fn list_held(
    c: &mut Connection,
    principals: &[PrincipalId],
    scope_keys: &[&str],
) -> Result<Vec<HeldRoleRow>, Error> {
    let mut held = Vec::new();
    for principals in principals.chunks(PRINCIPALS_PER_STATEMENT) {
        let sql = format!(
            "SELECT a.scope_key, a.role_id, a.condition, d.permissions, d.assignable_scopes
             FROM role_assignments a
             LEFT JOIN role_definitions d ON d.id = a.role_id
             WHERE a.principal_id IN ({}) AND a.scope_key IN ({})",
            placeholder_list(1, principals.len()),
            placeholder_list(1 + principals.len(), scope_keys.len())
        );
        let rows: Vec<HeldColumns> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
            for principal in principals {
                query = query.bind(principal.to_string());
            }
            for key in scope_keys {
                query = query.bind((*key).to_owned());
            }
            query.fetch_all(c).await?
        });
        for row in rows {
            held.push(row.try_into()?);
        }
    }
    Ok(held)
}

/// The roles that these principals have, wherever that is.
///
/// # Errors
/// When the database fails.
pub async fn list_held_anywhere(c: &mut Connection, principals: &[PrincipalId]) -> Result<Vec<HeldRoleRow>, Error> {
    let mut held = Vec::new();
    for principals in principals.chunks(PRINCIPALS_PER_STATEMENT) {
        let sql = format!(
            "SELECT a.scope_key, a.role_id, a.condition, d.permissions, d.assignable_scopes
             FROM role_assignments a
             LEFT JOIN role_definitions d ON d.id = a.role_id WHERE a.principal_id IN ({})",
            placeholder_list(1, principals.len())
        );
        let rows: Vec<HeldColumns> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql));
            for principal in principals {
                query = query.bind(principal.to_string());
            }
            query.fetch_all(c).await?
        });
        for row in rows {
            held.push(row.try_into()?);
        }
    }
    Ok(held)
}

/// The assignment with this name.
///
/// # Errors
/// When the database fails.
pub async fn find_assignment(c: &mut Connection, id: Uuid) -> Result<Option<RoleAssignmentRow>, Error> {
    const SQL: &str = concat!(select_assignments!(), " WHERE id = $1");
    let row: Option<AssignmentColumns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(id.to_string()).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// The assignment of a role to a principal at exactly this scope.
///
/// # Errors
/// When the database fails.
pub async fn find_assignment_of(
    c: &mut Connection,
    principal: PrincipalId,
    scope: &ResourceId,
    role: Uuid,
) -> Result<Option<RoleAssignmentRow>, Error> {
    const SQL: &str = concat!(select_assignments!(), " WHERE principal_id = $1 AND scope_key = $2 AND role_id = $3");
    let row: Option<AssignmentColumns> = on_engine!(c, c => {
        sqlx::query_as(SQL)
            .bind(principal.to_string())
            .bind(scope.key().to_owned())
            .bind(role.to_string())
            .fetch_optional(c)
            .await?
    });
    row.map(TryInto::try_into).transpose()
}

/// Adds an assignment. Returns `false`, having done nothing, when its name is taken, or its principal has the role at
/// the scope already.
///
/// # Errors
/// When the database fails.
pub async fn insert_assignment(c: &mut Connection, row: &RoleAssignmentRow) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO role_assignments (id, scope, scope_key, principal_id, principal_type, role_id,
            condition, condition_version, description, created_at, updated_at, created_by, updated_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING";
    let inserted = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(row.scope.as_str())
            .bind(row.scope.key())
            .bind(row.principal_id.to_string())
            .bind(&row.principal_type)
            .bind(row.role_id.to_string())
            .bind(&row.condition)
            .bind(&row.condition_version)
            .bind(&row.description)
            .bind(row.created_at.0)
            .bind(row.updated_at.0)
            .bind(&row.created_by)
            .bind(&row.updated_by)
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(inserted > 0)
}

/// Writes what may change of an assignment: condition, description, and who changed it when.
///
/// # Errors
/// When the database fails.
pub async fn update_assignment(c: &mut Connection, row: &RoleAssignmentRow) -> Result<(), Error> {
    const SQL: &str = "UPDATE role_assignments SET condition = $2, condition_version = $3, description = $4,
            updated_at = $5, updated_by = $6 WHERE id = $1";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(&row.condition)
            .bind(&row.condition_version)
            .bind(&row.description)
            .bind(row.updated_at.0)
            .bind(&row.updated_by)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Removes an assignment. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete_assignment(c: &mut Connection, id: Uuid) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM role_assignments WHERE id = $1";
    let deleted = on_engine!(c, c => sqlx::query(SQL).bind(id.to_string()).execute(c).await?.rows_affected());
    Ok(deleted > 0)
}

/// Removes all assignments at a scope and at what is in it: to be called when it is deleted. Returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn delete_at_and_below(c: &mut Connection, scope: &ResourceId) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM role_assignments WHERE scope_key = $1 OR (scope_key >= $2 AND scope_key < $3)";
    let (low, high) = below(scope);
    Ok(on_engine!(c, c => {
        sqlx::query(SQL).bind(scope.key()).bind(low).bind(high).execute(c).await?.rows_affected()
    }))
}

/// Removes all assignments to a principal: to be called when it is deleted.
///
/// # Errors
/// When the database fails.
pub async fn delete_of_principal(c: &mut Connection, principal: PrincipalId) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM role_assignments WHERE principal_id = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(principal.to_string()).execute(c).await?; });
    Ok(())
}

/// Lists assignments, from the widest scope to the narrowest.
///
/// # Errors
/// When the database fails.
pub async fn list_assignments(
    c: &mut Connection,
    filter: AssignmentFilter<'_>,
) -> Result<Vec<RoleAssignmentRow>, Error> {
    let principals = filter.principals.map(|ids| &ids[..ids.len().min(VALUES_PER_STATEMENT)]);
    let ancestors: Vec<String> = filter.scope.scopes().map(|scope| scope.key().to_owned()).collect();
    let at_or_above = format!("scope_key IN ({})", placeholder_list(FIRST_OWN_PLACEHOLDER, ancestors.len()));
    // What a scope is in has keys that are shorter and sort before it, and what is in it has keys that sort after it.
    let mut rows = list_page(c, &at_or_above, &ancestors, principals, filter.after, filter.limit).await?;
    let missing = filter.limit - i64::try_from(rows.len()).unwrap_or(i64::MAX);
    if filter.includes_below && missing > 0 {
        let (low, high) = below(filter.scope);
        let range = format!("scope_key >= ${FIRST_OWN_PLACEHOLDER} AND scope_key < ${}", FIRST_OWN_PLACEHOLDER + 1);
        let after = rows.last().map(|row| (row.scope.key(), row.id)).or(filter.after);
        let more = list_page(c, &range, &[low, high], principals, after, missing).await?;
        rows.extend(more);
    }
    Ok(rows)
}

async fn list_page(
    c: &mut Connection,
    scopes: &str,
    values: &[String],
    principals: Option<&[PrincipalId]>,
    after: Option<(&str, Uuid)>,
    limit: i64,
) -> Result<Vec<RoleAssignmentRow>, Error> {
    let by_principal = principals.map_or_else(String::new, |ids| {
        // A list of none matches none.
        let list = placeholder_list(FIRST_OWN_PLACEHOLDER + values.len(), ids.len());
        format!("AND principal_id IN ({})", if list.is_empty() { "NULL" } else { list.as_str() })
    });
    let sql = format!(
        "{} WHERE {scopes} {by_principal} AND (scope_key > $1 OR (scope_key = $1 AND id > $2))
         ORDER BY scope_key, id LIMIT $3",
        select_assignments!()
    );
    let (scope_key, id) = after.map_or_else(Default::default, |(key, id)| (key.to_owned(), id.to_string()));
    let rows: Vec<AssignmentColumns> = on_engine!(c, c => {
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(scope_key).bind(id).bind(limit);
        for value in values {
            query = query.bind(value.clone());
        }
        for principal in principals.unwrap_or_default() {
            query = query.bind(principal.to_string());
        }
        query.fetch_all(c).await?
    });
    rows.into_iter().map(TryInto::try_into).collect()
}

/// How many assignments there are at a scope and at what is in it.
///
/// # Errors
/// When the database fails.
pub async fn count_at_and_below(c: &mut Connection, scope: &ResourceId) -> Result<i64, Error> {
    const SQL: &str =
        "SELECT COUNT(*) FROM role_assignments WHERE scope_key = $1 OR (scope_key >= $2 AND scope_key < $3)";
    let (low, high) = below(scope);
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(scope.key()).bind(low).bind(high).fetch_one(c).await?))
}

/// Whether anybody has this role anywhere.
///
/// # Errors
/// When the database fails.
pub async fn is_assigned(c: &mut Connection, role: Uuid) -> Result<bool, Error> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM role_assignments WHERE role_id = $1)";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(role.to_string()).fetch_one(c).await?))
}

/// At which scopes anybody has this role.
///
/// # Errors
/// When the database fails.
pub async fn list_scopes_of_role(c: &mut Connection, role: Uuid) -> Result<Vec<ResourceId>, Error> {
    const SQL: &str = "SELECT scope_key, MIN(scope) FROM role_assignments WHERE role_id = $1
         GROUP BY scope_key ORDER BY scope_key";
    let rows: Vec<(String, String)> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(role.to_string()).fetch_all(c).await?);
    rows.iter().map(|(_, scope)| parse("scope", scope)).collect()
}

/// The role with this id, if users defined it.
///
/// # Errors
/// When the database fails.
pub async fn find_definition(c: &mut Connection, id: Uuid) -> Result<Option<RoleDefinitionRow>, Error> {
    const SQL: &str = concat!(select_definitions!(), " WHERE id = $1");
    let row: Option<DefinitionColumns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(id.to_string()).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// The roles that users defined, in the order of their names.
///
/// # Errors
/// When the database fails.
pub async fn list_definitions(c: &mut Connection) -> Result<Vec<RoleDefinitionRow>, Error> {
    const SQL: &str = concat!(select_definitions!(), " ORDER BY name_key");
    let rows: Vec<DefinitionColumns> = on_engine!(c, c => sqlx::query_as(SQL).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Creates a role, or writes it anew where it is; when and by whom it was made stays. Returns `false`, having done
/// nothing, when another one has its name.
///
/// # Errors
/// When the database fails.
pub async fn put_definition(c: &mut Connection, row: &RoleDefinitionRow) -> Result<bool, Error> {
    const TAKEN: &str = "SELECT EXISTS (SELECT 1 FROM role_definitions WHERE name_key = $1 AND id <> $2)";
    const SQL: &str = "INSERT INTO role_definitions (id, name, name_key, description, permissions, assignable_scopes,
            created_at, updated_at, created_by, updated_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key,
            description = excluded.description, permissions = excluded.permissions,
            assignable_scopes = excluded.assignable_scopes, updated_at = excluded.updated_at,
            updated_by = excluded.updated_by";
    let name_key = row.name.to_lowercase();
    let is_taken: bool = on_engine!(&mut *c, c => {
        sqlx::query_scalar(TAKEN).bind(&name_key).bind(row.id.to_string()).fetch_one(c).await?
    });
    if is_taken {
        return Ok(false);
    }
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(&row.name)
            .bind(&name_key)
            .bind(&row.description)
            .bind(&row.permissions)
            .bind(to_json(&row.assignable_scopes))
            .bind(row.created_at.0)
            .bind(row.updated_at.0)
            .bind(&row.created_by)
            .bind(&row.updated_by)
            .execute(c)
            .await?;
    });
    Ok(true)
}

/// Removes a role that users defined. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete_definition(c: &mut Connection, id: Uuid) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM role_definitions WHERE id = $1";
    let deleted = on_engine!(c, c => sqlx::query(SQL).bind(id.to_string()).execute(c).await?.rows_affected());
    Ok(deleted > 0)
}

/// Between which keys those of what is in a scope are: from the first up to before the second.
fn below(scope: &ResourceId) -> (String, String) {
    let parent = if scope.key() == "/" { "" } else { scope.key() };
    // '0' comes right after '/'. Below the root, every key has a letter there.
    let low = if parent.is_empty() { "/a".to_owned() } else { format!("{parent}/") };
    (low, format!("{parent}0"))
}

/// Principals that one statement names; whoever is in more groups than that costs another statement.
const PRINCIPALS_PER_STATEMENT: usize = 400;
/// After the three that every page has.
const FIRST_OWN_PLACEHOLDER: usize = 4;
