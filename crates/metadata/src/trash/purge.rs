//! What of the trash goes for good, and whether its books are right.

use sqlx::AssertSqlSafe;
use wharf_model::{ManifestId, RegistryId, RepositoryId, Timestamp};

use super::TrashId;
use crate::connection::on_engine;
use crate::error::parse_json;
use crate::{Connection, Error, RegistrySettings, removal};

/// A trash with what says how long things stay in it.
#[derive(Clone, Debug)]
pub struct TrashRow {
    /// Its row.
    pub id: TrashId,
    /// The registry.
    pub registry: RegistryId,
    /// The name of the repository.
    pub repository: String,
    /// For how many days things stay: what the policy says now or, if it is off, said when the last of them came in.
    pub keep_days: i64,
}

/// A page of the trashes of all registries, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list_trashes(c: &mut Connection, after: TrashId, limit: i64) -> Result<Vec<TrashRow>, Error> {
    const SQL: &str = "SELECT t.id, t.registry_id, t.repository, t.keep_days, g.settings FROM trash t
         JOIN registries g ON g.id = t.registry_id WHERE t.id > $1 AND g.deleted_at IS NULL ORDER BY t.id LIMIT $2";
    let rows: Vec<(i64, i64, String, i64, String)> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(after.0).bind(limit).fetch_all(c).await?);
    let row = |(id, registry, repository, kept, settings): (i64, i64, String, i64, String)| {
        let settings: RegistrySettings = parse_json("registry settings", &settings)?;
        let keep_days = settings.soft_delete.map_or(kept, |policy| policy.days);
        Ok(TrashRow { id: TrashId(id), registry: RegistryId(registry), repository, keep_days })
    };
    rows.into_iter().map(row).collect()
}

/// Removes about `most` manifests and tags that were deleted at `before` or earlier, and hidden repositories of which nothing
/// is left. Returns the digests of the manifests, and whether there may be more.
///
/// # Errors
/// When the database fails.
pub async fn purge_some(
    c: &mut Connection,
    trash: TrashId,
    before: Timestamp,
    most: i64,
) -> Result<(Vec<String>, bool), Error> {
    if !super::lock_id(c, trash).await? {
        return Ok((Vec::new(), false));
    }
    const FIND: &str = "SELECT manifest_id, digest FROM deleted_manifests WHERE trash_id = $1 AND deleted_at <= $2
         ORDER BY deleted_at LIMIT $3";
    let found: Vec<(i64, String)> = on_engine!(&mut *c, c => {
        sqlx::query_as(FIND).bind(trash.0).bind(before.0).bind(most).fetch_all(c).await?
    });
    let ids: Vec<ManifestId> = found.iter().map(|(id, _)| ManifestId(*id)).collect();
    removal::delete_manifests(c, &ids).await?;
    const TAGS: &str = "DELETE FROM deleted_tags WHERE (trash_id, name, deleted_at, manifest_id) IN (
            SELECT trash_id, name, deleted_at, manifest_id FROM deleted_tags
            WHERE trash_id = $1 AND deleted_at <= $2 LIMIT $3)";
    let tags = on_engine!(&mut *c, c => {
        sqlx::query(TAGS).bind(trash.0).bind(before.0).bind(most).execute(c).await?.rows_affected()
    });
    // Manifests come into hidden repositories under the lock of the trash alone.
    const EMPTY: &str = "DELETE FROM repositories WHERE trash_id = $1 AND settled_to IS NULL
           AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = repositories.id)
           AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.repository_id = repositories.id)
           AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.repository_id = repositories.id)";
    on_engine!(c, c => { sqlx::query(EMPTY).bind(trash.0).execute(c).await?; });
    let is_full = |count: usize| i64::try_from(count).is_ok_and(|count| count >= most);
    let more = is_full(ids.len()) || is_full(usize::try_from(tags).unwrap_or(usize::MAX));
    Ok((found.into_iter().map(|(_, digest)| digest).collect(), more))
}

/// Whether anything was deleted at `before` or earlier.
///
/// # Errors
/// When the database fails.
pub async fn is_due(c: &mut Connection, trash: TrashId, before: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM deleted_manifests WHERE trash_id = $1 AND deleted_at <= $2)
            OR EXISTS (SELECT 1 FROM deleted_tags WHERE trash_id = $1 AND deleted_at <= $2)";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(trash.0).bind(before.0).fetch_one(c).await?))
}

/// Whether a trash holds nothing any more.
///
/// # Errors
/// When the database fails.
pub async fn is_empty(c: &mut Connection, trash: TrashId) -> Result<bool, Error> {
    const SQL: &str = "SELECT NOT EXISTS (SELECT 1 FROM deleted_manifests WHERE trash_id = $1)
           AND NOT EXISTS (SELECT 1 FROM deleted_tags WHERE trash_id = $1)
           AND NOT EXISTS (SELECT 1 FROM repositories r JOIN manifests m ON m.repository_id = r.id
              WHERE r.trash_id = $1 AND r.settled_to IS NOT NULL)";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(trash.0).fetch_one(c).await?))
}

