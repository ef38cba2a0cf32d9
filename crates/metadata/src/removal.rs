//! What is asked before manifests and tags are removed, many at once, and their removal.

use std::collections::HashSet;

use sqlx::AssertSqlSafe;
use wharf_model::{Digest, ManifestId, RepositoryId, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list};
use crate::{Connection, Error};

/// A manifest that may be removed, with what speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its row.
    pub id: ManifestId,
    /// Its digest.
    pub digest: String,
    /// When it was last pushed.
    pub updated_at: Timestamp,
    /// Whether it has a tag.
    pub is_tagged: bool,
    /// Whether an index of the same repository lists it.
    pub is_listed: bool,
    /// Whether it refers to a subject.
    pub has_subject: bool,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    digest: String,
    updated_at: i64,
    is_tagged: bool,
    is_listed: bool,
    has_subject: bool,
}

/// Of the digests given, those that the repository holds as manifests.
///
/// # Errors
/// When the database fails.
pub async fn find_candidates(
    c: &mut Connection,
    repository: RepositoryId,
    digests: &[&Digest],
) -> Result<Vec<Candidate>, Error> {
    let mut found = Vec::with_capacity(digests.len());
    for part in digests.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(2, part.len());
        let sql = format!(
            "SELECT m.id, m.digest, m.updated_at,
                EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id) AS is_tagged,
                EXISTS (SELECT 1 FROM manifest_children k JOIN manifests p ON p.id = k.parent_id
                    WHERE k.child_id = m.id AND p.repository_id = m.repository_id) AS is_listed,
                m.subject_digest IS NOT NULL AS has_subject
             FROM manifests m WHERE m.repository_id = $1 AND m.digest IN ({list})"
        );
        let rows: Vec<Columns> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(repository.0);
            for digest in part {
                query = query.bind(digest.as_str());
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(|row| Candidate {
            id: ManifestId(row.id),
            digest: row.digest,
            updated_at: Timestamp(row.updated_at),
            is_tagged: row.is_tagged,
            is_listed: row.is_listed,
            has_subject: row.has_subject,
        }));
    }
    Ok(found)
}

/// A manifest that refers to another one as its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// Its row.
    pub id: ManifestId,
    /// Its digest.
    pub digest: String,
    /// Its subject.
    pub subject: String,
}

/// The manifests whose subject one of these digests is, by digest.
///
/// # Errors
/// When the database fails.
pub async fn find_referrers(
    c: &mut Connection,
    repository: RepositoryId,
    subjects: &[&str],
) -> Result<Vec<Referrer>, Error> {
    let mut found = Vec::new();
    for part in subjects.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(2, part.len());
        // Put in order here: to have them in order, SQLite would read all manifests of the repository by digest.
        let sql = format!(
            "SELECT id, digest, subject_digest FROM manifests WHERE repository_id = $1 AND subject_digest IN ({list})"
        );
        let rows: Vec<(i64, String, String)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(repository.0);
            for subject in part {
                query = query.bind(*subject);
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(|(id, digest, subject)| Referrer { id: ManifestId(id), digest, subject }));
    }
    found.sort_unstable_by(|one: &Referrer, other: &Referrer| one.digest.cmp(&other.digest));
    Ok(found)
}

/// The manifests of the same repository that these indexes list, by digest.
///
/// # Errors
/// When the database fails.
pub async fn find_children(
    c: &mut Connection,
    repository: RepositoryId,
    parents: &[ManifestId],
) -> Result<Vec<(ManifestId, String)>, Error> {
    let mut found = Vec::new();
    for part in parents.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(2, part.len());
        // In order here, as above; and joined in this order, for the same reason.
        let sql = format!(
            "SELECT m.id, m.digest FROM manifest_children k CROSS JOIN manifests m
             WHERE k.parent_id IN ({list}) AND m.id = k.child_id AND m.repository_id = $1"
        );
        let rows: Vec<(i64, String)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(repository.0);
            for id in part {
                query = query.bind(id.0);
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(|(id, digest)| (ManifestId(id), digest)));
    }
    found.sort_unstable_by(|one, other| one.1.cmp(&other.1));
    found.dedup();
    Ok(found)
}

/// Something that a lock keeps from being deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LockedContent {
    /// The manifest, or the one that the tag names.
    pub manifest: ManifestId,
    /// Its digest.
    pub digest: String,
    /// The tag, if that is what is locked.
    pub tag: Option<String>,
}

/// What of these manifests, and of their tags, a lock keeps from being deleted.
///
/// # Errors
/// When the database fails.
pub async fn list_locked(c: &mut Connection, manifests: &[ManifestId]) -> Result<Vec<LockedContent>, Error> {
    let mut locked = Vec::new();
    for part in manifests.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(1, part.len());
        let sql = format!(
            "SELECT id, digest, NULL AS tag FROM manifests
                WHERE id IN ({list}) AND NOT (delete_enabled AND write_enabled)
             UNION ALL SELECT t.manifest_id, m.digest, t.name FROM tags t JOIN manifests m ON m.id = t.manifest_id
                WHERE t.manifest_id IN ({list}) AND NOT (t.delete_enabled AND t.write_enabled)"
        );
        let rows: Vec<(i64, String, Option<String>)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql));
            for id in part {
                query = query.bind(id.0);
            }
            query.fetch_all(c).await?
        });
        let rows = rows.into_iter();
        locked.extend(rows.map(|(id, digest, tag)| LockedContent { manifest: ManifestId(id), digest, tag }));
    }
    Ok(locked)
}

/// Removes manifests and what they refer to from the books. Their tags must have been removed before. Returns how many
/// there were.
///
/// # Errors
/// When the database fails.
pub async fn delete_manifests(c: &mut Connection, manifests: &[ManifestId]) -> Result<u64, Error> {
    let mut gone = 0;
    let distinct: HashSet<ManifestId> = manifests.iter().copied().collect();
    let distinct: Vec<ManifestId> = distinct.into_iter().collect();
    for part in distinct.chunks(VALUES_PER_STATEMENT) {
        let sql = format!("DELETE FROM manifests WHERE id IN ({})", placeholder_list(1, part.len()));
        gone += on_engine!(&mut *c, c => {
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for id in part {
                query = query.bind(id.0);
            }
            query.execute(c).await?.rows_affected()
        });
    }
    Ok(gone)
}
