//! Deleting tags, manifests and blobs.

use std::sync::Arc;
use std::time::Duration;

use wharf_metadata::registries;
use wharf_registry::{DeleteBlobError, Page, Sight, Target};

use crate::world::{IMAGE, World, image};

#[tokio::test]
async fn deleting_a_tag_leaves_its_manifest_and_deleting_the_digest_takes_all_tags() {
    let world = World::new().await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    let bytes = world.manifest("app", "v1").await.unwrap();
    world.try_push("app", "v2", bytes.clone(), IMAGE).await.unwrap();
    assert!(world.delete("app", "v1").await);
    assert!(!world.delete("app", "v1").await);
    assert_eq!(world.manifest("app", "v1").await, None);
    assert_eq!(world.manifest("app", "v2").await.unwrap(), bytes);
    assert!(world.delete("app", digest.as_str()).await);
    assert_eq!(world.manifest("app", "v2").await, None);
    assert_eq!(world.manifest("app", digest.as_str()).await, None);
    let listing = world.artifacts.list_repositories(&world.registry, Page { limit: 10, last: None }).await.unwrap();
    assert!(listing.items.is_empty(), "a repository ends with its last manifest");
    world.assert_sound().await;
}

#[tokio::test]
async fn the_whole_tree_of_referrers_goes_with_its_subject() {
    let world = World::new().await;
    let subject = world.push_image("app", "v1", &[b"layer"]).await;
    let config = world.push_blob("app", b"{}").await;
    let mut chain = vec![subject.clone()];
    for depth in 0..4 {
        let bytes = image((&config, 2), &[], &depth.to_string(), chain.last());
        chain.push(world.try_push("app", &format!("sig{depth}"), bytes, IMAGE).await.unwrap().digest);
    }
    let bystander = world.push_image("app", "other", &[b"layer"]).await;
    assert!(world.delete("app", subject.as_str()).await);
    for digest in &chain {
        assert_eq!(world.manifest("app", digest.as_str()).await, None);
    }
    assert!(world.manifest("app", bystander.as_str()).await.is_some());
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tag_ever_names_a_manifest_that_was_deleted() {
    let world = Arc::new(World::new().await);
    let config = world.push_blob("app", b"{}").await;
    let bytes = image((&config, 2), &[], "raced", None);
    let digest = world.try_push("app", "v0", bytes.clone(), IMAGE).await.unwrap().digest;
    for round in 0..25 {
        let (pusher, deleter) = (world.clone(), world.clone());
        let (bytes, digest) = (bytes.clone(), digest.clone());
        let push =
            tokio::spawn(async move { pusher.try_push("app", &format!("v{round}"), bytes, IMAGE).await.is_ok() });
        let delete = tokio::spawn(async move { deleter.delete("app", digest.as_str()).await });
        assert!(push.await.unwrap());
        delete.await.unwrap();
        let name = "app".parse().unwrap();
        let target = Target { registry: &world.registry, repository: &name };
        let listing = world.artifacts.list_tags(target, Page { limit: 100, last: None }).await.unwrap();
        for tag in listing.map(|listing| listing.items).unwrap_or_default() {
            assert!(world.manifest("app", &tag).await.is_some(), "{tag} in round {round}");
        }
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn a_blob_in_use_is_not_deleted_and_a_deleted_one_is_gone_from_its_repository_alone() {
    let world = World::new().await;
    world.push_image("one", "v1", &[b"shared"]).await;
    let digest = world.push_blob("two", b"shared").await;
    let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
    let (one, two) = (
        Target { registry: &world.registry, repository: &one },
        Target { registry: &world.registry, repository: &two },
    );
    let refused = world.artifacts.delete_blob(one, &digest, "test").await.unwrap_err();
    assert!(matches!(refused, DeleteBlobError::InUse { .. }));
    // Read it everywhere first, so that every cache knows it.
    assert!(world.read_blob("one", &digest).await.is_some());
    assert!(world.read_blob("two", &digest).await.is_some());
    world.artifacts.delete_blob(two, &digest, "test").await.unwrap();
    assert!(world.read_blob("one", &digest).await.is_some());
    assert!(world.read_blob("two", &digest).await.is_none());
    assert!(world.artifacts.find_blob(two, &digest, Sight::Everything).await.unwrap().is_none());
    let again = world.artifacts.delete_blob(two, &digest, "test").await.unwrap_err();
    assert!(matches!(again, DeleteBlobError::Unknown { .. }));
}

#[tokio::test]
async fn a_mount_needs_the_right_to_read_the_source() {
    let world = World::new().await;
    let digest = world.push_blob("secret", b"bytes of a blob").await;
    let (secret, name) = ("secret".parse().unwrap(), "app".parse().unwrap());
    let app = Target { registry: &world.registry, repository: &name };
    let no = |_: &wharf_model::RepositoryName| false;
    let yes = |_: &wharf_model::RepositoryName| true;
    assert!(!world.artifacts.mount_blob(app, Some(&secret), &digest, &no).await.unwrap());
    assert!(!world.artifacts.mount_blob(app, None, &digest, &no).await.unwrap());
    assert!(world.read_blob("app", &digest).await.is_none());
    assert!(world.artifacts.mount_blob(app, None, &digest, &yes).await.unwrap());
    assert_eq!(world.read_blob("app", &digest).await.unwrap(), b"bytes of a blob");
    let absent = wharf_model::Digest::of(wharf_model::Algorithm::Sha256, b"never pushed");
    assert!(!world.artifacts.mount_blob(app, Some(&secret), &absent, &yes).await.unwrap());
}

#[tokio::test]
async fn what_a_deleted_registry_held_goes_while_nobody_sees_it() {
    let world = World::new().await;
    for repository in ["app", "team/app"] {
        for tag in ["v1", "v2"] {
            world.push_image(repository, tag, &[b"layer", tag.as_bytes()]).await;
        }
    }
    let (id, name) = (world.registry.id, world.registry.name.clone());
    world.artifacts.count_bytes().await.unwrap();
    assert!(world.artifacts.registry_size(id).await.unwrap() > 0);
    let database = world.artifacts.database().clone();
    let at = wharf_model::Clock::now(world.clock.as_ref());
    database.write(move |c| Box::pin(registries::hide(c, id, "somebody", at))).await.unwrap();
    world.artifacts.forget_registry(&name);
    assert!(world.artifacts.find_registry(&name).await.unwrap().is_none());
    world.assert_sound().await;

    // Another process takes it up, as after a crash.
    let again = world.again().await;
    assert_eq!(again.artifacts.remove_deleted_registries().await.unwrap(), 0, "others are still to hear of it");
    world.clock.advance(Duration::from_secs(120));
    assert_eq!(again.artifacts.remove_deleted_registries().await.unwrap(), 1);
    assert_eq!(again.artifacts.remove_deleted_registries().await.unwrap(), 0);
    world.collect_all().await;
    assert_eq!(world.files(), 0, "its blobs were garbage");
    world.assert_sound().await;
}
