//! The platforms of manifests.

use wharf_oci::Order;
use wharf_registry::{Page, Target};

use crate::world::{IMAGE, World, image};

/// What the list says of the platform of the only manifest.
async fn platform(world: &World) -> (Option<String>, Option<String>) {
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let page = Page { limit: 10, last: None };
    let mut listing = world.artifacts.list_manifest_attributes(target, Order::Lexical, page).await.unwrap();
    let found = listing.items.pop().unwrap();
    (found.architecture, found.os)
}

fn known() -> (Option<String>, Option<String>) {
    (Some("arm64".to_owned()), Some("linux".to_owned()))
}

async fn push(world: &World, padding: usize) {
    let padding = "x".repeat(padding);
    let config = format!(r#"{{"architecture":"arm64","os":"linux","padding":"{padding}"}}"#);
    let digest = world.push_blob("app", config.as_bytes()).await;
    world.try_push("app", "v1", image((&digest, config.len()), &[], "", None), IMAGE).await.unwrap();
}

#[tokio::test]
async fn the_platform_is_recorded_with_the_push() {
    // The first config travels in the metadata, the other is large enough for an object of its own.
    for padding in [0, 20_000] {
        let world = World::new().await;
        push(&world, padding).await;
        assert_eq!(platform(&world).await, known());
        assert_eq!(world.artifacts.describe_manifests().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_platform_that_could_not_be_read_at_the_push_is_read_later() {
    let world = World::new().await;
    let config = format!(r#"{{"architecture":"arm64","os":"linux","padding":"{}"}}"#, "x".repeat(20_000));
    let digest = world.push_blob("app", config.as_bytes()).await;
    let (blobs, away) = (world.directory.path().join("blobs"), world.directory.path().join("away"));
    std::fs::rename(&blobs, &away).unwrap();
    let other = world.again().await;
    other.try_push("app", "v1", image((&digest, config.len()), &[], "", None), IMAGE).await.unwrap();
    assert_eq!(platform(&world).await, (None, None));
    assert_eq!(other.artifacts.describe_manifests().await.unwrap(), 0);
    std::fs::remove_dir_all(&blobs).unwrap();
    std::fs::rename(&away, &blobs).unwrap();
    let other = world.again().await;
    assert_eq!(other.artifacts.describe_manifests().await.unwrap(), 1);
    assert_eq!(other.artifacts.describe_manifests().await.unwrap(), 0);
    assert_eq!(platform(&world).await, known());
}
