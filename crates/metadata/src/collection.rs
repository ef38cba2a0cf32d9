//! What the collector and the verifier ask: in windows over primary keys, so that no statement runs long and pushes
//! go on between two of them.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;
use wharf_model::{BlobId, RepositoryId, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::{Connection, Error, blobs};

/// A link of a blob to a repository that nothing needs any more.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct UnusedLink {
    /// The repository's row.
    pub repository_id: i64,
    /// The blob's row.
    pub blob_id: i64,
    /// The registry's row.
    pub registry_id: i64,
    /// The repository's name.
    pub repository: String,
    /// The blob's digest.
    pub digest: String,
    /// The blob's size.
    pub size_bytes: i64,
    /// Whether the repository is a hidden one that holds a part of the trash.
    pub is_hidden: bool,
}

/// A blob that no repository holds.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct UnlinkedBlob {
    /// Its row.
    pub id: i64,
    /// Where it is, unless it is inline.
    pub storage_key: Option<String>,
    /// Its size.
    pub size_bytes: i64,
}

/// An object that waits for its removal from the store.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DoomedObject {
    /// Where it is.
    pub storage_key: String,
    /// Its size.
    pub size_bytes: i64,
}

/// The end of the next window of links after `(repository, blob)`, or `None` when there are no more.
///
/// # Errors
/// When the database fails.
pub async fn link_window(c: &mut Connection, after: (i64, i64), size: i64) -> Result<Option<(i64, i64)>, Error> {
    const SQL: &str = "SELECT repository_id, blob_id FROM (
            SELECT repository_id, blob_id FROM repository_blobs WHERE (repository_id, blob_id) > ($1, $2)
            ORDER BY repository_id, blob_id LIMIT $3) AS part
         ORDER BY repository_id DESC, blob_id DESC LIMIT 1";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(after.0).bind(after.1).bind(size).fetch_optional(c).await?))
}

/// The links in a window whose lease ended before `now` and whose blob no manifest of the repository refers to.
///
/// # Errors
/// When the database fails.
pub async fn find_unused_links(
    c: &mut Connection,
    after: (i64, i64),
    until: (i64, i64),
    now: Timestamp,
) -> Result<Vec<UnusedLink>, Error> {
    const SQL: &str = "SELECT l.repository_id, l.blob_id, r.registry_id, r.name AS repository, b.digest, b.size_bytes,
            r.trash_id IS NOT NULL AS is_hidden
         FROM repository_blobs l
         JOIN repositories r ON r.id = l.repository_id
         JOIN blobs b ON b.id = l.blob_id
         WHERE (l.repository_id, l.blob_id) > ($1, $2) AND (l.repository_id, l.blob_id) <= ($3, $4)
           AND l.lease_until < $5 AND (r.deleted_at IS NULL OR r.trash_id IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM manifest_blobs m WHERE m.repository_id = l.repository_id AND m.blob_id = l.blob_id)
         ORDER BY l.repository_id, l.blob_id";
    Ok(on_engine!(c, c => {
        sqlx::query_as(SQL)
            .bind(after.0)
            .bind(after.1)
            .bind(until.0)
            .bind(until.1)
            .bind(now.0)
            .fetch_all(c)
            .await?
    }))
}

/// Cuts a link if it is still unused: the lease may have been renewed or a manifest pushed since it was found.
/// Returns whether it was cut.
///
/// # Errors
/// When the database fails.
pub async fn cut_unused_link(c: &mut Connection, link: &UnusedLink, now: Timestamp) -> Result<bool, Error> {
    // Whoever is about to refer to it is waited for, and the statement after this sees what they did.
    blobs::lock_link(c, RepositoryId(link.repository_id), BlobId(link.blob_id), true).await?;
    const SQL: &str = "DELETE FROM repository_blobs WHERE repository_id = $1 AND blob_id = $2 AND lease_until < $3
           AND NOT EXISTS (SELECT 1 FROM manifest_blobs m
              WHERE m.repository_id = repository_blobs.repository_id AND m.blob_id = repository_blobs.blob_id)";
    let rows = on_engine!(c, c => {
        sqlx::query(SQL).bind(link.repository_id).bind(link.blob_id).bind(now.0).execute(c).await?.rows_affected()
    });
    Ok(rows > 0)
}

