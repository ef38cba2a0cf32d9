//! Deleting a repository with everything in it.

use wharf_metadata::attributes;
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::registries::SoftDelete;
use wharf_metadata::{Connection, repositories, trash};
use wharf_model::{RegistryId, RepositoryId, RepositoryName, Timestamp};

use crate::locks::{Locked, check_deletable};
use crate::{Artifacts, Error, Target};

/// What was deleted with a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletedRepository {
    /// The digests of its manifests, in order.
    pub manifests: Vec<String>,
    /// The names of its tags, in order.
    pub tags: Vec<String>,
}

/// Why a repository was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteRepositoryError {
    /// There is no such repository.
    #[error("there is no repository {0}")]
    Unknown(RepositoryName),
    /// A lock keeps it, or something in it.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for DeleteRepositoryError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Artifacts {
    /// Deletes a repository with all its manifests and tags.
    ///
    /// It is out of sight when this returns, however much it holds. With soft delete on all of it is in the trash then, and
    /// gets its rows there bit by bit, by [`Self::settle_trash`]. Else its rows are removed bit by bit, by
    /// [`Self::remove_deleted_repositories`], and its blobs are left to the collector.
    ///
    /// # Errors
    /// [`DeleteRepositoryError`]; if a lock keeps anything in it, nothing is deleted.
    pub async fn delete_repository(
        &self,
        target: Target<'_>,
        actor: &str,
    ) -> Result<DeletedRepository, DeleteRepositoryError> {
        let deletion = Deletion {
            registry: target.registry.id,
            soft_delete: target.registry.settings.soft_delete,
            repository: target.repository.clone(),
            actor: actor.to_owned(),
            now: self.now(),
        };
        let hidden = self.inner.database.write(move |c| Box::pin(async move { deletion.run(c).await })).await?;
        self.inner.caches.forget_content();
        // Nobody but the reconciler changes it now, and that waits a while. So others need not wait for this to be read.
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let (manifests, tags) = attributes::list_names(c, hidden).await?;
                Ok::<_, wharf_metadata::Error>(DeletedRepository { manifests, tags })
            })
        });
        Ok(read.await?)
    }
}

/// A deletion that is to be written.
struct Deletion {
    registry: RegistryId,
    soft_delete: Option<SoftDelete>,
    repository: RepositoryName,
    actor: String,
    now: Timestamp,
}

impl Deletion {
    async fn run(self, c: &mut Connection) -> Result<RepositoryId, DeleteRepositoryError> {
        let unknown = || DeleteRepositoryError::Unknown(self.repository.clone());
        let id = repositories::find_shown(c, self.registry, &self.repository).await?.ok_or_else(unknown)?;
        let locks = repositories::lock(c, id).await?.ok_or_else(unknown)?;
        if !locks.allow_delete() {
            return Err(Locked::Repository(self.repository).into());
        }
        check_deletable(c, id, &self.repository, &[]).await??;
        match self.soft_delete {
            Some(policy) => {
                let trash = trash::open(c, self.registry, &self.repository, policy.days).await?;
                trash::sink(c, id, trash, &self.actor, self.now).await?;
            }
            None => repositories::hide(c, id, self.now).await?,
        }
        let change = NewChange {
            kind: Kind::RepositoryDelete,
            actor: &self.actor,
            repository: Some(&self.repository),
            tag: None,
            digest: None,
            changed_at: self.now,
        };
        changes::append(c, self.registry, &[change]).await?;
        Ok(id)
    }
}
