//! Attributes and locks of tags.

use sqlx::AssertSqlSafe;
use wharf_model::{Digest, Locks, ManifestId, RepositoryId, Tag, Timestamp};

use super::{LockColumns, Position, in_order};
use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::pulls::{PullColumns, Pulls};
use crate::{Connection, Error};

/// A tag as the metadata API shows it.
#[derive(Clone, Debug)]
pub struct TagAttributes {
    /// Its name.
    pub name: String,
    /// The digest of the manifest that it names.
    pub digest: String,
    /// When it was set first.
    pub created_at: Timestamp,
    /// When it was last set.
    pub updated_at: Timestamp,
    /// Its locks.
    pub locks: Locks,
    /// How it was pulled.
    pub pulls: Option<Pulls>,
}

#[derive(sqlx::FromRow)]
struct Columns {
    name: String,
    digest: String,
    created_at: i64,
    updated_at: i64,
    #[sqlx(flatten)]
    locks: LockColumns,
    #[sqlx(flatten)]
    pulls: PullColumns,
}

impl From<Columns> for TagAttributes {
    fn from(row: Columns) -> Self {
        Self {
            name: row.name,
            digest: row.digest,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            locks: row.locks.into(),
            pulls: row.pulls.into(),
        }
    }
}

/// Finds a tag.
///
/// # Errors
/// When the database fails.
pub async fn find_tag(c: &mut Connection, repository: RepositoryId, tag: &Tag) -> Result<Option<TagAttributes>, Error> {
    const SQL: &str = "SELECT t.name, m.digest, t.created_at, t.updated_at,
            t.delete_enabled, t.write_enabled, t.read_enabled, t.list_enabled, p.pull_count, p.pulled_at
         FROM tags t JOIN manifests m ON m.id = t.manifest_id
         LEFT JOIN tag_pulls p ON p.repository_id = t.repository_id AND p.name = t.name
         WHERE t.repository_id = $1 AND t.name = $2";
    let row: Option<Columns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(repository.0).bind(tag.as_str()).fetch_optional(c).await?);
    Ok(row.map(Into::into))
}

/// Those of these tags that are there, in no order.
///
/// # Errors
/// When the database fails.
pub async fn find_tags(
    c: &mut Connection,
    repository: RepositoryId,
    tags: &[&Tag],
) -> Result<Vec<TagAttributes>, Error> {
    let mut found = Vec::with_capacity(tags.len());
    for part in tags.chunks(VALUES_PER_STATEMENT) {
        let sql = format!(
            "SELECT t.name, m.digest, t.created_at, t.updated_at,
                t.delete_enabled, t.write_enabled, t.read_enabled, t.list_enabled, p.pull_count, p.pulled_at
             FROM tags t JOIN manifests m ON m.id = t.manifest_id
             LEFT JOIN tag_pulls p ON p.repository_id = t.repository_id AND p.name = t.name
             WHERE t.repository_id = $1 AND t.name IN ({})",
            placeholder_list(2, part.len())
        );
        let rows: Vec<Columns> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(repository.0);
            for tag in part {
                query = query.bind(tag.as_str());
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(Into::into));
    }
    Ok(found)
}

/// When a tag was last set.
///
/// # Errors
/// When the database fails.
pub async fn find_tag_time(
    c: &mut Connection,
    repository: RepositoryId,
    name: &str,
) -> Result<Option<Timestamp>, Error> {
    const SQL: &str = "SELECT updated_at FROM tags WHERE repository_id = $1 AND name = $2";
    let time: Option<i64> =
        on_engine!(c, c => sqlx::query_scalar(SQL).bind(repository.0).bind(name).fetch_optional(c).await?);
    Ok(time.map(Timestamp))
}

