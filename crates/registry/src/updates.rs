//! Changing attributes: locks, patterns of tags, marks of quarantine.
//!
//! What a change does not name stays, and one that changes nothing is no change. Each runs under the lock of the repository's
//! row, so that what it allows or forbids holds from the moment in which it is answered.

use wharf_metadata::attributes::{self, RepositoryAttributes, TagAttributes};
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::{Connection, repositories, retention};
use wharf_model::{Digest, Locks, LocksChange, RegistryId, RepositoryId, RepositoryName, Tag, Timestamp};

use crate::attributes::{DescribedManifest, describe};
use crate::cache::key;
use crate::locks::{AttributesError, Locked};
use crate::quarantine::{self, QuarantineChange};
use crate::{Artifacts, Target};

/// A change of a repository's attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryChange {
    /// Its locks.
    pub locks: LocksChange,
    /// Its patterns of tags that are written once, as [`crate::parse_patterns`] returns them. They replace those that it has.
    pub write_once_tags: Option<Vec<String>>,
}

impl From<LocksChange> for RepositoryChange {
    fn from(locks: LocksChange) -> Self {
        Self { locks, write_once_tags: None }
    }
}

/// A change of a manifest's attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManifestChange {
    /// Its locks.
    pub locks: LocksChange,
    /// What a scanner says of it.
    pub quarantine: QuarantineChange,
}

impl From<LocksChange> for ManifestChange {
    fn from(locks: LocksChange) -> Self {
        Self { locks, quarantine: QuarantineChange::default() }
    }
}

impl Artifacts {
    /// Changes the attributes of a repository, and returns it as it is then.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn update_repository(
        &self,
        target: Target<'_>,
        change: impl Into<RepositoryChange>,
        actor: &str,
    ) -> Result<RepositoryAttributes, AttributesError> {
        let (update, change) = (Update::new(target, actor, self.now()), change.into());
        let write = self.inner.database.write(move |c| {
            Box::pin(async move {
                let (id, before) = update.open(c).await?;
                let unknown = || AttributesError::RepositoryUnknown(update.repository.clone());
                let mut found =
                    attributes::find_repository(c, update.registry, &update.repository).await?.ok_or_else(unknown)?;
                let old = (before, found.write_once_tags.clone());
                found.locks = change.locks.of(before);
                if let Some(patterns) = change.write_once_tags {
                    found.write_once_tags = patterns;
                }
                if (found.locks, &found.write_once_tags) != (old.0, &old.1) {
                    attributes::put_repository_locks(c, id, found.locks).await?;
                    attributes::put_write_once_tags(c, id, &found.write_once_tags).await?;
                    update.log(c, Kind::RepositoryUpdate, None, None).await?;
                }
                let is_closed = closes(before, found.locks);
                Ok::<_, AttributesError>((found, is_closed))
            })
        });
        let (found, is_closed) = write.await?;
        if is_closed {
            self.inner.caches.forget_content();
        }
        Ok(found)
    }

    /// Changes the locks of a tag, and returns it as it is then.
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
        let (update, wanted) = (Update::new(target, actor, self.now()), tag.clone());
        let write = self.inner.database.write(move |c| {
            Box::pin(async move {
                let id = update.open_for_content(c).await?;
                let Some(mut found) = attributes::find_tag(c, id, &wanted).await? else {
                    return Err(AttributesError::TagUnknown { repository: update.repository, tag: wanted });
                };
                let before = found.locks;
                found.locks = change.of(before);
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

    /// Changes the attributes of a manifest, and returns it as it is then.
    ///
    /// A mark of a scanner is no change of what is locked, so a lock is not in its way.
    ///
    /// # Errors
    /// [`AttributesError`].
    pub async fn update_manifest(
        &self,
        target: Target<'_>,
        digest: &Digest,
        change: impl Into<ManifestChange>,
        actor: &str,
    ) -> Result<DescribedManifest, AttributesError> {
        let (update, wanted, change) = (Update::new(target, actor, self.now()), digest.clone(), change.into());
        let write =
            self.inner.database.write(move |c| Box::pin(async move { update.manifest(c, wanted, change).await }));
        let (found, is_closed) = write.await?;
        if is_closed {
            // It may be remembered under any of its tags.
            self.inner.caches.manifests.invalidate_all();
        }
        Ok(found)
    }
}

/// Whether something may not be pulled any more that could be pulled before. What may not be pulled is never remembered, so
/// that only this direction needs forgetting.
fn closes(before: Locks, after: Locks) -> bool {
    before.read_enabled && !after.read_enabled
}

/// A change that is to be written.
struct Update {
    registry: RegistryId,
    repository: RepositoryName,
    actor: String,
    now: Timestamp,
}

impl Update {
    fn new(target: Target<'_>, actor: &str, now: Timestamp) -> Self {
        Self { registry: target.registry.id, repository: target.repository.clone(), actor: actor.to_owned(), now }
    }

    /// The change of a manifest. Returns it, and whether it may not be pulled any more.
    async fn manifest(
        self,
        c: &mut Connection,
        digest: Digest,
        change: ManifestChange,
    ) -> Result<(DescribedManifest, bool), AttributesError> {
        let id = match change.quarantine.is_empty() || change.locks != LocksChange::default() {
            true => self.open_for_content(c).await?,
            false => self.open(c).await?.0,
        };
        let Some(mut found) = describe(c, id, &digest).await? else {
            return Err(AttributesError::ManifestUnknown { repository: self.repository, digest });
        };
        let before = found.attributes.locks;
        let after = change.locks.of(before);
        if after != before {
            attributes::put_manifest_locks(c, id, &digest, after).await?;
            if after.allow_delete() {
                retention::reconsider(c, found.attributes.id).await?;
            }
            self.log(c, Kind::ManifestUpdate, None, Some(&digest)).await?;
        }
        found.attributes.locks = after;
        match quarantine::put(c, &found.attributes, &change.quarantine).await? {
            quarantine::Marked::NoState => {
                return Err(AttributesError::NoState { repository: self.repository, digest });
            }
            quarantine::Marked::Same => {}
            quarantine::Marked::As(mark, kind) => {
                let tag = mark.tag.as_deref().and_then(|tag| tag.parse().ok());
                self.log(c, kind, tag.as_ref(), Some(&digest)).await?;
                found.attributes.quarantine = Some(mark);
            }
        }
        Ok((found, closes(before, after)))
    }

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
