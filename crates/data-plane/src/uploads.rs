//! `/v2/<name>/blobs/uploads/…`: blobs on their way in.
//!
//! A session's URL carries its state, signed, in `_state`; it changes with every chunk, and clients always go on with
//! the URL that they were given last (`acr/data-plane.md` 4.1).

mod append;
mod cancel;
mod complete;
mod get;
mod start;

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use wharf_model::{Digest, RepositoryName, UploadId};
use wharf_oci::{Code, ContentRange, OciError, Route, header as oci_header};
use wharf_registry::{UploadError, UploadState};

pub(crate) use append::append;
pub(crate) use cancel::cancel;
pub(crate) use complete::complete;
pub(crate) use get::get;
pub(crate) use start::start;

use crate::answer;
use crate::body::RequestBody;
use crate::failure::Failure;
use crate::router::Call;

/// The state in the request's URL. Without one that we gave out there is no such upload.
fn state(call: &Call<'_>, repository: &RepositoryName, upload: UploadId) -> Result<UploadState, Failure> {
    let text = call.parameter("_state").unwrap_or_default();
    Ok(call.artifacts().decode_upload_state(call.target(repository), upload, &text)?)
}

/// Where the request's bytes begin, by its `Content-Range`. `None` means where the session ends.
///
/// # Errors
/// 400 for a header in another form, and for one that says something else than `Content-Length`.
fn position(call: &Call<'_>, body: &RequestBody) -> Result<Option<u64>, Failure> {
    let Some(header) = call.parts.headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let malformed = || {
        let detail = "the Content-Range header format is invalid";
        Failure::new(OciError::new(Code::BlobUploadInvalid).with_detail(detail))
    };
    let text = header.to_str().map_err(|_| malformed())?;
    let range: ContentRange = text.parse().map_err(|_| malformed())?;
    match body.declared_length() {
        None => Err(OciError::new(Code::ContentLengthInvalid).into()),
        Some(length) if length != range.length() => Err(OciError::new(Code::SizeInvalid).into()),
        Some(_) => Ok(Some(range.first())),
    }
}

/// The digest in the request's URL.
fn digest(call: &Call<'_>) -> Result<Option<Digest>, Failure> {
    let invalid = || OciError::new(Code::DigestInvalid).with_message("the digest is invalid or unsupported");
    call.parameter("digest").map(|text| text.parse().map_err(|_| invalid().into())).transpose()
}

/// Tells where a session stands and where it goes on.
fn describe(call: &Call<'_>, repository: &RepositoryName, status: StatusCode, state: &UploadState) -> Response<Body> {
    let mut response = answer::empty(status);
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location(call, repository, state));
    headers.insert(header::RANGE, range(state.offset));
    headers.insert(&oci_header::DOCKER_UPLOAD_UUID, answer::value(state.id.to_string()));
    response
}

/// The URL of the session's next request.
fn location(call: &Call<'_>, repository: &RepositoryName, state: &UploadState) -> HeaderValue {
    let path = Route::GetUpload { repository: repository.clone(), upload: state.id };
    let text = call.artifacts().encode_upload_state(call.target(repository), state);
    answer::value(format!("{path}?_nouploadcache=false&_state={text}"))
}

/// What has arrived. `0-0` also when nothing has: the header has no way to say so, and Azure writes it so.
fn range(offset: u64) -> HeaderValue {
    answer::value(format!("0-{}", offset.saturating_sub(1)))
}

/// Answers a session's error; bytes out of order with where the session goes on.
fn refuse(call: &Call<'_>, repository: &RepositoryName, state: &UploadState, error: UploadError) -> Failure {
    let UploadError::OutOfOrder { offset, .. } = error else { return error.into() };
    let state = UploadState { offset, ..*state };
    Failure::from(error)
        .with_header(header::LOCATION, location(call, repository, &state))
        .with_header(header::RANGE, range(offset))
        .with_header(oci_header::DOCKER_UPLOAD_UUID.clone(), answer::value(state.id.to_string()))
}

/// Tells that the repository holds the blob.
fn created(repository: &RepositoryName, digest: &Digest) -> Response<Body> {
    let mut response = answer::empty(StatusCode::CREATED);
    let location = Route::GetBlob { repository: repository.clone(), digest: digest.clone() };
    response.headers_mut().insert(header::LOCATION, answer::value(location.to_string()));
    response.headers_mut().insert(&oci_header::DOCKER_CONTENT_DIGEST, answer::digest_value(digest));
    response
}
