//! When manifests and tags were pulled last, and how often.
//!
//! What is written here was noted in memory and comes in batches, some seconds late. What was removed meanwhile takes its
//! notes along; nobody who removes something waits for them.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;
use wharf_model::{ManifestId, RepositoryId, Timestamp};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list, placeholders};
use crate::{Connection, Error, settings};

/// Pulls as they are shown: at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulls {
    /// How many there were.
    pub count: i64,
    /// When the last one was.
    pub last_at: Timestamp,
}

/// The columns of [`Pulls`] behind a `LEFT JOIN`.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub(crate) struct PullColumns {
    pull_count: Option<i64>,
    pulled_at: Option<i64>,
}

impl From<PullColumns> for Option<Pulls> {
    fn from(row: PullColumns) -> Self {
        let last_at = Timestamp(row.pulled_at?);
        row.pull_count.filter(|&count| count > 0).map(|count| Pulls { count, last_at })
    }
}

/// How something was used since the last note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// How many pulls there were.
    pub pulls: i64,
    /// When the last of them was.
    pub pulled_at: Option<Timestamp>,
    /// When it was last asked for, in whatever way.
    pub used_at: Timestamp,
}

/// The use of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestUse {
    /// Its row.
    pub manifest: ManifestId,
    /// Its use.
    pub uses: Use,
}

/// The use of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagUse {
    /// The repository that it is in.
    pub repository: RepositoryId,
    /// Its name.
    pub name: String,
    /// When it was set first: another tag may have its name by now.
    pub created_at: Timestamp,
    /// Its use.
    pub uses: Use,
}

/// The pulls of all manifests of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepositoryPulls {
    /// The repository.
    pub repository: RepositoryId,
    /// How many there were.
    pub pulls: i64,
    /// When the last one was.
    pub pulled_at: Timestamp,
}

/// How many items one of the functions that note takes at most, to keep its transaction short.
pub const ITEMS_PER_NOTE: usize = VALUES_PER_STATEMENT / 5;

/// Adds to the pulls of manifests that are still there. To be given in the order of their rows, each once, and at most
/// [`ITEMS_PER_NOTE`].
///
/// # Errors
/// When the database fails.
pub async fn note_manifests(c: &mut Connection, uses: &[ManifestUse]) -> Result<(), Error> {
    // Who removes one is not waited for: they may be waiting for another one that is ours until this ends.
    let lock = if matches!(c, Connection::Sqlite(_)) { "" } else { " FOR KEY SHARE SKIP LOCKED" };
    let sql = format!("SELECT id FROM manifests WHERE id IN ({}){lock}", placeholder_list(1, uses.len()));
    if uses.is_empty() {
        return Ok(());
    }
    let there: Vec<i64> = on_engine!(&mut *c, c => {
        let mut query = sqlx::query_scalar(AssertSqlSafe(sql));
        for item in uses {
            query = query.bind(item.manifest.0);
        }
        query.fetch_all(c).await?
    });
    let uses: Vec<&ManifestUse> = uses.iter().filter(|item| there.contains(&item.manifest.0)).collect();
    if uses.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO manifest_pulls (manifest_id, pull_count, pulled_at, used_at) VALUES {}
         ON CONFLICT (manifest_id) DO UPDATE SET
            pull_count = manifest_pulls.pull_count + excluded.pull_count,
            pulled_at = CASE WHEN manifest_pulls.pulled_at > COALESCE(excluded.pulled_at, 0)
                THEN manifest_pulls.pulled_at ELSE excluded.pulled_at END,
            used_at = CASE WHEN manifest_pulls.used_at > excluded.used_at
                THEN manifest_pulls.used_at ELSE excluded.used_at END",
        placeholders(1, uses.len(), 4)
    );
    on_engine!(c, c => {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for item in uses {
            query = query
                .bind(item.manifest.0)
                .bind(item.uses.pulls)
                .bind(item.uses.pulled_at.map(|at| at.0))
                .bind(item.uses.used_at.0);
        }
        query.execute(c).await?;
    });
    Ok(())
}

