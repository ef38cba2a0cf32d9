//! Upload sessions of which bytes were acknowledged.

use wharf_model::{Algorithm, RepositoryId, Timestamp, UploadId};

use crate::connection::on_engine;
use crate::error::parse;
use crate::{Connection, Error};

/// An upload session as kept.
#[derive(Clone, Debug)]
pub struct UploadRow {
    /// Its id.
    pub id: UploadId,
    /// The repository it belongs to.
    pub repository: RepositoryId,
    /// Where its bytes are.
    pub storage_key: String,
    /// The algorithm that its bytes are hashed with.
    pub algorithm: Algorithm,
    /// How many bytes were acknowledged.
    pub offset_bytes: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    repository_id: i64,
    storage_key: String,
    algorithm: String,
    offset_bytes: i64,
    started_at: i64,
    expires_at: i64,
}

impl TryFrom<Columns> for UploadRow {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        Ok(Self {
            id: parse("upload id", &row.id)?,
            repository: RepositoryId(row.repository_id),
            storage_key: row.storage_key,
            algorithm: parse("algorithm", &row.algorithm)?,
            offset_bytes: u64::try_from(row.offset_bytes).unwrap_or(0),
            started_at: Timestamp(row.started_at),
            expires_at: Timestamp(row.expires_at),
        })
    }
}

/// Finds a session of a repository.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, repository: RepositoryId, id: UploadId) -> Result<Option<UploadRow>, Error> {
    const SQL: &str = "SELECT id, repository_id, storage_key, algorithm, offset_bytes, started_at, expires_at
         FROM uploads WHERE id = $1 AND repository_id = $2";
    let row: Option<Columns> = on_engine!(c, c => {
        sqlx::query_as(SQL).bind(id.to_string()).bind(repository.0).fetch_optional(c).await?
    });
    row.map(TryInto::try_into).transpose()
}

/// Records a session's first acknowledged bytes.
///
/// # Errors
/// When the database fails.
pub async fn insert(c: &mut Connection, row: &UploadRow) -> Result<(), Error> {
    const SQL: &str =
        "INSERT INTO uploads (id, repository_id, storage_key, algorithm, offset_bytes, started_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(row.id.to_string())
            .bind(row.repository.0)
            .bind(&row.storage_key)
            .bind(row.algorithm.as_str())
            .bind(row.offset_bytes as i64)
            .bind(row.started_at.0)
            .bind(row.expires_at.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Records that a session has come further. Returns `false` when it was given up meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn advance(
    c: &mut Connection,
    id: UploadId,
    offset_bytes: u64,
    expires_at: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "UPDATE uploads SET offset_bytes = $2, expires_at = $3 WHERE id = $1";
    let rows = on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(id.to_string())
            .bind(offset_bytes as i64)
            .bind(expires_at.0)
            .execute(c)
            .await?
            .rows_affected()
    });
    Ok(rows > 0)
}

/// Forgets a session; its bytes are the caller's to keep or to doom. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, id: UploadId) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM uploads WHERE id = $1";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(id.to_string()).execute(c).await?.rows_affected()) > 0)
}

/// Forgets a session if it is still past its expiry. Returns whether it was.
///
/// # Errors
/// When the database fails.
pub async fn delete_expired(c: &mut Connection, id: UploadId, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM uploads WHERE id = $1 AND expires_at < $2";
    let rows = on_engine!(c, c => sqlx::query(SQL).bind(id.to_string()).bind(now.0).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// The sessions that are to be given up.
///
/// # Errors
/// When the database fails.
pub async fn list_expired(c: &mut Connection, now: Timestamp, limit: i64) -> Result<Vec<UploadRow>, Error> {
    const SQL: &str = "SELECT id, repository_id, storage_key, algorithm, offset_bytes, started_at, expires_at
         FROM uploads WHERE expires_at < $1 ORDER BY expires_at LIMIT $2";
    let rows: Vec<Columns> = on_engine!(c, c => sqlx::query_as(SQL).bind(now.0).bind(limit).fetch_all(c).await?);
    rows.into_iter().map(TryInto::try_into).collect()
}
