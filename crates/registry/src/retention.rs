//! Retention: manifests that nothing holds are removed after a while.
//!
//! What holds a manifest is a tag or an index that lists it. When the last of them lets go while the policy is on, the
//! manifest gets a date ([`let_go`]), which nothing moves: neither another number of days nor time spent behind a lock. When
//! something holds it again, the date is gone ([`hold`]). A policy that is switched off forgets all dates, also when it is
//! switched on again: a date counts only if the policy has been on ever since (`Retention::since`).
//!
//! Manifests that were pushed by digest and were never held have no date, and those with a subject go with it.
//! Source: `acr/semantics.md` 4.3; where this differs is in `docs/decisions/0036-retention.md`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use wharf_metadata::retention::{self as dates, Due, DueManifest};
use wharf_metadata::{Connection, RegistrySettings, registries};
use wharf_model::{Digest, ManifestId, RegistryId, RepositoryId, Timestamp};

use crate::manifests::removal::Forest;
use crate::{Artifacts, Check, Error, ManifestRemoval, OnlyIf, Removal, Removed, Skipped, Target};

/// Something holds manifests again, or for the first time.
///
/// Where the policy is off nothing is done: a date from a time when it was on is void anyway.
pub(crate) async fn hold(
    c: &mut Connection,
    settings: &RegistrySettings,
    manifests: &[ManifestId],
) -> Result<(), wharf_metadata::Error> {
    if settings.retention.is_none() {
        return Ok(());
    }
    dates::unmark(c, manifests).await
}

/// A tag, or an index that listed them, lets go of manifests. Those that nothing else holds get a date.
pub(crate) async fn let_go(
    c: &mut Connection,
    settings: &RegistrySettings,
    manifests: &[ManifestId],
    now: Timestamp,
) -> Result<(), wharf_metadata::Error> {
    let Some(policy) = settings.retention else { return Ok(()) };
    let days = Duration::from_secs(u64::try_from(policy.days).unwrap_or(0) * DAY_SECONDS);
    dates::mark(c, manifests, Due { untagged_at: now, due_at: now + days }).await
}

impl Artifacts {
    /// Removes the manifests that are due, and returns how many. To be called again and again.
    ///
    /// What is read here may not be true any more when it is acted on, since others push, tag and lock meanwhile. So each
    /// removal looks again in its own transaction: at the policy, the date, and what holds the manifest.
    ///
    /// # Errors
    /// When the stores fail; what was removed before that stays removed.
    pub async fn remove_untagged_manifests(&self) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let now = self.now();
            let database = &self.inner.database;
            let due = database.read(move |c| Box::pin(async move { dates::list_due(c, now, AT_ONCE).await })).await?;
            if due.is_empty() {
                return Ok(removed);
            }
            let mut groups: BTreeMap<RepositoryId, Vec<DueManifest>> = BTreeMap::new();
            for manifest in due {
                groups.entry(manifest.repository).or_default().push(manifest);
            }
            for group in groups.into_values() {
                removed += self.remove_due(group, now).await?;
            }
        }
    }

    /// Removes those of a repository. Afterwards each is gone, or has no date, another one, or is to be looked at later.
    async fn remove_due(&self, due: Vec<DueManifest>, now: Timestamp) -> Result<u64, Error> {
        let Some(first) = due.first() else { return Ok(0) };
        let (registry, name) = (first.registry, first.repository_name.parse());
        let database = &self.inner.database;
        let registry = database.read(move |c| Box::pin(async move { registries::find(c, registry).await })).await?;
        // A name that is none is that of a repository which is being removed as a whole.
        let outcomes = match (&registry, &name) {
            (Some(registry), Ok(repository)) => self.try_to_remove(Target { registry, repository }, &due, now).await?,
            _ => vec![Removed::Skipped(Skipped::Gone); due.len()],
        };
        let removed = outcomes.iter().filter(|outcome| **outcome == Removed::Removed).count();
        let write = database.write(move |c| Box::pin(async move { settle(c, &due, &outcomes, now).await }));
        write.await?;
        Ok(removed as u64)
    }

    async fn try_to_remove(
        &self,
        target: Target<'_>,
        due: &[DueManifest],
        now: Timestamp,
    ) -> Result<Vec<Removed>, Error> {
        let mut digests: Vec<Digest> = Vec::with_capacity(due.len());
        for manifest in due {
            let malformed = |_| wharf_metadata::Error::Malformed { what: "digest", value: manifest.digest.clone() };
            digests.push(manifest.digest.parse().map_err(malformed)?);
        }
        let only_if = OnlyIf { untagged: true, unlisted: true, without_subject: true, not_after: None };
        let items: Vec<ManifestRemoval> =
            digests.iter().map(|digest| ManifestRemoval { digest: digest.clone(), only_if }).collect();
        let known = due.iter().map(|manifest| manifest.manifest).zip(digests).collect();
        let round = Arc::new(Round { registry: target.registry.id, known, now });
        let check: Check<ManifestId> = Arc::new(move |c, repository, asked| {
            let round = round.clone();
            Box::pin(async move { round.find_due(c, repository, asked).await })
        });
        let removal = Removal { actor: ACTOR.to_owned(), include_locked: false, bypass_trash: false };
        self.remove_manifests(target, &items, &removal, Some(&check)).await
    }
}

