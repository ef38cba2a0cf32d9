//! Uploads: in one piece, in chunks, mounted, broken off.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Method, header};
use insta::assert_snapshot;
use wharf_data_plane::DataPlaneConfig;
use wharf_model::{Action, Algorithm, Digest};
use wharf_registry::Settings;
use wharf_testkit::{Client, Options, TestResponse, TestServer};

async fn start(client: &Client<'_>) -> String {
    let answer = client.post("/v2/web/blobs/uploads/").await;
    assert_eq!(answer.status, 202, "{answer}");
    answer.header("location").to_owned()
}

async fn chunk(client: &Client<'_>, location: &str, range: &str, content: &str) -> TestResponse {
    client.request(Method::PATCH, location).header(header::CONTENT_RANGE, range).body(content).await
}

async fn complete(client: &Client<'_>, location: &str, digest: &Digest) -> TestResponse {
    client.request(Method::PUT, &format!("{location}&digest={digest}")).body("").await
}

fn sha256(content: &str) -> Digest {
    Digest::of(Algorithm::Sha256, content.as_bytes())
}

fn pieces(pieces: &[&'static str]) -> Body {
    let pieces: Vec<Result<Bytes, std::io::Error>> = pieces.iter().map(|&piece| Ok(Bytes::from(piece))).collect();
    Body::from_stream(stream::iter(pieces))
}

#[tokio::test]
async fn an_upload_in_two_requests() {
    let server = TestServer::start().await;
    let pusher = server.token("web", &[Action::Pull, Action::Push]).await;
    let started = pusher.post("/v2/web/blobs/uploads/").await;
    assert_snapshot!(started, @r#"
    202
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 0
    docker-distribution-api-version: registry/2.0
    docker-upload-uuid: [uuid]
    location: /v2/web/blobs/uploads/[uuid]?_nouploadcache=false&_state=[state]
    range: 0-0
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]
    "#);
    let digest = sha256("content");
    let location = format!("{}&digest={digest}", started.header("location"));
    let completed = pusher.request(Method::PUT, &location).body("content").await;
    assert_snapshot!(completed, @r#"
    201
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 0
    docker-content-digest: sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73
    docker-distribution-api-version: registry/2.0
    location: /v2/web/blobs/sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]
    "#);
    assert_eq!(pusher.get(completed.header("location")).await.body, "content");
}

#[tokio::test]
async fn an_upload_in_one_request() {
    let server = TestServer::start().await;
    let post = |digest: &Digest, content: &'static str| {
        let path = format!("/v2/web/blobs/uploads/?digest={digest}");
        server.admin().request(Method::POST, &path).body(content)
    };
    for digest in [sha256("content"), Digest::of(Algorithm::Sha512, b"content"), sha256("")] {
        let content = if digest == sha256("") { "" } else { "content" };
        let answer = post(&digest, content).await;
        assert_eq!((answer.status, answer.header("docker-content-digest")), (201, digest.as_str()), "{answer}");
        assert_eq!(server.admin().get(answer.header("location")).await.text(), content);
    }
    let wrong = post(&sha256("other"), "content").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "DIGEST_INVALID"));
    let promised = post(&sha256("content"), "").await;
    assert_eq!(promised.status, 202, "the bytes will follow");
}

#[tokio::test]
async fn an_upload_in_chunks() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let first = chunk(&admin, &start(&admin).await, "0-3", "0123").await;
    assert_snapshot!(first, @r#"
    202
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 0
    docker-distribution-api-version: registry/2.0
    docker-upload-uuid: [uuid]
    location: /v2/web/blobs/uploads/[uuid]?_nouploadcache=false&_state=[state]
    range: 0-3
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]
    "#);
    let second = chunk(&admin, first.header("location"), "4-5", "45").await;
    assert_eq!((second.status, second.header("range")), (202, "0-5"));
    assert_ne!(first.header("location"), second.header("location"), "the state changes with every chunk");
    let status = admin.get(second.header("location")).await;
    assert_snapshot!(status, @r#"
    204
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    docker-distribution-api-version: registry/2.0
    docker-upload-uuid: [uuid]
    location: /v2/web/blobs/uploads/[uuid]?_nouploadcache=false&_state=[state]
    range: 0-5
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]
    "#);
    let digest = sha256("012345");
    assert_eq!(complete(&admin, status.header("location"), &digest).await.status, 201);
    assert_eq!(admin.get(&format!("/v2/web/blobs/{digest}")).await.text(), "012345");
}

