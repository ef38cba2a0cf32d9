//! Quarantine: who gets to see what, and what scanners say.

use wharf_metadata::changes;
use wharf_metadata::quarantine::State;
use wharf_model::{Digest, LocksChange, RepositoryName, Tag};
use wharf_registry::{
    AttributesError, ContentError, ManifestChange, Page, QuarantineChange, RepositoryChange, Sight, Target, Verdict,
};

use crate::world::{IMAGE, World, image};

async fn world() -> World {
    let mut world = World::new().await;
    world.set_policies(|settings| settings.quarantine = true).await;
    world
}

fn says(state: Option<Verdict>, details: Option<&str>) -> ManifestChange {
    let quarantine = QuarantineChange { state, details: details.map(str::to_owned) };
    ManifestChange { locks: LocksChange::default(), quarantine }
}

async fn mark(world: &World, digest: &Digest, verdict: Verdict) {
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    world.artifacts.update_manifest(target, digest, says(Some(verdict), None), "scanner").await.unwrap();
}

/// What somebody gets who pulls: `200`, `404` or `405`.
async fn pull(world: &World, reference: &str, sight: Sight) -> u16 {
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    match world.artifacts.get_manifest(target, &reference.parse().unwrap(), sight).await {
        Ok(Some(_)) => 200,
        Ok(None) => 404,
        Err(ContentError::Quarantined { .. }) => 405,
        Err(error) => panic!("{error}"),
    }
}

async fn pull_blob(world: &World, repository: &str, digest: &Digest, sight: Sight) -> u16 {
    let name: RepositoryName = repository.parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let found = world.artifacts.find_blob(target, digest, sight).await;
    match (&found, world.artifacts.open_blob(target, digest, sight).await) {
        (Ok(Some(_)), Ok(Some(_))) => 200,
        (Ok(None), Ok(None)) => 404,
        (Err(ContentError::Quarantined { .. }), Err(ContentError::Quarantined { .. })) => 405,
        (found, opened) => panic!("{found:?} {opened:?}"),
    }
}

#[tokio::test]
async fn what_is_pushed_waits_until_it_passed() {
    let world = world().await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    let layer = Digest::of(wharf_model::Algorithm::Sha256, b"layer");
    // Twice: what is remembered must make no difference.
    for _ in 0..2 {
        assert_eq!(pull(&world, "v1", Sight::Everything).await, 200);
        assert_eq!(pull(&world, digest.as_str(), Sight::Everything).await, 200);
        assert_eq!(pull_blob(&world, "app", &layer, Sight::Everything).await, 200);
        assert_eq!(pull(&world, "v1", Sight::Passed).await, 404);
        assert_eq!(pull(&world, digest.as_str(), Sight::Passed).await, 405);
        assert_eq!(pull_blob(&world, "app", &layer, Sight::Passed).await, 405);
    }
    for (verdict, by_tag, by_digest) in
        [(Verdict::Passed, 200, 200), (Verdict::Failed, 404, 405), (Verdict::Passed, 200, 200)]
    {
        mark(&world, &digest, verdict).await;
        assert_eq!(pull(&world, "v1", Sight::Passed).await, by_tag, "{verdict:?}");
        assert_eq!(pull(&world, digest.as_str(), Sight::Passed).await, by_digest, "{verdict:?}");
        assert_eq!(pull_blob(&world, "app", &layer, Sight::Passed).await, by_digest, "{verdict:?}");
    }
    // The same bytes again, and another tag for them.
    world.push_image("app", "v1", &[b"layer"]).await;
    assert_eq!(pull(&world, "v1", Sight::Passed).await, 200);
    world.assert_sound().await;
}

#[tokio::test]
async fn what_was_there_before_is_blocked_until_it_is_marked_which_may_be_done_before() {
    let mut world = World::new().await;
    let marked = world.push_image("app", "v1", &[b"1"]).await;
    let unmarked = world.push_image("app", "v2", &[b"2"]).await;
    mark(&world, &marked, Verdict::Passed).await;
    for tag in ["v1", "v2"] {
        assert_eq!(pull(&world, tag, Sight::Passed).await, 200);
    }
    world.set_policies(|settings| settings.quarantine = true).await;
    assert_eq!(pull(&world, "v1", Sight::Passed).await, 200);
    assert_eq!(pull(&world, "v2", Sight::Passed).await, 404, "although it was remembered");
    mark(&world, &unmarked, Verdict::Passed).await;
    assert_eq!(pull(&world, "v2", Sight::Passed).await, 200);
    mark(&world, &marked, Verdict::Failed).await;
    world.set_policies(|settings| settings.quarantine = false).await;
    assert_eq!(pull(&world, "v1", Sight::Passed).await, 200, "without the policy marks are for reading");
}

#[tokio::test]
async fn a_blob_is_readable_with_a_manifest_of_its_repository_that_passed() {
    let world = world().await;
    let layer = world.push_blob("app", b"shared").await;
    assert_eq!(pull_blob(&world, "app", &layer, Sight::Passed).await, 405, "nothing refers to it yet");
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    assert!(world.artifacts.renew_blob(target, &layer).await.unwrap().is_some(), "who pushes hears that it is there");
    let one = world.push_image("app", "v1", &[b"shared", b"one"]).await;
    world.push_image("app", "v2", &[b"shared", b"two"]).await;
    mark(&world, &one, Verdict::Passed).await;
    let of = |content: &[u8]| Digest::of(wharf_model::Algorithm::Sha256, content);
    assert_eq!(pull_blob(&world, "app", &layer, Sight::Passed).await, 200);
    assert_eq!(pull_blob(&world, "app", &of(b"one"), Sight::Passed).await, 200);
    assert_eq!(pull_blob(&world, "app", &of(b"two"), Sight::Passed).await, 405);
    // A mount makes nothing readable that was not.
    let other: RepositoryName = "other".parse().unwrap();
    let there = Target { registry: &world.registry, repository: &other };
    assert!(world.artifacts.mount_blob(there, Some(&name), &of(b"two"), &|_| true).await.unwrap());
    assert_eq!(pull_blob(&world, "other", &of(b"two"), Sight::Passed).await, 405);
    // When the one that passed is gone, so is the reason.
    assert!(world.delete("app", one.as_str()).await);
    assert_eq!(pull_blob(&world, "app", &layer, Sight::Passed).await, 405);
}

