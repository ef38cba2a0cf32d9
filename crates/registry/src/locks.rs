//! Locks: what they forbid, and changing them.
//!
//! A lock is looked at inside the transaction that it may forbid, after the repository's row was taken in a way that no
//! change of a lock in the repository can pass. So a lock holds from the moment in which its `PATCH` is answered.
//!
//! | who | needs |
//! | --- | --- |
//! | push, tag | repository `write`; each tag that is there `write` |
//! | untag | repository `write`; the tag `write` and `delete` |
//! | delete of a manifest | repository `write`; it, its referrers and all their tags `write` and `delete` |
//! | delete of the repository | repository, its manifests and its tags `write` and `delete` |
//! | pull | repository, manifest and, by tag, the tag `read` |
//! | change of a tag's or a manifest's locks | repository `write` |
//!
//! Whether a push may set a tag on a manifest is not asked of the manifest: that changes the tag.
//! Source: `acr/semantics.md` 4.1; what it leaves open is in `docs/decisions/0031-locks.md`.

use wharf_metadata::attributes::{self, LockedItem, RepositoryAttributes, TagAttributes};
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::{Connection, repositories};
use wharf_model::{Digest, Locks, LocksChange, ManifestId, RegistryId, RepositoryId, RepositoryName, Tag, Timestamp};

use crate::attributes::{DescribedManifest, describe};
use crate::cache::key;
use crate::{Artifacts, Error, Target};

/// A lock forbids what was to be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Locked {
    /// The repository is locked.
    #[error("the repository {0} is locked")]
    Repository(RepositoryName),
    /// A tag is locked.
    #[error("the tag {tag} of {repository} is locked")]
    Tag {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: String,
    },
    /// The repository, the tag or the manifest is locked against pulling.
    #[error("{reference} of {repository} may not be pulled: it or what it is in is locked")]
    Read {
        /// The repository.
        repository: RepositoryName,
        /// What was to be pulled.
        reference: String,
    },
    /// A manifest is locked.
    #[error("the manifest {digest} of {repository} is locked")]
    Manifest {
        /// The repository.
        repository: RepositoryName,
        /// Its digest.
        digest: String,
    },
}

/// Why attributes are not shown, or locks not changed.
#[derive(Debug, thiserror::Error)]
pub enum AttributesError {
    /// There is no such repository.
    #[error("there is no repository {0}")]
    RepositoryUnknown(RepositoryName),
    /// There is no such tag in the repository.
    #[error("there is no tag {tag} in {repository}")]
    TagUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The tag.
        tag: Tag,
    },
    /// There is no such manifest in the repository.
    #[error("there is no manifest {digest} in {repository}")]
    ManifestUnknown {
        /// The repository.
        repository: RepositoryName,
        /// The manifest's digest.
        digest: Digest,
    },
    /// A list was to go on behind something that is not in it any more, and its place in time is not known.
    #[error("{last} is not in the list any more; go on with the link that came with the page before")]
    PositionUnknown {
        /// Behind what it was to go on.
        last: String,
    },
    /// The repository is locked, and so are the attributes of what is in it.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for AttributesError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Artifacts {
    /// Changes the locks of a repository, and returns it as it is then. What the change does not name stays; one that changes
    /// nothing is no change. So with the two below.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn update_repository(
        &self,
        target: Target<'_>,
        change: LocksChange,
        actor: &str,
    ) -> Result<RepositoryAttributes, AttributesError> {
        let update = self.update(target, change, actor);
        let write = self.inner.database.write(move |c| {
            Box::pin(async move {
                let (id, before) = update.open(c).await?;
                let after = update.change.of(before);
                if after != before {
                    attributes::put_repository_locks(c, id, after).await?;
                    update.log(c, Kind::RepositoryUpdate, None, None).await?;
                }
                let found = attributes::find_repository(c, update.registry, &update.repository).await?;
                let found = found.ok_or(AttributesError::RepositoryUnknown(update.repository))?;
                Ok::<_, AttributesError>((found, closes(before, after)))
            })
        });
        let (found, is_closed) = write.await?;
        if is_closed {
            self.inner.caches.forget_content();
        }
        Ok(found)
    }

    /// Changes the locks of a tag.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn update_tag(
        &self,
        target: Target<'_>,
        tag: &Tag,
        change: LocksChange,
        actor: &str,
    ) -> Result<TagAttributes, AttributesError> {
        let (update, wanted) = (self.update(target, change, actor), tag.clone());
        let write = self.inner.database.write(move |c| {
            Box::pin(async move {
                let id = update.open_for_content(c).await?;
                let Some(mut found) = attributes::find_tag(c, id, &wanted).await? else {
                    return Err(AttributesError::TagUnknown { repository: update.repository, tag: wanted });
                };
                let before = found.locks;
                found.locks = update.change.of(before);
                if found.locks != before {
                    attributes::put_tag_locks(c, id, &wanted, found.locks).await?;
                    let digest = found.digest.parse().ok();
                    update.log(c, Kind::TagUpdate, Some(&wanted), digest.as_ref()).await?;
                }
                let is_closed = closes(before, found.locks);
                Ok::<_, AttributesError>((found, is_closed))
            })
        });
        let (found, is_closed) = write.await?;
        if is_closed {
            self.inner.caches.manifests.invalidate(&key(target.registry.id, target.repository, ':', tag.as_str()));
        }
        Ok(found)
    }

    /// Changes the locks of a manifest.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn update_manifest(
        &self,
        target: Target<'_>,
        digest: &Digest,
        change: LocksChange,
        actor: &str,
    ) -> Result<DescribedManifest, AttributesError> {
        let (update, wanted) = (self.update(target, change, actor), digest.clone());
        let write = self.inner.database.write(move |c| {
            Box::pin(async move {
                let id = update.open_for_content(c).await?;
                let Some(mut found) = describe(c, id, &wanted).await? else {
                    let repository = update.repository;
                    return Err(AttributesError::ManifestUnknown { repository, digest: wanted });
                };
                let before = found.attributes.locks;
                let after = update.change.of(before);
                if after != before {
                    attributes::put_manifest_locks(c, id, &wanted, after).await?;
                    update.log(c, Kind::ManifestUpdate, None, Some(&wanted)).await?;
                }
                found.attributes.locks = after;
                Ok::<_, AttributesError>((found, closes(before, after)))
            })
        });
        let (found, is_closed) = write.await?;
        if is_closed {
            // It may be remembered under any of its tags.
            self.inner.caches.manifests.invalidate_all();
        }
        Ok(found)
    }

    fn update(&self, target: Target<'_>, change: LocksChange, actor: &str) -> Update {
        Update {
            registry: target.registry.id,
            repository: target.repository.clone(),
            change,
            actor: actor.to_owned(),
            now: self.now(),
        }
    }
}

