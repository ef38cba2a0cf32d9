//! Holds on objects, as a backup takes them.

use std::time::Duration;

use wharf_model::{Algorithm, Digest};
use wharf_registry::Target;

use crate::world::World;

const BIG: &[u8] = &[9; 100 << 10];

const HOUR: Duration = Duration::from_secs(60 * 60);

/// How many objects the collector removes, long after a blob was deleted.
async fn removed(world: &World) -> u64 {
    let first = world.artifacts.collect(false).await.unwrap().removed_objects;
    world.clock.advance(HOUR / 5);
    first + world.artifacts.collect(false).await.unwrap().removed_objects
}

async fn world_with_garbage() -> World {
    let world = World::new().await;
    world.push_blob("app", BIG).await;
    let target = Target { registry: &world.registry, repository: &"app".parse().unwrap() };
    world.artifacts.delete_blob(target, &Digest::of(Algorithm::Sha256, BIG), "test").await.unwrap();
    world
}

#[tokio::test]
async fn objects_stay_until_the_last_hold_is_released() {
    let world = world_with_garbage().await;
    let one = world.artifacts.hold_objects().await.unwrap();
    let other = world.artifacts.hold_objects().await.unwrap();
    assert_eq!(removed(&world).await, 0);
    world.artifacts.release_objects(one).await.unwrap();
    assert_eq!(removed(&world).await, 0, "a hold is nobody else's to release");
    world.artifacts.release_objects(other).await.unwrap();
    assert_eq!(removed(&world).await, 1);
}

#[tokio::test]
async fn a_hold_ends_by_itself_unless_it_is_renewed() {
    let world = world_with_garbage().await;
    let mut hold = world.artifacts.hold_objects().await.unwrap();
    for _ in 0..4 {
        world.clock.advance(HOUR / 2);
        world.artifacts.renew_hold(&mut hold).await.unwrap();
        assert_eq!(removed(&world).await, 0);
    }
    world.clock.advance(HOUR);
    assert_eq!(removed(&world).await, 1);
}
