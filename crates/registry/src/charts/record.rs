//! What is noted of a manifest that holds a chart, when it is pushed, whoever pushes it.
//!
//! The index of a repository of charts is made of these notes. Whatever the config says is no reason to refuse a manifest: one
//! that describes no chart is in no index, and that is all.

use wharf_metadata::charts::NewChart;
use wharf_model::RepositoryName;
use wharf_oci::{ParsedManifest, media_type};

use super::metadata::ChartMetadata;
use super::version;
use crate::Artifacts;

impl Artifacts {
    /// The chart that a manifest holds. It must stand in a repository whose name ends in the chart's.
    pub(crate) async fn find_chart(&self, repository: &RepositoryName, manifest: &ParsedManifest) -> Option<NewChart> {
        if manifest.config_media_type.as_deref() != Some(media_type::HELM_CONFIG) {
            return None;
        }
        let of_type = |types: &[&str]| {
            let found = manifest.blobs.iter().find(|blob| types.contains(&blob.media_type.as_str()));
            found.map(|blob| blob.digest.to_string())
        };
        let config = manifest.blobs.first().filter(|blob| blob.size_bytes <= LARGEST_CONFIG_BYTES)?;
        let archive_digest = of_type(&[media_type::HELM_CHART, media_type::HELM_CHART_OLD])?;
        let metadata = ChartMetadata::of_json(&self.read_config(&config.digest).await.ok()??).ok()?;
        let (home, name) = repository.as_str().rsplit_once('/')?;
        if metadata.name != name {
            return None;
        }
        Some(NewChart {
            home: home.to_owned(),
            name: name.to_owned(),
            file: format!("{name}-{}", metadata.version),
            tag: version::tag(&metadata.version)?.to_string(),
            archive_digest,
            provenance_digest: of_type(&[media_type::HELM_PROVENANCE]),
            metadata: metadata.to_json(),
        })
    }
}

/// The largest config that is read, in bytes.
const LARGEST_CONFIG_BYTES: u64 = 1 << 20;
