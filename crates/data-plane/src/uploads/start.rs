//! `POST`: begins an upload, mounts a blob, or takes a blob whole.

use http::StatusCode;
use wharf_model::{Algorithm, Digest, RepositoryName};
use wharf_oci::{Code, OciError, Route};

use super::{created, describe, digest};
use crate::answer::Answer;
use crate::body::RequestBody;
use crate::failure::Failure;
use crate::guard::{may_mount_from, may_pull};
use crate::router::Call;

/// Source: distribution-spec, "Pushing blobs" and "Mounting a blob from another repository".
pub(crate) async fn start(call: &Call<'_>, body: &mut RequestBody, repository: &RepositoryName) -> Answer {
    call.refuse_push_into_cache(repository).await?;
    if let Some(digest) = call.parameter("mount") {
        let digest: Digest = digest.parse().map_err(|_| invalid())?;
        if mount(call, repository, &digest).await? {
            return Ok(created(repository, &digest));
        }
        // The client is to upload, by which algorithm it has said.
        let state = call.artifacts().start_upload(digest.algorithm());
        return Ok(describe(call, repository, StatusCode::ACCEPTED, &state));
    }
    let algorithm = match call.parameter("digest-algorithm") {
        Some(word) => Some(word.parse::<Algorithm>().map_err(|_| invalid())?),
        None => None,
    };
    let digest = digest(call)?;
    let algorithm = algorithm.or(digest.as_ref().map(Digest::algorithm)).unwrap_or(Algorithm::Sha256);
    let state = call.artifacts().start_upload(algorithm);
    match digest {
        // Some clients name the digest although they mean to send the bytes with a `PUT`.
        Some(digest) if !body.is_empty() || digest == Digest::of(digest.algorithm(), b"") => {
            let length = body.declared_length();
            call.artifacts().complete_upload(call.target(repository), &state, None, body, length, &digest).await?;
            Ok(created(repository, &digest))
        }
        _ => Ok(describe(call, repository, StatusCode::ACCEPTED, &state)),
    }
}

/// Tries to mount. That it cannot be done is no error: the client uploads then.
async fn mount(call: &Call<'_>, repository: &RepositoryName, digest: &Digest) -> Result<bool, Failure> {
    let source = match call.parameter("from") {
        Some(name) => match name.parse::<RepositoryName>() {
            Ok(name) => Some(name),
            Err(_) => return Ok(false),
        },
        None => None,
    };
    if let Some(source) = &source
        && !may_mount_from(call, &Route::StartUpload { repository: repository.clone() }, source)?
    {
        return Ok(false);
    }
    let may_read = |name: &RepositoryName| may_pull(call.caller, name);
    Ok(call.artifacts().mount_blob(call.target(repository), source.as_ref(), digest, &may_read).await?)
}

fn invalid() -> OciError {
    OciError::new(Code::DigestInvalid).with_message("the digest or its algorithm is invalid or unsupported")
}
