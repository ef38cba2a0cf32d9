//! Callers as values.

use axum::body::Body;
use http::{HeaderName, Method, Request, header};
use wharf_model::Digest;

use crate::image::Image;
use crate::response::TestResponse;
use crate::server::{LOCAL, TestServer};

/// Somebody who calls a registry. Clones are the same caller.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    server: &'a TestServer,
    registry: String,
    authorization: Option<String>,
    origin: wharf_model::Client,
}

impl<'a> Client<'a> {
    pub(crate) fn new(server: &'a TestServer, registry: &str, authorization: Option<String>) -> Self {
        Self { server, registry: registry.to_owned(), authorization, origin: LOCAL }
    }

    /// The same caller with the same credentials, who calls another registry.
    #[must_use]
    pub fn at(&self, registry: &str) -> Self {
        Self { registry: registry.to_owned(), ..self.clone() }
    }

    /// The same caller at another address.
    #[must_use]
    pub fn from(&self, address: &str) -> Self {
        let address = address.parse().expect("tests write addresses well");
        Self { origin: wharf_model::Client { address, is_private: false }, ..self.clone() }
    }

    /// The same caller over the private endpoint.
    #[must_use]
    pub fn privately(&self) -> Self {
        Self { origin: wharf_model::Client { is_private: true, ..self.origin }, ..self.clone() }
    }

    /// Begins a request.
    #[must_use]
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder<'a> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        RequestBuilder { server: self.server, registry: self.registry.clone(), origin: self.origin, request }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> TestResponse {
        self.request(Method::GET, path).send().await
    }

    /// `HEAD`.
    pub async fn head(&self, path: &str) -> TestResponse {
        self.request(Method::HEAD, path).send().await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> TestResponse {
        self.request(Method::DELETE, path).send().await
    }

    /// `POST` with an empty body.
    pub async fn post(&self, path: &str) -> TestResponse {
        self.request(Method::POST, path).body("").await
    }

    /// Uploads a blob in one piece, by `POST` and `PUT`.
    pub async fn push_blob(&self, repository: &str, content: impl Into<Vec<u8>>) -> Digest {
        let content = content.into();
        let digest = Digest::of(wharf_model::Algorithm::Sha256, &content);
        let started = self.post(&format!("/v2/{repository}/blobs/uploads/")).await;
        assert_eq!(started.status, 202, "{started}");
        let location = format!("{}&digest={digest}", started.header("location"));
        let completed = self.request(Method::PUT, &location).body(content).await;
        assert_eq!(completed.status, 201, "{completed}");
        digest
    }

    /// Pushes a manifest.
    pub async fn push_manifest(&self, repository: &str, reference: &str, image: &Image) -> TestResponse {
        self.request(Method::PUT, &format!("/v2/{repository}/manifests/{reference}"))
            .header(header::CONTENT_TYPE, &image.media_type)
            .body(image.manifest.clone())
            .await
    }

    /// Pushes an image whole: its blobs, then its manifest.
    pub async fn push(&self, repository: &str, reference: &str, image: &Image) -> Digest {
        for blob in &image.blobs {
            self.push_blob(repository, blob.clone()).await;
        }
        let pushed = self.push_manifest(repository, reference, image).await;
        assert_eq!(pushed.status, 201, "{pushed}");
        image.digest()
    }
}

/// A request that is being put together.
#[derive(Debug)]
pub struct RequestBuilder<'a> {
    server: &'a TestServer,
    registry: String,
    origin: wharf_model::Client,
    request: http::request::Builder,
}

impl RequestBuilder<'_> {
    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        self.request = self.request.header(name, value.as_ref());
        self
    }

    /// Sends the request without a body.
    pub async fn send(self) -> TestResponse {
        self.stream(Body::empty()).await
    }

    /// Sends the request with this body and its length.
    pub async fn body(self, content: impl Into<Vec<u8>>) -> TestResponse {
        let content = content.into();
        self.header(header::CONTENT_LENGTH, content.len().to_string()).stream(Body::from(content)).await
    }

    /// Sends the request with this body, without saying how long it is.
    pub async fn stream(self, body: Body) -> TestResponse {
        let request = self.request.body(body).expect("tests write methods, paths and headers well");
        TestResponse::read(self.server.serve_from(&self.registry, self.origin, request).await).await
    }
}
