//! Upload sessions: chunks, restarts, and everything that goes wrong on the way.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use wharf_model::{Algorithm, Digest};
use wharf_registry::{BodyError, Sight, Target, UploadError};

use crate::world::{World, body};

const BIG: usize = 3 << 20;

fn content() -> Vec<u8> {
    (0..BIG).map(|i| (i * 31 % 251) as u8).collect()
}

#[tokio::test]
async fn chunks_survive_a_restart() {
    let world = World::new().await;
    let content = content();
    let digest = Digest::of(Algorithm::Sha512, &content);
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let state = world.artifacts.start_upload(Algorithm::Sha512);
    let (first, rest) = content.split_at(BIG / 3);
    let (second, third) = rest.split_at(BIG / 3);
    let state = world.artifacts.append(target, &state, Some(0), body(first), None).await.unwrap();
    let state = world.artifacts.append(target, &state, None, body(second), Some(second.len() as u64)).await.unwrap();
    assert_eq!(state.offset, (first.len() + second.len()) as u64);

    let url = world.artifacts.encode_upload_state(target, &state);
    let world = world.again().await;
    let target = Target { registry: &world.registry, repository: &name };
    let state = world.artifacts.decode_upload_state(target, state.id, &url).unwrap();
    assert_eq!(world.artifacts.upload_status(target, &state).await.unwrap().offset, state.offset);
    world.artifacts.complete_upload(target, &state, None, body(third), None, &digest).await.unwrap();
    assert_eq!(world.read_blob("app", &digest).await.unwrap(), content);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_chunk_sent_twice_or_out_of_order_is_refused() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let begun = world.artifacts.start_upload(Algorithm::Sha256);
    let state = world.artifacts.append(target, &begun, None, body(b"0123456789"), None).await.unwrap();
    for (state, position) in [(&begun, None), (&state, Some(5)), (&state, Some(11)), (&state, Some(0))] {
        let refused = world.artifacts.append(target, state, position, body(b"abc"), None).await.unwrap_err();
        assert!(matches!(refused, UploadError::OutOfOrder { offset: 10, .. }), "{refused}");
    }
    // The position that the request states counts more than an old URL.
    let state = world.artifacts.append(target, &begun, Some(10), body(b"abc"), None).await.unwrap();
    assert_eq!(state.offset, 13);
}

#[tokio::test]
async fn a_wrong_digest_ends_the_session_and_leaves_no_bytes() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let wrong = Digest::of(Algorithm::Sha256, b"something else");
    let content = content();
    let small = b"small".to_vec();
    for bytes in [&content, &small] {
        let state = world.artifacts.start_upload(Algorithm::Sha256);
        let length = Some(bytes.len() as u64);
        let refused = world.artifacts.complete_upload(target, &state, None, body(bytes), length, &wrong).await;
        assert!(matches!(refused.unwrap_err(), UploadError::DigestMismatch { .. }));
        let over = world.artifacts.upload_status(target, &state).await.unwrap_err();
        assert!(matches!(over, UploadError::Unknown { .. }));
    }
    let state = world.artifacts.start_upload(Algorithm::Sha256);
    let state = world.artifacts.append(target, &state, None, body(&content), None).await.unwrap();
    assert_eq!(world.files(), 1);
    assert!(world.artifacts.complete_upload(target, &state, None, body(b""), Some(0), &wrong).await.is_err());
    assert_eq!(world.files(), 0);
    assert!(world.artifacts.find_blob(target, &wrong, Sight::Everything).await.unwrap().is_none());
}

#[tokio::test]
async fn what_arrived_of_a_broken_chunk_is_kept_and_told() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let begun = world.artifacts.start_upload(Algorithm::Sha256);
    let broken = stream::iter([Ok(Bytes::from_static(b"hello ")), Err(BodyError::Interrupted)]);
    let error = world.artifacts.append(target, &begun, None, broken, Some(11)).await.unwrap_err();
    assert!(matches!(error, UploadError::Body(BodyError::Interrupted)));
    let world = world.again().await;
    let target = Target { registry: &world.registry, repository: &name };
    // An old URL is enough to ask.
    let mut state = begun;
    state.offset = 6;
    let state = world.artifacts.upload_status(target, &state).await.unwrap();
    assert_eq!(state.offset, 6);
    let digest = Digest::of(Algorithm::Sha256, b"hello world");
    world.artifacts.complete_upload(target, &state, None, body(b"world"), Some(5), &digest).await.unwrap();
    assert_eq!(world.read_blob("app", &digest).await.unwrap(), b"hello world");
}

