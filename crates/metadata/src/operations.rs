//! Long-running operations, as those see them who poll.

use serde_json::Value;
use uuid::Uuid;
use wharf_model::{JobId, ResourceId, Timestamp};

use crate::connection::on_engine;
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error};

/// An operation.
#[derive(Clone, Debug, PartialEq)]
pub struct OperationRow {
    /// Its id.
    pub id: Uuid,
    /// What it is done to.
    pub resource_id: ResourceId,
    /// How it goes.
    pub status: Status,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed: ARM's error, what stands under `error`.
    pub error: Option<Value>,
    /// What came of it.
    pub result: Option<Value>,
    /// The job that does it, where one does.
    pub job: Option<JobId>,
    /// How far that job says it is.
    pub progress: Option<Value>,
}

/// How an operation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It goes on.
    InProgress,
    /// It is done.
    Succeeded,
    /// It was given up.
    Failed,
    /// It was called off.
    Canceled,
}

impl Status {
    /// The word of `status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let all = [Self::InProgress, Self::Succeeded, Self::Failed, Self::Canceled];
        all.into_iter().find(|status| status.as_str() == word).ok_or(())
    }
}

/// Notes that an operation begins.
///
/// # Errors
/// When the database fails.
pub async fn insert(c: &mut Connection, id: Uuid, resource: &ResourceId, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO operations (id, resource_id, status, started_at) VALUES ($1, $2, $3, $4)";
    let status = Status::InProgress.as_str();
    on_engine!(c, c => {
        sqlx::query(SQL).bind(id.to_string()).bind(resource.as_str()).bind(status).bind(now.0).execute(c).await?;
    });
    Ok(())
}

/// Notes that a job does it.
///
/// # Errors
/// When the database fails.
pub async fn attach_job(c: &mut Connection, id: Uuid, job: JobId) -> Result<(), Error> {
    const SQL: &str = "UPDATE operations SET job_id = $2 WHERE id = $1";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(id.to_string()).bind(job.to_string()).execute(c).await?;
    });
    Ok(())
}

/// Finds an operation. One whose job went with its registry was called off by that.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, id: Uuid) -> Result<Option<OperationRow>, Error> {
    const SQL: &str = "SELECT o.resource_id, o.status, o.started_at, o.ended_at, o.error, o.result,
                              o.job_id, j.id IS NOT NULL, j.progress
         FROM operations o LEFT JOIN jobs j ON j.id = o.job_id WHERE o.id = $1";
    type Columns =
        (String, String, i64, Option<i64>, Option<String>, Option<String>, Option<String>, bool, Option<String>);
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(id.to_string()).fetch_optional(c).await?);
    let Some((resource_id, status, started_at, ended_at, error, result, job, has_job, progress)) = row else {
        return Ok(None);
    };
    let mut status = parse("operation status", &status)?;
    if status == Status::InProgress && job.is_some() && !has_job {
        status = Status::Canceled;
    }
    Ok(Some(OperationRow {
        id,
        resource_id: parse("resource id", &resource_id)?,
        status,
        started_at: Timestamp(started_at),
        ended_at: ended_at.map(Timestamp),
        error: error.map(|text| parse_json("operation error", &text)).transpose()?,
        result: result.map(|text| parse_json("operation result", &text)).transpose()?,
        job: job.map(|text| parse("job id", &text)).transpose()?,
        progress: progress.map(|text| parse_json("job progress", &text)).transpose()?,
    }))
}

/// Notes how an operation ended, unless it has ended before.
///
/// # Errors
/// When the database fails.
pub async fn end(
    c: &mut Connection,
    id: Uuid,
    status: Status,
    error: Option<&Value>,
    result: Option<&Value>,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE operations SET status = $2, error = $3, result = $4, ended_at = $5
         WHERE id = $1 AND ended_at IS NULL";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(id.to_string())
            .bind(status.as_str())
            .bind(error.map(to_json))
            .bind(result.map(to_json))
            .bind(now.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Operations on a resource that have not ended.
///
/// # Errors
/// When the database fails.
pub async fn list_open(c: &mut Connection, resource: &ResourceId) -> Result<Vec<Uuid>, Error> {
    const SQL: &str = "SELECT id FROM operations WHERE resource_id = $1 AND ended_at IS NULL";
    let rows: Vec<String> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(resource.as_str()).fetch_all(c).await?);
    rows.iter().map(|id| parse("operation id", id)).collect()
}

/// Forgets operations that ended before an instant, and those that began before it and lost their job. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn delete_ended(c: &mut Connection, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM operations WHERE ended_at < $1
            OR (ended_at IS NULL AND started_at < $1 AND job_id IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = operations.job_id))";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(before.0).execute(c).await?.rows_affected()))
}
