//! Values that clients keep with repositories, tags and manifests: anything that is JSON, under keys of their choosing. They
//! go with what they belong to; a tag keeps its own when it moves.
//!
//! What is locked against writing keeps its values as they are.

use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::values::{self, Owner};
use wharf_metadata::{Connection, attributes, repositories};
use wharf_model::{Digest, RepositoryName, Tag};

use crate::locks::{AttributesError, Locked};
use crate::{Artifacts, Error, Target};

/// What a value belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueOwner {
    /// The repository itself.
    Repository,
    /// A tag of it.
    Tag(Tag),
    /// A manifest in it.
    Manifest(Digest),
}

/// Keys, and what they belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The keys, in order.
    pub keys: Vec<String>,
    /// The digest of the manifest, or of the one that the tag names.
    pub digest: Option<String>,
}

/// Why a value is not shown, or not changed.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// There is no such key.
    #[error("there is no value with the key {key:?}")]
    KeyUnknown {
        /// The key.
        key: String,
    },
    /// There are as many as there may be.
    #[error("there are {MOST_KEYS} keys already; delete one first")]
    TooMany,
    /// What it is to belong to is not there, or locked.
    #[error(transparent)]
    Owner(#[from] AttributesError),
}

impl From<wharf_metadata::Error> for ValuesError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Owner(error.into())
    }
}

impl From<Error> for ValuesError {
    fn from(error: Error) -> Self {
        Self::Owner(AttributesError::Store(error))
    }
}

impl Artifacts {
    /// Lists the keys of a repository, a tag or a manifest.
    ///
    /// # Errors
    /// [`ValuesError`].
    pub async fn list_keys(&self, target: Target<'_>, owner: &ValueOwner) -> Result<Keys, ValuesError> {
        let wanted = Wanted::new(target, owner);
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let found = wanted.find(c).await?;
                Ok::<_, ValuesError>(Keys { keys: values::list_keys(c, &found.owner).await?, digest: found.digest })
            })
        });
        read.await
    }

    /// Finds the value of a key, as JSON.
    ///
    /// # Errors
    /// [`ValuesError`].
    pub async fn get_value(&self, target: Target<'_>, owner: &ValueOwner, key: &str) -> Result<String, ValuesError> {
        let (wanted, key) = (Wanted::new(target, owner), key.to_owned());
        let read = self.inner.database.read(move |c| {
            Box::pin(async move {
                let found = wanted.find(c).await?;
                values::find(c, &found.owner, &key).await?.ok_or(ValuesError::KeyUnknown { key })
            })
        });
        read.await
    }

    /// Sets the value of a key; `value` is JSON.
    ///
    /// # Errors
    /// [`ValuesError`].
    pub async fn put_value(
        &self,
        target: Target<'_>,
        owner: &ValueOwner,
        key: &str,
        value: String,
        actor: &str,
    ) -> Result<(), ValuesError> {
        let (wanted, key, actor, now) = (Wanted::new(target, owner), key.to_owned(), actor.to_owned(), self.now());
        let write = self.inner.database.write(move |c| {
            Box::pin(async move {
                let found = wanted.open(c).await?;
                let known = values::list_keys(c, &found.owner).await?;
                if known.len() >= MOST_KEYS && !known.contains(&key) {
                    return Err(ValuesError::TooMany);
                }
                values::put(c, &found.owner, &key, &value, now).await?;
                let change = NewChange { changed_at: now, ..wanted.change(&actor) };
                Ok(changes::append(c, wanted.registry, &[change]).await?)
            })
        });
        write.await
    }

    /// Removes a key with its value.
    ///
    /// # Errors
    /// [`ValuesError`].
    pub async fn delete_value(
        &self,
        target: Target<'_>,
        owner: &ValueOwner,
        key: &str,
        actor: &str,
    ) -> Result<(), ValuesError> {
        let (wanted, key, actor, now) = (Wanted::new(target, owner), key.to_owned(), actor.to_owned(), self.now());
        let write = self.inner.database.write(move |c| {
            Box::pin(async move {
                let found = wanted.open(c).await?;
                if !values::delete(c, &found.owner, &key).await? {
                    return Err(ValuesError::KeyUnknown { key });
                }
                let change = NewChange { changed_at: now, ..wanted.change(&actor) };
                Ok(changes::append(c, wanted.registry, &[change]).await?)
            })
        });
        write.await
    }
}

