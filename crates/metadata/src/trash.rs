//! The trash: what was deleted softly, until it is restored or its time is over.
//!
//! ```text
//! trash ─┬─ repositories with its trash_id: hidden rows that hold the manifests and the links of their blobs
//!        │    ├─ one that single manifests are moved into (`~trash/<name>`)
//!        │    └─ one for each time that the repository was deleted whole (`~<id>`): the row that it was
//!        ├─ deleted_manifests   who deleted what, and when
//!        └─ deleted_tags        the tag and the manifest that it named, which may still be live
//! ```
//!
//! A repository that is deleted whole is only given another name: what it held is in the trash at once, and gets its rows
//! bit by bit afterwards ([`settle_some`]). Until then lists and look-ups read it where it is.
//!
//! Whoever changes a trash has locked the live repository's row first, if there is one, then the trash ([`open`],
//! [`lock`]).

mod content;
mod lists;
mod purge;

pub use content::{
    FoundManifest, find_manifest, find_tag, forget_tags, insert_manifests, insert_tags, settle_some, sink,
    take_manifests,
};
pub use lists::{DeletedManifest, DeletedTag, TagPosition, list_manifests, list_repositories, list_tags};
pub use purge::{
    TrashRow, delete_if_empty, is_due, is_empty, list_inconsistencies, list_trashes, list_unsettled, purge_some,
};

use wharf_model::{Digest, RegistryId, RepositoryName};

use crate::connection::on_engine;
use crate::{Connection, Error};

/// The trash of a repository's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrashId(pub i64);

/// Finds the trash of a repository, for reading.
///
/// # Errors
/// When the database fails.
pub async fn find(
    c: &mut Connection,
    registry: RegistryId,
    repository: &RepositoryName,
) -> Result<Option<TrashId>, Error> {
    const SQL: &str = "SELECT id FROM trash WHERE registry_id = $1 AND repository = $2";
    let id: Option<i64> = on_engine!(c, c => {
        sqlx::query_scalar(SQL).bind(registry.0).bind(repository.as_str()).fetch_optional(c).await?
    });
    Ok(id.map(TrashId))
}

/// Finds the trash of a repository, and keeps everybody else from changing it until the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    c: &mut Connection,
    registry: RegistryId,
    repository: &RepositoryName,
) -> Result<Option<TrashId>, Error> {
    const SQLITE: &str = "SELECT id FROM trash WHERE registry_id = $1 AND repository = $2";
    const POSTGRES: &str = "SELECT id FROM trash WHERE registry_id = $1 AND repository = $2 FOR UPDATE";
    // SQLite has one writer.
    let sql = if matches!(c, Connection::Sqlite(_)) { SQLITE } else { POSTGRES };
    let id: Option<i64> = on_engine!(c, c => {
        sqlx::query_scalar(sql).bind(registry.0).bind(repository.as_str()).fetch_optional(c).await?
    });
    Ok(id.map(TrashId))
}

/// The same, of a trash that is known by its row.
pub(crate) async fn lock_id(c: &mut Connection, id: TrashId) -> Result<bool, Error> {
    const SQLITE: &str = "SELECT id FROM trash WHERE id = $1";
    const POSTGRES: &str = "SELECT id FROM trash WHERE id = $1 FOR UPDATE";
    let sql = if matches!(c, Connection::Sqlite(_)) { SQLITE } else { POSTGRES };
    let id: Option<i64> = on_engine!(c, c => sqlx::query_scalar(sql).bind(id.0).fetch_optional(c).await?);
    Ok(id.is_some())
}

/// Finds the trash of a repository or makes it, for putting something in, and keeps everybody else from changing it until
/// the transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn open(
    c: &mut Connection,
    registry: RegistryId,
    repository: &RepositoryName,
    keep_days: i64,
) -> Result<TrashId, Error> {
    const SQL: &str = "INSERT INTO trash (registry_id, repository, keep_days) VALUES ($1, $2, $3)
         ON CONFLICT (registry_id, repository) DO UPDATE SET keep_days = excluded.keep_days RETURNING id";
    let id: i64 = on_engine!(c, c => {
        sqlx::query_scalar(SQL).bind(registry.0).bind(repository.as_str()).bind(keep_days).fetch_one(c).await?
    });
    Ok(TrashId(id))
}

/// Whether a manifest with this digest, deleted from the repository, is in the trash.
///
/// # Errors
/// When the database fails.
pub async fn contains(
    c: &mut Connection,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<bool, Error> {
    // Nearly all registries have none: one look at one index.
    let Some(trash) = find(c, registry, repository).await? else { return Ok(false) };
    Ok(find_manifest(c, trash, digest).await?.is_some())
}
