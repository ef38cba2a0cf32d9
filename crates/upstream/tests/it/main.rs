//! Another registry, and one that misbehaves.

use std::time::Duration;

use bytes::Bytes;
use wharf_egress::Egress;
use wharf_model::{Algorithm, Digest, Reference, RepositoryName};
use wharf_testkit::{SignIn, Upstream, image, index};
use wharf_upstream::{Credentials, Refusal, TrustedRealm, UpstreamClient, UpstreamError, UpstreamSettings, Upstreams};

/// Everything on loopback may be reached.
fn upstreams(settings: UpstreamSettings) -> Upstreams {
    Upstreams::new(&Egress::new(["127.0.0.0/8".parse().unwrap()]), settings).unwrap()
}

fn client_with(upstream: &Upstream, settings: UpstreamSettings, password: Option<&str>) -> UpstreamClient {
    let credentials =
        password.map(|password| Credentials { username: "user".to_owned(), password: password.to_owned().into() });
    upstreams(settings).client(&upstream.address().parse().unwrap(), credentials)
}

/// Without credentials, and quick to give up.
fn client(upstream: &Upstream) -> UpstreamClient {
    client_with(upstream, UpstreamSettings::default(), None).patience(3, Duration::from_secs(1))
}

fn repository() -> RepositoryName {
    "team/app".parse().unwrap()
}

fn tag(text: &str) -> Reference {
    text.parse().unwrap()
}

