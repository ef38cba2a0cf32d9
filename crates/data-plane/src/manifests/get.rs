//! `GET` and `HEAD` of a manifest: what every pull begins with, so this path does as little as it can.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use wharf_model::{Reference, RepositoryName};
use wharf_oci::{OciError, header as oci_header};
use wharf_registry::Sight;
use wharf_replication::cache::{CachedManifest, ManifestFacts, Want};

use crate::answer::{self, Answer};
use crate::failure::Failure;
use crate::guard::may_push;
use crate::router::Call;

/// The bytes are those that were pushed, whatever `Accept` says: nothing is ever converted (`acr/data-plane.md` 4.2).
/// Source: distribution-spec, "Pulling manifests".
pub(crate) async fn get(call: &Call<'_>, repository: &RepositoryName, reference: &Reference) -> Answer {
    let found = find(call, repository, reference).await?;
    let (manifest, is_stale) = match found.ok_or_else(|| OciError::manifest_unknown(repository, reference))? {
        CachedManifest::Whole { manifest, is_stale } => (manifest, is_stale),
        CachedManifest::Elsewhere(facts) => return Ok(describe(&facts)),
    };
    call.artifacts().note_pull(&manifest, call.is_head());
    let etag = answer::etag(&manifest.digest);
    let is_not_modified = answer::is_not_modified(&call.parts.headers, &etag);
    let mut response = answer::status(if is_not_modified { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    let headers = response.headers_mut();
    headers.reserve(12);
    headers.insert(&oci_header::DOCKER_CONTENT_DIGEST, answer::digest_value(&manifest.digest));
    headers.insert(header::ETAG, etag);
    if !is_not_modified {
        headers.insert(header::CONTENT_TYPE, content_type(&manifest.media_type));
        answer::bytes_unless_head(call.is_head(), &mut response, &manifest.bytes);
    }
    if is_stale {
        response.headers_mut().insert(header::WARNING, STALE);
    }
    Ok(response)
}

/// The manifest as it is here, or where the artifact cache takes the repository from.
async fn find(
    call: &Call<'_>,
    repository: &RepositoryName,
    reference: &Reference,
) -> Result<Option<CachedManifest>, Failure> {
    let sight = sight(call, repository, reference);
    // Who asks before pushing must not hear of what is elsewhere: it would not be sent.
    if call.is_head() && matches!(reference, Reference::Digest(_)) && call.may_push_into_cache(repository) {
        let found = call.artifacts().get_manifest(call.target(repository), reference, sight).await?;
        return Ok(found.map(|manifest| CachedManifest::Whole { manifest, is_stale: false }));
    }
    let want = if call.is_head() { Want::Facts } else { Want::Bytes };
    let found = call.cache().get_manifest(&call.host.registry, repository, reference, sight, want).await;
    found.map_err(|error| Failure::of_cache(error, call.request_id))
}

/// The answer to `HEAD` for a manifest that is elsewhere.
fn describe(facts: &ManifestFacts) -> Response<Body> {
    let mut response = answer::status(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(&oci_header::DOCKER_CONTENT_DIGEST, answer::digest_value(&facts.digest));
    headers.insert(header::ETAG, answer::etag(&facts.digest));
    headers.insert(header::CONTENT_TYPE, content_type(&facts.media_type));
    if let Some(size_bytes) = facts.size_bytes {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size_bytes));
    }
    response
}

/// What the caller gets to see. A client that may push asks for a digest before it pushes it, and must hear that it is there.
fn sight(call: &Call<'_>, repository: &RepositoryName, reference: &Reference) -> Sight {
    if call.is_head() && matches!(reference, Reference::Digest(_)) && may_push(call.caller, repository) {
        return Sight::Everything;
    }
    call.sight(repository)
}

fn content_type(media_type: &str) -> HeaderValue {
    // Media types were checked when the manifest was pushed; those of imported data may not have been.
    HeaderValue::from_str(media_type).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// Where the manifest comes from could not be asked whether it is still the same (RFC 7234, section 5.5.2).
const STALE: HeaderValue = HeaderValue::from_static("111 - \"Revalidation Failed\"");
