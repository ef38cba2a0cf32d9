//! Lists of what is in the trash. Each reads one index, and beside it what is left of repositories that were deleted whole
//! within the last minutes, which are few.

use wharf_model::{RegistryId, Timestamp};

use super::TrashId;
use crate::connection::on_engine;
use crate::{Connection, Error};

/// Lists the repositories of a registry that something was deleted from, by name, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list_repositories(
    c: &mut Connection,
    registry: RegistryId,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    const SQL: &str = "SELECT repository FROM trash t WHERE registry_id = $1 AND repository > $2
           AND (EXISTS (SELECT 1 FROM deleted_manifests d WHERE d.trash_id = t.id)
             OR EXISTS (SELECT 1 FROM deleted_tags g WHERE g.trash_id = t.id)
             OR EXISTS (SELECT 1 FROM repositories r JOIN manifests m ON m.repository_id = r.id
                WHERE r.trash_id = t.id AND r.settled_to IS NOT NULL))
         ORDER BY repository LIMIT $3";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(registry.0).bind(after).bind(limit).fetch_all(c).await?))
}

/// A manifest in the trash, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedManifest {
    /// Its digest.
    pub digest: String,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// Its media type.
    pub media_type: String,
    /// The media type of its config.
    pub config_media_type: Option<String>,
    /// The size of its image.
    pub image_size_bytes: i64,
    /// The processor's architecture, if its config says.
    pub architecture: Option<String>,
    /// The operating system, if its config says.
    pub os: Option<String>,
    /// When it was pushed first.
    pub created_at: Timestamp,
    /// When it was pushed last.
    pub updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct ManifestColumns {
    digest: String,
    deleted_at: i64,
    media_type: String,
    config_media_type: Option<String>,
    image_size_bytes: i64,
    architecture: Option<String>,
    os: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl From<ManifestColumns> for DeletedManifest {
    fn from(row: ManifestColumns) -> Self {
        Self {
            digest: row.digest,
            deleted_at: Timestamp(row.deleted_at),
            media_type: row.media_type,
            config_media_type: row.config_media_type,
            image_size_bytes: row.image_size_bytes,
            architecture: row.architecture,
            os: row.os,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
        }
    }
}

/// Lists the manifests in the trash of a repository, by digest, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list_manifests(
    c: &mut Connection,
    trash: TrashId,
    after: &str,
    limit: i64,
) -> Result<Vec<DeletedManifest>, Error> {
    const SETTLED: &str = "SELECT d.digest, d.deleted_at, m.media_type, m.config_media_type, m.image_size_bytes,
            m.architecture, m.os, m.created_at, m.updated_at
         FROM deleted_manifests d JOIN manifests m ON m.id = d.manifest_id
         WHERE d.trash_id = $1 AND d.digest > $2 ORDER BY d.digest LIMIT $3";
    const UNSETTLED: &str = "SELECT m.digest, CAST($4 AS BIGINT) AS deleted_at, m.media_type, m.config_media_type,
            m.image_size_bytes, m.architecture, m.os, m.created_at, m.updated_at
         FROM manifests m WHERE m.repository_id = $1 AND m.digest > $2 ORDER BY m.digest LIMIT $3";
    let mut found: Vec<ManifestColumns> = on_engine!(&mut *c, c => {
        sqlx::query_as(SETTLED).bind(trash.0).bind(after).bind(limit).fetch_all(c).await?
    });
    for unsettled in list_unsettled_of(c, trash).await? {
        let after = after.max(&unsettled.settled_to);
        let part: Vec<ManifestColumns> = on_engine!(&mut *c, c => {
            sqlx::query_as(UNSETTLED)
                .bind(unsettled.id)
                .bind(after)
                .bind(limit)
                .bind(unsettled.deleted_at)
                .fetch_all(c)
                .await?
        });
        found.extend(part);
    }
    found.sort_unstable_by(|a, b| a.digest.cmp(&b.digest));
    Ok(found.into_iter().take(usize::try_from(limit).unwrap_or(0)).map(Into::into).collect())
}

/// A tag in the trash with the manifest that it named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeletedTag {
    /// Its name, and where it stands among those of its name.
    pub position: TagPosition,
    /// The manifest's digest.
    pub digest: String,
    /// When the tag was set first.
    pub created_at: Timestamp,
    /// When it was set on this manifest.
    pub updated_at: Timestamp,
}

/// Where a tag stands in the list of those in the trash: by name, then the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagPosition {
    /// The tag's name; the empty name is before all.
    pub name: String,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// The row of the manifest that it named.
    pub manifest: i64,
}

type TagColumns = (String, i64, i64, String, i64, i64);

/// Lists the tags in the trash of a repository, by name and the oldest first, after the position given.
///
/// # Errors
/// When the database fails.
pub async fn list_tags(
    c: &mut Connection,
    trash: TrashId,
    after: &TagPosition,
    limit: i64,
) -> Result<Vec<DeletedTag>, Error> {
    const SETTLED: &str = "SELECT g.name, g.deleted_at, g.manifest_id, m.digest, g.created_at, g.updated_at
         FROM deleted_tags g JOIN manifests m ON m.id = g.manifest_id
         WHERE g.trash_id = $1 AND (g.name, g.deleted_at, g.manifest_id) > ($2, $3, $4)
         ORDER BY g.name, g.deleted_at, g.manifest_id LIMIT $5";
    // One more, since the first may be the last of the page before.
    const UNSETTLED: &str = "SELECT t.name, CAST($3 AS BIGINT), t.manifest_id, m.digest, t.created_at, t.updated_at
         FROM tags t JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repository_id = $1 AND t.name >= $2 ORDER BY t.name LIMIT $4";
    let mut rows: Vec<TagColumns> = on_engine!(&mut *c, c => {
        sqlx::query_as(SETTLED)
            .bind(trash.0)
            .bind(&after.name)
            .bind(after.deleted_at.0)
            .bind(after.manifest)
            .bind(limit)
            .fetch_all(c)
            .await?
    });
    for unsettled in list_unsettled_of(c, trash).await? {
        let part: Vec<TagColumns> = on_engine!(&mut *c, c => {
            sqlx::query_as(UNSETTLED)
                .bind(unsettled.id)
                .bind(&after.name)
                .bind(unsettled.deleted_at)
                .bind(limit + 1)
                .fetch_all(c)
                .await?
        });
        rows.extend(part);
    }
    let mut found: Vec<DeletedTag> = rows
        .into_iter()
        .map(|(name, deleted_at, manifest, digest, created_at, updated_at)| DeletedTag {
            position: TagPosition { name, deleted_at: Timestamp(deleted_at), manifest },
            digest,
            created_at: Timestamp(created_at),
            updated_at: Timestamp(updated_at),
        })
        .filter(|tag| tag.position > *after)
        .collect();
    found.sort_unstable();
    found.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(found)
}

/// A repository that was deleted whole and whose manifests do not all have their own rows yet.
#[derive(sqlx::FromRow)]
struct Unsettled {
    id: i64,
    settled_to: String,
    deleted_at: i64,
}

async fn list_unsettled_of(c: &mut Connection, trash: TrashId) -> Result<Vec<Unsettled>, Error> {
    const SQL: &str = "SELECT id, settled_to, deleted_at FROM repositories
         WHERE trash_id = $1 AND settled_to IS NOT NULL AND deleted_at IS NOT NULL ORDER BY id";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(trash.0).fetch_all(c).await?))
}
