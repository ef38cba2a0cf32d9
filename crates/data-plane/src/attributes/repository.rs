//! `/acr/v1/<name>`: a repository.

use http::StatusCode;
use serde::Serialize;
use wharf_metadata::attributes::RepositoryAttributes;
use wharf_model::{Locks, RepositoryName};

use super::change;
use crate::answer::{self, Answer};
use crate::body::RequestBody;
use crate::router::Call;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    created_time: String,
    last_update_time: String,
    manifest_count: i64,
    tag_count: i64,
    changeable_attributes: Locks,
}

/// `GET`.
pub(crate) async fn get(call: &Call<'_>, repository: &RepositoryName) -> Answer {
    let found = call.artifacts().describe_repository(call.target(repository)).await?;
    show(call, repository, &found)
}

fn show(call: &Call<'_>, repository: &RepositoryName, found: &RepositoryAttributes) -> Answer {
    let content = Repository {
        created_time: found.created_at.to_string(),
        last_update_time: found.updated_at.to_string(),
        manifest_count: found.manifest_count,
        tag_count: found.tag_count,
        changeable_attributes: found.locks,
    };
    super::answer(call, repository, content)
}

/// `PATCH`.
pub(crate) async fn update(call: &Call<'_>, body: &mut RequestBody, repository: &RepositoryName) -> Answer {
    let change = change::read(body).await?;
    let found = call.artifacts().update_repository(call.target(repository), change, call.caller.name()).await?;
    show(call, repository, &found)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deleted {
    manifests_deleted: Vec<String>,
    tags_deleted: Vec<String>,
}

/// `DELETE`, with everything in it (`acr/data-plane.md` 4.5).
pub(crate) async fn delete(call: &Call<'_>, repository: &RepositoryName) -> Answer {
    let gone = call.artifacts().delete_repository(call.target(repository), call.caller.name()).await?;
    let body = Deleted { manifests_deleted: gone.manifests, tags_deleted: gone.tags };
    Ok(answer::json(StatusCode::ACCEPTED, answer::to_json_line(&body)))
}