#[tokio::test]
async fn referrers_in_quarantine_are_listed_for_scanners_alone() {
    let world = world().await;
    let subject = world.push_image("app", "v1", &[b"layer"]).await;
    let config = world.push_blob("app", b"{}").await;
    let mut referrers = Vec::new();
    for note in ["one", "two"] {
        let bytes = image((&config, 2), &[], note, Some(&subject));
        referrers.push(world.try_push("app", note, bytes, IMAGE).await.unwrap().digest);
    }
    // And one of a client that keeps an index of its own.
    let bytes = image((&config, 2), &[], "three", None);
    let third = world.try_push("app", "three", bytes, IMAGE).await.unwrap().digest;
    let tag: Tag = format!("sha256-{}", subject.hex()).parse().unwrap();
    let list = crate::world::index(std::slice::from_ref(&third), "referrers");
    let list = world.try_push("app", tag.as_str(), list, crate::world::INDEX).await.unwrap().digest;
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let listed = async |sight| {
        let page = Page { limit: 10, last: None };
        let listing = world.artifacts.list_referrers(target, &subject, None, page, sight).await.unwrap();
        listing.items.into_iter().map(|item| item.digest).collect::<Vec<_>>()
    };
    assert_eq!(listed(Sight::Everything).await.len(), 3);
    assert!(listed(Sight::Passed).await.is_empty());
    mark(&world, &referrers[0], Verdict::Passed).await;
    mark(&world, &third, Verdict::Passed).await;
    assert_eq!(listed(Sight::Passed).await, [referrers[0].clone()], "the index did not pass");
    mark(&world, &list, Verdict::Passed).await;
    assert_eq!(listed(Sight::Passed).await.len(), 2);
}

#[tokio::test]
async fn the_log_tells_what_was_held_back_and_what_passed() {
    let mut world = world().await;
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    world.push_image("app", "v1", &[b"layer"]).await;
    mark(&world, &digest, Verdict::Failed).await;
    mark(&world, &digest, Verdict::Passed).await;
    mark(&world, &digest, Verdict::Passed).await;
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    world.artifacts.update_manifest(target, &digest, says(None, Some("more")), "scanner").await.unwrap();
    world.set_policies(|settings| settings.quarantine = false).await;
    world.push_image("app", "v2", &[b"other"]).await;
    let database = world.artifacts.database();
    let rows = database.read(|c| Box::pin(changes::list_after(c, 0, 100))).await.unwrap();
    let told: Vec<String> = rows
        .iter()
        .filter(|row| row.repository.is_some())
        .map(|row| format!("{:?} {} {}", row.kind, row.tag.as_deref().unwrap_or("-"), row.actor))
        .collect();
    assert_eq!(
        told,
        [
            "ManifestPush v1 test",
            "ManifestQuarantine v1 test",
            "ManifestPush v1 test",
            "ManifestFail v1 scanner",
            "ManifestPass v1 scanner",
            "ManifestUpdate v1 scanner",
            "ManifestPush v2 test",
        ]
    );
    let target = Target { registry: &world.registry, repository: &name };
    let found = world.artifacts.describe_manifest(target, &digest).await.unwrap().attributes.quarantine.unwrap();
    assert_eq!(
        (found.state, found.details.as_deref(), found.tag.as_deref()),
        (State::Passed, Some("more"), Some("v1"))
    );
}

#[tokio::test]
async fn details_go_with_a_state_and_locks_are_not_in_the_way_of_scanners() {
    let world = world().await;
    let name: RepositoryName = "app".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let digest = world.push_image("app", "v1", &[b"layer"]).await;
    let freeze = LocksChange { write_enabled: Some(false), ..LocksChange::default() };
    world.artifacts.update_manifest(target, &digest, freeze, "test").await.unwrap();
    world.artifacts.update_repository(target, RepositoryChange::from(freeze), "test").await.unwrap();
    mark(&world, &digest, Verdict::Passed).await;
    assert_eq!(pull(&world, "v1", Sight::Passed).await, 200);
    let both = ManifestChange { locks: LocksChange::default(), ..says(Some(Verdict::Failed), None) };
    let with_locks = ManifestChange { locks: freeze, ..both.clone() };
    let refused = world.artifacts.update_manifest(target, &digest, with_locks, "test").await.unwrap_err();
    assert!(matches!(refused, AttributesError::Locked(_)), "{refused}");
    assert_eq!(pull(&world, "v1", Sight::Passed).await, 200, "all or nothing");

    let open = World::new().await;
    let digest = open.push_image("app", "v1", &[b"layer"]).await;
    let target = Target { registry: &open.registry, repository: &name };
    let refused = open.artifacts.update_manifest(target, &digest, says(None, Some("x")), "test").await.unwrap_err();
    assert!(matches!(refused, AttributesError::NoState { .. }), "{refused}");
}
