//! What goes into the trash, and comes out of it.

use sqlx::AssertSqlSafe;
use wharf_model::{Digest, Locks, ManifestId, RepositoryId, Tag, Timestamp};

use super::TrashId;
use crate::attributes::LockColumns;
use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list, placeholders};
use crate::tags::{self, FormerTag};
use crate::{Connection, Error, retention};

/// Moves manifests whose tags are gone from a live repository into the trash, with what they refer to. To be called under
/// the lock of the repository's row and of the trash.
///
/// # Errors
/// When the database fails.
pub async fn insert_manifests(
    c: &mut Connection,
    trash: TrashId,
    manifests: &[(Digest, ManifestId)],
    actor: &str,
    now: Timestamp,
) -> Result<(), Error> {
    if manifests.is_empty() {
        return Ok(());
    }
    let ids: Vec<ManifestId> = manifests.iter().map(|(_, id)| *id).collect();
    let bin = find_or_insert_bin(c, trash, now).await?;
    move_manifests(c, bin, &ids).await?;
    let rows: Vec<(&str, ManifestId)> = manifests.iter().map(|(digest, id)| (digest.as_str(), *id)).collect();
    note_manifests(c, trash, &rows, actor, now).await
}

/// The hidden repository that single manifests are moved into.
async fn find_or_insert_bin(c: &mut Connection, trash: TrashId, now: Timestamp) -> Result<RepositoryId, Error> {
    const FIND: &str = "SELECT r.id FROM trash t JOIN repositories r ON r.registry_id = t.registry_id
         AND r.name = '~trash/' || t.repository AND r.trash_id = t.id WHERE t.id = $1";
    // No repository has such a name.
    const INSERT: &str = "INSERT INTO repositories (registry_id, name, created_at, updated_at, deleted_at, trash_id)
         SELECT registry_id, '~trash/' || repository, $2, $2, $2, id FROM trash WHERE id = $1 RETURNING id";
    let found: Option<i64> = on_engine!(&mut *c, c => sqlx::query_scalar(FIND).bind(trash.0).fetch_optional(c).await?);
    let id = match found {
        Some(id) => id,
        None => on_engine!(c, c => sqlx::query_scalar(INSERT).bind(trash.0).bind(now.0).fetch_one(c).await?),
    };
    Ok(RepositoryId(id))
}

/// Moves manifests into another repository, in which their blobs are linked for as long as they need them. The links of
/// the repository that they come from stay until their leases end.
async fn move_manifests(c: &mut Connection, to: RepositoryId, ids: &[ManifestId]) -> Result<(), Error> {
    // Nobody waits for the date of what is deleted, and what comes back has none.
    retention::unmark(c, ids).await?;
    for part in ids.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(2, part.len());
        // An update that changes nothing keeps a link that is there from being cut meanwhile.
        let link = format!(
            "INSERT INTO repository_blobs (repository_id, blob_id, lease_until)
             SELECT DISTINCT CAST($1 AS BIGINT), blob_id, CAST(0 AS BIGINT) FROM manifest_blobs
                WHERE manifest_id IN ({list}) ORDER BY blob_id
             ON CONFLICT (repository_id, blob_id) DO UPDATE SET lease_until = repository_blobs.lease_until"
        );
        let references = format!("UPDATE manifest_blobs SET repository_id = $1 WHERE manifest_id IN ({list})");
        let manifests = format!("UPDATE manifests SET repository_id = $1 WHERE id IN ({list})");
        for sql in [link, references, manifests] {
            on_engine!(&mut *c, c => {
                let mut query = sqlx::query(AssertSqlSafe(sql)).bind(to.0);
                for id in part {
                    query = query.bind(id.0);
                }
                query.execute(c).await?;
            });
        }
    }
    Ok(())
}

