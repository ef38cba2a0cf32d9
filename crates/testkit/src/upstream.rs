//! Another registry, on a port of loopback: one that pulls can be made from, and that misbehaves as it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use wharf_model::{Algorithm, Digest};
use wharf_oci::media_type;

use crate::Image;

/// Another registry. It is gone when it is dropped.
pub struct Upstream {
    port: u16,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    manifests: Mutex<HashMap<(String, String), (String, Bytes)>>,
    blobs: Mutex<HashMap<String, Bytes>>,
    seen: Mutex<Vec<Seen>>,
    quirks: Mutex<Quirks>,
    tokens: Mutex<HashMap<String, usize>>,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path with its query.
    pub path: String,
    /// Its credentials.
    pub authorization: Option<String>,
    /// Its range.
    pub range: Option<String>,
}

/// An answer that is no success: its status, its headers, its body.
pub type Failure = (u16, Vec<(&'static str, String)>, Bytes);

/// How the registry misbehaves. The default does not.
#[derive(Clone, Debug)]
pub struct Quirks {
    /// How it wants to be signed in to. The user is `user` and the password `secret`.
    pub sign_in: SignIn,
    /// Where the realm is, if not on this host: a URL without query.
    pub realm: Option<String>,
    /// For how many requests a token is good.
    pub token_uses: usize,
    /// Whether it understands ranges.
    pub ranges: bool,
    /// After how many bytes of a blob the connection breaks.
    pub cut_after: Option<usize>,
    /// How often it does.
    pub cuts: usize,
    /// How many of the next blobs have a byte that is wrong.
    pub wrong_blobs: usize,
    /// A length that is announced for blobs in place of the right one; what is sent is cut or padded to it.
    pub blob_length: Option<usize>,
    /// Whether blobs never end, and do not say how long they are.
    pub endless_blobs: bool,
    /// How long each answer takes to begin.
    pub latency: std::time::Duration,
    /// Whether it does not say how long blobs are.
    pub blob_without_length: bool,
    /// After how many bytes of a blob nothing more comes before there is a permit.
    pub pause_after: Option<(usize, Arc<Semaphore>)>,
    /// Where blobs are, if not here.
    pub blobs_at: Option<String>,
    /// What the next requests are answered with: status, headers, body.
    pub failures: VecDeque<Failure>,
    /// Whether it has the API of referrers.
    pub referrers: bool,
    /// Whether it says the digest of a manifest, and which if not the right one.
    pub stated_digest: Option<String>,
}

/// How a registry wants to be signed in to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// Not at all.
    Nothing,
    /// With user and password.
    Basic,
    /// With a token, which everybody gets.
    AnonymousToken,
    /// With a token, for user and password.
    Token,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            sign_in: SignIn::Nothing,
            realm: None,
            token_uses: usize::MAX,
            ranges: true,
            cut_after: None,
            cuts: usize::MAX,
            wrong_blobs: 0,
            blob_length: None,
            endless_blobs: false,
            latency: std::time::Duration::ZERO,
            blob_without_length: false,
            pause_after: None,
            blobs_at: None,
            failures: VecDeque::new(),
            referrers: true,
            stated_digest: None,
        }
    }
}

impl Upstream {
    /// The password of the user `user`.
    pub const PASSWORD: &str = "secret";

    /// A registry that behaves, with nothing in it.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state: Arc<State> = Arc::default();
        let shared = state.clone();
        let router = Router::new().fallback(move |request: Request<Body>| {
            let state = shared.clone();
            async move {
                let latency = lock(&state.quirks).latency;
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                state.answer(port, &request)
            }
        });
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { port, state, task }
    }

    /// Where it is: `127.0.0.1:<port>`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How it misbehaves, to be changed.
    pub fn quirks(&self) -> MutexGuard<'_, Quirks> {
        lock(&self.state.quirks)
    }

    /// Puts a blob into every repository.
    pub fn put_blob(&self, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        lock(&self.state.blobs).insert(digest.to_string(), bytes);
        digest
    }

    /// Takes a blob away.
    pub fn remove_blob(&self, digest: &Digest) {
        lock(&self.state.blobs).remove(digest.as_str());
    }

    /// Puts a manifest under a tag or a digest, whatever its bytes are.
    pub fn put_manifest(&self, repository: &str, reference: &str, media_type: &str, bytes: impl Into<Bytes>) {
        let key = (repository.to_owned(), reference.to_owned());
        lock(&self.state.manifests).insert(key, (media_type.to_owned(), bytes.into()));
    }

    /// Puts an image with its blobs, under its digest and a tag.
    pub fn put_image(&self, repository: &str, tag: Option<&str>, image: &Image) -> Digest {
        for blob in &image.blobs {
            self.put_blob(blob.clone());
        }
        let digest = image.digest();
        self.put_manifest(repository, digest.as_str(), &image.media_type, image.manifest.clone());
        if let Some(tag) = tag {
            self.put_manifest(repository, tag, &image.media_type, image.manifest.clone());
        }
        digest
    }

    /// The requests that came since the last call.
    #[must_use]
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.state.seen))
    }

    /// How often a blob was asked for since the requests were taken last.
    #[must_use]
    pub fn count_fetches(&self, digest: &Digest) -> usize {
        let end = format!("/blobs/{digest}");
        lock(&self.state.seen).iter().filter(|seen| seen.method == Method::GET && seen.path.ends_with(&end)).count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").field("port", &self.port).finish_non_exhaustive()
    }
}

