//! Callers of the services beside the registries: the management API, Graph and the token service.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use wharf_model::{AccessNote, Endpoints, RequestContext};

use crate::server::{LOCAL, TestServer};

/// A service beside the registries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The management API.
    Management,
    /// The subset of Microsoft Graph.
    Graph,
    /// The token service.
    Login,
}

/// Somebody who calls a service. Clones are the same caller.
#[derive(Clone, Debug)]
pub struct ServiceClient<'a> {
    server: &'a TestServer,
    service: Service,
    token: Option<String>,
    origin: wharf_model::Client,
}

/// The answer of a service, with its body.
#[derive(Clone, Debug)]
pub struct ServiceResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What the access log would learn.
    pub note: AccessNote,
}

impl<'a> ServiceClient<'a> {
    pub(crate) fn new(server: &'a TestServer, service: Service, token: Option<String>) -> Self {
        Self { server, service, token, origin: LOCAL }
    }

    /// The same caller at another address.
    #[must_use]
    pub fn from(&self, address: &str) -> Self {
        let address = address.parse().expect("tests write addresses well");
        Self { origin: wharf_model::Client { address, is_private: false }, ..self.clone() }
    }

    /// Sends a request as it is, with the caller's token.
    pub async fn send(&self, mut request: Request<Body>) -> ServiceResponse {
        if let Some(token) = &self.token {
            let bearer = format!("Bearer {token}").parse().expect("tokens are made of visible characters");
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
        }
        ServiceResponse::read(self.server.serve_service(self.service, self.origin, request).await).await
    }

    /// Sends a request with a body of JSON, or without one.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> ServiceResponse {
        let request = Request::builder().method(method).uri(path);
        let request = match body {
            None => request.body(Body::empty()),
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
        };
        self.send(request.expect("tests write methods and paths well")).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> ServiceResponse {
        self.call(Method::GET, path, None).await
    }

    /// `HEAD`.
    pub async fn head(&self, path: &str) -> ServiceResponse {
        self.call(Method::HEAD, path, None).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> ServiceResponse {
        self.call(Method::DELETE, path, None).await
    }

    /// `PUT` with a body of JSON.
    pub async fn put(&self, path: &str, body: &Value) -> ServiceResponse {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// `PATCH` with a body of JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> ServiceResponse {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// `POST` with a body of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> ServiceResponse {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `POST` of a form.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> ServiceResponse {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form)).expect("tests write paths well")).await
    }
}

impl ServiceResponse {
    async fn read(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let note = parts.extensions.get::<AccessNote>().expect("every answer tells the access log").clone();
        let body = body.collect().await.expect("the body can be read to its end").to_bytes();
        Self { status: parts.status.as_u16(), headers: parts.headers, body, note }
    }

    /// A header's value; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("headers of ours are text"))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The error's code in the body, of ARM, Graph or OAuth; empty if it is none.
    #[must_use]
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().or(body["error"].as_str()).unwrap_or_default().to_owned()
    }
}

impl fmt::Display for ServiceResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.status, self.note.route)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        write!(f, "\n{}", String::from_utf8_lossy(&self.body))
    }
}

/// What the server would tell a service about a request.
pub(crate) fn context(client: wharf_model::Client) -> RequestContext {
    RequestContext { request_id: uuid::Uuid::new_v4(), client, endpoints: Arc::new(endpoints()) }
}

/// Where the services of the installation under test are.
pub(crate) fn endpoints() -> Endpoints {
    Endpoints {
        management: "https://management.example.com".to_owned(),
        login: "https://login.example.com".to_owned(),
        graph: "https://management.example.com/graph".to_owned(),
        portal: "https://portal.example.com".to_owned(),
    }
}