async fn fetch(client: &UpstreamClient, digest: &Digest, size_bytes: Option<u64>) -> Result<Vec<u8>, UpstreamError> {
    let mut stream = client.open_blob(&repository(), digest, 0).await?;
    if let Some(size_bytes) = size_bytes {
        stream = stream.expecting(size_bytes)?;
    }
    let mut all = Vec::new();
    while let Some(piece) = stream.next_piece().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// Different bytes everywhere, so that none can be mistaken for others.
fn large() -> Vec<u8> {
    (0_u32..50_000).flat_map(u32::to_le_bytes).collect()
}

#[tokio::test]
async fn manifests_are_fetched_by_tag_and_digest_and_asked_about() {
    let upstream = Upstream::start().await;
    let image = image("one");
    let digest = upstream.put_image("team/app", Some("v1"), &image);
    let client = client(&upstream);
    let fetched = client.get_manifest(&repository(), &tag("v1")).await.unwrap();
    assert_eq!((&fetched.digest, fetched.bytes.as_ref()), (&digest, &image.manifest[..]));
    assert_eq!(fetched.content.blobs.len(), 2);
    assert_eq!(client.get_manifest(&repository(), &Reference::Digest(digest.clone())).await.unwrap().digest, digest);
    let head = client.head_manifest(&repository(), &tag("v1")).await.unwrap();
    assert_eq!((head.digest, head.size_bytes), (Some(digest), Some(image.manifest.len() as u64)));
    let missing = client.get_manifest(&repository(), &tag("v2")).await.unwrap_err();
    assert_eq!(missing.to_string(), format!("team/app:v2 was not found at {}", upstream.address()));
    let tags = client.list_tags(&repository(), None, 10).await.unwrap();
    assert_eq!(tags, ["v1".parse().unwrap()]);
}

#[tokio::test]
async fn a_registry_on_this_machine_is_found_to_speak_plain_http_without_credentials_being_sent() {
    let upstream = Upstream::start().await;
    upstream.quirks().sign_in = SignIn::Basic;
    upstream.put_image("team/app", Some("v1"), &image("one"));
    let client = client_with(&upstream, UpstreamSettings::default(), Some(Upstream::PASSWORD));
    client.get_manifest(&repository(), &tag("v1")).await.unwrap();
    let seen = upstream.take_seen();
    assert_eq!((seen[0].path.as_str(), seen[0].authorization.as_deref()), ("/v2/", None), "the probe");
    assert_eq!(seen[1].authorization, None, "nothing is sent before it is asked for");
    assert!(seen[2].authorization.as_deref().is_some_and(|value| value.starts_with("Basic ")));
}

#[tokio::test]
async fn internal_addresses_are_not_reached_unless_the_operator_allows_it() {
    let upstream = Upstream::start().await;
    let closed = Upstreams::new(&Egress::default(), UpstreamSettings::default()).unwrap();
    let error = closed.client(&upstream.address().parse().unwrap(), None).check().await.unwrap_err();
    assert!(matches!(error, UpstreamError::Internal { .. }), "{error:?}");
    assert!(error.to_string().contains("--allow-internal"), "{error}");
    assert_eq!(upstream.take_seen(), []);
}

#[tokio::test]
async fn every_way_to_sign_in_works_and_wrong_credentials_are_told() {
    let upstream = Upstream::start().await;
    upstream.put_image("team/app", Some("v1"), &image("one"));
    for way in [SignIn::Nothing, SignIn::Basic, SignIn::AnonymousToken, SignIn::Token] {
        upstream.quirks().sign_in = way;
        let good = client_with(&upstream, UpstreamSettings::default(), Some(Upstream::PASSWORD));
        good.get_manifest(&repository(), &tag("v1")).await.unwrap();
        good.check().await.unwrap();
        if matches!(way, SignIn::Basic | SignIn::Token) {
            let bad = client_with(&upstream, UpstreamSettings::default(), Some("wrong"));
            let error = bad.get_manifest(&repository(), &tag("v1")).await.unwrap_err();
            let expected = Refusal::CredentialsRejected;
            assert!(matches!(&error, UpstreamError::Unauthorized { refusal, .. } if *refusal == expected), "{error:?}");
            let error = client(&upstream).get_manifest(&repository(), &tag("v1")).await.unwrap_err();
            let expected = Refusal::CredentialsMissing;
            assert!(matches!(&error, UpstreamError::Unauthorized { refusal, .. } if *refusal == expected), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_token_serves_many_requests_and_is_replaced_when_it_expires_half_way() {
    let upstream = Upstream::start().await;
    upstream.quirks().sign_in = SignIn::Token;
    let digest = upstream.put_image("team/app", Some("v1"), &image("one"));
    let client = client_with(&upstream, UpstreamSettings::default(), Some(Upstream::PASSWORD));
    for _ in 0..5 {
        client.get_manifest(&repository(), &Reference::Digest(digest.clone())).await.unwrap();
    }
    let tokens = |seen: Vec<wharf_testkit::Seen>| seen.iter().filter(|seen| seen.path.starts_with("/token")).count();
    assert_eq!(tokens(upstream.take_seen()), 1);

    // From now on each is good for two requests.
    upstream.quirks().token_uses = 2;
    let client = client_with(&upstream, UpstreamSettings::default(), Some(Upstream::PASSWORD));
    for _ in 0..6 {
        client.get_manifest(&repository(), &Reference::Digest(digest.clone())).await.unwrap();
    }
    assert_eq!(tokens(upstream.take_seen()), 3);
    // One that is never good is not asked for forever.
    upstream.quirks().token_uses = 0;
    let error = client.get_manifest(&repository(), &Reference::Digest(digest)).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Denied { .. }), "{error:?}");
    assert!(upstream.take_seen().len() < 10);
}

#[tokio::test]
async fn credentials_do_not_go_to_a_realm_elsewhere_unless_the_operator_says_so() {
    let (upstream, realm) = (Upstream::start().await, Upstream::start().await);
    upstream.put_image("team/app", Some("v1"), &image("one"));
    upstream.quirks().sign_in = SignIn::Token;
    realm.quirks().sign_in = SignIn::Token;
    let elsewhere = realm.address().replace("127.0.0.1", "localhost");
    upstream.quirks().realm = Some(format!("http://{elsewhere}/token"));

    let client = client_with(&upstream, UpstreamSettings::default(), Some(Upstream::PASSWORD));
    let error = client.get_manifest(&repository(), &tag("v1")).await.unwrap_err();
    assert!(matches!(&error, UpstreamError::ForeignRealm { realm, .. } if realm == "localhost"), "{error:?}");
    assert_eq!(realm.take_seen(), [], "nothing was sent there");

    let trusted = TrustedRealm { registry: upstream.address().parse().unwrap(), host: "localhost".to_owned() };
    let settings = UpstreamSettings { realms: vec![trusted], ..UpstreamSettings::default() };
    let client = client_with(&upstream, settings, Some(Upstream::PASSWORD));
    client.get_manifest(&repository(), &tag("v1")).await.unwrap();
    let seen = realm.take_seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].path.contains("scope=repository%3Ateam%2Fapp%3Apull"), "{seen:?}");

    // Who has no credentials has none to lose.
    realm.quirks().sign_in = SignIn::AnonymousToken;
    upstream.quirks().sign_in = SignIn::AnonymousToken;
    client_with(&upstream, UpstreamSettings::default(), None).get_manifest(&repository(), &tag("v1")).await.unwrap();
    assert_eq!(realm.take_seen()[0].authorization, None);
}

#[tokio::test]
async fn a_blob_goes_on_where_the_connection_was_cut_at_every_tenth() {
    let upstream = Upstream::start().await;
    let bytes = large();
    let digest = upstream.put_blob(bytes.clone());
    let client = client(&upstream);
    for ranges in [true, false] {
        for tenth in 0..10 {
            {
                let mut quirks = upstream.quirks();
                quirks.ranges = ranges;
                (quirks.cut_after, quirks.cuts) = (Some(bytes.len() * tenth / 10), 1);
            }
            let fetched = fetch(&client, &digest, Some(bytes.len() as u64)).await.unwrap();
            assert!(fetched == bytes, "cut at {tenth}0 %, ranges: {ranges}");
            let seen = upstream.take_seen();
            let resumed = seen.iter().any(|seen| seen.range.is_some());
            assert_eq!(resumed, tenth > 0, "{seen:?}");
        }
    }
    // Cut again and again: each connection brings something, where the registry can go on in the middle.
    upstream.quirks().ranges = true;
    (upstream.quirks().cut_after, upstream.quirks().cuts) = (Some(bytes.len() / 12), usize::MAX);
    assert!(fetch(&client, &digest, None).await.unwrap() == bytes);
    // Where it cannot, nothing new ever comes, and that is told.
    upstream.quirks().ranges = false;
    let error = fetch(&client, &digest, None).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_blob_that_is_too_long_too_short_or_endless_is_given_up() {
    let upstream = Upstream::start().await;
    let bytes = large();
    let digest = upstream.put_blob(bytes.clone());
    let client = client(&upstream).patience(2, Duration::from_secs(1));
    for other in [bytes.len() - 1, bytes.len() + 1, 0] {
        upstream.quirks().blob_length = Some(other);
        let error = fetch(&client, &digest, Some(bytes.len() as u64)).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Lied { .. }), "{error:?}");
    }
    upstream.quirks().endless_blobs = true;
    let error = fetch(&client, &digest, Some(bytes.len() as u64)).await.unwrap_err();
    assert!(error.to_string().contains("more than the 200000 bytes"), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_hop_by_hop_and_never_with_the_credentials() {
    let (upstream, storage) = (Upstream::start().await, Upstream::start().await);
    let digest = storage.put_blob("somewhere else");
    upstream.quirks().sign_in = SignIn::Basic;
    let client = client_with(&upstream, UpstreamSettings::default(), Some(Upstream::PASSWORD));
    upstream.quirks().blobs_at = Some(format!("http://{}/v2/store/blobs/{digest}?signature=x", storage.address()));
    assert_eq!(fetch(&client, &digest, None).await.unwrap(), b"somewhere else");
    let seen = storage.take_seen();
    assert_eq!((seen.len(), &seen[0].authorization), (1, &None));

    let here = upstream.address();
    for (place, expected) in [
        (format!("http://{here}/v2/team/app/blobs/{digest}"), "in a circle"),
        ("file:///etc/passwd".to_owned(), "no http or https"),
        ("http://[".to_owned(), "no URL"),
    ] {
        upstream.quirks().blobs_at = Some(place);
        let error = fetch(&client, &digest, None).await.unwrap_err();
        assert!(matches!(error, UpstreamError::Redirect { .. }) && error.to_string().contains(expected), "{error}");
    }
    // An address that nobody allowed, such as that of a cloud's metadata service.
    upstream.quirks().blobs_at = Some("http://169.254.169.254/latest/meta-data".to_owned());
    let error = fetch(&client, &digest, None).await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Internal { host, .. } if host == "169.254.169.254"), "{error:?}");
}

