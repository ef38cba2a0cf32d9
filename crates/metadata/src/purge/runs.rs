//! Runs of purge policies.

use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;
use wharf_model::{RegistryId, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error};

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct PurgeRunRow {
    /// Its id.
    pub id: Uuid,
    /// The id of its policy as a resource, in lower case.
    pub resource_key: String,
    /// Whether nothing is removed.
    pub is_dry_run: bool,
    /// How it goes.
    pub status: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How much was removed until now.
    pub totals: Value,
    /// What came of it; in lists it is left out.
    pub report: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A run that begins.
#[derive(Clone, Debug)]
pub struct NewPurgeRun<'a> {
    /// Its id.
    pub id: Uuid,
    /// The registry of its policy.
    pub registry: RegistryId,
    /// The id of its policy as a resource, in lower case.
    pub resource_key: &'a str,
    /// Whether nothing is removed.
    pub is_dry_run: bool,
    /// How it goes.
    pub status: &'a str,
    /// How much was removed: nothing.
    pub totals: &'a Value,
    /// When it begins.
    pub started_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    resource_key: String,
    is_dry_run: bool,
    status: String,
    started_at: i64,
    ended_at: Option<i64>,
    totals: String,
    report: Option<String>,
    error: Option<String>,
}

impl TryFrom<Columns> for PurgeRunRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        Ok(Self {
            id: parse("run id", &row.id)?,
            resource_key: row.resource_key,
            is_dry_run: row.is_dry_run,
            status: row.status,
            started_at: Timestamp(row.started_at),
            ended_at: row.ended_at.map(Timestamp),
            totals: parse_json("totals of a run", &row.totals)?,
            report: row.report.map(|text| parse_json("report of a run", &text)).transpose()?,
            error: row.error,
        })
    }
}

/// Notes that a run begins.
///
/// # Errors
/// When the database fails, or the policy is not there.
pub async fn insert_run(c: &mut Connection, new: &NewPurgeRun<'_>) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO purge_runs (id, registry_id, resource_key, is_dry_run, status, started_at, totals)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(new.id.to_string())
            .bind(new.registry.0)
            .bind(new.resource_key)
            .bind(new.is_dry_run)
            .bind(new.status)
            .bind(new.started_at.0)
            .bind(to_json(new.totals))
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Notes how a run goes, unless it has ended.
///
/// # Errors
/// When the database fails.
pub async fn update_run(c: &mut Connection, id: Uuid, status: &str, totals: &Value) -> Result<(), Error> {
    const SQL: &str = "UPDATE purge_runs SET status = $2, totals = $3 WHERE id = $1 AND ended_at IS NULL";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(id.to_string()).bind(status).bind(to_json(totals)).execute(c).await?;
    });
    Ok(())
}

/// Notes how a run ended, unless it has ended before.
///
/// # Errors
/// When the database fails.
pub async fn end_run(
    c: &mut Connection,
    id: Uuid,
    status: &str,
    totals: &Value,
    report: Option<&Value>,
    error: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE purge_runs SET status = $2, totals = $3, report = $4, error = $5, ended_at = $6
         WHERE id = $1 AND ended_at IS NULL";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(id.to_string())
            .bind(status)
            .bind(to_json(totals))
            .bind(report.map(to_json))
            .bind(error)
            .bind(now.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Finds a run, with its report.
///
/// # Errors
/// When the database fails.
pub async fn find_run(c: &mut Connection, id: Uuid) -> Result<Option<PurgeRunRow>, Error> {
    const SQL: &str = "SELECT id, resource_key, is_dry_run, status, started_at, ended_at, totals, report, error
         FROM purge_runs WHERE id = $1";
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(id.to_string()).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// The runs of a policy, the newest first, without their reports.
///
/// # Errors
/// When the database fails.
pub async fn list_runs(c: &mut Connection, resource_key: &str, limit: i64) -> Result<Vec<PurgeRunRow>, Error> {
    const SQL: &str = "SELECT id, resource_key, is_dry_run, status, started_at, ended_at, totals,
            CAST(NULL AS TEXT) AS report, error
         FROM purge_runs WHERE resource_key = $1 ORDER BY started_at DESC, id DESC LIMIT $2";
    let rows: Vec<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(resource_key).bind(limit).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// The newest run of each of these policies, without its report.
///
/// # Errors
/// When the database fails.
pub async fn list_last_runs(c: &mut Connection, resource_keys: &[&str]) -> Result<Vec<PurgeRunRow>, Error> {
    let mut found = Vec::new();
    for part in resource_keys.chunks(VALUES_PER_STATEMENT) {
        let sql = format!(
            "SELECT r.id, r.resource_key, r.is_dry_run, r.status, r.started_at, r.ended_at, r.totals,
                CAST(NULL AS TEXT) AS report, r.error
             FROM purge_policies p JOIN purge_runs r ON r.id = (SELECT n.id FROM purge_runs n
                WHERE n.resource_key = p.resource_key ORDER BY n.started_at DESC, n.id DESC LIMIT 1)
             WHERE p.resource_key IN ({})",
            placeholder_list(1, part.len())
        );
        let rows: Vec<Columns> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql));
            for key in part {
                query = query.bind(*key);
            }
            query.fetch_all(c).await?
        });
        for row in rows {
            found.push(row.try_into()?);
        }
    }
    Ok(found)
}

/// Forgets all runs of a policy that have ended, but for the newest `kept`.
///
/// # Errors
/// When the database fails.
pub async fn forget_runs(c: &mut Connection, resource_key: &str, kept: i64) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM purge_runs WHERE resource_key = $1 AND ended_at IS NOT NULL AND id NOT IN
            (SELECT id FROM purge_runs WHERE resource_key = $1 ORDER BY started_at DESC, id DESC LIMIT $2)";
    on_engine!(c, c => { sqlx::query(SQL).bind(resource_key).bind(kept).execute(c).await?; });
    Ok(())
}
