//! Any sequence of pushes, tags, deletions, restorations and purges against a model of a few lines.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use wharf_metadata::registries::SoftDelete;
use wharf_model::{Algorithm, Digest, RepositoryName};
use wharf_registry::{Page, RestoreError, Target};

use crate::world::{IMAGE, INDEX, World, image, index};

#[derive(Clone, Debug)]
enum Step {
    Push { tag: u8, image: u8 },
    Untag { tag: u8 },
    Delete { image: u8 },
    DeleteRepository,
    Restore { image: u8, tag: Option<u8>, force: bool },
    Settle,
    Pass { days: u8 },
    Purge,
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    let (tag, image) = (0..4u8, 0..6u8);
    prop_oneof![
        6 => (tag.clone(), image.clone()).prop_map(|(tag, image)| Step::Push { tag, image }),
        2 => tag.clone().prop_map(|tag| Step::Untag { tag }),
        3 => image.clone().prop_map(|image| Step::Delete { image }),
        1 => Just(Step::DeleteRepository),
        5 => (image, prop::option::of(tag), any::<bool>())
            .prop_map(|(image, tag, force)| Step::Restore { image, tag, force }),
        1 => Just(Step::Settle),
        2 => (0..4u8).prop_map(|days| Step::Pass { days }),
        2 => Just(Step::Purge),
        1 => Just(Step::Collect),
    ]
}

/// Images 0 to 3 are images; 4 is an index of 0 and 1, and 5 refers to 2 as its subject.
const CHILDREN: [u8; 2] = [0, 1];
const INDEX_IMAGE: u8 = 4;
const SUBJECT: u8 = 2;
const REFERRER: u8 = 5;
const DAYS: i64 = 3;

/// What should be: times in days.
#[derive(Debug, Default)]
struct Model {
    day: i64,
    live: BTreeSet<u8>,
    tags: BTreeMap<u8, u8>,
    deleted: BTreeMap<u8, i64>,
    /// Tag, image, and when they parted.
    parted: BTreeSet<(u8, u8, i64)>,
}

impl Model {
    fn part(&mut self, tag: u8) {
        if let Some(image) = self.tags.remove(&tag) {
            self.parted.insert((tag, image, self.day));
        }
    }

    fn push(&mut self, tag: u8, image: u8) -> bool {
        let lacks_children = image == INDEX_IMAGE && !CHILDREN.iter().all(|child| self.live.contains(child));
        if self.deleted.contains_key(&image) || (!self.live.contains(&image) && lacks_children) {
            return false;
        }
        // What is parsed again is checked again.
        if lacks_children {
            return false;
        }
        self.live.insert(image);
        if self.tags.get(&tag) != Some(&image) {
            self.part(tag);
            self.tags.insert(tag, image);
        }
        true
    }

    fn delete(&mut self, image: u8) -> bool {
        if !self.live.contains(&image) {
            return false;
        }
        let tree = if image == SUBJECT { vec![SUBJECT, REFERRER] } else { vec![image] };
        for image in tree {
            if self.live.remove(&image) {
                self.deleted.insert(image, self.day);
                let tags: Vec<u8> =
                    self.tags.iter().filter(|(_, named)| **named == image).map(|(tag, _)| *tag).collect();
                tags.into_iter().for_each(|tag| self.part(tag));
            }
        }
        true
    }

    fn restore(&mut self, image: u8, tag: Option<u8>, force: bool) -> bool {
        let was_deleted = self.deleted.contains_key(&image);
        if !was_deleted && !self.live.contains(&image) {
            // Children that came back for an index that is gone: it was looked for, and not found.
            return false;
        }
        if was_deleted && image == REFERRER && self.deleted.contains_key(&SUBJECT) {
            return false;
        }
        if let Some(tag) = tag {
            let knows = self.parted.iter().any(|(parted, named, _)| (*parted, *named) == (tag, image));
            match self.tags.get(&tag) {
                Some(named) if *named == image => {}
                _ if !knows && !was_deleted => return false,
                Some(_) if !force => return false,
                _ => {}
            }
        }
        let mut back = vec![image];
        if force && image == INDEX_IMAGE {
            back.extend(CHILDREN);
        }
        for image in back {
            if self.deleted.remove(&image).is_some() {
                self.live.insert(image);
            }
        }
        if let Some(tag) = tag {
            if self.tags.get(&tag) != Some(&image) {
                self.part(tag);
                self.tags.insert(tag, image);
            }
            self.parted.retain(|(parted, named, _)| (*parted, *named) != (tag, image));
        }
        true
    }

    fn purge(&mut self) {
        let before = self.day - DAYS;
        let gone: Vec<u8> = self.deleted.iter().filter(|(_, day)| **day <= before).map(|(image, _)| *image).collect();
        self.deleted.retain(|_, day| *day > before);
        self.parted.retain(|(_, image, day)| *day > before && !gone.contains(image));
    }
}

struct Run {
    world: World,
    name: RepositoryName,
    bytes: Vec<Vec<u8>>,
}

