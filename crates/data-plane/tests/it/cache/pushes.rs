//! Rules, and what is pushed beside what the cache brings.

use wharf_testkit::image;

use super::Caching;

#[tokio::test]
async fn a_repository_that_is_filled_takes_no_pushes_unless_it_is_allowed() {
    let caching = Caching::start().await;
    let image = image("ours");
    let package = wharf_testkit::chart("redis", "1.0.0");
    let put = caching.admin().request(http::Method::PUT, "/helm/v1/hub/_blobs/redis-1.0.0.tgz").body(package).await;
    assert_eq!((put.status, put.code().as_str()), (405, "REGISTRY_DISALLOWED_OPERATION"), "{put}");
    let refused = caching.admin().push_manifest("hub/redis", "ours", &image).await;
    assert_eq!((refused.status, refused.code().as_str()), (405, "REGISTRY_DISALLOWED_OPERATION"), "{refused}");
    assert!(refused.text().contains("'hub'") && refused.text().contains("writableCacheRepos"), "{refused}");
    assert_eq!(caching.admin().post("/v2/hub/redis/blobs/uploads/").await.status, 405);
    caching.admin().push("elsewhere", "v1", &image).await;

    caching.set(|settings| settings.writable_cache_repositories = true).await;
    caching.admin().push("hub/redis", "ours", &image).await;
}

#[tokio::test]
async fn a_tag_that_was_pushed_is_not_moved_by_the_cache() {
    let caching = Caching::start().await;
    let [theirs, ours, new] = [image("theirs"), image("ours"), image("new")];
    caching.set(|settings| settings.writable_cache_repositories = true).await;
    caching.upstream.put_image("library/redis", Some("7"), &theirs);
    caching.pull("hub/redis", "7", &theirs).await;
    caching.admin().push("hub/redis", "7", &ours).await;
    caching.upstream.put_image("library/redis", Some("7"), &new);
    caching.grow_old();
    caching.pull("hub/redis", "7", &ours).await;
}

#[tokio::test]
async fn what_was_pushed_into_the_range_of_a_wildcard_stays_its_own() {
    let caching = Caching::start().await;
    let [ours, theirs] = [image("ours"), image("theirs")];
    caching.admin().push("team/app", "v1", &ours).await;
    caching.rule("everything", "*", "*").await;
    caching.upstream.put_image("team/app", Some("v1"), &theirs);
    caching.upstream.put_image("team/app", Some("v2"), &theirs);
    caching.upstream.put_image("team/other", Some("v1"), &theirs);
    caching.pull("team/app", "v1", &ours).await;
    assert_eq!(caching.get("/v2/team/app/manifests/v2").await.status, 404);
    caching.pull("team/other", "v1", &theirs).await;
    // New repositories can still be made by pushing; those that the cache made take no pushes.
    caching.admin().push("team/app", "v3", &ours).await;
    caching.admin().push("team/third", "v1", &ours).await;
    assert_eq!(caching.admin().push_manifest("team/other", "v2", &ours).await.status, 405);
}

#[tokio::test]
async fn the_most_particular_rule_counts() {
    let caching = Caching::start().await;
    let [one, other] = [image("one"), image("other")];
    caching.upstream.put_image("library/redis", Some("7"), &one);
    caching.upstream.put_image("bitnami/redis", Some("7"), &other);
    caching.rule("single", "bitnami/redis", "hub/redis").await;
    caching.pull("hub/redis", "7", &other).await;
}

#[tokio::test]
async fn without_a_rule_nobody_is_asked() {
    let caching = Caching::start().await;
    for path in ["/v2/redis/manifests/7", "/v2/hub/manifests/7", "/v2/hubs/redis/manifests/7"] {
        assert_eq!(caching.get(path).await.status, 404, "{path}");
    }
    assert_eq!(caching.upstream.take_seen(), []);
}

#[tokio::test]
async fn who_may_not_pull_makes_nothing_come() {
    let caching = Caching::start().await;
    caching.upstream.put_image("library/redis", Some("7"), &image("redis"));
    assert_eq!(caching.server.anonymous().get("/v2/hub/redis/manifests/7").await.status, 401);
    let other = caching.server.token("hub/other", &[wharf_model::Action::Pull]).await;
    assert_eq!(other.get("/v2/hub/redis/manifests/7").await.status, 401);
    assert_eq!(caching.upstream.take_seen(), []);
}

#[tokio::test]
async fn a_locked_repository_is_served_as_it_is() {
    let caching = Caching::start().await;
    let [old, new] = [image("old"), image("new")];
    caching.upstream.put_image("library/redis", Some("7"), &old);
    caching.pull("hub/redis", "7", &old).await;
    let body = r#"{"writeEnabled":false}"#;
    let locked = caching.admin().request(http::Method::PATCH, "/acr/v1/hub/redis").body(body).await;
    assert_eq!(locked.status, 200, "{locked}");
    caching.upstream.put_image("library/redis", Some("7"), &new);
    caching.grow_old();
    let _ = caching.upstream.take_seen();
    caching.pull("hub/redis", "7", &old).await;
    assert_eq!(caching.upstream.take_seen(), []);
}

#[tokio::test]
async fn a_tag_that_is_locked_or_written_once_stays_what_it_is() {
    let caching = Caching::start().await;
    let [old, new] = [image("old"), image("new")];
    for repository in ["redis", "nginx"] {
        caching.upstream.put_image(&format!("library/{repository}"), Some("7"), &old);
        caching.pull(&format!("hub/{repository}"), "7", &old).await;
    }
    let locked = caching.admin().request(http::Method::PATCH, "/acr/v1/hub/redis/_tags/7");
    assert_eq!(locked.body(r#"{"writeEnabled":false}"#).await.status, 200);
    caching.upstream.put_image("library/redis", Some("7"), &new);
    caching.grow_old();
    caching.pull("hub/redis", "7", &old).await;

    caching.set(|settings| settings.write_once_tags = vec!["7".to_owned()]).await;
    caching.upstream.put_image("library/nginx", Some("7"), &new);
    caching.grow_old();
    let _ = caching.get("/v2/hub/nginx/manifests/7").await;
    caching.settle().await;
    caching.pull("hub/nginx", "7", &old).await;
}
