//! Builds responses, and adds the headers that every one has (`acr/control-plane.md` section 2).

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::Value;
use uuid::Uuid;
use wharf_arm::versions::Versions;
use wharf_model::RequestContext;

use crate::admission;
use crate::answer::Answer;
use crate::failure::Failure;

/// Turns an answer into its response.
pub(crate) fn of_answer(context: &RequestContext, answer: Answer) -> Response<Body> {
    let mut response = with_body(answer.status, answer.body.as_ref());
    let headers = response.headers_mut();
    if let Some(etag) = answer.etag
        && let Ok(value) = HeaderValue::try_from(format!("\"{etag}\""))
    {
        headers.insert(header::ETAG, value);
    }
    if let Some(operation) = answer.async_operation
        && let Ok(value) = HeaderValue::try_from(format!("{}{operation}", context.endpoints.management))
    {
        headers.insert(AZURE_ASYNC_OPERATION, value);
        headers.insert(header::RETRY_AFTER, SOON);
    }
    if let Some(location) = answer.location
        && let Ok(value) = HeaderValue::try_from(format!("{}{location}", context.endpoints.management))
    {
        headers.insert(header::LOCATION, value);
        // Without it clients wait for half a minute between two looks.
        headers.insert(header::RETRY_AFTER, SOON);
    }
    if answer.is_pending {
        headers.insert(header::RETRY_AFTER, SOON);
    }
    response
}

/// Turns a failure into its response.
pub(crate) fn of_failure(context: &RequestContext, tenant: Option<Uuid>, failure: &Failure) -> Response<Body> {
    let error = failure.error();
    let mut response = with_body(error.status, Some(&error.body()));
    let headers = response.headers_mut();
    if let Some(asked) = failure.asks_for_token() {
        headers.insert(header::WWW_AUTHENTICATE, admission::challenge(context, tenant, error, asked.newer_than));
    }
    if matches!(
        error.status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS | StatusCode::INSUFFICIENT_STORAGE
    ) {
        headers.insert(header::RETRY_AFTER, LATER);
    }
    if let Some(allow) = failure.allow() {
        headers.insert(header::ALLOW, allow.clone());
    }
    response
}

fn with_body(status: StatusCode, body: Option<&Value>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    match body {
        Some(body) => {
            let json = body.to_string();
            response.headers_mut().insert(header::CONTENT_TYPE, JSON);
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(json.len()));
            *response.body_mut() = Body::from(json);
        }
        None if status != StatusCode::NO_CONTENT => {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        }
        None => {}
    }
    response
}

/// Adds the headers of every answer.
pub(crate) fn add_common_headers(
    headers: &mut HeaderMap,
    context: &RequestContext,
    method: &Method,
    sent: &HeaderMap,
    versions: Option<Versions>,
) {
    let id = HeaderValue::try_from(context.request_id.to_string()).unwrap_or(HeaderValue::from_static("-"));
    headers.insert(X_MS_REQUEST_ID, id.clone());
    headers.insert(X_MS_CORRELATION_REQUEST_ID, id);
    if let Some(id) = sent.get(&X_MS_CLIENT_REQUEST_ID).filter(|id| is_id(id)) {
        headers.insert(X_MS_CLIENT_REQUEST_ID, id.clone());
    }
    let (remaining, most) =
        if method.is_safe() { (REMAINING_READS, MOST_READS) } else { (REMAINING_WRITES, MOST_WRITES) };
    headers.insert(remaining, most);
    if let Some(versions) = versions
        && let Ok(value) = HeaderValue::try_from(versions.listed.join(", "))
    {
        headers.insert(API_SUPPORTED_VERSIONS, value);
    }
    headers.insert(header::SERVER, HeaderValue::from_static("Wharf"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::EXPIRES, HeaderValue::from_static("-1"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_public_https(&context.endpoints.management) {
        headers
            .insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000; includeSubDomains"));
    }
}

/// Whether what a client calls its request may be repeated to it.
fn is_id(value: &HeaderValue) -> bool {
    value.len() <= 128 && value.as_bytes().iter().all(|byte| byte.is_ascii_graphic())
}

/// Whether browsers may be told to insist on HTTPS for this host. Never for `localhost` and addresses, which the
/// developer's machine uses for much else.
fn is_public_https(base_url: &str) -> bool {
    let Some(host) = base_url.strip_prefix("https://") else { return false };
    let name = host.split([':', '/']).next().unwrap_or_default();
    let is_address = host.starts_with('[') || name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    !is_address && name != "localhost" && !name.ends_with(".localhost")
}

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// When to look again at an operation that goes on, in seconds.
const SOON: HeaderValue = HeaderValue::from_static("1");
/// When to come again after a failure that passes, in seconds.
const LATER: HeaderValue = HeaderValue::from_static("10");
const X_MS_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const X_MS_CORRELATION_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-correlation-request-id");
const X_MS_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const AZURE_ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
const API_SUPPORTED_VERSIONS: HeaderName = HeaderName::from_static("api-supported-versions");
const REMAINING_READS: HeaderName = HeaderName::from_static("x-ms-ratelimit-remaining-subscription-reads");
const REMAINING_WRITES: HeaderName = HeaderName::from_static("x-ms-ratelimit-remaining-subscription-writes");
/// Requests are not limited here; some tools read how many are left.
const MOST_READS: HeaderValue = HeaderValue::from_static("11999");
const MOST_WRITES: HeaderValue = HeaderValue::from_static("1199");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsts_is_for_public_names_over_https() {
        for public in ["https://management.example.com", "https://management.example.com:5443"] {
            assert!(is_public_https(public), "{public}");
        }
        for private in [
            "http://management.example.com",
            "https://localhost:5443",
            "https://management.wharf.localhost",
            "https://127.0.0.1:1",
            "https://[::1]:1",
        ] {
            assert!(!is_public_https(private), "{private}");
        }
    }
}
