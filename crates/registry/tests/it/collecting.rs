//! The collector: takes what nothing needs, and never what something does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use wharf_model::{Algorithm, Digest};
use wharf_registry::Target;

use crate::world::{IMAGE, INDEX, World, body, image, index};

const BIG: &[u8] = &[7; 40 << 10];

#[tokio::test]
async fn a_blob_is_safe_while_its_lease_runs_and_goes_in_two_phases_after() {
    let world = World::new().await;
    let digest = world.push_blob("app", BIG).await;
    world.clock.advance(Duration::from_secs(23 * 60 * 60));
    let report = world.artifacts.collect(false).await.unwrap();
    assert_eq!((report.cut_links, report.removed_blobs), (0, 0));
    assert!(world.read_blob("app", &digest).await.is_some());

    world.clock.advance(Duration::from_secs(2 * 60 * 60));
    let plan = world.artifacts.collect(true).await.unwrap();
    assert_eq!((plan.cut_links, plan.removed_blobs), (1, 0), "a dry run tells what is certain now");
    assert!(world.read_blob("app", &digest).await.is_some(), "and changes nothing");
    let report = world.artifacts.collect(false).await.unwrap();
    assert_eq!((report.cut_links, report.removed_blobs, report.removed_objects), (1, 1, 0));
    assert_eq!(world.files(), 1, "readers who had begun may go on");
    assert!(world.read_blob("app", &digest).await.is_none());

    world.clock.advance(Duration::from_secs(11 * 60));
    let report = world.artifacts.collect(false).await.unwrap();
    assert_eq!((report.removed_objects, report.freed_bytes), (1, BIG.len() as u64));
    assert_eq!(world.files(), 0);
}

#[tokio::test]
async fn who_asks_before_pushing_gets_a_fresh_lease() {
    let world = World::new().await;
    let digest = world.push_blob("app", BIG).await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    world.clock.advance(Duration::from_secs(20 * 60 * 60));
    assert!(world.artifacts.renew_blob(target, &digest).await.unwrap().is_some());
    world.clock.advance(Duration::from_secs(20 * 60 * 60));
    world.artifacts.collect(false).await.unwrap();
    let config = world.push_blob("app", b"{}").await;
    let bytes = image((&config, 2), &[(digest, BIG.len())], "late", None);
    world.try_push("app", "v1", bytes, IMAGE).await.unwrap();
}

#[tokio::test]
async fn a_layer_that_two_images_share_stays_with_the_second() {
    let world = World::new().await;
    let first = world.push_image("app", "one", &[BIG, b"only one"]).await;
    world.push_image("app", "two", &[BIG]).await;
    assert!(world.delete("app", first.as_str()).await);
    world.collect_all().await;
    assert!(world.read_blob("app", &Digest::of(Algorithm::Sha256, BIG)).await.is_some());
    assert!(world.read_blob("app", &Digest::of(Algorithm::Sha256, b"only one")).await.is_none());
    world.assert_sound().await;
}

#[tokio::test]
async fn untagged_children_of_an_index_are_never_collected() {
    let world = World::new().await;
    let children = [world.push_image("app", "a", &[b"amd64"]).await, world.push_image("app", "b", &[b"arm64"]).await];
    let outer = index(
        &[{
            let inner = index(&children, "inner");
            world.try_push("app", "inner", inner, INDEX).await.unwrap().digest
        }],
        "outer",
    );
    world.try_push("app", "outer", outer, INDEX).await.unwrap();
    for tag in ["a", "b", "inner"] {
        assert!(world.delete("app", tag).await);
    }
    world.collect_all().await;
    for digest in &children {
        assert!(world.manifest("app", digest.as_str()).await.is_some());
    }
    assert!(world.read_blob("app", &Digest::of(Algorithm::Sha256, b"arm64")).await.is_some());
    world.assert_sound().await;
}

#[tokio::test]
async fn abandoned_uploads_expire_and_strays_are_swept() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let state = world.artifacts.start_upload(Algorithm::Sha256);
    let state = world.artifacts.append(target, &state, None, body(BIG), None).await.unwrap();
    assert_eq!(world.files(), 1);
    world.clock.advance(Duration::from_secs(23 * 60 * 60));
    assert_eq!(world.artifacts.collect(false).await.unwrap().expired_uploads, 0);
    world.clock.advance(Duration::from_secs(2 * 60 * 60));
    assert_eq!(world.artifacts.collect(false).await.unwrap().expired_uploads, 1);
    assert!(world.artifacts.upload_status(target, &state).await.is_err());
    world.collect_all().await;
    assert_eq!(world.files(), 0);
    let report = world.artifacts.collect(false).await.unwrap();
    assert_eq!(report, wharf_registry::CollectReport::default(), "nothing is left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_never_miss_a_blob_that_they_were_told_is_there() {
    let world = Arc::new(World::new().await);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let collector = {
        let (world, stop) = (world.clone(), stop.clone());
        tokio::spawn(async move {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Time flies: every lease is over soon, but never within one push.
                world.clock.advance(Duration::from_secs(2 * 60 * 60));
                world.artifacts.collect(false).await.unwrap();
            }
        })
    };
    let pushers: Vec<_> = (0..4)
        .map(|p| {
            let world = world.clone();
            tokio::spawn(async move {
                for round in 0..15 {
                    let repository = format!("app{}", p % 2);
                    let tag = format!("v{p}-{round}");
                    let shared: &[u8] = if round % 2 == 0 { BIG } else { b"shared and small" };
                    let digest = world.push_image(&repository, &tag, &[shared]).await;
                    if round % 3 == 0 {
                        assert!(world.delete(&repository, digest.as_str()).await);
                    }
                }
            })
        })
        .collect();
    for pusher in pushers {
        pusher.await.unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    collector.await.unwrap();
    world.assert_sound().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// A random graph of images over shared layers, some of them deleted: after a collection everything that can be
    /// reached can be read, and everything that cannot is gone.
    #[test]
    fn exactly_the_reachable_survives(
        images in prop::collection::vec((prop::collection::vec(0u8..6, 1..4), any::<bool>(), 0u8..2), 1..10),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async move {
            let world = World::new().await;
            let content = |layer: u8| if layer < 3 { vec![layer; 40 << 10] } else { vec![layer; 10] };
            let mut held: HashMap<(u8, Digest), bool> = HashMap::new();
            for (number, (layers, deleted, repository)) in images.iter().enumerate() {
                let name = format!("app{repository}");
                let layers: Vec<Vec<u8>> = layers.iter().map(|&layer| content(layer)).collect();
                let borrowed: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
                let digest = world.push_image(&name, &format!("v{number}"), &borrowed).await;
                for layer in &layers {
                    *held.entry((*repository, Digest::of(Algorithm::Sha256, layer))).or_default() |= !deleted;
                }
                if *deleted {
                    assert!(world.delete(&name, digest.as_str()).await);
                }
            }
            world.collect_all().await;
            for ((repository, digest), reachable) in held {
                let found = world.read_blob(&format!("app{repository}"), &digest).await;
                assert_eq!(found.is_some(), reachable, "{digest} in app{repository}");
                assert!(found.is_none_or(|bytes| Digest::of(Algorithm::Sha256, &bytes) == digest));
            }
            world.assert_sound().await;
        });
    }
}
