//! Blobs in repositories: reading, keeping, deleting and mounting them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use wharf_blobs::{Blob, StorageKey};
use wharf_metadata::blobs::{self, BlobRow, Place};
use wharf_metadata::changes::{self, Kind, NewChange};
use wharf_metadata::repositories;
use wharf_model::{BlobId, Digest, RepositoryId, RepositoryName};

use crate::cache::key;
use crate::locks::{ContentError, Locked};
use crate::{Artifacts, Error, Sight, Target};

/// What is known of a blob without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its size.
    pub size_bytes: u64,
}

/// A blob that can be read.
#[derive(Clone, Debug)]
pub enum BlobContent {
    /// Small: all of it.
    Inline(Bytes),
    /// To be streamed from the store.
    Stored(Arc<dyn Blob>),
}

impl BlobContent {
    /// The blob's size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Stored(blob) => blob.size(),
        }
    }
}

/// Why a blob was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteBlobError {
    /// The repository does not hold it.
    #[error("there is no blob {digest} in {repository}")]
    Unknown {
        /// The repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// A manifest of the repository refers to it.
    #[error("a manifest in {repository} refers to the blob {digest}; delete the manifest first")]
    InUse {
        /// The repository.
        repository: RepositoryName,
        /// The blob.
        digest: Digest,
    },
    /// The repository is locked.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The stores failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<wharf_metadata::Error> for DeleteBlobError {
    fn from(error: wharf_metadata::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A blob's link to a repository, as remembered.
#[derive(Debug)]
pub(crate) struct CachedBlob {
    id: BlobId,
    repository: RepositoryId,
    size_bytes: u64,
    source: Source,
    read_enabled: bool,
    lease_until: AtomicI64,
}

#[derive(Debug)]
enum Source {
    Inline(Bytes),
    Object(StorageKey),
}

impl CachedBlob {
    pub(crate) fn inline_bytes(&self) -> usize {
        match &self.source {
            Source::Inline(bytes) => bytes.len(),
            Source::Object(_) => 0,
        }
    }

    fn from_row(row: BlobRow) -> Result<Self, Error> {
        let source = match row.place {
            Place::Inline(bytes) => Source::Inline(bytes.into()),
            Place::Object(key) => Source::Object(parse_key(&key)?),
        };
        Ok(Self {
            id: row.id,
            repository: row.repository,
            size_bytes: row.size_bytes,
            source,
            read_enabled: row.read_enabled,
            lease_until: AtomicI64::new(row.lease_until.0),
        })
    }
}

pub(crate) fn parse_key(key: &str) -> Result<StorageKey, Error> {
    let malformed = |_| wharf_metadata::Error::Malformed { what: "storage key", value: key.to_owned() };
    Ok(key.parse().map_err(malformed)?)
}

impl Artifacts {
    /// Finds a blob in a repository.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn find_blob(
        &self,
        target: Target<'_>,
        digest: &Digest,
        sight: Sight,
    ) -> Result<Option<BlobInfo>, ContentError> {
        Ok(self.readable_blob(target, digest, sight).await?.map(|blob| BlobInfo { size_bytes: blob.size_bytes }))
    }

    /// Finds a blob for somebody who may be about to push a manifest that refers to it, and so will not send it again:
    /// keeps it from the collector for as long as a fresh push would. A lock against pulling is none against this.
    ///
    /// # Errors
    /// When the stores fail.
    pub async fn renew_blob(&self, target: Target<'_>, digest: &Digest) -> Result<Option<BlobInfo>, Error> {
        let Some(blob) = self.cached_blob(target, digest).await? else { return Ok(None) };
        // Who hears that a blob is here does not send it. If its bytes are lost, they must be sent, to be mended.
        if let Source::Object(object) = &blob.source
            && let Err(error) = self.open_whole(object, blob.size_bytes).await
        {
            tracing::error!(digest = %digest, error = &error as &dyn std::error::Error,
                "The stored bytes of {digest} are lost; a push of them is let through");
            return Ok(None);
        }
        let now = self.now();
        let lease = self.inner.settings.blob_lease;
        // Half a lease is enough for any push that follows, and keeps this from writing every time.
        if blob.lease_until.load(Ordering::Relaxed) < (now + lease / 2).0 {
            let (repository, id, until) = (blob.repository, blob.id, now + lease);
            let renewed = self
                .inner
                .database
                .write(move |c| Box::pin(async move { blobs::renew(c, repository, id, until).await }))
                .await
                .map_err(Error::Metadata)?;
            if !renewed {
                self.inner.caches.blobs.invalidate(&key(target.registry.id, target.repository, '@', digest.as_str()));
                return Ok(None);
            }
            blob.lease_until.store(until.0, Ordering::Relaxed);
        }
        Ok(Some(BlobInfo { size_bytes: blob.size_bytes }))
    }

    /// Opens a blob of a repository for reading.
    ///
    /// # Errors
    /// [`ContentError`]; the stores fail also when the bytes that the metadata promises are not there.
    pub async fn open_blob(
        &self,
        target: Target<'_>,
        digest: &Digest,
        sight: Sight,
    ) -> Result<Option<BlobContent>, ContentError> {
        let Some(blob) = self.readable_blob(target, digest, sight).await? else { return Ok(None) };
        match &blob.source {
            Source::Inline(bytes) => Ok(Some(BlobContent::Inline(bytes.clone()))),
            Source::Object(object) => match self.open_whole(object, blob.size_bytes).await {
                Ok(stored) => Ok(Some(BlobContent::Stored(stored))),
                Err(wharf_blobs::Error::Missing { .. }) => Ok(self.reopen_blob(target, digest, object).await?),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Opens an object that must have exactly the size that was recorded: fewer bytes are never served as if they were all.
    pub(crate) async fn open_whole(
        &self,
        object: &StorageKey,
        size_bytes: u64,
    ) -> Result<Arc<dyn Blob>, wharf_blobs::Error> {
        let stored = self.inner.blobs.open(object).await?;
        let found_bytes = stored.size();
        if found_bytes == size_bytes {
            Ok(stored)
        } else {
            Err(wharf_blobs::Error::Truncated { key: object.clone(), expected_bytes: size_bytes, found_bytes })
        }
    }

    /// The object is gone. Perhaps what is remembered is old: another process collected the blob, or repaired it.
    async fn reopen_blob(
        &self,
        target: Target<'_>,
        digest: &Digest,
        gone: &StorageKey,
    ) -> Result<Option<BlobContent>, Error> {
        self.inner.caches.blobs.invalidate(&key(target.registry.id, target.repository, '@', digest.as_str()));
        let Some(blob) = self.cached_blob(target, digest).await? else { return Ok(None) };
        match &blob.source {
            Source::Inline(bytes) => Ok(Some(BlobContent::Inline(bytes.clone()))),
            Source::Object(object) if object == gone => Err(wharf_blobs::Error::Missing { key: gone.clone() }.into()),
            Source::Object(object) => Ok(Some(BlobContent::Stored(self.open_whole(object, blob.size_bytes).await?))),
        }
    }

    /// The blob for somebody who pulls it.
    async fn readable_blob(
        &self,
        target: Target<'_>,
        digest: &Digest,
        sight: Sight,
    ) -> Result<Option<Arc<CachedBlob>>, ContentError> {
        let Some(blob) = self.cached_blob(target, digest).await? else { return Ok(None) };
        let repository = || target.repository.clone();
        if !blob.read_enabled {
            return Err(Locked::Read { repository: repository(), reference: digest.to_string() }.into());
        }
        if !self.is_blob_in_sight(target, sight, blob.repository, blob.id).await? {
            return Err(ContentError::Quarantined { repository: repository(), digest: digest.clone() });
        }
        Ok(Some(blob))
    }

    async fn cached_blob(&self, target: Target<'_>, digest: &Digest) -> Result<Option<Arc<CachedBlob>>, Error> {
        let cache = &self.inner.caches.blobs;
        let key = key(target.registry.id, target.repository, '@', digest.as_str());
        if let Some(blob) = cache.get(&key) {
            return Ok(Some(blob));
        }
        let fence = cache.fence(&key);
        let (registry, repository, wanted) = (target.registry.id, target.repository.clone(), digest.clone());
        let row = self
            .inner
            .database
            .read(move |c| Box::pin(async move { blobs::find_linked(c, registry, &repository, &wanted).await }))
            .await?;
        let Some(row) = row else { return Ok(None) };
        let blob = Arc::new(CachedBlob::from_row(row)?);
        if blob.read_enabled {
            cache.store(key, blob.clone(), &fence);
        }
        Ok(Some(blob))
    }

    /// Takes a blob out of a repository. Its bytes go when no other repository holds them.
    ///
    /// # Errors
    /// [`DeleteBlobError`]; a blob that a manifest refers to stays, since the manifest would not be whole without it.
    pub async fn delete_blob(&self, target: Target<'_>, digest: &Digest, actor: &str) -> Result<(), DeleteBlobError> {
        let (registry, now) = (target.registry.id, self.now());
        let (repository, wanted, actor) = (target.repository.clone(), digest.clone(), actor.to_owned());
        self.inner
            .database
            .write(move |c| {
                Box::pin(async move {
                    let Some(blob) = blobs::find_linked(c, registry, &repository, &wanted).await? else {
                        return Err(DeleteBlobError::Unknown { repository, digest: wanted });
                    };
                    match repositories::keep(c, blob.repository).await? {
                        None => return Err(DeleteBlobError::Unknown { repository, digest: wanted }),
                        Some(false) => return Err(Locked::Repository(repository).into()),
                        Some(true) => {}
                    }
                    blobs::lock_link(c, blob.repository, blob.id, true).await?;
                    if blobs::is_referenced(c, blob.repository, blob.id).await? {
                        return Err(DeleteBlobError::InUse { repository, digest: wanted });
                    }
                    blobs::unlink(c, blob.repository, blob.id).await?;
                    let change = NewChange {
                        kind: Kind::BlobDelete,
                        actor: &actor,
                        repository: Some(&repository),
                        tag: None,
                        digest: Some(&wanted),
                        changed_at: now,
                    };
                    changes::append(c, registry, &[change]).await?;
                    Ok(())
                })
            })
            .await?;
        self.inner.caches.blobs.invalidate(&key(registry, target.repository, '@', digest.as_str()));
        Ok(())
    }

    /// Links a blob that another repository of the registry holds to this one, without any bytes being sent.
    ///
    /// With `from` the blob must be there; without, any repository that `may_read` allows will do. Returns `false` when
    /// there is none, and the client has to upload.
    ///
    /// # Errors
    /// [`ContentError`]: the repository is locked, or the stores fail. From a repository that is locked against pulling
    /// nothing is mounted, as if it held nothing.
    ///
    /// Source: distribution-spec v1.1, "Mounting a blob from another repository".
    pub async fn mount_blob(
        &self,
        target: Target<'_>,
        from: Option<&RepositoryName>,
        digest: &Digest,
        may_read: &(dyn Fn(&RepositoryName) -> bool + Sync),
    ) -> Result<bool, ContentError> {
        let registry = target.registry.id;
        let source = match from {
            Some(name) => may_read(name).then(|| name.clone()),
            None => {
                let wanted = digest.clone();
                let holders: Vec<RepositoryName> = self
                    .inner
                    .database
                    .read(move |c| {
                        Box::pin(async move { blobs::list_holders(c, registry, &wanted, HOLDERS_TRIED).await })
                    })
                    .await
                    .map_err(Error::Metadata)?;
                holders.into_iter().find(|name| may_read(name))
            }
        };
        match source {
            Some(source) => {
                self.link_blob(target, Target { registry: target.registry, repository: &source }, digest).await
            }
            None => Ok(false),
        }
    }

    /// Links a blob that another repository holds, of this registry or of another one of the installation, without any
    /// bytes being copied. Whether the source may be read has been asked. Returns `false` when it does not hold the blob.
    ///
    /// # Errors
    /// [`ContentError`], as for [`Self::mount_blob`].
    pub async fn link_blob(
        &self,
        target: Target<'_>,
        source: Target<'_>,
        digest: &Digest,
    ) -> Result<bool, ContentError> {
        let (registry, from) = (target.registry.id, (source.registry.id, source.repository.clone()));
        let (now, lease) = (self.now(), self.inner.settings.blob_lease);
        let (repository, wanted) = (target.repository.clone(), digest.clone());
        let linked = self
            .inner
            .database
            .write(move |c| {
                Box::pin(async move {
                    let Some(blob) = blobs::find_linked(c, from.0, &from.1, &wanted).await? else {
                        return Ok(false);
                    };
                    if !blob.read_enabled || !blobs::lock_link(c, blob.repository, blob.id, false).await? {
                        return Ok(false);
                    }
                    let found = repositories::find_or_insert(c, registry, &repository, now).await?;
                    if !found.write_enabled {
                        return Err(ContentError::from(Locked::Repository(repository)));
                    }
                    blobs::link(c, found.id, blob.id, now + lease).await?;
                    Ok(true)
                })
            })
            .await?;
        self.inner.caches.blobs.invalidate(&key(registry, target.repository, '@', digest.as_str()));
        Ok(linked)
    }
}

/// How many holders of a blob an anonymous mount looks at.
const HOLDERS_TRIED: i64 = 100;
