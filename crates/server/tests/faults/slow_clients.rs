//! Clients that stand still, leave half of a connection, or take more than their share.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Response, authorization, shut_down};
use crate::content::{IMAGE, digest, manifest};
use crate::random::Random;
use crate::server::{Server, Site};

/// Short enough to be waited for.
const IMPATIENT: &str = "[limits]\nidle_timeout_seconds = 2\nstall_timeout_seconds = 2\n[gc]\ninterval_seconds = 0\n";

/// How long a client of the servers here may be kept waiting at most.
const SOON: Duration = Duration::from_secs(10);

/// Reads until the server closes; what it said and how long that took.
fn read_all(mut stream: TcpStream) -> (String, Duration) {
    let began = Instant::now();
    let mut said = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut said);
    (String::from_utf8_lossy(&said).into_owned(), began.elapsed())
}

fn put_manifest_head(length: usize) -> String {
    format!(
        "PUT /v2/slow/manifests/v1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Type: {IMAGE}\r\nContent-Length: {length}\r\n\r\n",
        authorization()
    )
}

#[test]
fn slow_heads_and_idle_connections_are_closed() {
    let site = Site::new(IMPATIENT);
    let server = site.start();
    let files = server.open_files();
    thread::scope(|scope| {
        // Nothing at all; a head that never ends; a header now and then; idle after an answer.
        for kind in 0..4 {
            for _ in 0..25 {
                let server = &server;
                scope.spawn(move || {
                    let mut stream = Client::connect(server.address()).unwrap();
                    let begin: &[u8] = match kind {
                        0 => b"",
                        1 => b"GET /v2/ HTTP/1.1\r\nHost: local",
                        2 => b"GET /v2/ HTTP/1.1\r\n",
                        _ => b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    };
                    stream.write_all(begin).unwrap();
                    if kind == 2 {
                        let began = Instant::now();
                        while began.elapsed() < SOON && stream.write_all(b"X-A: b\r\n").is_ok() {
                            thread::sleep(Duration::from_millis(300));
                        }
                    }
                    let (_, took) = read_all(stream);
                    assert!(took < SOON, "kind {kind} was kept for {took:?}");
                });
            }
        }
    });
    server.wait_for_open_files(files);
    server.stop();
}

#[test]
fn bodies_that_stand_still_end_with_the_protocols_error() {
    let site = Site::new(IMPATIENT);
    let server = site.start();
    let files = server.open_files();
    let mut client = server.client();
    let location = client.start_upload("slow").unwrap();
    let put = client.start_upload("slow").unwrap();
    drop(client);
    let upload = |method: &str, target: &str| {
        let auth = authorization();
        format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {auth}\r\nContent-Length: 100000\r\n\r\n"
        )
    };
    let cases = [
        (upload("PATCH", &location), "BLOB_UPLOAD_INVALID"),
        (upload("PUT", &format!("{put}&digest={}", digest(b"x"))), "BLOB_UPLOAD_INVALID"),
        (put_manifest_head(5000), "MANIFEST_INVALID"),
    ];
    thread::scope(|scope| {
        for (head, code) in &cases {
            let server = &server;
            scope.spawn(move || {
                let mut stream = Client::connect(server.address()).unwrap();
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(b"only this").unwrap();
                let (said, took) = read_all(stream);
                assert!(said.starts_with("HTTP/1.1 408 ") && said.contains(*code), "{said}");
                assert!(took < SOON, "{took:?}");
            });
        }
        // A manifest by a byte now and then: all of it must come in time.
        scope.spawn(|| {
            let mut stream = Client::connect(server.address()).unwrap();
            stream.write_all(put_manifest_head(5000).as_bytes()).unwrap();
            let began = Instant::now();
            // After two seconds it is refused, and for ten more its sender gets the chance to read why.
            let limit = SOON * 2;
            while began.elapsed() < limit && stream.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(200));
            }
            assert!(began.elapsed() < limit, "trickling was tolerated");
        });
    });
    // What arrived of the chunk is kept, since its client may go on.
    let mut client = server.client();
    let stands = client.get(&location).unwrap();
    assert_eq!((stands.status, stands.header("range")), (204, "0-8"));
    assert_eq!(client.delete(&location).unwrap().status, 204);
    assert_eq!(client.get(&put).unwrap().outcome(), "404 BLOB_UPLOAD_UNKNOWN");
    server.wait_for_open_files(files + 1);
    server.stop();
    assert_eq!((site.blob_files().len(), site.count("uploads")), (0, 0));
    site.verify();
}