/// What was read of a repository before anything is removed from it.
struct Round {
    registry: RegistryId,
    known: HashMap<ManifestId, Digest>,
    now: Timestamp,
}

impl Round {
    /// Of these manifests, those that are due as things stand in this transaction. A date that does not count any more is
    /// forgotten.
    async fn find_due(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
        asked: Vec<ManifestId>,
    ) -> Result<HashSet<ManifestId>, wharf_metadata::Error> {
        let policy = registries::find_settings(c, self.registry).await?.and_then(|settings| settings.retention);
        let mut due: HashMap<ManifestId, Due> = HashMap::with_capacity(asked.len());
        for manifest in asked {
            let Some(date) = dates::find(c, manifest).await?.filter(|date| date.due_at <= self.now) else { continue };
            if policy.is_some_and(|policy| date.untagged_at >= Timestamp(policy.since)) {
                due.insert(manifest, date);
            } else {
                dates::drop_date(c, manifest, date).await?;
            }
        }
        for manifest in self.with_tagged_referrers(c, repository, &due).await? {
            if let Some(date) = due.remove(&manifest) {
                dates::postpone(c, manifest, date, self.now + LOOK_AGAIN).await?;
            }
        }
        Ok(due.into_keys().collect())
    }

    /// Those in the tree of whose referrers something has a tag: it would go along, and nothing that has a tag goes by itself.
    async fn with_tagged_referrers(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
        due: &HashMap<ManifestId, Due>,
    ) -> Result<HashSet<ManifestId>, wharf_metadata::Error> {
        let roots = due.keys().filter_map(|id| Some((self.known.get(id)?.clone(), *id))).collect();
        let forest = Forest::grow(c, repository, roots).await?;
        let referrers: Vec<ManifestId> = forest.ids().into_iter().filter(|id| !due.contains_key(id)).collect();
        let tagged = dates::list_tagged(c, &referrers).await?;
        Ok(tagged.iter().filter_map(|id| forest.root_of.get(id)).copied().collect())
    }
}

/// Sees to it that nothing that stays is looked at again at once.
async fn settle(
    c: &mut Connection,
    due: &[DueManifest],
    outcomes: &[Removed],
    now: Timestamp,
) -> Result<(), wharf_metadata::Error> {
    for (manifest, outcome) in due.iter().zip(outcomes) {
        match outcome {
            // It was settled in the transaction that looked.
            Removed::Removed | Removed::Skipped(Skipped::Kept) => {}
            Removed::Skipped(Skipped::Locked | Skipped::Changed) => {
                dates::postpone(c, manifest.manifest, manifest.due, now + LOOK_AGAIN).await?;
            }
            // Something holds it, and a date that it may have got since is another one.
            Removed::Skipped(Skipped::Gone | Skipped::Tagged | Skipped::Listed | Skipped::HasSubject) => {
                dates::drop_date(c, manifest.manifest, manifest.due).await?;
            }
        }
    }
    Ok(())
}

/// Who removes, in the change log.
const ACTOR: &str = "system";

/// How many manifests one round looks at.
const AT_ONCE: i64 = 200;

/// When a manifest is looked at again that a lock keeps, if nothing is heard of the lock before.
const LOOK_AGAIN: Duration = Duration::from_secs(60 * 60);

