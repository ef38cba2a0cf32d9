//! Manifests: pushed, pulled, deleted.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, header};
use insta::assert_snapshot;
use serde_json::json;
use wharf_data_plane::DataPlaneConfig;
use wharf_model::{Action, Algorithm, Digest};
use wharf_oci::media_type;
use wharf_testkit::{Image, Options, TestServer, image, index};

#[tokio::test]
async fn a_push_and_a_pull() {
    let server = TestServer::start().await;
    let image = image("web");
    let pusher = server.token("web", &[Action::Pull, Action::Push]).await;
    for blob in &image.blobs {
        pusher.push_blob("web", blob.clone()).await;
    }
    assert_snapshot!(pusher.push_manifest("web", "v1", &image).await, @r#"
    201
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 0
    docker-content-digest: sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc
    docker-distribution-api-version: registry/2.0
    location: /v2/web/manifests/sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]
    "#);
    let puller = server.token("web", &[Action::Pull]).await;
    let pulled = puller.get("/v2/web/manifests/v1").await;
    assert_snapshot!(pulled, @r#"
    200
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 394
    content-type: application/vnd.oci.image.manifest.v1+json
    docker-content-digest: sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc
    docker-distribution-api-version: registry/2.0
    etag: "sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc"
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]

    {"config":{"digest":"sha256:9c6ce630a5b6503ef4041703135037c1f5a1bcec4517866b96ece431240ac4e4","mediaType":"application/vnd.oci.image.config.v1+json","size":52},"layers":[{"digest":"sha256:b834958da9e742c8c8a3caf697b1e44ec8b5910301f444283ddffc05665005fa","mediaType":"application/vnd.oci.image.layer.v1.tar","size":12}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}
    "#);
    assert_eq!(pulled.body, image.manifest);
    let head = puller.head("/v2/web/manifests/v1").await;
    assert_snapshot!(head, @r#"
    200
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 394
    content-type: application/vnd.oci.image.manifest.v1+json
    docker-content-digest: sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc
    docker-distribution-api-version: registry/2.0
    etag: "sha256:16422c3cbd30975254cd8f068df1507eb9734d9f9e2778d336de792bf7a9b1cc"
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]
    "#);
    assert_eq!(puller.get(&format!("/v2/web/manifests/{}", image.digest())).await.body, image.manifest);
}

#[tokio::test]
async fn whoever_has_the_manifest_is_told_so() {
    let server = TestServer::start().await;
    let digest = server.admin().push("web", "v1", &image("web")).await;
    for method in [Method::GET, Method::HEAD] {
        let ask = |etag: String| {
            server.admin().request(method.clone(), "/v2/web/manifests/v1").header(header::IF_NONE_MATCH, etag)
        };
        let answer = ask(format!("\"{digest}\"")).send().await;
        assert_eq!((answer.status, answer.body.len()), (304, 0));
        assert_eq!(answer.header("etag"), format!("\"{digest}\""));
        assert_eq!(ask("\"other\"".to_owned()).send().await.status, 200);
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = TestServer::start().await;
    let digest = Digest::of(Algorithm::Sha256, b"absent");
    assert_snapshot!(server.admin().get("/v2/web/manifests/v9").await.text(), @r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest tagged by \"v9\" is not found","detail":{"Tag":"v9"}}]}"#);
    assert_snapshot!(server.admin().get(&format!("/v2/web/manifests/{digest}")).await.text(), @r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest sha256:5ad38304b535c2987dbd24657c1a11b884984ff600d9f389deb0d4e634fee792 is not found","detail":{"Name":"web","Revision":"sha256:5ad38304b535c2987dbd24657c1a11b884984ff600d9f389deb0d4e634fee792"}}]}"#);
    assert_eq!(server.admin().get("/v2/web/manifests/.x").await.status, 404);
    assert_eq!(server.admin().get("/v2/web/manifests/sha256:baddigeststring").await.code(), "DIGEST_INVALID");
}

#[tokio::test]
async fn a_manifest_needs_what_it_refers_to() {
    let server = TestServer::start().await;
    let image = image("web");
    let answer = server.admin().push_manifest("web", "v1", &image).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "MANIFEST_BLOB_UNKNOWN"));
    assert_eq!(answer.json()["errors"][0]["detail"].as_array().unwrap().len(), 2);
    let answer = server.admin().push_manifest("web", "v1", &index(&[&image])).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "MANIFEST_BLOB_UNKNOWN"));
    assert_eq!(server.admin().get("/v2/web/manifests/v1").await.status, 404);
}

