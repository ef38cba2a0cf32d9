//! Purges: what goes, what stays, and going on after being cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use wharf_model::{Clock as _, Digest, LocksChange, RepositoryName};
use wharf_registry::{
    FilterError, Page, PurgeError, PurgeEvent, PurgeReport, PurgeSpec, PurgeState, PurgeStopped, PurgeWatch,
    PutManifest, Sight, SpecError, Target, Untagged, Unwatched,
};

use crate::world::{IMAGE, INDEX, World, image, index};

const HOUR: Duration = Duration::from_secs(3600);

fn spec(filter: &str, ago: &str) -> PurgeSpec {
    PurgeSpec { filters: vec![filter.into()], ago: Some(ago.parse().unwrap()), ..PurgeSpec::default() }
}

impl World {
    async fn purge(&self, spec: &PurgeSpec, dry_run: bool) -> PurgeReport {
        let state = PurgeState::begin(self.clock.now(), dry_run);
        let state = self.artifacts.purge(&self.registry, spec, "test", state, &mut Unwatched).await.unwrap();
        assert!(state.is_complete);
        state.report
    }

    /// Everything that is there: `app:v1`, `app@sha256:…`.
    async fn content(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let page = || Page { limit: 10_000, last: None };
        for name in self.artifacts.list_repositories(&self.registry, page()).await.unwrap().items {
            let repository: RepositoryName = name.parse().unwrap();
            let (registry, wanted) = (self.registry.id, repository.clone());
            let read = self.artifacts.database().read(move |c| {
                Box::pin(async move {
                    let found = wharf_metadata::repositories::find_shown(c, registry, &wanted).await?.unwrap();
                    wharf_metadata::attributes::list_names(c, found).await
                })
            });
            let (manifests, tags): (Vec<String>, Vec<String>) =
                read.await.map_err(|e: wharf_metadata::Error| e).unwrap();
            all.extend(manifests.iter().map(|digest| format!("{name}@{digest}")));
            all.extend(tags.iter().map(|tag| format!("{name}:{tag}")));
        }
        all
    }

    async fn tags(&self) -> Vec<String> {
        self.content().await.into_iter().filter(|name| !name.contains('@')).collect()
    }

    /// Pushes an image whose bytes nobody else has, and returns its digest.
    async fn push(&self, repository: &str, reference: &str) -> Digest {
        let config = self.push_blob(repository, b"{}").await;
        let bytes = image((&config, 2), &[], reference, None);
        self.try_push(repository, reference, bytes, IMAGE).await.unwrap().digest
    }

    /// Pushes an image without a tag.
    async fn push_untagged(&self, repository: &str, note: &str, subject: Option<&Digest>) -> Digest {
        let config = self.push_blob(repository, b"{}").await;
        let bytes = image((&config, 2), &[], note, subject);
        let digest = Digest::of(wharf_model::Algorithm::Sha256, &bytes);
        self.try_push(repository, digest.as_str(), bytes, IMAGE).await.unwrap().digest
    }

    async fn push_index(&self, repository: &str, tag: Option<&str>, children: &[Digest], note: &str) -> Digest {
        let bytes = index(children, note);
        let digest = Digest::of(wharf_model::Algorithm::Sha256, &bytes);
        self.try_push(repository, tag.unwrap_or(digest.as_str()), bytes, INDEX).await.unwrap().digest
    }

    async fn lock(&self, repository: &str, reference: &str) {
        let name: RepositoryName = repository.parse().unwrap();
        let target = Target { registry: &self.registry, repository: &name };
        let change = LocksChange { delete_enabled: Some(false), ..LocksChange::default() };
        if let Ok(digest) = reference.parse::<Digest>() {
            self.artifacts.update_manifest(target, &digest, change, "test").await.unwrap();
        } else {
            self.artifacts.update_tag(target, &reference.parse().unwrap(), change, "test").await.unwrap();
        }
    }
}

#[tokio::test]
async fn old_tags_that_match_go_and_their_manifests_stay() {
    let world = World::new().await;
    for (repository, tag) in [("app", "ci-1"), ("app", "v1"), ("web", "ci-1"), ("app2", "ci-1")] {
        world.push(repository, tag).await;
    }
    world.clock.advance(48 * HOUR);
    world.push("app", "ci-2").await;
    world.clock.advance(HOUR);
    let report = world.purge(&spec("app|web:^ci-", "1d"), false).await;
    assert_eq!((report.deleted_tags, report.deleted_manifests, report.repositories), (2, 0, 2));
    assert_eq!(world.tags().await, ["app2:ci-1", "app:ci-2", "app:v1"]);
    assert_eq!(world.content().await.len(), 3 + 5, "an untagged manifest is another matter");
    world.assert_sound().await;
}

