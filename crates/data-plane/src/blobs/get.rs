//! `GET` and `HEAD` of a blob.

use std::ops::Range;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use wharf_model::{Digest, RepositoryName};
use wharf_oci::{ByteRange, Code, OciError, header as oci_header};
use wharf_registry::BlobContent;

use crate::answer::{self, Answer};
use crate::body::BlobBody;
use crate::failure::Failure;
use crate::guard::may_push;
use crate::router::Call;

/// Source: distribution-spec, "Pulling blobs" and "Checking if content exists in the registry".
pub(crate) async fn get(call: &Call<'_>, repository: &RepositoryName, digest: &Digest) -> Answer {
    if call.is_head() {
        return head(call, repository, digest).await;
    }
    let found = call.artifacts().open_blob(call.target(repository), digest, call.sight(repository)).await?;
    let content = found.ok_or(OciError::new(Code::BlobUnknown))?;
    let size = content.size();
    let etag = answer::etag(digest);
    if answer::is_not_modified(&call.parts.headers, &etag) {
        let mut response = answer::status(StatusCode::NOT_MODIFIED);
        response.headers_mut().insert(&oci_header::DOCKER_CONTENT_DIGEST, answer::digest_value(digest));
        response.headers_mut().insert(header::ETAG, etag);
        return Ok(response);
    }
    match wanted_range(&call.parts.headers, &etag, size) {
        ByteRange::Whole => {
            let mut response = describe(StatusCode::OK, digest, etag, size);
            *response.body_mut() = stream(content, 0..size);
            Ok(response)
        }
        ByteRange::Part(part) => {
            let mut response = describe(StatusCode::PARTIAL_CONTENT, digest, etag, part.end - part.start);
            let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            response.headers_mut().insert(header::CONTENT_RANGE, answer::value(content_range));
            *response.body_mut() = stream(content, part);
            Ok(response)
        }
        ByteRange::Unsatisfiable => {
            let failure = Failure::new(OciError::new(Code::RangeInvalid));
            Err(failure.with_header(header::CONTENT_RANGE, answer::value(format!("bytes */{size}"))))
        }
    }
}

/// A client that may push asks before it uploads, and will not upload what it finds: so the blob is kept for it.
async fn head(call: &Call<'_>, repository: &RepositoryName, digest: &Digest) -> Answer {
    let target = call.target(repository);
    let found = if may_push(call.caller, repository) {
        call.artifacts().renew_blob(target, digest).await?
    } else {
        call.artifacts().find_blob(target, digest, call.sight(repository)).await?
    };
    let blob = found.ok_or(OciError::new(Code::BlobUnknown))?;
    let etag = answer::etag(digest);
    if answer::is_not_modified(&call.parts.headers, &etag) {
        let mut response = answer::status(StatusCode::NOT_MODIFIED);
        response.headers_mut().insert(header::ETAG, etag);
        return Ok(response);
    }
    Ok(describe(StatusCode::OK, digest, etag, blob.size_bytes))
}

fn describe(status: StatusCode, digest: &Digest, etag: HeaderValue, length: u64) -> Response<Body> {
    let mut response = answer::status(status);
    let headers = response.headers_mut();
    headers.reserve(14);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(&oci_header::DOCKER_CONTENT_DIGEST, answer::digest_value(digest));
    headers.insert(header::ETAG, etag);
    response
}

/// `If-Range` with anything but our ETag asks for the whole blob (RFC 9110, section 13.1.5).
fn wanted_range(headers: &HeaderMap, etag: &HeaderValue, size: u64) -> ByteRange {
    let Some(range) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else { return ByteRange::Whole };
    if headers.get(header::IF_RANGE).is_some_and(|sent| sent != etag) {
        return ByteRange::Whole;
    }
    ByteRange::parse(range, size)
}

fn stream(content: BlobContent, range: Range<u64>) -> Body {
    match content {
        BlobContent::Inline(bytes) => {
            let inside = "the range lies inside the blob, and the blob in memory";
            let start = usize::try_from(range.start).expect(inside);
            let end = usize::try_from(range.end).expect(inside);
            Body::from(bytes.slice(start..end))
        }
        BlobContent::Stored(blob) => Body::new(BlobBody::new(blob.stream(range))),
    }
}
