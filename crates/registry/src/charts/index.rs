//! The index of a repository of charts, and the lists made of the same rows.
//!
//! An index is one query over notes taken when charts were pushed; no chart is read for it. What was built is remembered with
//! the number of the registry's last change, which is asked for each time: a chart that was pushed, moved, locked or deleted
//! is in the next index, whichever process did it.
//!
//! The index is written as JSON, which is YAML as well (`helm repo index --json` writes such ones too): Helm reads it several
//! times faster, and no text in a chart can be taken for something else than text.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use moka::sync::Cache;
use serde::Serialize;
use serde_json::{Map, Value, json};
use wharf_metadata::charts::{self, ChartRow};
use wharf_model::{Algorithm, Digest, Timestamp};

use super::{ChartsTarget, version};
use crate::{Artifacts, Error};

/// An index, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartIndex {
    /// The document.
    pub document: Bytes,
    /// Its digest.
    pub digest: Digest,
}

/// A version of a chart as lists show it: what its `Chart.yaml` says, when it was pushed, and where its package is, relative
/// to the repository of charts.
pub type ChartVersion = Map<String, Value>;

/// Indices that were built, by registry and repository of charts.
pub(crate) struct Indices(Cache<(i64, String), (i64, Arc<ChartIndex>)>);

impl Indices {
    pub(crate) fn new() -> Self {
        let weigh = |key: &(i64, String), (_, index): &(i64, Arc<ChartIndex>)| {
            u32::try_from(key.1.len() + index.document.len() + 128).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(MOST_BYTES).weigher(weigh).build())
    }
}

impl fmt::Debug for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Indices").finish_non_exhaustive()
    }
}

impl Artifacts {
    /// The index of a repository of charts. One without charts has an empty index: it exists as soon as somebody asks.
    ///
    /// # Errors
    /// When the stores fail.
    pub async fn chart_index(&self, target: ChartsTarget<'_>) -> Result<Arc<ChartIndex>, Error> {
        let key = (target.registry.id.0, target.home.to_string());
        let known = self.inner.chart_indices.0.get(&key);
        let (registry, home) = (target.registry.id, target.home.clone());
        let known_change = known.as_ref().map(|(change, _)| *change);
        // Number and rows are of one moment, or rows are newer than the number: then the next request builds it again.
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let change = charts::last_change(c, registry).await?;
                if known_change == Some(change) {
                    return Ok(None);
                }
                Ok::<_, wharf_metadata::Error>(Some((change, charts::list(c, registry, home.as_str(), None).await?)))
            })
        });
        match (read.await?, known) {
            (None, Some((_, index))) => Ok(index),
            (built, _) => {
                let (change, rows) = built.unwrap_or_default();
                let index = Arc::new(build(&rows));
                self.inner.chart_indices.0.insert(key, (change, index.clone()));
                Ok(index)
            }
        }
    }

    /// Lists the charts of a repository of charts, each with its versions, the newest first; with `name` one chart.
    ///
    /// # Errors
    /// When the stores fail.
    pub async fn list_charts(
        &self,
        target: ChartsTarget<'_>,
        name: Option<&str>,
    ) -> Result<BTreeMap<String, Vec<ChartVersion>>, Error> {
        let (registry, home, name) = (target.registry.id, target.home.clone(), name.map(str::to_owned));
        let read = self
            .inner
            .database
            .read(move |c| Box::pin(async move { charts::list(c, registry, home.as_str(), name.as_deref()).await }));
        Ok(entries(&read.await?, Some(Acr)))
    }
}

/// The document of an index. It is the same for the same charts.
fn build(rows: &[ChartRow]) -> ChartIndex {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index {
        api_version: &'static str,
        generated: String,
        entries: BTreeMap<String, Vec<ChartVersion>>,
    }
    let newest = rows.iter().map(ChartRow::updated_at).max().unwrap_or(Timestamp(0));
    let index = Index { api_version: "v1", generated: newest.to_string(), entries: entries(rows, None) };
    let mut document = serde_json::to_vec(&index).expect("maps with string keys always serialise");
    document.push(b'\n');
    ChartIndex { digest: Digest::of(Algorithm::Sha256, &document), document: document.into() }
}

/// Rows by chart, the newest version first.
fn entries(rows: &[ChartRow], acr: Option<Acr>) -> BTreeMap<String, Vec<ChartVersion>> {
    let mut entries: BTreeMap<String, Vec<&ChartRow>> = BTreeMap::new();
    for row in rows {
        entries.entry(row.name.clone()).or_default().push(row);
    }
    let sorted = entries.into_iter().map(|(name, mut rows)| {
        rows.sort_by_cached_key(|row| Reverse(version::parse(row.version())));
        (name, rows.into_iter().map(|row| show(row, acr)).collect())
    });
    sorted.collect()
}

/// Members that Azure's registries have in lists. They are in no index: some of its readers take none but those they know.
#[derive(Clone, Copy)]
struct Acr;

fn show(row: &ChartRow, acr: Option<Acr>) -> ChartVersion {
    let mut shown: ChartVersion = serde_json::from_str(&row.metadata).unwrap_or_default();
    shown.insert("created".to_owned(), json!(row.updated_at().to_string()));
    if let Some(digest) = row.archive_digest.strip_prefix("sha256:") {
        shown.insert("digest".to_owned(), json!(digest));
    }
    shown.insert("urls".to_owned(), json!([format!("_blobs/{}.tgz", row.file)]));
    if acr.is_some() {
        shown.insert("acrMetadata".to_owned(), json!({"manifestDigest": row.digest}));
    }
    shown
}

/// What remembered indices may take, in bytes.
const MOST_BYTES: u64 = 32 << 20;
