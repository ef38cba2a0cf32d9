//! Removing in bulk: each item while its condition holds.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use wharf_metadata::changes;
use wharf_model::{Clock as _, Digest, LocksChange, Timestamp};
use wharf_registry::{Check, ManifestRemoval, OnlyIf, Removal, Removed, RepositoryChange, Skipped, TagRemoval, Target};

use crate::world::{IMAGE, INDEX, World, image, index};

fn removal() -> Removal {
    Removal { actor: "test".into(), include_locked: false, bypass_trash: false }
}

fn tag(name: &str) -> TagRemoval {
    TagRemoval { tag: name.parse().unwrap(), digest: None, not_after: None }
}

fn manifest(digest: &Digest, only_if: OnlyIf) -> ManifestRemoval {
    ManifestRemoval { digest: digest.clone(), only_if }
}

const DANGLING: OnlyIf = OnlyIf { untagged: true, unlisted: true, without_subject: true, not_after: None };

async fn kinds(world: &World, after: i64) -> Vec<String> {
    let rows = world.artifacts.database().read(move |c| Box::pin(changes::list_after(c, after, 1000))).await.unwrap();
    rows.into_iter().map(|row| format!("{:?} {}", row.kind, row.tag.unwrap_or_default())).collect()
}

#[tokio::test]
async fn a_tag_is_removed_while_it_is_what_it_was() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let first = world.push_image("app", "v1", &[b"one"]).await;
    let seen_at = world.clock.now();
    world.push_image("app", "v2", &[b"two"]).await;
    world.clock.advance(Duration::from_secs(60));
    world.push_image("app", "v3", &[b"three"]).await;
    let lock = LocksChange { delete_enabled: Some(false), ..LocksChange::default() };
    world.artifacts.update_tag(target, &"v2".parse().unwrap(), lock, "test").await.unwrap();
    let items = [
        TagRemoval { digest: Some(first.clone()), not_after: Some(seen_at), ..tag("v1") },
        tag("v2"),
        TagRemoval { not_after: Some(seen_at), ..tag("v3") },
        TagRemoval { digest: Some(first.clone()), ..tag("v3") },
        tag("never"),
    ];
    let removed = world.artifacts.remove_tags(target, &items, &removal(), None).await.unwrap();
    let skipped = [Skipped::Locked, Skipped::Changed, Skipped::Changed, Skipped::Gone].map(Removed::Skipped);
    assert_eq!(removed[0], Removed::Removed);
    assert_eq!(removed[1..], skipped);
    assert_eq!(world.manifest("app", "v1").await, None);
    assert!(world.manifest("app", first.as_str()).await.is_some(), "its manifest stays");
    assert!(world.manifest("app", "v2").await.is_some());
    let after = world.artifacts.last_change().await.unwrap();
    let unlocking = Removal { include_locked: true, ..removal() };
    assert_eq!(world.artifacts.remove_tags(target, &[tag("v2")], &unlocking, None).await.unwrap(), [Removed::Removed]);
    assert_eq!(kinds(&world, after).await, ["TagUpdate v2", "TagDelete v2"]);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_manifest_is_removed_while_nothing_holds_it() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let config = world.push_blob("app", b"{}").await;
    let child = world.try_push("app", "child", image((&config, 2), &[], "child", None), IMAGE).await.unwrap().digest;
    let tagged = world.push_image("app", "v1", &[b"layer"]).await;
    let list = index(std::slice::from_ref(&child), "list");
    let parent = world.try_push("app", "list", list, INDEX).await.unwrap().digest;
    let signature = image((&config, 2), &[], "signature", Some(&parent));
    let signature = world.try_push("app", "signature", signature, IMAGE).await.unwrap().digest;
    for tag in ["child", "list", "signature"] {
        assert!(world.delete("app", tag).await);
    }
    let all = [&child, &tagged, &signature].map(|digest| manifest(digest, DANGLING));
    let removed = world.artifacts.remove_manifests(target, &all, &removal(), None).await.unwrap();
    assert_eq!(removed, [Skipped::Listed, Skipped::Tagged, Skipped::HasSubject].map(Removed::Skipped));
    let old = OnlyIf { not_after: Some(Timestamp(0)), ..DANGLING };
    let removed = world.artifacts.remove_manifests(target, &[manifest(&parent, old)], &removal(), None).await.unwrap();
    assert_eq!(removed, [Removed::Skipped(Skipped::Changed)]);
    let nobody: Check<_> = Arc::new(|_, _, _| Box::pin(async { Ok(HashSet::new()) }));
    let items = [manifest(&parent, DANGLING)];
    let removed = world.artifacts.remove_manifests(target, &items, &removal(), Some(&nobody)).await.unwrap();
    assert_eq!(removed, [Removed::Skipped(Skipped::Kept)]);
    let everybody: Check<_> = Arc::new(|_, _, ids| Box::pin(async { Ok(ids.into_iter().collect()) }));
    let removed = world.artifacts.remove_manifests(target, &items, &removal(), Some(&everybody)).await.unwrap();
    assert_eq!(removed, [Removed::Removed]);
    assert_eq!(world.manifest("app", signature.as_str()).await, None, "it goes with its subject");
    let items = [manifest(&child, DANGLING), manifest(&parent, DANGLING)];
    let removed = world.artifacts.remove_manifests(target, &items, &removal(), None).await.unwrap();
    assert_eq!(removed, [Removed::Removed, Removed::Skipped(Skipped::Gone)], "no index lists it any more");
    world.assert_sound().await;
}

