//! How many bytes repositories and registries hold.
//!
//! A link of a blob to a repository that comes or goes leaves a row in `link_changes` (a trigger's work, so that no
//! statement can forget it). [`count_some`] takes these rows into the figures, a few hundred at a time:
//!
//! ```text
//! repository_blobs ──► link_changes ──► registry_blobs: in how many repositories of the registry is a blob, and which is the only one
//!                                  └──► repository_sizes, registry_sizes
//! ```
//!
//! Nothing is ever walked, so a registry may be of any size; the figures lag behind by as long as rows wait.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;
use wharf_model::{RegistryId, RepositoryId};

use crate::connection::{VALUES_PER_STATEMENT, on_engine, placeholder_list, placeholders};
use crate::{Connection, Error};

/// The bytes of a repository.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct RepositorySize {
    /// Of the blobs that it holds, each once.
    pub logical_bytes: i64,
    /// Of those that no other repository of the registry holds.
    pub unique_bytes: i64,
}

/// The bytes of a repository, as far as they are counted.
///
/// # Errors
/// When the database fails.
pub async fn find_repository(c: &mut Connection, id: RepositoryId) -> Result<RepositorySize, Error> {
    const SQL: &str = "SELECT logical_bytes, unique_bytes FROM repository_sizes WHERE repository_id = $1";
    let row: Option<RepositorySize> = on_engine!(c, c => sqlx::query_as(SQL).bind(id.0).fetch_optional(c).await?);
    Ok(row.unwrap_or_default())
}

/// The bytes of the blobs that a registry holds, each once, as far as they are counted.
///
/// # Errors
/// When the database fails.
pub async fn find_registry(c: &mut Connection, id: RegistryId) -> Result<i64, Error> {
    const SQL: &str = "SELECT total_bytes FROM registry_sizes WHERE registry_id = $1";
    let bytes: Option<i64> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(id.0).fetch_optional(c).await?);
    Ok(bytes.unwrap_or(0))
}

/// Whether links wait to be counted.
///
/// # Errors
/// When the database fails.
pub async fn are_pending(c: &mut Connection) -> Result<bool, Error> {
    const SQL: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM link_changes LIMIT 1) AS one";
    let count: i64 = on_engine!(c, c => sqlx::query_scalar(SQL).fetch_one(c).await?);
    Ok(count > 0)
}

/// A link that came or went.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
struct LinkChange {
    id: i64,
    registry_id: i64,
    repository_id: i64,
    blob_id: i64,
    size_bytes: i64,
    change: i64,
}

/// Who holds a blob in a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Holders {
    count: i64,
    sum: i64,
}

impl Holders {
    /// The only one.
    fn only(self) -> Option<i64> {
        (self.count == 1).then_some(self.sum)
    }
}

/// Takes at most `most` links that came or went into the figures. Returns `false` when nothing is left to be done.
///
/// # Errors
/// When the database fails.
pub async fn count_some(c: &mut Connection, most: i64) -> Result<bool, Error> {
    if !is_alone(c).await? {
        return Ok(false);
    }
    const SQL: &str = "SELECT id, registry_id, repository_id, blob_id, size_bytes, change FROM link_changes
         ORDER BY id LIMIT $1";
    let changes: Vec<LinkChange> = on_engine!(&mut *c, c => sqlx::query_as(SQL).bind(most).fetch_all(c).await?);
    if changes.is_empty() {
        return Ok(false);
    }
    let mut blobs: BTreeMap<(i64, i64), (Holders, i64)> = BTreeMap::new();
    let mut figures = Figures::default();
    for change in &changes {
        let (moved, size_bytes) = blobs.entry((change.registry_id, change.blob_id)).or_default();
        moved.count += change.change;
        moved.sum += change.change * change.repository_id;
        *size_bytes = change.size_bytes;
        figures.repository(change.repository_id, change.registry_id).logical_bytes += change.change * change.size_bytes;
    }
    let keys: Vec<(i64, i64)> = blobs.keys().copied().collect();
    let known = find_holders(c, &keys).await?;
    let mut kept = Vec::with_capacity(blobs.len());
    let mut gone = Vec::new();
    for (&(registry, blob), &(moved, size_bytes)) in &blobs {
        let before = known.get(&(registry, blob)).copied().unwrap_or_default();
        let after = Holders { count: before.count + moved.count, sum: before.sum + moved.sum };
        if let Some(only) = before.only() {
            figures.repository(only, registry).unique_bytes -= size_bytes;
        }
        if let Some(only) = after.only() {
            figures.repository(only, registry).unique_bytes += size_bytes;
        }
        let comes_or_goes = i64::from(after.count > 0) - i64::from(before.count > 0);
        *figures.registries.entry(registry).or_default() += comes_or_goes * size_bytes;
        if after.count > 0 {
            kept.push([registry, blob, size_bytes, after.count, after.sum]);
        } else {
            gone.push((registry, blob));
        }
    }
    put_holders(c, &kept, &gone).await?;
    figures.add(c).await?;
    let ids: Vec<i64> = changes.iter().map(|change| change.id).collect();
    for part in ids.chunks(VALUES_PER_STATEMENT) {
        let sql = format!("DELETE FROM link_changes WHERE id IN ({})", placeholder_list(1, part.len()));
        execute(c, sql, part).await?;
    }
    Ok(changes.len() as i64 == most)
}

