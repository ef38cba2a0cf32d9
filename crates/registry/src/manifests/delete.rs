//! Deleting a manifest or a tag.

use std::collections::{HashSet, VecDeque};

use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::{Connection, attributes, manifests, repositories, tags};
use wharf_model::{Digest, ManifestId, Reference, RegistryId, RepositoryName, Tag, Timestamp};

use crate::cache::key;
use crate::locks::{Locked, check_deletable};
use crate::{Artifacts, Error, Target};

/// Why nothing was deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteManifestError {
    /// There is no such repository.
    #[error("there is no repository {repository}")]
    RepositoryUnknown {
        /// Its name.
        repository: RepositoryName,
    },
    /// There is no such manifest or tag in the repository.
    #[error("there is no manifest {reference} in {repository}")]
    ManifestUnknown {
        /// The repository.
        repository: RepositoryName,
        /// What was to be deleted.
        reference: Reference,
    },
    /// A lock keeps it, or something that would go with it.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for DeleteManifestError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Artifacts {
    /// Deletes by tag or by digest.
    ///
    /// A tag is only taken off its manifest (distribution-spec v1.1, "Deleting tags"). A digest goes with all its tags
    /// and the whole tree of its referrers (`acr/semantics.md` 4.2). Blobs are left to the collector.
    ///
    /// # Errors
    /// [`DeleteManifestError`].
    pub async fn delete_manifest(
        &self,
        target: Target<'_>,
        reference: &Reference,
        actor: &str,
    ) -> Result<(), DeleteManifestError> {
        let deletion = Deletion {
            registry: target.registry.id,
            repository: target.repository.clone(),
            reference: reference.clone(),
            actor: actor.to_owned(),
            now: self.now(),
        };
        let gone = self.inner.database.write(move |c| Box::pin(async move { deletion.run(c).await })).await?;
        let cache = &self.inner.caches.manifests;
        for (digest, tags) in &gone {
            if let Some(digest) = digest {
                cache.invalidate(&key(target.registry.id, target.repository, '@', digest.as_str()));
            }
            for tag in tags {
                cache.invalidate(&key(target.registry.id, target.repository, ':', tag.as_str()));
            }
        }
        Ok(())
    }
}

/// What a deletion removed: manifests, each with its tags, or only a tag.
type Gone = Vec<(Option<Digest>, Vec<Tag>)>;

struct Deletion {
    registry: RegistryId,
    repository: RepositoryName,
    reference: Reference,
    actor: String,
    now: Timestamp,
}

impl Deletion {
    async fn run(self, c: &mut Connection) -> Result<Gone, DeleteManifestError> {
        let Some(repository) = repositories::find_shown(c, self.registry, &self.repository).await? else {
            return Err(DeleteManifestError::RepositoryUnknown { repository: self.repository });
        };
        // What a deletion takes away depends on what it finds, so nobody may change that meanwhile.
        match repositories::lock(c, repository).await? {
            None => return Err(DeleteManifestError::RepositoryUnknown { repository: self.repository }),
            Some(locks) if !locks.write_enabled => return Err(Locked::Repository(self.repository).into()),
            Some(_) => {}
        }
        match &self.reference {
            Reference::Tag(tag) => {
                let found = attributes::find_tag(c, repository, tag).await?;
                if found.is_some_and(|found| !found.locks.allow_delete()) {
                    return Err(Locked::Tag { repository: self.repository, tag: tag.to_string() }.into());
                }
                let Some(digest) = tags::delete(c, repository, tag).await? else { return Err(self.unknown()) };
                repositories::count(c, repository, 0, -1, self.now).await?;
                let digest = digest.parse().ok();
                changes::append(c, self.registry, &[self.change(Kind::TagDelete, Some(tag), digest.as_ref())]).await?;
                Ok(vec![(None, vec![tag.clone()])])
            }
            Reference::Digest(digest) => {
                let Some((_, id)) = manifests::find_many(c, repository, &[digest]).await?.pop() else {
                    return Err(self.unknown());
                };
                let tree = tree_of_referrers(c, repository, digest, id).await?;
                let ids: Vec<ManifestId> = tree.iter().map(|(_, id)| *id).collect();
                check_deletable(c, repository, &self.repository, &ids).await??;
                let mut gone = Gone::new();
                for (digest, id) in tree {
                    let names = tags::delete_of_manifest(c, id).await?;
                    if manifests::delete(c, id).await? {
                        gone.push((Some(digest), names.iter().filter_map(|name| name.parse().ok()).collect()));
                    }
                }
                let tags: usize = gone.iter().map(|(_, tags)| tags.len()).sum();
                repositories::count(c, repository, -(gone.len() as i64), -(tags as i64), self.now).await?;
                changes::append(c, self.registry, &self.changes(&gone)).await?;
                Ok(gone)
            }
        }
    }

    fn changes<'a>(&'a self, gone: &'a Gone) -> Vec<NewChange<'a>> {
        let mut changes = Vec::new();
        for (digest, tags) in gone {
            changes.extend(tags.iter().map(|tag| self.change(Kind::TagDelete, Some(tag), digest.as_ref())));
            changes.push(self.change(Kind::ManifestDelete, None, digest.as_ref()));
        }
        changes
    }

    fn change<'a>(&'a self, kind: Kind, tag: Option<&'a Tag>, digest: Option<&'a Digest>) -> NewChange<'a> {
        NewChange { kind, actor: &self.actor, repository: Some(&self.repository), tag, digest, changed_at: self.now }
    }

    fn unknown(self) -> DeleteManifestError {
        DeleteManifestError::ManifestUnknown { repository: self.repository, reference: self.reference }
    }
}

/// A manifest and everything that refers to it as its subject, directly or not, each once.
async fn tree_of_referrers(
    c: &mut Connection,
    repository: wharf_model::RepositoryId,
    digest: &Digest,
    id: ManifestId,
) -> Result<Vec<(Digest, ManifestId)>, wharf_metadata::Error> {
    let mut seen = HashSet::from([id]);
    let mut tree = vec![(digest.clone(), id)];
    let mut open = VecDeque::from([digest.as_str().to_owned()]);
    while let Some(subject) = open.pop_front() {
        for (digest, id) in manifests::find_referrers(c, repository, &subject).await? {
            if seen.insert(id)
                && let Ok(parsed) = digest.parse()
            {
                tree.push((parsed, id));
                open.push_back(digest);
            }
        }
    }
    Ok(tree)
}
