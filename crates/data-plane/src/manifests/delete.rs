//! `DELETE` of a manifest by digest, or of a tag.

use http::StatusCode;
use wharf_model::{Reference, RepositoryName};

use crate::answer::{self, Answer};
use crate::router::Call;

/// By digest the manifest goes with its tags and referrers, by tag only the tag (`acr/data-plane.md` 4.5).
/// Source: distribution-spec, "Deleting tags" and "Deleting Manifests".
pub(crate) async fn delete(call: &Call<'_>, repository: &RepositoryName, reference: &Reference) -> Answer {
    call.artifacts().delete_manifest(call.target(repository), reference, call.caller.name()).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}
