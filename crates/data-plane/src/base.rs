//! `GET /v2/`: tells that this is a registry. docker logs in with it, `az acr check-health` pings it.

use axum::body::Body;
use http::{Response, StatusCode};

use crate::answer;

/// Source: distribution-spec, "Determining Support".
pub(crate) fn get() -> Response<Body> {
    answer::json(StatusCode::OK, b"{}".to_vec())
}
