//! Builds responses, and adds the headers that every one has (`acr/data-plane.md` section 2).

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use wharf_model::Digest;

use crate::failure::Failure;
use crate::request_id::RequestId;

/// What a handler returns.
pub(crate) type Answer = Result<Response<Body>, Failure>;

/// Begins a response.
pub(crate) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    // hyper leaves `Content-Length: 0` away on its own accord only where HTTP forbids it.
    response
}

/// A response without a body that says so.
pub(crate) fn empty(code: StatusCode) -> Response<Body> {
    let mut response = status(code);
    if code != StatusCode::NO_CONTENT {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// A response whose body is JSON. `json` ends as its endpoint's bodies end.
pub(crate) fn json(code: StatusCode, json: Vec<u8>) -> Response<Body> {
    let mut response = status(code);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(json.len()));
    *response.body_mut() = Body::from(json);
    response
}

/// Serialises a body that ends with a newline, as all of the registry's own JSON does.
pub(crate) fn to_json_line(value: &impl serde::Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec(value).expect("structs of strings, numbers and lists always serialise");
    json.push(b'\n');
    json
}

/// Turns a failure into its response.
pub(crate) fn failure(failure: &Failure) -> Response<Body> {
    let mut response = json(failure.error().status, failure.error().body());
    if matches!(failure.error().status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE) {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    for (name, value) in failure.headers() {
        response.headers_mut().insert(name, value.clone());
    }
    response
}

/// The bytes given, or nothing for `HEAD`; the length is told in both cases.
pub(crate) fn bytes_unless_head(is_head: bool, response: &mut Response<Body>, bytes: &Bytes) {
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    if !is_head {
        *response.body_mut() = Body::from(bytes.clone());
    }
}

/// A header value from text that is known to be made of visible characters: names, digests, numbers.
pub(crate) fn value(text: impl Into<String>) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text.into()))
        .expect("names, digests, paths and numbers of ours hold visible ASCII characters only")
}

/// A digest as a header value.
pub(crate) fn digest_value(digest: &Digest) -> HeaderValue {
    value(digest.as_str())
}

/// The strong ETag of content: its digest in quotes.
pub(crate) fn etag(digest: &Digest) -> HeaderValue {
    let mut text = String::with_capacity(digest.as_str().len() + 2);
    text.push('"');
    text.push_str(digest.as_str());
    text.push('"');
    value(text)
}

/// Whether `If-None-Match` names this ETag, in which case the client has the content already.
pub(crate) fn is_not_modified(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|sent| {
        sent.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii).any(|tag| {
            // Weak comparison, as RFC 9110 (section 13.1.2) demands for this header.
            tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes()
        })
    })
}

/// Adds the headers of every answer of `/v2`.
pub(crate) fn add_common_headers(
    headers: &mut HeaderMap,
    family: Family,
    base_url: &str,
    request_id: RequestId,
    client_request_id: Option<&HeaderValue>,
) {
    headers.reserve(8);
    headers.insert(header::SERVER, SERVER);
    headers.insert(&wharf_oci::header::X_MS_CORRELATION_REQUEST_ID, request_id.header());
    if family == Family::Registry {
        headers.insert(&wharf_oci::header::DOCKER_DISTRIBUTION_API_VERSION, API_VERSION);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    }
    if is_public_https(base_url) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if let Some(id) = client_request_id {
        headers.insert(&wharf_oci::header::X_MS_CLIENT_REQUEST_ID, id.clone());
        headers.insert(&wharf_oci::header::X_MS_REQUEST_ID, RequestId::new().header());
    }
}

/// Which part of the data plane answers; the token service has fewer headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Registry,
    TokenService,
}

/// Whether browsers may be told to insist on HTTPS for this host.
///
/// Never for `localhost` and addresses: browsers would then refuse everything else that runs on the developer's machine
/// without TLS.
fn is_public_https(base_url: &str) -> bool {
    let Some(host) = base_url.strip_prefix("https://") else { return false };
    if host.starts_with('[') {
        return false;
    }
    let name = host.split(':').next().unwrap_or_default();
    let is_address = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    !is_address && name != "localhost" && !name.ends_with(".localhost")
}

/// When to come again after a failure that passes, in seconds: soon, since most pass by themselves, and not at once.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");
/// The media type of all JSON but manifests.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const SERVER: HeaderValue = HeaderValue::from_static("Wharf");
const API_VERSION: HeaderValue = HeaderValue::from_static("registry/2.0");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsts_is_for_public_names_over_https() {
        for public in ["https://contoso.example.com", "https://contoso.example.com:5443"] {
            assert!(is_public_https(public), "{public}");
        }
        for other in [
            "http://contoso.example.com",
            "https://localhost:5443",
            "https://wharf.wharf.localhost:5443",
            "https://127.0.0.1:5443",
            "https://[::1]:5443",
            "https://10.0.0.7",
        ] {
            assert!(!is_public_https(other), "{other}");
        }
    }

    #[test]
    fn what_passes_says_when_to_come_again() {
        let retry_after = |status: StatusCode| {
            let error = wharf_oci::OciError::new(wharf_oci::Code::Unavailable).with_status(status);
            failure(&error.into()).headers().get(header::RETRY_AFTER).cloned()
        };
        assert_eq!(retry_after(StatusCode::SERVICE_UNAVAILABLE), Some(RETRY_AFTER));
        assert_eq!(retry_after(StatusCode::INSUFFICIENT_STORAGE), Some(RETRY_AFTER));
        assert_eq!(retry_after(StatusCode::INTERNAL_SERVER_ERROR), None);
    }

    #[test]
    fn if_none_match_takes_lists_and_weak_tags() {
        let etag = HeaderValue::from_static("\"sha256:aa\"");
        for (sent, expected) in [
            ("\"sha256:aa\"", true),
            ("\"x\", W/\"sha256:aa\"", true),
            ("*", true),
            ("sha256:aa", false),
            ("\"sha256:ab\"", false),
        ] {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(sent))]);
            assert_eq!(is_not_modified(&headers, &etag), expected, "{sent}");
        }
        assert!(!is_not_modified(&HeaderMap::new(), &etag));
    }
}
