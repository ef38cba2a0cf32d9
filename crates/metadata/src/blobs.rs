//! Blobs, their links to repositories, and the objects that wait for removal.

use sqlx::AssertSqlSafe;
use wharf_model::{BlobId, Digest, RegistryId, RepositoryId, RepositoryName, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::error::parse;
use crate::{Connection, Error};

/// Where a blob's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the object store, under this key.
    Object(String),
    /// Here.
    Inline(Vec<u8>),
}

/// A blob as one repository sees it.
#[derive(Clone, Debug)]
pub struct BlobRow {
    /// Its row.
    pub id: BlobId,
    /// The repository that it was looked up in.
    pub repository: RepositoryId,
    /// Its size.
    pub size_bytes: u64,
    /// Where its bytes are.
    pub place: Place,
    /// Whether a lock lets what is in the repository be pulled.
    pub read_enabled: bool,
    /// Until when the collector leaves it alone though no manifest refers to it.
    pub lease_until: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    repository_id: i64,
    size_bytes: i64,
    storage_key: Option<String>,
    bytes: Option<Vec<u8>>,
    lease_until: i64,
    read_enabled: bool,
}

impl From<Columns> for BlobRow {
    fn from(row: Columns) -> Self {
        Self {
            id: BlobId(row.id),
            repository: RepositoryId(row.repository_id),
            size_bytes: u64::try_from(row.size_bytes).unwrap_or(0),
            place: place(row.storage_key, row.bytes),
            read_enabled: row.read_enabled,
            lease_until: Timestamp(row.lease_until),
        }
    }
}

fn place(storage_key: Option<String>, bytes: Option<Vec<u8>>) -> Place {
    match storage_key {
        Some(key) => Place::Object(key),
        None => Place::Inline(bytes.unwrap_or_default()),
    }
}

/// Finds a blob that is linked to a repository.
///
/// # Errors
/// When the database fails.
pub async fn find_linked(
    c: &mut Connection,
    registry: RegistryId,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<BlobRow>, Error> {
    const SQL: &str =
        "SELECT b.id, l.repository_id, b.size_bytes, b.storage_key, b.bytes, l.lease_until, r.read_enabled
         FROM blobs b
         JOIN repositories r ON r.registry_id = $1 AND r.name = $2
         JOIN repository_blobs l ON l.repository_id = r.id AND l.blob_id = b.id
         WHERE b.digest = $3";
    let row: Option<Columns> = on_engine!(c, c => {
        sqlx::query_as(SQL)
            .bind(registry.0)
            .bind(repository.as_str())
            .bind(digest.as_str())
            .fetch_optional(c)
            .await?
    });
    Ok(row.map(Into::into))
}

/// Finds a blob wherever it may be linked, with its place. For the storing side only: that it exists says nothing
/// about who may read it.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, digest: &Digest) -> Result<Option<(BlobId, Place)>, Error> {
    const SQL: &str = "SELECT id, storage_key, bytes FROM blobs WHERE digest = $1";
    let row: Option<(i64, Option<String>, Option<Vec<u8>>)> =
        on_engine!(c, c => sqlx::query_as(SQL).bind(digest.as_str()).fetch_optional(c).await?);
    Ok(row.map(|(id, key, bytes)| (BlobId(id), place(key, bytes))))
}

/// The repositories of a registry that hold a blob and may be pulled from, by name.
///
/// # Errors
/// When the database fails.
pub async fn list_holders(
    c: &mut Connection,
    registry: RegistryId,
    digest: &Digest,
    limit: i64,
) -> Result<Vec<RepositoryName>, Error> {
    const SQL: &str = "SELECT r.name FROM blobs b
         JOIN repository_blobs l ON l.blob_id = b.id
         JOIN repositories r ON r.id = l.repository_id AND r.registry_id = $1 AND r.deleted_at IS NULL AND r.read_enabled
         WHERE b.digest = $2 ORDER BY r.name LIMIT $3";
    let names: Vec<String> = on_engine!(c, c => {
        sqlx::query_scalar(SQL).bind(registry.0).bind(digest.as_str()).bind(limit).fetch_all(c).await?
    });
    names.iter().map(|name| parse("repository name", name)).collect()
}

/// Adds a blob unless one with this digest is there. Returns its row and whether it was added; when it was not,
/// the place given is not in use.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    c: &mut Connection,
    digest: &Digest,
    size_bytes: u64,
    place: &Place,
    now: Timestamp,
) -> Result<(BlobId, bool), Error> {
    let (key, bytes) = match place {
        Place::Object(key) => (Some(key.as_str()), None),
        Place::Inline(bytes) => (None, Some(bytes.as_slice())),
    };
    const INSERT: &str = "INSERT INTO blobs (digest, size_bytes, storage_key, bytes, created_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING RETURNING id";
    const FIND_SQLITE: &str = "SELECT id FROM blobs WHERE digest = $1";
    // The lock keeps the collector from removing the row between this statement and the link.
    const FIND_POSTGRES: &str = "SELECT id FROM blobs WHERE digest = $1 FOR KEY SHARE";
    loop {
        let inserted: Option<i64> = on_engine!(&mut *c, c => {
            sqlx::query_scalar(INSERT)
                .bind(digest.as_str())
                .bind(size_bytes as i64)
                .bind(key)
                .bind(bytes)
                .bind(now.0)
                .fetch_optional(c)
                .await?
        });
        if let Some(id) = inserted {
            return Ok((BlobId(id), true));
        }
        let find = if matches!(c, Connection::Sqlite(_)) { FIND_SQLITE } else { FIND_POSTGRES };
        let found: Option<i64> =
            on_engine!(&mut *c, c => sqlx::query_scalar(find).bind(digest.as_str()).fetch_optional(c).await?);
        if let Some(id) = found {
            return Ok((BlobId(id), false));
        }
    }
}