#[tokio::test]
async fn a_session_that_is_over_does_not_begin_again_by_its_old_url() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let content = content();
    let digest = Digest::of(Algorithm::Sha256, &content);
    let done = world.artifacts.start_upload(Algorithm::Sha256);
    let length = Some(content.len() as u64);
    world.artifacts.complete_upload(target, &done, None, body(&content), length, &digest).await.unwrap();
    let cancelled = world.artifacts.start_upload(Algorithm::Sha256);
    world.artifacts.cancel_upload(target, &cancelled).await.unwrap();
    for state in [done, cancelled] {
        let refused = world.artifacts.append(target, &state, None, body(b"more"), None).await.unwrap_err();
        assert!(matches!(refused, UploadError::Unknown { .. }));
    }
    assert_eq!(world.read_blob("app", &digest).await.unwrap(), content);
}

#[tokio::test]
async fn the_state_of_a_session_is_of_no_use_elsewhere() {
    let world = World::new().await;
    let (app, other) = ("app".parse().unwrap(), "other".parse().unwrap());
    let target = Target { registry: &world.registry, repository: &app };
    let elsewhere = Target { registry: &world.registry, repository: &other };
    let state = world.artifacts.start_upload(Algorithm::Sha256);
    let text = world.artifacts.encode_upload_state(target, &state);
    assert_eq!(world.artifacts.decode_upload_state(target, state.id, &text).unwrap(), state);
    assert!(world.artifacts.decode_upload_state(elsewhere, state.id, &text).is_err());
    let another = world.artifacts.start_upload(Algorithm::Sha256);
    assert!(world.artifacts.decode_upload_state(target, another.id, &text).is_err());
    for bad in ["", "AAAA", &text[..text.len() - 2], &format!("{text}AA"), "é"] {
        assert!(world.artifacts.decode_upload_state(target, state.id, bad).is_err(), "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_uploads_of_one_blob_keep_one_copy() {
    let world = std::sync::Arc::new(World::new().await);
    let content = std::sync::Arc::new(content());
    let uploads: Vec<_> = (0..8)
        .map(|i| {
            let (world, content) = (world.clone(), content.clone());
            tokio::spawn(async move { world.push_blob(&format!("app{}", i % 2), &content).await })
        })
        .collect();
    let mut digests = Vec::new();
    for upload in uploads {
        digests.push(upload.await.unwrap());
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(world.files(), 1);
    assert_eq!(world.read_blob("app1", &digests[0]).await.unwrap(), *content);
    world.assert_sound().await;
}

#[tokio::test]
async fn an_empty_blob_is_a_blob() {
    let world = World::new().await;
    let digest = world.push_blob("app", b"").await;
    assert_eq!(world.read_blob("app", &digest).await.unwrap(), b"");
    world.assert_sound().await;
}

#[tokio::test]
async fn a_push_mends_a_blob_whose_bytes_were_lost() {
    let world = World::new().await;
    let content = content();
    let digest = world.push_blob("app", &content).await;
    let lost = std::process::Command::new("find")
        .arg(world.directory.path().join("blobs"))
        .args(["-type", "f", "-delete"])
        .status()
        .unwrap();
    assert!(lost.success());
    let world = world.again().await;
    assert!(!world.artifacts.verify(|_, _| {}).await.unwrap().problems.is_empty());
    world.push_blob("other", &content).await;
    assert_eq!(world.read_blob("app", &digest).await.unwrap(), content);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_session_given_up_while_a_chunk_was_on_its_way_stays_given_up() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let state = world.artifacts.start_upload(Algorithm::Sha256);
    let state = world.artifacts.append(target, &state, None, body(b"first chunk"), None).await.unwrap();
    // Another process collects: it does not know that a request is at work here.
    let collector = world.again().await;
    let clock = world.clock.clone();
    let slow = stream::once(async move {
        clock.advance(Duration::from_secs(25 * 60 * 60));
        assert_eq!(collector.artifacts.collect(false).await.unwrap().expired_uploads, 1);
        Ok(Bytes::from_static(b"second chunk"))
    });
    let refused = world.artifacts.append(target, &state, None, slow, None).await.unwrap_err();
    assert!(matches!(refused, UploadError::Unknown { .. }), "{refused}");
    let world = world.again().await;
    let target = Target { registry: &world.registry, repository: &name };
    let digest = Digest::of(Algorithm::Sha256, b"first chunksecond chunk");
    let refused = world.artifacts.complete_upload(target, &state, None, body(b""), Some(0), &digest).await;
    assert!(matches!(refused.unwrap_err(), UploadError::Unknown { .. }));
    world.collect_all().await;
    assert_eq!(world.files(), 0);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_last_chunk_that_breaks_off_costs_only_itself() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let digest = Digest::of(Algorithm::Sha256, b"hello world");
    let state = world.artifacts.start_upload(Algorithm::Sha256);
    let state = world.artifacts.append(target, &state, None, body(b"hello "), None).await.unwrap();
    let broken = stream::iter([Ok(Bytes::from_static(b"wor")), Err(BodyError::Interrupted)]);
    let error = world.artifacts.complete_upload(target, &state, None, broken, Some(5), &digest).await.unwrap_err();
    assert!(matches!(error, UploadError::Body(_)));
    assert_eq!(world.artifacts.upload_status(target, &state).await.unwrap().offset, 6);
    world.artifacts.complete_upload(target, &state, None, body(b"world"), Some(5), &digest).await.unwrap();
    assert_eq!(world.read_blob("app", &digest).await.unwrap(), b"hello world");
}

#[tokio::test]
async fn a_single_chunk_must_begin_at_the_beginning() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let state = world.artifacts.start_upload(Algorithm::Sha256);
    let digest = Digest::of(Algorithm::Sha256, b"01234");
    let refused = world.artifacts.complete_upload(target, &state, Some(5), body(b"01234"), Some(5), &digest).await;
    assert!(matches!(refused.unwrap_err(), UploadError::OutOfOrder { offset: 0, position: 5 }));
    world.artifacts.complete_upload(target, &state, Some(0), body(b"01234"), Some(5), &digest).await.unwrap();
}

#[tokio::test]
async fn looking_at_sessions_leaves_no_trace_of_them() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    for _ in 0..10 {
        let state = world.artifacts.start_upload(Algorithm::Sha256);
        assert_eq!(world.artifacts.upload_status(target, &state).await.unwrap(), state);
        let refused = world.artifacts.append(target, &state, Some(7), body(b"x"), None).await.unwrap_err();
        assert!(matches!(refused, UploadError::OutOfOrder { .. }));
    }
    assert_eq!(world.artifacts.open_uploads(), 0);
    let state = world.artifacts.start_upload(Algorithm::Sha256);
    let state = world.artifacts.append(target, &state, None, body(b"kept"), None).await.unwrap();
    world.clock.advance(Duration::from_secs(10 * 60));
    world.artifacts.park_idle_uploads();
    assert_eq!(world.artifacts.upload_status(target, &state).await.unwrap().offset, 4);
}

#[tokio::test]
async fn a_blob_that_was_cut_short_is_not_served_and_may_be_pushed_again() {
    let world = World::new().await;
    let content = content();
    let digest = world.push_blob("app", &content).await;
    let cut = std::process::Command::new("find")
        .arg(world.directory.path().join("blobs"))
        .args(["-type", "f", "-exec", "truncate", "-s", "100", "{}", ";"])
        .status()
        .unwrap();
    assert!(cut.success());
    let world = world.again().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    assert!(world.artifacts.open_blob(target, &digest, Sight::Everything).await.is_err());
    assert_eq!(world.artifacts.renew_blob(target, &digest).await.unwrap(), None, "so that the client sends it");
    world.push_blob("app", &content).await;
    assert!(world.artifacts.renew_blob(target, &digest).await.unwrap().is_some());
    assert_eq!(world.read_blob("app", &digest).await.unwrap(), content);
}
