//! `DELETE` of a blob.

use http::StatusCode;
use wharf_model::{Digest, RepositoryName};
use wharf_oci::header as oci_header;

use crate::answer::{self, Answer};
use crate::router::Call;

/// Source: distribution-spec, "Deleting Blobs". 405 while a manifest of the repository refers to it.
pub(crate) async fn delete(call: &Call<'_>, repository: &RepositoryName, digest: &Digest) -> Answer {
    call.artifacts().delete_blob(call.target(repository), digest, call.caller.name()).await?;
    let mut response = answer::empty(StatusCode::ACCEPTED);
    response.headers_mut().insert(&oci_header::DOCKER_CONTENT_DIGEST, answer::digest_value(digest));
    Ok(response)
}
