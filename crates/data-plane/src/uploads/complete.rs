//! `PUT`: takes the last bytes of an upload, if any, and makes a blob of it.

use wharf_model::{RepositoryName, UploadId};
use wharf_oci::{Code, OciError};

use super::{created, digest, position, refuse, state};
use crate::answer::Answer;
use crate::body::RequestBody;
use crate::router::Call;

/// Source: distribution-spec, "POST then PUT" and "Pushing a blob in chunks".
pub(crate) async fn complete(
    call: &Call<'_>,
    body: &mut RequestBody,
    repository: &RepositoryName,
    upload: UploadId,
) -> Answer {
    let state = state(call, repository, upload)?;
    let missing = || OciError::new(Code::DigestInvalid).with_message("the digest of the blob is missing");
    let digest = digest(call)?.ok_or_else(missing)?;
    let position = position(call, body)?;
    let length = if body.is_empty() { Some(0) } else { body.declared_length() };
    let target = call.target(repository);
    let completed = call.artifacts().complete_upload(target, &state, position, body, length, &digest).await;
    completed.map_err(|error| refuse(call, repository, &state, error))?;
    Ok(created(repository, &digest))
}
