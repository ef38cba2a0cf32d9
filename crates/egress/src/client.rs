//! Requests that go out.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::error::{EgressError, NothingAllowed, failure, shown};
use crate::is_internal;
use crate::stream::AnswerStream;

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
        Ok(EgressClient { egress: self.clone(), client, patience: PATIENCE })
    }
}

/// A client whose requests reach only what they may.
#[derive(Clone, Debug)]
pub struct EgressClient {
    egress: Egress,
    client: reqwest::Client,
    patience: Duration,
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
    /// The same client, which waits this long for the head of a streamed answer, and for each next piece of its body.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Errors
    /// When it may not be sent, cannot be, or is not answered in time and size. An answer of any status is none.
    pub async fn send(&self, request: Outgoing<'_>) -> Result<Answer, EgressError> {
        let url = request.url;
        let reading = async {
            let mut answer = self.open(request.clone()).await?;
            let mut body = BytesMut::new();
            while let Some(piece) = answer.next_piece().await? {
                body.extend_from_slice(&piece);
            }
            Ok(Answer { status: answer.status, headers: answer.headers, body: body.freeze() })
        };
        let too_slow = |_| EgressError::TooSlow { url: shown(url), seconds: ANSWERS_WITHIN.as_secs() };
        tokio::time::timeout(ANSWERS_WITHIN, reading).await.map_err(too_slow)?
    }

    /// Sends a request and hands out the answer with its body still to come, of `most_bytes` at most. Only standing still
    /// takes too long, not being large.
    ///
    /// # Errors
    /// When it may not be sent, cannot be, or its head does not come in time. An answer of any status is none.
    pub async fn open(&self, request: Outgoing<'_>) -> Result<AnswerStream, EgressError> {
        let Outgoing { method, url, headers, body, most_bytes } = request;
        self.check(url)?;
        let sending = self.client.request(method, url.clone()).headers(headers).body(body).send();
        let too_slow = |_| EgressError::TooSlow { url: shown(url), seconds: self.patience.as_secs() };
        let response = tokio::time::timeout(self.patience, sending).await.map_err(too_slow)?;
        AnswerStream::new(url, response.map_err(|error| failure(url, error))?, most_bytes, self.patience)
    }

    /// Refuses what is no address on the network, and literal addresses that may not be reached: names are looked at when
    /// they are resolved, these never are.
    fn check(&self, url: &Url) -> Result<(), EgressError> {
        let host = url.host().ok_or_else(|| EgressError::Url { url: shown(url) })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EgressError::Url { url: shown(url) });
        }
        let literal = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        if literal.is_some_and(|address| !self.egress.allows(address)) {
            return Err(EgressError::Internal { host: url.host_str().unwrap_or_default().to_owned() });
        }
        Ok(())
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

/// How long connecting may take.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);
/// How long a request may take from its first byte to the answer's last, when the answer is read whole.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// How long a streamed answer's head may take, and how long its body may stand still, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
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

    /// Sends each of these after the pause before it, then stands still.
    async fn dribbling(pieces: &'static [(u64, &'static str)]) -> Url {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).await.unwrap();
            for (pause, piece) in pieces {
                tokio::time::sleep(Duration::from_millis(*pause)).await;
                socket.write_all(piece.as_bytes()).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        format!("http://127.0.0.1:{port}/").parse().unwrap()
    }

    fn get_of(url: &Url, most_bytes: usize) -> Outgoing<'_> {
        Outgoing { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new(), most_bytes }
    }

    #[tokio::test]
    async fn a_streamed_answer_may_be_slow_but_not_stand_still() {
        let client = client(&["127.0.0.0/8"]).with_patience(Duration::from_millis(400));
        const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n";
        // Longer in all than the patience is.
        let url = dribbling(&[(0, HEAD), (250, "ab"), (250, "cd"), (250, "ef")]).await;
        let mut answer = client.open(get_of(&url, 100)).await.unwrap();
        assert_eq!((answer.status, answer.content_length()), (StatusCode::OK, Some(100)));
        let mut received = Vec::new();
        let error = loop {
            match answer.next_piece().await {
                Ok(piece) => received.extend_from_slice(&piece.expect("the body has not ended")),
                Err(error) => break error,
            }
        };
        assert_eq!(received, b"abcdef");
        assert!(matches!(error, EgressError::TooSlow { .. }), "{error:?}");
        let silent = dribbling(&[]).await;
        let error = client.open(get_of(&silent, 100)).await.unwrap_err();
        assert!(matches!(error, EgressError::TooSlow { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_streamed_answer_is_bounded() {
        let client = client(&["127.0.0.0/8"]);
        let url = dribbling(&[(0, "HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n")]).await;
        assert!(matches!(client.open(get_of(&url, 100)).await, Err(EgressError::TooLarge { .. })));
        // One that does not say how long it is.
        let url = dribbling(&[(0, "HTTP/1.1 200 OK\r\n\r\n"), (50, "12345"), (50, "67890")]).await;
        let mut answer = client.open(get_of(&url, 9)).await.unwrap();
        assert_eq!(answer.next_piece().await.unwrap().unwrap(), "12345");
        assert!(matches!(answer.next_piece().await, Err(EgressError::TooLarge { .. })));
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
