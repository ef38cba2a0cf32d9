//! Answers that are errors, for requests that nobody else answers: in the words of whoever was asked.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;
use wharf_data_plane::{AccessInfo, refuse};
use wharf_model::AccessNote;
use wharf_oci::{Code, OciError};

use super::site::Visit;
use crate::services::Service;

/// The host names nothing that is here.
pub(super) fn no_registry(visit: &Visit) -> Response<Body> {
    let error = OciError::new(Code::NameUnknown).with_message(format!("no registry answers at {}", visit.authority));
    refuse(error, &visit.base_url())
}

/// Whoever was asked failed by a mistake of ours. The id is for the log.
pub(super) fn of_panic(service: Option<(Service, Uuid)>) -> (Response<Body>, Uuid) {
    let Some((service, request_id)) = service else {
        let response = refuse(OciError::new(Code::Unknown), "");
        let request_id = response.extensions().get::<AccessInfo>().map(|info| info.request_id);
        return (response, request_id.unwrap_or_default());
    };
    let message = format!("The request failed by a mistake of the server's; its log tells more under {request_id}.");
    let (body, route) = match service {
        Service::Management => (arm_error(&message), "management.panic"),
        Service::Graph => (arm_error(&message), "graph.panic"),
        Service::Login => (json!({"error": "server_error", "error_description": message}), "login.panic"),
    };
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let id = HeaderValue::from_str(&request_id.to_string()).expect("an id is made of visible characters");
    for name in ["x-ms-request-id", "x-ms-correlation-request-id"] {
        headers.insert(HeaderName::from_static(name), id.clone());
    }
    response.extensions_mut().insert(AccessNote::of(route));
    (response, request_id)
}

fn arm_error(message: &str) -> Value {
    json!({"error": {"code": "InternalServerError", "message": message}})
}