/// Keeps other nodes from counting until the transaction ends. SQLite has one writer.
async fn is_alone(c: &mut Connection) -> Result<bool, Error> {
    match c {
        Connection::Sqlite(_) => Ok(true),
        Connection::Postgres(c) => {
            const SQL: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('link_changes', 0))";
            Ok(sqlx::query_scalar(SQL).fetch_one(&mut **c).await?)
        }
    }
}

async fn find_holders(c: &mut Connection, keys: &[(i64, i64)]) -> Result<BTreeMap<(i64, i64), Holders>, Error> {
    let mut found = BTreeMap::new();
    for part in keys.chunks(VALUES_PER_STATEMENT / 2) {
        let sql = format!(
            "SELECT registry_id, blob_id, holders, holder_sum FROM registry_blobs
             WHERE (registry_id, blob_id) IN (VALUES {})",
            placeholders(1, part.len(), 2)
        );
        let rows: Vec<(i64, i64, i64, i64)> = on_engine!(&mut *c, c => {
            let mut query = sqlx::query_as(AssertSqlSafe(sql));
            for (registry, blob) in part {
                query = query.bind(*registry).bind(*blob);
            }
            query.fetch_all(c).await?
        });
        found.extend(rows.into_iter().map(|(registry, blob, count, sum)| ((registry, blob), Holders { count, sum })));
    }
    Ok(found)
}

async fn put_holders(c: &mut Connection, kept: &[[i64; 5]], gone: &[(i64, i64)]) -> Result<(), Error> {
    for part in kept.chunks(VALUES_PER_STATEMENT / 5) {
        let sql = format!(
            "INSERT INTO registry_blobs (registry_id, blob_id, size_bytes, holders, holder_sum) VALUES {}
             ON CONFLICT (registry_id, blob_id) DO UPDATE SET
                holders = excluded.holders, holder_sum = excluded.holder_sum",
            placeholders(1, part.len(), 5)
        );
        execute(c, sql, part.as_flattened()).await?;
    }
    for part in gone.chunks(VALUES_PER_STATEMENT / 2) {
        let values: Vec<i64> = part.iter().flat_map(|&(registry, blob)| [registry, blob]).collect();
        let list = placeholders(1, part.len(), 2);
        let sql = format!("DELETE FROM registry_blobs WHERE (registry_id, blob_id) IN (VALUES {list})");
        execute(c, sql, &values).await?;
    }
    Ok(())
}

/// By how much figures change.
#[derive(Debug, Default)]
struct Figures {
    /// By repository, with its registry.
    repositories: BTreeMap<i64, (i64, RepositorySize)>,
    registries: BTreeMap<i64, i64>,
}

impl Figures {
    fn repository(&mut self, id: i64, registry: i64) -> &mut RepositorySize {
        &mut self.repositories.entry(id).or_insert((registry, RepositorySize::default())).1
    }