async fn note_manifests(
    c: &mut Connection,
    trash: TrashId,
    manifests: &[(&str, ManifestId)],
    actor: &str,
    now: Timestamp,
) -> Result<(), Error> {
    for part in manifests.chunks(VALUES_PER_STATEMENT / 5) {
        let values = placeholders(1, part.len(), 5);
        let sql = format!(
            "INSERT INTO deleted_manifests (trash_id, digest, manifest_id, deleted_at, deleted_by) VALUES {values}"
        );
        on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for (digest, id) in part {
                query = query.bind(trash.0).bind(*digest).bind(id.0).bind(now.0).bind(actor);
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Puts tags that were taken off their manifests into the trash. To be called under the lock of the trash.
///
/// # Errors
/// When the database fails.
pub async fn insert_tags(
    c: &mut Connection,
    trash: TrashId,
    former: &[FormerTag],
    actor: &str,
    now: Timestamp,
) -> Result<(), Error> {
    for part in former.chunks(VALUES_PER_STATEMENT / 11) {
        let values = placeholders(1, part.len(), 11);
        // The same tag may leave the same manifest twice at the same instant; one of them is enough.
        let sql = format!(
            "INSERT INTO deleted_tags (trash_id, name, deleted_at, manifest_id, deleted_by, created_at, updated_at,
                delete_enabled, write_enabled, read_enabled, list_enabled) VALUES {values}
             ON CONFLICT (trash_id, name, deleted_at, manifest_id) DO NOTHING"
        );
        on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for tag in part {
                query = query
                    .bind(trash.0)
                    .bind(&tag.name)
                    .bind(now.0)
                    .bind(tag.manifest.0)
                    .bind(actor)
                    .bind(tag.created_at.0)
                    .bind(tag.updated_at.0)
                    .bind(tag.locks.delete_enabled)
                    .bind(tag.locks.write_enabled)
                    .bind(tag.locks.read_enabled)
                    .bind(tag.locks.list_enabled);
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Puts a whole repository into the trash, however much it holds: it gives its name up, and is hidden. To be called under
/// the lock of the repository's row and of the trash.
///
/// # Errors
/// When the database fails.
pub async fn sink(
    c: &mut Connection,
    id: RepositoryId,
    trash: TrashId,
    actor: &str,
    now: Timestamp,
) -> Result<(), Error> {
    // No repository has such a name.
    const SQL: &str =
        "UPDATE repositories SET name = $2, trash_id = $3, deleted_at = $4, deleted_by = $5, settled_to = '',
            manifest_count = 0, tag_count = 0, updated_at = $4 WHERE id = $1";
    let name = format!("~{}", id.0);
    on_engine!(c, c => {
        sqlx::query(SQL).bind(id.0).bind(name).bind(trash.0).bind(now.0).bind(actor).execute(c).await?;
    });
    Ok(())
}

/// Gives about `most` manifests of a repository that was deleted whole their own rows in the trash, and their tags. Returns
/// `false` once all have them.
///
/// # Errors
/// When the database fails.
pub async fn settle_some(c: &mut Connection, id: RepositoryId, trash: TrashId, most: i64) -> Result<bool, Error> {
    if !super::lock_id(c, trash).await? {
        return Ok(false);
    }
    const FIND: &str = "SELECT settled_to, deleted_at, COALESCE(deleted_by, '') FROM repositories
         WHERE id = $1 AND trash_id = $2 AND settled_to IS NOT NULL";
    let found: Option<(String, i64, String)> =
        on_engine!(&mut *c, c => sqlx::query_as(FIND).bind(id.0).bind(trash.0).fetch_optional(c).await?);
    let Some((settled_to, deleted_at, actor)) = found else { return Ok(false) };
    const NEXT: &str =
        "SELECT digest, id FROM manifests WHERE repository_id = $1 AND digest > $2 ORDER BY digest LIMIT $3";
    let next: Vec<(String, i64)> = on_engine!(&mut *c, c => {
        sqlx::query_as(NEXT).bind(id.0).bind(settled_to).bind(most).fetch_all(c).await?
    });
    let manifests: Vec<(&str, ManifestId)> =
        next.iter().map(|(digest, id)| (digest.as_str(), ManifestId(*id))).collect();
    let ids: Vec<ManifestId> = manifests.iter().map(|(_, id)| *id).collect();
    let former = tags::delete_of_manifests(c, &ids).await?;
    insert_tags(c, trash, &former, &actor, Timestamp(deleted_at)).await?;
    retention::unmark(c, &ids).await?;
    note_manifests(c, trash, &manifests, &actor, Timestamp(deleted_at)).await?;
    const DONE: &str = "UPDATE repositories SET settled_to = $2 WHERE id = $1";
    let settled_to = next.last().map(|(digest, _)| digest.as_str());
    on_engine!(c, c => { sqlx::query(DONE).bind(id.0).bind(settled_to).execute(c).await?; });
    Ok(settled_to.is_some())
}

/// A manifest in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundManifest {
    /// Its row.
    pub id: ManifestId,
    /// The digest of its subject.
    pub subject: Option<String>,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Finds a manifest in the trash.
///
/// # Errors
/// When the database fails.
pub async fn find_manifest(
    c: &mut Connection,
    trash: TrashId,
    digest: &Digest,
) -> Result<Option<FoundManifest>, Error> {
    const SETTLED: &str = "SELECT m.id, m.subject_digest, m.media_type, m.bytes FROM deleted_manifests d
         JOIN manifests m ON m.id = d.manifest_id WHERE d.trash_id = $1 AND d.digest = $2";
    const UNSETTLED: &str = "SELECT m.id, m.subject_digest, m.media_type, m.bytes FROM repositories r
         JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
         WHERE r.trash_id = $1 AND r.settled_to IS NOT NULL AND m.digest > r.settled_to";
    for sql in [SETTLED, UNSETTLED] {
        let row: Option<(i64, Option<String>, String, Vec<u8>)> = on_engine!(&mut *c, c => {
            sqlx::query_as(sql).bind(trash.0).bind(digest.as_str()).fetch_optional(c).await?
        });
        if let Some((id, subject, media_type, bytes)) = row {
            return Ok(Some(FoundManifest { id: ManifestId(id), subject, media_type, bytes }));
        }
    }
    Ok(None)
}

/// Moves manifests out of the trash into a live repository. Those of their tags that have no rows of their own yet get them.
/// To be called under the lock of the repository's row and of the trash.
///
/// # Errors
/// When the database fails.
pub async fn take_manifests(
    c: &mut Connection,
    trash: TrashId,
    ids: &[ManifestId],
    to: RepositoryId,
    now: Timestamp,
) -> Result<(), Error> {
    for part in ids.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(1, part.len());
        let unsettled = format!(
            "SELECT r.deleted_at, COALESCE(r.deleted_by, ''), m.id FROM manifests m
             JOIN repositories r ON r.id = m.repository_id AND r.settled_to IS NOT NULL AND m.digest > r.settled_to
             WHERE m.id IN ({list})"
        );
        let rows: Vec<(i64, String, i64)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(unsettled));
            for id in part {
                query = query.bind(id.0);
            }
            query.fetch_all(c).await?
        });
        for (deleted_at, actor, id) in rows {
            let former = tags::delete_of_manifests(c, &[ManifestId(id)]).await?;
            insert_tags(c, trash, &former, &actor, Timestamp(deleted_at)).await?;
        }
        let sql = format!("DELETE FROM deleted_manifests WHERE manifest_id IN ({list})");
        on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for id in part {
                query = query.bind(id.0);
            }
            query.execute(c).await?;
        });
        let list = placeholder_list(2, part.len());
        let sql = format!("UPDATE manifests SET updated_at = $1 WHERE id IN ({list})");
        on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(now.0);
            for id in part {
                query = query.bind(id.0);
            }
            query.execute(c).await?;
        });
    }
    move_manifests(c, to, ids).await
}

