//! `/acr/v1/<name>/_manifests`: manifests with their attributes.

use serde::Serialize;
use wharf_metadata::attributes::ManifestAttributes;
use wharf_model::{Digest, Locks, RepositoryName};
use wharf_oci::PageQuery;
use wharf_registry::{DescribedManifest, RelatedManifest};

use super::change;
use crate::answer::Answer;
use crate::body::RequestBody;
use crate::catalog::page;
use crate::guard;
use crate::router::Call;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    digest: &'a str,
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
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    changeable_attributes: Changeable<'a>,
    /// Beyond ACR, as is the next one; absent while it was never pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_pull_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<Related<'a>>,
}

/// What `PATCH` changes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changeable<'a> {
    #[serde(flatten)]
    locks: Locks,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_details: Option<&'a str>,
}

#[derive(Serialize)]
struct Related<'a> {
    digest: &'a Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    os: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn of(found: &'a ManifestAttributes) -> Self {
        Self {
            digest: &found.digest,
            image_size: found.image_size_bytes,
            created_time: found.created_at.to_string(),
            last_update_time: found.updated_at.to_string(),
            architecture: found.architecture.as_deref(),
            os: found.os.as_deref(),
            media_type: &found.media_type,
            config_media_type: found.config_media_type.as_deref(),
            tags: &found.tags,
            changeable_attributes: Changeable {
                locks: found.locks,
                quarantine_state: found.quarantine.as_ref().map(|mark| mark.state.as_str()),
                quarantine_details: found.quarantine.as_ref().and_then(|mark| mark.details.as_deref()),
            },
            quarantine_tag: found.quarantine.as_ref().and_then(|mark| mark.tag.as_deref()),
            last_pull_time: found.pulls.map(|pulls| pulls.last_at.to_string()),
            pull_count: found.pulls.map(|pulls| pulls.count),
            references: Vec::new(),
        }
    }

    /// The same with what an index lists, which lists do not show.
    fn whole(found: &'a DescribedManifest) -> Self {
        let relate = |related: &'a RelatedManifest| Related {
            digest: &related.digest,
            architecture: related.architecture.as_deref(),
            os: related.os.as_deref(),
        };
        Self { references: found.related.iter().map(relate).collect(), ..Self::of(&found.attributes) }
    }
}

#[derive(Serialize)]
struct One<'a> {
    manifest: Shown<'a>,
}

#[derive(Serialize)]
struct Many<'a> {
    /// `null` rather than an empty list, as ACR has it: acr-cli asks behind the last one until it sees that.
    manifests: Option<Vec<Shown<'a>>>,
}

/// `GET` of all of them, in the order of digests or of time (`orderby`).
pub(crate) async fn list(call: &Call<'_>, repository: &RepositoryName) -> Answer {
    let query = PageQuery::parse(call.query())?;
    let target = call.target(repository);
    let listing = call.artifacts().list_manifest_attributes(target, query.order, page(&query)).await?;
    let manifests: Vec<Shown<'_>> = listing.items.iter().take(query.limit).map(Shown::of).collect();
    let manifests = Some(manifests).filter(|manifests| !manifests.is_empty());
    let last = listing.items.last().map(|found| (found.digest.as_str(), found.updated_at));
    super::answer_page(call, repository, &query, &listing, last, &[], Many { manifests })
}

/// `GET` of one.
pub(crate) async fn get(call: &Call<'_>, repository: &RepositoryName, digest: &Digest) -> Answer {
    let found = call.artifacts().describe_manifest(call.target(repository), digest).await?;
    super::answer(call, repository, One { manifest: Shown::whole(&found) })
}

/// `PATCH` of one. Locks and the marks of scanners are changed by rights of their own.
pub(crate) async fn update(
    call: &Call<'_>,
    body: &mut RequestBody,
    repository: &RepositoryName,
    digest: &Digest,
) -> Answer {
    let change = change::of_manifest(body).await?;
    guard::admit_manifest_change(call, repository, &change)?;
    let found = call.artifacts().update_manifest(call.target(repository), digest, change, call.caller.name()).await?;
    super::answer(call, repository, One { manifest: Shown::whole(&found) })
}
