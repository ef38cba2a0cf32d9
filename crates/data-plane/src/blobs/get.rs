//! `GET` and `HEAD` of a blob.

use std::ops::Range;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use wharf_blobs::SendfileQueue;
use wharf_model::{Digest, RepositoryName};
use wharf_oci::{ByteRange, Code, OciError, header as oci_header};
use wharf_registry::BlobContent;
use wharf_replication::cache::{CachedBlob, CachedBlobInfo};

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
    let found = call.cache().get_blob(&call.host.registry, repository, digest, call.sight(repository)).await;
    let found = found.map_err(|error| Failure::of_cache(error, call.request_id))?;
    let content = found.ok_or(OciError::new(Code::BlobUnknown))?;
    let etag = answer::etag(digest);
    let Some(size) = content.size_bytes() else { return Ok(send_unmeasured(content, digest, etag)) };
    if answer::is_not_modified(&call.parts.headers, &etag) {
        let mut response = answer::status(StatusCode::NOT_MODIFIED);
        response.headers_mut().insert(&oci_header::DOCKER_CONTENT_DIGEST, answer::digest_value(digest));
        response.headers_mut().insert(header::ETAG, etag);
        return Ok(response);
    }
    match wanted_range(&call.parts.headers, &etag, size) {
        ByteRange::Whole => {
            let mut response = describe(StatusCode::OK, digest, etag, size);
            *response.body_mut() = stream(call, content, 0..size);
            Ok(response)
        }
        ByteRange::Part(part) => {
            let mut response = describe(StatusCode::PARTIAL_CONTENT, digest, etag, part.end - part.start);
            let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            response.headers_mut().insert(header::CONTENT_RANGE, answer::value(content_range));
            *response.body_mut() = stream(call, content, part);
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
    let (registry, sight) = (&call.host.registry, call.sight(repository));
    let found = if !may_push(call.caller, repository) {
        call.cache().find_blob(registry, repository, digest, sight).await
    } else if let Some(blob) = call.artifacts().renew_blob(call.target(repository), digest).await? {
        Ok(Some(CachedBlobInfo { size_bytes: Some(blob.size_bytes) }))
    } else if call.may_push_into_cache(repository) {
        // What is elsewhere would not be sent by who wants to push it.
        Ok(None)
    } else {
        call.cache().find_blob_elsewhere(registry, repository, digest, sight).await
    };
    let found = found.map_err(|error| Failure::of_cache(error, call.request_id))?;
    let size_bytes = found.ok_or(OciError::new(Code::BlobUnknown))?.size_bytes;
    let etag = answer::etag(digest);
    if answer::is_not_modified(&call.parts.headers, &etag) {
        let mut response = answer::status(StatusCode::NOT_MODIFIED);
        response.headers_mut().insert(header::ETAG, etag);
        return Ok(response);
    }
    let mut response = describe(StatusCode::OK, digest, etag, size_bytes.unwrap_or(0));
    if size_bytes.is_none() {
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(response)
}

/// A blob that comes from a registry that does not say how large it is.
fn send_unmeasured(content: CachedBlob, digest: &Digest, etag: HeaderValue) -> Response<Body> {
    let mut response = describe(StatusCode::OK, digest, etag, 0);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().remove(header::ACCEPT_RANGES);
    if let CachedBlob::Arriving(arriving) = content {
        *response.body_mut() = Body::from_stream(Box::pin(arriving.stream_to_the_end()));
    }
    response
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

fn stream(call: &Call<'_>, content: CachedBlob, range: Range<u64>) -> Body {
    let content = match content {
        CachedBlob::Here(content) => content,
        CachedBlob::Arriving(arriving) => return Body::new(BlobBody::new(arriving.stream(range))),
    };
    match content {
        BlobContent::Inline(bytes) => {
            let inside = "the range lies inside the blob, and the blob in memory";
            let start = usize::try_from(range.start).expect(inside);
            let end = usize::try_from(range.end).expect(inside);
            Body::from(bytes.slice(start..end))
        }
        BlobContent::Stored(blob) => Body::new(BlobBody::new(match call.parts.extensions.get::<SendfileQueue>() {
            Some(queue) => blob.send(range, queue.clone()),
            None => blob.stream(range),
        })),
    }
}
