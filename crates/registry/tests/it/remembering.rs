//! What one process remembers while another one changes the data.

use crate::world::{IMAGE, World, image};
use wharf_model::LocksChange;
use wharf_registry::{Sight, Target};

#[tokio::test]
async fn a_process_hears_what_another_one_changed() {
    let world = World::new().await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    let other = world.again().await;
    let cursor = other.artifacts.last_change().await.unwrap();
    // The other process has read everything and remembers it.
    let before = other.manifest("app", "v1").await.unwrap();
    assert!(other.manifest("app", digest.as_str()).await.is_some());
    let config = world.push_blob("app", b"{}").await;
    assert!(other.read_blob("app", &config).await.is_some());

    let moved = image((&config, 2), &[], "moved", None);
    world.try_push("app", "v1", moved.clone(), IMAGE).await.unwrap();
    assert!(world.delete("app", digest.as_str()).await);
    let cursor = other.artifacts.follow_changes(cursor).await.unwrap();
    assert_ne!(before, moved);
    assert_eq!(other.manifest("app", "v1").await.unwrap(), moved);
    assert_eq!(other.manifest("app", digest.as_str()).await, None);

    let moved = wharf_model::Digest::of(wharf_model::Algorithm::Sha256, &moved);
    assert!(world.delete("app", moved.as_str()).await);
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    world.artifacts.delete_blob(target, &config, "test").await.unwrap();
    other.artifacts.follow_changes(cursor).await.unwrap();
    assert_eq!(other.manifest("app", "v1").await, None);
    assert!(other.read_blob("app", &config).await.is_none());
}

#[tokio::test]
async fn a_blob_that_another_process_collected_can_be_pushed_again_and_is_there() {
    let world = World::new().await;
    let digest = world.push_blob("app", b"again and again").await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    assert!(world.artifacts.find_blob(target, &digest, Sight::Everything).await.unwrap().is_some(), "remembered");
    world.again().await.collect_all().await;
    world.push_blob("app", b"again and again").await;
    assert!(world.artifacts.renew_blob(target, &digest).await.unwrap().is_some());
    world.clock.advance(std::time::Duration::from_secs(20 * 60 * 60));
    assert!(world.artifacts.renew_blob(target, &digest).await.unwrap().is_some());
    assert_eq!(world.read_blob("app", &digest).await.unwrap(), b"again and again");
}

#[tokio::test]
async fn a_process_hears_of_locks_that_another_one_set() {
    let world = World::new().await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    let layer = wharf_model::Digest::of(wharf_model::Algorithm::Sha256, b"layer");
    let other = world.again().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let tag: wharf_model::Tag = "v1".parse().unwrap();
    for what in ["repository", "tag", "manifest"] {
        let cursor = other.artifacts.last_change().await.unwrap();
        assert!(other.manifest("app", "v1").await.is_some());
        assert!(other.read_blob("app", &layer).await.is_some());
        for read_enabled in [false, true] {
            let change = LocksChange { read_enabled: Some(read_enabled), ..LocksChange::default() };
            match what {
                "repository" => drop(world.artifacts.update_repository(target, change, "test").await.unwrap()),
                "tag" => drop(world.artifacts.update_tag(target, &tag, change, "test").await.unwrap()),
                _ => drop(world.artifacts.update_manifest(target, &digest, change, "test").await.unwrap()),
            }
            other.artifacts.follow_changes(cursor).await.unwrap();
            let pulled = other.artifacts.get_manifest(target, &"v1".parse().unwrap(), Sight::Everything).await;
            assert_eq!(pulled.is_ok(), read_enabled, "{what}");
            let is_open = read_enabled || what != "repository";
            assert_eq!(other.artifacts.open_blob(target, &layer, Sight::Everything).await.is_ok(), is_open, "{what}");
        }
    }
    let cursor = other.artifacts.last_change().await.unwrap();
    let deleted = world.artifacts.delete_repository(target, "test").await.unwrap();
    assert_eq!((deleted.manifests.len(), deleted.tags), (1, vec!["v1".to_owned()]));
    other.artifacts.follow_changes(cursor).await.unwrap();
    assert_eq!(other.manifest("app", "v1").await, None);
    assert!(other.read_blob("app", &layer).await.is_none());
}
