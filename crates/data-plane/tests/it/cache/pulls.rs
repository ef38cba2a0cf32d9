//! Pulls through the cache from a registry that behaves.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::{Method, header};
use tokio::sync::Semaphore;
use wharf_testkit::{image, index};

use super::{Caching, PATIENCE, blob_path, content, digest_of, large_image, read};

#[tokio::test]
async fn what_is_pulled_is_stored_and_served_without_asking_while_it_is_fresh() {
    let caching = Caching::start().await;
    let image = image("redis");
    caching.upstream.put_image("library/redis", Some("7"), &image);
    caching.pull("hub/redis", "7", &image).await;
    assert!(!caching.upstream.take_seen().is_empty());
    caching.pull("hub/redis", "7", &image).await;
    let by_digest = caching.get(&format!("/v2/hub/redis/manifests/{}", image.digest())).await;
    assert_eq!(by_digest.status, 200);
    assert_eq!(caching.upstream.take_seen(), [], "all of it is here");
    let tags = caching.get("/v2/hub/redis/tags/list").await;
    assert_eq!(tags.json()["tags"], serde_json::json!(["7"]));
}

#[tokio::test]
async fn a_tag_that_grew_old_is_asked_about_once_and_moved_if_it_has() {
    let caching = Caching::start().await;
    let (old, new) = (image("old"), image("new"));
    caching.upstream.put_image("library/redis", Some("7"), &old);
    caching.pull("hub/redis", "7", &old).await;
    caching.grow_old();
    let _ = caching.upstream.take_seen();
    let asked = join_all((0..20).map(|_| caching.get("/v2/hub/redis/manifests/7"))).await;
    assert!(asked.iter().all(|answer| answer.status == 200 && answer.header("warning").is_empty()));
    let seen: Vec<_> = caching.upstream.take_seen().into_iter().map(|seen| (seen.method, seen.path)).collect();
    assert_eq!(seen, [(Method::HEAD, "/v2/library/redis/manifests/7".to_owned())]);

    caching.upstream.put_image("library/redis", Some("7"), &new);
    caching.pull("hub/redis", "7", &old).await;
    caching.grow_old();
    caching.pull("hub/redis", "7", &new).await;
    let found = caching.get("/acr/v1/hub/redis/_tags/7").await;
    assert_eq!(found.json()["tag"]["digest"], new.digest().as_str());
    // The one before stays, untagged.
    assert_eq!(caching.get(&format!("/v2/hub/redis/manifests/{}", old.digest())).await.status, 200);
}

#[tokio::test]
async fn what_is_here_is_served_while_its_registry_is_down() {
    let caching = Caching::start().await;
    let image = image("redis");
    caching.upstream.put_image("library/redis", Some("7"), &image);
    caching.pull("hub/redis", "7", &image).await;
    let Caching { server, upstream } = caching;
    drop(upstream);
    server.advance(Duration::from_secs(3600));
    for _ in 0..3 {
        let manifest = server.admin().get("/v2/hub/redis/manifests/7").await;
        assert_eq!((manifest.status, manifest.header("warning")), (200, "111 - \"Revalidation Failed\""));
    }
    let missing = server.admin().get("/v2/hub/redis/manifests/8").await;
    assert_eq!((missing.status, missing.code().as_str()), (503, "UNAVAILABLE"), "{missing}");
    assert!(missing.text().contains("'hub'") && !missing.header("retry-after").is_empty(), "{missing}");
}

#[tokio::test]
async fn what_left_its_registry_stays_here() {
    let caching = Caching::start().await;
    let image = image("redis");
    caching.upstream.put_image("library/redis", Some("7"), &image);
    caching.pull("hub/redis", "7", &image).await;
    caching.grow_old();
    for status in [404, 401, 403, 500] {
        caching.upstream.quirks().failures = std::iter::repeat_n((status, vec![], "".into()), 10).collect();
        let manifest = caching.get("/v2/hub/redis/manifests/7").await;
        assert_eq!((manifest.status, manifest.header("warning").is_empty()), (200, false), "{status}");
        caching.server.advance(Duration::from_secs(120));
    }
    caching.upstream.quirks().failures.clear();
    let manifest = caching.get("/v2/hub/redis/manifests/7").await;
    assert_eq!((manifest.status, manifest.header("warning")), (200, ""));
    let missing = caching.get("/v2/hub/redis/manifests/8").await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "MANIFEST_UNKNOWN"));
}

