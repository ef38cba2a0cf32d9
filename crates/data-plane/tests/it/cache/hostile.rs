//! Pulls through the cache from registries that lie, break and refuse.

use std::time::Duration;

use wharf_testkit::{SignIn, image};

use super::{Caching, blob_path, content, digest_of, large_image};

#[tokio::test]
async fn wrong_bytes_are_cut_off_and_not_stored_and_the_next_try_works() {
    let caching = Caching::start().await;
    for length in [1000, 2_000_000] {
        let layer = content(length);
        let digest = caching.upstream.put_blob(layer.clone());
        caching.upstream.quirks().wrong_blobs = 1;
        let (status, body, is_whole) = caching.read_blob("hub/redis", &digest).await;
        assert!(!(status == 200 && is_whole), "{length}: {status}");
        assert!(body.len() < length || status != 200, "nobody ever has all of a wrong blob");
        caching.settle().await;
        assert!(!caching.holds("hub/redis", &digest).await);
        let (status, body, is_whole) = caching.read_blob("hub/redis", &digest).await;
        assert!(status == 200 && is_whole && body == layer, "{length}: the next try works");
    }
}

#[tokio::test]
async fn wrong_lengths_and_endless_bodies_are_cut_off() {
    let caching = Caching::start().await;
    let image = large_image("redis", 400_000);
    caching.upstream.put_image("library/redis", Some("7"), &image);
    assert_eq!(caching.get("/v2/hub/redis/manifests/7").await.status, 200);
    caching.settle().await;
    let layer = digest_of(&image.blobs[1]);
    let fresh = Caching::start().await;
    fresh.upstream.put_image("library/redis", Some("7"), &image);
    for misbehave in [
        (|quirks: &mut wharf_testkit::Quirks| quirks.blob_length = Some(300_000)) as fn(&mut wharf_testkit::Quirks),
        |quirks| quirks.blob_length = Some(500_000),
        |quirks| quirks.endless_blobs = true,
    ] {
        misbehave(&mut fresh.upstream.quirks());
        let _ = fresh.get("/v2/hub/redis/manifests/7").await;
        let (status, body, is_whole) = fresh.read_blob("hub/redis", &layer).await;
        assert!(!(status == 200 && is_whole) && body.len() < 400_000, "{status}");
        fresh.settle().await;
        assert!(!fresh.holds("hub/redis", &layer).await);
        *fresh.upstream.quirks() = wharf_testkit::Quirks::default();
    }
    fresh.pull("hub/redis", "7", &image).await;
}

#[tokio::test]
async fn a_connection_that_breaks_anywhere_does_no_harm() {
    const LENGTH: usize = 1_000_000;
    let broken = async |tenth: usize| {
        let caching = Caching::start().await;
        let layer = content(LENGTH);
        let digest = caching.upstream.put_blob(layer.clone());
        {
            let mut quirks = caching.upstream.quirks();
            (quirks.cut_after, quirks.cuts) = (Some(LENGTH * tenth / 10), 1);
        }
        let (status, body, is_whole) = caching.read_blob("hub/redis", &digest).await;
        let read = body.len();
        assert!(
            status == 200 && is_whole && body == layer,
            "cut after {tenth} tenths: {status}, {read} read, {is_whole}"
        );
        caching.settle().await;
        assert!(caching.holds("hub/redis", &digest).await);
    };
    // Each waits a little before it goes on: all at once.
    futures_util::future::join_all((0..10).map(broken)).await;
}

#[tokio::test]
async fn a_registry_that_breaks_every_time_is_given_up_and_nothing_is_stored() {
    let caching = Caching::start().await;
    let digest = caching.upstream.put_blob(content(300_000));
    {
        let mut quirks = caching.upstream.quirks();
        quirks.cut_after = Some(1000);
        quirks.ranges = false;
    }
    let (status, body, is_whole) = caching.read_blob("hub/redis", &digest).await;
    assert!(!(status == 200 && is_whole) && body.len() < 300_000);
    caching.settle().await;
    assert!(!caching.holds("hub/redis", &digest).await);
    caching.upstream.quirks().cut_after = None;
    caching.server.advance(Duration::from_secs(120));
    assert!(caching.read_blob("hub/redis", &digest).await.2);
}

