//! Repositories and their counters.

use wharf_model::{Locks, RegistryId, RepositoryId, RepositoryName, Timestamp};

use crate::attributes::LockColumns;
use crate::connection::on_engine;
use crate::error::parse_json;
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

/// A repository that is about to be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writable {
    /// Its row.
    pub id: RepositoryId,
    /// Whether a lock lets it be written to.
    pub write_enabled: bool,
    /// Patterns of tags that are set once in it.
    pub write_once_tags: Vec<String>,
}

/// Finds a repository or makes it, and keeps it, and every lock in it, as they are until the transaction ends. Others may do
/// the same at the same time.
///
/// # Errors
/// When the database fails.
pub async fn find_or_insert(
    c: &mut Connection,
    registry: RegistryId,
    name: &RepositoryName,
    now: Timestamp,
) -> Result<Writable, Error> {
    const FIND_SQLITE: &str =
        "SELECT id, write_enabled, write_once_tags FROM repositories WHERE registry_id = $1 AND name = $2";
    const FIND_POSTGRES: &str = "SELECT id, write_enabled, write_once_tags FROM repositories
         WHERE registry_id = $1 AND name = $2 FOR KEY SHARE";
    const INSERT: &str = "INSERT INTO repositories (registry_id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)
         ON CONFLICT (registry_id, name) DO NOTHING RETURNING id";
    let find = if matches!(c, Connection::Sqlite(_)) { FIND_SQLITE } else { FIND_POSTGRES };
    loop {
        let found: Option<(i64, bool, Option<String>)> = on_engine!(&mut *c, c => {
            sqlx::query_as(find).bind(registry.0).bind(name.as_str()).fetch_optional(c).await?
        });
        if let Some((id, write_enabled, patterns)) = found {
            let write_once_tags = patterns_of(patterns.as_deref())?;
            return Ok(Writable { id: RepositoryId(id), write_enabled, write_once_tags });
        }
        let inserted: Option<i64> = on_engine!(&mut *c, c => {
            sqlx::query_scalar(INSERT).bind(registry.0).bind(name.as_str()).bind(now.0).fetch_optional(c).await?
        });
        if let Some(id) = inserted {
            return Ok(Writable { id: RepositoryId(id), write_enabled: true, write_once_tags: Vec::new() });
        }
    }
}

/// Patterns of tags as kept.
pub(crate) fn patterns_of(column: Option<&str>) -> Result<Vec<String>, Error> {
    column.map_or(Ok(Vec::new()), |text| parse_json("patterns of tags", text))
}

/// Keeps everybody else from writing to a repository until the transaction ends: for changes that look at several
/// manifests before they act, and for changes of locks. To be taken before any row of the repository. Returns the
/// repository's own locks, or `None` when it was deleted meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn lock(c: &mut Connection, id: RepositoryId) -> Result<Option<Locks>, Error> {
    const SQLITE: &str = "SELECT delete_enabled, write_enabled, read_enabled, list_enabled
         FROM repositories WHERE id = $1 AND deleted_at IS NULL";
    const POSTGRES: &str = "SELECT delete_enabled, write_enabled, read_enabled, list_enabled
         FROM repositories WHERE id = $1 AND deleted_at IS NULL FOR UPDATE";
    // SQLite has one writer.
    let sql = if matches!(c, Connection::Sqlite(_)) { SQLITE } else { POSTGRES };
    let found: Option<LockColumns> = on_engine!(c, c => sqlx::query_as(sql).bind(id.0).fetch_optional(c).await?);
    Ok(found.map(Into::into))
}

/// Finds a repository or makes it, and keeps everybody else from writing to it until the transaction ends, as [`lock`] does.
///
/// # Errors
/// When the database fails.
pub async fn lock_or_insert(
    c: &mut Connection,
    registry: RegistryId,
    name: &RepositoryName,
    now: Timestamp,
) -> Result<(RepositoryId, Locks), Error> {
    const INSERT: &str = "INSERT INTO repositories (registry_id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)
         ON CONFLICT (registry_id, name) DO NOTHING";
    loop {
        if let Some(id) = find(c, registry, name).await?
            && let Some(locks) = lock(c, id).await?
        {
            return Ok((id, locks));
        }
        on_engine!(&mut *c, c => {
            sqlx::query(INSERT).bind(registry.0).bind(name.as_str()).bind(now.0).execute(c).await?;
        });
    }
}

/// Keeps a repository and its locks as they are until the transaction ends, as [`find_or_insert`] does. Returns whether a
/// lock lets it be written to, or `None` when it was deleted meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn keep(c: &mut Connection, id: RepositoryId) -> Result<Option<bool>, Error> {
    const SQLITE: &str = "SELECT write_enabled FROM repositories WHERE id = $1 AND deleted_at IS NULL";
    const POSTGRES: &str = "SELECT write_enabled FROM repositories WHERE id = $1 AND deleted_at IS NULL FOR KEY SHARE";
    let sql = if matches!(c, Connection::Sqlite(_)) { SQLITE } else { POSTGRES };
    Ok(on_engine!(c, c => sqlx::query_scalar(sql).bind(id.0).fetch_optional(c).await?))
}

