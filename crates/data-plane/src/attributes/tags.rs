//! `/acr/v1/<name>/_tags`: tags with their attributes.

use http::StatusCode;
use serde::Serialize;
use wharf_metadata::attributes::TagAttributes;
use wharf_model::{Digest, Locks, Reference, RepositoryName, Tag};
use wharf_oci::{Code, OciError, PageQuery};
use wharf_registry::DeleteManifestError;

use super::change;
use crate::answer::{self, Answer};
use crate::body::RequestBody;
use crate::catalog::page;
use crate::router::Call;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    digest: &'a str,
    created_time: String,
    last_update_time: String,
    signed: bool,
    changeable_attributes: Locks,
    /// Beyond ACR, as is the next one; absent while it was never pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_pull_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_count: Option<i64>,
}

impl<'a> Shown<'a> {
    fn of(tag: &'a TagAttributes) -> Self {
        Self {
            name: &tag.name,
            digest: &tag.digest,
            created_time: tag.created_at.to_string(),
            last_update_time: tag.updated_at.to_string(),
            // Content trust is what would sign a tag.
            signed: false,
            changeable_attributes: tag.locks,
            last_pull_time: tag.pulls.map(|pulls| pulls.last_at.to_string()),
            pull_count: tag.pulls.map(|pulls| pulls.count),
        }
    }
}

#[derive(Serialize)]
struct One<'a> {
    tag: Shown<'a>,
}

#[derive(Serialize)]
struct Many<'a> {
    /// `null` rather than an empty list, as ACR has it: acr-cli asks behind the last one until it sees that.
    tags: Option<Vec<Shown<'a>>>,
}

/// `GET` of all of them, of those of one manifest with `digest`, in the order of names or of time (`orderby`).
pub(crate) async fn list(call: &Call<'_>, repository: &RepositoryName) -> Answer {
    let query = PageQuery::parse(call.query())?;
    let wanted = call.parameter("digest").filter(|text| !text.is_empty());
    let invalid = || OciError::new(Code::DigestInvalid).with_message("the digest is invalid or unsupported");
    let digest: Option<Digest> = wanted.as_ref().map(|text| text.parse().map_err(|_| invalid())).transpose()?;
    let target = call.target(repository);
    let listing = call.artifacts().list_tag_attributes(target, query.order, digest.as_ref(), page(&query)).await?;
    let tags: Vec<Shown<'_>> = listing.items.iter().take(query.limit).map(Shown::of).collect();
    let tags = Some(tags).filter(|tags| !tags.is_empty());
    let filters: Vec<(&str, &str)> = wanted.iter().map(|wanted| ("digest", wanted.as_str())).collect();
    let last = listing.items.last().map(|tag| (tag.name.as_str(), tag.updated_at));
    super::answer_page(call, repository, &query, &listing, last, &filters, Many { tags })
}

/// `GET` of one.
pub(crate) async fn get(call: &Call<'_>, repository: &RepositoryName, tag: &Tag) -> Answer {
    let found = call.artifacts().describe_tag(call.target(repository), tag).await?;
    super::answer(call, repository, One { tag: Shown::of(&found) })
}

/// `PATCH` of one.
pub(crate) async fn update(call: &Call<'_>, body: &mut RequestBody, repository: &RepositoryName, tag: &Tag) -> Answer {
    let change = change::of_tag(body).await?;
    let found = call.artifacts().update_tag(call.target(repository), tag, change, call.caller.name()).await?;
    super::answer(call, repository, One { tag: Shown::of(&found) })
}

/// `DELETE` of one; its manifest stays (`acr/data-plane.md` 4.5).
pub(crate) async fn untag(call: &Call<'_>, repository: &RepositoryName, tag: &Tag) -> Answer {
    let reference = Reference::Tag(tag.clone());
    match call.artifacts().delete_manifest(call.target(repository), &reference, call.caller.name()).await {
        Ok(()) => Ok(answer::empty(StatusCode::ACCEPTED)),
        Err(DeleteManifestError::ManifestUnknown { .. }) => Err(OciError::tag_unknown(tag).into()),
        Err(error) => Err(error.into()),
    }
}