#[tokio::test]
async fn chunks_without_a_range_are_appended() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let location = start(&admin).await;
    let first = admin.request(Method::PATCH, &location).body("01").await;
    let second = admin.request(Method::PATCH, first.header("location")).stream(pieces(&["2", "3", "45"])).await;
    assert_eq!((second.status, second.header("range")), (202, "0-5"));
    let digest = sha256("012345678");
    let last = format!("{}&digest={digest}", second.header("location"));
    assert_eq!(admin.request(Method::PUT, &last).stream(pieces(&["67", "8"])).await.status, 201);
    assert_eq!(admin.get(&format!("/v2/web/blobs/{digest}")).await.text(), "012345678");
}

#[tokio::test]
async fn chunks_out_of_order_are_refused_and_the_upload_goes_on() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let location = start(&admin).await;
    let early = chunk(&admin, &location, "4-5", "45").await;
    assert_eq!((early.status, early.code().as_str()), (416, "BLOB_UPLOAD_INVALID"));
    assert_eq!(admin.get(&location).await.status, 204);
    let first = chunk(&admin, &location, "0-3", "0123").await;
    assert_eq!(first.status, 202);
    let twice = chunk(&admin, &location, "0-3", "0123").await;
    assert_snapshot!(twice, @r#"
    416
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 117
    content-type: application/json; charset=utf-8
    docker-distribution-api-version: registry/2.0
    docker-upload-uuid: [uuid]
    location: /v2/web/blobs/uploads/[uuid]?_nouploadcache=false&_state=[state]
    range: 0-3
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]

    {"errors":[{"code":"BLOB_UPLOAD_INVALID","message":"the upload stands at 4 bytes, but the request continues at 0"}]}
    "#);
    let digest = sha256("012345");
    let out_of_order = format!("{}&digest={digest}", first.header("location"));
    let out_of_order = admin.request(Method::PUT, &out_of_order).header(header::CONTENT_RANGE, "0-1").body("01").await;
    assert_eq!(out_of_order.status, 416);
    // Where to go on is told.
    let last = format!("{}&digest={digest}", twice.header("location"));
    let last = admin.request(Method::PUT, &last).header(header::CONTENT_RANGE, "4-5").body("45").await;
    assert_eq!(last.status, 201, "{last}");
}

#[tokio::test]
async fn headers_that_contradict_each_other_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let location = start(&admin).await;
    for (range, code) in [
        ("bytes 0-1/*", "BLOB_UPLOAD_INVALID"),
        ("1-0", "BLOB_UPLOAD_INVALID"),
        ("0-5", "SIZE_INVALID"),
        ("x", "BLOB_UPLOAD_INVALID"),
    ] {
        let answer = chunk(&admin, &location, range, "01").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{range}");
    }
    let request = admin.request(Method::PATCH, &location).header(header::CONTENT_RANGE, "0-1");
    let answer = request.stream(pieces(&["01"])).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "CONTENT_LENGTH_INVALID"));
    assert_eq!(chunk(&admin, &location, "0-1", "01").await.status, 202, "nothing of that was taken");
}

#[tokio::test]
async fn uploads_need_a_digest_that_is_right() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for query in ["", "&digest=", "&digest=sha256:x", "&digest=md5:00"] {
        let location = format!("{}{query}", start(&admin).await);
        let answer = admin.request(Method::PUT, &location).body("content").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "DIGEST_INVALID"), "{query}");
    }
    let location = chunk(&admin, &start(&admin).await, "0-6", "content").await.header("location").to_owned();
    let answer = complete(&admin, &location, &sha256("other")).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "DIGEST_INVALID"));
    assert_eq!(complete(&admin, &location, &sha256("content")).await.status, 404, "the upload is over");
    assert_eq!(admin.head(&format!("/v2/web/blobs/{}", sha256("content"))).await.status, 404);
}

