//! Jobs: work that is done later, or again, and who holds it.
//!
//! Whoever runs a job holds it under a lease. Each lease has a number, and everything that a holder writes names it: a
//! holder whose lease went to another changes nothing any more.

use serde_json::Value;
use uuid::Uuid;
use wharf_model::{JobId, RegistryId, Timestamp};

use crate::connection::{on_engine, placeholder_list};
use crate::error::{parse, parse_json, to_json};
use crate::{Connection, Error};

/// A job as kept.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// What kind of work it is: `purge.run`.
    pub kind: String,
    /// While it is open: no second one of the kind has this key.
    pub key: Option<String>,
    /// The registry that it belongs to, and with which it goes.
    pub registry: Option<RegistryId>,
    /// How it goes.
    pub state: State,
    /// What is to be done.
    pub payload: Value,
    /// From where the next attempt goes on.
    pub checkpoint: Option<Value>,
    /// What is shown of how far it is.
    pub progress: Option<Value>,
    /// What came of it.
    pub result: Option<Value>,
    /// Why the last attempt failed: `message`, and `details` where the worker gave some.
    pub error: Option<Value>,
    /// Attempts since the last checkpoint that was a new one, with the one that runs.
    pub attempts: i64,
    /// The number of the newest lease.
    pub lease_number: i64,
    /// When somebody may take it: while it is pending, from when on it is to run; while it runs, when the lease is over.
    pub due_at: Timestamp,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it ran first.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When somebody called it off.
    pub cancel_requested_at: Option<Timestamp>,
}

/// How a job goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It waits for its time, or for somebody to take it.
    Pending,
    /// Somebody holds it.
    Running,
    /// It is done.
    Succeeded,
    /// It was given up.
    Failed,
    /// It was called off.
    Canceled,
}

impl State {
    /// Every state.
    pub const EVERY: [Self; 5] = [Self::Pending, Self::Running, Self::Succeeded, Self::Failed, Self::Canceled];

    /// The word that is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
        }
    }
}

impl std::str::FromStr for State {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::EVERY.into_iter().find(|state| state.as_str() == word).ok_or(())
    }
}

/// A job that is enqueued.
#[derive(Clone, Debug)]
pub struct NewJobRow<'a> {
    /// Its id, unless one with the key is open.
    pub id: JobId,
    /// Its kind.
    pub kind: &'a str,
    /// Its key.
    pub key: Option<&'a str>,
    /// The registry that it belongs to.
    pub registry: Option<RegistryId>,
    /// What is to be done.
    pub payload: &'a Value,
    /// From when on it is to run.
    pub run_at: Timestamp,
}

/// What somebody takes who has room for a job.
#[derive(Clone, Debug)]
pub struct Taking<'a> {
    /// The kind of job.
    pub kind: &'a str,
    /// The lane whose turn it was last; lanes take turns.
    pub after_lane: i64,
    /// Lanes that have had their share.
    pub full_lanes: &'a [i64],
    /// Jobs that the holder runs already.
    pub running: &'a [JobId],
    /// Who takes it.
    pub holder: Uuid,
    /// The present.
    pub now: Timestamp,
    /// When the lease is over.
    pub lease_until: Timestamp,
}

/// A lease: the job, and which of its leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// The number.
    pub number: i64,
}

/// How a job ends.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// Succeeded, failed or canceled.
    pub state: State,
    /// What came of it.
    pub result: Option<&'a Value>,
    /// Why it failed.
    pub error: Option<&'a Value>,
}

/// Which jobs are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one kind.
    pub kind: Option<String>,
    /// In one state.
    pub state: Option<State>,
    /// Of one registry.
    pub registry: Option<RegistryId>,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    kind: String,
    open_key: Option<String>,
    registry_id: Option<i64>,
    state: String,
    payload: String,
    checkpoint: Option<String>,
    progress: Option<String>,
    result: Option<String>,
    error: Option<String>,
    attempts: i64,
    lease_number: i64,
    due_at: i64,
    created_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    cancel_requested_at: Option<i64>,
}

impl TryFrom<Columns> for JobRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        let json = |what, text: Option<String>| text.map(|text| parse_json(what, &text)).transpose();
        Ok(Self {
            id: parse("job id", &row.id)?,
            kind: row.kind,
            key: row.open_key,
            registry: row.registry_id.map(RegistryId),
            state: parse("job state", &row.state)?,
            payload: parse_json("job payload", &row.payload)?,
            checkpoint: json("job checkpoint", row.checkpoint)?,
            progress: json("job progress", row.progress)?,
            result: json("job result", row.result)?,
            error: json("job error", row.error)?,
            attempts: row.attempts,
            lease_number: row.lease_number,
            due_at: Timestamp(row.due_at),
            created_at: Timestamp(row.created_at),
            started_at: row.started_at.map(Timestamp),
            ended_at: row.ended_at.map(Timestamp),
            cancel_requested_at: row.cancel_requested_at.map(Timestamp),
        })
    }
}

