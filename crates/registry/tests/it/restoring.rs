//! Soft delete: what goes into the trash, comes back, and goes for good.

use std::sync::Arc;
use std::time::Duration;

use wharf_metadata::registries::{self, Retention, SoftDelete};
use wharf_metadata::trash;
use wharf_model::{Clock as _, Digest, Locks, LocksChange, RepositoryName, Timestamp};
use wharf_registry::{
    ManifestChange, MissingChild, Page, PutManifestError, Removal, RepositoryChange, RestoreError, Restored,
    TagRemoval, TaggingError, Target,
};

use crate::world::{IMAGE, INDEX, World, image, index};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl World {
    async fn softly(days: i64) -> Self {
        let mut world = Self::new().await;
        world.set_policies(|settings| settings.soft_delete = Some(SoftDelete { days })).await;
        world
    }

    async fn restore(
        &self,
        repository: &str,
        digest: &Digest,
        tag: Option<&str>,
        force: bool,
    ) -> Result<Restored, RestoreError> {
        let name: RepositoryName = repository.parse().unwrap();
        let tag = tag.map(|tag| tag.parse().unwrap());
        let target = Target { registry: &self.registry, repository: &name };
        self.artifacts.restore_manifest(target, digest, tag.as_ref(), force, "test").await
    }

    async fn delete_repository(&self, repository: &str) {
        let name: RepositoryName = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        self.artifacts.delete_repository(target, "test").await.unwrap();
    }

    /// The tags in the trash, page by page.
    async fn deleted_tags(&self, repository: &str, limit: usize) -> Vec<(String, Digest)> {
        let name: RepositoryName = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        let (mut all, mut last) = (Vec::new(), None);
        loop {
            let page = self.artifacts.list_deleted_tags(target, Page { limit, last }).await.unwrap();
            last = page.items.last().map(|tag| wharf_registry::trash_cursor(&tag.position));
            all.extend(page.items.into_iter().map(|tag| (tag.position.name, tag.digest.parse().unwrap())));
            if !page.more {
                return all;
            }
        }
    }

    async fn deleted_manifests(&self, repository: &str, limit: usize) -> Vec<String> {
        let name: RepositoryName = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        let (mut all, mut last) = (Vec::new(), None);
        loop {
            let page = self.artifacts.list_deleted_manifests(target, Page { limit, last }).await.unwrap();
            last = page.items.last().map(|manifest| manifest.digest.clone());
            all.extend(page.items.into_iter().map(|manifest| manifest.digest));
            if !page.more {
                return all;
            }
        }
    }

    async fn deleted_repositories(&self) -> Vec<String> {
        let page = Page { limit: 10, last: None };
        self.artifacts.list_deleted_repositories(&self.registry, page).await.unwrap().items
    }

    async fn catalog(&self) -> Vec<String> {
        self.artifacts.list_repositories(&self.registry, Page { limit: 10, last: None }).await.unwrap().items
    }
}

fn pair(tag: &str, digest: &Digest) -> (String, Digest) {
    (tag.to_owned(), digest.clone())
}

#[tokio::test]
async fn an_untagged_tag_comes_back_as_it_was() {
    let world = World::softly(7).await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    let (name, tag) = ("app".parse().unwrap(), "v1".parse().unwrap());
    let target = Target { registry: &world.registry, repository: &name };
    let hide = LocksChange { list_enabled: Some(false), ..LocksChange::default() };
    let before = world.artifacts.update_tag(target, &tag, hide, "test").await.unwrap();
    world.clock.advance(DAY);
    assert!(world.delete("app", "v1").await);
    assert_eq!(world.manifest("app", "v1").await, None);
    assert!(world.manifest("app", digest.as_str()).await.is_some(), "only the tag went");
    assert_eq!(world.deleted_tags("app", 10).await, [pair("v1", &digest)]);
    assert!(world.deleted_manifests("app", 10).await.is_empty());
    world.restore("app", &digest, Some("v1"), false).await.unwrap();
    let after = world.artifacts.describe_tag(target, &tag).await.unwrap();
    assert_eq!((after.locks, after.created_at, &after.digest), (before.locks, before.created_at, &before.digest));
    assert_eq!(after.updated_at, world.clock.now(), "or a purge by age would remove it again at once");
    assert!(world.deleted_tags("app", 10).await.is_empty());
    assert!(world.deleted_repositories().await.is_empty());
    assert_eq!(world.restore("app", &digest, Some("v1"), false).await.unwrap().manifests, [], "once more is no error");
    world.assert_sound().await;
}