/// What is looked for.
struct Wanted {
    registry: wharf_model::RegistryId,
    repository: RepositoryName,
    owner: ValueOwner,
}

/// What was found.
struct Found {
    owner: Owner,
    digest: Option<String>,
    write_enabled: bool,
}

impl Wanted {
    fn new(target: Target<'_>, owner: &ValueOwner) -> Self {
        Self { registry: target.registry.id, repository: target.repository.clone(), owner: owner.clone() }
    }

    async fn find(&self, c: &mut Connection) -> Result<Found, AttributesError> {
        let repository = || self.repository.clone();
        let id = repositories::find_shown(c, self.registry, &self.repository).await?;
        let id = id.ok_or_else(|| AttributesError::RepositoryUnknown(repository()))?;
        match &self.owner {
            ValueOwner::Repository => Ok(Found { owner: Owner::Repository(id), digest: None, write_enabled: true }),
            ValueOwner::Tag(tag) => {
                let found = attributes::find_tag(c, id, tag).await?;
                let found =
                    found.ok_or_else(|| AttributesError::TagUnknown { repository: repository(), tag: tag.clone() })?;
                let write_enabled = found.locks.write_enabled;
                Ok(Found { owner: Owner::Tag(id, tag.clone()), digest: Some(found.digest), write_enabled })
            }
            ValueOwner::Manifest(digest) => {
                let found = attributes::find_manifest(c, id, digest).await?;
                let found = found.ok_or_else(|| AttributesError::ManifestUnknown {
                    repository: repository(),
                    digest: digest.clone(),
                })?;
                let write_enabled = found.locks.write_enabled;
                Ok(Found { owner: Owner::Manifest(found.id), digest: Some(found.digest), write_enabled })
            }
        }
    }

    /// The same for a change, under the lock of the repository's row.
    async fn open(&self, c: &mut Connection) -> Result<Found, AttributesError> {
        let unknown = || AttributesError::RepositoryUnknown(self.repository.clone());
        let id = repositories::find_shown(c, self.registry, &self.repository).await?.ok_or_else(unknown)?;
        let locks = repositories::lock(c, id).await?.ok_or_else(unknown)?;
        let found = self.find(c).await?;
        let repository = self.repository.clone();
        match &self.owner {
            _ if !locks.write_enabled => Err(Locked::Repository(repository).into()),
            ValueOwner::Tag(tag) if !found.write_enabled => {
                Err(Locked::Tag { repository, tag: tag.to_string() }.into())
            }
            ValueOwner::Manifest(digest) if !found.write_enabled => {
                Err(Locked::Manifest { repository, digest: digest.to_string() }.into())
            }
            _ => Ok(found),
        }
    }

    fn change<'a>(&'a self, actor: &'a str) -> NewChange<'a> {
        let (kind, tag, digest) = match &self.owner {
            ValueOwner::Repository => (Kind::RepositoryUpdate, None, None),
            ValueOwner::Tag(tag) => (Kind::TagUpdate, Some(tag), None),
            ValueOwner::Manifest(digest) => (Kind::ManifestUpdate, None, Some(digest)),
        };
        let changed_at = wharf_model::Timestamp(0);
        NewChange { kind, actor, repository: Some(&self.repository), tag, digest, changed_at }
    }
}

/// How many keys a repository, a tag or a manifest may have.
pub const MOST_KEYS: usize = 100;