#[tokio::test]
async fn other_algorithms_are_announced_or_found_out() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let digest = Digest::of(Algorithm::Sha512, b"content");
    for query in ["", "?digest-algorithm=sha512", "?digest-algorithm=sha256"] {
        let started = admin.post(&format!("/v2/web/blobs/uploads/{query}")).await;
        let appended = admin.request(Method::PATCH, started.header("location")).body("content").await;
        assert_eq!(complete(&admin, appended.header("location"), &digest).await.status, 201, "{query}");
        assert_eq!(admin.get(&format!("/v2/web/blobs/{digest}")).await.text(), "content");
        admin.delete(&format!("/v2/web/blobs/{digest}")).await;
    }
    let unknown = admin.post("/v2/web/blobs/uploads/?digest-algorithm=md5").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "DIGEST_INVALID"));
}

#[tokio::test]
async fn an_upload_that_was_cancelled_or_completed_is_unknown() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let location = chunk(&admin, &start(&admin).await, "0-1", "01").await.header("location").to_owned();
    assert_eq!(admin.delete(&location).await.status, 204);
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let answer = admin.request(method.clone(), &location).body("").await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"), "{method}");
    }
    let location = start(&admin).await;
    assert_eq!(admin.delete(&location).await.status, 204, "also before the first byte");
    let location = start(&admin).await;
    assert_eq!(complete(&admin, &location, &sha256("")).await.status, 201);
    assert_eq!(admin.get(&location).await.status, 404);
}

#[tokio::test]
async fn the_state_belongs_to_its_upload_and_repository() {
    let server = TestServer::start().await;
    server.add_registry("fabrikam").await;
    let admin = server.admin();
    let (one, two) = (start(&admin).await, start(&admin).await);
    let state = |location: &str| location.split_once('?').unwrap().1.to_owned();
    let path = |location: &str| location.split_once('?').unwrap().0.to_owned();
    let swapped = format!("{}?{}", path(&one), state(&two));
    let elsewhere = one.replace("/v2/web/", "/v2/other/");
    for location in [&swapped, &elsewhere, &path(&one), &format!("{}?_state=garbage", path(&one))] {
        assert_eq!(admin.get(location).await.status, 404, "{location}");
    }
    let foreign = server.basic("fabrikam", TestServer::PASSWORD).at("fabrikam");
    assert_eq!(foreign.get(&one).await.status, 404);
    assert_eq!(admin.get(&one).await.status, 204);
}

#[tokio::test]
async fn mounting_from_a_repository() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let digest = admin.push_blob("base", "content").await;
    let path = |from: &str| format!("/v2/web/blobs/uploads/?mount={digest}{from}");
    let mounted = admin.post(&path("&from=base")).await;
    assert_snapshot!(mounted.to_string().replace(digest.as_str(), "[digest]"), @r#"
    201
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 0
    docker-content-digest: [digest]
    docker-distribution-api-version: registry/2.0
    location: /v2/web/blobs/[digest]
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]
    "#);
    assert_eq!(admin.get(mounted.header("location")).await.text(), "content");
    for from in ["&from=absent", "&from=NOT%20A%20NAME"] {
        admin.delete(&format!("/v2/web/blobs/{digest}")).await;
        let answer = admin.post(&path(from)).await;
        assert_eq!(answer.status, 202, "{from}: the client uploads instead");
        assert!(!answer.header("location").is_empty());
    }
    assert_eq!(admin.post("/v2/web/blobs/uploads/?mount=nonsense&from=base").await.status, 400);
    assert_eq!(admin.post(&path("")).await.status, 201, "any repository that holds it will do");
}

