//! Deployments of templates, and what each of them did.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::{Map, Value};
use uuid::Uuid;
use wharf_model::{ResourceId, Timestamp};

use crate::connection::on_engine;
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error};

/// A deployment as kept, its template apart.
#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentRow {
    /// Its row.
    pub row: i64,
    /// Its id.
    pub id: ResourceId,
    /// Another one each time the name is deployed again.
    pub run_id: Uuid,
    /// Where it is kept, for deployments to subscriptions.
    pub location: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// `Incremental` or `Complete`.
    pub mode: String,
    /// How it goes.
    pub state: State,
    /// What is shown of it: parameters without secrets, dependencies, outputs, `error` …
    pub shown: Map<String, Value>,
    /// When it began.
    pub started_at: Timestamp,
    /// When its state changed last.
    pub changed_at: Timestamp,
    /// While it runs: until when whoever runs it is believed to do so.
    pub lease_until: Timestamp,
}

/// How a deployment goes, or one of its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It goes on.
    Running,
    /// It is done.
    Succeeded,
    /// It ended before it was done; what was deployed stays.
    Failed,
    /// Somebody stopped it; what was deployed stays.
    Canceled,
}

impl State {
    /// Every state.
    pub const EVERY: [Self; 4] = [Self::Running, Self::Succeeded, Self::Failed, Self::Canceled];

    /// The word that is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
        }
    }
}

impl FromStr for State {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::EVERY.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(word)).ok_or(())
    }
}

/// A deployment that begins.
#[derive(Clone, Debug)]
pub struct NewDeployment {
    /// Its id.
    pub id: ResourceId,
    /// What it deploys to.
    pub scope: ResourceId,
    /// This run's own id.
    pub run_id: Uuid,
    /// Where it is kept, for deployments to subscriptions.
    pub location: Option<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// `Incremental` or `Complete`.
    pub mode: &'static str,
    /// Its template.
    pub template: Map<String, Value>,
    /// What is shown of it.
    pub shown: Map<String, Value>,
    /// When it begins.
    pub started_at: Timestamp,
    /// Until when it is believed to go on.
    pub lease_until: Timestamp,
}

/// What a deployment did to a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentOperationRow {
    /// Its own id, unique in the deployment.
    pub operation_id: String,
    /// `Create`, `Delete` or `EvaluateDeploymentOutput`.
    pub kind: String,
    /// How it ended.
    pub state: State,
    /// ARM's word for the answer's status: `Created`, `Conflict`.
    pub status_code: String,
    /// The resource.
    pub target: Option<ResourceId>,
    /// Its symbolic name in the template.
    pub symbolic_name: Option<String>,
    /// What went wrong, as ARM writes errors.
    pub error: Option<Value>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    deployment_id: String,
    run_id: String,
    location: Option<String>,
    tags: String,
    mode: String,
    state: String,
    shown: String,
    started_at: i64,
    changed_at: i64,
    lease_until: i64,
}

impl TryFrom<Columns> for DeploymentRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        Ok(Self {
            row: row.id,
            id: parse("deployment id", &row.deployment_id)?,
            run_id: parse("deployment run", &row.run_id)?,
            location: row.location,
            tags: parse_json("deployment tags", &row.tags)?,
            mode: row.mode,
            state: parse("deployment state", &row.state)?,
            shown: parse_json("deployment", &row.shown)?,
            started_at: Timestamp(row.started_at),
            changed_at: Timestamp(row.changed_at),
            lease_until: Timestamp(row.lease_until),
        })
    }
}

/// The columns of [`Columns`].
macro_rules! columns {
    () => {
        "id, deployment_id, run_id, location, tags, mode, state, shown, started_at, changed_at, lease_until"
    };
}

