//! The end of a server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Server, client};

/// A PATCH of which the server has the head and half of the body.
async fn half_an_upload(server: &Server) -> TcpStream {
    let start = client()
        .post(server.url("/v2/team/app/blobs/uploads/"))
        .basic_auth("wharf", Some(server.password()))
        .send()
        .await
        .unwrap();
    let location = server.location(&start);
    let path = location.strip_prefix(&format!("http://{}", server.http)).unwrap().to_owned();
    let token = base64(&format!("wharf:{}", server.password()));
    let mut stream = TcpStream::connect(server.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {token}\r\nContent-Length: 10\r\n\r\nhalf ",
        server.http
    );
    stream.write_all(head.as_bytes()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = client().get(server.url("/metrics")).send().await.unwrap().text().await.unwrap();
        if metrics.contains("registry_uploads_in_flight 1\n") {
            return stream;
        }
        assert!(Instant::now() < deadline, "{metrics}");
    }
}

#[tokio::test]
async fn an_upload_in_flight_is_finished_and_nobody_else_is_let_in() {
    let server = Server::start();
    let mut upload = half_an_upload(&server).await;
    // A client that keeps its connection without using it does not hold the server up.
    let _idle = TcpStream::connect(server.http).unwrap();
    server.signal("TERM");
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(server.http).is_ok() {
        assert!(Instant::now() < deadline, "still listening");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    upload.write_all(b"again").unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nrange: 0-9\r\n"), "{answer}");
    let (status, lines, _) = server.wait();
    assert!(status.success(), "{lines:#?}");
    let last = lines.iter().filter(|line| line.contains("\"PATCH\"")).count();
    assert_eq!(last, 1, "the access line of the last request is written: {lines:#?}");
    assert!(lines.last().unwrap().contains("Stopped"), "{lines:#?}");
}

#[tokio::test]
async fn the_grace_has_an_end() {
    let server = Server::start_with(|command| {
        command.args(["--shutdown-grace", "1"]);
    });
    let _upload = half_an_upload(&server).await;
    let started = Instant::now();
    server.signal("INT");
    let (status, lines, _) = server.wait();
    assert!(status.success(), "{lines:#?}");
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(5)).contains(&started.elapsed()),
        "{:?}",
        started.elapsed()
    );
    assert!(lines.iter().any(|line| line.contains("Cut off 1 connections")), "{lines:#?}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let server = Server::start();
    let _upload = half_an_upload(&server).await;
    let started = Instant::now();
    server.signal("TERM");
    server.line(|line| line["message"].as_str().unwrap_or_default().starts_with("Stopping")).await;
    server.signal("TERM");
    let (_, lines, _) = server.wait();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(lines.iter().any(|line| line.contains("second signal")), "{lines:#?}");
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = Server::start_on(&data, |_| {});
    let digest = server.push_image("team/app", "v1", &vec![9; 100_000]).await;
    server.signal("KILL");
    server.wait();
    let server = Server::start_on(&data, |_| {});
    let manifest = server.get("/v2/team/app/manifests/v1").await;
    assert_eq!(manifest.headers()["docker-content-digest"], digest.as_str());
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |group: u32, position: usize| char::from(DIGITS[(group >> (18 - 6 * position)) as usize & 63]);
    let encode = |chunk: &[u8]| {
        let group = chunk.iter().fold(0, |group, byte| (group << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
        (0..4)
            .map(move |position| if position <= chunk.len() { digit(group, position) } else { '=' })
            .collect::<String>()
    };
    text.as_bytes().chunks(3).map(encode).collect()
}
