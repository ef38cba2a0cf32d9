//! Tags that are written once.

use std::sync::Arc;

use wharf_model::{LocksChange, RepositoryName};
use wharf_registry::{PutManifest, PutManifestError, RepositoryChange, TaggingError, Target};

use crate::world::{IMAGE, World, image};

async fn world(patterns: &[&str]) -> World {
    let mut world = World::new().await;
    world.push_blob("app", b"{}").await;
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    world.set_policies(|settings| settings.write_once_tags = patterns).await;
    world
}

async fn push(world: &World, tag: &str, note: &str) -> Result<(), PutManifestError> {
    let config = world.push_blob("app", b"{}").await;
    world.try_push("app", tag, image((&config, 2), &[], note, None), IMAGE).await.map(drop)
}

async fn set_patterns(world: &World, patterns: &[&str]) {
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    let change = RepositoryChange { locks: LocksChange::default(), write_once_tags: Some(patterns) };
    world.artifacts.update_repository(target, change, "test").await.unwrap();
}

#[tokio::test]
async fn a_tag_that_is_written_once_is_set_kept_and_deleted_but_not_moved() {
    let world = world(&["v*"]).await;
    push(&world, "v1", "one").await.unwrap();
    push(&world, "v1", "one").await.unwrap();
    let refused = push(&world, "v1", "two").await.unwrap_err();
    let text = refused.to_string();
    assert!(matches!(&refused, PutManifestError::Tagging(TaggingError::WriteOnce { .. })), "{text}");
    for told in ["v1", "app", "v*", "sha256:"] {
        assert!(text.contains(told), "{text}");
    }
    assert!(world.manifest("app", "v1").await.unwrap().windows(5).any(|part| part == b"\"one\""));
    push(&world, "latest", "one").await.unwrap();
    push(&world, "latest", "two").await.unwrap();
    assert!(world.delete("app", "v1").await);
    push(&world, "v1", "two").await.unwrap();
    push(&world, "v1", "one").await.unwrap_err();
    world.assert_sound().await;
}

#[tokio::test]
async fn patterns_of_a_repository_count_beside_those_of_its_registry_and_end_with_it() {
    let world = world(&["v*"]).await;
    push(&world, "rc-1", "one").await.unwrap();
    set_patterns(&world, &["rc-?"]).await;
    push(&world, "rc-1", "two").await.unwrap_err();
    push(&world, "rc-10", "one").await.unwrap();
    push(&world, "rc-10", "two").await.unwrap();
    set_patterns(&world, &[]).await;
    push(&world, "rc-1", "two").await.unwrap();
    set_patterns(&world, &["*"]).await;
    push(&world, "rc-1", "three").await.unwrap_err();
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    world.artifacts.delete_repository(target, "test").await.unwrap();
    push(&world, "rc-1", "one").await.unwrap();
    push(&world, "rc-1", "two").await.unwrap();
    push(&world, "v1", "one").await.unwrap();
    push(&world, "v1", "two").await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_who_push_a_new_tag_at_once_one_wins() {
    let world = Arc::new(world(&["*"]).await);
    let pushes = (0..100).map(|n| {
        let world = world.clone();
        tokio::spawn(async move { (n, push(&world, "v1", &format!("<{n}>")).await) })
    });
    let mut winners = Vec::new();
    for push in pushes.collect::<Vec<_>>() {
        match push.await.unwrap() {
            (n, Ok(())) => winners.push(n),
            (_, Err(PutManifestError::Tagging(TaggingError::WriteOnce { .. }))) => {}
            (n, Err(error)) => panic!("{n}: {error}"),
        }
    }
    let [winner] = winners[..] else { panic!("{winners:?}") };
    let manifest = String::from_utf8(world.manifest("app", "v1").await.unwrap()).unwrap();
    assert!(manifest.contains(&format!("<{winner}>")), "{manifest}");
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let found = world.artifacts.describe_repository(target).await.unwrap();
    assert_eq!((found.manifest_count, found.tag_count), (1, 1), "of the others nothing was kept");
    world.assert_sound().await;
}

#[tokio::test]
async fn who_wants_something_new_is_refused_what_is_there() {
    let world = world(&[]).await;
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let config = world.push_blob("app", b"{}").await;
    let put = |reference: &str, note: &str| PutManifest {
        reference: reference.parse().unwrap(),
        tags: Vec::new(),
        content_type: Some(IMAGE.into()),
        bytes: image((&config, 2), &[], note, None).into(),
        only_new: true,
        actor: "test".into(),
    };
    let digest = world.artifacts.put_manifest(target, put("v1", "one")).await.unwrap().digest;
    for note in ["one", "two"] {
        let refused = world.artifacts.put_manifest(target, put("v1", note)).await.unwrap_err();
        assert!(matches!(refused, PutManifestError::Tagging(TaggingError::Exists { .. })), "{refused}");
    }
    let refused = world.artifacts.put_manifest(target, put(digest.as_str(), "one")).await.unwrap_err();
    assert!(matches!(refused, PutManifestError::Exists { .. }), "{refused}");
    world.artifacts.put_manifest(target, put("v2", "one")).await.unwrap();
    world.assert_sound().await;
}