#[test]
fn a_chunk_that_arrives_slowly_but_steadily_is_taken() {
    let site = Site::new(IMPATIENT);
    let server = site.start();
    let mut client = server.client();
    let content = Random::new(31).bytes(50_000);
    let location = client.start_upload("slow").unwrap();
    let mut stream = Client::connect(server.address()).unwrap();
    let head = format!(
        "PUT {location}&digest={} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Length: 50000\r\n\r\n",
        digest(&content),
        authorization()
    );
    stream.write_all(head.as_bytes()).unwrap();
    for piece in content.chunks(10_000) {
        stream.write_all(piece).unwrap();
        thread::sleep(Duration::from_millis(900));
    }
    let answer = Response::read(&mut BufReader::new(stream), false).unwrap();
    assert_eq!(answer.outcome(), "201");
    server.stop();
    site.verify();
}

#[test]
fn clients_that_do_not_read_are_let_go() {
    let site = Site::new(IMPATIENT);
    let server = site.start();
    let content = Random::new(32).bytes(60_000_000);
    let mut client = server.client();
    let digest = client.push_blob("slow", &content);
    drop(client);
    let files = server.open_files();
    let lazy: Vec<TcpStream> = (0..10)
        .map(|_| {
            let mut stream = Client::connect(server.address()).unwrap();
            let auth = authorization();
            let head =
                format!("GET /v2/slow/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {auth}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    // The blob's own file may stay open.
    server.wait_for_open_files(files + 1);
    drop(lazy);
    server.stop();
}

#[test]
fn half_closed_connections_are_answered_or_closed() {
    let site = Site::new(IMPATIENT);
    let server = site.start();
    let files = server.open_files();
    for request in ["GET /v2/ HTTP/1.1", "GET /healthz HTTP/1.1", "GET /v2/_catalog HTTP/1.0"] {
        let mut stream = Client::connect(server.address()).unwrap();
        let head = format!("{request}\r\nHost: localhost\r\nAuthorization: {}\r\n\r\n", authorization());
        stream.write_all(head.as_bytes()).unwrap();
        shut_down(&stream);
        let (said, took) = read_all(stream);
        println!("{request}, then half closed: {:?} after {took:?}", said.lines().next());
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 200") || said.starts_with("HTTP/1.0 200"), "{said}");
        assert!(took < SOON);
    }
    server.wait_for_open_files(files);
    server.stop();
}

/// A valid manifest of `length` bytes, all of it little strings.
fn large_manifest(server: &Server, length: usize, number: usize) -> Vec<u8> {
    let config = std::sync::Arc::new(b"{}".to_vec());
    if number == 0 {
        server.client().push_blob("large", &config);
    }
    let small = String::from_utf8(manifest(&[config], None, &number.to_string())).unwrap();
    let padding = length - small.len() - r#","padding":[]"#.len();
    let mut text = small.strip_suffix('}').unwrap().to_owned();
    text.push_str(r#","padding":["#);
    let items = padding / 4;
    for item in 0..items {
        text.push_str(if item + 1 == items { "0" } else { "\"\"," });
        if item + 1 != items {
            text.push(' ');
        }
    }
    text.push_str("]}");
    while text.len() < length {
        text.push(' ');
    }
    text.into_bytes()
}

#[test]
fn two_hundred_of_the_largest_manifests_at_once_fit_into_little_memory() {
    let site = Site::new("[gc]\ninterval_seconds = 0\n");
    let server = site.start();
    let manifests: Vec<Vec<u8>> = (0..8).map(|number| large_manifest(&server, 4 << 20, number)).collect();
    assert!(manifests.iter().all(|manifest| manifest.len() == 4 << 20));
    let (before, threads, files) = (server.status("VmHWM"), server.status("Threads"), server.open_files());
    let began = Instant::now();
    thread::scope(|scope| {
        for number in 0..200 {
            let (server, manifest) = (&server, &manifests[number % manifests.len()]);
            scope.spawn(move || {
                let pushed = server.client().put_manifest("large", &format!("v{number}"), manifest).unwrap();
                assert_eq!(pushed.outcome(), "201", "{}", String::from_utf8_lossy(&pushed.body));
            });
        }
    });
    let after = server.status("VmHWM");
    println!(
        "200 manifests of 4 MiB at once took {:?}; memory rose from {} to {} MiB at most; {} to {} threads",
        began.elapsed(),
        before >> 10,
        after >> 10,
        threads,
        server.status("Threads"),
    );
    // 64 MiB of manifests are let in at a time; beside them there are the connections' buffers of up to 512 KiB each.
    assert!(after - before < GROWTH_KIB, "memory grew by {} MiB", (after - before) >> 10);
    server.wait_for_open_files(files + 8);
    server.stop();
    site.verify();
}

/// How much more memory two hundred manifests may take, in KiB.
const GROWTH_KIB: u64 = 260 << 10;
