//! Who pulled what: noted in memory, flushed later.

use std::time::Duration;

use wharf_metadata::attributes::Position;
use wharf_metadata::pulls::Pulls;
use wharf_metadata::{attributes, pulls, repositories};
use wharf_model::{LocksChange, Reference, Tag, Timestamp};
use wharf_registry::{Sight, Target};

use crate::world::{IMAGE, World, image};

impl World {
    /// Gets a manifest as a client does, by `GET` or by `HEAD`.
    async fn pull(&self, repository: &str, reference: &str, is_head: bool) {
        let name = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        let reference: Reference = reference.parse().unwrap();
        let manifest = self.artifacts.get_manifest(target, &reference, Sight::Everything).await.unwrap().unwrap();
        self.artifacts.note_pull(&manifest, is_head);
    }

    async fn tag_pulls(&self, repository: &str, tag: &str) -> Option<Pulls> {
        let name = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        self.artifacts.describe_tag(target, &tag.parse().unwrap()).await.unwrap().pulls
    }

    async fn manifest_pulls(&self, repository: &str, tag: &str) -> Option<Pulls> {
        let name = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        let tag = self.artifacts.describe_tag(target, &tag.parse().unwrap()).await.unwrap();
        let digest = tag.digest.parse().unwrap();
        self.artifacts.describe_manifest(target, &digest).await.unwrap().attributes.pulls
    }

    async fn repository_pulls(&self, repository: &str) -> Option<Pulls> {
        let name = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        self.artifacts.describe_repository(target).await.unwrap().pulls
    }

    fn now(&self) -> Timestamp {
        wharf_model::Clock::now(&*self.clock)
    }

    fn pass(&self, seconds: u64) -> Timestamp {
        self.clock.advance(Duration::from_secs(seconds));
        self.now()
    }
}

#[tokio::test]
async fn pulls_by_tag_and_by_digest_are_counted_when_they_are_flushed() {
    let world = World::new().await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    world.try_push("app", "v2", world.manifest("app", "v1").await.unwrap(), IMAGE).await.unwrap();
    for _ in 0..3 {
        world.pull("app", "v1", false).await;
    }
    let by_tag = world.now();
    let by_digest = world.pass(60);
    world.pull("app", digest.as_str(), false).await;
    world.pass(60);
    world.pull("app", "v1", true).await;
    assert_eq!(world.tag_pulls("app", "v1").await, None, "not flushed yet");

    world.artifacts.flush_pulls().await.unwrap();
    assert_eq!(world.tag_pulls("app", "v1").await, Some(Pulls { count: 3, last_at: by_tag }));
    assert_eq!(world.tag_pulls("app", "v2").await, None);
    let whole = Some(Pulls { count: 4, last_at: by_digest });
    assert_eq!(world.manifest_pulls("app", "v1").await, whole);
    assert_eq!(world.repository_pulls("app").await, whole);
    world.artifacts.flush_pulls().await.unwrap();
    assert_eq!(world.manifest_pulls("app", "v1").await, whole, "nothing is counted twice");
    assert_eq!(world.artifacts.pull_totals(), [("contoso".to_owned(), 4)]);
}

#[tokio::test]
async fn what_the_server_reads_itself_is_no_pull() {
    let world = World::new().await;
    world.push_image("app", "v1", &[b"layer"]).await;
    world.manifest("app", "v1").await.unwrap();
    world.artifacts.verify(|_, _| {}).await.unwrap();
    world.collect_all().await;
    world.artifacts.flush_pulls().await.unwrap();
    assert_eq!(world.repository_pulls("app").await, None);
    assert!(world.artifacts.pull_totals().is_empty());
}

#[tokio::test]
async fn a_look_is_a_use_and_no_pull() {
    let world = World::new().await;
    world.push_image("app", "v1", &[b"layer"]).await;
    let looked = world.pass(60);
    world.pull("app", "v1", true).await;
    world.artifacts.flush_pulls().await.unwrap();
    assert_eq!((world.tag_pulls("app", "v1").await, world.repository_pulls("app").await), (None, None));
    let (registry, name) = (world.registry.id, "app".parse().unwrap());
    let (uses, since) = world
        .artifacts
        .database()
        .read(move |c| {
            Box::pin(async move {
                let id = repositories::find_shown(c, registry, &name).await?.unwrap();
                let uses = pulls::list_tag_uses(c, id, &["v1"]).await?;
                let listed = attributes::list_manifests(c, id, &Position::Name(String::new()), 10).await?;
                let manifests = pulls::list_manifest_uses(c, &[listed[0].id]).await?;
                assert_eq!(manifests[&listed[0].id], uses["v1"]);
                Ok::<_, wharf_metadata::Error>((uses, pulls::counted_since(c).await?))
            })
        })
        .await
        .unwrap();
    assert_eq!((uses["v1"], since), (looked, Some(looked)));
}

