//! Pushing manifests: what is refused, and what many at once do.

use wharf_model::{Algorithm, Digest};
use wharf_registry::{Page, PutManifestError, Sight, Target};

use crate::world::{IMAGE, INDEX, World, image, index};

#[tokio::test]
async fn an_image_comes_back_exactly_as_sent() {
    let world = World::new().await;
    let config = world.push_blob("app", b"{}").await;
    let bytes = [image((&config, 2), &[], "spaces", None), b"\n  \n".to_vec()].concat();
    let outcome = world.try_push("app", "v1", bytes.clone(), IMAGE).await.unwrap();
    assert_eq!(outcome.digest, Digest::of(Algorithm::Sha256, &bytes));
    assert_eq!(world.manifest("app", "v1").await.unwrap(), bytes);
    assert_eq!(world.manifest("app", outcome.digest.as_str()).await.unwrap(), bytes);
    assert_eq!(world.manifest("other", "v1").await, None);
}

#[tokio::test]
async fn a_manifest_whose_blobs_are_missing_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let absent = Digest::of(Algorithm::Sha256, b"absent");
    let refused = world.try_push("app", "v1", image((&absent, 6), &[], "", None), IMAGE).await.unwrap_err();
    assert!(matches!(refused, PutManifestError::BlobsMissing { missing, .. } if missing == [absent.clone()]));
    // A blob in another repository of the registry does not count.
    world.push_blob("other", b"absent").await;
    assert!(world.try_push("app", "v1", image((&absent, 6), &[], "", None), IMAGE).await.is_err());
    let child = world.push_image("other", "v1", &[b"x"]).await;
    let refused = world.try_push("app", "v1", index(&[child], ""), INDEX).await.unwrap_err();
    assert!(matches!(refused, PutManifestError::ManifestsMissing { .. }));
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    assert_eq!(world.artifacts.list_tags(target, Page { limit: 10, last: None }).await.unwrap(), None);
}

#[tokio::test]
async fn a_digest_must_be_that_of_the_bytes_in_its_own_algorithm() {
    let world = World::new().await;
    let config = world.push_blob_as("app", b"{}", Algorithm::Sha512).await;
    let bytes = image((&config, 2), &[], "", None);
    let wrong = Digest::of(Algorithm::Sha256, b"else");
    let refused = world.try_push("app", wrong.as_str(), bytes.clone(), IMAGE).await.unwrap_err();
    assert!(matches!(refused, PutManifestError::DigestMismatch { .. }));
    let long = Digest::of(Algorithm::Sha512, &bytes);
    assert_eq!(world.try_push("app", long.as_str(), bytes.clone(), IMAGE).await.unwrap().digest, long);
    assert_eq!(world.manifest("app", long.as_str()).await.unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_writers_of_one_tag_one_wins_and_all_manifests_stay() {
    let world = std::sync::Arc::new(World::new().await);
    let config = world.push_blob("app", b"{}").await;
    let mut writers = Vec::new();
    for i in 0..100 {
        let (world, config) = (world.clone(), config.clone());
        writers.push(tokio::spawn(async move {
            let bytes = image((&config, 2), &[], &i.to_string(), None);
            world.try_push("app", "latest", bytes, IMAGE).await.unwrap().digest
        }));
    }
    let mut digests = Vec::new();
    for writer in writers {
        digests.push(writer.await.unwrap());
    }
    let won = Digest::of(Algorithm::Sha256, &world.manifest("app", "latest").await.unwrap());
    assert!(digests.contains(&won));
    for digest in &digests {
        assert!(world.manifest("app", digest.as_str()).await.is_some());
    }
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_attachments_are_all_listed_in_pages_with_those_of_old_clients() {
    let world = std::sync::Arc::new(World::new().await);
    let subject = world.push_image("app", "v1", &[b"layer"]).await;
    let config = world.push_blob("app", b"{}").await;
    let mut pushes = Vec::new();
    for i in 0..20 {
        let (world, subject, config) = (world.clone(), subject.clone(), config.clone());
        pushes.push(tokio::spawn(async move {
            let bytes = image((&config, 2), &[], &format!("sig {i}"), Some(&subject));
            let digest = Digest::of(Algorithm::Sha256, &bytes);
            let outcome = world.try_push("app", digest.as_str(), bytes, IMAGE).await.unwrap();
            assert_eq!(outcome.subject.as_ref(), Some(&subject));
        }));
    }
    for push in pushes {
        push.await.unwrap();
    }
    // An old client keeps its attachment in an index under the referrers tag.
    let old = world.push_image("app", "attached", &[b"sbom"]).await;
    let tag = format!("sha256-{}", subject.hex());
    world.try_push("app", &tag, index(std::slice::from_ref(&old), ""), INDEX).await.unwrap();

    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let mut all = Vec::new();
    loop {
        let last = all.last().map(|digest: &Digest| digest.as_str().to_owned());
        let page = Page { limit: 6, last };
        let listing = world.artifacts.list_referrers(target, &subject, None, page, Sight::Everything).await.unwrap();
        all.extend(listing.items.into_iter().map(|descriptor| descriptor.digest));
        if !listing.more {
            break;
        }
    }
    assert_eq!(all.len(), 21);
    assert!(all.is_sorted() && all.contains(&old));
    let page = Page { limit: 100, last: None };
    let kind = Some("application/vnd.example.signature");
    let signatures = world.artifacts.list_referrers(target, &subject, kind, page, Sight::Everything).await.unwrap();
    assert_eq!(signatures.items.len(), 20);
    assert!(signatures.items[0].annotations.as_ref().unwrap()["note"].as_str().unwrap().starts_with("sig"));
}

#[tokio::test]
async fn referrers_with_huge_annotations_come_in_small_pages_and_none_is_lost() {
    let world = World::new().await;
    let subject = world.push_image("app", "v1", &[b"layer"]).await;
    let config = world.push_blob("app", b"{}").await;
    let note = "x".repeat(1 << 20);
    for i in 0..9 {
        let bytes = image((&config, 2), &[], &format!("{i}{note}"), Some(&subject));
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        world.try_push("app", digest.as_str(), bytes, IMAGE).await.unwrap();
    }
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let last = all.last().map(|digest: &Digest| digest.as_str().to_owned());
        let listing = world
            .artifacts
            .list_referrers(target, &subject, None, Page { limit: 1000, last }, Sight::Everything)
            .await
            .unwrap();
        assert!(!listing.items.is_empty() && listing.items.len() <= 4);
        all.extend(listing.items.into_iter().map(|descriptor| descriptor.digest));
        pages += 1;
        if !listing.more {
            break;
        }
    }
    assert_eq!((all.len(), pages), (9, 3));
}
