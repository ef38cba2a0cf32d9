//! Hosts, protocols, limits, and the paths for operators.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use http::Version;

use crate::harness::{PATIENCE, Server, builder, client};

#[tokio::test]
async fn operators_have_paths_of_their_own_on_http() {
    let server = Server::start();
    for (path, body) in [("/healthz", "alive\n"), ("/readyz", "ready\n")] {
        let answer = client().get(server.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), body);
    }
    server.push_image("team/app", "v1", b"layer").await;
    server.get("/v2/team/app/manifests/v1").await;
    let metrics = client().get(server.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for expected in ["registry_build_info{", "registry_commits_total ", "registry_open_connections{listener=\"http\"} "]
    {
        assert!(metrics.contains(expected), "{expected} is missing in\n{metrics}");
    }
    assert!(metrics.contains("method=\"GET\",status=\"2xx\"} 1\n"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    assert_eq!(client().post(server.url("/metrics")).send().await.unwrap().status(), 405);

    let authority = std::fs::read(server.data.join("tls/ca.pem")).unwrap();
    let https = crate::harness::client_trusting(&authority);
    let url = format!("https://localhost:{}/metrics", server.https.port());
    assert_eq!(https.get(url).send().await.unwrap().status(), 404, "metrics are not for those who come from outside");
}

#[tokio::test]
async fn both_protocols_are_spoken_on_both_listeners() {
    let server = Server::start();
    let h2 = builder().http2_prior_knowledge().build().unwrap();
    let answer = h2.get(server.url("/v2/")).send().await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 401));
    let answer = client().get(server.url("/v2/")).send().await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_11, 401));

    let pem = std::fs::read(server.data.join("tls/ca.pem")).unwrap();
    let authority = || reqwest::Certificate::from_pem(&pem).unwrap();
    for (host, name) in
        [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1"), ("wharf.wharf.localhost", "a registry")]
    {
        let resolve =
            |builder: reqwest::ClientBuilder| builder.resolve(host, server.https).tls_certs_only([authority()]);
        let url = format!("https://{host}:{}/v2/", server.https.port());
        let answer = resolve(builder()).build().unwrap().get(&url).send().await.unwrap();
        assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 401), "{name}");
        let realm = answer.headers()["www-authenticate"].to_str().unwrap();
        let expected = format!("Bearer realm=\"https://{host}:{}/oauth2/token\"", server.https.port());
        assert!(realm.starts_with(&expected), "{realm}");
        let answer = resolve(builder().http1_only()).build().unwrap().get(&url).send().await.unwrap();
        assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_11, 401), "{name}");
    }
}

#[tokio::test]
async fn answers_to_head_end_with_their_head() {
    let server = Server::start();
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("wharf:{}", server.password()));
    let basic = format!("Basic {basic}");
    for (path, authorization, why) in [
        ("/v2/", None, "401"),
        ("/v2/team/app/manifests/v1", Some(&basic), "404"),
        ("/v2/", Some(&basic), "200"),
        ("/healthz", None, "an answer for operators"),
    ] {
        let (kind, flags) = head_over_http2(&server, path, authorization.map(String::as_str));
        assert_eq!((kind, flags & END_STREAM), (HEADERS, END_STREAM), "{why}");
    }
    let absent = client().head(server.url("/v2/")).send().await.unwrap();
    assert_eq!(absent.status(), 401);
    assert_eq!(absent.headers()["content-length"], "149");
}

const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// Asks for a path, and returns kind and flags of the first frame of the answer.
fn head_over_http2(server: &Server, path: &str, authorization: Option<&str>) -> (u8, u8) {
    let mut block = vec![0x86]; // ":scheme: http" of HPACK's static table
    // Names of the static table: ":method", ":path", ":authority", "authorization".
    let fields = [(2, Some("HEAD")), (4, Some(path)), (1, Some("localhost")), (23, authorization)];
    for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        block.extend([0x40 | name, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, u8::try_from(block.len()).unwrap(), HEADERS, 0x4 | END_STREAM, 0, 0, 0, 1]);
    bytes.extend(block);
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&bytes).unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).unwrap();
        if head[8] == 1 {
            return (head[3], head[4]);
        }
    }
}

#[tokio::test]
async fn hosts_lead_to_registries() {
    let server = Server::start();
    for default in ["localhost:1234", "registry.example.com", "wharf.localhost", "wharf.wharf.localhost:99"] {
        let answer = server.get_from(default, "/v2/").await;
        assert_eq!(answer.status(), 401, "{default}");
        let realm = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(realm.contains(&format!("realm=\"http://{default}/oauth2/token\"")), "{realm}");
    }
    for nobody in ["nobody.wharf.localhost", "a.b.wharf.localhost", "portal.wharf.localhost"] {
        let answer = server.get_from(nobody, "/v2/").await;
        assert_eq!(answer.status(), 404, "{nobody}");
        assert_eq!(answer.headers()["docker-distribution-api-version"], "registry/2.0");
        let id = answer.headers()["x-ms-correlation-request-id"].to_str().unwrap().to_owned();
        server.line(|line| line["request_id"] == id.as_str()).await;
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["errors"][0]["code"], "NAME_UNKNOWN");
    }
    let raw = raw(&server, b"GET /v2/ HTTP/1.1\r\nHost: a\"b\r\nConnection: close\r\n\r\n");
    assert!(raw.starts_with("HTTP/1.1 400 ") && raw.contains("x-ms-correlation-request-id: "), "{raw}");
    let raw = crate::listeners::raw(&server, b"GET /v2/ HTTP/1.0\r\n\r\n");
    assert!(raw.starts_with("HTTP/1.0 401 ") && raw.contains(&format!("http://{}/oauth2/token", server.http)), "{raw}");
}

#[tokio::test]
async fn large_heads_are_refused_and_slow_clients_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("wharf.toml");
    std::fs::write(&config, "[limits]\nidle_timeout_seconds = 1\nheader_bytes = 16384\n").unwrap();
    let server = Server::start_with(|command| {
        command.arg("--config").arg(&config);
    });
    let large = "x".repeat(20_000);
    let answer = client().get(server.url("/v2/")).header("x-large", &large).send().await.unwrap();
    assert_eq!(answer.status(), 431);
    let fits = "x".repeat(12_000);
    let answer = client().get(server.url("/v2/")).header("x-large", &fits).send().await.unwrap();
    assert_eq!(answer.status(), 401);

    // One that says nothing, one in the middle of a head, one between two requests, and two that stop at the preface.
    for begun in [
        &b""[..],
        b"GET /v2/ HTTP/1.1\r\nHost: lo",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PR",
        b"PRI * HTTP/2.0\r\n",
    ] {
        let started = Instant::now();
        raw(&server, begun);
        let took = started.elapsed();
        let text = String::from_utf8_lossy(begun);
        assert!(
            (Duration::from_millis(900)..Duration::from_secs(6)).contains(&took),
            "{text:?} was let go after {took:?}"
        );
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("wharf.toml");
    std::fs::write(&config, "[limits]\nconnections = 1\n").unwrap();
    let server = Server::start_with(|command| {
        command.arg("--config").arg(&config);
    });
    let mut first = TcpStream::connect(server.http).unwrap();
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut buffer = [0; 512];
    assert!(first.read(&mut buffer).unwrap() > 0);
    let mut second = TcpStream::connect(server.http).unwrap();
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    second.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(second.read(&mut buffer).is_err(), "served beyond the limit");
    drop(first);
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(second.read(&mut buffer).unwrap() > 0);
}

/// Sends bytes and reads until the server closes.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
