//! Retention of untagged manifests.

use std::sync::Arc;
use std::time::Duration;

use wharf_metadata::registries::Retention;
use wharf_model::{Clock as _, Digest, LocksChange, RepositoryName};
use wharf_registry::{Page, Target};

use crate::world::{IMAGE, INDEX, World, image, index};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A registry that keeps untagged manifests for so many days, with a repository that stays.
async fn keeping(days: i64) -> World {
    let mut world = World::new().await;
    world.push_image("app", "stays", &[b"layer"]).await;
    switch_on(&mut world, days).await;
    world
}

async fn switch_on(world: &mut World, days: i64) {
    world.clock.advance(Duration::from_secs(1));
    let since = world.clock.now().0;
    world.set_policies(|settings| settings.retention = Some(Retention { days, since })).await;
    world.clock.advance(Duration::from_secs(1));
}

async fn switch_off(world: &mut World) {
    world.set_policies(|settings| settings.retention = None).await;
}

async fn removed(world: &World) -> u64 {
    world.artifacts.remove_untagged_manifests().await.unwrap()
}

async fn is_there(world: &World, digest: &Digest) -> bool {
    world.manifest("app", digest.as_str()).await.is_some()
}

async fn lock(world: &World, digest: &Digest, change: LocksChange) {
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    world.artifacts.update_manifest(target, digest, change, "test").await.unwrap();
}

#[tokio::test]
async fn whatever_takes_the_last_tag_off_a_manifest_gives_it_a_date() {
    let world = keeping(7).await;
    let overwritten = world.push_image("app", "v1", &[b"1"]).await;
    world.push_image("app", "v1", &[b"2"]).await;
    let untagged = world.push_image("app", "v2", &[b"3"]).await;
    assert!(world.delete("app", "v2").await);
    let twice = world.push_image("app", "v3", &[b"4"]).await;
    let bytes = world.manifest("app", "v3").await.unwrap();
    world.try_push("app", "v4", bytes, IMAGE).await.unwrap();
    assert!(world.delete("app", "v3").await);
    world.clock.advance(DAY);
    assert!(world.delete("app", "v4").await);

    world.clock.advance(6 * DAY - Duration::from_secs(1));
    assert_eq!(removed(&world).await, 0);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(removed(&world).await, 2);
    assert!(!is_there(&world, &overwritten).await && !is_there(&world, &untagged).await);
    assert!(is_there(&world, &twice).await, "it had a tag for a day longer");
    world.clock.advance(DAY);
    assert_eq!(removed(&world).await, 1);
    assert!(!is_there(&world, &twice).await);
    assert_eq!(removed(&world).await, 0);
    assert!(world.manifest("app", "v1").await.is_some());
    world.assert_sound().await;
}

#[tokio::test]
async fn what_is_tagged_again_lives_and_its_next_date_is_a_new_one() {
    let world = keeping(7).await;
    let digest = world.push_image("app", "v1", &[b"1"]).await;
    let bytes = world.manifest("app", "v1").await.unwrap();
    assert!(world.delete("app", "v1").await);
    world.clock.advance(5 * DAY);
    world.try_push("app", "v2", bytes, IMAGE).await.unwrap();
    world.clock.advance(100 * DAY);
    assert_eq!(removed(&world).await, 0);
    assert!(world.manifest("app", "v2").await.is_some());
    assert!(world.delete("app", "v2").await);
    world.clock.advance(6 * DAY);
    assert_eq!(removed(&world).await, 0, "the days are counted anew");
    world.clock.advance(DAY);
    assert_eq!(removed(&world).await, 1);
    assert!(!is_there(&world, &digest).await);
}

