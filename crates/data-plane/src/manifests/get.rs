//! `GET` and `HEAD` of a manifest: what every pull begins with, so this path does as little as it can.

use http::{HeaderValue, StatusCode, header};
use wharf_model::{Reference, RepositoryName};
use wharf_oci::{OciError, header as oci_header};
use wharf_registry::Sight;

use crate::answer::{self, Answer};
use crate::guard::may_push;
use crate::router::Call;

/// The bytes are those that were pushed, whatever `Accept` says: nothing is ever converted (`acr/data-plane.md` 4.2).
/// Source: distribution-spec, "Pulling manifests".
pub(crate) async fn get(call: &Call<'_>, repository: &RepositoryName, reference: &Reference) -> Answer {
    let manifest = call
        .artifacts()
        .get_manifest(call.target(repository), reference, sight(call, repository, reference))
        .await?
        .ok_or_else(|| OciError::manifest_unknown(repository, reference))?;
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
    Ok(response)
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