#[tokio::test]
async fn locks_keep_whole_trees_unless_they_are_lifted() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let config = world.push_blob("app", b"{}").await;
    let subject = world.push_image("app", "v1", &[b"layer"]).await;
    let bytes = image((&config, 2), &[], "signature", Some(&subject));
    let signature = world.try_push("app", "signature", bytes, IMAGE).await.unwrap().digest;
    let other = world.push_image("app", "v2", &[b"other"]).await;
    let lock = LocksChange { write_enabled: Some(false), ..LocksChange::default() };
    world.artifacts.update_tag(target, &"signature".parse().unwrap(), lock, "test").await.unwrap();
    let items = [&subject, &other].map(|digest| manifest(digest, OnlyIf::default()));
    let removed = world.artifacts.remove_manifests(target, &items, &removal(), None).await.unwrap();
    assert_eq!(removed, [Removed::Skipped(Skipped::Locked), Removed::Removed]);
    assert!(world.manifest("app", signature.as_str()).await.is_some());
    let after = world.artifacts.last_change().await.unwrap();
    let unlocking = Removal { include_locked: true, ..removal() };
    let removed = world.artifacts.remove_manifests(target, &items[..1], &unlocking, None).await.unwrap();
    assert_eq!(removed, [Removed::Removed]);
    let mut logged = kinds(&world, after).await;
    assert_eq!(logged.remove(0), "TagUpdate signature");
    logged.sort();
    assert_eq!(logged, ["ManifestDelete ", "ManifestDelete ", "TagDelete signature", "TagDelete v1"]);
    world.assert_sound().await;
}

#[tokio::test]
async fn many_are_removed_a_few_at_a_time_and_a_locked_repository_keeps_all() {
    let world = World::new().await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let config = world.push_blob("app", b"{}").await;
    let mut items = Vec::new();
    for number in 0..450 {
        let bytes = image((&config, 2), &[], &number.to_string(), None);
        let digest = Digest::of(wharf_model::Algorithm::Sha256, &bytes);
        world.try_push("app", digest.as_str(), bytes, IMAGE).await.unwrap();
        items.push(manifest(&digest, DANGLING));
    }
    let lock = LocksChange { write_enabled: Some(false), ..LocksChange::default() };
    world.artifacts.update_repository(target, RepositoryChange::from(lock), "test").await.unwrap();
    let removed = world.artifacts.remove_manifests(target, &items, &removal(), None).await.unwrap();
    assert!(removed.iter().all(|removed| *removed == Removed::Skipped(Skipped::Locked)));
    let unlock = LocksChange { write_enabled: Some(true), ..LocksChange::default() };
    world.artifacts.update_repository(target, RepositoryChange::from(unlock), "test").await.unwrap();
    let removed = world.artifacts.remove_manifests(target, &items, &removal(), None).await.unwrap();
    assert!(removed.len() == 450 && removed.iter().all(|removed| *removed == Removed::Removed));
    world.assert_sound().await;
}