#[tokio::test]
async fn the_newest_of_those_that_would_go_are_kept_in_each_repository() {
    let world = World::new().await;
    for number in 1..=5 {
        for (repository, tag) in
            [("a", format!("ci-{number}")), ("a", format!("v{number}")), ("b", format!("ci-{number}"))]
        {
            world.push(repository, &tag).await;
            world.clock.advance(HOUR);
        }
    }
    world.lock("a", "ci-4").await;
    world.clock.advance(48 * HOUR);
    let report = world.purge(&PurgeSpec { keep: 2, ..spec(".*:^ci-", "1d") }, false).await;
    // A locked tag would not go, so it is none of those that are kept instead.
    assert_eq!((report.deleted_tags, report.skipped.locked), (2 + 3, 1));
    let left: Vec<String> = world.tags().await.into_iter().filter(|tag| tag.contains("ci")).collect();
    assert_eq!(left, ["a:ci-3", "a:ci-4", "a:ci-5", "b:ci-4", "b:ci-5"]);
}

#[tokio::test]
async fn what_an_index_lists_or_a_subject_needs_is_not_dangling() {
    let world = World::new().await;
    let child = world.push_untagged("app", "child", None).await;
    let lost = world.push_untagged("app", "lost child", None).await;
    world.push_index("app", Some("multi"), std::slice::from_ref(&child), "tagged").await;
    let index = world.push_index("app", None, &[lost.clone(), child.clone()], "untagged").await;
    let subject = world.push("app", "signed").await;
    let signature = world.push_untagged("app", "signature", Some(&subject)).await;
    let dangling = world.push_untagged("app", "dangling", None).await;
    let its_signature = world.push_untagged("app", "its signature", Some(&dangling)).await;
    world.clock.advance(48 * HOUR);
    let young = world.push_untagged("app", "young", None).await;
    let only = PurgeSpec { untagged: Untagged::Only, ..spec("app:.*", "1d") };
    let dry = world.purge(&only, true).await;
    let named: BTreeSet<String> = dry.items.iter().cloned().collect();
    let wanted: BTreeSet<String> = [&index, &lost, &dangling].map(|digest| format!("app@{digest}")).into();
    assert_eq!(named, wanted);
    let report = world.purge(&only, false).await;
    assert_eq!((report.deleted_tags, report.deleted_manifests), (0, 3));
    let content = world.content().await;
    for gone in [&index, &lost, &dangling, &its_signature] {
        assert!(!content.contains(&format!("app@{gone}")), "{gone}");
    }
    for stays in [&child, &subject, &signature, &young] {
        assert!(content.contains(&format!("app@{stays}")), "{stays}");
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn locks_keep_what_they_keep_unless_they_are_included() {
    let world = World::new().await;
    for tag in ["a", "b"] {
        world.push("app", tag).await;
    }
    let dangling = world.push_untagged("app", "dangling", None).await;
    let frozen = world.push("frozen", "a").await;
    world.lock("app", "a").await;
    world.lock("app", dangling.as_str()).await;
    let name: RepositoryName = "frozen".parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let freeze = LocksChange { write_enabled: Some(false), ..LocksChange::default() };
    world.artifacts.update_repository(target, freeze, "test").await.unwrap();
    world.clock.advance(48 * HOUR);
    let all = PurgeSpec { untagged: Untagged::Too, ..spec(".*:.*", "1d") };
    let report = world.purge(&all, false).await;
    assert_eq!((report.deleted_tags, report.deleted_manifests), (1, 1));
    assert_eq!((report.skipped.locked, report.skipped.locked_repositories), (2, 1));
    assert_eq!(world.tags().await, ["app:a", "frozen:a"]);
    let report = world.purge(&PurgeSpec { include_locked: true, ..all }, false).await;
    assert_eq!((report.deleted_tags, report.deleted_manifests, report.skipped.locked_repositories), (1, 2, 1));
    assert_eq!(world.content().await, BTreeSet::from([format!("frozen@{frozen}"), "frozen:a".into()]));
    world.assert_sound().await;
}

#[tokio::test]
async fn only_the_types_that_are_named_go() {
    let world = World::new().await;
    let child = world.push("app", "image").await;
    world.push_index("app", Some("multi"), &[child], "index").await;
    world.clock.advance(48 * HOUR);
    let types = vec!["application/vnd.oci.image.index*".into()];
    let report = world.purge(&PurgeSpec { types, ..spec("app:.*", "1d") }, false).await;
    assert_eq!(report.deleted_tags, 1);
    assert_eq!(world.tags().await, ["app:image"]);
}

#[tokio::test]
async fn what_is_pulled_is_in_use() {
    let world = World::new().await;
    world.artifacts.flush_pulls().await.unwrap();
    let unused = PurgeSpec {
        ago: None,
        last_pulled: Some("30d".parse().unwrap()),
        untagged: Untagged::Too,
        ..spec("app:.*", "0d")
    };
    world.push("app", "used").await;
    world.push("app", "unused").await;
    world.clock.advance(24 * 20 * HOUR);
    assert_eq!(world.purge(&unused, false).await.deleted_tags, 0);
    pull(&world, "app", "used").await;
    world.clock.advance(24 * 20 * HOUR);
    assert_eq!(world.purge(&unused, true).await.items[0], "app:unused");
    let report = world.purge(&unused, false).await;
    assert_eq!((report.deleted_tags, report.deleted_manifests), (1, 1));
    assert_eq!(world.tags().await, ["app:used"]);
    world.clock.advance(24 * 40 * HOUR);
    assert_eq!(world.purge(&unused, false).await.deleted_tags, 1);
}

#[tokio::test]
async fn a_million_pages_are_gone_through_one_by_one() {
    let world = World::new().await;
    let config = world.push_blob("app", b"{}").await;
    let bytes = image((&config, 2), &[], "many", None);
    let digest = Digest::of(wharf_model::Algorithm::Sha256, &bytes);
    let put = PutManifest {
        reference: digest.as_str().parse().unwrap(),
        tags: (0..1234).map(|number| format!("t{number:04}").parse().unwrap()).collect(),
        content_type: Some(IMAGE.into()),
        bytes: bytes.into(),
        actor: "test".into(),
        only_new: false,
    };
    let name: RepositoryName = "app".parse().unwrap();
    world.artifacts.put_manifest(Target { registry: &world.registry, repository: &name }, put).await.unwrap();
    world.clock.advance(48 * HOUR);
    // The last of the names are the newest where times are the same.
    let report = world.purge(&PurgeSpec { keep: 7, ..spec("app:[02468]$", "1d") }, false).await;
    assert_eq!(report.deleted_tags, 617 - 7);
    let tags = world.tags().await;
    assert_eq!(tags.len(), 1234 - 610);
    assert!(tags.contains(&"app:t1220".to_owned()) && !tags.contains(&"app:t1218".to_owned()));
    world.assert_sound().await;
}

#[tokio::test]
async fn a_purge_that_cannot_be_understood_removes_nothing_and_says_why() {
    let world = World::new().await;
    world.push("app", "a").await;
    world.clock.advance(HOUR);
    let try_purge = async |spec: PurgeSpec| {
        let state = PurgeState::begin(world.clock.now(), false);
        world.artifacts.purge(&world.registry, &spec, "test", state, &mut Unwatched).await.unwrap_err()
    };
    let error = try_purge(spec("app", "0d")).await;
    assert!(matches!(error, PurgeError::Spec(SpecError::Filter(FilterError::Separator { .. }))), "{error}");
    for number in 0..2 {
        world.push("app", &"a".repeat(100 + number)).await;
    }
    world.clock.advance(HOUR);
    let error = try_purge(PurgeSpec { filter_timeout_seconds: 1, ..spec(r"app:^(a|aa)+\1b$", "0d") }).await;
    assert!(error.to_string().contains("was given up after 1000000 steps"), "{error}");
    assert_eq!(world.tags().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_that_was_tagged_again_meanwhile() {
    let world = std::sync::Arc::new(World::new().await);
    for round in 0..12 {
        let repository = format!("race{round}");
        let config = world.push_blob(&repository, b"{}").await;
        let bytes = image((&config, 2), &[], "raced", None);
        for number in 0..8 {
            world.try_push(&repository, &format!("t{number}"), bytes.clone(), IMAGE).await.unwrap();
        }
        let dangling = world.push_untagged(&repository, "dangling", None).await;
        let dangling_bytes = world.manifest(&repository, dangling.as_str()).await.unwrap();
        world.clock.advance(48 * HOUR);
        let (tagger, name) = (world.clone(), repository.clone());
        let tagging = tokio::spawn(async move {
            for number in (0..8).rev() {
                tagger.try_push(&name, &format!("t{number}"), bytes.clone(), IMAGE).await.unwrap();
            }
            tagger.try_push(&name, "saved", dangling_bytes, IMAGE).await.unwrap();
        });
        let all = PurgeSpec { untagged: Untagged::Too, ..spec(&format!("{repository}:.*"), "1d") };
        world.purge(&all, false).await;
        tagging.await.unwrap();
        // Whichever came first: the last who tagged finds the tag, and what it names can be pulled.
        for tag in (0..8).map(|number| format!("t{number}")).chain(["saved".into()]) {
            assert!(world.manifest(&repository, &tag).await.is_some(), "{tag} in round {round}");
        }
    }
    world.assert_sound().await;
}

/// Tags something between the page and the removal: what was looked at is not what is there.
struct Tagger<'a> {
    world: &'a World,
    done: bool,
}

#[async_trait]
impl PurgeWatch for Tagger<'_> {
    async fn told(&mut self, event: PurgeEvent<'_>) -> Result<(), PurgeStopped> {
        // The first that goes is of the first transaction of the page; what follows was looked at and is still to go.
        if let (PurgeEvent::Removed { .. }, false) = (event, self.done) {
            self.done = true;
            let bytes = self.world.manifest("app", "t0000").await.unwrap();
            self.world.try_push("app", "t0000", bytes, IMAGE).await.unwrap();
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_tag_that_is_set_again_after_it_was_looked_at_stays() {
    let world = World::new().await;
    let config = world.push_blob("app", b"{}").await;
    let bytes = image((&config, 2), &[], "many", None);
    for number in 0..250 {
        world.try_push("app", &format!("t{number:04}"), bytes.clone(), IMAGE).await.unwrap();
    }
    world.clock.advance(48 * HOUR);
    let state = PurgeState::begin(world.clock.now(), false);
    let mut tagger = Tagger { world: &world, done: false };
    let done = world.artifacts.purge(&world.registry, &spec("app:.*", "1d"), "test", state, &mut tagger).await.unwrap();
    assert_eq!((done.report.deleted_tags, done.report.skipped.changed), (249, 1));
    assert_eq!(world.tags().await, ["app:t0000"]);
}

/// Keeps the last state and stops at a certain event.
struct Cut {
    left: usize,
    kept: PurgeState,
}

#[async_trait]
impl PurgeWatch for Cut {
    async fn told(&mut self, event: PurgeEvent<'_>) -> Result<(), PurgeStopped> {
        if let PurgeEvent::Kept(state) = event {
            // As somebody who writes it down would.
            self.kept = serde_json::from_value(serde_json::to_value(state).unwrap()).unwrap();
        }
        self.left = self.left.checked_sub(1).ok_or(PurgeStopped)?;
        Ok(())
    }
}

/// Some of everything.
async fn furnish(world: &World) {
    for repository in ["a", "b", "c"] {
        for number in 0..4 {
            world.push(repository, &format!("ci-{number}")).await;
            world.clock.advance(HOUR);
        }
        let children =
            [world.push_untagged(repository, "one", None).await, world.push_untagged(repository, "two", None).await];
        let inner = world.push_index(repository, None, &children, "inner").await;
        world.push_index(repository, Some("ci-multi"), &[inner], "outer").await;
        world.push(repository, "v1").await;
    }
    world.clock.advance(48 * HOUR);
}

#[tokio::test]
async fn a_purge_that_is_cut_off_anywhere_goes_on_to_the_same_end() {
    let spec = PurgeSpec { untagged: Untagged::Too, keep: 1, ..spec("a|b|c:^ci-", "1d") };
    let whole = World::new().await;
    furnish(&whole).await;
    whole.purge(&spec, false).await;
    let wanted = whole.content().await;
    // Cut after every so many events, again and again, until it comes to its end.
    for step in [1, 2, 3, 5, 8, 13] {
        let world = World::new().await;
        furnish(&world).await;
        let dry = world.purge(&spec, true).await;
        let mut cut = Cut { left: step, kept: PurgeState::begin(world.clock.now(), false) };
        let (mut runs, mut most) = (0, step);
        let state = loop {
            runs += 1;
            assert!(runs < 500, "it does not come to an end");
            let (from, before) = (cut.kept.clone(), cut.kept.clone());
            match world.artifacts.purge(&world.registry, &spec, "test", from, &mut cut).await {
                Ok(state) => break state,
                Err(PurgeError::Stopped(_)) => {}
                Err(error) => panic!("{error}"),
            }
            // Somebody who is always cut off before the first page is kept gets nowhere, except that things are gone.
            most = if cut.kept == before { most + 1 } else { step };
            cut.left = most;
            world.assert_sound().await;
        };
        assert!(runs > 1);
        assert_eq!(world.content().await, wanted, "cut every {step} events");
        assert!(
            state.report.deleted_tags <= dry.deleted_tags && state.report.deleted_manifests <= dry.deleted_manifests
        );
        assert_eq!(world.purge(&spec, false).await.deleted_manifests, 0, "there is nothing left to do");
    }
}

async fn pull(world: &World, repository: &str, reference: &str) {
    let name: RepositoryName = repository.parse().unwrap();
    let target = Target { registry: &world.registry, repository: &name };
    let found =
        world.artifacts.get_manifest(target, &reference.parse().unwrap(), Sight::Everything).await.unwrap().unwrap();
    world.artifacts.note_pull(&found, false);
}

/// A manifest of a made-up repository, by its number: pushed at an hour, with tags, what it lists, its subject, a lock.
#[derive(Clone, Debug)]
struct Made {
    tags: Vec<(u8, bool)>,
    children: Vec<usize>,
    subject: Option<usize>,
    is_locked: bool,
}

fn made() -> impl Strategy<Value = Vec<Made>> {
    let one = (
        prop::collection::vec((0u8..4, prop::bool::weighted(0.2)), 0..3),
        prop::collection::vec(0usize..100, 0..3),
        prop::option::weighted(0.2, 0usize..100),
        prop::bool::weighted(0.15),
    );
    prop::collection::vec(one, 1..9).prop_map(|all| {
        let made = all.into_iter().enumerate().map(|(number, (tags, children, subject, is_locked))| {
            let earlier = |wanted: usize| wanted.checked_rem(number);
            let children: BTreeSet<usize> = children.into_iter().filter_map(earlier).collect();
            let subject = subject.and_then(earlier).filter(|_| children.is_empty());
            Made { tags, children: children.into_iter().collect(), subject, is_locked }
        });
        made.collect()
    })
}

/// What a purge must leave, worked out in the plainest way from all there is: which tags go, and which manifests.
fn reference(all: &[Made], spec: &PurgeSpec, cutoff: usize) -> (BTreeSet<String>, BTreeSet<usize>) {
    // The last push decides what a tag names, when it was set, and whether it is locked.
    let mut tags: BTreeMap<String, (usize, bool)> = BTreeMap::new();
    for (number, made) in all.iter().enumerate() {
        for (kind, is_locked) in &made.tags {
            let name = tag_name(*kind, number);
            let locked = tags.get(&name).is_some_and(|(_, locked)| *locked) || *is_locked;
            tags.insert(name, (number, locked));
        }
    }
    let is_old = |number: usize| number < cutoff;
    let mut due: Vec<(usize, String)> = tags
        .iter()
        .filter(|(name, (number, locked))| {
            name.starts_with("ci") && is_old(*number) && (spec.include_locked || !locked)
        })
        .map(|(name, (number, _))| (*number, name.clone()))
        .collect();
    due.sort();
    due.reverse();
    let gone_tags: BTreeSet<String> = match spec.untagged {
        Untagged::Only => BTreeSet::new(),
        _ => due.into_iter().skip(usize::try_from(spec.keep).unwrap()).map(|(_, name)| name).collect(),
    };
    if spec.untagged == Untagged::Stay {
        return (gone_tags, BTreeSet::new());
    }
    let is_tagged = |number: usize| tags.iter().any(|(name, (named, _))| *named == number && !gone_tags.contains(name));
    let mut gone: BTreeSet<usize> = BTreeSet::new();
    let (mut spared, mut spared_until) = (0, None);
    loop {
        let before = gone.len();
        for number in (0..all.len()).rev() {
            let is_listed =
                all.iter().enumerate().any(|(parent, made)| !gone.contains(&parent) && made.children.contains(&number));
            let is_due = !gone.contains(&number)
                && is_old(number)
                && !is_tagged(number)
                && !is_listed
                && all[number].subject.is_none()
                && (spec.include_locked || !all[number].is_locked);
            if is_due && spared < spec.keep {
                spared += 1;
                spared_until = Some(number);
            } else if is_due && spared_until.is_none_or(|until| number < until) {
                gone.insert(number);
            }
        }
        if gone.len() == before {
            return (gone_tags, gone);
        }
    }
}

fn tag_name(kind: u8, number: usize) -> String {
    // Some names are set once, and some again and again.
    match kind {
        0 => format!("ci-{number}"),
        1 => "ci-latest".to_owned(),
        2 => format!("v{number}"),
        _ => "latest".to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_purge_removes_what_a_plain_reference_says_and_its_dry_run_says_so(
        all in made(),
        cutoff in 0usize..9,
        keep in 0u64..3,
        untagged in prop::sample::select(vec![Untagged::Stay, Untagged::Too, Untagged::Only]),
        include_locked in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let start = world.clock.now();
            let mut digests: Vec<Digest> = Vec::new();
            for (number, made) in all.iter().enumerate() {
                let note = format!("number {number}");
                let digest = if made.children.is_empty() {
                    world.push_untagged("app", &note, made.subject.map(|number| &digests[number])).await
                } else {
                    let children: Vec<Digest> = made.children.iter().map(|&child| digests[child].clone()).collect();
                    world.push_index("app", None, &children, &note).await
                };
                let bytes = world.manifest("app", digest.as_str()).await.unwrap();
                let media_type = if made.children.is_empty() { IMAGE } else { INDEX };
                for (kind, is_locked) in &made.tags {
                    let tag = tag_name(*kind, number);
                    world.try_push("app", &tag, bytes.clone(), media_type).await.unwrap();
                    if *is_locked {
                        world.lock("app", &tag).await;
                    }
                }
                if made.is_locked {
                    world.lock("app", digest.as_str()).await;
                }
                digests.push(digest);
                world.clock.advance(HOUR);
            }
            world.clock.advance(100 * HOUR);
            let elapsed = world.clock.now().since(start) - HOUR * u32::try_from(cutoff).unwrap() + HOUR / 2;
            let ago = format!("{}s", elapsed.as_secs());
            let spec = PurgeSpec { keep, untagged, include_locked, ..spec("app:^ci", &ago) };
            let (tags, manifests) = reference(&all, &spec, cutoff);
            let wanted: BTreeSet<String> = tags
                .iter()
                .map(|tag| format!("app:{tag}"))
                .chain(manifests.iter().map(|&number| format!("app@{}", digests[number])))
                .collect();

            let before = world.content().await;
            let dry = world.purge(&spec, true).await;
            assert_eq!(dry.items.iter().cloned().collect::<BTreeSet<_>>(), wanted, "what the dry run names");
            assert_eq!(world.content().await, before, "a dry run removes nothing");

            let report = world.purge(&spec, false).await;
            let after = world.content().await;
            // With a manifest goes what refers to it, which may be locked and then keeps it.
            let referrers: BTreeSet<String> = all
                .iter()
                .enumerate()
                .filter(|(_, made)| made.subject.is_some())
                .map(|(number, _)| format!("app@{}", digests[number]))
                .collect();
            let gone: BTreeSet<String> = before.difference(&after).cloned().collect();
            if report.skipped.locked == dry.skipped.locked {
                let is_one = |name: &&String| name.contains('@') && !referrers.contains(*name);
                let directly: BTreeSet<&String> = gone.iter().filter(is_one).collect();
                assert_eq!(directly, wanted.iter().filter(is_one).collect::<BTreeSet<_>>());
                assert_eq!((report.deleted_tags, report.deleted_manifests), (dry.deleted_tags, dry.deleted_manifests));
            }
            assert!(tags.iter().all(|tag| gone.contains(&format!("app:{tag}"))));
            world.assert_sound().await;
        });
    }
}