/// Adds to the pulls of tags that are still the ones that were pulled. As [`note_manifests`], in the order of repositories
/// and names.
///
/// # Errors
/// When the database fails.
pub async fn note_tags(c: &mut Connection, uses: &[TagUse]) -> Result<(), Error> {
    let lock = if matches!(c, Connection::Sqlite(_)) { "" } else { " FOR KEY SHARE SKIP LOCKED" };
    if uses.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT repository_id, name, created_at FROM tags WHERE (repository_id, name) IN (VALUES {}){lock}",
        placeholders(1, uses.len(), 2)
    );
    let there: Vec<(i64, String, i64)> = on_engine!(&mut *c, c => {
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        for item in uses {
            query = query.bind(item.repository.0).bind(&item.name);
        }
        query.fetch_all(c).await?
    });
    let there: HashMap<(i64, &str), i64> =
        there.iter().map(|(repository, name, created_at)| ((*repository, name.as_str()), *created_at)).collect();
    let is_there = |item: &&TagUse| there.get(&(item.repository.0, item.name.as_str())) == Some(&item.created_at.0);
    let uses: Vec<&TagUse> = uses.iter().filter(is_there).collect();
    if uses.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO tag_pulls (repository_id, name, pull_count, pulled_at, used_at) VALUES {}
         ON CONFLICT (repository_id, name) DO UPDATE SET
            pull_count = tag_pulls.pull_count + excluded.pull_count,
            pulled_at = CASE WHEN tag_pulls.pulled_at > COALESCE(excluded.pulled_at, 0)
                THEN tag_pulls.pulled_at ELSE excluded.pulled_at END,
            used_at = CASE WHEN tag_pulls.used_at > excluded.used_at THEN tag_pulls.used_at ELSE excluded.used_at END",
        placeholders(1, uses.len(), 5)
    );
    on_engine!(c, c => {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for item in uses {
            query = query
                .bind(item.repository.0)
                .bind(&item.name)
                .bind(item.uses.pulls)
                .bind(item.uses.pulled_at.map(|at| at.0))
                .bind(item.uses.used_at.0);
        }
        query.execute(c).await?;
    });
    Ok(())
}

/// Adds to the pulls of repositories. As [`note_manifests`], and in a transaction of its own: this waits for who changes
/// one of them.
///
/// # Errors
/// When the database fails.
pub async fn note_repositories(c: &mut Connection, pulls: &[RepositoryPulls]) -> Result<(), Error> {
    if pulls.is_empty() {
        return Ok(());
    }
    let lock = if matches!(c, Connection::Sqlite(_)) { "" } else { " FOR KEY SHARE" };
    let list = placeholder_list(1, pulls.len());
    let sql = format!("SELECT id, registry_id, created_at FROM repositories WHERE id IN ({list}) ORDER BY id{lock}");
    let there: Vec<(i64, i64, i64)> = on_engine!(&mut *c, c => {
        let mut query = sqlx::query_as(AssertSqlSafe(sql));
        for item in pulls {
            query = query.bind(item.repository.0);
        }
        query.fetch_all(c).await?
    });
    if there.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO repository_pulls (repository_id, registry_id, created_at, pull_count, pulled_at) VALUES {}
         ON CONFLICT (repository_id) DO UPDATE SET
            pull_count = excluded.pull_count + CASE WHEN repository_pulls.created_at = excluded.created_at
                THEN repository_pulls.pull_count ELSE 0 END,
            pulled_at = CASE WHEN repository_pulls.pulled_at > excluded.pulled_at
                THEN repository_pulls.pulled_at ELSE excluded.pulled_at END,
            created_at = excluded.created_at",
        placeholders(1, there.len(), 5)
    );
    let pulls: HashMap<i64, &RepositoryPulls> = pulls.iter().map(|item| (item.repository.0, item)).collect();
    on_engine!(c, c => {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (repository, registry, created_at) in there {
            let item = pulls[&repository];
            query = query.bind(repository).bind(registry).bind(created_at).bind(item.pulls).bind(item.pulled_at.0);
        }
        query.execute(c).await?;
    });
    Ok(())
}