/// The reconciler has read what is due, and meanwhile somebody tags it: whoever is first, what has a tag can be pulled.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_tagged_while_it_is_being_removed_is_never_lost() {
    let world = Arc::new(keeping(0).await);
    for round in 0..40 {
        let mut pushes = Vec::new();
        for n in 0..5 {
            let note = format!("{round}-{n}");
            let config = world.push_blob("app", b"{}").await;
            let bytes = image((&config, 2), &[], &note, None);
            let digest = world.try_push("app", "moving", bytes.clone(), IMAGE).await.unwrap().digest;
            pushes.push((format!("kept-{note}"), bytes, digest));
        }
        assert!(world.delete("app", "moving").await);
        let remover = world.clone();
        let removal = tokio::spawn(async move { removed(&remover).await });
        let tagging = pushes.into_iter().map(|(tag, bytes, digest)| {
            let world = world.clone();
            tokio::spawn(async move {
                world.try_push("app", &tag, bytes, IMAGE).await.unwrap();
                (tag, digest)
            })
        });
        let tagging: Vec<_> = tagging.collect();
        removal.await.unwrap();
        for tagged in tagging {
            let (tag, digest) = tagged.await.unwrap();
            assert!(world.manifest("app", &tag).await.is_some(), "{tag}");
            assert!(is_there(&world, &digest).await, "{tag}");
        }
        assert_eq!(removed(&world).await, 0);
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn a_policy_that_is_switched_off_forgets_all_dates_for_good() {
    let mut world = World::new().await;
    world.push_image("app", "stays", &[b"layer"]).await;
    let before = world.push_image("app", "v0", &[b"0"]).await;
    assert!(world.delete("app", "v0").await);
    switch_on(&mut world, 7).await;
    let during = world.push_image("app", "v1", &[b"1"]).await;
    assert!(world.delete("app", "v1").await);
    world.clock.advance(30 * DAY);
    switch_off(&mut world).await;
    assert_eq!(removed(&world).await, 0);
    switch_on(&mut world, 7).await;
    assert_eq!(removed(&world).await, 0, "it is not revived");
    let after = world.push_image("app", "v2", &[b"2"]).await;
    assert!(world.delete("app", "v2").await);
    world.clock.advance(30 * DAY);
    assert_eq!(removed(&world).await, 1);
    assert!(is_there(&world, &before).await, "it was untagged before there was a policy");
    assert!(is_there(&world, &during).await && !is_there(&world, &after).await);
    switch_off(&mut world).await;
    switch_on(&mut world, 0).await;
    assert_eq!(removed(&world).await, 0);
}

#[tokio::test]
async fn the_date_is_that_of_the_policy_at_the_time() {
    let mut world = keeping(30).await;
    let since = world.registry.settings.retention.unwrap().since;
    let digest = world.push_image("app", "v1", &[b"1"]).await;
    assert!(world.delete("app", "v1").await);
    world.set_policies(|settings| settings.retention = Some(Retention { days: 1, since })).await;
    world.clock.advance(29 * DAY);
    assert_eq!(removed(&world).await, 0);
    assert!(is_there(&world, &digest).await);
    world.clock.advance(DAY);
    assert_eq!(removed(&world).await, 1);
}

#[tokio::test]
async fn locks_protect_and_what_is_unlocked_goes() {
    let world = keeping(7).await;
    let locks = [
        LocksChange { delete_enabled: Some(false), ..LocksChange::default() },
        LocksChange { write_enabled: Some(false), ..LocksChange::default() },
    ];
    let unlock = LocksChange { delete_enabled: Some(true), write_enabled: Some(true), ..LocksChange::default() };
    for (change, layer) in locks.into_iter().zip([b"1", b"2"]) {
        let digest = world.push_image("app", "v1", &[layer]).await;
        lock(&world, &digest, change).await;
        assert!(world.delete("app", "v1").await, "the tag is not locked");
        world.clock.advance(30 * DAY);
        assert_eq!(removed(&world).await, 0);
        assert_eq!(removed(&world).await, 0, "nor at the next look");
        assert!(is_there(&world, &digest).await);
        lock(&world, &digest, unlock).await;
        assert_eq!(removed(&world).await, 1);
        assert!(!is_there(&world, &digest).await);
    }
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let digest = world.push_image("app", "v1", &[b"3"]).await;
    assert!(world.delete("app", "v1").await);
    let freeze = LocksChange { write_enabled: Some(false), ..LocksChange::default() };
    world.artifacts.update_repository(target, freeze, "test").await.unwrap();
    world.clock.advance(30 * DAY);
    assert_eq!(removed(&world).await, 0);
    world.artifacts.update_repository(target, unlock, "test").await.unwrap();
    world.clock.advance(Duration::from_secs(60 * 60));
    assert_eq!(removed(&world).await, 1, "within an hour after its repository is unlocked");
    assert!(!is_there(&world, &digest).await);
    world.assert_sound().await;
}

#[tokio::test]
async fn what_an_index_lists_waits_for_the_index() {
    let world = keeping(7).await;
    let config = world.push_blob("app", b"{}").await;
    let child = |note: &str| image((&config, 2), &[], note, None);
    let mut children = Vec::new();
    for note in ["amd64", "arm64"] {
        let bytes = child(note);
        let digest = Digest::of(wharf_model::Algorithm::Sha256, &bytes);
        world.try_push("app", digest.as_str(), bytes, IMAGE).await.unwrap();
        children.push(digest);
    }
    let list = world.try_push("app", "multi", index(&children, "1"), INDEX).await.unwrap().digest;
    // One of them had a tag of its own.
    world.try_push("app", "single", child("amd64"), IMAGE).await.unwrap();
    assert!(world.delete("app", "single").await);
    world.clock.advance(30 * DAY);
    assert_eq!(removed(&world).await, 0, "the index lists it");
    assert!(world.delete("app", "multi").await);
    world.clock.advance(7 * DAY);
    assert_eq!(removed(&world).await, 1, "the index alone");
    assert!(!is_there(&world, &list).await);
    for child in &children {
        assert!(is_there(&world, child).await);
    }
    world.clock.advance(6 * DAY);
    world.try_push("app", "multi", index(&children[..1], "2"), INDEX).await.unwrap();
    world.clock.advance(DAY);
    assert_eq!(removed(&world).await, 1, "the one that no other index lists by now");
    assert!(is_there(&world, &children[0]).await && !is_there(&world, &children[1]).await);
    world.assert_sound().await;
}

#[tokio::test]
async fn referrers_go_with_their_subject_unless_one_has_a_tag() {
    let world = keeping(7).await;
    let config = world.push_blob("app", b"{}").await;
    let mut subjects = Vec::new();
    for tag in ["v1", "v2"] {
        let subject = world.push_image("app", tag, &[tag.as_bytes()]).await;
        let bytes = image((&config, 2), &[], tag, Some(&subject));
        let signature = world.try_push("app", &format!("{tag}.sig"), bytes, IMAGE).await.unwrap().digest;
        subjects.push((subject, signature));
    }
    assert!(world.delete("app", "v1.sig").await);
    world.clock.advance(30 * DAY);
    assert_eq!(removed(&world).await, 0, "a referrer does not go by itself");
    for tag in ["v1", "v2"] {
        assert!(world.delete("app", tag).await);
    }
    world.clock.advance(7 * DAY);
    assert_eq!(removed(&world).await, 1);
    let [(one, its_signature), (two, signature)] = &subjects[..] else { unreachable!("there are two") };
    assert!(!is_there(&world, one).await && !is_there(&world, its_signature).await);
    assert!(is_there(&world, two).await && is_there(&world, signature).await, "something tagged would go along");
    assert!(world.delete("app", "v2.sig").await);
    world.clock.advance(Duration::from_secs(60 * 60));
    assert_eq!(removed(&world).await, 1);
    assert!(!is_there(&world, two).await);
    world.assert_sound().await;
}

#[tokio::test]
async fn after_no_days_it_goes_at_once_and_the_repository_with_its_last_manifest() {
    let world = keeping(0).await;
    world.push_image("short", "v1", &[b"1"]).await;
    let by_digest = image((&world.push_blob("app", b"{}").await, 2), &[], "never tagged", None);
    let untagged = Digest::of(wharf_model::Algorithm::Sha256, &by_digest);
    world.try_push("app", untagged.as_str(), by_digest, IMAGE).await.unwrap();
    assert!(world.delete("short", "v1").await);
    assert_eq!(removed(&world).await, 1);
    let listing = world.artifacts.list_repositories(&world.registry, Page { limit: 10, last: None }).await.unwrap();
    assert_eq!(listing.items, ["app"]);
    assert!(is_there(&world, &untagged).await, "what was never tagged was never untagged");
    world.assert_sound().await;
}

#[tokio::test]
async fn many_are_removed_in_parts_and_what_is_deleted_meanwhile_is_no_trouble() {
    let world = keeping(1).await;
    let config = world.push_blob("app", b"{}").await;
    for n in 0..450 {
        let repository = if n % 3 == 0 { "app" } else { "other" };
        world.push_blob(repository, b"{}").await;
        let bytes = image((&config, 2), &[], &n.to_string(), None);
        world.try_push(repository, "latest", bytes, IMAGE).await.unwrap();
    }
    world.push_image("gone", "v1", &[b"1"]).await;
    assert!(world.delete("gone", "v1").await);
    let gone: RepositoryName = "gone".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &gone };
    world.artifacts.delete_repository(target, "test").await.unwrap();
    world.clock.advance(DAY);
    assert_eq!(removed(&world).await, 448);
    for repository in ["app", "other"] {
        assert!(world.manifest(repository, "latest").await.is_some());
    }
    world.assert_sound().await;
}