/// The end of the next window of blobs, or `None` when there are no more.
///
/// # Errors
/// When the database fails.
pub async fn blob_window(c: &mut Connection, after: i64, size: i64) -> Result<Option<i64>, Error> {
    const SQL: &str = "SELECT MAX(id) FROM (SELECT id FROM blobs WHERE id > $1 ORDER BY id LIMIT $2) AS part";
    let end: Option<i64> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(after).bind(size).fetch_one(c).await?);
    Ok(end)
}

/// The blobs in a window that no repository holds.
///
/// # Errors
/// When the database fails.
pub async fn find_unlinked_blobs(c: &mut Connection, after: i64, until: i64) -> Result<Vec<UnlinkedBlob>, Error> {
    const SQL: &str = "SELECT id, storage_key, size_bytes FROM blobs WHERE id > $1 AND id <= $2
           AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.blob_id = blobs.id) ORDER BY id";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(after).bind(until).fetch_all(c).await?))
}

/// Removes the row of a blob if still no repository holds it, and dooms its object. Returns whether it was removed.
///
/// # Errors
/// When the database fails.
pub async fn doom_unlinked_blob(c: &mut Connection, id: BlobId, now: Timestamp) -> Result<bool, Error> {
    // PostgreSQL: the lock waits for whoever is about to link the blob, and the statement after it sees the link.
    if matches!(c, Connection::Postgres(_)) {
        const LOCK: &str = "SELECT id FROM blobs WHERE id = $1 FOR UPDATE";
        on_engine!(&mut *c, c => { sqlx::query(LOCK).bind(id.0).execute(c).await?; });
    }
    const SQL: &str = "DELETE FROM blobs WHERE id = $1
           AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.blob_id = blobs.id) RETURNING storage_key, size_bytes";
    let removed: Option<(Option<String>, i64)> =
        on_engine!(&mut *c, c => sqlx::query_as(SQL).bind(id.0).fetch_optional(c).await?);
    if let Some((Some(key), size_bytes)) = &removed {
        doom(c, key, *size_bytes, now).await?;
    }
    Ok(removed.is_some())
}

/// Notes that an object is of no use any more, to be removed from the store later.
///
/// # Errors
/// When the database fails.
pub async fn doom(c: &mut Connection, storage_key: &str, size_bytes: i64, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO doomed_objects (storage_key, size_bytes, doomed_at) VALUES ($1, $2, $3)
         ON CONFLICT (storage_key) DO NOTHING";
    on_engine!(c, c => { sqlx::query(SQL).bind(storage_key).bind(size_bytes).bind(now.0).execute(c).await?; });
    Ok(())
}

/// The objects that were doomed before an instant.
///
/// # Errors
/// When the database fails.
pub async fn list_doomed(c: &mut Connection, before: Timestamp, limit: i64) -> Result<Vec<DoomedObject>, Error> {
    const SQL: &str =
        "SELECT storage_key, size_bytes FROM doomed_objects WHERE doomed_at <= $1 ORDER BY doomed_at LIMIT $2";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(before.0).bind(limit).fetch_all(c).await?))
}

/// Forgets a doomed object, after its removal from the store.
///
/// # Errors
/// When the database fails.
pub async fn forget_doomed(c: &mut Connection, storage_key: &str) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM doomed_objects WHERE storage_key = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(storage_key).execute(c).await?; });
    Ok(())
}

/// Removes what means something to a running installation alone, from the copy of its database: upload sessions, and
/// objects that wait for removal.
///
/// # Errors
/// When the database fails.
pub async fn forget_unfinished(c: &mut Connection) -> Result<(), Error> {
    for sql in ["DELETE FROM uploads", "DELETE FROM doomed_objects"] {
        on_engine!(&mut *c, c => { sqlx::query(sql).execute(c).await?; });
    }
    Ok(())
}

/// Whether any row refers to an object.
///
/// # Errors
/// When the database fails.
pub async fn is_known_object(c: &mut Connection, storage_key: &str) -> Result<bool, Error> {
    const SQL: &str = "SELECT (SELECT COUNT(*) FROM blobs WHERE storage_key = $1)
            + (SELECT COUNT(*) FROM uploads WHERE storage_key = $1)
            + (SELECT COUNT(*) FROM doomed_objects WHERE storage_key = $1)";
    let count: i64 = on_engine!(c, c => sqlx::query_scalar(SQL).bind(storage_key).fetch_one(c).await?);
    Ok(count > 0)
}

