//! Tags.

use wharf_model::{ManifestId, RepositoryId, Tag, Timestamp};

use crate::connection::on_engine;
use crate::{Connection, Error};

/// What became of a tag that was to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Added,
    /// It was there and names the manifest now.
    Moved,
    /// A lock forbids it.
    Locked,
}

/// Points a tag at a manifest, unless it is locked against writing.
///
/// # Errors
/// When the database fails.
pub async fn put(
    c: &mut Connection,
    repository: RepositoryId,
    tag: &Tag,
    manifest: ManifestId,
    now: Timestamp,
) -> Result<Put, Error> {
    const UPDATE: &str = "UPDATE tags SET manifest_id = $3, updated_at = $4
         WHERE repository_id = $1 AND name = $2 AND write_enabled";
    const INSERT: &str = "INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = excluded.updated_at
         WHERE tags.write_enabled";
    for (sql, done) in [(UPDATE, Put::Moved), (INSERT, Put::Added)] {
        let rows = on_engine!(&mut *c, c => {
            sqlx::query(sql)
                .bind(repository.0)
                .bind(tag.as_str())
                .bind(manifest.0)
                .bind(now.0)
                .execute(c)
                .await?
                .rows_affected()
        });
        if rows > 0 {
            return Ok(done);
        }
    }
    Ok(Put::Locked)
}

/// Removes a tag; its manifest stays. Returns the digest that it named, or `None` when there is no such tag.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, repository: RepositoryId, tag: &Tag) -> Result<Option<String>, Error> {
    const SQL: &str = "DELETE FROM tags WHERE repository_id = $1 AND name = $2
         RETURNING (SELECT digest FROM manifests WHERE manifests.id = tags.manifest_id)";
    Ok(on_engine!(c, c => {
        sqlx::query_scalar(SQL).bind(repository.0).bind(tag.as_str()).fetch_optional(c).await?
    }))
}

/// Removes all tags of a manifest and returns their names.
///
/// # Errors
/// When the database fails.
pub async fn delete_of_manifest(c: &mut Connection, manifest: ManifestId) -> Result<Vec<String>, Error> {
    const SQL: &str = "DELETE FROM tags WHERE manifest_id = $1 RETURNING name";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(manifest.0).fetch_all(c).await?))
}

/// Lists the tags that no lock hides, by name, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list(c: &mut Connection, repository: RepositoryId, after: &str, limit: i64) -> Result<Vec<String>, Error> {
    const SQL: &str =
        "SELECT name FROM tags WHERE repository_id = $1 AND name > $2 AND list_enabled ORDER BY name LIMIT $3";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(repository.0).bind(after).bind(limit).fetch_all(c).await?))
}