/// Since when pulls are counted in this installation. `None`: not yet; then nothing may be called unused.
///
/// # Errors
/// When the database fails.
pub async fn counted_since(c: &mut Connection) -> Result<Option<Timestamp>, Error> {
    let Some(value) = settings::get(c, COUNTED_SINCE).await? else { return Ok(None) };
    let text = String::from_utf8_lossy(&value).into_owned();
    crate::error::parse("time since when pulls are counted", &text).map(|time| Some(Timestamp(time)))
}

/// Notes that pulls are counted from now on, unless they are already.
///
/// # Errors
/// When the database fails.
pub async fn begin_counting(c: &mut Connection, now: Timestamp) -> Result<(), Error> {
    settings::put_if_absent(c, COUNTED_SINCE, now.0.to_string().as_bytes()).await.map(drop)
}

/// When these tags were last used, by themselves or through the manifest that they name: by its digest or by another tag.
/// What is missing never was.
///
/// # Errors
/// When the database fails.
pub async fn list_tag_uses(
    c: &mut Connection,
    repository: RepositoryId,
    names: &[&str],
) -> Result<HashMap<String, Timestamp>, Error> {
    let mut found = HashMap::with_capacity(names.len());
    for part in names.chunks(VALUES_PER_STATEMENT) {
        let sql = format!(
            "SELECT t.name, CASE WHEN COALESCE(p.used_at, 0) > COALESCE(m.used_at, 0) THEN p.used_at ELSE m.used_at END
             FROM tags t LEFT JOIN tag_pulls p ON p.repository_id = t.repository_id AND p.name = t.name
             LEFT JOIN manifest_pulls m ON m.manifest_id = t.manifest_id
             WHERE t.repository_id = $1 AND t.name IN ({})",
            placeholder_list(2, part.len())
        );
        let rows: Vec<(String, Option<i64>)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(repository.0);
            for name in part {
                query = query.bind(name);
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().filter_map(|(name, used_at)| Some((name, Timestamp(used_at?)))));
    }
    Ok(found)
}

/// When these manifests were last used, by digest or by a tag. What is missing never was.
///
/// # Errors
/// When the database fails.
pub async fn list_manifest_uses(
    c: &mut Connection,
    ids: &[ManifestId],
) -> Result<HashMap<ManifestId, Timestamp>, Error> {
    let mut found = HashMap::with_capacity(ids.len());
    for part in ids.chunks(VALUES_PER_STATEMENT) {
        let list = placeholder_list(1, part.len());
        let sql = format!("SELECT manifest_id, used_at FROM manifest_pulls WHERE manifest_id IN ({list})");
        let rows: Vec<(i64, i64)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql));
            for id in part {
                query = query.bind(id.0);
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(|(id, used_at)| (ManifestId(id), Timestamp(used_at))));
    }
    Ok(found)
}

/// The pulls of a repository since it began.
///
/// # Errors
/// When the database fails.
pub async fn find_repository(c: &mut Connection, id: RepositoryId) -> Result<Option<Pulls>, Error> {
    const SQL: &str = "SELECT p.pull_count, p.pulled_at FROM repository_pulls p
         JOIN repositories r ON r.id = p.repository_id AND r.created_at = p.created_at WHERE p.repository_id = $1";
    let row: Option<(i64, i64)> = on_engine!(c, c => sqlx::query_as(SQL).bind(id.0).fetch_optional(c).await?);
    Ok(row.map(|(count, last_at)| Pulls { count, last_at: Timestamp(last_at) }))
}

/// The setting that says since when pulls are counted, in microseconds since 1970.
const COUNTED_SINCE: &str = "pulls-counted-since";