/// Ends a trash if it holds nothing any more. What is left of its hidden repositories is removed as that of others is.
///
/// # Errors
/// When the database fails.
pub async fn delete_if_empty(c: &mut Connection, trash: TrashId) -> Result<bool, Error> {
    // Whoever is putting something in is waited for, and the statement after this sees what they did.
    if !super::lock_id(c, trash).await? || !is_empty(c, trash).await? {
        return Ok(false);
    }
    // The names are free for the next trash of this repository: what is about to be removed must not be used again.
    const FREE: &str = "UPDATE repositories SET trash_id = NULL, name = '~' || CAST(id AS TEXT) WHERE trash_id = $1";
    const END: &str = "DELETE FROM trash WHERE id = $1";
    for sql in [FREE, END] {
        on_engine!(&mut *c, c => { sqlx::query(sql).bind(trash.0).execute(c).await?; });
    }
    Ok(true)
}

/// Repositories that were deleted whole, at `before` or earlier, and whose manifests do not all have their own rows yet.
///
/// # Errors
/// When the database fails.
pub async fn list_unsettled(c: &mut Connection, before: Timestamp) -> Result<Vec<(RepositoryId, TrashId)>, Error> {
    const SQL: &str = "SELECT id, trash_id FROM repositories
         WHERE settled_to IS NOT NULL AND trash_id IS NOT NULL AND deleted_at <= $1 ORDER BY id LIMIT 1000";
    let rows: Vec<(i64, i64)> = on_engine!(c, c => sqlx::query_as(SQL).bind(before.0).fetch_all(c).await?);
    Ok(rows.into_iter().map(|(id, trash)| (RepositoryId(id), TrashId(trash))).collect())
}

/// What is wrong with the books of the trash, each as a line for a person.
///
/// # Errors
/// When the database fails.
pub async fn list_inconsistencies(c: &mut Connection) -> Result<Vec<String>, Error> {
    // Together these say: a manifest is in the trash if it is in one of its hidden repositories, and then it has its row,
    // or will get it; and a tag in the trash names a manifest of the same trash or of the live repository.
    const CHECKS: [(&str, &str); 5] = [
        (
            "SELECT t.repository, m.digest FROM manifests m JOIN repositories r ON r.id = m.repository_id
             JOIN trash t ON t.id = r.trash_id LEFT JOIN deleted_manifests d ON d.manifest_id = m.id
             WHERE (d.manifest_id IS NULL OR d.trash_id <> t.id OR d.digest <> m.digest)
               AND (r.settled_to IS NULL OR m.digest <= r.settled_to)",
            "is in the trash without a time",
        ),
        (
            "SELECT t.repository, d.digest FROM deleted_manifests d JOIN trash t ON t.id = d.trash_id
             JOIN manifests m ON m.id = d.manifest_id JOIN repositories r ON r.id = m.repository_id
             WHERE r.trash_id IS NULL OR r.trash_id <> d.trash_id",
            "counts as deleted and is not in the trash",
        ),
        (
            "SELECT t.repository, m.digest FROM trash t
             JOIN repositories l ON l.registry_id = t.registry_id AND l.name = t.repository
             JOIN repositories r ON r.trash_id = t.id JOIN manifests x ON x.repository_id = r.id
             JOIN manifests m ON m.repository_id = l.id AND m.digest = x.digest",
            "is live and in the trash",
        ),
        (
            "SELECT t.repository, g.name FROM deleted_tags g JOIN trash t ON t.id = g.trash_id
             JOIN manifests m ON m.id = g.manifest_id JOIN repositories r ON r.id = m.repository_id
             WHERE (r.trash_id IS NULL OR r.trash_id <> t.id)
               AND (r.deleted_at IS NOT NULL OR r.registry_id <> t.registry_id OR r.name <> t.repository)",
            "is a deleted tag of a manifest elsewhere",
        ),
        (
            "SELECT t.repository, g.name FROM tags g JOIN repositories r ON r.id = g.repository_id
             JOIN trash t ON t.id = r.trash_id WHERE r.settled_to IS NULL",
            "is a tag in the trash that counts as live",
        ),
    ];
    let mut lines = Vec::new();
    for (sql, what) in CHECKS {
        let rows: Vec<(String, String)> =
            on_engine!(&mut *c, c => sqlx::query_as(AssertSqlSafe(sql)).fetch_all(c).await?);
        lines.extend(rows.into_iter().map(|(repository, item)| format!("{item} of {repository} {what}")));
    }
    Ok(lines)
}