#[tokio::test]
async fn throttling_is_passed_on_where_nothing_is_here_and_left_alone() {
    let caching = Caching::start().await;
    let image = image("redis");
    caching.upstream.put_image("library/redis", Some("7"), &image);
    // What it speaks is found out with the first request.
    assert_eq!(caching.get("/v2/hub/none/manifests/1").await.status, 404);
    let throttled = || (429, vec![("retry-after", "60".to_owned())], "".into());
    caching.upstream.quirks().failures = std::iter::repeat_with(throttled).take(5).collect();
    let answer = caching.get("/v2/hub/redis/manifests/7").await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "TOOMANYREQUESTS"), "{answer}");
    let id = answer.header("x-ms-correlation-request-id").to_owned();
    assert!(answer.text().contains("'hub'") && answer.text().contains(&id), "{answer}");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 50);
    let _ = caching.upstream.take_seen();
    assert_eq!(caching.get("/v2/hub/redis/manifests/7").await.status, 429);
    assert_eq!(caching.get("/v2/hub/nginx/manifests/1").await.status, 429);
    assert_eq!(caching.upstream.take_seen(), [], "it is left alone");

    caching.upstream.quirks().failures.clear();
    caching.server.advance(Duration::from_secs(120));
    caching.pull("hub/redis", "7", &image).await;
    caching.grow_old();
    caching.upstream.quirks().failures = std::iter::repeat_with(throttled).take(5).collect();
    let stale = caching.get("/v2/hub/redis/manifests/7").await;
    assert_eq!((stale.status, stale.header("warning").is_empty()), (200, false));
}

#[tokio::test]
async fn tokens_that_end_halfway_are_renewed() {
    let caching = Caching::start().await;
    let layer = content(500_000);
    let digest = caching.upstream.put_blob(layer.clone());
    {
        let mut quirks = caching.upstream.quirks();
        (quirks.sign_in, quirks.token_uses) = (SignIn::AnonymousToken, 1);
        (quirks.cut_after, quirks.cuts) = (Some(200_000), 2);
    }
    let (status, body, is_whole) = caching.read_blob("hub/redis", &digest).await;
    assert!(status == 200 && is_whole && body == layer, "{status}");
}

#[tokio::test]
async fn a_registry_that_lets_nobody_in_looks_as_if_it_had_nothing() {
    let caching = Caching::start().await;
    let image = image("redis");
    caching.upstream.put_image("library/redis", Some("7"), &image);
    caching.upstream.quirks().sign_in = SignIn::Basic;
    let answer = caching.get("/v2/hub/redis/manifests/7").await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "MANIFEST_UNKNOWN"), "{answer}");
    assert!(answer.text().contains("'hub'"), "{answer}");
    let digest = digest_of(&image.blobs[0]);
    assert_eq!(caching.get(&blob_path("hub/redis", &digest)).await.status, 404);
}

#[tokio::test]
async fn redirects_to_internal_addresses_are_not_followed() {
    let caching = Caching::start().await;
    let digest = caching.upstream.put_blob(content(1000));
    for target in ["http://127.0.0.2:1/x", "http://169.254.169.254/latest", "http://[::1]:1/x", "http://10.0.0.1/x"] {
        caching.upstream.quirks().blobs_at = Some(target.to_owned());
        let answer = caching.get(&blob_path("hub/redis", &digest)).await;
        assert_eq!(answer.status, 404, "{target}: {answer}");
        assert!(!answer.text().contains("169.254"), "{answer}");
    }
    caching.upstream.quirks().blobs_at = None;
    assert_eq!(caching.get(&blob_path("hub/redis", &digest)).await.status, 200);
}

#[tokio::test]
async fn a_manifest_that_is_not_what_it_says_is_refused() {
    let caching = Caching::start().await;
    let image = image("redis");
    caching.upstream.put_image("library/redis", Some("7"), &image);
    let digest = digest_of(b"something else");
    caching.upstream.put_manifest("library/redis", digest.as_str(), &image.media_type, image.manifest.clone());
    let answer = caching.get(&format!("/v2/hub/redis/manifests/{digest}")).await;
    assert_eq!(answer.status, 404, "{answer}");
    caching.upstream.put_manifest("library/redis", "bad", &image.media_type, "{}");
    assert_eq!(caching.get("/v2/hub/redis/manifests/bad").await.status, 404);
}
