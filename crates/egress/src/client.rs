//! Requests that go out.

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::is_internal;

/// Which addresses may be reached. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    allowed: Arc<[IpNet]>,
}

impl Egress {
    /// Everything that is not internal, and `allowed` besides.
    #[must_use]
    pub fn new(allowed: impl IntoIterator<Item = IpNet>) -> Self {
        Self { allowed: allowed.into_iter().collect() }
    }

    /// Whether this address may be reached.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        !is_internal(address) || self.allowed.iter().any(|range| range.contains(&address) || range.contains(&plain))
    }

    /// A client. It trusts the authorities that the machine trusts, and those of `authority` (PEM) if given.
    ///
    /// # Errors
    /// When `authority` holds no certificates, or the machine's cannot be read.
    pub fn client(&self, authority: Option<&str>) -> Result<EgressClient, EgressError> {
        // Fails when there is a provider already, which then serves us too.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECTS_WITHIN)
            .timeout(ANSWERS_WITHIN)
            .pool_idle_timeout(IDLE_CONNECTIONS)
            .user_agent("Wharf")
            .dns_resolver(Arc::new(Resolver(self.clone())));
        if let Some(pem) = authority {
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
            if certificates.is_empty() {
                return Err(EgressError::Authority);
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|error| EgressError::Setup(Arc::new(error)))?;
        Ok(EgressClient { egress: self.clone(), client })
    }
}

/// A client whose requests reach only what they may.
#[derive(Clone, Debug)]
pub struct EgressClient {
    egress: Egress,
    client: reqwest::Client,
}

/// A request that is to go out.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// Its method.
    pub method: Method,
    /// Where to. `http` or `https`.
    pub url: &'a Url,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How many bytes of an answer are read.
    pub most_bytes: usize,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status; a redirect is not followed.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl EgressClient {
    /// Sends a request and reads the answer to its end.
    ///
    /// # Errors
    /// When it may not be sent, cannot be, or is not answered in time and size. An answer of any status is none.
    pub async fn send(&self, request: Outgoing<'_>) -> Result<Answer, EgressError> {
        let url = request.url;
        let host = url.host().ok_or_else(|| EgressError::Url { url: shown(url) })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Url { url: shown(url) });
        }
        // Names are looked at when they are resolved; addresses never are.
        let literal = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        if literal.is_some_and(|address| !self.egress.allows(address)) {
            return Err(EgressError::Internal { host: url.host_str().unwrap_or_default().to_owned() });
        }

        let failed = |error: reqwest::Error| failure(url, error);
        let sending = self.client.request(request.method, url.clone()).headers(request.headers).body(request.body);
        let mut response = sending.send().await.map_err(failed)?;
        let too_large = || EgressError::TooLarge { url: shown(url), most_bytes: request.most_bytes };
        if response.content_length().is_some_and(|length| length > request.most_bytes as u64) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > request.most_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body: body.freeze() })
    }

    /// `GET`, of at most `most_bytes`.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn get(&self, url: &Url, most_bytes: usize) -> Result<Answer, EgressError> {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        self.send(Outgoing { method: Method::GET, url, headers, body, most_bytes }).await
    }
}

/// Why a request was not answered. Cloneable, since many may wait for one request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EgressError {
    /// No URL that can be asked.
    #[error("{url:?} is no address that can be asked; it must begin with https:// or http://")]
    Url {
        /// The URL without query and user.
        url: String,
    },
    /// It leads to an internal address that the operator has not allowed.
    #[error("{host} is an internal address; the operator can allow it with --allow-internal")]
    Internal {
        /// The host.
        host: String,
    },
    /// The certificates to be trusted are none.
    #[error("the certificates of the authority are not in PEM")]
    Authority,
    /// The machine's certificates could not be read.
    #[error("no client could be set up")]
    Setup(#[source] Arc<reqwest::Error>),
    /// It took too long.
    #[error("{url} did not answer within {seconds} seconds", seconds = ANSWERS_WITHIN.as_secs())]
    TooSlow {
        /// The URL without query and user.
        url: String,
    },
    /// The answer is too long.
    #[error("the answer of {url} is longer than {most_bytes} bytes")]
    TooLarge {
        /// The URL without query and user.
        url: String,
        /// The longest that is read.
        most_bytes: usize,
    },
    /// It could not be reached, or did not answer properly.
    #[error("{url} cannot be reached")]
    Failed {
        /// The URL without query and user.
        url: String,
        /// Why.
        #[source]
        source: Arc<reqwest::Error>,
    },
}

