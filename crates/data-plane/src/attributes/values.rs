//! `…/_metadata` and `…/_metadata/<key>`: values that clients keep with repositories, tags and manifests.
//!
//! Only early clients know these; what they send and expect is what they were written against: any JSON, or plain text that
//! is kept as a JSON string.

use http::{StatusCode, header};
use serde::Serialize;
use serde::de::IgnoredAny;
use wharf_model::{RepositoryName, Tag};
use wharf_oci::{Code, MetadataOwner, OciError};
use wharf_registry::ValueOwner;

use crate::answer::{self, Answer};
use crate::body::{RequestBody, unread};
use crate::failure::Failure;
use crate::router::Call;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Keys<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tag_name: Option<&'a Tag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
    metadata: &'a [String],
}

/// `GET` of the keys.
pub(crate) async fn list(call: &Call<'_>, repository: &RepositoryName, owner: MetadataOwner) -> Answer {
    let owner = of(owner);
    let found = call.artifacts().list_keys(call.target(repository), &owner).await?;
    let tag_name = match &owner {
        ValueOwner::Tag(tag) => Some(tag),
        ValueOwner::Repository | ValueOwner::Manifest(_) => None,
    };
    super::answer(call, repository, Keys { tag_name, digest: found.digest.as_deref(), metadata: &found.keys })
}

/// `GET` of a value: the JSON that was set, and nothing around it.
pub(crate) async fn get(call: &Call<'_>, repository: &RepositoryName, owner: MetadataOwner, key: &str) -> Answer {
    let mut value = call.artifacts().get_value(call.target(repository), &of(owner), key).await?;
    value.push('\n');
    Ok(answer::json(StatusCode::OK, value.into_bytes()))
}

/// `PUT` of a value.
pub(crate) async fn put(
    call: &Call<'_>,
    body: &mut RequestBody,
    repository: &RepositoryName,
    owner: MetadataOwner,
    key: &str,
) -> Answer {
    let value = read(call, body).await?;
    call.artifacts().put_value(call.target(repository), &of(owner), key, value, call.caller.name()).await?;
    Ok(answer::empty(StatusCode::CREATED))
}

/// `DELETE` of a key with its value.
pub(crate) async fn delete(call: &Call<'_>, repository: &RepositoryName, owner: MetadataOwner, key: &str) -> Answer {
    call.artifacts().delete_value(call.target(repository), &of(owner), key, call.caller.name()).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

fn of(owner: MetadataOwner) -> ValueOwner {
    match owner {
        MetadataOwner::Repository => ValueOwner::Repository,
        MetadataOwner::Tag(tag) => ValueOwner::Tag(tag),
        MetadataOwner::Manifest(digest) => ValueOwner::Manifest(digest),
    }
}

/// The value that a request sends, as JSON.
async fn read(call: &Call<'_>, body: &mut RequestBody) -> Result<String, Failure> {
    let invalid = |what: String| Failure::new(OciError::new(Code::AttributesInvalid).with_message(what));
    let bytes = match body.read_to_end(LIMIT_BYTES).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(invalid(format!("a value has {LIMIT_BYTES} bytes at most"))),
        Err(error) => return Err(unread(error, Code::AttributesInvalid)),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| invalid("a value is text".to_owned()))?;
    let content_type = call.parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.and_then(wharf_oci::media_type::essence).as_deref() == Some("text/plain") {
        return Ok(serde_json::Value::from(text).to_string());
    }
    let checked: Result<IgnoredAny, _> = serde_json::from_str(text);
    checked.map_err(|error| invalid(format!("a value is JSON, and this is none: {error}")))?;
    Ok(text.trim().to_owned())
}

/// The longest value.
const LIMIT_BYTES: usize = 64 << 10;
