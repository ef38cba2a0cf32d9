//! Listeners and connections before a plane that misbehaves.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wharf_data_plane::RequestHost;
use wharf_metadata::RegistryRow;
use wharf_model::{AccessNote, RegistryId, RegistryName, RegistryUid, RequestContext, SystemClock, Timestamp};

use super::{Connections, Listener, Network, NotReady, Observers, Plane, Proxies, Scheme, Server, Site};
use crate::config::{AccessLog, LimitsConfig, LogConfig, LogFormat};
use crate::hosts::Hosts;
use crate::log::{AccessLogger, BatchWriter, Format};
use crate::metrics::Metrics;
use crate::services::Service;

/// Answers by path: what would be a bug in a handler.
struct Misbehaving;

impl Plane for Misbehaving {
    async fn find_registry(&self, name: &RegistryName) -> Result<Option<Arc<RegistryRow>>, NotReady> {
        if name.as_str() == "broken" {
            return Err(NotReady("database"));
        }
        Ok(Some(Arc::new(RegistryRow {
            id: RegistryId(1),
            uid: RegistryUid(Uuid::nil()),
            name: name.clone(),
            sku: "Premium".to_owned(),
            admin_user_enabled: true,
            anonymous_pull_enabled: false,
            admin_passwords: [Vec::new(), Vec::new()],
            credentials_generation: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            resource_id: wharf_model::ResourceId::root(),
            settings: Default::default(),
        })))
    }

    async fn serve(&self, host: RequestHost, request: Request<Body>) -> Response<Body> {
        match request.uri().path() {
            "/panic" => panic!("as a test wants it"),
            "/panic-in-body" => Response::new(Body::new(PanickingBody { is_begun: false })),
            "/large" => {
                let piece = Bytes::from(vec![0; 64 << 10]);
                let pieces = futures_util::stream::iter((0..1024).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
                Response::new(Body::from_stream(pieces))
            }
            "/slow" => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Response::new(Body::from("slow"))
            }
            "/client" => Response::new(Body::from(host.client.address.to_string())),
            _ => Response::new(Body::from(host.base_url)),
        }
    }

    async fn serve_service(&self, service: Service, context: RequestContext, request: Request<Body>) -> Response<Body> {
        assert!(!request.uri().path().ends_with("/panic"), "as a test wants it");
        let text = format!("{} {}", service.as_str(), context.endpoints.management);
        let mut response = Response::new(Body::from(text));
        response.extensions_mut().insert(AccessNote { route: "login.test", caller: Some("alice".into()) });
        response
    }

    async fn check_ready(&self) -> Result<(), NotReady> {
        Err(NotReady("database"))
    }

    fn update_metrics(&self, _metrics: &Metrics) {}
}

struct PanickingBody {
    is_begun: bool,
}

impl HttpBody for PanickingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        assert!(!self.is_begun, "as a test wants it");
        self.is_begun = true;
        std::task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"begun")))))
    }
}

struct Running {
    address: SocketAddr,
    connections: Connections,
    stop: CancellationToken,
    metrics: Metrics,
    lines: Arc<Mutex<Vec<u8>>>,
}

struct Memory(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn run() -> Running {
    let limits = LimitsConfig {
        connections: 100,
        header_bytes: 64 * 1024,
        idle_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(1),
        shutdown_grace: Duration::ZERO,
    };
    let log = LogConfig { format: LogFormat::Json, level: "info".to_owned(), access: AccessLog::On, sample_every: 1 };
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = BatchWriter::new(Memory(lines.clone()));
    let metrics = Metrics::new();
    let observers = Arc::new(Observers {
        metrics: metrics.clone(),
        access: AccessLogger::new(&log, Format::Json, Arc::new(SystemClock), writer),
    });
    let hosts = Hosts::new("wharf.localhost".parse().unwrap(), false, 5443);
    let proxies = Proxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let site = Site { hosts, proxies, https_port: Some(5443), private_https_port: None };
    let server = Arc::new(Server::new(Misbehaving, site, observers, limits.clone()));
    let connections = Connections::new(limits.connections);
    let stop = CancellationToken::new();
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Scheme::Http, Network::Public).unwrap();
    let address = listener.address();
    tokio::spawn(listener.run(server, connections.clone(), stop.clone()));
    Running { address, connections, stop, metrics, lines }
}