#[tokio::test]
async fn what_is_in_the_trash_is_out_of_sight_and_cannot_be_pushed() {
    let world = World::softly(7).await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    let bytes = world.manifest("app", "v1").await.unwrap();
    world.try_push("app", "v2", bytes.clone(), IMAGE).await.unwrap();
    assert!(world.delete("app", digest.as_str()).await);
    for reference in ["v1", "v2", digest.as_str()] {
        assert_eq!(world.manifest("app", reference).await, None, "{reference}");
    }
    assert!(world.catalog().await.is_empty());
    assert_eq!(world.deleted_repositories().await, ["app"]);
    assert_eq!(world.deleted_manifests("app", 10).await, [digest.to_string()]);
    let refused = world.try_push("app", "v3", bytes.clone(), IMAGE).await.unwrap_err();
    assert!(matches!(refused, PutManifestError::InTrash { .. }), "{refused}");
    assert!(world.try_push("other", digest.as_str(), image((&digest, 2), &[], "x", None), IMAGE).await.is_err());
    let restored = world.restore("app", &digest, Some("v2"), false).await.unwrap();
    assert_eq!(restored, Restored { manifests: vec![digest.clone()], missing: vec![] });
    assert_eq!(world.manifest("app", "v2").await.unwrap(), bytes);
    assert_eq!(world.manifest("app", "v1").await, None, "tags come back one by one");
    assert_eq!(world.deleted_tags("app", 10).await, [pair("v1", &digest)]);
    world.restore("app", &digest, Some("v1"), false).await.unwrap();
    assert_eq!(world.manifest("app", "v1").await.unwrap(), bytes);
    world.try_push("app", "v3", bytes, IMAGE).await.unwrap();
    world.assert_sound().await;
}

