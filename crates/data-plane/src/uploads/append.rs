//! `PATCH`: takes the next bytes of an upload.

use http::StatusCode;
use wharf_model::{RepositoryName, UploadId};

use super::{describe, position, refuse, state};
use crate::answer::Answer;
use crate::body::RequestBody;
use crate::router::Call;

/// Docker streams the whole blob in one request without saying how long it is; Azure's SDKs send chunks of 4 MiB and do
/// not say where they belong. Source: distribution-spec, "Pushing a blob in chunks".
pub(crate) async fn append(
    call: &Call<'_>,
    body: &mut RequestBody,
    repository: &RepositoryName,
    upload: UploadId,
) -> Answer {
    let state = state(call, repository, upload)?;
    let position = position(call, body)?;
    let length = body.declared_length();
    let appended = call.artifacts().append(call.target(repository), &state, position, body, length).await;
    let state = appended.map_err(|error| refuse(call, repository, &state, error))?;
    Ok(describe(call, repository, StatusCode::ACCEPTED, &state))
}
