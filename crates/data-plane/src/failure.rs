//! How what goes wrong becomes an answer: the one place that knows both the use cases' errors and the protocol's.
//!
//! What the caller reads and what the log keeps are two things: a failure of ours is logged here, once, with its whole
//! chain of causes, and the caller is told no more than that it happened.

use std::error::Error as StdError;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tracing::error;
use uuid::Uuid;
use wharf_identity::AuthError;
use wharf_model::{Reference, error_chain};
use wharf_oci::{Code, OciError, PageError, RouteError};
use wharf_registry::{
    AttributesError, ChartError, ContentError, DeleteBlobError, DeleteManifestError, DeleteRepositoryError, Locked,
    PutManifestError, RestoreError, TaggingError, UploadError, ValuesError,
};
use wharf_replication::cache::CacheError;

use crate::body::interrupted;
use crate::request_id::RequestId;

/// An answer that is an error, with the headers that go with it and the cause that the log keeps.
#[derive(Debug)]
pub(crate) struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    error: OciError,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(error: OciError) -> Self {
        Self(Box::new(Parts { error, headers: Vec::new(), cause: None }))
    }

    /// A failure of ours that the caller can do nothing about.
    pub(crate) fn of_ours(error: OciError, cause: impl StdError + Send + Sync + 'static) -> Self {
        Self(Box::new(Parts { error, headers: Vec::new(), cause: Some(Box::new(cause)) }))
    }

    /// The same with a header more.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    pub(crate) fn error(&self) -> &OciError {
        &self.0.error
    }

    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0.headers
    }

    /// Tells the log, if this is something that the operator must know.
    pub(crate) fn log(&self, request_id: RequestId, route: &'static str) {
        if let Some(cause) = &self.0.cause {
            error!(%request_id, route, status = self.0.error.status.as_u16(), "Request failed: {}", error_chain(cause.as_ref()));
        }
    }
}

impl From<OciError> for Failure {
    fn from(error: OciError) -> Self {
        Self::new(error)
    }
}

impl From<RouteError> for Failure {
    fn from(error: RouteError) -> Self {
        let allow = match &error {
            RouteError::Method { allowed } => HeaderValue::from_str(&allowed.join(", ")).ok(),
            _ => None,
        };
        let failure = Self::new(error.into());
        match allow {
            Some(allow) => failure.with_header(header::ALLOW, allow),
            None => failure,
        }
    }
}

impl From<PageError> for Failure {
    fn from(error: PageError) -> Self {
        Self::new(OciError::new(Code::PaginationInvalid).with_message(error.to_string()))
    }
}

impl From<wharf_registry::Error> for Failure {
    fn from(error: wharf_registry::Error) -> Self {
        let answer = if error.is_full() {
            OciError::new(Code::Unavailable)
                .with_status(StatusCode::INSUFFICIENT_STORAGE)
                .with_message("the registry's storage is full")
        } else {
            OciError::new(Code::Unknown)
        };
        Self::of_ours(answer, error)
    }
}

