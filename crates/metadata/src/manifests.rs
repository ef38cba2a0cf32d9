//! Manifests with their bytes, and what they refer to.

use sqlx::AssertSqlSafe;
use wharf_model::{BlobId, Digest, ManifestId, Reference, RegistryId, RepositoryId, RepositoryName, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list, placeholders};
use crate::error::parse;
use crate::{Connection, Error};

/// A manifest as it is served.
#[derive(Clone, Debug)]
pub struct ManifestRow {
    /// Its row.
    pub id: ManifestId,
    /// The repository that it is in.
    pub repository: RepositoryId,
    /// When the tag that it was found by was set first.
    pub tag_created_at: Option<Timestamp>,
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Whether the locks of the manifest, of the tag that it was found by, and of the repository let it be pulled.
    pub read_enabled: bool,
    /// Its bytes, exactly as pushed.
    pub bytes: Vec<u8>,
}

/// A manifest to be added.
#[derive(Clone, Debug)]
pub struct NewManifest<'a> {
    /// Its digest.
    pub digest: &'a Digest,
    /// Its media type.
    pub media_type: &'a str,
    /// Its artifact type, as distribution-spec derives it for referrers.
    pub artifact_type: Option<&'a str>,
    /// The media type of its config.
    pub config_media_type: Option<&'a str>,
    /// The digest of the manifest that it refers to as its subject.
    pub subject: Option<&'a Digest>,
    /// Its annotations, a JSON object.
    pub annotations: Option<&'a str>,
    /// The sum of the sizes of config and layers; for an index, of what it lists.
    pub image_size_bytes: u64,
    /// What its config says of the platform, if that is known.
    pub platform: Option<NewPlatform<'a>>,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The platform of a new manifest; both are absent if its config does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewPlatform<'a> {
    /// The processor's architecture.
    pub architecture: Option<&'a str>,
    /// The operating system.
    pub os: Option<&'a str>,
}

/// A manifest as the list of referrers shows it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ReferrerRow {
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its artifact type.
    pub artifact_type: Option<String>,
    /// Its size.
    pub size_bytes: i64,
    /// Its annotations, a JSON object.
    pub annotations: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    repository_id: i64,
    tag_created_at: Option<i64>,
    digest: String,
    media_type: String,
    read_enabled: bool,
    bytes: Vec<u8>,
}

/// Finds a manifest by tag or digest.
///
/// # Errors
/// When the database fails.
pub async fn find(
    c: &mut Connection,
    registry: RegistryId,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<ManifestRow>, Error> {
    const BY_TAG: &str =
        "SELECT m.id, m.repository_id, t.created_at AS tag_created_at, m.digest, m.media_type, m.bytes,
            (r.read_enabled AND t.read_enabled AND m.read_enabled) AS read_enabled FROM repositories r
         JOIN tags t ON t.repository_id = r.id AND t.name = $3
         JOIN manifests m ON m.id = t.manifest_id
         WHERE r.registry_id = $1 AND r.name = $2";
    const BY_DIGEST: &str =
        "SELECT m.id, m.repository_id, CAST(NULL AS BIGINT) AS tag_created_at, m.digest, m.media_type, m.bytes,
            (r.read_enabled AND m.read_enabled) AS read_enabled FROM repositories r
         JOIN manifests m ON m.repository_id = r.id AND m.digest = $3
         WHERE r.registry_id = $1 AND r.name = $2";
    let (sql, name) = match reference {
        Reference::Tag(tag) => (BY_TAG, tag.as_str()),
        Reference::Digest(digest) => (BY_DIGEST, digest.as_str()),
    };
    let row: Option<Columns> = on_engine!(c, c => {
        sqlx::query_as(sql).bind(registry.0).bind(repository.as_str()).bind(name).fetch_optional(c).await?
    });
    row.map(|row| {
        Ok(ManifestRow {
            id: ManifestId(row.id),
            repository: RepositoryId(row.repository_id),
            tag_created_at: row.tag_created_at.map(Timestamp),
            digest: parse("digest", &row.digest)?,
            media_type: row.media_type,
            read_enabled: row.read_enabled,
            bytes: row.bytes,
        })
    })
    .transpose()
}

/// Adds a manifest unless it is there. Returns its row and whether it was added.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    c: &mut Connection,
    repository: RepositoryId,
    new: &NewManifest<'_>,
    now: Timestamp,
) -> Result<(ManifestId, bool), Error> {
    // Pushing the same bytes again touches the row, which also locks it where there are many writers. A lock of ours keeps
    // its attributes as they are.
    const UPDATE: &str = "UPDATE manifests SET updated_at = CASE WHEN write_enabled THEN $3 ELSE updated_at END
         WHERE repository_id = $1 AND digest = $2 RETURNING id";
    const INSERT: &str = "INSERT INTO manifests (repository_id, digest, media_type, artifact_type, config_media_type,
            subject_digest, annotations, image_size_bytes, created_at, updated_at,
            architecture, os, is_described, bytes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12, $13) ON CONFLICT (repository_id, digest) DO NOTHING RETURNING id";
    loop {
        let known: Option<i64> = on_engine!(&mut *c, c => {
            sqlx::query_scalar(UPDATE).bind(repository.0).bind(new.digest.as_str()).bind(now.0).fetch_optional(c).await?
        });
        if let Some(id) = known {
            return Ok((ManifestId(id), false));
        }
        let added: Option<i64> = on_engine!(&mut *c, c => {
            sqlx::query_scalar(INSERT)
                .bind(repository.0)
                .bind(new.digest.as_str())
                .bind(new.media_type)
                .bind(new.artifact_type)
                .bind(new.config_media_type)
                .bind(new.subject.map(Digest::as_str))
                .bind(new.annotations)
                .bind(new.image_size_bytes as i64)
                .bind(now.0)
                .bind(new.platform.and_then(|platform| platform.architecture))
                .bind(new.platform.and_then(|platform| platform.os))
                .bind(new.platform.is_some())
                .bind(new.bytes)
                .fetch_optional(c)
                .await?
        });
        if let Some(id) = added {
            return Ok((ManifestId(id), true));
        }
    }
}

