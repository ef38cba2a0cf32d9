//! `PUT` of a manifest.

use http::{StatusCode, header};
use wharf_model::{Reference, RepositoryName, Tag};
use wharf_oci::{Code, OciError, Route, header as oci_header};
use wharf_registry::PutManifest;

use crate::answer::{self, Answer};
use crate::body::{RequestBody, unread};
use crate::failure::Failure;
use crate::router::Call;

/// How many `tag` parameters one push may have; the specification wants ten at least.
const MOST_TAGS: usize = 100;

/// With `If-None-Match: *` nothing that is there is overwritten: of any number of clients that push a new tag at once, one
/// succeeds (RFC 9110, section 13.1.2).
///
/// Source: distribution-spec, "Pushing Manifests", also for the `tag` parameters.
pub(crate) async fn put(
    call: &Call<'_>,
    body: &mut RequestBody,
    repository: &RepositoryName,
    reference: Reference,
) -> Answer {
    call.refuse_push_into_cache(repository).await?;
    let tags = match &reference {
        Reference::Digest(_) => further_tags(call)?,
        Reference::Tag(_) => Vec::new(),
    };
    let content_type = call.parts.headers.get(header::CONTENT_TYPE).map(|value| {
        // A header that is no text matches no media type, and so is refused as any other nonsense.
        value.to_str().unwrap_or("?").to_owned()
    });
    // Held until the manifest is stored: memory is what is being counted.
    let mut memory = call.plane.manifest_memory.begin();
    let limit = call.plane.config.manifest_limit_bytes;
    let bytes = match body.read_to_end_counted(limit, &mut memory).await {
        Ok(bytes) => bytes.ok_or_else(|| too_large(limit))?,
        Err(error) => return Err(unread(error, Code::ManifestInvalid)),
    };
    let set_tags = tags.clone();
    let only_new = call.parts.headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == b"*");
    let put = PutManifest { reference, tags, content_type, bytes, only_new, actor: call.caller.name().to_owned() };
    let outcome = call.artifacts().put_manifest(call.target(repository), put).await?;

    let location =
        Route::GetManifest { repository: repository.clone(), reference: Reference::Digest(outcome.digest.clone()) };
    let mut response = answer::empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, answer::value(location.to_string()));
    headers.insert(&oci_header::DOCKER_CONTENT_DIGEST, answer::digest_value(&outcome.digest));
    if let Some(subject) = &outcome.subject {
        headers.insert(&oci_header::OCI_SUBJECT, answer::digest_value(subject));
    }
    for tag in set_tags {
        headers.append(&oci_header::OCI_TAG, answer::value(tag.as_str()));
    }
    Ok(response)
}

/// The tags that a push by digest sets besides, each once.
fn further_tags(call: &Call<'_>) -> Result<Vec<Tag>, Failure> {
    let mut tags: Vec<Tag> = Vec::new();
    for (key, value) in form_urlencoded::parse(call.query().as_bytes()) {
        if key != "tag" {
            continue;
        }
        let tag: Tag = value
            .parse()
            .map_err(|e: wharf_model::ParseNameError| OciError::new(Code::TagInvalid).with_message(e.to_string()))?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
        if tags.len() > MOST_TAGS {
            let error = OciError::new(Code::TagInvalid).with_status(StatusCode::URI_TOO_LONG);
            return Err(error.with_message(format!("a push may set {MOST_TAGS} tags at most")).into());
        }
    }
    Ok(tags)
}

fn too_large(limit: usize) -> OciError {
    OciError::new(Code::ManifestInvalid)
        .with_status(StatusCode::PAYLOAD_TOO_LARGE)
        .with_message(format!("the manifest is larger than {limit} bytes"))
}
