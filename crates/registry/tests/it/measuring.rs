//! The bytes of repositories and registries.

use wharf_metadata::sizes::RepositorySize;
use wharf_registry::Target;

use crate::world::World;

impl World {
    async fn size(&self, repository: &str) -> (i64, i64) {
        let name = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        let RepositorySize { logical_bytes, unique_bytes } =
            self.artifacts.describe_repository(target).await.unwrap().size;
        (logical_bytes, unique_bytes)
    }

    async fn total(&self) -> u64 {
        self.artifacts.registry_size(self.registry.id).await.unwrap()
    }
}

#[tokio::test]
async fn bytes_follow_pushes_mounts_deletions_and_the_collector() {
    let world = World::new().await;
    world.push_image("one", "v1", &[b"shared layer", b"own"]).await;
    world.push_image("one", "v2", &[b"shared layer"]).await;
    assert_eq!((world.size("one").await, world.total().await), ((0, 0), 0));
    world.assert_sound().await;
    world.artifacts.count_bytes().await.unwrap();
    assert_eq!((world.size("one").await, world.total().await), ((17, 17), 17));

    let (from, to) = ("one".parse().unwrap(), "two".parse().unwrap());
    let target = Target { registry: &world.registry, repository: &to };
    let layer = wharf_model::Digest::of(wharf_model::Algorithm::Sha256, b"shared layer");
    assert!(world.artifacts.mount_blob(target, Some(&from), &layer, &|_| true).await.unwrap());
    let digest = world.push_image("two", "v1", &[b"shared layer"]).await;
    world.artifacts.count_bytes().await.unwrap();
    assert_eq!((world.size("one").await, world.size("two").await, world.total().await), ((17, 3), (14, 0), 17));

    assert!(world.delete("two", digest.as_str()).await);
    let name = "one".parse().unwrap();
    let one = Target { registry: &world.registry, repository: &name };
    let digest = world.artifacts.describe_tag(one, &"v1".parse().unwrap()).await.unwrap().digest;
    assert!(world.delete("one", &digest).await);
    world.artifacts.count_bytes().await.unwrap();
    assert_eq!(world.size("one").await, (17, 3), "until the collector comes");
    world.collect_all().await;
    world.assert_sound().await;
    world.artifacts.count_bytes().await.unwrap();
    assert_eq!((world.size("one").await, world.total().await), ((14, 14), 14));

    world.artifacts.delete_repository(one, "test").await.unwrap();
    world.collect_all().await;
    world.artifacts.count_bytes().await.unwrap();
    assert_eq!(world.total().await, 0);
    world.assert_sound().await;
}

#[tokio::test]
async fn much_that_waits_is_counted_in_parts_and_by_whoever_comes() {
    let world = World::new().await;
    for number in 0..300 {
        world.push_blob("app", format!("{number:04}").as_bytes()).await;
    }
    let other = world.again().await;
    let (one, two) = tokio::join!(world.artifacts.count_bytes(), other.artifacts.count_bytes());
    one.unwrap();
    two.unwrap();
    assert_eq!(world.total().await, 1200);
    world.assert_sound().await;
}