/// A part of the tags that are not hidden.
///
/// # Errors
/// When the database fails.
pub async fn list_tags(
    c: &mut Connection,
    repository: RepositoryId,
    after: &Position,
    limit: i64,
) -> Result<Vec<TagAttributes>, Error> {
    let sql = in_order!(
        after,
        "SELECT t.name, m.digest, t.created_at, t.updated_at,
            t.delete_enabled, t.write_enabled, t.read_enabled, t.list_enabled, p.pull_count, p.pulled_at
         FROM tags t JOIN manifests m ON m.id = t.manifest_id
         LEFT JOIN tag_pulls p ON p.repository_id = t.repository_id AND p.name = t.name
         WHERE t.repository_id = $1 AND t.list_enabled",
        "t",
        "name"
    );
    let (time, name) = after.values();
    let rows: Vec<Columns> = on_engine!(c, c => {
        sqlx::query_as(sql).bind(repository.0).bind(time).bind(name).bind(limit).fetch_all(c).await?
    });
    Ok(rows.into_iter().map(Into::into).collect())
}

/// A part of those of them that name one manifest.
///
/// # Errors
/// When the database fails.
pub async fn list_tags_of(
    c: &mut Connection,
    repository: RepositoryId,
    digest: &Digest,
    after: &Position,
    limit: i64,
) -> Result<Vec<TagAttributes>, Error> {
    let sql = in_order!(
        after,
        "SELECT t.name, m.digest, t.created_at, t.updated_at,
            t.delete_enabled, t.write_enabled, t.read_enabled, t.list_enabled, p.pull_count, p.pulled_at
         FROM manifests m JOIN tags t ON t.manifest_id = m.id AND t.repository_id = $1
         LEFT JOIN tag_pulls p ON p.repository_id = t.repository_id AND p.name = t.name
         WHERE m.repository_id = $1 AND m.digest = $5 AND t.list_enabled",
        "t",
        "name"
    );
    let (time, name) = after.values();
    let rows: Vec<Columns> = on_engine!(c, c => {
        sqlx::query_as(sql)
            .bind(repository.0)
            .bind(time)
            .bind(name)
            .bind(limit)
            .bind(digest.as_str())
            .fetch_all(c)
            .await?
    });
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Sets the locks of a tag.
///
/// # Errors
/// When the database fails.
pub async fn put_tag_locks(c: &mut Connection, repository: RepositoryId, tag: &Tag, locks: Locks) -> Result<(), Error> {
    const SQL: &str = "UPDATE tags SET delete_enabled = $3, write_enabled = $4, read_enabled = $5, list_enabled = $6
         WHERE repository_id = $1 AND name = $2";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(repository.0)
            .bind(tag.as_str())
            .bind(locks.delete_enabled)
            .bind(locks.write_enabled)
            .bind(locks.read_enabled)
            .bind(locks.list_enabled)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// What a lock keeps from being deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockedItem {
    /// The manifest of this digest.
    Manifest(String),
    /// The tag of this name.
    Tag(String),
}

/// One of these manifests, or of their tags, that a lock keeps from being deleted. With no manifests given, all of the
/// repository are looked at.
///
/// # Errors
/// When the database fails.
pub async fn find_locked(
    c: &mut Connection,
    repository: RepositoryId,
    manifests: &[ManifestId],
) -> Result<Option<LockedItem>, Error> {
    const ALL: &[ManifestId] = &[];
    let parts = if manifests.is_empty() { vec![ALL] } else { manifests.chunks(VALUES_PER_STATEMENT).collect() };
    for part in parts {
        let (ids, references) = match part.len() {
            0 => (String::new(), String::new()),
            count => {
                let list = placeholder_list(2, count);
                (format!("AND id IN ({list})"), format!("AND manifest_id IN ({list})"))
            }
        };
        const LOCKED: &str = "NOT (delete_enabled AND write_enabled)";
        let digest = format!("SELECT digest FROM manifests WHERE repository_id = $1 {ids} AND {LOCKED} LIMIT 1");
        let name = format!("SELECT name FROM tags WHERE repository_id = $1 {references} AND {LOCKED} LIMIT 1");
        for (sql, item) in [(digest, LockedItem::Manifest as fn(String) -> LockedItem), (name, LockedItem::Tag)] {
            let found: Option<String> = on_engine!(&mut *c, c => {
                let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(repository.0);
                for id in part {
                    query = query.bind(id.0);
                }
                query.fetch_optional(c).await?
            });
            if let Some(found) = found {
                return Ok(Some(item(found)));
            }
        }
    }
    Ok(None)
}
