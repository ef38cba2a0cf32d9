//! Deleting a manifest or a tag.

use wharf_metadata::{Connection, attributes, manifests, repositories};
use wharf_model::{Reference, RepositoryName};

use crate::locks::{Locked, check_deletable};
use crate::manifests::removal::{Forest, Gone, Remover};
use crate::untagging::Untagging;
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
        let remover = Remover { untagging: Untagging::new(target, actor, self.now()) };
        let deletion = Deletion { remover, reference: reference.clone() };
        let gone = self.inner.database.write(move |c| Box::pin(async move { deletion.run(c).await })).await?;
        self.forget_removed(target, &gone);
        Ok(())
    }
}

struct Deletion {
    remover: Remover,
    reference: Reference,
}

impl Deletion {
    async fn run(self, c: &mut Connection) -> Result<Gone, DeleteManifestError> {
        let Untagging { registry, repository: name, .. } = &self.remover.untagging;
        let unknown = || DeleteManifestError::RepositoryUnknown { repository: name.clone() };
        let repository = repositories::find_shown(c, *registry, name).await?.ok_or_else(unknown)?;
        // What a deletion takes away depends on what it finds, so nobody may change that meanwhile.
        let locks = repositories::lock(c, repository).await?.ok_or_else(unknown)?;
        if !locks.write_enabled {
            return Err(Locked::Repository(name.clone()).into());
        }
        let gone = match &self.reference {
            Reference::Tag(tag) => {
                let Some(found) = attributes::find_tag(c, repository, tag).await? else { return Err(self.unknown()) };
                if !found.locks.allow_delete() {
                    return Err(Locked::Tag { repository: name.clone(), tag: tag.to_string() }.into());
                }
                self.remover.remove_tags(c, repository, &[tag.as_str()]).await?
            }
            Reference::Digest(digest) => {
                let Some((_, id)) = manifests::find_many(c, repository, &[digest]).await?.pop() else {
                    return Err(self.unknown());
                };
                let tree = Forest::grow(c, repository, vec![(digest.clone(), id)]).await?;
                check_deletable(c, repository, name, &tree.ids()).await??;
                self.remover.remove_manifests(c, repository, &tree.manifests).await?
            }
        };
        self.remover.log(c, &gone).await?;
        Ok(gone)
    }

    fn unknown(self) -> DeleteManifestError {
        let repository = self.remover.untagging.repository;
        DeleteManifestError::ManifestUnknown { repository, reference: self.reference }
    }
}
