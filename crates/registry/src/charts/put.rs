//! Adding a chart, and its provenance.

use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use wharf_metadata::charts::{self, ChartRow};
use wharf_model::{Algorithm, Digest, Reference, RepositoryName, Tag};
use wharf_oci::media_type;

use super::metadata::ChartMetadata;
use super::{ChartError, ChartFile, ChartFileKind, ChartsTarget, archive, version};
use crate::{Artifacts, Manifest, PutManifest, PutManifestError, Sight, TaggingError, Target};

/// A file of a chart as a client sends it.
#[derive(Clone, Debug)]
pub struct PutChart {
    /// Its name.
    pub file: ChartFile,
    /// Its bytes; at most [`LARGEST_PACKAGE_BYTES`] or [`LARGEST_PROVENANCE_BYTES`], to which whoever reads the request
    /// holds it.
    pub bytes: Bytes,
    /// Whether it takes the place of one that is there; else there must be none.
    pub replaces: bool,
    /// Who pushes, for the change log.
    pub actor: String,
}

/// A file of a chart that was read and found right. Nothing of it is kept yet.
#[derive(Clone, Debug)]
pub struct CheckedChart {
    put: PutChart,
    repository: RepositoryName,
    what: Checked,
}

#[derive(Clone, Debug)]
enum Checked {
    Package { metadata: Box<ChartMetadata>, tag: Tag },
    Provenance { chart: Box<ChartRow> },
}

impl CheckedChart {
    /// The repository that it will be stored in.
    #[must_use]
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }
}

impl Artifacts {
    /// Reads a file of a chart that a client sends, to be stored by [`Self::put_chart`].
    ///
    /// # Errors
    /// [`ChartError`].
    pub async fn check_chart(&self, charts: ChartsTarget<'_>, put: PutChart) -> Result<CheckedChart, ChartError> {
        match put.file.kind {
            ChartFileKind::Package => self.check_package(charts, put).await,
            ChartFileKind::Provenance => self.check_provenance(charts, put).await,
        }
    }

    async fn check_package(&self, charts: ChartsTarget<'_>, put: PutChart) -> Result<CheckedChart, ChartError> {
        let name = put.file.name();
        let metadata = read_package(&name, put.bytes.clone()).await?;
        let (repository, tag) = place(charts, &metadata)?;
        if put.file.stem != format!("{}-{}", metadata.name, metadata.version) {
            let (name, version, file) = (metadata.name, metadata.version, name);
            return Err(ChartError::Misnamed { file, name, version });
        }
        match (self.find_chart_file(charts, &put.file.stem).await?, put.replaces) {
            (Some(_), false) => Err(ChartError::Exists(name)),
            (None, true) => Err(ChartError::Unknown(name, charts.home.clone())),
            _ => {
                let what = Checked::Package { metadata: Box::new(metadata), tag };
                Ok(CheckedChart { put, repository, what })
            }
        }
    }

    async fn check_provenance(&self, charts: ChartsTarget<'_>, put: PutChart) -> Result<CheckedChart, ChartError> {
        let name = put.file.name();
        let unknown = || ChartError::Unknown(name.clone(), charts.home.clone());
        let chart = self.find_chart_file(charts, &put.file.stem).await?.ok_or_else(unknown)?;
        match (&chart.provenance_digest, put.replaces) {
            (Some(_), false) => return Err(ChartError::Exists(name)),
            (None, true) => return Err(unknown()),
            _ => {}
        }
        check_provenance(&name, &chart, &put.bytes)?;
        let repository = charts.repository(&chart.name).ok_or_else(unknown)?;
        Ok(CheckedChart { put, repository, what: Checked::Provenance { chart: Box::new(chart) } })
    }

