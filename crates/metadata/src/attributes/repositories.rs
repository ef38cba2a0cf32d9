//! Attributes and locks of repositories.

use wharf_model::{Locks, RegistryId, RepositoryId, RepositoryName, Timestamp};

use super::LockColumns;
use crate::connection::on_engine;
use crate::error::to_json;
use crate::pulls::{PullColumns, Pulls};
use crate::repositories::patterns_of;
use crate::sizes::RepositorySize;
use crate::{Connection, Error};

/// A repository as the metadata API shows it.
#[derive(Clone, Debug)]
pub struct RepositoryAttributes {
    /// Its row.
    pub id: RepositoryId,
    /// Its name.
    pub name: String,
    /// When its first manifest was pushed.
    pub created_at: Timestamp,
    /// When something was last pushed to it or deleted from it.
    pub updated_at: Timestamp,
    /// How many manifests it holds.
    pub manifest_count: i64,
    /// How many tags it has.
    pub tag_count: i64,
    /// Its locks.
    pub locks: Locks,
    /// Patterns of tags that are set once in it.
    pub write_once_tags: Vec<String>,
    /// Its bytes, as far as they are counted.
    pub size: RepositorySize,
    /// How its manifests were pulled, together.
    pub pulls: Option<Pulls>,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    name: String,
    created_at: i64,
    updated_at: i64,
    manifest_count: i64,
    tag_count: i64,
    write_once_tags: Option<String>,
    #[sqlx(flatten)]
    locks: LockColumns,
    #[sqlx(flatten)]
    size: RepositorySize,
    #[sqlx(flatten)]
    pulls: PullColumns,
}

impl TryFrom<Columns> for RepositoryAttributes {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        Ok(Self {
            id: RepositoryId(row.id),
            name: row.name,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            manifest_count: row.manifest_count,
            tag_count: row.tag_count,
            locks: row.locks.into(),
            write_once_tags: patterns_of(row.write_once_tags.as_deref())?,
            size: row.size,
            pulls: row.pulls.into(),
        })
    }
}

/// A statement that selects [`Columns`] of `r`, `s` and `p`.
macro_rules! select {
    ($from:literal) => {
        concat!(
            "SELECT r.id, r.name, r.created_at, r.updated_at, r.manifest_count, r.tag_count, r.write_once_tags,
                r.delete_enabled, r.write_enabled, r.read_enabled, r.list_enabled,
                COALESCE(s.logical_bytes, 0) AS logical_bytes, COALESCE(s.unique_bytes, 0) AS unique_bytes,
                p.pull_count, p.pulled_at ",
            $from
        )
    };
}

/// Finds a repository that shows: one that holds a manifest.
///
/// # Errors
/// When the database fails.
pub async fn find_repository(
    c: &mut Connection,
    registry: RegistryId,
    name: &RepositoryName,
) -> Result<Option<RepositoryAttributes>, Error> {
    const SQL: &str = select!(
        "FROM repositories r LEFT JOIN repository_sizes s ON s.repository_id = r.id
         LEFT JOIN repository_pulls p ON p.repository_id = r.id AND p.created_at = r.created_at
         WHERE r.registry_id = $1 AND r.name = $2 AND r.manifest_count > 0"
    );
    let row: Option<Columns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(registry.0).bind(name.as_str()).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// Behind what a part of the list of repositories begins, in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryPosition {
    /// By name; the empty name is before all.
    Name(String),
    /// The largest first; those that hold no bytes are not in this list.
    Size(i64, RepositoryId),
    /// The one that was pulled last first; those that never were are not in this list.
    Pulled(Timestamp, RepositoryId),
}

