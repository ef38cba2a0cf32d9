//! Why an import failed, for the person who asked for it.

use serde_json::{Value, json};
use wharf_jobs::JobError;
use wharf_model::{Digest, RepositoryName, Tag};
use wharf_oci::ManifestError;
use wharf_registry::{ContentError, ExportDisabled, Locked, PutManifestError, TaggingError, UploadError};
use wharf_upstream::UpstreamError;

/// Why an import failed. Everything that arrived by then stays as an unfinished upload would.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The other registry.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The source is a registry of ours that does not have it.
    #[error("{what} was not found in the registry {registry}")]
    NotFound {
        /// The registry.
        registry: String,
        /// What was to be imported.
        what: String,
    },
    /// The registry that was imported from or into is gone.
    #[error("the registry {0} does not exist any more")]
    RegistryGone(String),
    /// The source lets nothing go.
    #[error(transparent)]
    Export(#[from] ExportDisabled),
    /// A tag is there and was not to be moved.
    #[error(
        "the tag {tag} of {repository} is there already and names {digest}; import with mode Force to move it, or to another tag"
    )]
    TagExists {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
        /// What it names.
        digest: String,
    },
    /// A tag may not be set.
    #[error(transparent)]
    Tagging(TaggingError),
    /// The target is locked.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The source, a registry of ours, keeps it until it is looked at.
    #[error(transparent)]
    Quarantined(ContentError),
    /// There is more than can be imported at once.
    #[error("the artifact has more than {most} {what}; import its parts one by one")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much would do.
        most: usize,
    },
    /// A manifest cannot be read.
    #[error("the manifest {digest} cannot be read: {reason}")]
    Manifest {
        /// Its digest.
        digest: Digest,
        /// What is wrong.
        reason: ManifestError,
    },
    /// A blob is not what the manifest says.
    #[error("{registry} gave other bytes for the blob {digest}: they have the digest {actual}")]
    WrongBytes {
        /// The registry.
        registry: String,
        /// The digest that the manifest names.
        digest: Digest,
        /// The digest of what came.
        actual: Digest,
    },
    /// A blob was not taken.
    #[error("the blob {digest} was not taken")]
    Upload {
        /// Its digest.
        digest: Digest,
        /// Why.
        #[source]
        source: Box<UploadError>,
    },
    /// A manifest was not taken.
    #[error("the manifest {digest} was not taken")]
    Put {
        /// Its digest.
        digest: Digest,
        /// Why.
        #[source]
        source: Box<PutManifestError>,
    },
    /// The credentials of the source cannot be opened.
    #[error("the credentials of the source are lost; import again")]
    CredentialsLost,
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] wharf_registry::Error),
    /// Whoever works the job off is to stop, or cannot go on.
    #[error("it was asked to stop")]
    Job(#[source] JobError),
}

impl ImportError {
    /// Whether the same import may well succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Upstream(error) => error.is_transient(),
            Self::Store(_) => true,
            Self::Upload { source, .. } => {
                matches!(
                    **source,
                    UploadError::Store(_)
                        | UploadError::Unknown { .. }
                        | UploadError::Busy { .. }
                        | UploadError::Body(_)
                )
            }
            // What was there when it was copied was taken away by somebody.
            Self::Put { source, .. } => matches!(
                **source,
                PutManifestError::Store(_)
                    | PutManifestError::BlobsMissing { .. }
                    | PutManifestError::ManifestsMissing { .. }
            ),
            _ => false,
        }
    }

    /// The word for it: that of the operation's error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TagExists { .. } | Self::Tagging(TaggingError::Exists { .. } | TaggingError::WriteOnce { .. }) => {
                "Conflict"
            }
            Self::Tagging(_) | Self::Locked(_) => "OperationNotAllowed",
            _ => "ImportImageFailed",
        }
    }

    /// The operation's error. `what` says what was to be imported.
    pub(super) fn to_arm(&self, what: &str) -> Value {
        json!({"code": self.code(), "message": format!("{what} was not imported: {}.", chain(self))})
    }

    pub(super) fn into_job_error(self, what: &str) -> JobError {
        let details = self.to_arm(what);
        match self {
            Self::Job(error) => error,
            Self::Upstream(ref error) if error.is_transient() => {
                let wait = error.retry_after();
                let failed = JobError::transient(self).details(details);
                match wait {
                    Some(wait) => failed.retry_after(wait),
                    None => failed,
                }
            }
            error if error.is_transient() => JobError::transient(error).details(details),
            error => JobError::permanent(error).details(details),
        }
    }
}

impl From<JobError> for ImportError {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}

impl From<wharf_metadata::Error> for ImportError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<ContentError> for ImportError {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Locked(locked) => Self::Locked(locked),
            ContentError::Store(error) => Self::Store(error),
            error @ ContentError::Quarantined { .. } => Self::Quarantined(error),
        }
    }
}

/// The error with its causes, on one line. What the stores say is for the log.
fn chain(error: &ImportError) -> String {
    match error {
        ImportError::Store(error) if error.is_full() => {
            "the server's storage is full; the operator must make room".to_owned()
        }
        ImportError::Store(_) => "the server could not read or write its own data; its log says more".to_owned(),
        error => wharf_model::error_chain(error),
    }
}