impl Run {
    async fn new() -> Self {
        let mut world = World::new().await;
        world.set_policies(|settings| settings.soft_delete = Some(SoftDelete { days: DAYS })).await;
        let config = Digest::of(Algorithm::Sha256, b"{}");
        let mut bytes: Vec<Vec<u8>> =
            (0..4).map(|number| image((&config, 2), &[], &format!("image {number}"), None)).collect();
        let digests: Vec<Digest> = bytes.iter().map(|bytes| Digest::of(Algorithm::Sha256, bytes)).collect();
        bytes.push(index(&digests[..2], "index"));
        bytes.push(image((&config, 2), &[], "referrer", Some(&digests[usize::from(SUBJECT)])));
        Self { world, name: "app".parse().unwrap(), bytes }
    }

    fn digest(&self, image: u8) -> Digest {
        Digest::of(Algorithm::Sha256, &self.bytes[usize::from(image)])
    }

    async fn take(&self, step: &Step, model: &mut Model) {
        let target = Target { registry: &self.world.registry, repository: &self.name };
        let artifacts = &self.world.artifacts;
        match *step {
            Step::Push { tag, image } => {
                self.world.push_blob("app", b"{}").await;
                let media_type = if image == INDEX_IMAGE { INDEX } else { IMAGE };
                let bytes = self.bytes[usize::from(image)].clone();
                let pushed = self.world.try_push("app", &format!("t{tag}"), bytes, media_type).await;
                assert_eq!(pushed.is_ok(), model.push(tag, image), "{step:?} {pushed:?} {model:?}");
            }
            Step::Untag { tag } => {
                let there = model.tags.contains_key(&tag);
                assert_eq!(self.world.delete("app", &format!("t{tag}")).await, there, "{step:?} {model:?}");
                model.part(tag);
            }
            Step::Delete { image } => {
                let deleted = self.world.delete("app", self.digest(image).as_str()).await;
                assert_eq!(deleted, model.delete(image), "{step:?} {model:?}");
            }
            Step::DeleteRepository => {
                let deleted = artifacts.delete_repository(target, "test").await.is_ok();
                assert_eq!(deleted, !model.live.is_empty(), "{model:?}");
                for image in model.live.clone() {
                    model.delete(image);
                }
            }
            Step::Restore { image, tag, force } => {
                let tag_name = tag.map(|tag| format!("t{tag}").parse().unwrap());
                let digest = self.digest(image);
                let restored = artifacts.restore_manifest(target, &digest, tag_name.as_ref(), force, "test").await;
                assert!(!matches!(restored, Err(RestoreError::Store(_))), "{restored:?}");
                assert_eq!(restored.is_ok(), model.restore(image, tag, force), "{step:?} {restored:?} {model:?}");
            }
            Step::Settle => {
                self.world.clock.advance(Duration::from_secs(60));
                artifacts.settle_trash().await.unwrap();
            }
            Step::Pass { days } => {
                self.world.clock.advance(Duration::from_secs(24 * 60 * 60 * u64::from(days)));
                model.day += i64::from(days);
            }
            Step::Purge => {
                self.world.clock.advance(Duration::from_secs(60));
                artifacts.settle_trash().await.unwrap();
                artifacts.purge_trash().await.unwrap();
                model.purge();
            }
            Step::Collect => {
                self.world.clock.advance(Duration::from_secs(60));
                artifacts.settle_trash().await.unwrap();
                artifacts.collect(false).await.unwrap();
                model.purge();
            }
        }
    }

    async fn compare(&self, step: &Step, model: &Model) {
        let target = Target { registry: &self.world.registry, repository: &self.name };
        let artifacts = &self.world.artifacts;
        for image in 0..6 {
            let found = self.world.manifest("app", self.digest(image).as_str()).await.is_some();
            assert_eq!(found, model.live.contains(&image), "image {image} after {step:?} {model:?}");
        }
        for tag in 0..4 {
            let found = self.world.manifest("app", &format!("t{tag}")).await;
            let expected = model.tags.get(&tag).map(|image| self.bytes[usize::from(*image)].clone());
            assert_eq!(found, expected, "tag {tag} after {step:?} {model:?}");
        }
        let page = Page { limit: 100, last: None };
        let listed = artifacts.list_deleted_manifests(target, page.clone()).await;
        let mut expected: Vec<String> = model.deleted.keys().map(|image| self.digest(*image).to_string()).collect();
        expected.sort();
        let listed: Vec<String> =
            listed.map(|list| list.items.into_iter().map(|item| item.digest).collect()).unwrap_or_default();
        assert_eq!(listed, expected, "after {step:?} {model:?}");
        let listed = artifacts.list_deleted_tags(target, page).await;
        let listed: BTreeSet<(String, String)> = listed
            .map(|list| list.items.into_iter().map(|item| (item.position.name, item.digest)).collect())
            .unwrap_or_default();
        let expected: BTreeSet<(String, String)> =
            model.parted.iter().map(|(tag, image, _)| (format!("t{tag}"), self.digest(*image).to_string())).collect();
        assert_eq!(listed, expected, "after {step:?} {model:?}");
        self.world.assert_sound().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_trash_does_what_its_model_says(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let run = Run::new().await;
            let mut model = Model::default();
            for step in &steps {
                run.take(step, &mut model).await;
                run.compare(step, &model).await;
            }
        });
    }
}
