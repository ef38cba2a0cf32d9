//! What of a repository came from a registry elsewhere. What was pushed has no rows here.

use sqlx::AssertSqlSafe;
use wharf_model::{Digest, ManifestId, RegistryId, RepositoryId, RepositoryName, Tag, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list, placeholders};
use crate::error::parse;
use crate::{Connection, Error};

/// A repository as the cache looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedRepository {
    /// Its row.
    pub id: RepositoryId,
    /// Whether the cache made it.
    pub is_cached: bool,
    /// Whether it holds a manifest, as users see it.
    pub is_shown: bool,
    /// Whether locks let it be read and written to.
    pub is_unlocked: bool,
}

/// A tag as the cache looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedTag {
    /// The digest of the manifest that it names.
    pub digest: Digest,
    /// Whether the cache set it to that manifest and may set it to another one: it is not locked.
    pub is_cached: bool,
}

/// What could make room in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evictable {
    /// The registry that it is in.
    pub registry: RegistryId,
    /// The repository that it is in.
    pub repository: RepositoryName,
    /// Its row.
    pub manifest: ManifestId,
    /// Its digest.
    pub digest: Digest,
    /// When it was last asked for, or stored.
    pub used_at: Timestamp,
    /// The bytes of the blobs that it refers to.
    pub size_bytes: u64,
}

/// Finds a repository.
///
/// # Errors
/// When the database fails.
pub async fn find_repository(
    c: &mut Connection,
    registry: RegistryId,
    name: &RepositoryName,
) -> Result<Option<CachedRepository>, Error> {
    const SQL: &str = "SELECT r.id, (k.repository_id IS NOT NULL) AS is_cached, (r.manifest_count > 0) AS is_shown,
            (r.read_enabled AND r.write_enabled) AS is_unlocked
         FROM repositories r LEFT JOIN cached_repositories k ON k.repository_id = r.id
         WHERE r.registry_id = $1 AND r.name = $2";
    let row: Option<(i64, bool, bool, bool)> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(registry.0).bind(name.as_str()).fetch_optional(c).await?);
    Ok(row.map(|(id, is_cached, is_shown, is_unlocked)| CachedRepository {
        id: RepositoryId(id),
        is_cached,
        is_shown,
        is_unlocked,
    }))
}

/// Finds a tag of a repository.
///
/// # Errors
/// When the database fails.
pub async fn find_tag(c: &mut Connection, repository: RepositoryId, tag: &Tag) -> Result<Option<CachedTag>, Error> {
    const SQL: &str = "SELECT m.digest, (t.write_enabled AND k.manifest_id IS NOT NULL AND k.manifest_id = t.manifest_id) AS is_cached
         FROM tags t JOIN manifests m ON m.id = t.manifest_id
         LEFT JOIN cached_tags k ON k.repository_id = t.repository_id AND k.name = t.name
         WHERE t.repository_id = $1 AND t.name = $2";
    let row: Option<(String, bool)> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(repository.0).bind(tag.as_str()).fetch_optional(c).await?);
    row.map(|(digest, is_cached)| Ok(CachedTag { digest: parse("digest", &digest)?, is_cached })).transpose()
}

/// Notes that the cache made a repository.
///
/// # Errors
/// When the database fails.
pub async fn mark_repository(c: &mut Connection, repository: RepositoryId) -> Result<(), Error> {
    const SQL: &str =
        "INSERT INTO cached_repositories (repository_id) VALUES ($1) ON CONFLICT (repository_id) DO NOTHING";
    on_engine!(c, c => { sqlx::query(SQL).bind(repository.0).execute(c).await?; });
    Ok(())
}

/// Notes that the cache stored a manifest.
///
/// # Errors
/// When the database fails.
pub async fn mark_manifest(c: &mut Connection, manifest: ManifestId, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO cached_manifests (manifest_id, cached_at) VALUES ($1, $2)
         ON CONFLICT (manifest_id) DO NOTHING";
    on_engine!(c, c => { sqlx::query(SQL).bind(manifest.0).bind(now.0).execute(c).await?; });
    Ok(())
}

/// Notes that the cache set a tag, which is there, to a manifest.
///
/// # Errors
/// When the database fails.
pub async fn mark_tag(
    c: &mut Connection,
    repository: RepositoryId,
    tag: &Tag,
    manifest: ManifestId,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO cached_tags (repository_id, name, manifest_id) VALUES ($1, $2, $3)
         ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = excluded.manifest_id";
    on_engine!(c, c => { sqlx::query(SQL).bind(repository.0).bind(tag.as_str()).bind(manifest.0).execute(c).await?; });
    Ok(())
}

