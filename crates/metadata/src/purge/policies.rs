//! Purge policies: what running them needs.

use serde_json::Value;
use sqlx::AssertSqlSafe;
use wharf_model::{RegistryId, ResourceId, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::error::{parse_json, to_json};
use crate::{Connection, Error};

/// A purge policy.
#[derive(Clone, Debug, PartialEq)]
pub struct PurgePolicyRow {
    /// Its id as a resource, in lower case.
    pub resource_key: String,
    /// The registry that it is of.
    pub registry: RegistryId,
    /// Its name.
    pub name: String,
    /// What is to be removed.
    pub spec: Value,
    /// When it runs: cron, five fields, UTC.
    pub schedule: Option<String>,
    /// When it runs next by itself.
    pub next_run_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Columns {
    resource_key: String,
    registry_id: i64,
    name: String,
    spec: String,
    schedule: Option<String>,
    next_run_at: Option<i64>,
}

impl TryFrom<Columns> for PurgePolicyRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        Ok(Self {
            resource_key: row.resource_key,
            registry: RegistryId(row.registry_id),
            name: row.name,
            spec: parse_json("purge policy", &row.spec)?,
            schedule: row.schedule,
            next_run_at: row.next_run_at.map(Timestamp),
        })
    }
}

/// Adds a policy or replaces it; its runs stay.
///
/// # Errors
/// When the database fails.
pub async fn put_policy(c: &mut Connection, row: &PurgePolicyRow) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO purge_policies (resource_key, registry_id, name, spec, schedule, next_run_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (resource_key) DO UPDATE SET name = excluded.name, spec = excluded.spec,
            schedule = excluded.schedule, next_run_at = excluded.next_run_at";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(&row.resource_key)
            .bind(row.registry.0)
            .bind(&row.name)
            .bind(to_json(&row.spec))
            .bind(&row.schedule)
            .bind(row.next_run_at.map(|time| time.0))
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Removes a policy with its runs. Returns whether it was there.
///
/// # Errors
/// When the database fails.
pub async fn delete_policy(c: &mut Connection, id: &ResourceId) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM purge_policies WHERE resource_key = $1";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(id.key()).execute(c).await?.rows_affected()) > 0)
}

/// Finds a policy, and keeps it as it is until the transaction ends: whoever starts a run looks at it first.
///
/// # Errors
/// When the database fails.
pub async fn find_policy(c: &mut Connection, resource_key: &str) -> Result<Option<PurgePolicyRow>, Error> {
    const SQLITE: &str = "SELECT resource_key, registry_id, name, spec, schedule, next_run_at FROM purge_policies
         WHERE resource_key = $1";
    const POSTGRES: &str = "SELECT resource_key, registry_id, name, spec, schedule, next_run_at FROM purge_policies
         WHERE resource_key = $1 FOR UPDATE";
    let sql = if matches!(c, Connection::Sqlite(_)) { SQLITE } else { POSTGRES };
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(sql).bind(resource_key).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// Policies whose time has come, those that wait longest first.
///
/// # Errors
/// When the database fails.
pub async fn list_due_policies(c: &mut Connection, now: Timestamp, limit: i64) -> Result<Vec<PurgePolicyRow>, Error> {
    const SQL: &str = "SELECT resource_key, registry_id, name, spec, schedule, next_run_at FROM purge_policies
         WHERE next_run_at <= $1 ORDER BY next_run_at LIMIT $2";
    let rows: Vec<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(now.0).bind(limit).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Notes when a policy runs next, unless somebody did so since `due_at` was read. Returns whether it was noted.
///
/// # Errors
/// When the database fails.
pub async fn reschedule_policy(
    c: &mut Connection,
    resource_key: &str,
    due_at: Timestamp,
    next_run_at: Option<Timestamp>,
) -> Result<bool, Error> {
    const SQL: &str = "UPDATE purge_policies SET next_run_at = $3 WHERE resource_key = $1 AND next_run_at = $2";
    let next = next_run_at.map(|time| time.0);
    let rows = on_engine!(c, c => {
        sqlx::query(SQL).bind(resource_key).bind(due_at.0).bind(next).execute(c).await?.rows_affected()
    });
    Ok(rows > 0)
}

/// How many policies a registry has.
///
/// # Errors
/// When the database fails.
pub async fn count_policies(c: &mut Connection, registry: RegistryId) -> Result<i64, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM purge_policies WHERE registry_id = $1";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(registry.0).fetch_one(c).await?))
}

/// When each of these policies runs next by itself; those that do not are left out.
///
/// # Errors
/// When the database fails.
pub async fn list_next_runs(c: &mut Connection, resource_keys: &[&str]) -> Result<Vec<(String, Timestamp)>, Error> {
    let mut found = Vec::new();
    for part in resource_keys.chunks(VALUES_PER_STATEMENT) {
        let sql = format!(
            "SELECT resource_key, next_run_at FROM purge_policies
             WHERE next_run_at IS NOT NULL AND resource_key IN ({})",
            placeholder_list(1, part.len())
        );
        let rows: Vec<(String, i64)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql));
            for key in part {
                query = query.bind(*key);
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(|(key, time)| (key, Timestamp(time))));
    }
    Ok(found)
}
