//! Manifests that nothing holds any more, and when they are due to be removed.
//!
//! What holds a manifest is a tag or an index that lists it. Whether a policy removes manifests, and what else keeps one,
//! is decided by whoever calls.

use sqlx::AssertSqlSafe;
use wharf_model::{ManifestId, RegistryId, RepositoryId, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::{Connection, Error};

/// When a manifest is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Since when nothing holds it.
    pub untagged_at: Timestamp,
    /// When it may be removed.
    pub due_at: Timestamp,
}

/// A manifest that is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueManifest {
    /// Its row.
    pub manifest: ManifestId,
    /// Its digest.
    pub digest: String,
    /// The repository that it is in.
    pub repository: RepositoryId,
    /// That repository's name.
    pub repository_name: String,
    /// The registry that it is in.
    pub registry: RegistryId,
    /// When it is due.
    pub due: Due,
}

/// Notes for those of the manifests that nothing holds when they are due. Those with a subject are not noted: they go with
/// it. A date that was noted before is replaced.
///
/// # Errors
/// When the database fails.
pub async fn mark(c: &mut Connection, manifests: &[ManifestId], due: Due) -> Result<(), Error> {
    for part in manifests.chunks(VALUES_PER_STATEMENT) {
        let sql = format!(
            "INSERT INTO due_manifests (manifest_id, untagged_at, due_at, look_at)
             SELECT m.id, $1, $2, $2 FROM manifests m WHERE m.id IN ({}) AND m.subject_digest IS NULL
                AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)
                AND NOT EXISTS (SELECT 1 FROM manifest_children h JOIN manifests p ON p.id = h.parent_id
                    WHERE h.child_id = m.id AND p.repository_id = m.repository_id)
             ON CONFLICT (manifest_id) DO UPDATE SET untagged_at = excluded.untagged_at, due_at = excluded.due_at,
                look_at = excluded.look_at",
            placeholder_list(3, part.len())
        );
        on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(due.untagged_at.0).bind(due.due_at.0);
            for manifest in part {
                query = query.bind(manifest.0);
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Forgets when manifests are due: something holds them again, or they are to stay.
///
/// # Errors
/// When the database fails.
pub async fn unmark(c: &mut Connection, manifests: &[ManifestId]) -> Result<(), Error> {
    for part in manifests.chunks(VALUES_PER_STATEMENT) {
        let sql = format!("DELETE FROM due_manifests WHERE manifest_id IN ({})", placeholder_list(1, part.len()));
        on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for manifest in part {
                query = query.bind(manifest.0);
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Forgets when a manifest is due, if it is still this date.
///
/// # Errors
/// When the database fails.
pub async fn drop_date(c: &mut Connection, manifest: ManifestId, due: Due) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM due_manifests WHERE manifest_id = $1 AND untagged_at = $2 AND due_at = $3";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(manifest.0).bind(due.untagged_at.0).bind(due.due_at.0).execute(c).await?;
    });
    Ok(())
}

/// Looks at a manifest that is due since this date again at `look_at`, since it cannot be removed now.
///
/// # Errors
/// When the database fails.
pub async fn postpone(c: &mut Connection, manifest: ManifestId, due: Due, look_at: Timestamp) -> Result<(), Error> {
    const SQL: &str =
        "UPDATE due_manifests SET look_at = $4 WHERE manifest_id = $1 AND untagged_at = $2 AND due_at = $3";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(manifest.0)
            .bind(due.untagged_at.0)
            .bind(due.due_at.0)
            .bind(look_at.0)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// Looks at a manifest on its date after all, since what was in the way of removing it may be gone.
///
/// # Errors
/// When the database fails.
pub async fn reconsider(c: &mut Connection, manifest: ManifestId) -> Result<(), Error> {
    const SQL: &str = "UPDATE due_manifests SET look_at = due_at WHERE manifest_id = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(manifest.0).execute(c).await?; });
    Ok(())
}

/// When a manifest is due, if it is.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, manifest: ManifestId) -> Result<Option<Due>, Error> {
    const SQL: &str = "SELECT untagged_at, due_at FROM due_manifests WHERE manifest_id = $1";
    let row: Option<(i64, i64)> = on_engine!(c, c => sqlx::query_as(SQL).bind(manifest.0).fetch_optional(c).await?);
    Ok(row.map(|(untagged_at, due_at)| Due { untagged_at: Timestamp(untagged_at), due_at: Timestamp(due_at) }))
}

/// Manifests that are to be looked at by `now`, the longest due first.
///
/// # Errors
/// When the database fails.
pub async fn list_due(c: &mut Connection, now: Timestamp, limit: i64) -> Result<Vec<DueManifest>, Error> {
    const SQL: &str = "SELECT d.manifest_id, m.digest, m.repository_id, r.name, r.registry_id, d.untagged_at, d.due_at
         FROM due_manifests d JOIN manifests m ON m.id = d.manifest_id JOIN repositories r ON r.id = m.repository_id
         WHERE d.look_at <= $1 AND r.deleted_at IS NULL ORDER BY d.look_at, d.manifest_id LIMIT $2";
    let rows: Vec<(i64, String, i64, String, i64, i64, i64)> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(now.0).bind(limit).fetch_all(c).await?);
    let due = |(manifest, digest, repository, repository_name, registry, untagged_at, due_at)| DueManifest {
        manifest: ManifestId(manifest),
        digest,
        repository: RepositoryId(repository),
        repository_name,
        registry: RegistryId(registry),
        due: Due { untagged_at: Timestamp(untagged_at), due_at: Timestamp(due_at) },
    };
    Ok(rows.into_iter().map(due).collect())
}

/// Those of the manifests that have a tag.
///
/// # Errors
/// When the database fails.
pub async fn list_tagged(c: &mut Connection, manifests: &[ManifestId]) -> Result<Vec<ManifestId>, Error> {
    let mut tagged = Vec::new();
    for part in manifests.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(1, part.len());
        let sql = format!("SELECT DISTINCT manifest_id FROM tags WHERE manifest_id IN ({list})");
        let ids: Vec<i64> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_scalar(AssertSqlSafe(sql));
            for manifest in part {
                query = query.bind(manifest.0);
            }
            query.fetch_all(c).await?
        });
        tagged.extend(ids.into_iter().map(ManifestId));
    }
    Ok(tagged)
}
