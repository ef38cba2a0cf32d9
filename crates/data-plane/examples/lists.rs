//! Measures the lists of a registry in which there is much to list:
//! `cargo run --release -p wharf-data-plane --example lists [MANIFESTS]`.
//!
//! Goal: a page of 100 from 100,000 tags, manifests or deleted ones takes at most 1 ms of server time, in every order and at
//! any position. Likewise one of the catalog, with a tenth as many repositories.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use wharf_metadata::RegistrySettings;
use wharf_metadata::registries::SoftDelete;
use wharf_model::{Algorithm, Digest, RepositoryName};
use wharf_oci::media_type;
use wharf_registry::{PutManifest, Sight, Target};
use wharf_testkit::{Client, TestServer};

#[tokio::main]
async fn main() {
    let count = std::env::args().nth(1).map_or(100_000, |text| text.parse::<usize>().expect("a number"));
    let server = TestServer::start().await;
    let settings = RegistrySettings { soft_delete: Some(SoftDelete { days: 7 }), ..RegistrySettings::default() };
    server.add_registry_with(REGISTRY, settings).await;
    let scopes =
        ["repository:many:pull,delete,metadata_read,deleted_read", "registry:catalog:*", "registry:deleted_catalog:*"];
    let client = server.bearer(&server.admin_token(REGISTRY, &scopes).await).at(REGISTRY);
    let repositories: Vec<String> =
        (0..count / 10).map(|number| format!("team-{}/app-{number}", number % 100)).collect();

    let begun = Instant::now();
    push(&server, &["many".to_owned()], count).await;
    push(&server, &repositories, repositories.len()).await;
    pull_half(&server, count).await;
    println!(
        "{count} manifests with a tag each pushed, half of them pulled, in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    println!(
        "{:<36} {:>10} {:>10} {:>10} {:>10}   median (and 99th percentile) of a page of 100, in µs",
        "", "begin", "quarter", "middle", "end"
    );
    for list in ["/acr/v1/many/_tags", "/acr/v1/many/_manifests"] {
        for order in ["", "timeasc", "timedesc"] {
            report(&client, list, order, count).await;
        }
    }
    report(&client, "/v2/many/tags/list", "", count).await;
    report(&client, "/acr/v1/_catalog", "", repositories.len()).await;
    report(&client, "/v2/_catalog", "", repositories.len()).await;

    let begun = Instant::now();
    assert_eq!(client.delete("/acr/v1/many").await.status, 202);
    println!("deleted in {:.2} s", begun.elapsed().as_secs_f64());
    for list in DELETED {
        report(&client, list, "", count).await;
    }
    server.clock().advance(Duration::from_secs(10 * 60));
    let begun = Instant::now();
    while server.artifacts().settle_trash().await.expect("the trash is settled") > 0 {}
    println!("settled in {:.1} s", begun.elapsed().as_secs_f64());
    for list in DELETED {
        report(&client, list, "", count).await;
    }
}

/// Prints how long a page takes at several positions.
async fn report(client: &Client<'_>, list: &str, order: &str, count: usize) {
    let places = [0, count / 4, count / 2, count.saturating_sub(150)];
    let mut line = format!("{:<36}", format!("{list} {order}"));
    for last in find(client, list, order, &places).await {
        let (median, high) = measure(client, &format!("{list}?n=100&orderby={order}{last}")).await;
        line.push_str(&format!(" {:>10}", format!("{median:.0} ({high:.0})")));
    }
    println!("{line}");
}

/// Pushes images that share their blobs, as builds of one program do, to these repositories in turn.
async fn push(server: &TestServer, repositories: &[String], count: usize) {
    let (config, layer) = (&br#"{"architecture":"amd64","os":"linux"}"#[..], &b"layer"[..]);
    let registry = server.registry(REGISTRY).await;
    let registry = &*registry;
    let names: Vec<RepositoryName> =
        repositories.iter().map(|name| name.parse().expect("it is a repository's name")).collect();
    let blobs = stream::iter(names.iter().flat_map(|name| [(name, config), (name, layer)]));
    let upload = blobs.for_each_concurrent(64, |(repository, content)| async move {
        let artifacts = server.artifacts();
        let state = artifacts.start_upload(Algorithm::Sha256);
        let (digest, length) = (Digest::of(Algorithm::Sha256, content), Some(content.len() as u64));
        let body = stream::iter([Ok(bytes::Bytes::from_static(content))]);
        let target = Target { registry, repository };
        artifacts.complete_upload(target, &state, None, body, length, &digest).await.expect("a blob can be pushed");
    });
    upload.await;
    let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(Algorithm::Sha256, bytes).as_str(), "size": bytes.len()});
    let (config, layer): (Value, Value) =
        (descriptor(media_type::OCI_CONFIG, config), descriptor("application/vnd.oci.image.layer.v1.tar", layer));
    let pushes = stream::iter(0..count).for_each_concurrent(64, |number| {
        // In another order than that of their names.
        server.clock().advance(Duration::from_micros(10));
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
        let target = Target { registry, repository: &names[number % names.len()] };
        async move {
            server.artifacts().put_manifest(target, put).await.expect("an image can be pushed");
        }
    });
    pushes.await;
}

/// Notes a pull of every second tag.
async fn pull_half(server: &TestServer, count: usize) {
    let (registry, repository) = (server.registry(REGISTRY).await, "many".parse().expect("it is a name"));
    let target = Target { registry: &registry, repository: &repository };
    for number in (0..count).step_by(2) {
        let reference = format!("v{number:08}").parse().expect("it is a tag");
        let found = server.artifacts().get_manifest(target, &reference, Sight::Everything).await.expect("it is read");
        server.artifacts().note_pull(&found.expect("it is there"), false);
        if number % 10_000 == 0 {
            server.artifacts().flush_pulls().await.expect("pulls are written");
        }
    }
    server.artifacts().flush_pulls().await.expect("pulls are written");
}

/// The parameters that lead to these positions, as the links on the way there have them.
async fn find(client: &Client<'_>, list: &str, order: &str, places: &[usize]) -> Vec<String> {
    let (mut found, mut at, mut last) = (Vec::new(), 0, String::new());
    for &place in places {
        while at < place {
            let n = (place - at).min(1000);
            let page = client.get(&format!("{list}?n={n}&orderby={order}{last}")).await;
            let link = page.header("link").to_owned();
            let Some((_, rest)) = link.split_once("last=") else { break };
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

const REGISTRY: &str = "lists";

const DELETED: [&str; 3] =
    ["/acr/v1/_deleted/_catalog", "/acr/v1/_deleted/many/_manifests", "/acr/v1/_deleted/many/_tags"];

const ROUNDS: usize = 500;