/// A part of the repositories that hold a manifest, also of those that a lock hides from the catalog.
///
/// # Errors
/// When the database fails.
pub async fn list_repositories(
    c: &mut Connection,
    registry: RegistryId,
    after: &RepositoryPosition,
    limit: i64,
) -> Result<Vec<RepositoryAttributes>, Error> {
    const BY_NAME: &str = select!(
        "FROM repositories r LEFT JOIN repository_sizes s ON s.repository_id = r.id
         LEFT JOIN repository_pulls p ON p.repository_id = r.id AND p.created_at = r.created_at
         WHERE r.registry_id = $1 AND r.name > $2 AND r.manifest_count > 0 ORDER BY r.name LIMIT $3"
    );
    const BY_SIZE: &str = select!(
        "FROM repository_sizes s JOIN repositories r ON r.id = s.repository_id
         LEFT JOIN repository_pulls p ON p.repository_id = r.id AND p.created_at = r.created_at
         WHERE s.registry_id = $1 AND (s.logical_bytes, s.repository_id) < ($2, $3) AND r.manifest_count > 0
         ORDER BY s.logical_bytes DESC, s.repository_id DESC LIMIT $4"
    );
    const BY_PULL: &str = select!(
        "FROM repository_pulls p JOIN repositories r ON r.id = p.repository_id AND p.created_at = r.created_at
         LEFT JOIN repository_sizes s ON s.repository_id = r.id
         WHERE p.registry_id = $1 AND (p.pulled_at, p.repository_id) < ($2, $3) AND r.manifest_count > 0
         ORDER BY p.pulled_at DESC, p.repository_id DESC LIMIT $4"
    );
    let place = match after {
        RepositoryPosition::Name(name) => {
            let rows: Vec<Columns> = on_engine!(c, c => {
                sqlx::query_as(BY_NAME).bind(registry.0).bind(name).bind(limit).fetch_all(c).await?
            });
            return rows.into_iter().map(TryInto::try_into).collect();
        }
        RepositoryPosition::Size(bytes, id) => (BY_SIZE, *bytes, id.0),
        RepositoryPosition::Pulled(time, id) => (BY_PULL, time.0, id.0),
    };
    let (sql, value, id) = place;
    let rows: Vec<Columns> = on_engine!(c, c => {
        sqlx::query_as(sql).bind(registry.0).bind(value).bind(id).bind(limit).fetch_all(c).await?
    });
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Sets the patterns of tags that are set once in a repository.
///
/// # Errors
/// When the database fails.
pub async fn put_write_once_tags(c: &mut Connection, id: RepositoryId, patterns: &[String]) -> Result<(), Error> {
    const SQL: &str = "UPDATE repositories SET write_once_tags = $2 WHERE id = $1";
    let patterns = (!patterns.is_empty()).then(|| to_json(&patterns));
    on_engine!(c, c => { sqlx::query(SQL).bind(id.0).bind(patterns).execute(c).await?; });
    Ok(())
}

/// Sets the locks of a repository.
///
/// # Errors
/// When the database fails.
pub async fn put_repository_locks(c: &mut Connection, id: RepositoryId, locks: Locks) -> Result<(), Error> {
    const SQL: &str = "UPDATE repositories SET delete_enabled = $2, write_enabled = $3, read_enabled = $4,
            list_enabled = $5 WHERE id = $1";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(id.0)
            .bind(locks.delete_enabled)
            .bind(locks.write_enabled)
            .bind(locks.read_enabled)
            .bind(locks.list_enabled)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// The digests of all manifests of a repository and the names of all its tags, in order.
///
/// # Errors
/// When the database fails.
pub async fn list_names(c: &mut Connection, id: RepositoryId) -> Result<(Vec<String>, Vec<String>), Error> {
    const MANIFESTS: &str = "SELECT digest FROM manifests WHERE repository_id = $1 ORDER BY digest";
    const TAGS: &str = "SELECT name FROM tags WHERE repository_id = $1 ORDER BY name";
    let manifests = on_engine!(&mut *c, c => sqlx::query_scalar(MANIFESTS).bind(id.0).fetch_all(c).await?);
    let tags = on_engine!(c, c => sqlx::query_scalar(TAGS).bind(id.0).fetch_all(c).await?);
    Ok((manifests, tags))
}
