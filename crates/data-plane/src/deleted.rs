//! `/acr/v1/_deleted/…`: what was deleted softly, and restoring it (`acr/data-plane.md` 5.1).

use serde::{Deserialize, Serialize};
use wharf_metadata::trash::{DeletedManifest, DeletedTag};
use wharf_model::{Digest, RepositoryName, Tag};
use wharf_oci::{Code, OciError, PageQuery};
use wharf_registry::{MissingChild, trash_cursor};

use crate::answer::Answer;
use crate::attributes::{Linked, answer, answer_linked};
use crate::body::{RequestBody, unread};
use crate::catalog::{self, page};
use crate::failure::Failure;
use crate::router::Call;

/// `GET` of the repositories that something was deleted from.
pub(crate) async fn list_repositories(call: &Call<'_>) -> Answer {
    let query = PageQuery::parse(call.query())?;
    let listing = call.artifacts().list_deleted_repositories(&call.host.registry, page(&query)).await?;
    catalog::answer(call, &query, listing)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    digest: &'a str,
    deleted_at: String,
    image_size: i64,
    created_time: String,
    last_update_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<&'a str>,
    media_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_media_type: Option<&'a str>,
}

impl<'a> Manifest<'a> {
    fn of(found: &'a DeletedManifest) -> Self {
        Self {
            digest: &found.digest,
            deleted_at: found.deleted_at.to_string(),
            image_size: found.image_size_bytes,
            created_time: found.created_at.to_string(),
            last_update_time: found.updated_at.to_string(),
            architecture: found.architecture.as_deref(),
            os: found.os.as_deref(),
            media_type: &found.media_type,
            config_media_type: found.config_media_type.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Manifests<'a> {
    manifests: Vec<Manifest<'a>>,
}

/// `GET` of the manifests that were deleted from a repository, in the order of digests.
pub(crate) async fn list_manifests(call: &Call<'_>, repository: &RepositoryName) -> Answer {
    let query = PageQuery::parse(call.query())?;
    let listing = call.artifacts().list_deleted_manifests(call.target(repository), page(&query)).await?;
    let manifests = listing.items.iter().take(query.limit).map(Manifest::of).collect();
    let last = listing.items.last().map(|found| found.digest.clone());
    answer_linked(
        call,
        repository,
        Linked { query: &query, more: listing.more, last, filters: &[] },
        Manifests { manifests },
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownTag<'a> {
    tag: &'a str,
    digest: &'a str,
    deleted_at: String,
    created_time: String,
    last_update_time: String,
}

impl<'a> ShownTag<'a> {
    fn of(found: &'a DeletedTag) -> Self {
        Self {
            tag: &found.position.name,
            digest: &found.digest,
            deleted_at: found.position.deleted_at.to_string(),
            created_time: found.created_at.to_string(),
            last_update_time: found.updated_at.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Tags<'a> {
    tags: Vec<ShownTag<'a>>,
}

/// `GET` of the tags that were deleted from a repository, in the order of names and the oldest of each first: Azure's
/// command line restores the last one.
pub(crate) async fn list_tags(call: &Call<'_>, repository: &RepositoryName) -> Answer {
    let query = PageQuery::parse(call.query())?;
    let listing = call.artifacts().list_deleted_tags(call.target(repository), page(&query)).await?;
    let tags = listing.items.iter().take(query.limit).map(ShownTag::of).collect();
    let last = listing.items.last().map(|found| trash_cursor(&found.position));
    answer_linked(call, repository, Linked { query: &query, more: listing.more, last, filters: &[] }, Tags { tags })
}

/// What is to be restored beside the manifest.
#[derive(Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    tag: Option<String>,
}

#[derive(Serialize)]
struct Back<'a> {
    digest: &'a Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a Tag>,
    /// Every manifest that came back.
    restored: &'a [Digest],
    /// What an index lists and the repository does not hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Missing<'a>>,
}

#[derive(Serialize)]
struct Missing<'a> {
    digest: &'a Digest,
    restorable: bool,
}

impl<'a> Missing<'a> {
    fn of(child: &'a MissingChild) -> Self {
        Self { digest: &child.digest, restorable: child.is_in_trash }
    }
}

/// `POST`: restores a manifest, with a tag if the body names one.
pub(crate) async fn restore(
    call: &Call<'_>,
    body: &mut RequestBody,
    repository: &RepositoryName,
    digest: &Digest,
) -> Answer {
    let force = force(call)?;
    let tag = wanted(body).await?;
    let (target, actor) = (call.target(repository), call.caller.name());
    let restored = call.artifacts().restore_manifest(target, digest, tag.as_ref(), force, actor).await?;
    let missing = restored.missing.iter().map(Missing::of).collect();
    answer(call, repository, Back { digest, tag: tag.as_ref(), restored: &restored.manifests, missing })
}

/// `force`, as Python prints it.
fn force(call: &Call<'_>) -> Result<bool, Failure> {
    match call.parameter("force").as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(_) => Err(invalid("force is either True or False")),
    }
}

async fn wanted(body: &mut RequestBody) -> Result<Option<Tag>, Failure> {
    let bytes = match body.read_to_end(LIMIT_BYTES).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(invalid(&format!("the body is longer than {LIMIT_BYTES} bytes"))),
        Err(error) => return Err(unread(error, Code::AttributesInvalid)),
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(None);
    }
    let wanted: Option<Wanted> = serde_json::from_slice(&bytes).map_err(|error| invalid(&error.to_string()))?;
    let tag = wanted.unwrap_or_default().tag.filter(|tag| !tag.is_empty());
    tag.map(|tag| tag.parse().map_err(|_| OciError::new(Code::TagInvalid).with_message("the tag is invalid").into()))
        .transpose()
}

fn invalid(what: &str) -> Failure {
    OciError::new(Code::AttributesInvalid).with_message("the request to restore is invalid").with_detail(what).into()
}

/// Far more than any client sends.
const LIMIT_BYTES: usize = 64 << 10;
