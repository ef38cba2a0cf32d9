//! Access lines as programs read them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::harness::{Server, client};

#[tokio::test]
async fn every_request_leaves_one_line_with_what_happened() {
    let server = Server::start();
    let layer = vec![7; 300_000];
    server.push_image("team/app", "v1", &layer).await;
    let digest = wharf_model::Digest::of(wharf_model::Algorithm::Sha256, &layer).to_string();
    let answer = server.get(&format!("/v2/team/app/blobs/{digest}")).await;
    let request_id = answer.headers()["x-ms-correlation-request-id"].to_str().unwrap().to_owned();
    assert_eq!(answer.bytes().await.unwrap().len(), layer.len());
    let line = server.line(|line| line["request_id"] == request_id.as_str()).await;
    for (name, value) in [("method", "GET"), ("registry", "wharf"), ("repository", "team/app"), ("caller", "wharf")] {
        assert_eq!(line[name], value);
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["sent_bytes"], layer.len());
    assert_eq!(line["digest"], digest.as_str());
    assert!(line["duration_us"].as_u64().unwrap() > 0);
    assert_eq!(line["cut_short"], serde_json::Value::Null);
    let received: u64 = server
        .lines()
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| line["received_bytes"].as_u64())
        .sum();
    assert!(received > layer.len() as u64, "{received}");
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_told() {
    let server = Server::start();
    let layer = vec![7; 64 << 20];
    let digest = server.push_blob("team/app", &layer).await;
    let answer = server.get(&format!("/v2/team/app/blobs/{digest}")).await;
    let request_id = answer.headers()["x-ms-correlation-request-id"].to_str().unwrap().to_owned();
    drop(answer);
    let line = server.line(|line| line["request_id"] == request_id.as_str()).await;
    assert_eq!(line["cut_short"], true);
    assert!(line["sent_bytes"].as_u64().unwrap() < layer.len() as u64);
}

#[tokio::test]
async fn nothing_a_client_sends_makes_a_second_line() {
    let server = Server::start();
    let hostile = "/v2/a%0d%0a{\"level\":\"ERROR\"}%1b[31m/manifests/x";
    client().get(server.url(hostile)).header("user-agent", "evil\tline").send().await.unwrap();
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.write_all(b"BR\"EW /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    client().get(server.url("/v2/")).send().await.unwrap();
    let (lines, _) = server.stop();
    for line in &lines {
        let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not one object: {line}"));
        assert_ne!(value["level"], "ERROR", "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
    }
}

#[tokio::test]
async fn access_lines_can_be_switched_off() {
    let server = Server::start_with(|command| {
        command.args(["--access-log", "off"]);
    });
    assert_eq!(server.get("/v2/").await.status(), 200);
    let (lines, _) = server.stop();
    assert!(!lines.iter().any(|line| line.contains("duration_us")), "{lines:#?}");
}