/// Of the objects given, those that no row refers to.
///
/// # Errors
/// When the database fails.
pub async fn find_unknown_objects(c: &mut Connection, storage_keys: Vec<String>) -> Result<Vec<String>, Error> {
    let mut unknown = Vec::new();
    for part in storage_keys.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(1, part.len());
        let sql = format!(
            "SELECT storage_key FROM blobs WHERE storage_key IN ({list})
             UNION SELECT storage_key FROM uploads WHERE storage_key IN ({list})
             UNION SELECT storage_key FROM doomed_objects WHERE storage_key IN ({list})"
        );
        let known: Vec<String> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_scalar(AssertSqlSafe(sql));
            for key in part {
                query = query.bind(key);
            }
            query.fetch_all(c).await?
        });
        let known: HashSet<String> = known.into_iter().collect();
        unknown.extend(part.iter().filter(|key| !known.contains(*key)).cloned());
    }
    Ok(unknown)
}

/// Dooms an object that no row refers to. Returns `false` when one does by now. The counterpart of [`claim_object`].
///
/// # Errors
/// When the database fails.
pub async fn doom_unknown_object(
    c: &mut Connection,
    storage_key: &str,
    size_bytes: i64,
    now: Timestamp,
) -> Result<bool, Error> {
    lock_object(c, storage_key).await?;
    if is_known_object(c, storage_key).await? {
        return Ok(false);
    }
    doom(c, storage_key, size_bytes, now).await?;
    Ok(true)
}

/// To be called before a row is written that refers to a new object: returns `false` when the object was doomed as
/// nobody's meanwhile, however that came about, and must not be referred to any more.
///
/// # Errors
/// When the database fails.
pub async fn claim_object(c: &mut Connection, storage_key: &str) -> Result<bool, Error> {
    lock_object(c, storage_key).await?;
    const SQL: &str = "SELECT COUNT(*) FROM doomed_objects WHERE storage_key = $1";
    let count: i64 = on_engine!(c, c => sqlx::query_scalar(SQL).bind(storage_key).fetch_one(c).await?);
    Ok(count == 0)
}

/// Lets one transaction at a time decide about an object, until it ends. SQLite has one writer and needs no lock.
async fn lock_object(c: &mut Connection, storage_key: &str) -> Result<(), Error> {
    if let Connection::Postgres(c) = c {
        const SQL: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        sqlx::query(SQL).bind(storage_key).execute(&mut **c).await?;
    }
    Ok(())
}

/// Removes repositories that hold nothing: no manifest, no blob, no upload, for longer than until `before`.
///
/// # Errors
/// When the database fails.
pub async fn delete_empty_repositories(c: &mut Connection, before: Timestamp) -> Result<u64, Error> {
    // Those that hold the trash are looked after under its lock: nothing on their rows tells when something comes in.
    const SQL: &str = "DELETE FROM repositories WHERE manifest_count = 0 AND updated_at < $1 AND trash_id IS NULL
           AND NOT EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = repositories.id)
           AND NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.repository_id = repositories.id)
           AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.repository_id = repositories.id)";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(before.0).execute(c).await?.rows_affected()))
}

/// A blob as the verifier reads it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct StoredBlob {
    /// Its row.
    pub id: i64,
    /// Its digest.
    pub digest: String,
    /// Its size.
    pub size_bytes: i64,
    /// Where it is, unless it is inline.
    pub storage_key: Option<String>,
    /// Its bytes, when inline.
    pub bytes: Option<Vec<u8>>,
}

/// A page of all blobs.
///
/// # Errors
/// When the database fails.
pub async fn list_blobs(c: &mut Connection, after: i64, limit: i64) -> Result<Vec<StoredBlob>, Error> {
    const SQL: &str = "SELECT id, digest, size_bytes, storage_key, bytes FROM blobs WHERE id > $1 ORDER BY id LIMIT $2";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(after).bind(limit).fetch_all(c).await?))
}

/// A manifest as the verifier reads it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct StoredManifest {
    /// Its row.
    pub id: i64,
    /// The repository's row.
    pub repository_id: i64,
    /// The repository's name.
    pub repository: String,
    /// Whether it was deleted from there and is in the trash.
    pub is_in_trash: bool,
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A page of all manifests.
///
/// # Errors
/// When the database fails.
pub async fn list_manifests(c: &mut Connection, after: i64, limit: i64) -> Result<Vec<StoredManifest>, Error> {
    const SQL: &str = "SELECT m.id, m.repository_id, COALESCE(t.repository, r.name) AS repository,
            t.id IS NOT NULL AS is_in_trash, m.digest, m.media_type, m.bytes
         FROM manifests m JOIN repositories r ON r.id = m.repository_id LEFT JOIN trash t ON t.id = r.trash_id
         WHERE m.id > $1 ORDER BY m.id LIMIT $2";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(after).bind(limit).fetch_all(c).await?))
}

