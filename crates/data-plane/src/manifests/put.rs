//! `PUT` of a manifest.

use bytes::Bytes;
use http::{StatusCode, header};
use tokio::sync::SemaphorePermit;
use wharf_model::{Reference, RepositoryName, Tag};
use wharf_oci::{Code, OciError, Route, header as oci_header};
use wharf_registry::PutManifest;

use crate::answer::{self, Answer};
use crate::body::{RequestBody, interrupted};
use crate::failure::Failure;
use crate::router::Call;

/// How many `tag` parameters one push may have; the specification wants ten at least.
const MOST_TAGS: usize = 100;

/// Source: distribution-spec, "Pushing Manifests", also for the `tag` parameters.
pub(crate) async fn put(
    call: &Call<'_>,
    body: &mut RequestBody,
    repository: &RepositoryName,
    reference: Reference,
) -> Answer {
    let tags = match &reference {
        Reference::Digest(_) => further_tags(call)?,
        Reference::Tag(_) => Vec::new(),
    };
    let content_type = call.parts.headers.get(header::CONTENT_TYPE).map(|value| {
        // A header that is no text matches no media type, and so is refused as any other nonsense.
        value.to_str().unwrap_or("?").to_owned()
    });
    // Held until the manifest is stored: memory is what is being counted.
    let _memory = reserve(call, body.declared_length()).await?;
    let bytes = read(call, body).await?;
    let set_tags = tags.clone();
    let put = PutManifest { reference, tags, content_type, bytes, actor: call.caller.name().to_owned() };
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

/// Waits until there is room for this manifest beside those that others push.
async fn reserve<'a>(call: &Call<'a>, declared_length: Option<u64>) -> Result<SemaphorePermit<'a>, Failure> {
    let limit = call.plane.config.manifest_limit_bytes;
    let length = match declared_length {
        Some(length) => {
            usize::try_from(length).ok().filter(|&length| length <= limit).ok_or_else(|| too_large(limit))?
        }
        None => limit,
    };
    let all = call.plane.config.manifests_in_flight_bytes / 1024;
    let kibibytes = u32::try_from(length.div_ceil(1024).min(all.max(1))).unwrap_or(u32::MAX);
    Ok(call.plane.manifest_memory.acquire_many(kibibytes).await.expect("the semaphore is never closed"))
}

/// Reads the body. All of it must come within the time that a body may stand still, so that nobody can hold memory by
/// sending a byte now and then.
async fn read(call: &Call<'_>, body: &mut RequestBody) -> Result<Bytes, Failure> {
    let limit = call.plane.config.manifest_limit_bytes;
    let reading = tokio::time::timeout(call.plane.config.idle_timeout, body.read_to_end(limit));
    match reading.await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(too_large(limit).into()),
        Ok(Err(interruption)) => Err(interrupted(interruption, Code::ManifestInvalid)),
        Err(_) => {
            let error = OciError::new(Code::ManifestInvalid).with_status(StatusCode::REQUEST_TIMEOUT);
            Err(error.with_message("the manifest did not arrive in time").into())
        }
    }
}

fn too_large(limit: usize) -> OciError {
    OciError::new(Code::ManifestInvalid)
        .with_status(StatusCode::PAYLOAD_TOO_LARGE)
        .with_message(format!("the manifest is larger than {limit} bytes"))
}
