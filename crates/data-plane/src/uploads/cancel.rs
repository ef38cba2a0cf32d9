//! `DELETE`: gives an upload up.

use http::StatusCode;
use wharf_model::{RepositoryName, UploadId};

use super::state;
use crate::answer::{self, Answer};
use crate::router::Call;

/// Source: distribution-spec, "Cancel a blob upload".
pub(crate) async fn cancel(call: &Call<'_>, repository: &RepositoryName, upload: UploadId) -> Answer {
    let state = state(call, repository, upload)?;
    call.artifacts().cancel_upload(call.target(repository), &state).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}
