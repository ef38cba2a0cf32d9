//! Names of the headers that the protocol adds to HTTP's.

use http::HeaderName;

/// The digest of the manifest or blob answered or stored.
pub static DOCKER_CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// Always `registry/2.0`; old docker clients look for it.
pub static DOCKER_DISTRIBUTION_API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// The id of an upload.
pub static DOCKER_UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");
/// The filters that a list of referrers went through.
pub static OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
/// The subject of the manifest stored: tells the client that referrers are kept by the registry.
pub static OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// A tag that was set because the query asked for it.
pub static OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
/// The caller's own id for a request, sent back as it came.
pub static X_MS_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
/// Our id for a request, on every answer; `az` prints it with errors.
pub static X_MS_CORRELATION_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-correlation-request-id");
/// Our id for a request, on answers to callers that named theirs.
pub static X_MS_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
