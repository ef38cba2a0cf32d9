//! Large blobs arrive as they were pushed, whatever way their bytes take to the socket.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use http::header;

use crate::harness::{PATIENCE, Server, builder, client, client_trusting};

/// Some 5 MiB in which no two places look alike.
fn content() -> Vec<u8> {
    (0..1_300_001_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

#[tokio::test]
async fn a_large_blob_is_the_same_by_every_protocol_and_in_parts() {
    let server = Server::start();
    let content = content();
    let digest = server.push_blob("team/app", &content).await;
    let path = format!("/v2/team/app/blobs/{digest}");
    let authority = std::fs::read(server.data.join("tls/ca.pem")).unwrap();
    let secure = format!("https://localhost:{}", server.https.port());
    let ways = [
        (client(), server.url("")),
        (builder().http2_prior_knowledge().build().unwrap(), server.url("")),
        (client_trusting(&authority), secure),
    ];
    let length = content.len();
    for (client, origin) in ways {
        for part in [0..length, 0..1, 1..length, 12_345..3_000_000, length - 300_000..length, 1_048_575..1_048_577] {
            let request = client.get(format!("{origin}{path}")).basic_auth("wharf", Some(server.password()));
            let range = format!("bytes={}-{}", part.start, part.end - 1);
            let answer = request.header(header::RANGE, range).send().await.unwrap();
            assert_eq!(answer.status(), 206, "{origin} {part:?}");
            assert!(answer.bytes().await.unwrap() == content[part.clone()], "{origin} {part:?}");
        }
        let whole = client.get(format!("{origin}{path}")).basic_auth("wharf", Some(server.password()));
        assert!(whole.send().await.unwrap().bytes().await.unwrap() == content, "{origin}");
    }
}

#[tokio::test]
async fn answers_to_requests_that_were_sent_together_do_not_mix() {
    let server = Server::start();
    let content = content();
    let digest = server.push_blob("team/app", &content).await;
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("wharf:{}", server.password()));
    let request = |path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {basic}\r\n{more}\r\n")
    };
    let blob = format!("/v2/team/app/blobs/{digest}");
    let requests = [request(&blob, ""), request("/v2/", ""), request(&blob, "Connection: close\r\n")].concat();
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(requests.as_bytes()).unwrap();
    // The answers pile up in the server until its socket takes no more.
    std::thread::sleep(Duration::from_millis(200));
    let mut read = Vec::new();
    stream.read_to_end(&mut read).unwrap();
    let mut rest = &read[..];
    for body in [&content[..], b"{}", &content[..]] {
        let end = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        assert!(rest.starts_with(b"HTTP/1.1 200 OK\r\n"));
        let length = body.len().min(rest.len() - end);
        assert!(rest[end..end + length] == body[..length] && length == body.len());
        rest = &rest[end + length..];
    }
    assert!(rest.is_empty());
}
