//! `GET`: tells how far an upload has come.

use http::StatusCode;
use wharf_model::{RepositoryName, UploadId};

use super::{describe, state};
use crate::answer::Answer;
use crate::router::Call;

/// Source: distribution-spec, "Pushing a blob in chunks", after a 416.
pub(crate) async fn get(call: &Call<'_>, repository: &RepositoryName, upload: UploadId) -> Answer {
    let state = state(call, repository, upload)?;
    let state = call.artifacts().upload_status(call.target(repository), &state).await?;
    Ok(describe(call, repository, StatusCode::NO_CONTENT, &state))
}
