//! The paths for operators, on the HTTP listeners and outside every registry: `/healthz`, `/readyz`, `/metrics`.

use std::sync::atomic::Ordering;

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::service::{NotReady, Plane, Server};

impl<P: Plane> Server<P> {
    /// Answers a request of an operator's. `None`: it is none.
    pub(super) async fn answer_operator(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let path = request.uri().path();
        // Nearly no request is one of these; a registry's paths begin with "/v2" or "/oauth2".
        if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
            return None;
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are understood here\n".into());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Some(response);
        }
        Some(match path {
            "/healthz" => text(StatusCode::OK, "alive\n".into()),
            "/readyz" => match self.check_ready().await {
                Ok(()) => text(StatusCode::OK, "ready\n".into()),
                Err(NotReady(part)) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {part}\n")),
            },
            _ => {
                self.plane.update_metrics(self.metrics());
                let mut response = text(StatusCode::OK, self.metrics().encode());
                response.headers_mut().insert(header::CONTENT_TYPE, OPEN_METRICS);
                response
            }
        })
    }

    async fn check_ready(&self) -> Result<(), NotReady> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(NotReady("stopping"));
        }
        self.plane.check_ready().await
    }
}

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

fn text(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
