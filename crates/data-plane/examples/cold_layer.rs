//! Prints how long the first byte of a cold layer takes through the artifact cache, against the other registry itself; and
//! what a hit costs against a pull of what was pushed here.
//!
//! ```text
//! cargo run --release -p wharf-data-plane --example cold_layer -- [MiB] [milliseconds that the other registry takes]
//! ```

use std::time::{Duration, Instant};

use axum::body::Body;
use base64::Engine as _;
use futures_util::StreamExt as _;
use http::{Request, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wharf_identity::Egress;
use wharf_metadata::cache_rules;
use wharf_model::{Clock as _, Digest};
use wharf_testkit::{Options, TestServer, Upstream, image};

const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mebibytes: usize = arguments.next().map_or(1024, |text| text.parse().expect("a number of MiB"));
    let latency: u64 = arguments.next().map_or(0, |text| text.parse().expect("a number of milliseconds"));

    let upstream = Upstream::start().await;
    upstream.quirks().latency = Duration::from_millis(latency);
    let options = Options { egress: Egress::new(["127.0.0.1/32".parse().expect("a range")]), ..Options::default() };
    let server = TestServer::start_with(options).await;
    add_rule(&server, &upstream).await;
    // What a pull does before: the manifest. Then the way there is known and open.
    let first = image("first");
    upstream.put_image("library/redis", Some("7"), &first);
    assert_eq!(server.admin().get("/v2/hub/redis/manifests/7").await.status, 200);

    let mut layer = vec![0; mebibytes << 20];
    let (mut direct, mut cold, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        layer[..8].copy_from_slice(&(round as u64).to_le_bytes());
        let digest = upstream.put_blob(layer.clone());
        direct.push(first_byte_there(&upstream, &digest).await);
        let (first_byte, all) = pull(&server, "hub/redis", &digest).await;
        cold.push(first_byte);
        whole.push(all);
        server.cache().settle().await;
        upstream.remove_blob(&digest);
    }
    println!("{mebibytes} MiB, the other registry takes {latency} ms, median of {ROUNDS}");
    println!("first byte there            {:?}", median(&mut direct));
    println!("first byte cold, from here  {:?}", median(&mut cold));
    println!("the whole layer, cold       {:?}", median(&mut whole));

    let here = server.admin().push_blob("pushed", layer.clone()).await;
    let there = digest_of_last(&layer);
    assert_eq!(here, there);
    let (mut hits, mut local) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        local.push(pull(&server, "pushed", &here).await.1);
        hits.push(pull(&server, "hub/redis", &there).await.1);
    }
    println!("the whole layer, pushed here {:?}", median(&mut local));
    println!("the whole layer, a hit       {:?}", median(&mut hits));
    let (mut hits, mut local) = (Vec::new(), Vec::new());
    server.admin().push("pushed", "7", &first).await;
    for _ in 0..ROUNDS {
        for (times, path) in [(&mut local, "/v2/pushed/manifests/7"), (&mut hits, "/v2/hub/redis/manifests/7")] {
            let begun = Instant::now();
            for _ in 0..1000 {
                assert_eq!(server.admin().get(path).await.status, 200);
            }
            times.push(begun.elapsed() / 1000);
        }
    }
    println!("a manifest by tag, pushed here {:?}", median(&mut local));
    println!("a manifest by tag, a hit       {:?}", median(&mut hits));
}

fn digest_of_last(layer: &[u8]) -> Digest {
    Digest::of(wharf_model::Algorithm::Sha256, layer)
}

async fn add_rule(server: &TestServer, upstream: &Upstream) {
    let registry = server.registry(TestServer::REGISTRY).await;
    let (id, now, source) = (registry.id, server.clock().now(), format!("{}/library/*", upstream.address()));
    let written = server.artifacts().database().write(move |c| {
        Box::pin(async move {
            cache_rules::put(c, id, "hub", &source, "hub/*", None).await?;
            cache_rules::announce(c, id, "example", now).await
        })
    });
    let written: Result<(), wharf_metadata::Error> = written.await;
    written.expect("the rule is written");
    server.artifacts().forget_registry(&registry.name);
}

/// On a connection that is open, as ours to the other registry is.
async fn first_byte_there(upstream: &Upstream, digest: &Digest) -> Duration {
    let mut connection = TcpStream::connect(upstream.address()).await.expect("it listens");
    let begun = Instant::now();
    let request = format!(
        "GET /v2/library/redis/blobs/{digest} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        upstream.address()
    );
    connection.write_all(request.as_bytes()).await.expect("it reads");
    let mut read = Vec::new();
    loop {
        connection.read_buf(&mut read).await.expect("it answers");
        if read.windows(4).position(|end| end == b"\r\n\r\n").is_some_and(|end| read.len() > end + 4) {
            return begun.elapsed();
        }
    }
}

/// The times of the first byte and of the last.
async fn pull(server: &TestServer, repository: &str, digest: &Digest) -> (Duration, Duration) {
    let pair = format!("{}:{}", TestServer::REGISTRY, TestServer::PASSWORD);
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let request = Request::get(format!("/v2/{repository}/blobs/{digest}")).header(header::AUTHORIZATION, basic);
    let begun = Instant::now();
    let response = server.serve(TestServer::REGISTRY, request.body(Body::empty()).expect("a request")).await;
    assert_eq!(response.status(), 200);
    let mut pieces = response.into_body().into_data_stream();
    let mut first = None;
    while let Some(piece) = pieces.next().await {
        piece.expect("it comes to its end");
        first.get_or_insert_with(|| begun.elapsed());
    }
    (first.expect("there is a byte"), begun.elapsed())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
