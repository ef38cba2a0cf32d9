//! Attributes and locks of manifests.

use wharf_model::{Digest, Locks, ManifestId, RegistryId, RepositoryId, Timestamp};

use super::{LockColumns, Position, in_order};
use crate::connection::on_engine;
use crate::manifests::NewPlatform;
use crate::pulls::{PullColumns, Pulls};
use crate::quarantine::Mark;
use crate::{Connection, Error};

/// A manifest as the metadata API shows it.
#[derive(Clone, Debug)]
pub struct ManifestAttributes {
    /// Its row.
    pub id: ManifestId,
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// The media type of its config.
    pub config_media_type: Option<String>,
    /// The processor's architecture, as the config says.
    pub architecture: Option<String>,
    /// The operating system, as the config says.
    pub os: Option<String>,
    /// The sum of the sizes of config and layers.
    pub image_size_bytes: i64,
    /// When it was pushed first.
    pub created_at: Timestamp,
    /// When it was last pushed.
    pub updated_at: Timestamp,
    /// Its tags that are not hidden, in order.
    pub tags: Vec<String>,
    /// Its locks.
    pub locks: Locks,
    /// How it was pulled.
    pub pulls: Option<Pulls>,
    /// What scanners say of it.
    pub quarantine: Option<Mark>,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    digest: String,
    media_type: String,
    config_media_type: Option<String>,
    architecture: Option<String>,
    os: Option<String>,
    image_size_bytes: i64,
    created_at: i64,
    updated_at: i64,
    tags: Option<String>,
    quarantine_state: Option<String>,
    quarantine_details: Option<String>,
    quarantine_tag: Option<String>,
    #[sqlx(flatten)]
    locks: LockColumns,
    #[sqlx(flatten)]
    pulls: PullColumns,
}

impl TryFrom<Columns> for ManifestAttributes {
    type Error = Error;

    fn try_from(row: Columns) -> Result<Self, Error> {
        Ok(Self {
            id: ManifestId(row.id),
            digest: row.digest,
            media_type: row.media_type,
            config_media_type: row.config_media_type,
            architecture: row.architecture,
            os: row.os,
            image_size_bytes: row.image_size_bytes,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            tags: row.tags.iter().flat_map(|tags| tags.split(' ')).map(str::to_owned).collect(),
            locks: row.locks.into(),
            pulls: row.pulls.into(),
            quarantine: Mark::of_columns(row.quarantine_state, row.quarantine_details, row.quarantine_tag)?,
        })
    }
}

/// Finds a manifest.
///
/// # Errors
/// When the database fails.
pub async fn find_manifest(
    c: &mut Connection,
    repository: RepositoryId,
    digest: &Digest,
) -> Result<Option<ManifestAttributes>, Error> {
    const SQL: &str = "SELECT m.id, m.digest, m.media_type, m.config_media_type, m.architecture, m.os,
            m.image_size_bytes, m.created_at, m.updated_at,
            m.delete_enabled, m.write_enabled, m.read_enabled, m.list_enabled,
            q.state AS quarantine_state, q.details AS quarantine_details, q.tag AS quarantine_tag,
            p.pull_count, p.pulled_at,
            (SELECT string_agg(t.name, ' ' ORDER BY t.name) FROM tags t
                WHERE t.manifest_id = m.id AND t.list_enabled) AS tags
         FROM manifests m
         LEFT JOIN quarantine_marks q ON q.manifest_id = m.id LEFT JOIN manifest_pulls p ON p.manifest_id = m.id
         WHERE m.repository_id = $1 AND m.digest = $2";
    let row: Option<Columns> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(repository.0).bind(digest.as_str()).fetch_optional(c).await?);
    row.map(TryInto::try_into).transpose()
}

/// The bytes of a manifest.
///
/// # Errors
/// When the database fails, or there is no such manifest.
pub async fn find_manifest_bytes(c: &mut Connection, id: ManifestId) -> Result<Option<Vec<u8>>, Error> {
    const SQL: &str = "SELECT bytes FROM manifests WHERE id = $1";
    Ok(on_engine!(c, c => sqlx::query_scalar(SQL).bind(id.0).fetch_optional(c).await?))
}