/// Whether something may not be pulled any more that could be pulled before. What may not be pulled is never remembered, so
/// that only this direction needs forgetting.
fn closes(before: Locks, after: Locks) -> bool {
    before.read_enabled && !after.read_enabled
}

/// A change of locks that is to be written.
struct Update {
    registry: RegistryId,
    repository: RepositoryName,
    change: LocksChange,
    actor: String,
    now: Timestamp,
}

impl Update {
    /// Takes the repository's row, and returns its own locks.
    async fn open(&self, c: &mut Connection) -> Result<(RepositoryId, Locks), AttributesError> {
        let unknown = || AttributesError::RepositoryUnknown(self.repository.clone());
        let id = repositories::find_shown(c, self.registry, &self.repository).await?.ok_or_else(unknown)?;
        let locks = repositories::lock(c, id).await?.ok_or_else(unknown)?;
        Ok((id, locks))
    }

    /// The same, for changing something in it.
    async fn open_for_content(&self, c: &mut Connection) -> Result<RepositoryId, AttributesError> {
        match self.open(c).await? {
            (id, locks) if locks.write_enabled => Ok(id),
            _ => Err(Locked::Repository(self.repository.clone()).into()),
        }
    }

    async fn log(
        &self,
        c: &mut Connection,
        kind: Kind,
        tag: Option<&Tag>,
        digest: Option<&Digest>,
    ) -> Result<(), wharf_metadata::Error> {
        let (actor, repository) = (self.actor.as_str(), Some(&self.repository));
        let change = NewChange { kind, actor, repository, tag, digest, changed_at: self.now };
        changes::append(c, self.registry, &[change]).await
    }
}

/// Refuses if a lock keeps one of these manifests, or of their tags, from being deleted; with none given, any of the
/// repository. To be called under the lock of the repository's row.
pub(crate) async fn check_deletable(
    c: &mut Connection,
    id: RepositoryId,
    repository: &RepositoryName,
    manifests: &[ManifestId],
) -> Result<Result<(), Locked>, wharf_metadata::Error> {
    let repository = repository.clone();
    Ok(match attributes::find_locked(c, id, manifests).await? {
        None => Ok(()),
        Some(LockedItem::Manifest(digest)) => Err(Locked::Manifest { repository, digest }),
        Some(LockedItem::Tag(tag)) => Err(Locked::Tag { repository, tag }),
    })
}

/// Why content is not handed out, or not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A lock forbids it.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for ContentError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<wharf_blobs::Error> for ContentError {
    fn from(error: wharf_blobs::Error) -> Self {
        Self::Store(error.into())
    }
}