/// The columns of [`Columns`].
macro_rules! columns {
    () => {
        "id, kind, open_key, registry_id, state, payload, checkpoint, progress, result, error, attempts, lease_number,
         due_at, created_at, started_at, ended_at, cancel_requested_at"
    };
}

/// What a holder may still write: the lease is the newest, and the job is open.
macro_rules! held {
    () => {
        " WHERE id = $1 AND lease_number = $2 AND state = 'Running'"
    };
}

/// Enqueues a job. If one of the kind with the key is open, it stays the only one; if it still waits, it runs as early
/// as either was to. Returns the id of the one that is open, and whether it is new.
///
/// # Errors
/// When the database fails.
pub async fn insert(c: &mut Connection, new: &NewJobRow<'_>, now: Timestamp) -> Result<(JobId, bool), Error> {
    const SQL: &str = "INSERT INTO jobs (id, kind, open_key, registry_id, lane, state, payload, due_at, created_at)
         VALUES ($1, $2, $3, $4, $5, 'Pending', $6, $7, $8)
         ON CONFLICT (kind, open_key) WHERE open_key IS NOT NULL DO UPDATE SET due_at =
            CASE WHEN jobs.state = 'Pending' AND excluded.due_at < jobs.due_at THEN excluded.due_at ELSE jobs.due_at END
         RETURNING id";
    let id = new.id.to_string();
    let registry = new.registry.map(|registry| registry.0);
    let open: String = on_engine!(c, c => {
        sqlx::query_scalar(SQL)
            .bind(&id)
            .bind(new.kind)
            .bind(new.key)
            .bind(registry)
            .bind(registry.unwrap_or(0))
            .bind(to_json(new.payload))
            .bind(new.run_at.0)
            .bind(now.0)
            .fetch_one(c)
            .await?
    });
    Ok((parse("job id", &open)?, open == id))
}

/// Finds a job.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, id: JobId) -> Result<Option<JobRow>, Error> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1");
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(id.to_string()).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// Finds the open job of a kind with a key.
///
/// # Errors
/// When the database fails.
pub async fn find_open(c: &mut Connection, kind: &str, key: &str) -> Result<Option<JobRow>, Error> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM jobs WHERE kind = $1 AND open_key = $2");
    let row: Option<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(kind).bind(key).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// Lists jobs, the newest first, that are older than the one given by its time and id.
///
/// # Errors
/// When the database fails.
pub async fn list(
    c: &mut Connection,
    filter: &Filter,
    before: Option<(Timestamp, JobId)>,
    limit: i64,
) -> Result<Vec<JobRow>, Error> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM jobs WHERE (created_at, id) < ($1, $2) AND ($3 = '' OR kind = $3) AND ($4 = '' OR state = $4)
            AND ($5 = 0 OR registry_id = $5)
         ORDER BY created_at DESC, id DESC LIMIT $6"
    );
    let (created_at, id) = before.map_or((i64::MAX, String::new()), |(at, id)| (at.0, id.to_string()));
    let rows: Vec<Columns> = on_engine!(c, c => {
        sqlx::query_as(SQL)
            .bind(created_at)
            .bind(id)
            .bind(filter.kind.as_deref().unwrap_or_default())
            .bind(filter.state.map_or("", State::as_str))
            .bind(filter.registry.map_or(0, |registry| registry.0))
            .bind(limit)
            .fetch_all(c)
            .await?
    });
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Of the kinds given, those that have a job that somebody may take, other than those that the asker runs.
///
/// # Errors
/// When the database fails.
pub async fn list_due_kinds(
    c: &mut Connection,
    kinds: &[&str],
    running: &[JobId],
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    let mut due = Vec::new();
    // A look-up for each: they are few, and each stops at the first row.
    for kind in kinds {
        let sql = format!(
            "SELECT 1 FROM jobs WHERE kind = $1 AND ended_at IS NULL AND due_at <= $2 AND id NOT IN ({}) LIMIT 1",
            ids_from(3, running)
        );
        let found: Option<i32> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(*kind).bind(now.0);
            for id in running {
                query = query.bind(id.to_string());
            }
            query.fetch_optional(c).await?
        });
        if found.is_some() {
            due.push((*kind).to_owned());
        }
    }
    Ok(due)
}

/// `$3, $4`, or what no id is in.
fn ids_from(first: usize, ids: &[JobId]) -> String {
    if ids.is_empty() { "''".to_owned() } else { placeholder_list(first, ids.len()) }
}