    /// Adds them to what stands. Who holds nothing has no row.
    async fn add(self, c: &mut Connection) -> Result<(), Error> {
        let repositories: Vec<[i64; 4]> = self
            .repositories
            .iter()
            .map(|(&id, &(registry, size))| [id, registry, size.logical_bytes, size.unique_bytes])
            .collect();
        for part in repositories.chunks(VALUES_PER_STATEMENT / 4) {
            let sql = format!(
                "INSERT INTO repository_sizes (repository_id, registry_id, logical_bytes, unique_bytes) VALUES {}
                 ON CONFLICT (repository_id) DO UPDATE SET
                    logical_bytes = repository_sizes.logical_bytes + excluded.logical_bytes,
                    unique_bytes = repository_sizes.unique_bytes + excluded.unique_bytes",
                placeholders(1, part.len(), 4)
            );
            execute(c, sql, part.as_flattened()).await?;
            let ids: Vec<i64> = part.iter().map(|row| row[0]).collect();
            let list = placeholder_list(1, ids.len());
            let sql = format!("DELETE FROM repository_sizes WHERE repository_id IN ({list}) AND logical_bytes = 0");
            execute(c, sql, &ids).await?;
        }
        let registries: Vec<[i64; 2]> = self.registries.iter().map(|(&id, &bytes)| [id, bytes]).collect();
        for part in registries.chunks(VALUES_PER_STATEMENT / 2) {
            let sql = format!(
                "INSERT INTO registry_sizes (registry_id, total_bytes) VALUES {}
                 ON CONFLICT (registry_id) DO UPDATE SET
                    total_bytes = registry_sizes.total_bytes + excluded.total_bytes",
                placeholders(1, part.len(), 2)
            );
            execute(c, sql, part.as_flattened()).await?;
            let ids: Vec<i64> = part.iter().map(|row| row[0]).collect();
            let list = placeholder_list(1, ids.len());
            let sql = format!("DELETE FROM registry_sizes WHERE registry_id IN ({list}) AND total_bytes = 0");
            execute(c, sql, &ids).await?;
        }
        Ok(())
    }
}

async fn execute(c: &mut Connection, sql: String, values: &[i64]) -> Result<(), Error> {
    on_engine!(c, c => {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for value in values {
            query = query.bind(*value);
        }
        query.execute(c).await?;
    });
    Ok(())
}

/// Where the figures, with what waits to be counted, disagree with the links, a line for a person each. Each statement
/// sees one state of the database, so pushes may go on meanwhile.
///
/// # Errors
/// When the database fails.
pub async fn list_miscounts(c: &mut Connection) -> Result<Vec<String>, Error> {
    const HOLDERS: &str = "SELECT registry_id, blob_id, CAST(SUM(holders) AS BIGINT) FROM (
            SELECT r.registry_id, l.blob_id, 1 AS holders, r.id AS holder_sum
                FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id
            UNION ALL SELECT registry_id, blob_id, -holders, -holder_sum FROM registry_blobs
            UNION ALL SELECT registry_id, blob_id, -change, -change * repository_id FROM link_changes) AS counted
         GROUP BY registry_id, blob_id HAVING SUM(holders) <> 0 OR SUM(holder_sum) <> 0 LIMIT 100";
    const REPOSITORIES: &str =
        "SELECT repository_id, CAST(SUM(logical_bytes) AS BIGINT), CAST(SUM(unique_bytes) AS BIGINT)
         FROM (
            SELECT repository_id, logical_bytes, unique_bytes FROM repository_sizes
            UNION ALL SELECT repository_id, change * size_bytes, 0 FROM link_changes
            UNION ALL SELECT l.repository_id, -b.size_bytes, 0 FROM repository_blobs l JOIN blobs b ON b.id = l.blob_id
            UNION ALL SELECT holder_sum, 0, -size_bytes FROM registry_blobs WHERE holders = 1) AS counted
         GROUP BY repository_id HAVING SUM(logical_bytes) <> 0 OR SUM(unique_bytes) <> 0 LIMIT 100";
    const REGISTRIES: &str = "SELECT registry_id, CAST(SUM(total_bytes) AS BIGINT) FROM (
            SELECT registry_id, total_bytes FROM registry_sizes
            UNION ALL SELECT registry_id, -size_bytes FROM registry_blobs) AS counted
         GROUP BY registry_id HAVING SUM(total_bytes) <> 0 LIMIT 100";
    let mut lines = Vec::new();
    let rows: Vec<(i64, i64, i64)> = on_engine!(&mut *c, c => sqlx::query_as(HOLDERS).fetch_all(c).await?);
    lines.extend(rows.into_iter().map(|(registry, blob, missing)| {
        format!("the count of repositories of registry {registry} that hold blob {blob} is off by {missing}")
    }));
    let rows: Vec<(i64, i64, i64)> = on_engine!(&mut *c, c => sqlx::query_as(REPOSITORIES).fetch_all(c).await?);
    lines.extend(rows.into_iter().map(|(repository, logical, unique)| {
        format!("the bytes counted for repository {repository} are off by {logical} (of its own: {unique})")
    }));
    let rows: Vec<(i64, i64)> = on_engine!(&mut *c, c => sqlx::query_as(REGISTRIES).fetch_all(c).await?);
    lines.extend(
        rows.into_iter()
            .map(|(registry, bytes)| format!("the bytes counted for registry {registry} are off by {bytes}")),
    );
    Ok(lines)
}
