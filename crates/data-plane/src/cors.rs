//! Calls from web pages.
//!
//! What Azure answers to a preflight is not known (`acr/data-plane.md` section 2), so this is ours: `OPTIONS` on a path
//! of the protocol is 204 with `Allow`, and a page may read answers only if the operator listed its origin. Nothing is
//! allowed by default. Credentials are never allowed in the CORS sense: callers send `Authorization` themselves, and there
//! are no cookies.

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use wharf_oci::{Route, RouteError};

use crate::answer::{self, Answer};
use crate::router::Plane;

/// Answers `OPTIONS`.
///
/// # Errors
/// 404 or 400 for paths that lead nowhere.
pub(crate) fn preflight(plane: &Plane, parts: &Parts) -> Answer {
    let allowed = match Route::parse(&Method::OPTIONS, parts.uri.path()) {
        Err(RouteError::Method { allowed }) => answer::value(allowed.join(", ")),
        Err(error) => return Err(error.into()),
        Ok(_) => HeaderValue::from_static("OPTIONS"),
    };
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, allowed.clone());
    if origin(plane, &parts.headers).is_some() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allowed);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    Ok(response)
}

/// Adds to any answer that the page which asked may read it, if its origin is listed.
pub(crate) fn allow_origin(plane: &Plane, request: &HeaderMap, response: &mut HeaderMap) {
    if let Some(origin) = origin(plane, request) {
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

fn origin<'a>(plane: &Plane, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let allowed = &plane.config.allowed_origins;
    if allowed.is_empty() {
        return None;
    }
    headers.get(header::ORIGIN).filter(|sent| allowed.iter().any(|origin| origin.as_bytes() == sent.as_bytes()))
}

/// What pages send besides the headers that need no permission.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Content-Range, If-None-Match, Range, X-Ms-Client-Request-Id",
);