/// Notes what an index lists that the cache stored, whether it is here or not.
///
/// # Errors
/// When the database fails.
pub async fn insert_children(
    c: &mut Connection,
    repository: RepositoryId,
    parent: ManifestId,
    children: &[&Digest],
) -> Result<(), Error> {
    for part in children.chunks(VALUES_PER_STATEMENT / 3) {
        let values = placeholders(1, part.len(), 3);
        let sql = format!(
            "INSERT INTO cached_children (repository_id, digest, parent_id) VALUES {values}
             ON CONFLICT (repository_id, digest, parent_id) DO NOTHING"
        );
        on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for digest in part {
                query = query.bind(repository.0).bind(digest.as_str()).bind(parent.0);
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Ties a manifest that has come to the indexes of the repository that list it, and adds its size to theirs.
///
/// # Errors
/// When the database fails.
pub async fn adopt(
    c: &mut Connection,
    repository: RepositoryId,
    digest: &Digest,
    child: ManifestId,
    image_size_bytes: u64,
) -> Result<(), Error> {
    const TIE: &str = "INSERT INTO manifest_children (parent_id, child_id)
         SELECT parent_id, $3 FROM cached_children WHERE repository_id = $1 AND digest = $2 AND parent_id <> $3
         ON CONFLICT (parent_id, child_id) DO NOTHING RETURNING parent_id";
    const GROW: &str = "UPDATE manifests SET image_size_bytes = image_size_bytes + $2
         WHERE id = $1 AND image_size_bytes <= 9223372036854775807 - $2";
    let parents: Vec<i64> = on_engine!(&mut *c, c => {
        sqlx::query_scalar(TIE).bind(repository.0).bind(digest.as_str()).bind(child.0).fetch_all(c).await?
    });
    // Sizes are what manifests say; a sum that no number holds stays as it is.
    let size = i64::try_from(image_size_bytes).unwrap_or(i64::MAX / 2).min(i64::MAX / 2);
    for parent in parents {
        on_engine!(&mut *c, c => { sqlx::query(GROW).bind(parent).bind(size).execute(c).await?; });
    }
    Ok(())
}

/// The bytes of the blobs that manifests in the cache refer to, each counted once. The cost grows with the cache; ask rarely.
///
/// # Errors
/// When the database fails.
pub async fn size_bytes(c: &mut Connection) -> Result<u64, Error> {
    const SQL: &str = "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM blobs WHERE id IN (
            SELECT b.blob_id FROM cached_manifests k JOIN manifest_blobs b ON b.manifest_id = k.manifest_id
            JOIN repositories r ON r.id = b.repository_id AND r.deleted_at IS NULL)";
    let size: i64 = on_engine!(c, c => sqlx::query_scalar(SQL).fetch_one(c).await?);
    Ok(u64::try_from(size).unwrap_or(0))
}

/// What the cache stored and nothing else holds, the least recently used first. Left out is what a lock keeps, what somebody
/// tagged, lists in an index or refers to as a subject.
///
/// # Errors
/// When the database fails.
pub async fn list_evictable(c: &mut Connection, limit: i64) -> Result<Vec<Evictable>, Error> {
    let sql = format!(
        "SELECT r.registry_id, r.name, m.id, m.digest, COALESCE(p.used_at, k.cached_at) AS used_at,
            CAST(COALESCE((SELECT SUM(b.size_bytes) FROM manifest_blobs l JOIN blobs b ON b.id = l.blob_id
                WHERE l.manifest_id = m.id), 0) AS BIGINT) AS size_bytes
         FROM cached_manifests k
         JOIN manifests m ON m.id = k.manifest_id
         JOIN repositories r ON r.id = m.repository_id AND r.deleted_at IS NULL
         LEFT JOIN manifest_pulls p ON p.manifest_id = m.id
         WHERE {IS_EVICTABLE} ORDER BY used_at, m.id LIMIT $1"
    );
    let rows: Vec<(i64, String, i64, String, i64, i64)> =
        on_engine!(c, c => sqlx::query_as(AssertSqlSafe(sql)).bind(limit).fetch_all(c).await?);
    rows.into_iter()
        .map(|(registry, repository, manifest, digest, used_at, size)| {
            Ok(Evictable {
                registry: RegistryId(registry),
                repository: parse("repository name", &repository)?,
                manifest: ManifestId(manifest),
                digest: parse("digest", &digest)?,
                used_at: Timestamp(used_at),
                size_bytes: u64::try_from(size).unwrap_or(0),
            })
        })
        .collect()
}

/// Of these manifests, those that [`list_evictable`] would list.
///
/// # Errors
/// When the database fails.
pub async fn filter_evictable(c: &mut Connection, ids: &[ManifestId]) -> Result<Vec<ManifestId>, Error> {
    let mut found = Vec::with_capacity(ids.len());
    for part in ids.chunks(VALUES_PER_STATEMENT) {
        let sql = format!(
            "SELECT m.id FROM cached_manifests k
             JOIN manifests m ON m.id = k.manifest_id
             JOIN repositories r ON r.id = m.repository_id AND r.deleted_at IS NULL
             WHERE m.id IN ({}) AND {IS_EVICTABLE}",
            placeholder_list(1, part.len())
        );
        let rows: Vec<i64> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_scalar(AssertSqlSafe(sql));
            for id in part {
                query = query.bind(id.0);
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(ManifestId));
    }
    Ok(found)
}

/// What a manifest `m` of a repository `r` must be so that the cache may let go of it.
const IS_EVICTABLE: &str = "m.delete_enabled AND m.write_enabled AND r.write_enabled
    AND NOT EXISTS (SELECT 1 FROM tags t
        LEFT JOIN cached_tags s ON s.repository_id = t.repository_id AND s.name = t.name
        WHERE t.manifest_id = m.id AND (s.manifest_id IS NULL OR s.manifest_id <> t.manifest_id
            OR NOT t.delete_enabled OR NOT t.write_enabled))
    AND NOT EXISTS (SELECT 1 FROM manifest_children c LEFT JOIN cached_manifests s ON s.manifest_id = c.parent_id
        WHERE c.child_id = m.id AND s.manifest_id IS NULL)
    AND NOT EXISTS (SELECT 1 FROM manifests f LEFT JOIN cached_manifests s ON s.manifest_id = f.id
        WHERE f.repository_id = m.repository_id AND f.subject_digest = m.digest AND s.manifest_id IS NULL)";