/// Takes the job that is due and whose lane's turn it is, under a new lease. Nobody else takes the same at the same time.
///
/// # Errors
/// When the database fails.
pub async fn lease(c: &mut Connection, taking: &Taking<'_>) -> Result<Option<JobRow>, Error> {
    let from = i64::from(taking.after_lane >= 0) * (taking.after_lane.saturating_add(1));
    match lease_in(c, taking, from).await? {
        None if from > 0 => lease_in(c, taking, 0).await,
        found => Ok(found),
    }
}

async fn lease_in(c: &mut Connection, taking: &Taking<'_>, first_lane: i64) -> Result<Option<JobRow>, Error> {
    let full = match taking.full_lanes.len() {
        0 => "-1".to_owned(),
        count => placeholder_list(7, count),
    };
    let running = ids_from(7 + taking.full_lanes.len(), taking.running);
    let skip_locked = match c {
        Connection::Sqlite(_) => "",
        Connection::Postgres(_) => "FOR UPDATE SKIP LOCKED",
    };
    let sql = format!(
        "UPDATE jobs SET state = 'Running', attempts = attempts + 1, lease_number = lease_number + 1, lease_holder = $4,
            due_at = $5, started_at = COALESCE(started_at, $6)
         WHERE id = (
            SELECT id FROM jobs WHERE kind = $1 AND ended_at IS NULL AND lane >= $2 AND due_at <= $3
                AND lane NOT IN ({full}) AND id NOT IN ({running})
            ORDER BY lane, due_at LIMIT 1 {skip_locked})
         RETURNING {}",
        columns!()
    );
    let row: Option<Columns> = on_engine!(c, c => {
        let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(taking.kind)
            .bind(first_lane)
            .bind(taking.now.0)
            .bind(taking.holder.to_string())
            .bind(taking.lease_until.0)
            .bind(taking.now.0);
        for lane in taking.full_lanes {
            query = query.bind(*lane);
        }
        for id in taking.running {
            query = query.bind(id.to_string());
        }
        query.fetch_optional(c).await?
    });
    row.map(TryInto::try_into).transpose()
}

/// Whether a lease holds, and if so, whether the job was called off meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn look(c: &mut Connection, lease: Lease) -> Result<Option<bool>, Error> {
    const SQL: &str = concat!("SELECT cancel_requested_at FROM jobs", held!());
    let row: Option<Option<i64>> = on_engine!(c, c => {
        sqlx::query_scalar(SQL).bind(lease.job.to_string()).bind(lease.number).fetch_optional(c).await?
    });
    Ok(row.map(|requested| requested.is_some()))
}

/// Makes sure that a lease holds until the transaction ends. Returns whether it does.
///
/// # Errors
/// When the database fails.
pub async fn fence(c: &mut Connection, lease: Lease) -> Result<bool, Error> {
    const SQL: &str = concat!("SELECT 1 FROM jobs", held!());
    const LOCKING: &str = concat!("SELECT 1 FROM jobs", held!(), " FOR UPDATE");
    let id = lease.job.to_string();
    let row: Option<i32> = match c {
        // There is one writer.
        Connection::Sqlite(c) => sqlx::query_scalar(SQL).bind(id).bind(lease.number).fetch_optional(&mut **c).await?,
        Connection::Postgres(c) => {
            sqlx::query_scalar(LOCKING).bind(id).bind(lease.number).fetch_optional(&mut **c).await?
        }
    };
    Ok(row.is_some())
}

/// Prolongs a lease, and notes the progress, if some is given. Returns what [`look`] does.
///
/// # Errors
/// When the database fails.
pub async fn renew(
    c: &mut Connection,
    lease: Lease,
    lease_until: Timestamp,
    progress: Option<&Value>,
) -> Result<Option<bool>, Error> {
    const SQL: &str = concat!(
        "UPDATE jobs SET due_at = $3, progress = COALESCE($4, progress)",
        held!(),
        " RETURNING cancel_requested_at"
    );
    let row: Option<Option<i64>> = on_engine!(c, c => {
        sqlx::query_scalar(SQL)
            .bind(lease.job.to_string())
            .bind(lease.number)
            .bind(lease_until.0)
            .bind(progress.map(to_json))
            .fetch_optional(c)
            .await?
    });
    Ok(row.map(|requested| requested.is_some()))
}