#[tokio::test]
async fn mounting_needs_the_right_to_pull_from_the_source() {
    let server = TestServer::start().await;
    let digest = server.admin().push_blob("secret", "content").await;
    let path = format!("/v2/web/blobs/uploads/?mount={digest}&from=secret");
    // The token was got without asking for the source: a new one may help.
    let client = server.token("web", &[Action::Pull, Action::Push]).await;
    let answer = client.post(&path).await;
    assert_eq!(answer.status, 401);
    let scope = r#"scope="repository:web:pull,push repository:secret:pull""#;
    assert!(answer.header("www-authenticate").contains(scope), "{answer}");
    // The source was asked for and not granted, which a token without the action stands for.
    let client = server.token_for(&["repository:web:pull,push", "repository:secret:push"]).await;
    assert_eq!(client.post(&path).await.status, 202, "there is nothing to be had: the client uploads");
    assert_eq!(client.head(&format!("/v2/web/blobs/{digest}")).await.status, 404);
    // Without naming a source, nothing is found where nothing may be read.
    let client = server.token("web", &[Action::Pull, Action::Push]).await;
    let any = format!("/v2/web/blobs/uploads/?mount={digest}");
    assert_eq!(client.post(&any).await.status, 202);
    let client = server.token_for(&["repository:web:pull,push", "repository:secret:pull"]).await;
    assert_eq!(client.post(&any).await.status, 201);
    let challenge = server.anonymous().post(&any).await;
    let scope = r#"scope="repository:web:pull,push repository:*:pull""#;
    assert!(challenge.header("www-authenticate").contains(scope), "{challenge}");
}

#[tokio::test]
async fn blobs_that_are_too_large_are_refused() {
    let settings = Settings { blob_limit_bytes: 10, inline_limit_bytes: 4, ..Settings::default() };
    let server = TestServer::start_with(Options { settings, ..Options::default() }).await;
    let admin = server.admin();
    let location = start(&admin).await;
    let announced = admin.request(Method::PATCH, &location).body("01234567890").await;
    assert_eq!((announced.status, announced.code().as_str()), (413, "SIZE_INVALID"));
    let location = start(&admin).await;
    let streamed = admin.request(Method::PATCH, &location).stream(pieces(&["012345", "67890"])).await;
    assert_eq!((streamed.status, streamed.code().as_str()), (413, "SIZE_INVALID"));
    let location = start(&admin).await;
    assert_eq!(admin.request(Method::PATCH, &location).body("0123456789").await.status, 202);
}

#[tokio::test]
async fn a_client_that_stands_still_may_go_on_later() {
    let data_plane = DataPlaneConfig { idle_timeout: Duration::from_millis(20), ..DataPlaneConfig::default() };
    let server = TestServer::start_with(Options { data_plane, ..Options::default() }).await;
    let admin = server.admin();
    let location = start(&admin).await;
    let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"0123"))]);
    let stuck = Body::from_stream(first.chain(stream::pending()));
    let answer = admin.request(Method::PATCH, &location).stream(stuck).await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "BLOB_UPLOAD_INVALID"));
    let status = admin.get(&location).await;
    assert_eq!((status.status, status.header("range")), (204, "0-3"), "what arrived was kept");
    let rest = chunk(&admin, status.header("location"), "4-5", "45").await;
    assert_eq!(complete(&admin, rest.header("location"), &sha256("012345")).await.status, 201);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_shorter_than_announced() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let location = start(&admin).await;
    let broken = stream::iter([Ok(Bytes::from_static(b"01")), Err(std::io::Error::other("gone"))]);
    let answer = admin.request(Method::PATCH, &location).stream(Body::from_stream(broken)).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "BLOB_UPLOAD_INVALID"));
    let status = admin.get(&location).await;
    assert_eq!(status.header("range"), "0-1");
    let short = admin.request(Method::PATCH, status.header("location")).header(header::CONTENT_LENGTH, "9");
    let short = short.stream(pieces(&["23"])).await;
    assert_eq!((short.status, short.code().as_str()), (400, "SIZE_INVALID"));
}

#[tokio::test]
async fn two_requests_at_once_do_not_mix() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let location = start(&admin).await;
    let slow = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"0123"))]).then(|piece| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        piece
    });
    let one = admin.request(Method::PATCH, &location).stream(Body::from_stream(Box::pin(slow)));
    let two = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        admin.request(Method::PATCH, &location).body("abcd").await
    };
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one.status, two.status), (202, 409), "{two}");
}

#[tokio::test]
async fn uploads_expire() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let location = start(&admin).await;
    server.advance(Settings::default().upload_ttl + Duration::from_secs(1));
    assert_eq!(admin.get(&location).await.status, 404);
}