#[tokio::test]
async fn throttling_is_waited_out_or_told_and_failures_are_repeated() {
    let upstream = Upstream::start().await;
    upstream.put_image("team/app", Some("v1"), &image("one"));
    let client = client(&upstream);
    let throttled = |seconds: &str| (429, vec![("retry-after", seconds.to_owned())], Bytes::new());
    upstream.quirks().failures = [throttled("0"), (503, vec![], Bytes::new())].into();
    client.get_manifest(&repository(), &tag("v1")).await.unwrap();

    upstream.quirks().failures = [throttled("3600")].into();
    let error = client.get_manifest(&repository(), &tag("v1")).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert!(error.is_transient() && error.to_string().contains("wait 3600 seconds"), "{error}");

    upstream.quirks().failures = (0..3).map(|_| (500, vec![], Bytes::new())).collect();
    let error = client.get_manifest(&repository(), &tag("v1")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unavailable { status: 500, .. }), "{error:?}");
    client.get_manifest(&repository(), &tag("v1")).await.unwrap();
}

#[tokio::test]
async fn odd_error_bodies_do_no_harm() {
    let upstream = Upstream::start().await;
    let client = client(&upstream);
    client.check().await.unwrap();
    let gzip = vec![("content-encoding", "gzip".to_owned())];
    let told = Bytes::from_static(br#"{"errors":[{"code":"DENIED","message":"pay\nfirst"}]}"#);
    for (headers, body, expected) in [
        (vec![], told.clone(), "denies access to team/app:v1: pay first"),
        (gzip, told, "denies access to team/app:v1"),
        (vec![], Bytes::from(vec![b'{'; 32 << 20]), "denies access to team/app:v1"),
        (vec![], Bytes::from_static(b"\xff\xfe<html>"), "denies access to team/app:v1"),
    ] {
        upstream.quirks().failures = [(403, headers, body)].into();
        let error = client.get_manifest(&repository(), &tag("v1")).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{} {expected}", upstream.address()));
    }
}

#[tokio::test]
async fn manifests_that_are_not_what_they_should_be_are_refused() {
    let upstream = Upstream::start().await;
    let client = client(&upstream);
    let image = image("one");
    let asked = Digest::of(Algorithm::Sha256, b"something else");
    let put = |reference: &str, media_type: &str, bytes: Vec<u8>| {
        upstream.put_manifest("team/app", reference, media_type, bytes);
    };
    put(asked.as_str(), &image.media_type, image.manifest.clone());
    let error = client.get_manifest(&repository(), &Reference::Digest(asked)).await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Lied { reason, .. } if reason.contains("digest")), "{error:?}");

    put("stated", &image.media_type, image.manifest.clone());
    upstream.quirks().stated_digest = Some(Digest::of(Algorithm::Sha256, b"x").to_string());
    let error = client.get_manifest(&repository(), &tag("stated")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Lied { .. }), "{error:?}");
    upstream.quirks().stated_digest = None;

    put("large", &image.media_type, vec![b' '; (4 << 20) + 1]);
    let error = client.get_manifest(&repository(), &tag("large")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::TooLarge { limit_bytes: 4_194_304, .. }), "{error:?}");

    put("html", "text/html", b"<html>sign in</html>".to_vec());
    let error = client.get_manifest(&repository(), &tag("html")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Lied { .. }), "{error:?}");

    let schema1 = br#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}"#;
    put("old", "application/vnd.docker.distribution.manifest.v1+prettyjws", schema1.to_vec());
    let error = client.get_manifest(&repository(), &tag("old")).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("schema 1"), "{error}");
}

#[tokio::test]
async fn referrers_are_found_by_the_api_or_by_their_tag() {
    let upstream = Upstream::start().await;
    let subject = image("one");
    let digest = upstream.put_image("team/app", Some("v1"), &subject);
    let signature = image("signature").about(&subject, "application/vnd.example.signature");
    let referrer = upstream.put_image("team/app", None, &signature);
    let client = client(&upstream);
    let list = async || -> Vec<Digest> {
        let found = client.list_referrers(&repository(), &digest).await.unwrap();
        found.into_iter().map(|descriptor| descriptor.digest).collect()
    };
    assert_eq!(list().await, std::slice::from_ref(&referrer));
    upstream.quirks().referrers = false;
    assert_eq!(list().await, []);
    let fallback = index(&[&signature]);
    upstream.put_manifest("team/app", &digest.as_str().replace(':', "-"), &fallback.media_type, fallback.manifest);
    assert_eq!(list().await, [referrer]);
}
