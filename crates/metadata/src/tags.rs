//! Tags.

use sqlx::AssertSqlSafe;
use wharf_model::{Locks, ManifestId, RepositoryId, Tag, Timestamp};

use crate::attributes::LockColumns;
use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::{Connection, Error};

/// A tag as it was while it named a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerTag {
    /// Its name.
    pub name: String,
    /// The manifest that it named.
    pub manifest: ManifestId,
    /// That manifest's digest.
    pub digest: String,
    /// When it was first set.
    pub created_at: Timestamp,
    /// When it was set on that manifest.
    pub updated_at: Timestamp,
    /// Its locks.
    pub locks: Locks,
}

#[derive(sqlx::FromRow)]
struct Columns {
    name: String,
    manifest_id: i64,
    digest: String,
    created_at: i64,
    updated_at: i64,
    #[sqlx(flatten)]
    locks: LockColumns,
}

impl From<Columns> for FormerTag {
    fn from(row: Columns) -> Self {
        Self {
            name: row.name,
            manifest: ManifestId(row.manifest_id),
            digest: row.digest,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            locks: row.locks.into(),
        }
    }
}

/// What a tag that is there already may be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Any manifest.
    Allowed,
    /// The manifest that it names, so that it stays as it is.
    Same,
    /// None: the tag must be new.
    Never,
}

/// What became of a tag that was to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Added,
    /// It was there and named the manifest already.
    Same,
    /// It was there and names the manifest now.
    Moved {
        /// The tag as it was before.
        from: FormerTag,
    },
    /// It is there, and a lock forbids it.
    Locked,
    /// It is there and may not be set like that.
    Kept {
        /// The tag as it is.
        found: FormerTag,
    },
}

/// Points a tag at a manifest, unless it is there and a lock or `overwrite` forbids it. Of any number of transactions that
/// set a new tag at the same time, one adds it.
///
/// # Errors
/// When the database fails.
pub async fn put(
    c: &mut Connection,
    repository: RepositoryId,
    tag: &Tag,
    manifest: ManifestId,
    overwrite: Overwrite,
    now: Timestamp,
) -> Result<Put, Error> {
    const UPDATE: &str = "UPDATE tags SET manifest_id = $3, updated_at = $4 WHERE repository_id = $1 AND name = $2";
    const INSERT: &str = "INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $4) ON CONFLICT (repository_id, name) DO NOTHING";
    loop {
        let (sql, done) = match (take(c, repository, tag).await?, overwrite) {
            (None, _) => (INSERT, Put::Added),
            (Some(found), _) if !found.locks.write_enabled => return Ok(Put::Locked),
            (Some(found), Overwrite::Never) => return Ok(Put::Kept { found }),
            (Some(found), _) if found.manifest == manifest => (UPDATE, Put::Same),
            (Some(found), Overwrite::Same) => return Ok(Put::Kept { found }),
            (Some(from), Overwrite::Allowed) => (UPDATE, Put::Moved { from }),
        };
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
        // None if somebody added the tag in between: then it is looked at again.
        if rows > 0 {
            return Ok(done);
        }
    }
}

/// The tag as it is, which nobody changes until the transaction ends.
async fn take(c: &mut Connection, repository: RepositoryId, tag: &Tag) -> Result<Option<FormerTag>, Error> {
    const SQLITE: &str = "SELECT t.name, t.manifest_id, m.digest, t.created_at, t.updated_at,
            t.delete_enabled, t.write_enabled, t.read_enabled, t.list_enabled
         FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE t.repository_id = $1 AND t.name = $2";
    const POSTGRES: &str = "SELECT t.name, t.manifest_id, m.digest, t.created_at, t.updated_at,
            t.delete_enabled, t.write_enabled, t.read_enabled, t.list_enabled
         FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE t.repository_id = $1 AND t.name = $2
         FOR NO KEY UPDATE OF t";
    let sql = if matches!(c, Connection::Sqlite(_)) { SQLITE } else { POSTGRES };
    let row: Option<Columns> = on_engine!(c, c => {
        sqlx::query_as(sql).bind(repository.0).bind(tag.as_str()).fetch_optional(c).await?
    });
    Ok(row.map(Into::into))
}

/// Removes tags; their manifests stay. Returns those that were there, as they were.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, repository: RepositoryId, names: &[&str]) -> Result<Vec<FormerTag>, Error> {
    let mut former = Vec::with_capacity(names.len());
    for part in names.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(2, part.len());
        let sql = format!("DELETE FROM tags WHERE repository_id = $1 AND name IN ({list}) RETURNING {COLUMNS}");
        let rows: Vec<Columns> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(repository.0);
            for name in part {
                query = query.bind(*name);
            }
            query.fetch_all(c).await?
        });
        former.extend(rows.into_iter().map(FormerTag::from));
    }
    Ok(former)
}

/// Removes all tags of manifests. Returns them as they were.
///
/// # Errors
/// When the database fails.
pub async fn delete_of_manifests(c: &mut Connection, manifests: &[ManifestId]) -> Result<Vec<FormerTag>, Error> {
    let mut former = Vec::new();
    for part in manifests.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(1, part.len());
        let sql = format!("DELETE FROM tags WHERE manifest_id IN ({list}) RETURNING {COLUMNS}");
        let rows: Vec<Columns> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql));
            for id in part {
                query = query.bind(id.0);
            }
            query.fetch_all(c).await?
        });
        former.extend(rows.into_iter().map(FormerTag::from));
    }
    Ok(former)
}

/// The columns of a [`FormerTag`], behind `RETURNING`.
const COLUMNS: &str = "name, manifest_id, (SELECT digest FROM manifests m WHERE m.id = tags.manifest_id) AS digest,
    created_at, updated_at, delete_enabled, write_enabled, read_enabled, list_enabled";

/// Gives a tag that was just set back what it had when it was deleted: its locks, and when it was first set.
///
/// # Errors
/// When the database fails.
pub async fn restore(c: &mut Connection, repository: RepositoryId, former: &FormerTag) -> Result<(), Error> {
    const SQL: &str = "UPDATE tags SET created_at = $3, delete_enabled = $4, write_enabled = $5, read_enabled = $6,
            list_enabled = $7 WHERE repository_id = $1 AND name = $2";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(repository.0)
            .bind(&former.name)
            .bind(former.created_at.0)
            .bind(former.locks.delete_enabled)
            .bind(former.locks.write_enabled)
            .bind(former.locks.read_enabled)
            .bind(former.locks.list_enabled)
            .execute(c)
            .await?;
    });
    Ok(())
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