/// Adds to the counters of a repository. When its first manifest arrives, it is created as users see it; when its last one
/// goes, it ends, and its locks and patterns with it.
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
            delete_enabled = delete_enabled OR manifest_count + $2 = 0,
            write_enabled = write_enabled OR manifest_count + $2 = 0,
            read_enabled = read_enabled OR manifest_count + $2 = 0,
            list_enabled = list_enabled OR manifest_count + $2 = 0,
            write_once_tags = CASE WHEN manifest_count + $2 = 0 THEN NULL ELSE write_once_tags END,
            manifest_count = manifest_count + $2, tag_count = tag_count + $3, updated_at = $4 WHERE id = $1";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(id.0).bind(manifests).bind(tags).bind(now.0).execute(c).await?;
    });
    Ok(())
}

/// Lists the repositories that show and are not hidden by a lock, by name, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list_shown(
    c: &mut Connection,
    registry: RegistryId,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    const SQL: &str =
        "SELECT name FROM repositories WHERE registry_id = $1 AND name > $2 AND manifest_count > 0 AND list_enabled
         ORDER BY name LIMIT $3";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(registry.0).bind(after).bind(limit).fetch_all(c).await?))
}

/// Puts a repository out of sight: its name is free at once, and what it holds is no longer anybody's.
/// [`remove_some`] removes it later. To be called under [`lock`].
///
/// # Errors
/// When the database fails.
pub async fn hide(c: &mut Connection, id: RepositoryId, now: Timestamp) -> Result<(), Error> {
    // No repository has such a name.
    const SQL: &str = "UPDATE repositories SET name = $2, deleted_at = $3, manifest_count = 0, tag_count = 0,
            updated_at = $3 WHERE id = $1";
    let name = format!("~{}", id.0);
    on_engine!(c, c => { sqlx::query(SQL).bind(id.0).bind(name).bind(now.0).execute(c).await?; });
    Ok(())
}

/// The repositories that are out of sight since `before` or longer.
///
/// # Errors
/// When the database fails.
pub async fn list_hidden(c: &mut Connection, before: Timestamp) -> Result<Vec<RepositoryId>, Error> {
    const SQL: &str =
        "SELECT id FROM repositories WHERE deleted_at IS NOT NULL AND trash_id IS NULL AND deleted_at <= $1
         ORDER BY id";
    let ids: Vec<i64> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(before.0).fetch_all(c).await?);
    Ok(ids.into_iter().map(RepositoryId).collect())
}

/// Removes about `most` rows of what repositories hold that are out of sight, and at last their rows. Returns `false` once
/// nothing is left. Their blobs become garbage that the collector removes.
///
/// # Errors
/// When the database fails.
pub async fn remove_some(c: &mut Connection, ids: &[RepositoryId], most: i64) -> Result<bool, Error> {
    if ids.is_empty() {
        return Ok(false);
    }
    let list = ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(", ");
    let manifests = format!("SELECT id FROM manifests WHERE repository_id IN ({list}) ORDER BY id LIMIT {most}");
    // From the leaves to the root, since not every reference cascades.
    let tags = format!("DELETE FROM tags WHERE manifest_id IN ({manifests})");
    let manifests = format!("DELETE FROM manifests WHERE id IN ({manifests})");
    let links = format!(
        "DELETE FROM repository_blobs WHERE (repository_id, blob_id) IN (SELECT repository_id, blob_id
            FROM repository_blobs WHERE repository_id IN ({list}) ORDER BY repository_id, blob_id LIMIT {most})"
    );
    execute(c, tags).await?;
    if execute(c, manifests).await? > 0 || execute(c, links).await? > 0 {
        return Ok(true);
    }
    let objects = format!(
        "INSERT INTO doomed_objects (storage_key, size_bytes, doomed_at)
            SELECT storage_key, offset_bytes, expires_at FROM uploads WHERE repository_id IN ({list})
            ON CONFLICT (storage_key) DO NOTHING"
    );
    execute(c, objects).await?;
    execute(c, format!("DELETE FROM repositories WHERE id IN ({list})")).await?;
    Ok(false)
}

/// Runs a statement that holds nothing but numbers of ours.
async fn execute(c: &mut Connection, sql: String) -> Result<u64, Error> {
    let sql = sqlx::AssertSqlSafe(sql);
    Ok(on_engine!(c, c => sqlx::query(sql).execute(c).await?.rows_affected()))
}
