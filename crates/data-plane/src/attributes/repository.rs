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
struct Repository<'a> {
    created_time: String,
    last_update_time: String,
    manifest_count: i64,
    tag_count: i64,
    changeable_attributes: Changeable<'a>,
    /// Beyond ACR, as are those behind it; absent while it was never pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_pull_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_count: Option<i64>,
    storage: Storage,
}

/// What `PATCH` changes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changeable<'a> {
    #[serde(flatten)]
    locks: Locks,
    /// Beyond ACR.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    write_once_tags: &'a [String],
}

/// The bytes of what a repository holds, some seconds late.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Storage {
    /// Of its blobs, each once.
    logical_bytes: i64,
    /// Of those that no other repository of the registry holds.
    unique_bytes: i64,
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
        changeable_attributes: Changeable { locks: found.locks, write_once_tags: &found.write_once_tags },
        last_pull_time: found.pulls.map(|pulls| pulls.last_at.to_string()),
        pull_count: found.pulls.map(|pulls| pulls.count),
        storage: Storage { logical_bytes: found.size.logical_bytes, unique_bytes: found.size.unique_bytes },
    };
    super::answer(call, repository, content)
}

/// `PATCH`.
pub(crate) async fn update(call: &Call<'_>, body: &mut RequestBody, repository: &RepositoryName) -> Answer {
    let change = change::of_repository(body).await?;
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
