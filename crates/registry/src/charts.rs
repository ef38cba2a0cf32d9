//! Charts, seen as a repository of charts: what Helm adds with `helm repo add`.
//!
//! A chart is stored once, as Helm 3.8 and later push it: an artifact in a repository of its own, under the tag of its
//! version. The older way to it is another view of the same:
//!
//! ```text
//! helm push web-1.0.0.tgz oci://HOST/repo        ─┐
//!                                                 ├─► repository repo/web, tag 1.0.0:  config   Chart.yaml as JSON
//! PUT /helm/v1/repo/_blobs/web-1.0.0.tgz         ─┘                                    layers   package[, provenance]
//!                                                          │
//! GET /helm/v1/repo/index.yaml  ◄── one query ◄── charts (noted when the manifest is pushed)
//! ```
//!
//! So locks, deletion, soft delete, retention and all the rest hold for charts without knowing of them. A chart shows in the
//! index of `repo` while the tag of its version names it in the repository `repo/<its name>`.

mod archive;
mod delete;
mod get;
mod index;
mod metadata;
mod put;
mod record;
mod version;

use wharf_metadata::RegistryRow;
use wharf_model::{Digest, RepositoryName};

pub use archive::InvalidArchive;
pub(crate) use index::Indices;
pub use index::{ChartIndex, ChartVersion};
pub use metadata::InvalidMetadata;
pub use put::{CheckedChart, LARGEST_PACKAGE_BYTES, LARGEST_PROVENANCE_BYTES, PutChart};

use crate::locks::{ContentError, Locked};
use crate::{DeleteManifestError, Error, PutManifestError, Target, UploadError};

/// The repository of charts that a use case works on.
#[derive(Clone, Copy, Debug)]
pub struct ChartsTarget<'a> {
    /// Its registry.
    pub registry: &'a RegistryRow,
    /// Its name: that of the repositories of its charts, without the chart's.
    pub home: &'a RepositoryName,
}

impl<'a> ChartsTarget<'a> {
    /// The repository of a chart. `None` if no repository can be called so.
    fn repository(self, chart: &str) -> Option<RepositoryName> {
        (!chart.contains('/')).then(|| format!("{}/{chart}", self.home).parse().ok())?
    }

    fn target(self, repository: &'a RepositoryName) -> Target<'a> {
        Target { registry: self.registry, repository }
    }
}

/// The name of a file in a repository of charts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartFile {
    /// Name and version of the chart, joined by a hyphen.
    pub stem: String,
    /// Which of its files.
    pub kind: ChartFileKind,
}

/// The files that a chart has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartFileKind {
    /// The chart itself.
    Package,
    /// Who signed it.
    Provenance,
}

impl ChartFile {
    /// Reads a file's name: `web-1.0.0.tgz` or `web-1.0.0.tgz.prov`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (package, kind) = match name.strip_suffix(".prov") {
            Some(package) => (package, ChartFileKind::Provenance),
            None => (name, ChartFileKind::Package),
        };
        let stem = package.strip_suffix(".tgz").filter(|stem| !stem.is_empty())?;
        Some(Self { stem: stem.to_owned(), kind })
    }
}

/// Where the bytes of a file of a chart are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartContent {
    /// The repository that holds them.
    pub repository: RepositoryName,
    /// Their digest.
    pub digest: Digest,
}

/// Why something about charts was not done. Nothing was changed, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The name is none of a file of a chart.
    #[error(
        "{0:?} is no file of a chart: packages are called NAME-VERSION.tgz, their provenance NAME-VERSION.tgz.prov"
    )]
    FileName(String),
    /// The package is none.
    #[error("{file} is no chart: {reason}")]
    Archive {
        /// The file.
        file: String,
        /// Why.
        reason: InvalidArchive,
    },
    /// What the package says of itself is not enough.
    #[error("{file} is no chart: {reason}")]
    Metadata {
        /// The file.
        file: String,
        /// Why.
        reason: InvalidMetadata,
    },
    /// The file's name is not that of the chart in it.
    #[error("{file} holds the chart {name} in the version {version}; it must be called {name}-{version}.tgz")]
    Misnamed {
        /// The file.
        file: String,
        /// The chart's name.
        name: String,
        /// Its version.
        version: String,
    },
    /// No repository or tag can be called like the chart.
    #[error("the chart cannot be stored under its name and version: {reason}")]
    Name {
        /// Why.
        reason: &'static str,
    },
    /// The provenance is that of something else.
    #[error("{file} is no provenance of the chart that is here: it must be signed text that names sha256:{expected}")]
    Provenance {
        /// The file.
        file: String,
        /// The digest of the package, in hexadecimal digits.
        expected: String,
    },
    /// The chart, or this file of it, is there already.
    #[error("{0} is there already")]
    Exists(String),
    /// There is no such chart, version or file.
    #[error("there is no {0} in {1}")]
    Unknown(String, RepositoryName),
    /// Somebody else changed the chart at the same time.
    #[error("{0} was changed meanwhile; try again")]
    Changed(String),
    /// The repository, a tag or a manifest is locked, or may not be pulled.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The manifest of the chart was refused.
    #[error(transparent)]
    Manifest(#[from] PutManifestError),
    /// The manifest of the chart was not deleted.
    #[error(transparent)]
    Delete(#[from] DeleteManifestError),
    /// Its bytes were not taken.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// It is not handed out.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for ChartError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_packages_and_their_provenance() {
        let parsed = |name| ChartFile::parse(name).map(|file| (file.stem, file.kind));
        assert_eq!(parsed("web-1.0.0.tgz"), Some(("web-1.0.0".into(), ChartFileKind::Package)));
        assert_eq!(parsed("web-1.0.0.tgz.prov"), Some(("web-1.0.0".into(), ChartFileKind::Provenance)));
        for name in ["", ".tgz", ".tgz.prov", "web-1.0.0.tar.gz", "web-1.0.0.prov", "index.yaml"] {
            assert_eq!(parsed(name), None, "{name}");
        }
    }
}
