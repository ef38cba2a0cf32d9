//! What purges look at: pages of tags and manifests, the newest first, with what decides whether they may go.
//!
//! Each page is one range of `tags_by_time` or `manifests_by_time`, so what a lock hides from lists is in none of them.

mod policies;
mod runs;

use sqlx::AssertSqlSafe;
use wharf_model::{ManifestId, RepositoryId, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::{Connection, Error};

pub use policies::{
    PurgePolicyRow, count_policies, delete_policy, find_policy, list_due_policies, list_next_runs, put_policy,
    reschedule_policy,
};
pub use runs::{
    NewPurgeRun, PurgeRunRow, end_run, find_run, forget_runs, insert_run, list_last_runs, list_runs, update_run,
};

/// A tag as a purge sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagItem {
    /// Its name.
    pub name: String,
    /// The manifest that it names.
    pub manifest: ManifestId,
    /// The digest of that manifest.
    pub digest: String,
    /// When it was last set.
    pub updated_at: Timestamp,
    /// Whether its own locks let it be deleted.
    pub is_deletable: bool,
    /// The media type of its manifest.
    pub media_type: String,
    /// The artifact type of its manifest.
    pub artifact_type: Option<String>,
}

/// A manifest as a purge sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestItem {
    /// Its row.
    pub id: ManifestId,
    /// Its digest.
    pub digest: String,
    /// When it was last pushed.
    pub updated_at: Timestamp,
    /// Whether its own locks let it be deleted.
    pub is_deletable: bool,
    /// Its media type.
    pub media_type: String,
    /// Its artifact type.
    pub artifact_type: Option<String>,
    /// The sum of the sizes of config and layers.
    pub image_size_bytes: i64,
    /// Whether it refers to a subject.
    pub has_subject: bool,
    /// Whether a tag names it.
    pub has_tags: bool,
    /// Whether an index of the repository lists it; one in the trash does not count.
    pub is_listed: bool,
    /// Whether it lists others.
    pub is_index: bool,
}

/// A page of the tags of a repository that are older than a place in time and by name, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_tags(
    c: &mut Connection,
    repository: RepositoryId,
    before: &(Timestamp, String),
    limit: i64,
) -> Result<Vec<TagItem>, Error> {
    const SQL: &str = "SELECT t.name, t.manifest_id, m.digest, t.updated_at,
            (t.delete_enabled AND t.write_enabled) AS is_deletable, m.media_type, m.artifact_type
         FROM tags t JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repository_id = $1 AND t.list_enabled AND (t.updated_at, t.name) < ($2, $3)
         ORDER BY t.updated_at DESC, t.name DESC LIMIT $4";
    type Columns = (String, i64, String, i64, bool, String, Option<String>);
    let rows: Vec<Columns> = on_engine!(c, c => {
        sqlx::query_as(SQL).bind(repository.0).bind(before.0.0).bind(&before.1).bind(limit).fetch_all(c).await?
    });
    let item = |(name, manifest, digest, updated_at, is_deletable, media_type, artifact_type): Columns| TagItem {
        name,
        manifest: ManifestId(manifest),
        digest,
        updated_at: Timestamp(updated_at),
        is_deletable,
        media_type,
        artifact_type,
    };
    Ok(rows.into_iter().map(item).collect())
}

#[derive(sqlx::FromRow)]
struct ManifestColumns {
    id: i64,
    digest: String,
    updated_at: i64,
    is_deletable: bool,
    media_type: String,
    artifact_type: Option<String>,
    image_size_bytes: i64,
    has_subject: bool,
    has_tags: bool,
    is_listed: bool,
    is_index: bool,
}

/// A page of the manifests of a repository that are older than a place in time and by digest, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn list_manifests(
    c: &mut Connection,
    repository: RepositoryId,
    before: &(Timestamp, String),
    limit: i64,
) -> Result<Vec<ManifestItem>, Error> {
    const SQL: &str = "SELECT m.id, m.digest, m.updated_at, (m.delete_enabled AND m.write_enabled) AS is_deletable,
            m.media_type, m.artifact_type, m.image_size_bytes, m.subject_digest IS NOT NULL AS has_subject,
            EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id) AS has_tags,
            EXISTS (SELECT 1 FROM manifest_children k JOIN manifests p ON p.id = k.parent_id
                WHERE k.child_id = m.id AND p.repository_id = m.repository_id) AS is_listed,
            EXISTS (SELECT 1 FROM manifest_children k WHERE k.parent_id = m.id) AS is_index
         FROM manifests m WHERE m.repository_id = $1 AND m.list_enabled AND (m.updated_at, m.digest) < ($2, $3)
         ORDER BY m.updated_at DESC, m.digest DESC LIMIT $4";
    let rows: Vec<ManifestColumns> = on_engine!(c, c => {
        sqlx::query_as(SQL).bind(repository.0).bind(before.0.0).bind(&before.1).bind(limit).fetch_all(c).await?
    });
    let item = |row: ManifestColumns| ManifestItem {
        id: ManifestId(row.id),
        digest: row.digest,
        updated_at: Timestamp(row.updated_at),
        is_deletable: row.is_deletable,
        media_type: row.media_type,
        artifact_type: row.artifact_type,
        image_size_bytes: row.image_size_bytes,
        has_subject: row.has_subject,
        has_tags: row.has_tags,
        is_listed: row.is_listed,
        is_index: row.is_index,
    };
    Ok(rows.into_iter().map(item).collect())
}

/// How many tags each of these manifests has; those without any are left out.
///
/// # Errors
/// When the database fails.
pub async fn count_tags(c: &mut Connection, manifests: &[ManifestId]) -> Result<Vec<(ManifestId, i64)>, Error> {
    pairs(c, "SELECT manifest_id, COUNT(*) FROM tags WHERE manifest_id IN ({list}) GROUP BY manifest_id", manifests)
        .await
        .map(|pairs| pairs.into_iter().map(|(id, count)| (ManifestId(id), count)).collect())
}

/// Each of these manifests with each of the indexes of its repository that list it.
///
/// # Errors
/// When the database fails.
pub async fn list_parents(
    c: &mut Connection,
    manifests: &[ManifestId],
) -> Result<Vec<(ManifestId, ManifestId)>, Error> {
    // What is in the trash lists nothing.
    const SQL: &str = "SELECT k.child_id, k.parent_id FROM manifest_children k JOIN manifests m ON m.id = k.child_id
         JOIN manifests p ON p.id = k.parent_id AND p.repository_id = m.repository_id WHERE k.child_id IN ({list})";
    pairs(c, SQL, manifests)
        .await
        .map(|pairs| pairs.into_iter().map(|(child, parent)| (ManifestId(child), ManifestId(parent))).collect())
}

async fn pairs(c: &mut Connection, sql: &str, ids: &[ManifestId]) -> Result<Vec<(i64, i64)>, Error> {
    let mut found = Vec::new();
    for part in ids.chunks(VALUES_PER_STATEMENT) {
        let sql = sql.replace("{list}", &placeholder_list(1, part.len()));
        let rows: Vec<(i64, i64)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql));
            for id in part {
                query = query.bind(id.0);
            }
            query.fetch_all(c).await?
        });
        found.extend(rows);
    }
    Ok(found)
}