#[tokio::test]
async fn without_a_tag_a_manifest_comes_back_alone() {
    let world = World::softly(7).await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    assert!(world.delete("app", digest.as_str()).await);
    world.restore("app", &digest, None, false).await.unwrap();
    assert!(world.manifest("app", digest.as_str()).await.is_some());
    assert_eq!(world.manifest("app", "v1").await, None);
    assert_eq!(world.catalog().await, ["app"]);
    assert!(world.restore("app", &digest, None, false).await.unwrap().manifests.is_empty());
    let unknown = world.restore("app", &digest, Some("v9"), false).await.unwrap_err();
    assert!(matches!(unknown, RestoreError::TagUnknown { .. }), "{unknown}");
    let other = Digest::of(wharf_model::Algorithm::Sha256, b"other");
    for repository in ["app", "never"] {
        let unknown = world.restore(repository, &other, None, true).await.unwrap_err();
        assert!(matches!(unknown, RestoreError::ManifestUnknown { .. }), "{unknown}");
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn an_overwritten_tag_comes_back_by_force_and_sends_the_other_one_into_the_trash() {
    let world = World::softly(7).await;
    let first = world.push_image("app", "v1", &[b"one"]).await;
    world.clock.advance(Duration::from_secs(1));
    let second = world.push_image("app", "v1", &[b"two"]).await;
    world.clock.advance(Duration::from_secs(1));
    let third = world.push_image("app", "v1", &[b"three"]).await;
    assert_eq!(world.deleted_tags("app", 1).await, [pair("v1", &first), pair("v1", &second)], "the oldest first");
    let taken = world.restore("app", &first, Some("v1"), false).await.unwrap_err();
    assert!(matches!(taken, RestoreError::TagTaken { ref digest, .. } if *digest == third.as_str()), "{taken}");
    world.clock.advance(Duration::from_secs(1));
    world.restore("app", &first, Some("v1"), true).await.unwrap();
    assert_eq!(world.manifest("app", "v1").await, world.manifest("app", first.as_str()).await);
    assert_eq!(world.deleted_tags("app", 1).await, [pair("v1", &second), pair("v1", &third)]);
    world.assert_sound().await;
}

#[tokio::test]
async fn a_tag_that_is_locked_or_written_once_is_not_replaced_by_force() {
    let mut world = World::softly(7).await;
    let first = world.push_image("app", "v1", &[b"one"]).await;
    world.push_image("app", "v1", &[b"two"]).await;
    let (name, tag) = ("app".parse().unwrap(), "v1".parse().unwrap());
    let lock = |enabled| LocksChange { write_enabled: Some(enabled), ..LocksChange::default() };
    let target = Target { registry: &world.registry, repository: &name };
    world.artifacts.update_tag(target, &tag, lock(false), "test").await.unwrap();
    let refused = world.restore("app", &first, Some("v1"), true).await.unwrap_err();
    assert!(matches!(refused, RestoreError::Tagging(TaggingError::Locked(_))), "{refused}");
    world.artifacts.update_tag(target, &tag, lock(true), "test").await.unwrap();
    world.artifacts.update_repository(target, RepositoryChange::from(lock(false)), "test").await.unwrap();
    let refused = world.restore("app", &first, Some("v1"), true).await.unwrap_err();
    assert!(matches!(refused, RestoreError::Locked(_)), "{refused}");
    world.artifacts.update_repository(target, RepositoryChange::from(lock(true)), "test").await.unwrap();
    world.set_policies(|settings| settings.write_once_tags = vec!["v*".into()]).await;
    let refused = world.restore("app", &first, Some("v1"), true).await.unwrap_err();
    assert!(matches!(refused, RestoreError::Tagging(TaggingError::WriteOnce { .. })), "{refused}");
    world.assert_sound().await;
}

#[tokio::test]
async fn locks_of_a_manifest_come_back_with_it() {
    let world = World::softly(7).await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let lock = LocksChange { read_enabled: Some(false), ..LocksChange::default() };
    world.artifacts.update_manifest(target, &digest, ManifestChange::from(lock), "test").await.unwrap();
    assert!(world.delete("app", digest.as_str()).await);
    world.restore("app", &digest, Some("v1"), false).await.unwrap();
    let back = world.artifacts.describe_manifest(target, &digest).await.unwrap();
    assert_eq!(back.attributes.locks, Locks { read_enabled: false, ..Locks::OPEN });
}

#[tokio::test]
async fn a_whole_repository_comes_back_piece_by_piece() {
    let world = World::softly(7).await;
    let first = world.push_image("app", "v1", &[b"one"]).await;
    let second = world.push_image("app", "v2", &[b"two"]).await;
    world.delete_repository("app").await;
    assert!(world.catalog().await.is_empty());
    assert_eq!(world.deleted_repositories().await, ["app"]);
    let mut digests = [first.to_string(), second.to_string()];
    digests.sort();
    // A push revives the name, not the images.
    world.clock.advance(Duration::from_secs(10));
    let third = world.push_image("app", "v1", &[b"three"]).await;
    assert_eq!(world.catalog().await, ["app"]);
    assert_eq!(world.manifest("app", "v2").await, None);
    world.clock.advance(Duration::from_secs(10));
    assert!(world.delete("app", "v1").await);
    // The lists are the same before and after everything has its own rows.
    let tags = [pair("v1", &first), pair("v1", &third), pair("v2", &second)];
    for settled in [false, true] {
        for limit in 1..4 {
            assert_eq!(world.deleted_manifests("app", limit).await, digests, "{settled} {limit}");
            assert_eq!(world.deleted_tags("app", limit).await, tags, "{settled} {limit}");
        }
        world.assert_sound().await;
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(world.artifacts.settle_trash().await.unwrap(), u64::from(!settled));
    }
    world.restore("app", &second, Some("v2"), false).await.unwrap();
    world.restore("app", &first, Some("v1"), false).await.unwrap();
    world.restore("app", &third, None, false).await.unwrap();
    assert!(world.manifest("app", "v2").await.is_some());
    assert_eq!(world.manifest("app", "v1").await, world.manifest("app", first.as_str()).await);
    world.restore("app", &third, Some("v1"), true).await.unwrap();
    world.assert_sound().await;
}

#[tokio::test]
async fn what_was_deleted_a_moment_ago_comes_back_before_it_has_its_own_rows() {
    let world = World::softly(7).await;
    let first = world.push_image("app", "v1", &[b"one"]).await;
    let bytes = world.manifest("app", "v1").await.unwrap();
    world.try_push("app", "latest", bytes.clone(), IMAGE).await.unwrap();
    world.push_image("app", "v2", &[b"two"]).await;
    world.delete_repository("app").await;
    let refused = world.try_push("app", "v1", bytes.clone(), IMAGE).await.unwrap_err();
    assert!(matches!(refused, PutManifestError::BlobsMissing { .. } | PutManifestError::InTrash { .. }), "{refused}");
    world.restore("app", &first, Some("v1"), false).await.unwrap();
    assert_eq!(world.manifest("app", "v1").await.unwrap(), bytes);
    assert_eq!(world.read_blob("app", &Digest::of(wharf_model::Algorithm::Sha256, b"one")).await.unwrap(), b"one");
    world.restore("app", &first, Some("latest"), false).await.unwrap();
    world.assert_sound().await;
    world.clock.advance(Duration::from_secs(60));
    world.artifacts.settle_trash().await.unwrap();
    assert_eq!(world.deleted_manifests("app", 10).await.len(), 1);
    world.collect_all().await;
    assert!(world.manifest("app", "latest").await.is_some());
    world.assert_sound().await;
}

/// An index of two images, all untagged but the index, and the images' digests.
async fn push_index(world: &World, tag: &str) -> (Digest, Vec<Digest>) {
    let config = world.push_blob("app", b"{}").await;
    let mut children = Vec::new();
    for platform in ["amd64", "arm64"] {
        let bytes = image((&config, 2), &[], platform, None);
        let digest = Digest::of(wharf_model::Algorithm::Sha256, &bytes);
        world.try_push("app", digest.as_str(), bytes, IMAGE).await.unwrap();
        children.push(digest);
    }
    let digest = world.try_push("app", tag, index(&children, tag), INDEX).await.unwrap().digest;
    (digest, children)
}

#[tokio::test]
async fn an_index_brings_its_children_back_by_force_and_tells_of_them_without() {
    let world = World::softly(7).await;
    let (list, children) = push_index(&world, "multi").await;
    let outer =
        world.try_push("app", "outer", index(std::slice::from_ref(&list), "outer"), INDEX).await.unwrap().digest;
    world.delete_repository("app").await;
    let restored = world.restore("app", &list, Some("multi"), false).await.unwrap();
    assert_eq!(restored.manifests, std::slice::from_ref(&list));
    let missing = |digest: &Digest| MissingChild { digest: digest.clone(), is_in_trash: true };
    assert_eq!(restored.missing, children.iter().map(missing).collect::<Vec<_>>());
    assert_eq!(world.manifest("app", children[0].as_str()).await, None);
    assert_eq!(world.artifacts.verify(|_, _| {}).await.unwrap().notes.len(), 2);
    // Again with force, although the index itself is there already.
    let restored = world.restore("app", &list, Some("multi"), true).await.unwrap();
    assert_eq!((restored.manifests.len(), restored.missing), (2, vec![]));
    assert!(world.delete("app", list.as_str()).await);
    for child in &children {
        assert!(world.delete("app", child.as_str()).await);
    }
    let restored = world.restore("app", &outer, Some("outer"), true).await.unwrap();
    assert_eq!(restored.manifests.len(), 4, "children of children too");
    assert_eq!(restored.manifests.last(), Some(&outer));
    let listed = restored.manifests.iter().position(|digest| *digest == list).unwrap();
    assert!(
        restored.manifests[..listed].iter().all(|digest| children.contains(digest)),
        "those that list nothing first"
    );
    assert!(world.artifacts.verify(|_, _| {}).await.unwrap().notes.is_empty());
    world.assert_sound().await;
}

#[tokio::test]
async fn a_large_index_comes_back_in_parts_and_goes_on_where_it_was_cut_off() {
    let world = World::softly(7).await;
    let config = world.push_blob("app", b"{}").await;
    let mut children = Vec::new();
    for number in 0..250 {
        let bytes = image((&config, 2), &[], &number.to_string(), None);
        let digest = Digest::of(wharf_model::Algorithm::Sha256, &bytes);
        world.try_push("app", digest.as_str(), bytes, IMAGE).await.unwrap();
        children.push(digest);
    }
    let list = world.try_push("app", "many", index(&children, "many"), INDEX).await.unwrap().digest;
    world.delete_repository("app").await;
    // As if the server had been killed after a part of the children: no index without them.
    for child in &children[..120] {
        world.restore("app", child, None, false).await.unwrap();
    }
    assert_eq!(world.manifest("app", list.as_str()).await, None);
    let again = world.again().await;
    let restored = again.restore("app", &list, Some("many"), true).await.unwrap();
    assert_eq!((restored.manifests.len(), restored.missing), (131, vec![]));
    assert!(again.deleted_repositories().await.is_empty());
    again.assert_sound().await;
}

#[tokio::test]
async fn a_referrer_comes_back_after_its_subject() {
    let world = World::softly(7).await;
    let subject = world.push_image("app", "v1", &[b"layer"]).await;
    let config = world.push_blob("app", b"{}").await;
    let signature = image((&config, 2), &[], "signature", Some(&subject));
    let signature = world.try_push("app", "sig", signature, IMAGE).await.unwrap().digest;
    let attached = image((&config, 2), &[], "attached", Some(&signature));
    let attached = world.try_push("app", "att", attached, IMAGE).await.unwrap().digest;
    assert!(world.delete("app", subject.as_str()).await);
    assert_eq!(world.deleted_manifests("app", 10).await.len(), 3);
    for force in [false, true] {
        let refused = world.restore("app", &attached, Some("att"), force).await.unwrap_err();
        assert!(matches!(refused, RestoreError::SubjectDeleted { .. }), "{refused}");
    }
    for (digest, tag) in [(&subject, "v1"), (&signature, "sig"), (&attached, "att")] {
        world.restore("app", digest, Some(tag), false).await.unwrap();
        assert!(world.manifest("app", tag).await.is_some());
    }
    assert!(world.deleted_repositories().await.is_empty());
    world.assert_sound().await;
}

#[tokio::test]
async fn bytes_outlive_the_collector_in_the_trash_and_are_read_through_nobody() {
    let world = World::softly(7).await;
    let content = vec![7; 100_000];
    let digest = world.push_image("app", "v1", &[&content]).await;
    let shared = world.push_image("app", "v2", &[b"another layer"]).await;
    let layer = Digest::of(wharf_model::Algorithm::Sha256, &content);
    assert!(world.delete("app", digest.as_str()).await);
    world.collect_all().await;
    assert_eq!(world.read_blob("app", &layer).await, None, "nothing live holds it");
    let other = Digest::of(wharf_model::Algorithm::Sha256, b"another layer");
    assert!(world.read_blob("app", &other).await.is_some());
    assert!(
        !world
            .artifacts
            .mount_blob(
                Target { registry: &world.registry, repository: &"other".parse().unwrap() },
                None,
                &layer,
                &|_| true
            )
            .await
            .unwrap()
    );
    assert_eq!(world.files(), 1);
    world.assert_sound().await;
    world.restore("app", &digest, Some("v1"), false).await.unwrap();
    assert_eq!(world.read_blob("app", &layer).await.unwrap(), content);
    world.collect_all().await;
    assert_eq!(world.read_blob("app", &layer).await.unwrap(), content);
    assert!(world.delete("app", digest.as_str()).await);
    world.clock.advance(8 * DAY);
    world.collect_all().await;
    world.collect_all().await;
    assert_eq!(world.files(), 0, "its time is over");
    let gone = world.restore("app", &digest, Some("v1"), false).await.unwrap_err();
    assert!(matches!(gone, RestoreError::ManifestUnknown { .. }), "{gone}");
    assert!(world.manifest("app", shared.as_str()).await.is_some());
    world.assert_sound().await;
}

#[tokio::test]
async fn the_policy_of_the_moment_says_how_long_things_stay() {
    let mut world = World::softly(30).await;
    let first = world.push_image("app", "v1", &[b"one"]).await;
    let second = world.push_image("app", "v2", &[b"two"]).await;
    assert!(world.delete("app", first.as_str()).await);
    world.clock.advance(10 * DAY);
    assert!(world.delete("app", second.as_str()).await);
    assert_eq!(world.artifacts.purge_trash().await.unwrap(), 0);
    world.set_policies(|settings| settings.soft_delete = Some(SoftDelete { days: 5 })).await;
    assert_eq!(world.artifacts.purge_trash().await.unwrap(), 1);
    assert_eq!(world.deleted_manifests("app", 10).await, [second.to_string()]);
    // Switched off: nothing comes in, and what is there stays for the days that were said when it came.
    world.set_policies(|settings| settings.soft_delete = None).await;
    let third = world.push_image("app", "v3", &[b"three"]).await;
    assert!(world.delete("app", third.as_str()).await);
    assert_eq!(world.deleted_manifests("app", 10).await, [second.to_string()]);
    world.clock.advance(29 * DAY);
    assert_eq!(world.artifacts.purge_trash().await.unwrap(), 0);
    world.clock.advance(DAY);
    assert_eq!(world.artifacts.purge_trash().await.unwrap(), 1);
    assert!(world.deleted_repositories().await.is_empty());
    // Its name is free for the next one.
    let bytes = image((&world.push_blob("app", b"{}").await, 2), &[], "v2", None);
    world.try_push("app", "v2", bytes, IMAGE).await.unwrap();
    world.collect_all().await;
    world.assert_sound().await;
}

#[tokio::test]
async fn a_repository_can_be_deleted_and_emptied_again_and_again() {
    let world = World::softly(1).await;
    for round in 0..4 {
        let layer = format!("layer {round}");
        world.push_image("app", "v1", &[layer.as_bytes()]).await;
        let single = world.push_image("app", "v2", &[b"single", layer.as_bytes()]).await;
        assert!(world.delete("app", single.as_str()).await);
        world.delete_repository("app").await;
        world.assert_sound().await;
        if round % 2 == 1 {
            world.clock.advance(2 * DAY);
            world.artifacts.settle_trash().await.unwrap();
            assert!(world.artifacts.purge_trash().await.unwrap() > 0);
            world.artifacts.remove_deleted_repositories().await.unwrap();
        }
        world.assert_sound().await;
    }
    world.collect_all().await;
    assert!(world.deleted_repositories().await.is_empty());
}

#[tokio::test]
async fn retention_and_bulk_removal_fill_the_trash_and_eviction_does_not() {
    let mut world = World::softly(7).await;
    let since = world.clock.now().0;
    world.set_policies(|settings| settings.retention = Some(Retention { days: 1, since })).await;
    let first = world.push_image("app", "v1", &[b"one"]).await;
    let second = world.push_image("app", "v2", &[b"two"]).await;
    assert!(world.delete("app", "v1").await);
    world.clock.advance(2 * DAY);
    assert_eq!(world.artifacts.remove_untagged_manifests().await.unwrap(), 1);
    assert_eq!(world.deleted_manifests("app", 10).await, [first.to_string()]);
    world.restore("app", &first, Some("v1"), false).await.unwrap();
    world.clock.advance(2 * DAY);
    assert_eq!(world.artifacts.remove_untagged_manifests().await.unwrap(), 0, "it has a tag again");
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let removal = Removal { actor: "cache".into(), include_locked: false, bypass_trash: true };
    let item = TagRemoval { tag: "v2".parse().unwrap(), digest: None, not_after: None };
    world.artifacts.remove_tags(target, std::slice::from_ref(&item), &removal, None).await.unwrap();
    assert!(world.deleted_tags("app", 10).await.is_empty());
    assert!(world.manifest("app", second.as_str()).await.is_some());
    world.assert_sound().await;
}

#[tokio::test]
async fn a_deleted_registry_takes_its_trash_along() {
    let world = World::softly(7).await;
    let single = world.push_image("app", "v1", &[b"one"]).await;
    assert!(world.delete("app", single.as_str()).await);
    world.push_image("app", "v1", &[b"two"]).await;
    world.delete_repository("app").await;
    world.push_image("app", "v2", &[b"three"]).await;
    world.push_image("app", "v2", &[b"four"]).await;
    let (id, database) = (world.registry.id, world.artifacts.database());
    let hide = database.write(move |c| Box::pin(registries::hide(c, id, "test", Timestamp(0))));
    assert!(hide.await.unwrap());
    while world.artifacts.remove_deleted_registries().await.unwrap() == 0 {}
    world.assert_sound().await;
    world.collect_all().await;
    let left = database.read(|c| Box::pin(trash::list_trashes(c, trash::TrashId(0), 10))).await.unwrap();
    assert!(left.is_empty());
    world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_manifest_is_never_purged_under_its_tag() {
    let world = Arc::new(World::softly(1).await);
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    let bytes = world.manifest("app", "v1").await.unwrap();
    let config = world.push_blob("app", b"{}").await;
    let mut restored = 0;
    for round in 0..30 {
        assert!(world.delete("app", digest.as_str()).await, "round {round}");
        world.clock.advance(2 * DAY);
        let (purger, restorer, wanted) = (world.clone(), world.clone(), digest.clone());
        let purge = tokio::spawn(async move { purger.artifacts.purge_trash().await.unwrap() });
        let restore = tokio::spawn(async move { restorer.restore("app", &wanted, Some("v1"), false).await.is_ok() });
        let (purged, is_back) = (purge.await.unwrap(), restore.await.unwrap());
        assert_eq!(purged == 0, is_back, "round {round}: one of the two");
        if is_back {
            restored += 1;
            assert_eq!(world.manifest("app", "v1").await.unwrap(), bytes);
        } else {
            assert_eq!(world.manifest("app", "v1").await, None);
            world.push_blob("app", b"layer").await;
            assert_eq!(config, world.push_blob("app", b"{}").await);
            world.try_push("app", "v1", bytes.clone(), IMAGE).await.unwrap();
        }
        world.assert_sound().await;
    }
    assert!(restored <= 30);
}

#[tokio::test]
async fn settling_and_purging_go_on_after_they_were_cut_off() {
    let world = World::softly(1).await;
    let config = world.push_blob("app", b"{}").await;
    for number in 0..40 {
        let bytes = image((&config, 2), &[], &number.to_string(), None);
        world.try_push("app", &format!("v{number}"), bytes, IMAGE).await.unwrap();
    }
    world.delete_repository("app").await;
    world.clock.advance(Duration::from_secs(60));
    let database = world.artifacts.database();
    let now = world.clock.now();
    let unsettled = database.read(move |c| Box::pin(trash::list_unsettled(c, now))).await.unwrap();
    let (repository, id) = unsettled[0];
    for _ in 0..3 {
        assert!(database.write(move |c| Box::pin(trash::settle_some(c, repository, id, 7))).await.unwrap());
        world.assert_sound().await;
        assert_eq!(world.deleted_manifests("app", 7).await.len(), 40);
        assert_eq!(world.deleted_tags("app", 7).await.len(), 40);
    }
    let again = world.again().await;
    assert_eq!(again.artifacts.settle_trash().await.unwrap(), 1);
    assert_eq!(again.artifacts.settle_trash().await.unwrap(), 0);
    assert_eq!(again.deleted_tags("app", 7).await.len(), 40);
    again.clock.advance(2 * DAY);
    let before = again.clock.now();
    let (gone, more) =
        again.artifacts.database().write(move |c| Box::pin(trash::purge_some(c, id, before, 15))).await.unwrap();
    assert_eq!((gone.len(), more), (15, true));
    again.assert_sound().await;
    assert_eq!(world.artifacts.purge_trash().await.unwrap(), 25);
    assert!(world.deleted_repositories().await.is_empty());
    world.collect_all().await;
    world.assert_sound().await;
}