impl From<AuthError> for Failure {
    /// For failures of ours, and for those who failed too often; bad credentials are answered by a challenge, which the
    /// guard writes.
    fn from(error: AuthError) -> Self {
        if let AuthError::Throttled(throttled) = &error {
            let answer = OciError::new(Code::TooManyRequests).with_message(throttled.to_string());
            let seconds = throttled.retry_after.as_secs().max(1);
            return Self::new(answer).with_header(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Self::of_ours(OciError::new(Code::Unavailable), error)
    }
}

impl From<Locked> for Failure {
    /// Which lock it was is not told, as Azure's registries do not.
    fn from(_: Locked) -> Self {
        Self::new(OciError::disallowed())
    }
}

impl From<ContentError> for Failure {
    fn from(error: ContentError) -> Self {
        match error {
            ContentError::Locked(locked) => locked.into(),
            ContentError::Quarantined { .. } => Self::new(OciError::disallowed()),
            ContentError::Store(error) => error.into(),
        }
    }
}

impl Failure {
    /// What the artifact cache could not give. The request's id is for whoever asks the operator why; what the other
    /// registry said is in the log alone.
    pub(crate) fn of_cache(error: CacheError, request_id: Uuid) -> Self {
        let named = |code: Code, error: &CacheError| {
            let text = format!("{error} (correlation ID: {request_id})");
            Self::new(OciError::new(code).with_message(text))
        };
        let after = |seconds: Duration| (header::RETRY_AFTER, HeaderValue::from(seconds.as_secs().max(1)));
        match &error {
            CacheError::Throttled { retry_after, .. } => {
                let (name, value) = after(*retry_after);
                named(Code::TooManyRequests, &error).with_header(name, value)
            }
            CacheError::Unavailable { retry_after, .. } => {
                let (name, value) = after(*retry_after);
                named(Code::Unavailable, &error).with_header(name, value)
            }
            // Clients take 404 for what it is, and 401 or 403 for something about themselves.
            CacheError::Refused { .. } => named(Code::ManifestUnknown, &error),
            CacheError::Content(_) => match error {
                CacheError::Content(error) => error.into(),
                error => Self::of_ours(OciError::new(Code::Unknown), error),
            },
        }
    }
}

impl From<AttributesError> for Failure {
    fn from(error: AttributesError) -> Self {
        match error {
            AttributesError::RepositoryUnknown(repository) => Self::new(OciError::name_unknown(&repository)),
            AttributesError::TagUnknown { tag, .. } => Self::new(OciError::tag_unknown(&tag)),
            AttributesError::ManifestUnknown { repository, digest } => {
                Self::new(OciError::manifest_unknown(&repository, &Reference::Digest(digest)))
            }
            AttributesError::PositionUnknown { .. } => {
                Self::new(OciError::new(Code::PaginationInvalid).with_message(error.to_string()))
            }
            AttributesError::NoState { .. } => {
                Self::new(OciError::new(Code::AttributesInvalid).with_detail(error.to_string()))
            }
            AttributesError::Locked(locked) => locked.into(),
            AttributesError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteRepositoryError> for Failure {
    fn from(error: DeleteRepositoryError) -> Self {
        match error {
            DeleteRepositoryError::Unknown(repository) => Self::new(OciError::name_unknown(&repository)),
            DeleteRepositoryError::Locked(locked) => locked.into(),
            DeleteRepositoryError::Store(error) => error.into(),
        }
    }
}

impl From<TaggingError> for Failure {
    fn from(error: TaggingError) -> Self {
        match error {
            TaggingError::Locked(locked) => locked.into(),
            // Unlike a lock this is a rule for everybody, so everybody is told.
            TaggingError::WriteOnce { .. } => Self::new(OciError::disallowed().with_message(error.to_string())),
            TaggingError::Exists { .. } => {
                let exists = OciError::disallowed().with_status(StatusCode::PRECONDITION_FAILED);
                Self::new(exists.with_message(error.to_string()))
            }
            TaggingError::Store(error) => error.into(),
        }
    }
}

impl From<PutManifestError> for Failure {
    fn from(error: PutManifestError) -> Self {
        let list = |digests: &[wharf_model::Digest]| -> Value {
            digests.iter().take(MOST_DETAILS).map(|digest| json!({"digest": digest.as_str()})).collect()
        };
        match error {
            PutManifestError::Invalid(reason) => {
                Self::new(OciError::new(Code::ManifestInvalid).with_detail(reason.to_string()))
            }
            PutManifestError::DigestMismatch { ref expected, .. } => Self::new(OciError::digest_mismatch(expected)),
            PutManifestError::BlobsMissing { ref missing, .. }
            | PutManifestError::ManifestsMissing { ref missing, .. } => {
                Self::new(OciError::new(Code::ManifestBlobUnknown).with_detail(list(missing)))
            }
            PutManifestError::Exists { .. } => Self::new(
                OciError::disallowed().with_status(StatusCode::PRECONDITION_FAILED).with_message(error.to_string()),
            ),
            PutManifestError::Changed { .. } => {
                Self::new(OciError::disallowed().with_status(StatusCode::CONFLICT).with_message(error.to_string()))
            }
            PutManifestError::InTrash { .. } => Self::new(OciError::disallowed().with_message(error.to_string())),
            PutManifestError::Tagging(error) => error.into(),
            PutManifestError::Locked(locked) => locked.into(),
            PutManifestError::Store(error) => error.into(),
        }
    }
}

impl From<ChartError> for Failure {
    fn from(error: ChartError) -> Self {
        let of = |code| Self::new(OciError::new(code).with_message(error.to_string()));
        match error {
            ChartError::FileName(_)
            | ChartError::Archive { .. }
            | ChartError::Metadata { .. }
            | ChartError::Misnamed { .. }
            | ChartError::Name { .. }
            | ChartError::Provenance { .. } => of(Code::ChartInvalid),
            ChartError::Exists(_) | ChartError::Changed(_) => of(Code::ChartExists),
            ChartError::Unknown(..) => of(Code::ChartUnknown),
            ChartError::Locked(locked) => locked.into(),
            ChartError::Manifest(error) => error.into(),
            ChartError::Delete(error) => error.into(),
            ChartError::Upload(error) => error.into(),
            ChartError::Content(error) => error.into(),
            ChartError::Store(error) => error.into(),
        }
    }
}

impl From<ValuesError> for Failure {
    fn from(error: ValuesError) -> Self {
        match error {
            ValuesError::KeyUnknown { .. } => {
                Self::new(OciError::new(Code::MetadataUnknown).with_message(error.to_string()))
            }
            ValuesError::TooMany => Self::new(OciError::new(Code::AttributesInvalid).with_message(error.to_string())),
            ValuesError::Owner(error) => error.into(),
        }
    }
}

impl From<DeleteManifestError> for Failure {
    fn from(error: DeleteManifestError) -> Self {
        match error {
            DeleteManifestError::RepositoryUnknown { repository } => Self::new(OciError::name_unknown(&repository)),
            DeleteManifestError::ManifestUnknown { repository, reference } => {
                Self::new(OciError::manifest_unknown(&repository, &reference))
            }
            DeleteManifestError::Locked(locked) => locked.into(),
            DeleteManifestError::Store(error) => error.into(),
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        let told = error.to_string();
        match error {
            RestoreError::ManifestUnknown { repository, digest } => {
                Self::new(OciError::manifest_unknown(&repository, &Reference::Digest(digest)).with_message(told))
            }
            RestoreError::TagUnknown { tag, .. } => Self::new(OciError::tag_unknown(&tag).with_message(told)),
            RestoreError::TagTaken { .. } | RestoreError::SubjectDeleted { .. } => {
                Self::new(OciError::disallowed().with_status(StatusCode::CONFLICT).with_message(told))
            }
            RestoreError::Tagging(error) => error.into(),
            RestoreError::Locked(locked) => locked.into(),
            RestoreError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteBlobError> for Failure {
    fn from(error: DeleteBlobError) -> Self {
        match error {
            DeleteBlobError::Unknown { .. } => Self::new(OciError::new(Code::BlobUnknown)),
            DeleteBlobError::InUse { .. } => {
                Self::new(OciError::new(Code::Unsupported).with_message(error.to_string()))
                    .with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD"))
            }
            DeleteBlobError::Locked(locked) => locked.into(),
            DeleteBlobError::Store(error) => error.into(),
        }
    }
}

impl From<UploadError> for Failure {
    /// For what every request on an upload can meet. Bytes out of order are answered with where to go on, which the
    /// handlers know.
    fn from(error: UploadError) -> Self {
        let invalid = OciError::new(Code::BlobUploadInvalid);
        match error {
            UploadError::Unknown { .. } => Self::new(OciError::new(Code::BlobUploadUnknown)),
            UploadError::Busy { .. } => {
                Self::new(invalid.with_status(StatusCode::CONFLICT).with_message(error.to_string()))
            }
            UploadError::OutOfOrder { .. } => {
                Self::new(invalid.with_status(StatusCode::RANGE_NOT_SATISFIABLE).with_message(error.to_string()))
            }
            UploadError::WrongLength { .. } => {
                Self::new(OciError::new(Code::SizeInvalid).with_detail(error.to_string()))
            }
            UploadError::TooLarge { .. } => {
                let too_large = OciError::new(Code::SizeInvalid).with_status(StatusCode::PAYLOAD_TOO_LARGE);
                Self::new(too_large.with_message(error.to_string()))
            }
            UploadError::Body(reason) => interrupted(reason, Code::BlobUploadInvalid),
            UploadError::DigestMismatch { ref expected, .. } => Self::new(OciError::digest_mismatch(expected)),
            UploadError::Locked(locked) => locked.into(),
            UploadError::Store(error) => error.into(),
        }
    }
}

/// How many missing things an answer names; there may be thousands.
const MOST_DETAILS: usize = 20;
