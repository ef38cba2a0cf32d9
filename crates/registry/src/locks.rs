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
//! Source: `acr/semantics.md` 4.1; what it leaves open is in `docs/decisions/0026-locks.md`.

use wharf_metadata::attributes::{self, LockedItem};
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::{Connection, repositories};
use wharf_model::{Digest, Locks, LocksChange, ManifestId, RegistryId, RepositoryId, RepositoryName, Tag, Timestamp};

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

/// What has locks in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lockable {
    /// The repository itself.
    Repository,
    /// A tag.
    Tag(Tag),
    /// A manifest.
    Manifest(Digest),
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
    /// Changes the locks of a repository, a tag or a manifest. What the change does not name stays; one that changes nothing
    /// is no change.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn update_locks(
        &self,
        target: Target<'_>,
        what: &Lockable,
        change: LocksChange,
        actor: &str,
    ) -> Result<(), AttributesError> {
        let update = Update {
            registry: target.registry.id,
            repository: target.repository.clone(),
            what: what.clone(),
            change,
            actor: actor.to_owned(),
            now: self.now(),
        };
        let is_closed = self.inner.database.write(move |c| Box::pin(async move { update.run(c).await })).await?;
        // What may not be pulled is never remembered, so that only the other direction needs forgetting.
        if is_closed {
            let caches = &self.inner.caches;
            match what {
                Lockable::Repository => caches.forget_content(),
                Lockable::Tag(tag) => {
                    caches.manifests.invalidate(&key(target.registry.id, target.repository, ':', tag.as_str()));
                }
                // It may be remembered under any of its tags.
                Lockable::Manifest(_) => caches.manifests.invalidate_all(),
            }
        }
        Ok(())
    }
}

/// A change of locks that is to be written.
struct Update {
    registry: RegistryId,
    repository: RepositoryName,
    what: Lockable,
    change: LocksChange,
    actor: String,
    now: Timestamp,
}

impl Update {
    /// Returns whether something may not be pulled any more that could be pulled before.
    async fn run(self, c: &mut Connection) -> Result<bool, AttributesError> {
        let unknown = || AttributesError::RepositoryUnknown(self.repository.clone());
        let found = repositories::find_shown(c, self.registry, &self.repository).await?.ok_or_else(unknown)?;
        let own = repositories::lock(c, found).await?.ok_or_else(unknown)?;
        if self.what != Lockable::Repository && !own.write_enabled {
            return Err(Locked::Repository(self.repository).into());
        }
        let (before, digest) = match &self.what {
            Lockable::Repository => (own, None),
            Lockable::Tag(tag) => {
                let Some(row) = attributes::find_tag(c, found, tag).await? else {
                    return Err(AttributesError::TagUnknown { repository: self.repository, tag: tag.clone() });
                };
                (row.locks, row.digest.parse().ok())
            }
            Lockable::Manifest(digest) => {
                let Some(row) = attributes::find_manifest(c, found, digest).await? else {
                    let digest = digest.clone();
                    return Err(AttributesError::ManifestUnknown { repository: self.repository, digest });
                };
                (row.locks, Some(digest.clone()))
            }
        };
        let after = self.change.of(before);
        if after != before {
            self.put(c, found, after, digest.as_ref()).await?;
        }
        Ok(before.read_enabled && !after.read_enabled)
    }

    async fn put(
        &self,
        c: &mut Connection,
        repository: RepositoryId,
        locks: Locks,
        digest: Option<&Digest>,
    ) -> Result<(), wharf_metadata::Error> {
        let (kind, tag) = match &self.what {
            Lockable::Repository => {
                attributes::put_repository_locks(c, repository, locks).await?;
                (Kind::RepositoryUpdate, None)
            }
            Lockable::Tag(tag) => {
                attributes::put_tag_locks(c, repository, tag, locks).await?;
                (Kind::TagUpdate, Some(tag))
            }
            Lockable::Manifest(digest) => {
                attributes::put_manifest_locks(c, repository, digest, locks).await?;
                (Kind::ManifestUpdate, None)
            }
        };
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
