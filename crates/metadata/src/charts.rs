//! Charts: what is known of manifests that hold one, for the index of a repository of charts.
//!
//! A chart shows while its manifest and the tag of its version do, so nothing here is to be removed by hand: a row goes with
//! its manifest, and one whose tag names something else is passed over.

use wharf_model::{ManifestId, RegistryId, Timestamp};

use crate::connection::on_engine;
use crate::{Connection, Error};

/// A chart that is to be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChart {
    /// The repository of charts that it is in.
    pub home: String,
    /// Its name, which is the last component of its repository's.
    pub name: String,
    /// Name and version, as its package is called without its ending.
    pub file: String,
    /// The tag that stands for its version.
    pub tag: String,
    /// The digest of its package.
    pub archive_digest: String,
    /// The digest of its provenance, if it has one.
    pub provenance_digest: Option<String>,
    /// Its `Chart.yaml`, as JSON.
    pub metadata: String,
}

/// A chart that shows.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ChartRow {
    manifest_id: i64,
    /// Its name.
    pub name: String,
    /// Name and version, as its package is called without its ending.
    pub file: String,
    /// The tag that names its manifest.
    pub tag: String,
    /// Its manifest.
    pub digest: String,
    /// The digest of its package.
    pub archive_digest: String,
    /// The digest of its provenance, if it has one.
    pub provenance_digest: Option<String>,
    /// Its `Chart.yaml`, as JSON.
    pub metadata: String,
    updated_at: i64,
}

impl ChartRow {
    /// The row of its manifest.
    #[must_use]
    pub fn manifest(&self) -> ManifestId {
        ManifestId(self.manifest_id)
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &str {
        self.file.get(self.name.len() + 1..).unwrap_or_default()
    }

    /// When the tag was set on the manifest.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        Timestamp(self.updated_at)
    }
}

/// The charts of a repository of charts, whatever locks hide.
macro_rules! select {
    () => {
        "SELECT h.manifest_id, h.name, h.file, h.tag, m.digest, h.archive_digest, h.provenance_digest, h.metadata, t.updated_at
            FROM charts h
            JOIN manifests m ON m.id = h.manifest_id
            JOIN tags t ON t.repository_id = m.repository_id AND t.name = h.tag AND t.manifest_id = m.id
            JOIN repositories r ON r.id = m.repository_id
            WHERE h.registry_id = $1 AND h.home = $2 AND r.deleted_at IS NULL"
    };
}

/// Notes that a manifest holds a chart. Does nothing if that is known.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    c: &mut Connection,
    registry: RegistryId,
    manifest: ManifestId,
    chart: &NewChart,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO charts (manifest_id, registry_id, home, name, file, tag, archive_digest,
            provenance_digest, metadata) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (manifest_id) DO NOTHING";
    on_engine!(c, c => {
        sqlx::query(SQL)
            .bind(manifest.0)
            .bind(registry.0)
            .bind(&chart.home)
            .bind(&chart.name)
            .bind(&chart.file)
            .bind(&chart.tag)
            .bind(&chart.archive_digest)
            .bind(&chart.provenance_digest)
            .bind(&chart.metadata)
            .execute(c)
            .await?;
    });
    Ok(())
}

/// The charts of a repository of charts that show, by name; with `name` those of one.
///
/// # Errors
/// When the database fails.
pub async fn list(
    c: &mut Connection,
    registry: RegistryId,
    home: &str,
    name: Option<&str>,
) -> Result<Vec<ChartRow>, Error> {
    const ALL: &str =
        concat!(select!(), " AND r.list_enabled AND t.list_enabled AND m.list_enabled ORDER BY h.name, h.file");
    const ONE: &str =
        concat!(select!(), " AND r.list_enabled AND t.list_enabled AND m.list_enabled AND h.name = $3 ORDER BY h.file");
    Ok(match name {
        None => on_engine!(c, c => sqlx::query_as(ALL).bind(registry.0).bind(home).fetch_all(c).await?),
        Some(name) => {
            on_engine!(c, c => sqlx::query_as(ONE).bind(registry.0).bind(home).bind(name).fetch_all(c).await?)
        }
    })
}

/// All versions of a chart, also those that a lock hides from lists.
///
/// # Errors
/// When the database fails.
pub async fn list_all(
    c: &mut Connection,
    registry: RegistryId,
    home: &str,
    name: &str,
) -> Result<Vec<ChartRow>, Error> {
    const SQL: &str = concat!(select!(), " AND h.name = $3 ORDER BY h.file");
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(registry.0).bind(home).bind(name).fetch_all(c).await?))
}

/// Finds the chart whose package has this name. Whoever knows its name finds it, also if a lock hides it from lists.
///
/// # Errors
/// When the database fails.
pub async fn find(c: &mut Connection, registry: RegistryId, home: &str, file: &str) -> Result<Option<ChartRow>, Error> {
    const SQL: &str = concat!(select!(), " AND h.file = $3 ORDER BY h.name LIMIT 1");
    Ok(on_engine!(c, c => sqlx::query_as(SQL).bind(registry.0).bind(home).bind(file).fetch_optional(c).await?))
}

/// The number of the last change in a registry: while it stays the same, so does every list of charts.
///
/// # Errors
/// When the database fails.
pub async fn last_change(c: &mut Connection, registry: RegistryId) -> Result<i64, Error> {
    const SQL: &str = "SELECT last_change FROM registries WHERE id = $1";
    let found: Option<i64> = on_engine!(c, c => sqlx::query_scalar(SQL).bind(registry.0).fetch_optional(c).await?);
    Ok(found.unwrap_or_default())
}
