//! Values that clients keep with repositories, tags and manifests, each under a key. They go with what they belong to.

use wharf_model::{ManifestId, RepositoryId, Tag, Timestamp};

use crate::connection::on_engine;
use crate::{Connection, Error};

/// What values belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A repository.
    Repository(RepositoryId),
    /// A tag; the repository is its own.
    Tag(RepositoryId, Tag),
    /// A manifest.
    Manifest(ManifestId),
}

impl Owner {
    /// The owner as three statements know it: a number and, for a tag, its name.
    fn parts(&self) -> (i64, &str) {
        match self {
            Self::Repository(id) => (id.0, ""),
            Self::Tag(id, tag) => (id.0, tag.as_str()),
            Self::Manifest(id) => (id.0, ""),
        }
    }
}

/// Lists the keys of an owner, in order.
///
/// # Errors
/// When the database fails.
pub async fn list_keys(c: &mut Connection, owner: &Owner) -> Result<Vec<String>, Error> {
    // A repository that was emptied and begun anew keeps its row, but nothing of what it was.
    const REPOSITORY: &str = "SELECT v.key FROM repository_values v JOIN repositories r ON r.id = v.repository_id
         WHERE v.repository_id = $1 AND $2 = '' AND v.set_at >= r.created_at ORDER BY v.key";
    const TAG: &str = "SELECT key FROM tag_values WHERE repository_id = $1 AND tag = $2 ORDER BY key";
    const MANIFEST: &str = "SELECT key FROM manifest_values WHERE manifest_id = $1 AND $2 = '' ORDER BY key";
    let (sql, (id, tag)) = (of(owner, [REPOSITORY, TAG, MANIFEST]), owner.parts());
    Ok(on_engine!(c, c => sqlx::query_scalar(sql).bind(id).bind(tag).fetch_all(c).await?))
}

/// Finds the value of a key, as JSON.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, owner: &Owner, key: &str) -> Result<Option<String>, Error> {
    const REPOSITORY: &str = "SELECT v.value FROM repository_values v JOIN repositories r ON r.id = v.repository_id
         WHERE v.repository_id = $1 AND $2 = '' AND v.key = $3 AND v.set_at >= r.created_at";
    const TAG: &str = "SELECT value FROM tag_values WHERE repository_id = $1 AND tag = $2 AND key = $3";
    const MANIFEST: &str = "SELECT value FROM manifest_values WHERE manifest_id = $1 AND $2 = '' AND key = $3";
    let (sql, (id, tag)) = (of(owner, [REPOSITORY, TAG, MANIFEST]), owner.parts());
    Ok(on_engine!(c, c => sqlx::query_scalar(sql).bind(id).bind(tag).bind(key).fetch_optional(c).await?))
}

/// Sets the value of a key. The owner must exist.
///
/// # Errors
/// When the database fails.
pub async fn put(c: &mut Connection, owner: &Owner, key: &str, value: &str, now: Timestamp) -> Result<(), Error> {
    const REPOSITORY: &str = "INSERT INTO repository_values (repository_id, key, value, set_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (repository_id, key) DO UPDATE SET value = excluded.value, set_at = excluded.set_at";
    const TAG: &str = "INSERT INTO tag_values (repository_id, tag, key, value) VALUES ($1, $2, $3, $4)
         ON CONFLICT (repository_id, tag, key) DO UPDATE SET value = excluded.value";
    const MANIFEST: &str = "INSERT INTO manifest_values (manifest_id, key, value) VALUES ($1, $2, $3)
         ON CONFLICT (manifest_id, key) DO UPDATE SET value = excluded.value";
    match owner {
        Owner::Repository(id) => on_engine!(c, c => {
            sqlx::query(REPOSITORY).bind(id.0).bind(key).bind(value).bind(now.0).execute(c).await?;
        }),
        Owner::Tag(id, tag) => on_engine!(c, c => {
            sqlx::query(TAG).bind(id.0).bind(tag.as_str()).bind(key).bind(value).execute(c).await?;
        }),
        Owner::Manifest(id) => on_engine!(c, c => {
            sqlx::query(MANIFEST).bind(id.0).bind(key).bind(value).execute(c).await?;
        }),
    }
    Ok(())
}

/// Removes a key with its value. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, owner: &Owner, key: &str) -> Result<bool, Error> {
    const REPOSITORY: &str = "DELETE FROM repository_values WHERE repository_id = $1 AND $2 = '' AND key = $3
            AND set_at >= (SELECT created_at FROM repositories WHERE id = $1)";
    const TAG: &str = "DELETE FROM tag_values WHERE repository_id = $1 AND tag = $2 AND key = $3";
    const MANIFEST: &str = "DELETE FROM manifest_values WHERE manifest_id = $1 AND $2 = '' AND key = $3";
    let (sql, (id, tag)) = (of(owner, [REPOSITORY, TAG, MANIFEST]), owner.parts());
    Ok(on_engine!(c, c => sqlx::query(sql).bind(id).bind(tag).bind(key).execute(c).await?.rows_affected()) > 0)
}

/// The statement for an owner: for repositories, tags and manifests.
fn of(owner: &Owner, statements: [&'static str; 3]) -> &'static str {
    let [repository, tag, manifest] = statements;
    match owner {
        Owner::Repository(_) => repository,
        Owner::Tag(..) => tag,
        Owner::Manifest(_) => manifest,
    }
}
