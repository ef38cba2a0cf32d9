//! Repositories and their counters.

use wharf_model::{RegistryId, RepositoryId, RepositoryName, Timestamp};

use crate::connection::on_engine;
use crate::{Connection, Error};

/// Finds a repository, also one that holds no manifest (yet).
///
/// # Errors
/// When the database fails.
pub async fn find(
    c: &mut Connection,
    registry: RegistryId,
    name: &RepositoryName,
) -> Result<Option<RepositoryId>, Error> {
    const SQL: &str = "SELECT id FROM repositories WHERE registry_id = $1 AND name = $2";
    let id: Option<i64> =
        on_engine!(c, c => sqlx::query_scalar(SQL).bind(registry.0).bind(name.as_str()).fetch_optional(c).await?);
    Ok(id.map(RepositoryId))
}

/// Finds a repository that shows: one that holds a manifest.
///
/// # Errors
/// When the database fails.
pub async fn find_shown(
    c: &mut Connection,
    registry: RegistryId,
    name: &RepositoryName,
) -> Result<Option<RepositoryId>, Error> {
    const SQL: &str = "SELECT id FROM repositories WHERE registry_id = $1 AND name = $2 AND manifest_count > 0";
    let id: Option<i64> =
        on_engine!(c, c => sqlx::query_scalar(SQL).bind(registry.0).bind(name.as_str()).fetch_optional(c).await?);
    Ok(id.map(RepositoryId))
}

/// Finds a repository or makes it, and keeps it from being removed until the transaction ends. Others may do the same at
/// the same time.
///
/// # Errors
/// When the database fails.
pub async fn find_or_insert(
    c: &mut Connection,
    registry: RegistryId,
    name: &RepositoryName,
    now: Timestamp,
) -> Result<RepositoryId, Error> {
    const FIND_SQLITE: &str = "SELECT id FROM repositories WHERE registry_id = $1 AND name = $2";
    const FIND_POSTGRES: &str = "SELECT id FROM repositories WHERE registry_id = $1 AND name = $2 FOR KEY SHARE";
    const INSERT: &str = "INSERT INTO repositories (registry_id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)
         ON CONFLICT (registry_id, name) DO NOTHING RETURNING id";
    let find = if matches!(c, Connection::Sqlite(_)) { FIND_SQLITE } else { FIND_POSTGRES };
    loop {
        let found: Option<i64> = on_engine!(&mut *c, c => {
            sqlx::query_scalar(find).bind(registry.0).bind(name.as_str()).fetch_optional(c).await?
        });
        if let Some(id) = found {
            return Ok(RepositoryId(id));
        }
        let inserted: Option<i64> = on_engine!(&mut *c, c => {
            sqlx::query_scalar(INSERT).bind(registry.0).bind(name.as_str()).bind(now.0).fetch_optional(c).await?
        });
        if let Some(id) = inserted {
            return Ok(RepositoryId(id));
        }
    }
}

/// Keeps everybody else from writing to a repository until the transaction ends: for changes that look at several
/// manifests before they act. To be taken before any row of the repository.
///
/// # Errors
/// When the database fails.
pub async fn lock(c: &mut Connection, id: RepositoryId) -> Result<(), Error> {
    // SQLite has one writer.
    if let Connection::Postgres(c) = c {
        const SQL: &str = "SELECT id FROM repositories WHERE id = $1 FOR UPDATE";
        sqlx::query(SQL).bind(id.0).execute(&mut **c).await?;
    }
    Ok(())
}

/// Adds to the counters of a repository. When its first manifest arrives, it is created as users see it.
///
/// # Errors
/// When the database fails.
pub async fn count(
    c: &mut Connection,
    id: RepositoryId,
    manifests: i64,
    tags: i64,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE repositories SET
            created_at = CASE WHEN manifest_count = 0 THEN $4 ELSE created_at END,
            manifest_count = manifest_count + $2, tag_count = tag_count + $3, updated_at = $4 WHERE id = $1";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(id.0).bind(manifests).bind(tags).bind(now.0).execute(c).await?;
    });
    Ok(())
}

/// Lists the repositories that show, by name, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list_shown(
    c: &mut Connection,
    registry: RegistryId,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    const SQL: &str = "SELECT name FROM repositories WHERE registry_id = $1 AND name > $2 AND manifest_count > 0
         ORDER BY name LIMIT $3";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(registry.0).bind(after).bind(limit).fetch_all(c).await?))
}
