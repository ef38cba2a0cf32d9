//! Repositories that fill themselves from another registry.

mod hostile;
mod limits;
mod pulls;
mod pushes;

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, header};
use ipnet::IpNet;
use wharf_identity::Egress;
use wharf_metadata::{Database, RegistrySettings, cache_rules};
use wharf_model::{Clock as _, Digest};
use wharf_replication::cache::CacheSettings;
use wharf_testkit::{Client, Image, Options, TestResponse, TestServer, Upstream, image};

/// A server and another registry from which its repositories are filled.
pub(crate) struct Caching {
    pub(crate) server: TestServer,
    pub(crate) upstream: Upstream,
}

impl Caching {
    /// With one rule: `hub/*` comes from `library/*`.
    pub(crate) async fn start() -> Self {
        Self::start_with(CacheSettings::default()).await
    }

    pub(crate) async fn start_with(cache: CacheSettings) -> Self {
        let loopback: IpNet = "127.0.0.1/32".parse().unwrap();
        let options = Options { egress: Egress::new([loopback]), cache, ..Options::default() };
        let caching = Self { server: TestServer::start_with(options).await, upstream: Upstream::start().await };
        caching.rule("hub", "library/*", "hub/*").await;
        caching
    }

    pub(crate) fn database(&self) -> &Database {
        self.server.artifacts().database()
    }

    /// Adds a rule that takes from the other registry.
    pub(crate) async fn rule(&self, name: &str, source: &str, target: &str) {
        let registry = self.server.registry(TestServer::REGISTRY).await;
        let (id, now) = (registry.id, self.server.clock().now());
        let source = format!("{}/{source}", self.upstream.address());
        let (name, target) = (name.to_owned(), target.to_owned());
        let written = self.database().write(move |c| {
            Box::pin(async move {
                cache_rules::put(c, id, &name, &source, &target, None).await?;
                cache_rules::announce(c, id, "test", now).await
            })
        });
        let written: Result<(), wharf_metadata::Error> = written.await;
        written.unwrap();
        self.server.artifacts().forget_registry(&registry.name);
    }

    /// Changes what the registry is set to.
    pub(crate) async fn set(&self, change: impl FnOnce(&mut RegistrySettings)) {
        use wharf_metadata::registries::{self, RegistryChange};
        let registry = self.server.registry(TestServer::REGISTRY).await;
        let mut wanted = RegistryChange::from(registry.as_ref());
        change(&mut wanted.settings);
        let (id, now) = (registry.id, self.server.clock().now());
        let written = self
            .database()
            .write(move |c| Box::pin(async move { registries::update(c, id, &wanted, "test", now).await }));
        written.await.unwrap();
        self.server.artifacts().forget_registry(&registry.name);
    }

    pub(crate) fn admin(&self) -> Client<'_> {
        self.server.admin()
    }

    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        self.admin().get(path).await
    }

    /// Waits until everything that was handed out is stored.
    pub(crate) async fn settle(&self) {
        self.server.cache().settle().await;
    }

    /// Lets what was found out about tags grow old.
    pub(crate) fn grow_old(&self) {
        self.server.advance(CacheSettings::default().fresh_for);
    }

    /// Pulls an image by tag, as docker does: the manifest, then its blobs.
    pub(crate) async fn pull(&self, repository: &str, tag: &str, image: &Image) {
        let manifest = self.get(&format!("/v2/{repository}/manifests/{tag}")).await;
        assert_eq!((manifest.status, manifest.body.as_ref()), (200, image.manifest.as_slice()), "{manifest}");
        for blob in &image.blobs {
            let got = self.get(&blob_path(repository, &digest_of(blob))).await;
            assert!(got.status == 200 && got.body.as_ref() == blob.as_slice(), "{}", got.status);
        }
        self.settle().await;
    }

    /// The body of a blob, as far as it comes; and whether it came to its end.
    pub(crate) async fn read_blob(&self, repository: &str, digest: &Digest) -> (u16, Vec<u8>, bool) {
        let response = self.open_blob(repository, digest).await;
        let status = response.status().as_u16();
        let (body, is_whole) = read(response.into_body(), usize::MAX).await;
        (status, body, is_whole)
    }

    pub(crate) async fn open_blob(&self, repository: &str, digest: &Digest) -> http::Response<Body> {
        use base64::Engine as _;
        let pair = format!("{}:{}", TestServer::REGISTRY, TestServer::PASSWORD);
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let request = Request::builder().method(Method::GET).uri(blob_path(repository, digest));
        let request = request.header(header::AUTHORIZATION, basic).body(Body::empty()).unwrap();
        self.server.serve(TestServer::REGISTRY, request).await
    }

    /// Whether a repository holds a blob, whatever is elsewhere.
    pub(crate) async fn holds(&self, repository: &str, digest: &Digest) -> bool {
        let registry = self.server.registry(TestServer::REGISTRY).await;
        let repository = repository.parse().unwrap();
        let target = wharf_registry::Target { registry: &registry, repository: &repository };
        let found = self.server.artifacts().find_blob(target, digest, wharf_registry::Sight::Everything).await;
        found.unwrap().is_some()
    }
}

/// Reads a body until it has so many bytes, or ends, or breaks.
pub(crate) async fn read(body: Body, most: usize) -> (Vec<u8>, bool) {
    use futures_util::StreamExt as _;
    let mut pieces = body.into_data_stream();
    let mut read = Vec::new();
    while read.len() < most {
        match pieces.next().await {
            None => return (read, true),
            Some(Ok(piece)) => read.extend_from_slice(&piece),
            Some(Err(_)) => return (read, false),
        }
    }
    (read, false)
}

pub(crate) fn blob_path(repository: &str, digest: &Digest) -> String {
    format!("/v2/{repository}/blobs/{digest}")
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest::of(wharf_model::Algorithm::Sha256, bytes)
}

/// Bytes that are no two the same.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length / 4 + 1).flat_map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes()).take(length).collect()
}

/// An image whose layer is too large to be kept beside its metadata.
pub(crate) fn large_image(name: &str, length: usize) -> Image {
    use serde_json::json;
    let mut made = image(name);
    let layer = content(length);
    let mut manifest: serde_json::Value = serde_json::from_slice(&made.manifest).unwrap();
    manifest["layers"][0]["digest"] = json!(digest_of(&layer).as_str());
    manifest["layers"][0]["size"] = json!(layer.len());
    made.manifest = manifest.to_string().into_bytes();
    made.blobs[1] = layer;
    made
}

/// Longer than anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