/// Records which blobs a manifest refers to. Each must be linked to the repository.
///
/// # Errors
/// When the database fails.
pub async fn insert_blobs(
    c: &mut Connection,
    repository: RepositoryId,
    manifest: ManifestId,
    blobs: &[BlobId],
) -> Result<(), Error> {
    for part in blobs.chunks(VALUES_PER_STATEMENT / 3) {
        let values = placeholders(1, part.len(), 3);
        let sql = format!("INSERT INTO manifest_blobs (repository_id, blob_id, manifest_id) VALUES {values}");
        on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for blob in part {
                query = query.bind(repository.0).bind(blob.0).bind(manifest.0);
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Records which manifests an index refers to.
///
/// # Errors
/// When the database fails.
pub async fn insert_children(c: &mut Connection, parent: ManifestId, children: &[ManifestId]) -> Result<(), Error> {
    for part in children.chunks(VALUES_PER_STATEMENT / 2) {
        let values = placeholders(1, part.len(), 2);
        let sql = format!("INSERT INTO manifest_children (parent_id, child_id) VALUES {values}");
        on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for child in part {
                query = query.bind(parent.0).bind(child.0);
            }
            query.execute(c).await?;
        });
    }
    Ok(())
}

/// Of the digests given, those that the repository holds as manifests, with their rows.
///
/// # Errors
/// When the database fails.
pub async fn find_many(
    c: &mut Connection,
    repository: RepositoryId,
    digests: &[&Digest],
) -> Result<Vec<(String, ManifestId)>, Error> {
    let mut found = Vec::with_capacity(digests.len());
    for part in digests.chunks(VALUES_PER_STATEMENT) {
        let lock = if matches!(c, Connection::Sqlite(_)) { "" } else { " FOR KEY SHARE" };
        let sql = format!(
            "SELECT digest, id FROM manifests WHERE repository_id = $1 AND digest IN ({}){lock}",
            placeholder_list(2, part.len())
        );
        let rows: Vec<(String, i64)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(repository.0);
            for digest in part {
                query = query.bind(digest.as_str());
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(|(digest, id)| (digest, ManifestId(id))));
    }
    Ok(found)
}

/// The sizes of the images that these manifests are, together.
///
/// # Errors
/// When the database fails.
pub async fn sum_image_sizes(c: &mut Connection, ids: &[ManifestId]) -> Result<u64, Error> {
    let mut total = 0u64;
    for part in ids.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(1, part.len());
        let sql = format!("SELECT image_size_bytes FROM manifests WHERE id IN ({list})");
        let sizes: Vec<i64> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_scalar(AssertSqlSafe(sql));
            for id in part {
                query = query.bind(id.0);
            }
            query.fetch_all(c).await?
        });
        // Sizes are what manifests say; nothing keeps them from adding up to more than there is.
        total = sizes.iter().fold(total, |total, &size| total.saturating_add(u64::try_from(size).unwrap_or(0)));
    }
    Ok(total.min(i64::MAX as u64))
}