/// Notes from where the next attempt goes on. Attempts count anew when that is somewhere else than before. Returns
/// whether the lease holds.
///
/// # Errors
/// When the database fails.
pub async fn checkpoint(c: &mut Connection, lease: Lease, checkpoint: &Value) -> Result<bool, Error> {
    const SQL: &str = concat!(
        "UPDATE jobs SET checkpoint = $3, attempts = CASE WHEN checkpoint = $3 THEN attempts ELSE 1 END",
        held!()
    );
    let changed = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(lease.job.to_string())
            .bind(lease.number)
            .bind(to_json(checkpoint))
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(changed > 0)
}

/// Gives a job back before it is done, to be taken again from `due_at` on. Returns whether the lease held.
///
/// # Errors
/// When the database fails.
pub async fn give_back(
    c: &mut Connection,
    lease: Lease,
    due_at: Timestamp,
    attempt: Attempt<'_>,
    progress: Option<&Value>,
) -> Result<bool, Error> {
    const SQL: &str = concat!(
        "UPDATE jobs SET state = 'Pending', lease_holder = NULL, due_at = $3, error = COALESCE($4, error),
            progress = COALESCE($5, progress),
            attempts = CASE $6 WHEN 'failed' THEN attempts WHEN 'went on' THEN 0 ELSE attempts - 1 END",
        held!()
    );
    let (word, error) = match attempt {
        Attempt::Failed { error } => ("failed", Some(error)),
        Attempt::CutShort => ("cut short", None),
        Attempt::WentOn => ("went on", None),
    };
    let changed = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(lease.job.to_string())
            .bind(lease.number)
            .bind(due_at.0)
            .bind(error.map(to_json))
            .bind(progress.map(to_json))
            .bind(word)
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(changed > 0)
}

/// Why a job is given back.
#[derive(Clone, Copy, Debug)]
pub enum Attempt<'a> {
    /// The attempt failed.
    Failed {
        /// Why.
        error: &'a Value,
    },
    /// Whoever ran it has to end. The attempt does not count.
    CutShort,
    /// A part is done. Attempts count anew.
    WentOn,
}

/// Ends a job. Returns whether the lease held.
///
/// # Errors
/// When the database fails.
pub async fn end(
    c: &mut Connection,
    lease: Lease,
    ending: Ending<'_>,
    progress: Option<&Value>,
    now: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = concat!(
        "UPDATE jobs SET state = $3, result = $4, error = $5, progress = COALESCE($6, progress), ended_at = $7,
            open_key = NULL, lease_holder = NULL",
        held!()
    );
    let changed = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(lease.job.to_string())
            .bind(lease.number)
            .bind(ending.state.as_str())
            .bind(ending.result.map(to_json))
            .bind(ending.error.map(to_json))
            .bind(progress.map(to_json))
            .bind(now.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(changed > 0)
}

/// Asks that a job be called off. One that waits becomes due, so that whoever takes it can end it. Returns `false` when
/// there is no such job or it has ended.
///
/// # Errors
/// When the database fails.
pub async fn request_cancel(c: &mut Connection, id: JobId, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "UPDATE jobs SET cancel_requested_at = COALESCE(cancel_requested_at, $2),
            due_at = CASE WHEN state = 'Pending' AND due_at > $2 THEN $2 ELSE due_at END
         WHERE id = $1 AND ended_at IS NULL";
    let changed = on_engine!(c, c => {
        sqlx::query(SQL).bind(id.to_string()).bind(now.0).execute(c).await?.rows_affected()
    });
    Ok(changed > 0)
}

/// Ends all leases, so that the jobs can be taken at once. For a process that knows that nobody else runs any.
///
/// # Errors
/// When the database fails.
pub async fn void_leases(c: &mut Connection, now: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "UPDATE jobs SET due_at = $1 WHERE state = 'Running'";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(now.0).execute(c).await?.rows_affected()))
}

/// Counts open jobs by kind and state.
///
/// # Errors
/// When the database fails.
pub async fn count_open(c: &mut Connection) -> Result<Vec<(String, State, i64)>, Error> {
    const SQL: &str = "SELECT kind, state, COUNT(*) FROM jobs WHERE ended_at IS NULL GROUP BY kind, state";
    let rows: Vec<(String, String, i64)> = on_engine!(c, c => sqlx::query_as(SQL).fetch_all(c).await?);
    rows.into_iter().map(|(kind, state, count)| Ok((kind, parse("job state", &state)?, count))).collect()
}

/// Forgets up to `limit` jobs that ended before an instant. Returns how many.
///
/// # Errors
/// When the database fails.
pub async fn delete_ended(c: &mut Connection, before: Timestamp, limit: i64) -> Result<u64, Error> {
    const SQL: &str = "DELETE FROM jobs WHERE id IN (
            SELECT id FROM jobs WHERE ended_at IS NOT NULL AND ended_at < $1 ORDER BY ended_at LIMIT $2)";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(before.0).bind(limit).execute(c).await?.rows_affected()))
}
