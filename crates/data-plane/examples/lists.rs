//! Measures the lists of the metadata API in a repository with many tags and manifests:
//! `cargo run --release -p wharf-data-plane --example lists [MANIFESTS]`.
//!
//! Goal: a page of 100 from 100,000 tags or manifests takes at most 1 ms of server time, in every order and at any position.

use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::json;
use wharf_model::{Algorithm, Digest};
use wharf_oci::media_type;
use wharf_registry::{PutManifest, Target};
use wharf_testkit::{Client, TestServer};

#[tokio::main]
async fn main() {
    let count = std::env::args().nth(1).map_or(100_000, |text| text.parse::<usize>().expect("a number"));
    let server = TestServer::start().await;
    let begun = Instant::now();
    fill(&server, count).await;
    println!("{count} manifests with a tag each pushed in {:.0} s", begun.elapsed().as_secs_f64());

    let token = server.token_for(&["repository:many:metadata_read"]).await;
    println!(
        "{:<30} {:>10} {:>10} {:>10} {:>10}   median (and 99th percentile) of a page of 100, in µs",
        "", "begin", "quarter", "middle", "end"
    );
    for list in ["_tags", "_manifests"] {
        for order in ["", "timeasc", "timedesc"] {
            let places = [0, count / 4, count / 2, count.saturating_sub(150)];
            let mut line = format!("{:<30}", format!("{list} {order}"));
            for last in find(&token, list, order, &places).await {
                let path = format!("/acr/v1/many/{list}?n=100&orderby={order}{last}");
                let (median, high) = measure(&token, &path).await;
                line.push_str(&format!(" {:>10}", format!("{median:.0} ({high:.0})")));
            }
            println!("{line}");
        }
    }
}

/// Pushes images that share their blobs, as builds of one program do.
async fn fill(server: &TestServer, count: usize) {
    let admin = server.admin();
    let (config, layer) = (br#"{"architecture":"amd64","os":"linux"}"#.to_vec(), b"layer".to_vec());
    for content in [&config, &layer] {
        admin.push_blob("many", content.clone()).await;
    }
    let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(Algorithm::Sha256, bytes).as_str(), "size": bytes.len()});
    let (config, layer) =
        (descriptor(media_type::OCI_CONFIG, &config), descriptor("application/vnd.oci.image.layer.v1.tar", &layer));
    let registry = server.registry(TestServer::REGISTRY).await;
    let name = "many".parse().expect("it is a name");
    let target = Target { registry: &registry, repository: &name };
    let pushes = stream::iter(0..count).for_each_concurrent(64, |number| {
        // In another order than that of their names.
        server.advance(std::time::Duration::from_micros(10));
        let tag = format!("v{:08}", number.wrapping_mul(7_919) % count);
        let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [layer], "annotations": {"n": tag}});
        let put = PutManifest {
            reference: tag.parse().expect("it is a tag"),
            tags: Vec::new(),
            content_type: None,
            bytes: document.to_string().into_bytes().into(),
            only_new: false,
            actor: "example".to_owned(),
        };
        async move {
            server.artifacts().put_manifest(target, put).await.expect("an image can be pushed");
        }
    });
    pushes.await;
}

/// The parameters that lead to these positions, as the links on the way there have them.
async fn find(client: &Client<'_>, list: &str, order: &str, places: &[usize]) -> Vec<String> {
    let (mut found, mut at, mut last) = (Vec::new(), 0, String::new());
    for &place in places {
        while at < place {
            let n = (place - at).min(1000);
            let page = client.get(&format!("/acr/v1/many/{list}?n={n}&orderby={order}{last}")).await;
            let link = page.header("link").to_owned();
            let (_, rest) = link.split_once("last=").expect("there is more");
            last = format!("&last={}", rest.split('&').next().unwrap_or_default());
            at += n;
        }
        found.push(last.clone());
    }
    found
}

/// The median and the 99th percentile of a request, in microseconds.
async fn measure(client: &Client<'_>, path: &str) -> (f64, f64) {
    let mut spans = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let page = client.get(path).await;
        spans.push(begun.elapsed().as_secs_f64() * 1e6);
        assert_eq!(page.status, 200, "{page}");
    }
    spans.sort_by(f64::total_cmp);
    (spans[ROUNDS / 2], spans[ROUNDS * 99 / 100])
}

const ROUNDS: usize = 500;