/// Gives a blob another place, because what was at the former one is lost.
///
/// # Errors
/// When the database fails.
pub async fn replace(c: &mut Connection, id: BlobId, place: &Place) -> Result<(), Error> {
    let (key, bytes) = match place {
        Place::Object(key) => (Some(key.as_str()), None),
        Place::Inline(bytes) => (None, Some(bytes.as_slice())),
    };
    const SQL: &str = "UPDATE blobs SET storage_key = $2, bytes = $3 WHERE id = $1";
    on_engine!(c, c => { sqlx::query(SQL).bind(id.0).bind(key).bind(bytes).execute(c).await?; });
    Ok(())
}

/// Links a blob to a repository until at least `lease_until`; a longer lease stays.
///
/// # Errors
/// When the database fails.
pub async fn link(
    c: &mut Connection,
    repository: RepositoryId,
    blob: BlobId,
    lease_until: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO repository_blobs (repository_id, blob_id, lease_until) VALUES ($1, $2, $3)
         ON CONFLICT (repository_id, blob_id) DO UPDATE SET lease_until =
            CASE WHEN excluded.lease_until > repository_blobs.lease_until
                 THEN excluded.lease_until ELSE repository_blobs.lease_until END";
    on_engine!(c, c => {
        sqlx::query(SQL).bind(repository.0).bind(blob.0).bind(lease_until.0).execute(c).await?;
    });
    Ok(())
}

/// Extends the lease of a link. Returns `false` when the link is gone.
///
/// # Errors
/// When the database fails.
pub async fn renew(
    c: &mut Connection,
    repository: RepositoryId,
    blob: BlobId,
    lease_until: Timestamp,
) -> Result<bool, Error> {
    const SQL: &str = "UPDATE repository_blobs SET lease_until = $3 WHERE repository_id = $1 AND blob_id = $2";
    let rows = on_engine!(c, c => {
        sqlx::query(SQL).bind(repository.0).bind(blob.0).bind(lease_until.0).execute(c).await?.rows_affected()
    });
    Ok(rows > 0)
}

/// Keeps a link as it is until the transaction ends: for others to use as well, or with `exclusive` for cutting it.
/// Returns whether it stands.
///
/// # Errors
/// When the database fails.
pub async fn lock_link(
    c: &mut Connection,
    repository: RepositoryId,
    blob: BlobId,
    exclusive: bool,
) -> Result<bool, Error> {
    const SQLITE: &str = "SELECT blob_id FROM repository_blobs WHERE repository_id = $1 AND blob_id = $2";
    const SHARED: &str = "SELECT blob_id FROM repository_blobs WHERE repository_id = $1 AND blob_id = $2 FOR KEY SHARE";
    const EXCLUSIVE: &str = "SELECT blob_id FROM repository_blobs WHERE repository_id = $1 AND blob_id = $2 FOR UPDATE";
    let sql = match (&c, exclusive) {
        (Connection::Sqlite(_), _) => SQLITE,
        (Connection::Postgres(_), false) => SHARED,
        (Connection::Postgres(_), true) => EXCLUSIVE,
    };
    let found: Option<i64> =
        on_engine!(c, c => sqlx::query_scalar(sql).bind(repository.0).bind(blob.0).fetch_optional(c).await?);
    Ok(found.is_some())
}

/// Whether a manifest of the repository refers to the blob.
///
/// # Errors
/// When the database fails.
pub async fn is_referenced(c: &mut Connection, repository: RepositoryId, blob: BlobId) -> Result<bool, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM manifest_blobs
         WHERE repository_id = $1 AND blob_id = $2 LIMIT 1) AS one";
    let count: i64 = on_engine!(c, c => sqlx::query_scalar(SQL).bind(repository.0).bind(blob.0).fetch_one(c).await?);
    Ok(count > 0)
}

/// Cuts the link of a blob to a repository. Fails when a manifest of the repository refers to it.
///
/// # Errors
/// When the database fails.
pub async fn unlink(c: &mut Connection, repository: RepositoryId, blob: BlobId) -> Result<(), Error> {
    const SQL: &str = "DELETE FROM repository_blobs WHERE repository_id = $1 AND blob_id = $2";
    on_engine!(c, c => { sqlx::query(SQL).bind(repository.0).bind(blob.0).execute(c).await?; });
    Ok(())
}

/// Of the digests given, those that are linked to the repository, with their rows. The links stay until the
/// transaction ends.
///
/// # Errors
/// When the database fails.
pub async fn find_links(
    c: &mut Connection,
    repository: RepositoryId,
    digests: &[&Digest],
) -> Result<Vec<(String, BlobId)>, Error> {
    let mut found = Vec::with_capacity(digests.len());
    for part in digests.chunks(VALUES_PER_STATEMENT) {
        let lock = if matches!(c, Connection::Sqlite(_)) { "" } else { " FOR KEY SHARE OF l" };
        let sql = format!(
            "SELECT b.digest, b.id FROM blobs b JOIN repository_blobs l ON l.blob_id = b.id AND l.repository_id = $1
             WHERE b.digest IN ({}){lock}",
            placeholder_list(2, part.len())
        );
        let rows: Vec<(String, i64)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(repository.0);
            for digest in part {
                query = query.bind(digest.as_str());
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(|(digest, id)| (digest, BlobId(id))));
    }
    Ok(found)
}