    /// Adds or replaces a file of a chart. Of any number who add the same version at the same time, one succeeds. A package
    /// that is replaced loses its provenance, which was that of another one.
    ///
    /// # Errors
    /// [`ChartError`].
    ///
    /// Source: `acr/data-plane.md` section 6.
    pub async fn put_chart(&self, charts: ChartsTarget<'_>, checked: CheckedChart) -> Result<(), ChartError> {
        let CheckedChart { put, repository, what } = checked;
        let (target, name) = (charts.target(&repository), put.file.name());
        match what {
            Checked::Provenance { chart } => {
                let layer = self.put_content(target, media_type::HELM_PROVENANCE, put.bytes).await?;
                self.set_provenance(charts, &name, &chart, Some(layer), put.actor).await
            }
            Checked::Package { metadata, tag } => {
                let config = Bytes::from(metadata.to_json());
                let document = json!({
                    "schemaVersion": 2,
                    "mediaType": media_type::OCI_MANIFEST,
                    "config": self.put_content(target, media_type::HELM_CONFIG, config).await?,
                    "layers": [self.put_content(target, media_type::HELM_CHART, put.bytes).await?],
                    "annotations": annotations(&metadata),
                });
                let manifest = PutManifest { only_new: !put.replaces, ..push(tag, &document, put.actor) };
                match self.put_manifest(target, manifest).await {
                    Ok(_) => Ok(()),
                    Err(PutManifestError::Tagging(TaggingError::Exists { .. })) => Err(ChartError::Exists(name)),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Puts a manifest with this provenance, or none, in the place of the chart's.
    pub(super) async fn set_provenance(
        &self,
        charts: ChartsTarget<'_>,
        file: &str,
        chart: &ChartRow,
        provenance: Option<Value>,
        actor: String,
    ) -> Result<(), ChartError> {
        let unknown = || ChartError::Unknown(file.to_owned(), charts.home.clone());
        let repository = charts.repository(&chart.name).ok_or_else(unknown)?;
        let (target, former): (_, Digest) = (charts.target(&repository), chart.digest.parse().map_err(|_| unknown())?);
        let tag: Tag = chart.tag.parse().map_err(|_| unknown())?;
        let found = self.get_manifest(target, &Reference::Digest(former.clone()), Sight::Everything).await?;
        let found = found.ok_or_else(unknown)?;
        let document = with_provenance(&found, provenance).ok_or_else(unknown)?;
        match self.put_manifest_over(target, push(tag, &document, actor), former).await {
            Ok(_) => Ok(()),
            Err(PutManifestError::Changed { .. }) => Err(ChartError::Changed(file.to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// The chart whose files are called so, whatever locks hide.
    pub(super) async fn find_chart_file(
        &self,
        target: ChartsTarget<'_>,
        stem: &str,
    ) -> Result<Option<ChartRow>, wharf_metadata::Error> {
        let (registry, home, stem) = (target.registry.id, target.home.clone(), stem.to_owned());
        let read = self
            .inner
            .database
            .read(move |c| Box::pin(async move { charts::find(c, registry, home.as_str(), &stem).await }));
        read.await
    }

    /// Stores bytes as a blob of the repository, and returns the descriptor that names them.
    async fn put_content(&self, target: Target<'_>, media_type: &str, bytes: Bytes) -> Result<Value, ChartError> {
        let (digest, size) = (Digest::of(Algorithm::Sha256, &bytes), bytes.len() as u64);
        let state = self.start_upload(Algorithm::Sha256);
        let body = stream::iter([Ok(bytes)]);
        self.complete_upload(target, &state, None, body, Some(size), &digest).await?;
        Ok(json!({"mediaType": media_type, "digest": digest, "size": size}))
    }
}

impl ChartFile {
    /// The whole name.
    pub(super) fn name(&self) -> String {
        match self.kind {
            ChartFileKind::Package => format!("{}.tgz", self.stem),
            ChartFileKind::Provenance => format!("{}.tgz.prov", self.stem),
        }
    }
}

/// Reads what a package says of itself, on a thread for that: it takes as long as the package unpacks.
async fn read_package(file: &str, bytes: Bytes) -> Result<ChartMetadata, ChartError> {
    let _turn = READING.acquire().await.expect("the semaphore is never closed");
    let read = tokio::task::spawn_blocking(move || {
        let yaml = archive::read_chart_yaml(&bytes).map_err(Refused::Archive)?;
        ChartMetadata::of_yaml(&yaml).map_err(Refused::Metadata)
    });
    let file = file.to_owned();
    match read.await {
        Ok(Ok(metadata)) => Ok(metadata),
        Ok(Err(Refused::Archive(reason))) => Err(ChartError::Archive { file, reason }),
        Ok(Err(Refused::Metadata(reason))) => Err(ChartError::Metadata { file, reason }),
        // Whoever wrote the package found something that its readers did not think of.
        Err(ended) => {
            let reason = archive::InvalidArchive::Damaged(ended.to_string());
            Err(ChartError::Archive { file, reason })
        }
    }
}

enum Refused {
    Archive(archive::InvalidArchive),
    Metadata(super::InvalidMetadata),
}

/// The repository and the tag that a chart is stored under.
fn place(charts: ChartsTarget<'_>, metadata: &ChartMetadata) -> Result<(RepositoryName, Tag), ChartError> {
    let refuse = |reason| ChartError::Name { reason };
    let repository = charts.repository(&metadata.name);
    let repository = repository.ok_or_else(|| {
        refuse("a name is made of lower-case letters, digits and single hyphens, dots and underscores between them")
    })?;
    let tag = version::tag(&metadata.version).ok_or_else(|| refuse("a version has 128 characters at most"))?;
    Ok((repository, tag))
}

/// What Helm annotates a chart's manifest with, but for the time: the same chart is the same artifact.
fn annotations(metadata: &ChartMetadata) -> Value {
    let mut annotations = json!({
        "org.opencontainers.image.title": metadata.name,
        "org.opencontainers.image.version": metadata.version,
    });
    if !metadata.description.is_empty() {
        annotations["org.opencontainers.image.description"] = json!(metadata.description);
    }
    annotations
}

fn push(tag: Tag, document: &Value, actor: String) -> PutManifest {
    PutManifest {
        reference: Reference::Tag(tag),
        tags: Vec::new(),
        content_type: Some(media_type::OCI_MANIFEST.to_owned()),
        bytes: document.to_string().into(),
        only_new: false,
        actor,
    }
}

/// The manifest of a chart with another provenance, or none.
fn with_provenance(manifest: &Manifest, provenance: Option<Value>) -> Option<Value> {
    let mut document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
    let layers = document.get_mut("layers")?.as_array_mut()?;
    layers.retain(|layer| layer["mediaType"] != media_type::HELM_PROVENANCE);
    layers.extend(provenance);
    Some(document)
}

/// A provenance is text that is signed and names the package that it is for by its digest. Who signed is for Helm to find
/// out: the keys are its users'.
fn check_provenance(file: &str, chart: &ChartRow, bytes: &[u8]) -> Result<(), ChartError> {
    let expected = chart.archive_digest.strip_prefix("sha256:").unwrap_or(&chart.archive_digest);
    let is_of_chart =
        std::str::from_utf8(bytes).is_ok_and(|text| text.trim_start().starts_with(SIGNED) && text.contains(expected));
    if is_of_chart {
        Ok(())
    } else {
        Err(ChartError::Provenance { file: file.to_owned(), expected: expected.to_owned() })
    }
}

/// How a provenance begins (RFC 9580, section 7).
const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

/// The largest package, in bytes. Kubernetes keeps charts of 1 MiB at most.
pub const LARGEST_PACKAGE_BYTES: usize = 20 << 20;

/// The largest provenance, in bytes.
pub const LARGEST_PROVENANCE_BYTES: usize = 1 << 20;

/// Packages that are read at a time.
static READING: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));