#[tokio::test]
async fn an_index_of_images_and_an_empty_one() {
    let server = TestServer::start().await;
    let (one, two) = (image("one"), image("two"));
    server.admin().push("web", "one", &one).await;
    server.admin().push("web", "two", &two).await;
    let both = index(&[&one, &two]);
    server.admin().push("web", "both", &both).await;
    let pulled = server.admin().get("/v2/web/manifests/both").await;
    assert_eq!(
        (pulled.body.as_ref(), pulled.header("content-type")),
        (both.manifest.as_slice(), media_type::OCI_INDEX)
    );
    server.admin().push("web", "none", &index(&[])).await;
}

#[tokio::test]
async fn a_push_by_digest_may_set_tags() {
    let server = TestServer::start().await;
    let image = image("web");
    for blob in &image.blobs {
        server.admin().push_blob("web", blob.clone()).await;
    }
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, &image.manifest);
        let reference = format!("{digest}?tag=1.2&tag=latest&tag=1.2");
        let pushed = server.admin().push_manifest("web", &reference, &image).await;
        assert_eq!(pushed.status, 201, "{pushed}");
        let tags: Vec<_> = pushed.headers.get_all("oci-tag").iter().collect();
        assert_eq!(tags, ["1.2", "latest"]);
        assert_eq!(pushed.header("docker-content-digest"), digest.as_str());
        let pulled = server.admin().get("/v2/web/manifests/latest").await;
        assert_eq!(pulled.header("docker-content-digest"), digest.as_str());
        assert_eq!(server.admin().get(pushed.header("location")).await.body, image.manifest);
    }
    let bad = server.admin().push_manifest("web", &format!("{}?tag=.x", image.digest()), &image).await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "TAG_INVALID"));
    let many: String = (0..101).map(|n| format!("tag=t{n}&")).collect();
    let bad = server.admin().push_manifest("web", &format!("{}?{many}", image.digest()), &image).await;
    assert_eq!(bad.status, 414);
    let by_tag = server.admin().push_manifest("web", "v1?tag=other", &image).await;
    assert_eq!((by_tag.status, by_tag.header("oci-tag")), (201, ""));
}

#[tokio::test]
async fn another_digest_than_announced_is_refused() {
    let server = TestServer::start().await;
    let image = image("web");
    for blob in &image.blobs {
        server.admin().push_blob("web", blob.clone()).await;
    }
    let other = Digest::of(Algorithm::Sha256, b"other");
    let answer = server.admin().push_manifest("web", other.as_str(), &image).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "DIGEST_INVALID"));
    let answer = server.admin().push_manifest("web", "sha256:baddigeststring", &image).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "DIGEST_INVALID"));
}

#[tokio::test]
async fn manifests_that_are_none_are_refused() {
    let server = TestServer::start().await;
    let both = json!({"mediaType": media_type::OCI_INDEX, "manifests": [], "layers": []}).to_string();
    let cases = [
        (media_type::OCI_MANIFEST, "not json".to_owned()),
        (media_type::OCI_MANIFEST, String::new()),
        (media_type::OCI_INDEX, both),
        (media_type::OCI_MANIFEST, json!({"mediaType": media_type::OCI_INDEX, "manifests": []}).to_string()),
        ("", json!({"manifests": []}).to_string()),
        ("nonsense", json!({"manifests": []}).to_string()),
    ];
    for (media_type, manifest) in cases {
        let image = Image { manifest: manifest.into_bytes(), media_type: media_type.to_owned(), blobs: Vec::new() };
        let answer = server.admin().push_manifest("web", "v1", &image).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "MANIFEST_INVALID"), "{image:?}: {answer}");
    }
}

#[tokio::test]
async fn manifests_may_have_4_mebibytes() {
    let server = TestServer::start().await;
    let of_size = |size: usize| {
        let empty = json!({"mediaType": media_type::OCI_INDEX, "manifests": [], "padding": ""}).to_string();
        let padded = empty.replace("\"padding\":\"\"", &format!("\"padding\":\"{}\"", "x".repeat(size - empty.len())));
        assert_eq!(padded.len(), size);
        Image { manifest: padded.into_bytes(), media_type: media_type::OCI_INDEX.to_owned(), blobs: Vec::new() }
    };
    let limit = 4 << 20;
    assert_eq!(server.admin().push_manifest("web", "v1", &of_size(limit)).await.status, 201);
    let large = of_size(limit + 1);
    let answer = server.admin().push_manifest("web", "v2", &large).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "MANIFEST_INVALID"));
    // The same without an announced length.
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        large.manifest.chunks(64 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let request = server.admin().request(Method::PUT, "/v2/web/manifests/v2");
    let request = request.header(header::CONTENT_TYPE, media_type::OCI_INDEX);
    assert_eq!(request.stream(Body::from_stream(stream::iter(pieces))).await.status, 413);
}