/// The digests of the blobs that a manifest is recorded to refer to.
///
/// # Errors
/// When the database fails.
pub async fn list_blobs_of_manifest(c: &mut Connection, manifest: i64) -> Result<Vec<String>, Error> {
    const SQL: &str = "SELECT b.digest FROM manifest_blobs m
         JOIN repository_blobs l ON l.repository_id = m.repository_id AND l.blob_id = m.blob_id
         JOIN blobs b ON b.id = l.blob_id WHERE m.manifest_id = $1";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(manifest).fetch_all(c).await?))
}

/// A repository whose counters disagree with its rows.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Miscount {
    /// The repository's name.
    pub repository: String,
    /// The manifests that it counts.
    pub manifest_count: i64,
    /// The manifests that it has.
    pub manifests: i64,
    /// The tags that it counts.
    pub tag_count: i64,
    /// The tags that it has.
    pub tags: i64,
}

/// The repositories whose counters disagree with their rows.
///
/// # Errors
/// When the database fails.
pub async fn list_miscounts(c: &mut Connection) -> Result<Vec<Miscount>, Error> {
    const SQL: &str = "SELECT repository, manifest_count, manifests, tag_count, tags FROM (
            SELECT r.name AS repository, r.manifest_count, r.tag_count,
                (SELECT COUNT(*) FROM manifests m WHERE m.repository_id = r.id) AS manifests,
                (SELECT COUNT(*) FROM tags t WHERE t.repository_id = r.id) AS tags
            FROM repositories r JOIN registries g ON g.id = r.registry_id WHERE g.deleted_at IS NULL AND r.deleted_at IS NULL) AS counted
         WHERE manifest_count <> manifests OR tag_count <> tags";
    Ok(on_engine!(c, c => sqlx::query_as(SQL).fetch_all(c).await?))
}

/// How many tags name a manifest that is not in their repository, registries whose change log has a gap, and rows
/// that violate a foreign key, each as a line for a person.
///
/// # Errors
/// When the database fails.
pub async fn list_inconsistencies(c: &mut Connection) -> Result<Vec<String>, Error> {
    const TAGS: &str = "SELECT r.name, t.name FROM tags t JOIN repositories r ON r.id = t.repository_id
         LEFT JOIN manifests m ON m.id = t.manifest_id AND m.repository_id = t.repository_id WHERE m.id IS NULL";
    const GAPS: &str = "SELECT name, last_change, logged FROM (
            SELECT g.name, g.last_change, (SELECT COUNT(*) FROM changes c WHERE c.registry_id = g.id) AS logged
            FROM registries g WHERE g.deleted_at IS NULL) AS counted WHERE last_change <> logged";
    const LINKS: &str = "SELECT r.name, b.digest FROM manifest_blobs m
         JOIN repositories r ON r.id = m.repository_id LEFT JOIN blobs b ON b.id = m.blob_id
         LEFT JOIN repository_blobs l ON l.repository_id = m.repository_id AND l.blob_id = m.blob_id
         WHERE l.blob_id IS NULL OR b.id IS NULL";
    let mut lines = Vec::new();
    let tags: Vec<(String, String)> = on_engine!(&mut *c, c => sqlx::query_as(TAGS).fetch_all(c).await?);
    lines.extend(tags.into_iter().map(|(repository, tag)| format!("tag {repository}:{tag} names no manifest")));
    let gaps: Vec<(String, i64, i64)> = on_engine!(&mut *c, c => sqlx::query_as(GAPS).fetch_all(c).await?);
    lines.extend(gaps.into_iter().map(|(registry, last, logged)| {
        format!("the change log of registry {registry} holds {logged} changes of {last}")
    }));
    let links: Vec<(String, Option<String>)> = on_engine!(&mut *c, c => sqlx::query_as(LINKS).fetch_all(c).await?);
    lines.extend(links.into_iter().map(|(repository, digest)| {
        format!("a manifest in {repository} refers to blob {} which is not linked", digest.unwrap_or_default())
    }));
    if matches!(c, Connection::Sqlite(_)) {
        const CHECK: &str = "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'
             UNION ALL SELECT 'foreign key of table ' || \"table\" FROM pragma_foreign_key_check";
        let broken: Vec<String> = on_engine!(c, c => sqlx::query_scalar(CHECK).fetch_all(c).await?);
        lines.extend(broken);
    }
    Ok(lines)
}