/// The latest time that a tag left a manifest, as the tag was then.
///
/// # Errors
/// When the database fails.
pub async fn find_tag(
    c: &mut Connection,
    trash: TrashId,
    tag: &Tag,
    digest: &Digest,
) -> Result<Option<FormerTag>, Error> {
    const SETTLED: &str = "SELECT g.manifest_id, g.created_at, g.updated_at,
            g.delete_enabled, g.write_enabled, g.read_enabled, g.list_enabled
         FROM deleted_tags g JOIN manifests m ON m.id = g.manifest_id
         WHERE g.trash_id = $1 AND g.name = $2 AND m.digest = $3 ORDER BY g.deleted_at DESC LIMIT 1";
    const UNSETTLED: &str = "SELECT t.manifest_id, t.created_at, t.updated_at,
            t.delete_enabled, t.write_enabled, t.read_enabled, t.list_enabled
         FROM repositories r JOIN tags t ON t.repository_id = r.id AND t.name = $2
         JOIN manifests m ON m.id = t.manifest_id AND m.digest = $3
         WHERE r.trash_id = $1 AND r.settled_to IS NOT NULL ORDER BY r.deleted_at DESC LIMIT 1";
    for sql in [UNSETTLED, SETTLED] {
        let row: Option<TagColumns> = on_engine!(&mut *c, c => {
            sqlx::query_as(sql)
                .bind(trash.0)
                .bind(tag.as_str())
                .bind(digest.as_str())
                .fetch_optional(c)
                .await?
        });
        if let Some(row) = row {
            return Ok(Some(FormerTag {
                name: tag.to_string(),
                manifest: ManifestId(row.manifest_id),
                digest: digest.to_string(),
                created_at: Timestamp(row.created_at),
                updated_at: Timestamp(row.updated_at),
                locks: Locks::from(row.locks),
            }));
        }
    }
    Ok(None)
}

#[derive(sqlx::FromRow)]
struct TagColumns {
    manifest_id: i64,
    created_at: i64,
    updated_at: i64,
    #[sqlx(flatten)]
    locks: LockColumns,
}

/// Forgets that a tag left a manifest, however often it did: it names it again.
///
/// # Errors
/// When the database fails.
pub async fn forget_tags(c: &mut Connection, trash: TrashId, tag: &Tag, manifest: ManifestId) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM deleted_tags WHERE trash_id = $1 AND name = $2 AND manifest_id = $3";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(trash.0).bind(tag.as_str()).bind(manifest.0).execute(c).await?;
    });
    Ok(())
}
