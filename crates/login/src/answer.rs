//! Answers: JSON for clients, pages for people.

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;
use wharf_identity::Principal;
use wharf_model::Timestamp;

use crate::error::OAuthError;

/// An answer in JSON, which nobody keeps.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// An answer in JSON that anybody may keep for a while.
pub(crate) fn public_json(body: &Value) -> Response<Body> {
    let mut response = json(StatusCode::OK, body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response.headers_mut().remove(header::PRAGMA);
    response
}

/// An error for a client.
pub(crate) fn error(error: &OAuthError, trace: Uuid, correlation: Uuid, now: Timestamp) -> Response<Body> {
    let mut response = json(error.status, &error.body(trace, correlation, now));
    if let Some(span) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(span.as_secs().max(1)));
    }
    if error.status == StatusCode::UNAUTHORIZED {
        // RFC 6749, 5.2: whoever tried by this header must be told so.
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Wharf\""));
    }
    response
}

/// A page. Its forms may go to us, and to `form_targets` besides.
pub(crate) fn page(status: StatusCode, html: String, form_targets: &[String]) -> Response<Body> {
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let targets = form_targets.join(" ");
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {targets}; frame-ancestors 'none'; base-uri 'none'"
    );
    // A target that cannot stand in a header is left out, and with it the way there.
    let policy = HeaderValue::from_str(&policy).unwrap_or_else(|_| {
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        )
    });
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Sends the browser on, with `GET`.
pub(crate) fn see_other(location: &str) -> Result<Response<Body>, OAuthError> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let value = HeaderValue::from_str(location)
        .map_err(|_| OAuthError::invalid_request(50_011, "The browser cannot be sent where the request says."))?;
    response.headers_mut().insert(header::LOCATION, value);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Adds the headers of every answer. `correlation` is what the client calls the request.
pub(crate) fn add_common_headers(headers: &mut HeaderMap, request_id: Uuid, correlation: Option<&HeaderValue>) {
    headers.insert(header::SERVER, HeaderValue::from_static("Wharf"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let id = HeaderValue::from_str(&request_id.to_string()).expect("hexadecimal digits may stand in a header");
    headers.insert(X_MS_REQUEST_ID, id);
    if let Some(correlation) = correlation {
        headers.insert(CLIENT_REQUEST_ID, correlation.clone());
    }
}

/// What msal makes a person's account key from.
pub(crate) fn client_info(principal: &Principal) -> String {
    BASE64URL.encode(json!({"uid": principal.id.to_string(), "utid": principal.tenant_id.to_string()}).to_string())
}

const X_MS_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
/// What msal calls a request.
pub(crate) const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