#[tokio::test]
async fn many_large_manifests_wait_for_each_other() {
    // Room for four of them at a time.
    let data_plane = DataPlaneConfig { manifests_in_flight_bytes: 400 << 10, ..DataPlaneConfig::default() };
    let server = TestServer::start_with(Options { data_plane, ..Options::default() }).await;
    let manifest = json!({"mediaType": media_type::OCI_INDEX, "manifests": [], "padding": "x".repeat(90 << 10)});
    let media_type = media_type::OCI_INDEX.to_owned();
    let image = Image { manifest: manifest.to_string().into_bytes(), media_type, blobs: Vec::new() };
    let admin = server.admin();
    let tags: Vec<String> = (0..200).map(|n| format!("t{n}")).collect();
    let pushes = tags.iter().map(|tag| admin.push_manifest("web", tag, &image));
    for answer in futures_util::future::join_all(pushes).await {
        assert_eq!(answer.status, 201, "{answer}");
    }
}

#[tokio::test]
async fn manifests_that_do_not_arrive_are_in_nobodys_way() {
    let data_plane = DataPlaneConfig { manifests_in_flight_bytes: 4 << 20, ..DataPlaneConfig::default() };
    let server = TestServer::start_with(Options { data_plane, ..Options::default() }).await;
    let admin = server.admin();
    let mut stalled: Vec<_> = [None, None, None, Some("4000000"), Some("4000000")]
        .into_iter()
        .map(|length| {
            let request = admin.request(Method::PUT, "/v2/web/manifests/v1");
            let request = match length {
                Some(length) => request.header(header::CONTENT_LENGTH, length),
                None => request,
            };
            let body = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
            Box::pin(request.stream(body))
        })
        .collect();
    let pushing = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        admin.push("web", "v2", &image("web")).await
    };
    let stalling = futures_util::future::join_all(stalled.iter_mut());
    tokio::select! {
        _ = stalling => panic!("what does not arrive is not answered so soon"),
        pushed = tokio::time::timeout(Duration::from_secs(10), pushing) => { pushed.expect("the push waits"); }
    }
}

#[tokio::test]
async fn a_manifest_that_does_not_arrive_is_given_up() {
    let data_plane = DataPlaneConfig { idle_timeout: Duration::from_millis(20), ..DataPlaneConfig::default() };
    let server = TestServer::start_with(Options { data_plane, ..Options::default() }).await;
    let request = server.admin().request(Method::PUT, "/v2/web/manifests/v1").header(header::CONTENT_LENGTH, "100");
    let answer = request.stream(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())).await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "MANIFEST_INVALID"));
}

#[tokio::test]
async fn deleting_a_tag_and_a_manifest() {
    let server = TestServer::start().await;
    let digest = server.admin().push("web", "v1", &image("web")).await;
    server.admin().push_manifest("web", "v2", &image("web")).await;
    assert_snapshot!(server.admin().delete("/v2/web/manifests/v1").await, @r#"
    202
    access-control-expose-headers: Docker-Content-Digest, WWW-Authenticate, Link, X-Ms-Correlation-Request-Id
    content-length: 0
    docker-distribution-api-version: registry/2.0
    server: Wharf
    strict-transport-security: max-age=31536000; includeSubDomains
    x-content-type-options: nosniff
    x-ms-correlation-request-id: [uuid]
    "#);
    assert_eq!(server.admin().get("/v2/web/manifests/v1").await.status, 404);
    assert_eq!(server.admin().get("/v2/web/manifests/v2").await.status, 200, "only the tag went");
    assert_eq!(server.admin().delete(&format!("/v2/web/manifests/{digest}")).await.status, 202);
    assert_eq!(server.admin().get("/v2/web/manifests/v2").await.status, 404, "its tags went with it");
    let again = server.admin().delete(&format!("/v2/web/manifests/{digest}")).await;
    assert_eq!((again.status, again.code().as_str()), (404, "NAME_UNKNOWN"));
    let again = server.admin().delete("/v2/web/manifests/v1").await;
    assert_eq!(again.status, 404);
}

#[tokio::test]
async fn a_subject_is_acknowledged() {
    let server = TestServer::start().await;
    let subject = image("subject");
    let signature = image("signature").about(&subject, "application/vnd.example.signature");
    for blob in &signature.blobs {
        server.admin().push_blob("web", blob.clone()).await;
    }
    let pushed = server.admin().push_manifest("web", signature.digest().as_str(), &signature).await;
    assert_eq!(pushed.status, 201, "the subject need not exist: {pushed}");
    assert_eq!(pushed.header("oci-subject"), subject.digest().as_str());
}