/// The manifests whose subject this digest is.
///
/// # Errors
/// When the database fails.
pub async fn find_referrers(
    c: &mut Connection,
    repository: RepositoryId,
    subject: &str,
) -> Result<Vec<(String, ManifestId)>, Error> {
    const SQL: &str =
        "SELECT digest, id FROM manifests WHERE repository_id = $1 AND subject_digest = $2 ORDER BY digest";
    let rows: Vec<(String, i64)> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(repository.0).bind(subject).fetch_all(c).await?);
    Ok(rows.into_iter().map(|(digest, id)| (digest, ManifestId(id))).collect())
}

/// Which referrers are to be listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferrerFilter<'a> {
    /// Those of this type.
    pub artifact_type: Option<&'a str>,
    /// Those that a scanner let pass.
    pub only_passed: bool,
}

/// The bytes that the annotations of each referrer of a digest take, by digest, after the one given: for knowing how many
/// fit into an answer before they are read.
///
/// # Errors
/// When the database fails.
pub async fn weigh_referrers(
    c: &mut Connection,
    repository: RepositoryId,
    subject: &Digest,
    filter: ReferrerFilter<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<i64>, Error> {
    const SQL: &str = "SELECT CAST(COALESCE(OCTET_LENGTH(annotations), 0) AS BIGINT)
         FROM manifests WHERE repository_id = $1 AND subject_digest = $2 AND digest > $3 AND list_enabled
           AND (CAST($4 AS TEXT) IS NULL OR artifact_type = $4)
           AND (NOT $6 OR EXISTS (SELECT 1 FROM quarantine_marks WHERE manifest_id = manifests.id AND state = 'Passed'))
         ORDER BY digest LIMIT $5";
    Ok(on_engine!(c, c => {
        sqlx::query_scalar(SQL)
            .bind(repository.0)
            .bind(subject.as_str())
            .bind(after)
            .bind(filter.artifact_type)
            .bind(limit)
            .bind(filter.only_passed)
            .fetch_all(c)
            .await?
    }))
}

/// A page of the referrers of a digest, by digest, after the one given.
///
/// # Errors
/// When the database fails.
pub async fn list_referrers(
    c: &mut Connection,
    repository: RepositoryId,
    subject: &Digest,
    filter: ReferrerFilter<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<ReferrerRow>, Error> {
    // The cast tells PostgreSQL the type of a parameter that is only compared with NULL.
    const SQL: &str =
        "SELECT digest, media_type, artifact_type, CAST(LENGTH(bytes) AS BIGINT) AS size_bytes, annotations
         FROM manifests WHERE repository_id = $1 AND subject_digest = $2 AND digest > $3 AND list_enabled
           AND (CAST($4 AS TEXT) IS NULL OR artifact_type = $4)
           AND (NOT $6 OR EXISTS (SELECT 1 FROM quarantine_marks WHERE manifest_id = manifests.id AND state = 'Passed'))
         ORDER BY digest LIMIT $5";
    Ok(on_engine!(c, c => {
        sqlx::query_as(SQL)
            .bind(repository.0)
            .bind(subject.as_str())
            .bind(after)
            .bind(filter.artifact_type)
            .bind(limit)
            .bind(filter.only_passed)
            .fetch_all(c)
            .await?
    }))
}

/// Removes a manifest and what it refers to from the books. Its tags must have been removed before. Returns whether it
/// was there.
///
/// # Errors
/// When the database fails.
pub async fn delete(c: &mut Connection, id: ManifestId) -> Result<bool, Error> {
    const SQL: &str = "DELETE FROM manifests WHERE id = $1";
    Ok(on_engine!(c, c => sqlx::query(SQL).bind(id.0).execute(c).await?.rows_affected()) > 0)
}