#[tokio::test]
async fn of_an_index_only_what_is_pulled_is_fetched() {
    let caching = Caching::start().await;
    let [amd64, arm64] = [image("amd64"), image("arm64")];
    let all = index(&[&amd64, &arm64]);
    caching.upstream.put_image("library/redis", None, &amd64);
    caching.upstream.put_image("library/redis", None, &arm64);
    caching.upstream.put_image("library/redis", Some("7"), &all);
    caching.pull("hub/redis", "7", &all).await;
    caching.pull("hub/redis", amd64.digest().as_str(), &amd64).await;
    let seen = caching.upstream.take_seen();
    assert!(!seen.iter().any(|seen| seen.path.contains(arm64.digest().as_str())), "{seen:?}");
    assert_eq!(caching.upstream.count_fetches(&digest_of(&arm64.blobs[1])), 0);

    // It is listed by the index, so nobody takes it for something that nothing holds.
    let manifests = caching.get(&format!("/acr/v1/hub/redis/_manifests/{}", all.digest())).await;
    let references = manifests.json()["manifest"]["references"].clone();
    assert!(references.to_string().contains(amd64.digest().as_str()), "{references}");
    let Caching { server, upstream } = caching;
    drop(upstream);
    server.advance(Duration::from_secs(3600));
    assert_eq!(server.admin().get("/v2/hub/redis/manifests/7").await.status, 200);
    assert_eq!(server.admin().get(&format!("/v2/hub/redis/manifests/{}", amd64.digest())).await.status, 200);
    assert_eq!(server.admin().get(&format!("/v2/hub/redis/manifests/{}", arm64.digest())).await.status, 503);
}

#[tokio::test]
async fn a_client_that_asks_with_head_first_gets_its_tag_too() {
    let caching = Caching::start().await;
    let image = image("redis");
    caching.upstream.put_image("library/redis", Some("7"), &image);
    let head = caching.admin().head("/v2/hub/redis/manifests/7").await;
    assert_eq!((head.status, head.header("docker-content-digest")), (200, image.digest().as_str()), "{head}");
    assert_eq!(head.header("content-length"), image.manifest.len().to_string());
    caching.settle().await;
    assert_eq!(caching.get("/v2/hub/redis/tags/list").await.status, 404, "nothing was pulled yet");
    let of_manifests = |path: &str| path.contains("/manifests/");
    let seen = caching.upstream.take_seen().into_iter().filter(|seen| of_manifests(&seen.path));
    assert!(seen.into_iter().all(|seen| seen.method == Method::HEAD));

    caching.pull("hub/redis", image.digest().as_str(), &image).await;
    assert_eq!(caching.get("/v2/hub/redis/tags/list").await.json()["tags"], serde_json::json!(["7"]));
}

#[tokio::test]
async fn blobs_are_known_before_they_are_fetched() {
    let caching = Caching::start().await;
    let image = large_image("redis", 300_000);
    caching.upstream.put_image("library/redis", Some("7"), &image);
    let gate = Arc::new(Semaphore::new(0));
    caching.upstream.quirks().pause_after = Some((1000, gate.clone()));
    assert_eq!(caching.get("/v2/hub/redis/manifests/7").await.status, 200);
    let layer = digest_of(&image.blobs[1]);
    let head = caching.admin().head(&blob_path("hub/redis", &layer)).await;
    assert_eq!((head.status, head.header("content-length")), (200, "300000"), "{head}");
    let unknown = caching.admin().head(&blob_path("hub/redis", &digest_of(b"nothing"))).await;
    assert_eq!(unknown.status, 404);
    gate.add_permits(1);
    caching.settle().await;
    assert!(caching.holds("hub/redis", &layer).await);
}

