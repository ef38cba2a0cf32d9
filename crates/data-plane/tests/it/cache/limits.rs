//! Holding the cache to its size.

use std::time::Duration;

use wharf_replication::cache::CacheSettings;

use super::{Caching, large_image};

async fn full() -> (Caching, [wharf_testkit::Image; 3]) {
    let settings = CacheSettings { max_bytes: Some(250_000), ..CacheSettings::default() };
    let caching = Caching::start_with(settings).await;
    let images =
        [("one", 100_001), ("two", 100_002), ("three", 100_003)].map(|(name, length)| large_image(name, length));
    for (image, name) in images.iter().zip(["one", "two", "three"]) {
        caching.upstream.put_image(&format!("library/{name}"), Some("1"), image);
        caching.pull(&format!("hub/{name}"), "1", image).await;
        caching.server.advance(Duration::from_secs(60));
    }
    (caching, images)
}

async fn is_here(caching: &Caching, name: &str) -> bool {
    caching.get(&format!("/v2/hub/{name}/tags/list")).await.status == 200
}

#[tokio::test]
async fn what_was_pulled_least_recently_goes_first() {
    let (caching, images) = full().await;
    // The oldest is pulled again.
    caching.pull("hub/one", "1", &images[0]).await;
    let report = caching.server.cache().evict().await.unwrap();
    assert_eq!((report.removed_manifests, report.size_bytes > 300_000), (1, true), "{report:?}");
    assert!(is_here(&caching, "one").await && !is_here(&caching, "two").await && is_here(&caching, "three").await);
    assert_eq!(caching.server.cache().evict().await.unwrap().removed_manifests, 0);
    caching.pull("hub/two", "1", &images[1]).await;
}

#[tokio::test]
async fn what_was_pushed_or_is_locked_stays() {
    let (caching, images) = full().await;
    caching.set(|settings| settings.writable_cache_repositories = true).await;
    let body = r#"{"deleteEnabled":false}"#;
    let path = "/acr/v1/hub/one/_tags/1";
    let locked = caching.admin().request(http::Method::PATCH, path).body(body).await;
    assert_eq!(locked.status, 200, "{locked}");
    assert_eq!(caching.admin().push_manifest("hub/two", "ours", &images[1]).await.status, 201);
    let ours = large_image("ours", 900_000);
    caching.admin().push("ours", "1", &ours).await;
    caching.server.cache().evict().await.unwrap();
    assert!(is_here(&caching, "one").await && is_here(&caching, "two").await && !is_here(&caching, "three").await);
    assert_eq!(caching.get("/v2/ours/manifests/1").await.status, 200);
}

#[tokio::test]
async fn what_is_evicted_does_not_go_into_the_trash() {
    let (caching, images) = full().await;
    caching.set(|settings| settings.soft_delete = Some(wharf_metadata::registries::SoftDelete { days: 7 })).await;
    caching.server.cache().evict().await.unwrap();
    let removed = images.iter().zip(["one", "two", "three"]);
    for (image, name) in removed {
        // It comes back as if it had never been here: nothing in the trash stands against it.
        caching.pull(&format!("hub/{name}"), "1", image).await;
    }
}