#[tokio::test]
async fn a_process_that_dies_loses_what_it_did_not_flush_and_nothing_else() {
    let world = World::new().await;
    world.push_image("app", "v1", &[b"layer"]).await;
    world.pull("app", "v1", false).await;
    world.artifacts.flush_pulls().await.unwrap();
    world.pull("app", "v1", false).await;
    let restarted = world.again().await;
    drop(world);
    restarted.pull("app", "v1", false).await;
    restarted.artifacts.flush_pulls().await.unwrap();
    assert_eq!(restarted.tag_pulls("app", "v1").await.unwrap().count, 2);
}

#[tokio::test]
async fn a_tag_keeps_its_pulls_when_it_moves_and_its_manifests_have_their_own() {
    let world = World::new().await;
    world.push_image("app", "v1", &[b"one"]).await;
    world.try_push("app", "old", world.manifest("app", "v1").await.unwrap(), IMAGE).await.unwrap();
    world.pull("app", "v1", false).await;
    world.push_image("app", "v1", &[b"two"]).await;
    world.pull("app", "v1", false).await;
    world.pull("app", "v1", false).await;
    world.artifacts.flush_pulls().await.unwrap();
    assert_eq!(world.tag_pulls("app", "v1").await.unwrap().count, 3);
    assert_eq!(world.manifest_pulls("app", "v1").await.unwrap().count, 2);
    assert_eq!(world.manifest_pulls("app", "old").await.unwrap().count, 1);
}

#[tokio::test]
async fn what_is_deleted_and_pushed_again_begins_anew() {
    let world = World::new().await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    world.push_image("app", "other", &[b"other"]).await;
    world.pull("app", "v1", false).await;
    world.artifacts.flush_pulls().await.unwrap();
    // These are noted before the tag, then the manifest go, and flushed when both are there again.
    world.pull("app", "v1", false).await;
    assert!(world.delete("app", "v1").await);
    world.pass(1);
    let config = world.push_blob("app", b"{}").await;
    world.try_push("app", "v1", image((&config, 2), &[], "new", None), IMAGE).await.unwrap();
    world.pull("app", digest.as_str(), false).await;
    assert!(world.delete("app", digest.as_str()).await);
    world.push_image("app", "again", &[b"layer"]).await;
    world.artifacts.flush_pulls().await.unwrap();
    assert_eq!((world.tag_pulls("app", "v1").await, world.manifest_pulls("app", "again").await), (None, None));
    world.pull("app", "v1", false).await;
    world.artifacts.flush_pulls().await.unwrap();
    assert_eq!(world.tag_pulls("app", "v1").await.unwrap().count, 1);
}

#[tokio::test]
async fn a_pull_that_a_lock_forbids_is_not_counted() {
    let world = World::new().await;
    world.push_image("app", "v1", &[b"layer"]).await;
    let name = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let (tag, change): (Tag, _) =
        ("v1".parse().unwrap(), LocksChange { read_enabled: Some(false), ..LocksChange::default() });
    world.artifacts.update_tag(target, &tag, change, "test").await.unwrap();
    let refused = world.artifacts.get_manifest(target, &Reference::Tag(tag), Sight::Everything).await;
    assert!(refused.is_err());
    world.artifacts.flush_pulls().await.unwrap();
    assert_eq!(world.repository_pulls("app").await, None);
}

#[tokio::test]
async fn a_flush_that_fails_harms_no_pull() {
    let world = World::new().await;
    world.push_image("app", "v1", &[b"layer"]).await;
    world.pull("app", "v1", false).await;
    world.artifacts.database().close().await;
    assert!(world.artifacts.flush_pulls().await.is_err());
    world.pull("app", "v1", false).await;
    assert!(world.artifacts.flush_pulls().await.is_err());
}

#[tokio::test]
async fn many_manifests_are_flushed_in_parts() {
    let world = World::new().await;
    let config = world.push_blob("app", b"{}").await;
    for number in 0..250 {
        let bytes = image((&config, 2), &[], &number.to_string(), None);
        world.try_push("app", &format!("v{number}"), bytes, IMAGE).await.unwrap();
    }
    for number in 0..250 {
        world.pull("app", &format!("v{number}"), false).await;
    }
    world.artifacts.flush_pulls().await.unwrap();
    assert_eq!(world.repository_pulls("app").await.unwrap().count, 250);
    for number in [0, 99, 100, 101, 249] {
        assert_eq!(world.tag_pulls("app", &format!("v{number}")).await.unwrap().count, 1, "{number}");
    }
}