/// When a manifest was last pushed.
///
/// # Errors
/// When the database fails.
pub async fn find_manifest_time(
    c: &mut Connection,
    repository: RepositoryId,
    digest: &str,
) -> Result<Option<Timestamp>, Error> {
    const SQL: &str = "SELECT updated_at FROM manifests WHERE repository_id = $1 AND digest = $2";
    let time: Option<i64> =
        on_engine!(c, c => sqlx::query_scalar(SQL).bind(repository.0).bind(digest).fetch_optional(c).await?);
    Ok(time.map(Timestamp))
}

/// A part of the manifests that are not hidden.
///
/// # Errors
/// When the database fails.
pub async fn list_manifests(
    c: &mut Connection,
    repository: RepositoryId,
    after: &Position,
    limit: i64,
) -> Result<Vec<ManifestAttributes>, Error> {
    let sql = in_order!(
        after,
        "SELECT m.id, m.digest, m.media_type, m.config_media_type, m.architecture, m.os, m.image_size_bytes,
            m.created_at, m.updated_at, m.delete_enabled, m.write_enabled, m.read_enabled, m.list_enabled,
            q.state AS quarantine_state, q.details AS quarantine_details, q.tag AS quarantine_tag,
            p.pull_count, p.pulled_at,
            (SELECT string_agg(t.name, ' ' ORDER BY t.name) FROM tags t
                WHERE t.manifest_id = m.id AND t.list_enabled) AS tags
         FROM manifests m
         LEFT JOIN quarantine_marks q ON q.manifest_id = m.id LEFT JOIN manifest_pulls p ON p.manifest_id = m.id
         WHERE m.repository_id = $1 AND m.list_enabled",
        "m",
        "digest"
    );
    let (time, name) = after.values();
    let rows: Vec<Columns> = on_engine!(c, c => {
        sqlx::query_as(sql).bind(repository.0).bind(time).bind(name).bind(limit).fetch_all(c).await?
    });
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Sets the locks of a manifest.
///
/// # Errors
/// When the database fails.
pub async fn put_manifest_locks(
    c: &mut Connection,
    repository: RepositoryId,
    digest: &Digest,
    locks: Locks,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE manifests SET delete_enabled = $3, write_enabled = $4, read_enabled = $5,
            list_enabled = $6 WHERE repository_id = $1 AND digest = $2";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(repository.0)
            .bind(digest.as_str())
            .bind(locks.delete_enabled)
            .bind(locks.write_enabled)
            .bind(locks.read_enabled)
            .bind(locks.list_enabled)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// A manifest whose platform was not looked for yet.
#[derive(Clone, Debug)]
pub struct UndescribedManifest {
    /// Its row.
    pub id: ManifestId,
    /// The registry that it is in.
    pub registry: RegistryId,
    /// The repository that it is in.
    pub repository: RepositoryId,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Manifests whose platform was not looked for yet, those pushed first first.
///
/// # Errors
/// When the database fails.
pub async fn list_undescribed(
    c: &mut Connection,
    after: ManifestId,
    limit: i64,
) -> Result<Vec<UndescribedManifest>, Error> {
    const SQL: &str = "SELECT m.id, r.registry_id, m.repository_id, m.media_type, m.bytes FROM manifests m
         JOIN repositories r ON r.id = m.repository_id
         WHERE m.id > $1 AND NOT m.is_described ORDER BY m.id LIMIT $2";
    let rows: Vec<(i64, i64, i64, String, Vec<u8>)> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(after.0).bind(limit).fetch_all(c).await?);
    let describe = |(id, registry, repository, media_type, bytes)| UndescribedManifest {
        id: ManifestId(id),
        registry: RegistryId(registry),
        repository: RepositoryId(repository),
        media_type,
        bytes,
    };
    Ok(rows.into_iter().map(describe).collect())
}

/// Notes the platform of a manifest, or that it has none.
///
/// # Errors
/// When the database fails.
pub async fn describe_manifest(c: &mut Connection, id: ManifestId, platform: NewPlatform<'_>) -> Result<(), Error> {
    const SQL: &str = "UPDATE manifests SET architecture = $2, os = $3, is_described = TRUE WHERE id = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(id.0).bind(platform.architecture).bind(platform.os).execute(c).await?; });
    Ok(())
}