/// Notes that a deployment begins, in place of an older one under the name. Returns its row and whether the name is new;
/// `None`, having done nothing, while the older one goes on.
///
/// # Errors
/// When the database fails.
pub async fn begin(c: &mut Connection, new: &NewDeployment) -> Result<Option<(i64, bool)>, Error> {
    const FIND: &str = "SELECT id FROM deployments WHERE deployment_key = $1";
    // The newest row of the name wins; a name that is running is left alone.
    const SQL: &str =
        "INSERT INTO deployments (deployment_key, deployment_id, scope_key, run_id, location, tags, mode, state,
            template, shown, started_at, changed_at, lease_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'Running', $8, $9, $10, $10, $11)
         ON CONFLICT (deployment_key) DO UPDATE SET run_id = excluded.run_id, location = excluded.location,
            tags = excluded.tags, mode = excluded.mode, state = excluded.state, template = excluded.template,
            shown = excluded.shown, started_at = excluded.started_at, changed_at = excluded.changed_at,
            lease_until = excluded.lease_until
         WHERE deployments.state <> 'Running'
         RETURNING id";
    const CLEAR: &str = "DELETE FROM deployment_operations WHERE deployment_row = $1";
    let key = new.id.key();
    let old: Option<i64> = on_engine!(&mut *c, c => sqlx::query_scalar(FIND).bind(key).fetch_optional(c).await?);
    let row: Option<i64> = on_engine!(&mut *c, c => {
        sqlx::query_scalar(SQL)
            .bind(key)
            .bind(new.id.as_str())
            .bind(new.scope.key())
            .bind(new.run_id.to_string())
            .bind(&new.location)
            .bind(to_json(&new.tags))
            .bind(new.mode)
            .bind(to_json(&new.template))
            .bind(to_json(&new.shown))
            .bind(new.started_at.0)
            .bind(new.lease_until.0)
            .fetch_optional(c)
            .await?
    });
    let Some(row) = row else { return Ok(None) };
    on_engine!(c, c => { sqlx::query(CLEAR).bind(row).execute(c).await?; });
    Ok(Some((row, old.is_none())))
}

/// Says that a run goes on. Returns `false` when it was stopped, or another took its place.
///
/// # Errors
/// When the database fails.
pub async fn renew(c: &mut Connection, row: i64, run_id: Uuid, lease_until: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "UPDATE deployments SET lease_until = $3 WHERE id = $1 AND run_id = $2 AND state = 'Running'";
    let renewed = on_engine!(c, c => {
        sqlx::query(SQL).bind(row).bind(run_id.to_string()).bind(lease_until.0).execute(c).await?.rows_affected()
    });
    Ok(renewed > 0)
}

/// Notes how a run ended, unless it has ended before. Returns whether it had not.
///
/// # Errors
/// When the database fails.
pub async fn end(
    c: &mut Connection,
    row: i64,
    run_id: Uuid,
    state: State,
    shown: &Map<String, Value>,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "UPDATE deployments SET state = $3, shown = $4, changed_at = $5
         WHERE id = $1 AND run_id = $2 AND state = 'Running'";
    let ended = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row)
            .bind(run_id.to_string())
            .bind(state.as_str())
            .bind(to_json(shown))
            .bind(now.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(ended > 0)
}

/// Finds a deployment.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, id: &ResourceId) -> Result<Option<DeploymentRow>, Error> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM deployments WHERE deployment_key = $1");
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(id.key()).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// Finds the template of a deployment.
///
/// # Errors
/// When the database fails.
pub async fn find_template(c: &mut Connection, id: &ResourceId) -> Result<Option<Value>, Error> {
    const SQL: &str = "SELECT template FROM deployments WHERE deployment_key = $1";
    let row: Option<String> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(id.key()).fetch_optional(c).await?);
    row.map(|text| parse_json("template", &text)).transpose()
}