impl Running {
    async fn send(&self, request: &str) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut buffer = vec![0; 4096];
        let length = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer)).await.unwrap().unwrap();
        (stream, String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    async fn get(&self, path: &str) -> (TcpStream, String) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await
    }

    /// Waits until the log holds this.
    async fn logged(&self, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let text = String::from_utf8(self.lines.lock().unwrap().clone()).unwrap();
            if text.contains(wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{wanted} is missing in {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_panic_ends_its_request_and_nothing_else() {
    let server = run();
    let (mut stream, answer) = server.get("/panic").await;
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("\"code\":\"UNKNOWN\""), "{answer}");
    assert!(answer.contains("x-ms-correlation-request-id: "), "{answer}");
    // The same connection goes on.
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer).await.unwrap();
    let answer = String::from_utf8_lossy(&buffer[..length]);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("http://localhost:1"), "{answer}");
}

#[tokio::test]
async fn a_panic_in_a_body_cuts_that_answer_short() {
    let server = run();
    let (mut stream, answer) = server.get("/panic-in-body").await;
    let mut rest = Vec::new();
    // Closed without the last chunk, so that the client knows.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(!format!("{answer}{}", String::from_utf8_lossy(&rest)).contains("\r\n0\r\n"));
    server.logged("\"cut_short\":true").await;
    assert!(server.get("/").await.1.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_let_go() {
    let server = run();
    let (_stream, answer) = server.get("/large").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.logged("\"cut_short\":true").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.connections.count() > 0 {
        assert!(Instant::now() < deadline, "the connection stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(server.metrics.encode().contains("status=\"cut\"} 1\n"));
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_its_answer_is_told() {
    let server = run();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(stream);
    server.logged("\"status\":499").await;
}

#[tokio::test]
async fn the_end_waits_for_answers_and_not_for_idle_clients() {
    let server = run();
    let (_idle, _) = server.get("/").await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), server.connections.finish()).await.unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("slow"), "{answer}");
}

#[tokio::test]
async fn a_store_that_does_not_work_is_told() {
    let server = run();
    assert!(server.get("/readyz").await.1.ends_with("not ready: database\n"));
    assert!(server.get("/healthz").await.1.ends_with("alive\n"));
    let (_, answer) = server.send("GET /v2/ HTTP/1.1\r\nHost: broken.wharf.localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("UNAVAILABLE"), "{answer}");
    assert!(answer.contains("retry-after: ") && answer.contains("x-ms-correlation-request-id: "), "{answer}");
}

#[tokio::test]
async fn services_are_found_by_path_and_by_host() {
    let server = run();
    let ends = |answer: String, wanted: &str| assert!(answer.ends_with(wanted), "{answer}");
    ends(server.get("/subscriptions").await.1, "management https://localhost:5443");
    ends(server.get("/graph/v1.0/me").await.1, "graph https://localhost:5443");
    ends(server.get("/v2/").await.1, "http://localhost");
    let at =
        async |host: &str, path: &str| server.send(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.1;
    ends(at("login.wharf.localhost", "/v2/").await, "login https://management.wharf.localhost:5443");
    ends(at("management.wharf.localhost", "/x").await, "management https://management.wharf.localhost:5443");
    ends(at("contoso.wharf.localhost", "/subscriptions").await, "http://contoso.wharf.localhost");
    let portal = at("portal.wharf.localhost", "/").await;
    assert!(portal.starts_with("HTTP/1.1 404 "), "{portal}");
    server.logged(r#""route":"login.test","status":200,"caller":"alice","request_id":""#).await;
}

#[tokio::test]
async fn a_panic_in_a_service_is_told_in_its_words() {
    let server = run();
    let management = server.get("/subscriptions/panic").await.1;
    assert!(management.starts_with("HTTP/1.1 500 ") && management.contains("\r\nx-ms-request-id: "), "{management}");
    assert!(management.contains(r#"{"error":{"code":"InternalServerError","message":"#), "{management}");
    let login = server.get("/adfs/panic").await.1;
    assert!(login.contains(r#"{"error":"server_error","error_description":"#), "{login}");
    server.logged(r#""route":"login.panic","status":500"#).await;
}

#[tokio::test]
async fn a_trusted_proxy_tells_who_called_and_how() {
    let server = run();
    let request = "GET /client HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
    assert!(server.send(request).await.1.ends_with("\r\n203.0.113.9"));
    let request = "GET / HTTP/1.1\r\nHost: registry.test\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert!(server.send(request).await.1.ends_with("https://registry.test"));
    let request = "GET /tenants HTTP/1.1\r\nHost: registry.test\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert!(server.send(request).await.1.ends_with("management https://registry.test"));
}