fn failure(url: &Url, error: reqwest::Error) -> EgressError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(NothingAllowed { host }) = error.downcast_ref() {
            return EgressError::Internal { host: host.clone() };
        }
        cause = error.source();
    }
    // The URL is told once, by us, and without what may be secret in it.
    let error = error.without_url();
    if error.is_timeout() {
        return EgressError::TooSlow { url: shown(url) };
    }
    EgressError::Failed { url: shown(url), source: Arc::new(error) }
}

/// A URL for messages: without user, password, query and fragment, any of which may hold secrets.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.into()
}

/// Resolves names as the machine does, and passes on the addresses that may be reached.
struct Resolver(Egress);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.0.clone();
        Box::pin(async move {
            // The port is put in by whoever connects.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().copied().filter(|address| egress.allows(address.ip())).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(NothingAllowed { host: name.as_str().to_owned() }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// All addresses of a name are internal.
#[derive(Debug)]
struct NothingAllowed {
    host: String,
}

impl fmt::Display for NothingAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} leads to internal addresses only", self.host)
    }
}

impl StdError for NothingAllowed {}

/// How long connecting may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// How long a request may take from its first byte to the answer's last.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection that is not used is kept.
const IDLE_CONNECTIONS: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::response::Redirect;
    use axum::routing::get;

    use super::*;

    /// A server on a free port of loopback.
    async fn server() -> u16 {
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/long", get(|| async { vec![b'x'; 5_000] }))
            .route("/away", get(|| async { Redirect::to("http://localhost/") }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        port
    }

    fn client(allowed: &[&str]) -> EgressClient {
        Egress::new(allowed.iter().map(|range| range.parse().unwrap())).client(None).unwrap()
    }

    #[tokio::test]
    async fn internal_addresses_are_reached_only_if_allowed() {
        let port = server().await;
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let url = format!("http://{host}:{port}/").parse().unwrap();
            let refused = client(&["10.0.0.0/8"]).get(&url, 100).await.unwrap_err();
            assert!(matches!(refused, EgressError::Internal { .. }), "{host}: {refused:?}");
        }
        let url = format!("http://127.0.0.1:{port}/").parse().unwrap();
        let answer = client(&["127.0.0.1/32"]).get(&url, 100).await.unwrap();
        assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, &b"hello"[..]));
        let url = format!("http://localhost:{port}/").parse().unwrap();
        assert_eq!(client(&["127.0.0.0/8"]).get(&url, 100).await.unwrap().body, "hello");
    }

    #[tokio::test]
    async fn answers_are_bounded_and_redirects_are_answers() {
        let port = server().await;
        let client = client(&["127.0.0.0/8"]);
        let url = format!("http://127.0.0.1:{port}/long?token=secret").parse().unwrap();
        let error = client.get(&url, 4_999).await.unwrap_err();
        assert!(matches!(error, EgressError::TooLarge { .. }), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert_eq!(client.get(&url, 5_000).await.unwrap().body.len(), 5_000);
        let url = format!("http://127.0.0.1:{port}/away").parse().unwrap();
        assert_eq!(client.get(&url, 100).await.unwrap().status, StatusCode::SEE_OTHER);
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_refused() {
        let client = client(&[]);
        for bad in ["ftp://example.com/", "file:///etc/passwd", "data:text/plain,x"] {
            let error = client.get(&bad.parse().unwrap(), 100).await.unwrap_err();
            assert!(matches!(error, EgressError::Url { .. }), "{bad}: {error:?}");
        }
        let nobody = "http://127.0.0.1:9/".parse().unwrap();
        let error = super::tests::client(&["127.0.0.1/32"]).get(&nobody, 100).await.unwrap_err();
        assert!(matches!(error, EgressError::Failed { .. }), "{error:?}");
        assert!(matches!(Egress::default().client(Some("nonsense")), Err(EgressError::Authority)));
    }
}
