//! Attributes and locks of repositories.

use wharf_model::{Locks, RegistryId, RepositoryId, RepositoryName, Timestamp};

use super::LockColumns;
use crate::connection::on_engine;
use crate::{Connection, Error};

/// A repository as the metadata API shows it.
#[derive(Clone, Debug)]
pub struct RepositoryAttributes {
    /// Its row.
    pub id: RepositoryId,
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
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    created_at: i64,
    updated_at: i64,
    manifest_count: i64,
    tag_count: i64,
    #[sqlx(flatten)]
    locks: LockColumns,
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
    const SQL: &str = "SELECT id, created_at, updated_at, manifest_count, tag_count,
            delete_enabled, write_enabled, read_enabled, list_enabled
         FROM repositories WHERE registry_id = $1 AND name = $2 AND manifest_count > 0";
    let row: Option<Columns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(registry.0).bind(name.as_str()).fetch_optional(c).await?);
    Ok(row.map(|row| RepositoryAttributes {
        id: RepositoryId(row.id),
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
        manifest_count: row.manifest_count,
        tag_count: row.tag_count,
        locks: row.locks.into(),
    }))
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