#[tokio::test]
async fn many_clients_share_one_fetch_and_read_what_has_come() {
    let caching = Caching::start().await;
    let layer = content(3_000_000);
    let digest = caching.upstream.put_blob(layer.clone());
    let gate = Arc::new(Semaphore::new(0));
    caching.upstream.quirks().pause_after = Some((1_000_000, gate.clone()));
    let first = caching.open_blob("hub/redis", &digest).await;
    let (begun, is_whole) = read(first.into_body(), 900_000).await;
    assert!(!is_whole && layer.starts_with(&begun), "it is read while the rest is still to come");
    let everybody = join_all((0..100).map(|_| caching.read_blob("hub/redis", &digest)));
    let (all, ()) = tokio::join!(everybody, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.add_permits(1);
    });
    assert!(all.iter().all(|(status, body, is_whole)| *status == 200 && *is_whole && *body == layer));
    assert_eq!(caching.upstream.count_fetches(&digest), 1);
    caching.settle().await;
    assert!(caching.holds("hub/redis", &digest).await);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_end_the_fetch() {
    let caching = Caching::start().await;
    let layer = content(2_000_000);
    let digest = caching.upstream.put_blob(layer.clone());
    let gate = Arc::new(Semaphore::new(0));
    caching.upstream.quirks().pause_after = Some((1_000_000, gate.clone()));
    let first = caching.open_blob("hub/redis", &digest).await;
    let _ = read(first.into_body(), 500_000).await;
    gate.add_permits(1);
    caching.settle().await;
    let (status, body, is_whole) = caching.read_blob("hub/redis", &digest).await;
    assert!(status == 200 && is_whole && body == layer);
    assert_eq!(caching.upstream.count_fetches(&digest), 1);
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_hold_the_fetch_up() {
    let caching = Caching::start().await;
    let digest = caching.upstream.put_blob(content(4_000_000));
    let waiting = caching.open_blob("hub/redis", &digest).await;
    tokio::time::timeout(PATIENCE, caching.settle()).await.expect("the fetch waits for nobody");
    assert!(caching.holds("hub/redis", &digest).await);
    let (body, is_whole) = read(waiting.into_body(), usize::MAX).await;
    assert!(is_whole && body == content(4_000_000));
}

#[tokio::test]
async fn a_part_of_a_blob_that_is_on_its_way_is_that_part() {
    let caching = Caching::start().await;
    let layer = content(1_000_000);
    let digest = caching.upstream.put_blob(layer.clone());
    for (range, expected) in
        [("bytes=0-99", 0..100), ("bytes=500000-500009", 500_000..500_010), ("bytes=-7", 999_993..1_000_000)]
    {
        let caching =
            Caching { server: Caching::start().await.server, upstream: wharf_testkit::Upstream::start().await };
        caching.rule("other", "other/*", "other/*").await;
        caching.upstream.put_blob(layer.clone());
        let asked = caching.admin().request(Method::GET, &blob_path("other/redis", &digest));
        let part = asked.header(header::RANGE, range).send().await;
        assert!(part.status == 206 && part.body == layer[expected], "{range}: {}", part.status);
    }
}

#[tokio::test]
async fn a_registry_that_does_not_tell_sizes_is_read_too() {
    let caching = Caching::start().await;
    let layer = content(500_000);
    let digest = caching.upstream.put_blob(layer.clone());
    // Bodies that are streamed have no length.
    caching.upstream.quirks().blob_without_length = true;
    let (status, body, is_whole) = caching.read_blob("hub/redis", &digest).await;
    assert!(status == 200 && is_whole && body == layer);
    caching.settle().await;
    assert!(caching.holds("hub/redis", &digest).await);
}

#[tokio::test]
async fn signatures_are_listed_fetched_and_kept() {
    let caching = Caching::start().await;
    let redis = image("redis");
    let signature = image("signature").about(&redis, "application/vnd.example.signature");
    caching.upstream.put_image("library/redis", Some("7"), &redis);
    caching.upstream.put_image("library/redis", None, &signature);
    caching.pull("hub/redis", "7", &redis).await;
    let path = format!("/v2/hub/redis/referrers/{}", redis.digest());
    let listed = caching.get(&path).await;
    assert_eq!(listed.json()["manifests"][0]["digest"], signature.digest().as_str(), "{listed}");
    caching.settle().await;
    caching.pull("hub/redis", signature.digest().as_str(), &signature).await;
    let Caching { server, upstream } = caching;
    drop(upstream);
    server.advance(Duration::from_secs(3600));
    let listed = server.admin().get(&path).await;
    assert_eq!(listed.json()["manifests"][0]["digest"], signature.digest().as_str(), "{listed}");
    let filtered = server.admin().get(&format!("{path}?artifactType=application/vnd.example.other")).await;
    assert_eq!(filtered.json()["manifests"], serde_json::json!([]));
}

#[tokio::test]
async fn layers_that_another_cached_repository_holds_are_not_fetched_again() {
    let caching = Caching::start().await;
    let image = large_image("base", 200_000);
    caching.upstream.put_image("library/redis", Some("7"), &image);
    caching.upstream.put_image("library/nginx", Some("1"), &image);
    caching.pull("hub/redis", "7", &image).await;
    // What it would send now is wrong: nobody reads it.
    caching.upstream.quirks().wrong_blobs = 2;
    caching.pull("hub/nginx", "1", &image).await;
}