/// Lists the deployments to a scope in the order of their keys, after the key given; those in one state, if one is given.
///
/// # Errors
/// When the database fails.
pub async fn list(
    c: &mut Connection,
    scope: &ResourceId,
    state: Option<State>,
    after: &str,
    limit: i64,
) -> Result<Vec<DeploymentRow>, Error> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM deployments WHERE scope_key = $1 AND deployment_key > $2 AND ($3 = '' OR state = $3)
         ORDER BY deployment_key LIMIT $4"
    );
    let state = state.map_or("", State::as_str);
    let rows: Vec<Columns> = on_engine!(c, c => {
        sqlx::query_as(SQL).bind(scope.key()).bind(after).bind(state).bind(limit).fetch_all(c).await?
    });
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Deployments that should be running and that nobody runs any more.
///
/// # Errors
/// When the database fails.
pub async fn list_abandoned(c: &mut Connection, now: Timestamp, limit: i64) -> Result<Vec<DeploymentRow>, Error> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM deployments WHERE state = 'Running' AND lease_until < $1 ORDER BY lease_until LIMIT $2"
    );
    let rows: Vec<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(now.0).bind(limit).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Removes a deployment with its operations. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, id: &ResourceId) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM deployments WHERE deployment_key = $1";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(id.key()).execute(c).await?.rows_affected()) > 0)
}

/// Removes the deployments to a scope that is deleted.
///
/// # Errors
/// When the database fails.
pub async fn delete_in(c: &mut Connection, scope: &ResourceId) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM deployments WHERE scope_key = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(scope.key()).execute(c).await?; });
    Ok(())
}

/// Removes the oldest deployments to a scope, so that at most `keep` are left; those that run stay.
///
/// # Errors
/// When the database fails.
pub async fn delete_oldest(c: &mut Connection, scope: &ResourceId, keep: i64) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM deployments WHERE state <> 'Running' AND id IN (
            SELECT id FROM deployments WHERE scope_key = $1 ORDER BY started_at DESC, id DESC LIMIT 1000000 OFFSET $2)";
    on_engine!(c, c => { sqlx::query(SQL).bind(scope.key()).bind(keep).execute(c).await?; });
    Ok(())
}

/// Notes what a deployment did. Does nothing once another run has taken its place.
///
/// # Errors
/// When the database fails.
pub async fn insert_operation(
    c: &mut Connection,
    row: i64,
    run_id: Uuid,
    new: &DeploymentOperationRow,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO deployment_operations (deployment_row, sequence, operation_id, kind, state, status_code, target,
            symbolic_name, error, started_at, ended_at)
         SELECT d.id, COALESCE((SELECT MAX(o.sequence) FROM deployment_operations o WHERE o.deployment_row = d.id), 0) + 1,
            $3, $4, $5, $6, $7, $8, $9, $10, $11
         FROM deployments d WHERE d.id = $1 AND d.run_id = $2";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row)
            .bind(run_id.to_string())
            .bind(&new.operation_id)
            .bind(&new.kind)
            .bind(new.state.as_str())
            .bind(&new.status_code)
            .bind(new.target.as_ref().map(ResourceId::as_str))
            .bind(&new.symbolic_name)
            .bind(new.error.as_ref().map(to_json))
            .bind(new.started_at.0)
            .bind(new.ended_at.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

#[derive(sqlx::FromRow)]
struct OperationColumns {
    operation_id: String,
    kind: String,
    state: String,
    status_code: String,
    target: Option<String>,
    symbolic_name: Option<String>,
    error: Option<String>,
    started_at: i64,
    ended_at: i64,
}

/// What a deployment did, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_operations(c: &mut Connection, row: i64) -> Result<Vec<DeploymentOperationRow>, Error> {
    const SQL: &str =
        "SELECT operation_id, kind, state, status_code, target, symbolic_name, error, started_at, ended_at
         FROM deployment_operations WHERE deployment_row = $1 ORDER BY sequence DESC";
    let rows: Vec<OperationColumns> = on_engine!(c, c => sqlx::query_as(SQL).bind(row).fetch_all(c).await?);
    let read = |row: OperationColumns| {
        Ok(DeploymentOperationRow {
            operation_id: row.operation_id,
            kind: row.kind,
            state: parse("operation state", &row.state)?,
            status_code: row.status_code,
            target: row.target.map(|id| parse("resource id", &id)).transpose()?,
            symbolic_name: row.symbolic_name,
            error: row.error.map(|text| parse_json("operation error", &text)).transpose()?,
            started_at: Timestamp(row.started_at),
            ended_at: Timestamp(row.ended_at),
        })
    };
    rows.into_iter().map(read).collect()
}