impl State {
    fn answer(&self, port: u16, request: &Request<Body>) -> Response<Body> {
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let seen = Seen {
            method: request.method().clone(),
            path: request.uri().to_string(),
            authorization: text(header::AUTHORIZATION),
            range: text(header::RANGE),
        };
        lock(&self.seen).push(seen.clone());
        if request.uri().path() == "/token" {
            return self.give_token(&seen);
        }
        if let Some((status, headers, body)) = lock(&self.quirks).failures.pop_front() {
            let mut response = plain(status, body);
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().expect("tests write headers well"));
            }
            return response;
        }
        if let Some(refusal) = self.refuse(port, &seen) {
            return refusal;
        }
        self.serve(request)
    }

    fn serve(&self, request: &Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        let Some(rest) = path.strip_prefix("/v2/") else { return missing() };
        if rest.is_empty() {
            return plain(200, Bytes::from_static(b"{}"));
        }
        if let Some((repository, reference)) = rest.split_once("/manifests/") {
            return self.serve_manifest(repository, reference);
        }
        if let Some((_, digest)) = rest.split_once("/blobs/") {
            return self.serve_blob(digest, request.headers());
        }
        if let Some((repository, digest)) = rest.split_once("/referrers/") {
            return self.serve_referrers(repository, digest);
        }
        if let Some(repository) = rest.strip_suffix("/tags/list") {
            let manifests = lock(&self.manifests);
            let of_repository = manifests.keys().filter(|(name, _)| name == repository).map(|(_, reference)| reference);
            let mut tags: Vec<&String> = of_repository.filter(|reference| !reference.contains(':')).collect();
            tags.sort();
            return plain(200, json!({"name": repository, "tags": tags}).to_string());
        }
        missing()
    }

    fn serve_manifest(&self, repository: &str, reference: &str) -> Response<Body> {
        let found = lock(&self.manifests).get(&(repository.to_owned(), reference.to_owned())).cloned();
        let Some((media_type, bytes)) = found else { return missing() };
        let digest = Digest::of(Algorithm::Sha256, &bytes).to_string();
        let digest = lock(&self.quirks).stated_digest.clone().unwrap_or(digest);
        let mut response = plain(200, bytes);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media_type.parse().expect("tests write media types well"));
        headers.insert("docker-content-digest", digest.parse().expect("tests write digests well"));
        response
    }

    fn serve_blob(&self, digest: &str, headers: &HeaderMap) -> Response<Body> {
        let mut quirks = lock(&self.quirks);
        if let Some(elsewhere) = &quirks.blobs_at {
            let mut response = plain(307, Bytes::new());
            response.headers_mut().insert(header::LOCATION, elsewhere.parse().expect("tests write URLs well"));
            return response;
        }
        let Some(mut bytes) = lock(&self.blobs).get(digest).cloned() else { return missing() };
        if quirks.wrong_blobs > 0 {
            quirks.wrong_blobs -= 1;
            let mut wrong = bytes.to_vec();
            if let Some(last) = wrong.last_mut() {
                *last ^= 1;
            }
            bytes = wrong.into();
        }
        if let Some(length) = quirks.blob_length {
            let mut other = bytes.to_vec();
            other.resize(length, b'x');
            bytes = other.into();
        }
        if quirks.endless_blobs {
            let endless =
                futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 16 << 10])));
            return Response::new(Body::from_stream(endless));
        }
        let total = bytes.len();
        let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).filter(|_| quirks.ranges);
        let first: Option<usize> =
            range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let (status, bytes) = match first {
            Some(first) if first >= total => return plain(416, Bytes::new()),
            Some(first) => (StatusCode::PARTIAL_CONTENT, bytes.slice(first..)),
            None => (StatusCode::OK, bytes),
        };
        let length = bytes.len();
        let is_cut = quirks.cuts > 0 && quirks.cut_after.is_some_and(|after| after < length);
        let body = match quirks.cut_after {
            Some(after) if is_cut => {
                quirks.cuts -= 1;
                Body::from_stream(broken(bytes.slice(..after)))
            }
            _ => match quirks.pause_after.clone() {
                Some((after, permits)) if after < length => Body::from_stream(paused(bytes, after, permits)),
                _ if quirks.blob_without_length => {
                    Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]))
                }
                _ => Body::from(bytes),
            },
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        if !quirks.blob_without_length {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Some(first) = first {
            let range = format!("bytes {first}-{}/{total}", total - 1);
            response.headers_mut().insert(header::CONTENT_RANGE, range.parse().expect("digits fit a header"));
        }
        response
    }

    fn serve_referrers(&self, repository: &str, digest: &str) -> Response<Body> {
        if !lock(&self.quirks).referrers {
            return missing();
        }
        let manifests = lock(&self.manifests);
        let listed = manifests.iter().filter(|((name, reference), _)| name == repository && reference.contains(':'));
        let about = |bytes: &Bytes| {
            serde_json::from_slice::<Value>(bytes).ok()?["subject"]["digest"].as_str().map(str::to_owned)
        };
        let listed: Vec<Value> = listed
            .filter(|(_, (_, bytes))| about(bytes).as_deref() == Some(digest))
            .map(|((_, digest), (media_type, bytes))| json!({"mediaType": media_type, "digest": digest, "size": bytes.len()}))
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": listed});
        let mut response = plain(200, index.to_string());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type::OCI_INDEX));
        response
    }

    /// The 401 for who has not signed in.
    fn refuse(&self, port: u16, seen: &Seen) -> Option<Response<Body>> {
        let quirks = lock(&self.quirks).clone();
        let is_known = match quirks.sign_in {
            SignIn::Nothing => true,
            SignIn::Basic => seen.authorization.as_deref() == Some(basic().as_str()),
            SignIn::AnonymousToken | SignIn::Token => {
                let mut tokens = lock(&self.tokens);
                let token = seen.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
                match token.and_then(|token| tokens.get_mut(token)) {
                    Some(left) if *left > 0 => {
                        *left -= 1;
                        true
                    }
                    Some(_) => false,
                    // Those of a realm elsewhere are not counted.
                    None => token.is_some() && quirks.realm.is_some(),
                }
            }
        };
        if is_known {
            return None;
        }
        let challenge = match quirks.sign_in {
            SignIn::Basic => "Basic realm=\"upstream\"".to_owned(),
            _ => {
                let realm = quirks.realm.unwrap_or_else(|| format!("http://127.0.0.1:{port}/token"));
                format!("Bearer realm=\"{realm}\",service=\"upstream\"")
            }
        };
        let body = json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]});
        let mut response = plain(401, body.to_string());
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().expect("it is plain text"));
        Some(response)
    }

    fn give_token(&self, seen: &Seen) -> Response<Body> {
        let quirks = lock(&self.quirks).clone();
        if quirks.sign_in == SignIn::Token && seen.authorization.as_deref() != Some(basic().as_str()) {
            return plain(401, json!({"details": "incorrect username or password"}).to_string());
        }
        let mut tokens = lock(&self.tokens);
        let token = format!("token-{}", tokens.len());
        tokens.insert(token.clone(), quirks.token_uses);
        plain(200, json!({"token": token, "expires_in": 300}).to_string())
    }
}

/// What comes, and then nothing more though there should be.
fn broken(bytes: Bytes) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    let cut = futures_util::stream::once(async {
        // What was sent before is on its way by then.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        Err(std::io::Error::other("cut"))
    });
    futures_util::StreamExt::chain(futures_util::stream::iter([Ok(bytes)]), cut)
}

/// What comes, and the rest once there is a permit.
fn paused(
    bytes: Bytes,
    after: usize,
    permits: Arc<Semaphore>,
) -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static {
    let rest = bytes.slice(after..);
    let later = futures_util::stream::once(Box::pin(async move {
        let permit = permits.acquire().await.map_err(std::io::Error::other)?;
        permit.forget();
        Ok(rest)
    }));
    futures_util::StreamExt::chain(futures_util::stream::iter([Ok(bytes.slice(..after))]), later)
}

fn plain(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).expect("tests write statuses well");
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn missing() -> Response<Body> {
    plain(404, json!({"errors": [{"code": "NOT_FOUND", "message": "not here"}]}).to_string())
}

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("user:{}", Upstream::PASSWORD)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