const DAY_SECONDS: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use wharf_blobs::FileStore;
    use wharf_metadata::blobs::{self, Place};
    use wharf_metadata::registries::Retention;
    use wharf_metadata::{Database, DatabaseUrl, NewRegistry, RegistryRow, repositories};
    use wharf_model::{Algorithm, FakeClock, Reference, RegistryUid, RepositoryName};

    use super::*;
    use crate::{PutManifest, Settings, Sight};

    struct World {
        artifacts: Artifacts,
        clock: Arc<FakeClock>,
        registry: Arc<RegistryRow>,
        repository: RepositoryName,
        _directory: tempfile::TempDir,
    }

    impl World {
        /// A registry that keeps untagged manifests for a day.
        async fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("metadata.db");
            let database = Database::open(&DatabaseUrl::Sqlite(path)).await.unwrap();
            let clock = Arc::new(FakeClock::at(Timestamp(1_790_000_000_000_000)));
            let store = Arc::new(FileStore::open(directory.path().join("blobs")).unwrap());
            let artifacts = Artifacts::new(database, store, clock.clone(), Settings::default(), &[7; 32]);
            let repository: RepositoryName = "app".parse().unwrap();
            let new = NewRegistry {
                uid: RegistryUid(uuid::Uuid::new_v4()),
                name: "contoso".parse().unwrap(),
                sku: "Premium".into(),
                admin_user_enabled: true,
                anonymous_pull_enabled: false,
                admin_passwords: [vec![], vec![]],
                created_at: Timestamp(0),
                resource_id: wharf_model::ResourceId::root(),
                settings: RegistrySettings { retention: Some(Retention { days: 1, since: 0 }), ..Default::default() },
            };
            let name = repository.clone();
            let write = artifacts.database().write(move |c| {
                Box::pin(async move {
                    let registry = registries::insert(c, &new).await?.expect("the name is free");
                    let found = repositories::find_or_insert(c, registry, &name, Timestamp(0)).await?;
                    let digest = Digest::of(Algorithm::Sha256, b"{}");
                    let (blob, _) = blobs::insert(c, &digest, 2, &Place::Inline(b"{}".to_vec()), Timestamp(0)).await?;
                    blobs::link(c, found.id, blob, Timestamp(i64::MAX)).await
                })
            });
            write.await.unwrap();
            let registry = artifacts.find_registry(&"contoso".parse().unwrap()).await.unwrap().unwrap();
            Self { artifacts, clock, registry, repository, _directory: directory }
        }

        fn target(&self) -> Target<'_> {
            Target { registry: &self.registry, repository: &self.repository }
        }

        async fn push(&self, tag: &str, note: &str) -> Digest {
            let config = Digest::of(Algorithm::Sha256, b"{}");
            let manifest = serde_json::json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.as_str(), "size": 2},
                "layers": [],
                "annotations": {"note": note},
            });
            let put = PutManifest {
                reference: tag.parse().unwrap(),
                tags: Vec::new(),
                content_type: None,
                bytes: serde_json::to_vec(&manifest).unwrap().into(),
                only_new: false,
                actor: "test".into(),
            };
            self.artifacts.put_manifest(self.target(), put).await.unwrap().digest
        }

        async fn untag(&self, tag: &str) {
            let reference: Reference = tag.parse().unwrap();
            self.artifacts.delete_manifest(self.target(), &reference, "test").await.unwrap();
        }

        async fn read_due(&self) -> Vec<DueManifest> {
            let now = self.artifacts.now();
            let database = self.artifacts.database();
            database.read(move |c| Box::pin(async move { dates::list_due(c, now, 10).await })).await.unwrap()
        }

        async fn act_on(&self, due: Vec<DueManifest>) -> u64 {
            self.artifacts.remove_due(due, self.artifacts.now()).await.unwrap()
        }

        async fn is_there(&self, digest: &Digest) -> bool {
            let reference = Reference::Digest(digest.clone());
            self.artifacts.get_manifest(self.target(), &reference, Sight::Everything).await.unwrap().is_some()
        }
    }

    const DAY: Duration = Duration::from_secs(DAY_SECONDS);

    /// Each time the list of what is due was read before, and acted on after.
    #[tokio::test]
    async fn what_was_read_as_due_stays_if_it_is_not_any_more() {
        let world = World::new().await;
        world.push("stays", "another").await;
        let digest = world.push("v1", "it").await;
        world.untag("v1").await;
        world.clock.advance(DAY);
        let due = world.read_due().await;
        assert_eq!(due.len(), 1);

        world.push("v2", "it").await;
        assert_eq!(world.act_on(due.clone()).await, 0, "tagged again");
        world.untag("v2").await;
        assert_eq!(world.act_on(due.clone()).await, 0, "tagged and untagged again: it has another date");
        assert!(world.is_there(&digest).await);
        assert!(world.read_due().await.is_empty());
        world.clock.advance(DAY - Duration::from_secs(1));
        assert_eq!(world.artifacts.remove_untagged_manifests().await.unwrap(), 0);
        world.clock.advance(Duration::from_secs(1));
        let due = world.read_due().await;
        assert_eq!(due.len(), 1, "the old list did not take the new date away");

        let id = world.registry.id;
        let mut change = registries::RegistryChange::from(&*world.registry);
        change.settings.retention = None;
        let write = world
            .artifacts
            .database()
            .write(move |c| Box::pin(async move { registries::update(c, id, &change, "test", Timestamp(0)).await }));
        write.await.unwrap();
        assert_eq!(world.act_on(due).await, 0, "the policy was switched off");
        assert!(world.is_there(&digest).await);
        assert!(world.read_due().await.is_empty(), "for good");
    }
}
